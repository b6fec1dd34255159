"""A lab with one exercise of every kind, for the tests of the autograder."""
