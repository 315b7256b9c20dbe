"""Statistical inference for fitted models: standard errors, intervals, tests, effects, bootstrap and contributions.

It imports every other package of `models`. `inference.py` is the entry point; kinds of standard errors are in
`covariance.py`, effects in `marginal_effects.py`, probabilities with intervals and comparisons in `margins`, text
tables in `estimates.py` and `summary.py`.
"""
