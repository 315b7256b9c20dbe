"""Probabilities of rows with standard errors and intervals, and comparisons of them between values of a column.

It imports the modules of `inference` but `inference.py`, whose methods call it. The delta method on the logits of rows
is in `row_logits.py`, averages over rows are in `average_probabilities.py`, rows of a grid in `reference_grid.py`.
"""
