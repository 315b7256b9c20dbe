"""Rows on a device of PyTorch: the backend, its blocks and logits, transfers, and Triton kernels.

May import `memory` for what all backends share. PyTorch is imported when rows on a device are made, not before.
"""
