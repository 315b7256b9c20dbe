"""Approximate Hessians of a stack of models, and their inverses as preconditioners.

It imports `problem` and `objective`. Each kind of approximation has a file with the class that computes it; the
inverses of diagonals and blocks are in `preconditioners`, their Cholesky factors in `class_factors`. The exact Hessian
as products is in `hessian_products`; models of groups of columns are in `group_models`.
"""
