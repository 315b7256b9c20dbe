"""Parameters of the constructors of estimators: their checks, and what they mean for single weights.

It imports `inputs`. A new parameter is checked in `parameter_checks`; penalty factors, bounds and priors by the names
of columns and classes are turned into arrays in `weight_terms`.
"""
