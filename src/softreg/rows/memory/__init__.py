"""Backends in the host's memory: dense arrays and CSR matrices, and the logits of their blocks in NumPy.

May import `kernels` and the files of `rows` above it. A further matrix format in memory goes here.
"""
