"""The estimator `SoftmaxRegressionCV`: choice of the strength by cross-validation or leave-one-out.

It may import `inputs`, `serialization`, `likelihood`, `estimators` and the packages below `models`. A new kind of split
goes to `cv_splits.py`, a new score to `scorers.py`, and a new rule for the end of the path or the choice of a point to
`regularization_path.py`.
"""
