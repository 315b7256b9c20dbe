"""Prediction sets by conformal prediction.

It imports `models.calibration` and lower packages. Conformity scores are in `conformity_scores.py`, thresholds of
classes, groups and weighted rows in `conformal_thresholds.py`, and the class `PredictionSets` in `prediction_sets.py`.
"""
