"""A class of students whose right scores are known: every mutant of a lab and every mishap."""

from autograder.sample_class.generate import Case, cases, generate

__all__ = ["Case", "cases", "generate"]
