"""Figures of the chapters, drawn by code when the site is built."""
