"""Stochastic dual coordinate ascent for l2-penalized models on sparse rows.

It imports `problem`, `objective`, `certificate`, `curvature` and the rows. A change of the steps themselves goes to the
kernels of `rows`; of the sweeps and their start to `dual_iterate`; of when the method is used and certified to
`coordinate_ascent`; of how folds of a cross-validation end to `cv_folds`.
"""
