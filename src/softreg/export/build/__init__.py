"""Programs from fitted models: columns, the regression, and a calibrator.

It imports `program` and the encoders of `tables`; a new column encoder needs a function in `column_terms`.
"""
