"""The terms of a fitted model as functions of its columns, centred over the training rows and purified.

Imports the encoders and `models`, and nothing of `terms`. The nodes between which functions are linear belong in
`term_nodes`, the distribution of the training rows over them in `node_shares`, the linear maps from weights to
functions in `purified_terms`, functions with standard errors in `term_functions`, and the classifier's
method in `fitted_functions`.
"""
