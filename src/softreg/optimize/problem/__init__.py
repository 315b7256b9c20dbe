"""The problem and its answer: penalties, standardisation, options and limits, plan and solution.

It imports no other package of `optimize`. A penalty is a file here with its registration in `penalties`; a threshold
that decides on a method is a field of `limits.Limits`.
"""
