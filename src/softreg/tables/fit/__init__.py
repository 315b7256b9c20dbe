"""Training of a `TableClassifier` in memory or in batches, the choice of numeric forms and strength, and prediction.

It may import all other packages of `tables` except `classifier`. How the strength is chosen goes to `cross_validation`
and `choose_strength`, the first pass over large files to `table_scan`, passes by worker processes to `cluster`, and
predictions to `base_classifier` and `predictor`, standard errors, tests and intervals to `inferring_classifier`.
"""
