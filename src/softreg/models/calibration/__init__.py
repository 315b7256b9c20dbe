"""Methods for probabilities of any classifier: recalibration, also by groups of rows, label errors and code lengths.

It imports `models.estimators` and lower packages. A recalibration method is a record and a function in `methods.py`,
listed in its table `METHODS`, and its file format in `calibrator_state.py`; maps with certified fits are in `maps`.
"""
