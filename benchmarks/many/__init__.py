"""Softmax regressions with thousands of classes: the problems, the contestants and their scores.

`benchmarks/many_classes.py` runs them. A problem is made in `film_problems` or `drawn_problem`. `all_contestants` names
the contestants; `scoring` judges the probabilities of all of them in blocks of rows.
"""
