"""Cross-validation of rows on a cluster: folds drawn from hashed row numbers, fitted and scored by the workers.

May import the rest of `models/selection` except `cv_estimator.py`.
"""
