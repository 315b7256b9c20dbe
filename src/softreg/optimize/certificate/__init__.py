"""Proofs about a fit: the duality gap, the bound from the Newton decrement, separation and collinearity.

It imports `problem` and `objective`. A change of how a gap is bounded goes to `duality` or `self_concordance`, of
when a fit without a penalty has no finite optimum to `separation`, of which columns are redundant to `collinearity`.
"""
