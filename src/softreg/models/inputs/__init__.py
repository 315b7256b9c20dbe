"""Validation of what users pass to estimators: features, labels, weights, parameters, batches, files and tensors.

It may import `optimize`, `rows` and `probability`. A new kind of input goes to `features.py` (arrays and frames),
`labels.py`, `batches.py` or `matrix_files.py`; a new parameter of an estimator is checked in `parameters.py`.
"""
