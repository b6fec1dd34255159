"""Measured numbers: one module per row of the performance table, results in ``results/*.json``."""
