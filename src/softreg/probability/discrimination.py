"""The area under the ROC curve of probabilities over classes, each class against the rest, with its interval."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.bootstrap_intervals import Interval
from softreg.probability.check_distributions import check_probabilities
from softreg.probability.labels import check_codes
from softreg.probability.scores import unit_weights
from softreg.typing import FloatArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_Part = tuple[FloatArray, Flags, Floats]
"""Scores (n,), membership in the class (n,), and weights (n,)."""
MOST_CORRELATED = 20_000_000
"""Largest product of rows and classes for which correlations of class areas are computed; beyond, they are 1."""
TAIL, Z = 0.975, 1.959964
"""Quantile of 95% intervals, and its standard normal value."""


def mean_auc(P: ArrayLike, codes: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the area under the ROC curve: of the second of two classes, or the mean of each class against the rest.

    The area of a class is the probability that a random row of the class has a larger probability of it than a random
    row of another class, ties counted half. A class without rows, or with all rows, is excluded from the mean.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Probabilities.
    codes : array_like of shape (n,)
        Labels in 0..q-1.
    sample_weight : array_like of shape (n,), optional
        Weights of the rows.

    Returns
    -------
    float
        The area, between 0 and 1; nan if no class has an area.

    Raises
    ------
    ValueError
        For rows that are no distributions, and codes or weights that do not fit.

    References
    ----------
    Hand and Till, "A simple generalisation of the area under the ROC curve for multiple class classification problems"
    (2001), for the definition by ranks.
    Fawcett, "An introduction to ROC analysis" (2006), for the mean.

    Examples
    --------
    >>> mean_auc([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]], [0, 0, 1, 1])
    0.75
    """
    probabilities, y, weight = _checked(P, codes, sample_weight)
    areas = [_area(*part[:2], part[2]).value for part in _parts(probabilities, y, weight)]
    return float(np.mean(areas)) if areas else float("nan")


def mean_auc_interval(
    P: ArrayLike, codes: ArrayLike, sample_weight: ArrayLike | None = None, *, groups: ArrayLike | None = None
) -> Interval:
    """Return `mean_auc` with its 95% confidence interval.

    The interval is the union of DeLong's interval on the logit scale, with a t quantile, and that of Newcombe's fifth
    method, which keeps its level where all pairs of rows are in order. For several classes, the first uses the mean
    over classes of the influence of each row; the second combines the interval limits of the classes by the correlation
    of these influences. Weights enter by Kish's effective numbers of rows.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Probabilities.
    codes : array_like of shape (n,)
        Labels in 0..q-1.
    sample_weight : array_like of shape (n,), optional
        Weights of the rows.
    groups : array_like of shape (n,), optional
        Equal values mark rows that depend on each other.

    Returns
    -------
    Interval
        The area and its interval; (nan, nan, nan) if no class has an area.

    Raises
    ------
    ValueError
        As `mean_auc`.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves" (1988).
    Obuchowski, "Nonparametric analysis of clustered ROC curve data" (1997), for groups.
    Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic" (2006).

    Examples
    --------
    >>> print(mean_auc_interval([[0.9, 0.1]] * 10 + [[0.2, 0.8]] * 10, [0] * 10 + [1] * 10))
    1 (0.8002 to 1)
    """
    probabilities, y, weight = _checked(P, codes, sample_weight)
    keep = probabilities.size <= MOST_CORRELATED
    return _interval(_parts(probabilities, y, weight), groups, keep=keep)


def auc_interval(scores: ArrayLike, positive: ArrayLike, *, groups: ArrayLike | None = None) -> Interval:
    """Return the area under the ROC curve of a score with its 95% interval, that of `mean_auc_interval`.

    Parameters
    ----------
    scores : array_like of shape (n,)
        Probabilities, or any numbers that rank the rows.
    positive : array_like of bool of shape (n,)
        Whether a row is of the class that large scores indicate.
    groups : array_like of shape (n,), optional
        Equal values mark rows that depend on each other.

    Returns
    -------
    Interval
        The area and its interval; nan where all rows are of the class, or none.

    Examples
    --------
    >>> print(auc_interval(range(20), [False] * 10 + [True] * 10))
    1 (0.8002 to 1)
    """
    values, is_class = np.asarray(scores), np.asarray(positive, dtype=bool)
    parts = [(values, is_class, np.ones(len(values)))] if is_class.any() and not is_class.all() else []
    return _interval(parts, groups)


def _interval(parts: list[_Part], groups: ArrayLike | None, keep: bool = True) -> Interval:
    """Return the mean area of `parts` with its interval; without `keep`, correlations of the areas count as 1."""
    from scipy.special import expit, logit, stdtrit  # here, so that `from softreg import softmax` stays light

    if not parts:
        return Interval(float("nan"), float("nan"), float("nan"))
    n = len(parts[0][1])
    group = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    mean, areas = np.zeros(n), list[_Area]()
    for part in parts:
        area = _area(*part)
        mean += area.influence
        areas.append(area if keep else replace(area, influence=mean[:0]))
    value, mean = float(np.mean([area.value for area in areas])), mean / len(areas)
    single, freedom = float(mean @ mean), _freedom(areas)
    variance = single
    if group is not None:
        count = int(group.max()) + 1
        variance = max(single, float((np.bincount(group, mean) ** 2).sum()) * count / max(count - 1, 1))
        freedom = min(freedom, count - 1)
    inflation = variance / single if single > 0 else 1.0 if group is None else n / (group.max() + 1)
    below, above = _joined(areas, inflation)
    low, high = max(value - below, 0.0), min(value + above, 1.0)
    if variance > 0 and 0 < value < 1:
        half = float(stdtrit(max(freedom, 1), TAIL)) * np.sqrt(variance) / (value * (1 - value))
        low, high = min(low, float(expit(logit(value) - half))), max(high, float(expit(logit(value) + half)))
    return Interval(value, low, high)


