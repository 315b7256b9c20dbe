"""Strengths of the terms of a model by the Laplace approximation to the evidence, and the screen of interactions.

Imports `optimize`, `rows` and `probability`. How a strength is updated belongs in `term_strengths`, sums of the Hessian
over the terms in `term_traces`, and tests of terms that a model does not have yet in `interaction_screen`.
"""
