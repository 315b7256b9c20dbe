"""The estimator `SoftmaxRegression`, and predictions of all fitted linear classifiers.

It may import `inputs`, `serialization`, `likelihood` and the packages below `models`. A new method of prediction goes
to `base.py`, a new parameter of the fit to `regression.py`, and advice about fits that did not converge to
`convergence_messages.py`.
"""