@dataclass(frozen=True, eq=False)
class _Area:
    """Area under the curve of one class, with the influence of each row."""

    value: float
    counts: tuple[float, float]
    """Effective numbers of rows of the class and of other classes."""
    influence: Floats
    """Influence of each row (n,) on the area; empty where it takes too much memory."""
    variance: float
    """Sum of the squared influences."""


def _checked(
    P: ArrayLike, codes: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[NDArray[np.floating], NDArray[np.int64], Floats | None]:
    """Return checked probabilities (n, q), codes (n,) and weights (n,)."""
    probabilities = check_probabilities(P)
    if probabilities.ndim != 2 or len(probabilities) == 0:
        raise ValueError(f"P must be a matrix (n, q) of at least one row; seen: shape {probabilities.shape}.")
    y = np.asarray(check_codes(codes, probabilities.shape[1], "codes"), dtype=np.int64)
    if y.shape != (len(probabilities),):
        raise ValueError(f"codes must hold one code for each of {len(probabilities)} rows; seen: shape {y.shape}.")
    return probabilities, y, None if sample_weight is None else unit_weights(sample_weight, y.shape)


def _parts(P: NDArray[np.floating], y: NDArray[np.int64], weight: Floats | None) -> list[_Part]:
    """Return scores, membership and weights of each class against the rest; of two classes, only of the second."""
    w = np.ones(len(y)) if weight is None else weight
    classes = [1] if P.shape[1] == 2 else range(P.shape[1])
    parts = [(P[:, k], y == k, w) for k in classes]
    return [part for part in parts if w[part[1]].any() and w[~part[1]].any()]


def _area(scores: NDArray[np.floating], happened: Flags, w: Floats) -> _Area:
    """Return the area by weighted ranks, and the influence of each row."""
    values, position = np.unique(scores, return_inverse=True)
    mass = [np.bincount(position, weights=w * part, minlength=len(values)) for part in (happened, ~happened)]
    m, n = (float(part.sum()) for part in mass)
    worse = np.cumsum(mass[1]) - mass[1] / 2  # weight of the other rows below each value, ties counted half
    better = m - np.cumsum(mass[0]) + mass[0] / 2
    rank = np.where(happened, worse[position] / n, better[position] / m)
    area = float(w[happened] @ rank[happened]) / m
    counts = tuple(float(w[part].sum() ** 2 / (w[part] @ w[part])) for part in (happened, ~happened))
    factor = [np.sqrt(count / (count - 1)) if count > 1 else 1.0 for count in counts]
    influence = w * (rank - area) * np.where(happened, factor[0] / m, factor[1] / n)
    return _Area(area, (counts[0], counts[1]), influence, float(influence @ influence))


def _freedom(areas: list[_Area]) -> float:
    """Return Satterthwaite's degrees of freedom of the mean of the areas."""
    variances = np.array([area.variance for area in areas])
    class_freedom = np.array([max(min(area.counts) - 1, 1) for area in areas])
    if not variances.any():
        return float(class_freedom.min())
    return float(variances.sum() ** 2 / (variances**2 / class_freedom).sum())


def _joined(areas: list[_Area], inflation: float) -> tuple[float, float]:
    """Return the distances of the ends of Newcombe's interval below and above the mean of the areas."""
    ends = [newcombe_ends(area.value, *(count / inflation for count in area.counts)) for area in areas]
    if len(areas[0].influence):
        G = np.array([area.influence for area in areas])
        size = np.sqrt((G**2).sum(axis=1))
        r = np.divide(G @ G.T, np.outer(size, size), out=np.eye(len(areas)), where=np.outer(size, size) > 0)
    else:
        r = np.ones((len(areas), len(areas)))
    below = np.array([area.value - low for area, (low, _) in zip(areas, ends, strict=True)])
    above = np.array([high - area.value for area, (_, high) in zip(areas, ends, strict=True)])
    return tuple(float(np.sqrt(max(d @ r @ d, 0.0))) / len(areas) for d in (below, above))  # type: ignore[return-value]


def newcombe_ends(area: float, m: float, n: float) -> tuple[float, float]:
    """Return the ends of Newcombe's interval for an area.

    They solve `(area - t)^2 m n = z^2 t (1 - t) (1 + N ((1 - t) / (2 - t) + t / (1 + t)))`, N = (m + n) / 2 - 1.

    Parameters
    ----------
    area : float
        Area under the curve.
    m, n : float
        Effective numbers of rows of the class and of other classes.

    Returns
    -------
    low, high : float
        Ends of the 95% interval.

    Examples
    --------
    >>> low, high = newcombe_ends(1.0, 10, 10)
    >>> round(low, 4), high
    (0.8002, 1.0)
    """
    pairs, half = m * n / Z**2, max((m + n) / 2 - 1, 0.0)

    def outside(t: float) -> bool:
        return (area - t) ** 2 * pairs > t * (1 - t) * (1 + half * ((1 - t) / (2 - t) + t / (1 + t)))

    ends = []
    for end in (0.0, 1.0):
        near, far = area, end
        for _ in range(50):  # bisection between the estimate, inside the interval, and 0 or 1
            middle = (near + far) / 2
            near, far = (near, middle) if outside(middle) else (middle, far)
        ends.append(far if abs(far - end) > 1e-9 else end)
    return ends[0], ends[1]
