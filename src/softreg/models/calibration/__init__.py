"""Methods for probabilities of any classifier: recalibration, prediction sets, label errors and code lengths.

It imports `models.estimators` and lower packages. A recalibration method is a record and a function in `methods.py`,
listed in its table `METHODS`; conformity scores are in `prediction_sets.py`.
"""
