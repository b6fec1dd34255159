"""Builds labs, grades submissions, reports."""
