"""Methods for probabilities of any classifier: recalibration, also by groups of rows, label errors and code lengths.

It imports `models.estimators` and lower packages. A recalibration method is a record and a function in `methods.py`,
listed in its table `METHODS`; those with certified fits are in `structured.py` and `odds_maps.py`, on the designs of
`map_designs.py` and the solvers `newton_fit.py` and `vector_fit.py`.
"""
