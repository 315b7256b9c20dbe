"""Compiled kernels, and the same operations in NumPy: products, columns of CSR rows, Cholesky solves, dual steps.

Imports nothing of the other packages of `rows` but their protocol. A faster loop over the numbers of a block goes here.
"""
