"""Bases of smooth curves of a number: piecewise linear functions whose weights have independent priors.

A curve f is piecewise linear between knots t_1 < ... < t_m, which are quantiles of training. Its prior is a random
walk: differences of neighbouring values are independent, with a variance proportional to the distance of the knots on
a scale between their ranks and their numbers. Values are centred over the training rows. The eigenvectors of the
covariance of the values at the training rows, times the square roots of their eigenvalues, are a basis in which the
prior is that of independent weights with variance 1: a ridge penalty on the weights is one on the squared differences
of the curve.

References
----------
Rue and Held (2005), Gaussian Markov Random Fields, 3.3. Wood (2017), Generalized Additive Models, 5.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.typing import Float64Array, IntArray

KNOTS = 48
"""Most knots of a curve."""
FEATURES = 32
"""Most features of a curve."""
LEAST_VARIANCE = 1e-3
"""Eigenvalues below this share of the largest one are left out."""
TIE = 1e-6
"""Difference from the middle of two knots, as a share of their distance, up to which a number is in the middle."""
RANK_SHARE = 0.5
"""Share of the ranks in the scale on which differences are penalised; the rest is the number of the knot."""


@dataclass(frozen=True, eq=False)
class CurveBasis:
    """A basis of curves.

    Attributes
    ----------
    knots : array of float64 (m,)
        Knots, ascending.
    values : array of float64 (m, r)
        Value of each basis function at the knots.
    """

    knots: Float64Array
    values: Float64Array


def curve_knots(x: Float64Array, most: int = KNOTS) -> tuple[Float64Array, Float64Array]:
    """Return the knots of a curve and the share of rows nearest to each.

    Parameters
    ----------
    x : array of float64 (n,)
        Numbers of training; nan and infinite ones are ignored.
    most : int
        Most knots.

    Returns
    -------
    tuple of array of float64 (m,)
        Knots: all distinct numbers if these are at most `most`, else quantiles, the least and the largest number; and
        shares, whose sum is 1. A number in the middle between two knots counts half for each, whatever its unit.

    Examples
    --------
    >>> curve_knots(np.array([0.0, 0.0, 1.0, 5.0]))
    (array([0., 1., 5.]), array([0.5 , 0.25, 0.25]))
    """
    x = x[np.isfinite(x)]
    distinct, counts = np.unique(x, return_counts=True)
    if len(distinct) > most:
        distinct = _separated_quantiles(distinct, counts, most)
    if len(distinct) < 2:
        return distinct, np.ones(len(distinct))
    low, place = interpolation(x, distinct)
    upper = np.where(np.abs(place - 0.5) < TIE, 0.5, place > 0.5)
    counts = np.bincount(low, 1 - upper, len(distinct)) + np.bincount(low + 1, upper, len(distinct))
    return distinct, counts / len(x)


def _separated_quantiles(distinct: Float64Array, counts: IntArray, most: int) -> Float64Array:
    """Return each frequent number, the least, the largest one, and quantiles of the other rows, `most` at most."""
    alone = np.zeros(len(distinct), dtype=bool)
    while True:  # a number that has more than a knot's part of the rows leaves the other knots to the other rows
        room = most - int(alone.sum())
        frequent = ~alone & (counts * room > counts[~alone].sum())
        if not frequent.any():
            break
        alone |= frequent
    inner = max(0, room - 2)
    rows = np.repeat(distinct[~alone], counts[~alone])
    quantiles = np.quantile(rows, (np.arange(inner) + 0.5) / inner, method="nearest") if inner else rows[:0]
    return np.unique(np.concatenate([distinct[alone], distinct[:1], quantiles, distinct[-1:]]))


def random_walk_basis(knots: Float64Array, share: Float64Array, most: int = FEATURES) -> CurveBasis:
    """Return the basis of curves with a random walk as prior, as its principal components.

    Parameters
    ----------
    knots, share : array of float64 (m,)
        Knots and shares of the rows.
    most : int
        Most basis functions.

    Returns
    -------
    CurveBasis
        Basis functions in the order of their variance, centred over the rows. The variance of the whole prior, averaged
        over the rows, is 1.

    Examples
    --------
    >>> basis = random_walk_basis(np.array([0.0, 1.0, 2.0]), np.full(3, 1 / 3))
    >>> basis.values.shape, (basis.values**2).mean(axis=0).sum().round(6)
    ((3, 2), np.float64(1.0))
    """
    position = knot_positions(share)
    covariance = np.minimum(position[:, None], position[None, :])
    centring = np.eye(len(knots)) - share[None, :]
    covariance = centring @ covariance @ centring.T
    root = np.sqrt(np.maximum(share, 1e-12))
    variance, vectors = np.linalg.eigh(root[:, None] * covariance * root[None, :])
    order = np.argsort(-variance, kind="stable")
    variance, vectors = np.maximum(variance[order], 0.0), vectors[:, order]
    total = variance.sum()
    keep = variance > LEAST_VARIANCE * variance[:1].sum()
    keep[most:] = False
    signs = np.where(vectors[-1, keep] < 0, -1.0, 1.0)
    values = vectors[:, keep] * signs / root[:, None] * np.sqrt(variance[keep] / max(total, 1e-300))
    return CurveBasis(knots, values)


def increments_basis(knots: Float64Array, share: Float64Array) -> CurveBasis:
    """Return the same prior by the differences of neighbouring values: weights >= 0 are an increasing curve.

    Parameters
    ----------
    knots, share : array of float64 (m,)
        Knots and shares of the rows.

    Returns
    -------
    CurveBasis
        m - 1 ramps, each 0 up to one knot and constant from the next one on, centred over the rows.

    Examples
    --------
    >>> increments_basis(np.array([0.0, 1.0]), np.array([0.5, 0.5])).values
    array([[-1.],
           [ 1.]])
    """
    position = knot_positions(share)
    steps = np.tril(np.ones((len(knots), len(knots) - 1)), -1) * np.sqrt(np.diff(position))
    centred = steps - share @ steps
    total = max(float((share @ centred**2).sum()), 1e-300)
    return CurveBasis(knots, centred / np.sqrt(total))


def interpolation(x: Float64Array, knots: Float64Array) -> tuple[IntArray, Float64Array]:
    """Return the knot below each number, and its place between this knot and the next one.

    Parameters
    ----------
    x : array of float64 (n,)
        Numbers; those beyond the first and the last knot are taken as these.
    knots : array of float64 (m,)
        Two or more ascending numbers of any size, up to the least and the largest that float64 has.

    Returns
    -------
    low : array of int (n,)
        Numbers of knots, 0 to m - 2; 0 for nan.
    share : array of float64 (n,)
        Places, from 0 to 1; nan for nan.

    Examples
    --------
    >>> interpolation(np.array([1.0, 2.5, 9.0]), np.array([1.0, 2.0, 4.0]))
    (array([0, 1, 1]), array([0.  , 0.25, 1.  ]))
    """
    low = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    low[np.isnan(x)] = 0
    start, stop = knots[low], knots[low + 1]
    with np.errstate(over="ignore"):
        gap = stop - start
        half = np.where(np.isinf(gap), 0.5, 1.0)  # the difference of the largest numbers overflows, that of halves not
        share = (x * half - start * half) / (stop * half - start * half)
    return low, np.clip(share, 0.0, 1.0)


def knot_positions(share: Float64Array) -> Float64Array:
    """Return the place of each knot (m,) on the scale, from 0 to 1, on which differences are penalised.

    Parameters
    ----------
    share : array of float64 (m,)
        Shares of the rows.

    Returns
    -------
    array of float64 (m,)
        Ascending places.

    Examples
    --------
    >>> knot_positions(np.array([0.5, 0.25, 0.25])).round(3).tolist()
    [0.0, 0.55, 1.0]
    """
    rank = np.cumsum(share) - share / 2
    rank = (rank - rank[0]) / max(rank[-1] - rank[0], 1e-300)
    number = np.arange(len(share)) / max(1, len(share) - 1)
    return np.asarray(RANK_SHARE * rank + (1 - RANK_SHARE) * number)
