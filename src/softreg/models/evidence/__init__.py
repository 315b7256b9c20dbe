"""Strengths of the terms of a model by the Laplace approximation to the evidence, and the screen of interactions.

Imports `optimize` and `linalg`. How a strength is updated belongs in `term_strengths`, the information of the rows and
its factors in `term_curvature`, the fit at given strengths in `term_weights`, sums of the covariance over the terms in
`term_traces`, tests of terms that a model does not have yet in `interaction_screen`, the test of a term of a fitted
model in `no_effect_test`, and the distribution of its statistic in `mixture_tail`.
"""
