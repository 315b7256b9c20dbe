"""Groups of classes with similar distributions of scores, which share a threshold (clustered conformal prediction)."""

from __future__ import annotations

import numpy as np

from softreg.models.calibration.temperature import Codes, Floats
from softreg.models.conformal.conformal_thresholds import least_rows

QUANTILES = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Quantiles of the scores of a class by which classes are compared, beside the level itself."""
ROWS_A_CLUSTER = 2.0
"""Rows of a class, in the clustering part, for each cluster."""
CLASSES_AT_HALF = 75.0
"""Number of classes that can be clustered with which half of the rows are used to cluster them."""
STARTS = 10
"""Random starts of k-means."""


def cluster_classes(scores: Floats, codes: Codes, q: int, level: float, seed: int) -> tuple[Codes, Codes]:
    """Return the group of each class, and the rows that were not used to find it.

    Each class is described by quantiles of its scores on a random part of the rows; classes are grouped by k-means with
    weights sqrt(rows). The share of that part and the number of groups follow from the number of classes and of rows
    as in the reference. Classes with too few rows for quantiles are one more group, the last.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        Score of the label of each row.
    codes : ndarray of shape (n,)
        Class of each row.
    q : int
        Number of classes.
    level : float
        Coverage.
    seed : int
        Seed of the part and of k-means.

    Returns
    -------
    group : ndarray of shape (q,)
        Group of each class.
    rest : ndarray
        Rows for the thresholds.

    References
    ----------
    Ding, Angelopoulos, Bates, Jordan and Tibshirani, "Class-conditional conformal prediction with many classes" (2023).
    """
    from sklearn.cluster import KMeans

    counts = np.bincount(codes, minlength=q)
    least = least_rows(level)
    usable = counts[counts >= max(counts.min(), least)]
    if len(usable) < 2:
        return np.zeros(q, dtype=np.int64), np.arange(len(codes))
    share = len(usable) / (CLASSES_AT_HALF + len(usable))
    n_clusters = int(share * max(counts.min(), least) / ROWS_A_CLUSTER)
    random = np.random.default_rng(seed)
    part = random.random(len(codes)) < share
    rest = np.flatnonzero(~part)
    own = np.bincount(codes[part], minlength=q)
    known = np.flatnonzero(own >= least)
    n_clusters = min(n_clusters, len(known))
    if n_clusters < 2:
        return np.where(own >= least, 0, 1) if 0 < len(known) < q else np.zeros(q, dtype=np.int64), rest
    levels = sorted({*QUANTILES, level})
    points = np.array([np.quantile(scores[part & (codes == k)], levels) for k in known])
    found = KMeans(n_clusters, n_init=STARTS, random_state=seed).fit(points, sample_weight=np.sqrt(own[known]))
    group = np.full(q, n_clusters, dtype=np.int64)
    group[known] = found.labels_
    return np.unique(group, return_inverse=True)[1], rest
