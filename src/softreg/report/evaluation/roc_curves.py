"""ROC and precision-recall curves of one class against the rest, their areas, and intervals for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtrit
from scipy.stats import rankdata

from softreg.probability import Interval
from softreg.probability.discrimination import newcombe_ends
from softreg.report.evaluation.audit import Audit

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
MOST_CLASSES = 25
"""Classes whose curves are computed: the most frequent ones."""
LEAST_ROWS = 2
"""Rows of the class, and rows of other classes, at least."""
DRAWS = 200
"""Bootstrap samples."""
MOST_DRAWN = 20_000_000
"""Rows times samples in the bootstrap of groups; beyond it fewer samples are drawn, at least 50."""
SCORE_GROUPS = 500
"""Groups of neighbouring probabilities, at most, in which the bootstrap counts rows."""
GRID = np.linspace(0.0, 1.0, 51)
"""Where the bands of the curves are computed."""
LEVEL_TAIL = 0.975
"""Quantile of 95% intervals."""
NORMAL = 1.959964
"""That quantile of the normal distribution."""


@dataclass(frozen=True, eq=False)
class Discrimination:
    """How well the probability of a class ranks its rows before the others; made by `discrimination`.

    `auc` is the probability that a random row of the class has a larger probability than a random row of another class,
    ties counted half; `average_precision` is `sum_k (recall_k - recall_{k-1}) precision_k` over the distinct
    probabilities, the largest first. `fpr`, `tpr` (k + 1,) are the points of the ROC curve and `recall`, `precision`
    (k,) those of the precision-recall curve, a point for each distinct probability, so that rows of equal probability
    are taken together. `tpr_band` and `precision_band` (2, 51) are pointwise 95% intervals at the false positive rates
    and the recalls `GRID`.
    """

    name: str
    positives: int
    negatives: int
    auc: Interval
    average_precision: Interval
    fpr: Floats
    tpr: Floats
    recall: Floats
    precision: Floats
    tpr_band: Floats
    precision_band: Floats

    @property
    def prevalence(self) -> float:
        """The share of the rows that are of the class: the precision of a random order."""
        return self.positives / (self.positives + self.negatives)


def discriminations(audit: Audit, most: int = MOST_CLASSES) -> list[Discrimination]:
    """The curves of the second of two classes, or of each of the most frequent classes; none for a class without rows.

    >>> from softreg.report.evaluation.audit import audit
    >>> P = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    >>> [(one.name, one.auc.value) for one in discriminations(audit(P, [0, 0, 1, 1], ["ham", "spam"]))]
    [('spam', 0.75)]
    """
    q = len(audit.classes)
    frequent = np.argsort(-np.bincount(audit.codes, minlength=q), kind="stable")[:most]
    places = [1] if q == 2 else sorted(frequent.tolist())
    found = []
    for k in places:
        happened = audit.codes == k
        if LEAST_ROWS <= happened.sum() <= len(happened) - LEAST_ROWS:
            found.append(discrimination(audit.P[:, k], happened, name=audit.classes[k], groups=audit.groups))
    return found


def discrimination(
    p: NDArray[np.floating],
    happened: Flags,
    *,
    name: str = "",
    groups: NDArray[np.generic] | None = None,
    seed: int = 0,
) -> Discrimination:
    """Compute the curves, areas and intervals of one class against the rest.

    The interval of the AUC is the union of DeLong's on the logit scale, by a t quantile, and Newcombe's fifth method,
    which keeps its level where all pairs are in order. That of the average precision is the wider of two on
    the logit scale: a t interval by the bootstrap standard error, and the binomial one of as many rows as the class
    has. The bands are pointwise Wilson intervals whose number of rows follows from the bootstrap variance.

    Parameters
    ----------
    p : array (n,)
        Probabilities, or any scores that rank the rows.
    happened : array of bool (n,)
        Whether the row is of the class; at least two are, and at least two are not.
    groups : array (n,), optional
        Equal values mark rows that depend on each other; intervals are then those of independent groups.

    Examples
    --------
    >>> found = discrimination(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    >>> found.auc.value, found.tpr.tolist(), found.fpr.tolist()
    (0.875, [0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0])

    Source: DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves" (1988); Obuchowski, "Nonparametric analysis of clustered ROC curve data" (1997), for groups;
    Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic" (2006);
    Boyd, Eng and Page, "Area under the precision-recall curve: point estimates and confidence intervals" (2013).
    """
    scores = np.asarray(p, dtype=np.float64)
    values, place = np.unique(-scores, return_inverse=True)  # the largest probability first
    counts = np.stack([np.bincount(place, weights=of, minlength=len(values)) for of in (happened, ~happened)])
    tp, fp = np.cumsum(counts, axis=1)
    codes = None if groups is None else np.unique(groups, return_inverse=True)[1]
    resampled = _resampled(place, happened, codes, len(values), seed)
    recall, precision = tp / tp[-1], tp / (tp + fp)
    average = float((counts[0] / tp[-1] * precision).sum())
    freedom = min(tp[-1], fp[-1], np.inf if codes is None else codes.max() + 1) - 1
    quantile = float(stdtrit(max(freedom, 1), LEVEL_TAIL))
    fpr, tpr = (np.concatenate([[0.0], of / of[-1]]) for of in (fp, tp))
    return Discrimination(
        name,
        int(tp[-1]),
        int(fp[-1]),
        auc_interval(scores, happened, codes),
        _average_precision(average, resampled.average_precision, int(tp[-1]), quantile),
        fpr,
        tpr,
        recall,
        precision,
        _band(np.interp(GRID, fpr, tpr), resampled.tpr, np.full(len(GRID), tp[-1]), quantile),
        _precision_band(recall, precision, resampled.precision, tp[-1], quantile),
    )


def auc_interval(scores: Floats, happened: Flags, groups: NDArray[np.int64] | None = None) -> Interval:
    """The area under the ROC curve with its 95% interval; `groups` (n,) are codes from 0 of dependent rows.

    >>> print(auc_interval(np.arange(20.0), np.arange(20) >= 10))
    1 (0.8002 to 1)
    """
    m, n = int(happened.sum()), int((~happened).sum())
    rank, own = rankdata(scores), np.empty(len(scores))
    for of in (happened, ~happened):
        own[of] = rankdata(scores[of])
    placed = np.where(happened, (rank - own) / n, 1 - (rank - own) / m)  # the share of pairs in order, of each row
    area = float(placed[happened].mean())
    influence = np.where(happened, (placed - area) / m, (placed - area) / n)
    single = float((influence**2 * np.where(happened, m / max(m - 1, 1), n / max(n - 1, 1))).sum())
    variance, freedom = single, min(m, n) - 1
    if groups is not None:
        count = int(groups.max()) + 1
        clustered = float((np.bincount(groups, influence) ** 2).sum()) * count / max(count - 1, 1)
        variance, freedom = max(single, clustered), min(freedom, count - 1)
    inflation = variance / single if single > 0 else 1.0
    low, high = newcombe_ends(area, m / inflation, n / inflation)
    if variance > 0 and 0 < area < 1:
        half = float(stdtrit(max(freedom, 1), LEVEL_TAIL)) * np.sqrt(variance) / (area * (1 - area))
        low, high = min(low, float(expit(logit(area) - half))), max(high, float(expit(logit(area) + half)))
    return Interval(area, low, high)


@dataclass(frozen=True, eq=False)
class _Resampled:
    """Bootstrap samples: `average_precision` (b,), `tpr` and `precision` (b, 51) at `GRID`."""

    average_precision: Floats
    tpr: Floats
    precision: Floats


def _resampled(
    place: NDArray[np.int64], happened: Flags, groups: NDArray[np.int64] | None, values: int, seed: int
) -> _Resampled:
    """Draw rows, or groups of rows, with replacement; neighbouring probabilities are counted together where many."""
    if values > SCORE_GROUPS:
        rows = np.cumsum(np.bincount(place, minlength=values))
        group = (rows - 1) * SCORE_GROUPS // rows[-1]
        place, values = np.unique(group, return_inverse=True)[1][place], len(np.unique(group))
    random = np.random.default_rng(seed)
    cell = place + values * ~happened
    n = len(place)
    if groups is None:
        drawn = random.multinomial(n, np.bincount(cell, minlength=2 * values) / n, size=DRAWS)
    else:
        count = int(groups.max()) + 1
        times = random.multinomial(count, np.full(count, 1 / count), size=max(50, min(DRAWS, MOST_DRAWN // n)))
        drawn = np.stack([np.bincount(cell, weights=one[groups], minlength=2 * values) for one in times])
    tp, fp = np.cumsum(drawn[:, :values], axis=1), np.cumsum(drawn[:, values:], axis=1)
    usable = (tp[:, -1] > 0) & (fp[:, -1] > 0)
    tp, fp, hits = tp[usable], fp[usable], drawn[usable, :values]
    precision = tp / np.maximum(tp + fp, 1)
    recall, rate = tp / tp[:, -1:], fp / fp[:, -1:]
    at = np.minimum([np.searchsorted(one, GRID - 1e-12) for one in recall], values - 1).reshape(-1, len(GRID))
    return _Resampled(
        (hits / tp[:, -1:] * precision).sum(axis=1),
        np.array([np.interp(GRID, np.append(0, x), np.append(0, y)) for x, y in zip(rate, recall, strict=True)]),
        np.take_along_axis(precision, at, axis=1),
    )


def _average_precision(value: float, drawn: Floats, positives: int, quantile: float) -> Interval:
    if not 0 < value < 1 or len(drawn) < 2 or drawn.std() == 0:
        return Interval(value, 0.025 ** (1 / positives) if value >= 1 else 0.0, 1.0)
    spread = value * (1 - value)
    half = max(quantile * float(drawn.std(ddof=1)) / spread, NORMAL / np.sqrt(positives * spread))
    return Interval(value, float(expit(logit(value) - half)), float(expit(logit(value) + half)))


def _precision_band(recall: Floats, precision: Floats, drawn: Floats, positives: float, quantile: float) -> Floats:
    at = np.minimum(np.searchsorted(recall, GRID - 1e-12), len(recall) - 1)
    chosen = np.maximum(recall[at] * positives, 1) / np.maximum(precision[at], 1 / len(recall))
    return _band(precision[at], drawn, chosen, quantile)


def _band(value: Floats, drawn: Floats, rows: Floats, quantile: float) -> Floats:
    """Pointwise Wilson intervals (2, 51) of proportions, for the smaller of two numbers of rows.

    They are `rows` and the number for which a proportion has the variance of the bootstrap samples.
    """
    variance = drawn.var(axis=0, ddof=1) if len(drawn) > 1 else np.zeros(len(value))
    middle = (value * rows + 2) / (rows + 4)
    n = np.minimum(rows, middle * (1 - middle) / np.maximum(variance, 1e-300))
    z2 = quantile**2
    centre = (value * n + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (n * value * (1 - value) + z2 / 4)) / (n + z2)
    return np.stack([np.clip(np.minimum(centre - half, value), 0, 1), np.clip(np.maximum(centre + half, value), 0, 1)])
