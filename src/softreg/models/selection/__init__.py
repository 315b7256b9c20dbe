"""The estimator `SoftmaxRegressionCV`: choice of the strength by cross-validation or leave-one-out.

It may import `inputs`, `parameters`, `serialization`, `likelihood`, `estimators` and the packages below `models`. A new
kind of split goes to `cv_splits.py`, a new score to `scorers.py`, a new rule for the choice of a point to
`selection_rule.py`; which strengths are tried, and when the path ends, is in `strength_grid.py`.
"""
