"""ROC and precision-recall curves of one class against the rest, with their areas and intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, stdtrit

from softreg.probability import Interval
from softreg.probability.discrimination import auc_interval
from softreg.report.evaluation.audit_result import Audit
from softreg.typing import Array, BoolArray, Codes, Float64Array, FloatArray

MAX_CLASSES = 25
"""Classes whose curves are computed: the most frequent ones."""
MIN_ROWS = 2
"""Rows of the class, and rows of other classes, at least."""
DRAWS = 200
"""Bootstrap samples."""
MIN_GROUP_DRAWS = 50
"""Bootstrap samples of groups, at least."""
MAX_DRAWN = 20_000_000
"""Rows times samples in the bootstrap of groups; beyond it fewer samples are drawn."""
SCORE_GROUPS = 500
"""Intervals of neighbouring probabilities, at most, in which the bootstrap counts rows."""
GRID = np.linspace(0.0, 1.0, 51)
"""False positive rates and recalls at which the bands of the curves are computed."""
UPPER_QUANTILE = 0.975
"""Level of the upper end of a 95% interval."""
Z = 1.959964
"""Standard normal quantile at that level."""
TOLERANCE = 1e-12
"""Recalls that differ by less are equal."""


@dataclass(frozen=True, eq=False)
class Discrimination:
    """ROC and precision-recall curves of a class against the rest; computed by `discrimination`.

    Attributes
    ----------
    name : str
        Name of the class.
    positives, negatives : int
        Rows of the class, and of other classes.
    auc : Interval
        Area under the ROC curve: the probability that a random row of the class has a larger probability than a random
        row of another class, ties counted half.
    average_precision : Interval
        `sum_k (recall_k - recall_{k-1}) precision_k` over the distinct probabilities, the largest first.
    fpr, tpr : array of shape (k + 1,)
        Points of the ROC curve, one for each distinct probability, after (0, 0).
    recall, precision : array of shape (k,)
        Points of the precision-recall curve.
    tpr_band, precision_band : array of shape (2, 51)
        Pointwise 95% intervals at the false positive rates and recalls `GRID`.
    """

    name: str
    positives: int
    negatives: int
    auc: Interval
    average_precision: Interval
    fpr: Float64Array
    tpr: Float64Array
    recall: Float64Array
    precision: Float64Array
    tpr_band: Float64Array
    precision_band: Float64Array

    @property
    def prevalence(self) -> float:
        """Share of the rows that are of the class: the precision of a random order."""
        return self.positives / (self.positives + self.negatives)


def discriminations(audit: Audit, most: int = MAX_CLASSES) -> list[Discrimination]:
    """Compute the curves of the second of two classes, or of each of the most frequent classes.

    Parameters
    ----------
    audit : Audit
        Evaluation of the rows.
    most : int
        Number of classes, at most.

    Returns
    -------
    list of Discrimination
        One for each class with at least `MIN_ROWS` rows and as many others.

    Examples
    --------
    >>> from softreg.report import audit
    >>> P = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    >>> [(one.name, one.auc.value) for one in discriminations(audit(P, [0, 0, 1, 1], ["ham", "spam"]))]
    [('spam', 0.75)]
    """
    q = len(audit.classes)
    frequent = np.argsort(-np.bincount(audit.codes, minlength=q), kind="stable")[:most]
    results = []
    for k in [1] if q == 2 else sorted(frequent.tolist()):
        positive, p = audit.codes == k, audit.class_probability(k)
        if p is not None and MIN_ROWS <= positive.sum() <= len(positive) - MIN_ROWS:
            results.append(discrimination(p, positive, name=audit.classes[k], groups=audit.groups))
    return results


def discrimination(
    p: FloatArray, positive: BoolArray, *, name: str = "", groups: Array | None = None, seed: int = 0
) -> Discrimination:
    """Compute the curves, areas and intervals of one class against the rest.

    Parameters
    ----------
    p : array of shape (n,)
        Probabilities, or any scores that rank the rows.
    positive : array of bool of shape (n,)
        Whether the row is of the class; at least two are, and at least two are not.
    name : str
        Name of the class.
    groups : array of shape (n,), optional
        Equal values mark rows that depend on each other; intervals are then those of independent groups.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    Discrimination
        Curves and areas.

    Notes
    -----
    The interval of the AUC is that of `softreg.probability.mean_auc_interval`. That of the average precision is the
    wider of two on the logit scale: a t interval by the bootstrap standard error, and the binomial one of as many rows
    as the class has. The bands are pointwise Wilson intervals whose number of rows follows from the bootstrap variance.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves" (1988); Obuchowski, "Nonparametric analysis of clustered ROC curve data" (1997), for groups;
    Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic" (2006);
    Boyd, Eng and Page, "Area under the precision-recall curve: point estimates and confidence intervals" (2013).

    Examples
    --------
    >>> result = discrimination(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    >>> result.auc.value, result.tpr.tolist(), result.fpr.tolist()
    (0.875, [0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0])
    """
    scores = np.asarray(p, dtype=np.float64)
    values, rank = np.unique(-scores, return_inverse=True)  # the largest probability first
    counts = np.stack([np.bincount(rank, weights=mask, minlength=len(values)) for mask in (positive, ~positive)])
    tp, fp = np.cumsum(counts, axis=1)
    codes = None if groups is None else np.unique(groups, return_inverse=True)[1]
    samples = _bootstrap(rank, positive, codes, values=len(values), seed=seed)
    recall, precision = tp / tp[-1], tp / (tp + fp)
    average = float((counts[0] / tp[-1] * precision).sum())
    df = min(tp[-1], fp[-1], np.inf if codes is None else codes.max() + 1) - 1
    quantile = float(stdtrit(max(df, 1), UPPER_QUANTILE))
    fpr, tpr = (np.concatenate([[0.0], cumulative / cumulative[-1]]) for cumulative in (fp, tp))
    return Discrimination(
        name=name,
        positives=int(tp[-1]),
        negatives=int(fp[-1]),
        auc=auc_interval(scores, positive, groups=codes),
        average_precision=_average_precision_interval(average, samples.average_precision, int(tp[-1]), quantile),
        fpr=fpr,
        tpr=tpr,
        recall=recall,
        precision=precision,
        tpr_band=_band(np.interp(GRID, fpr, tpr), samples.tpr, np.full(len(GRID), tp[-1]), quantile),
        precision_band=_precision_band(recall, precision, samples.precision, positives=tp[-1], quantile=quantile),
    )


@dataclass(frozen=True, eq=False)
class _BootstrapSamples:
    """Bootstrap samples: `average_precision` (b,), `tpr` and `precision` (b, 51) at `GRID`."""

    average_precision: Float64Array
    tpr: Float64Array
    precision: Float64Array


def _bootstrap(rank: Codes, positive: BoolArray, groups: Codes | None, *, values: int, seed: int) -> _BootstrapSamples:
    """Resample rows, or groups of rows; many distinct probabilities are counted in intervals of neighbours."""
    if values > SCORE_GROUPS:
        rows = np.cumsum(np.bincount(rank, minlength=values))
        group = (rows - 1) * SCORE_GROUPS // rows[-1]
        rank, values = np.unique(group, return_inverse=True)[1][rank], len(np.unique(group))
    random = np.random.default_rng(seed)
    cell = rank + values * ~positive
    n = len(rank)
    if groups is None:
        drawn = random.multinomial(n, np.bincount(cell, minlength=2 * values) / n, size=DRAWS)
    else:
        count = int(groups.max()) + 1
        times = random.multinomial(
            count, np.full(count, 1 / count), size=max(MIN_GROUP_DRAWS, min(DRAWS, MAX_DRAWN // n))
        )
        drawn = np.stack([np.bincount(cell, weights=one[groups], minlength=2 * values) for one in times])
    tp, fp = np.cumsum(drawn[:, :values], axis=1), np.cumsum(drawn[:, values:], axis=1)
    usable = (tp[:, -1] > 0) & (fp[:, -1] > 0)
    tp, fp, hits = tp[usable], fp[usable], drawn[usable, :values]
    precision = tp / np.maximum(tp + fp, 1)
    recall, rate = tp / tp[:, -1:], fp / fp[:, -1:]
    at = np.minimum([np.searchsorted(one, GRID - TOLERANCE) for one in recall], values - 1).reshape(-1, len(GRID))
    return _BootstrapSamples(
        (hits / tp[:, -1:] * precision).sum(axis=1),
        np.array([np.interp(GRID, np.append(0, x), np.append(0, y)) for x, y in zip(rate, recall, strict=True)]),
        np.take_along_axis(precision, at, axis=1),
    )


def _average_precision_interval(value: float, drawn: Float64Array, positives: int, quantile: float) -> Interval:
    """Return the wider of the bootstrap and the binomial interval on the logit scale."""
    if not 0 < value < 1 or len(drawn) < 2 or drawn.std() == 0:
        return Interval(value, 0.025 ** (1 / positives) if value >= 1 else 0.0, 1.0)
    spread = value * (1 - value)
    half = max(quantile * float(drawn.std(ddof=1)) / spread, Z / np.sqrt(positives * spread))
    return Interval(value, float(expit(logit(value) - half)), float(expit(logit(value) + half)))


def _precision_band(
    recall: Float64Array, precision: Float64Array, drawn: Float64Array, *, positives: float, quantile: float
) -> Float64Array:
    """Return pointwise intervals (2, 51) of the precision at the recalls `GRID`."""
    at = np.minimum(np.searchsorted(recall, GRID - TOLERANCE), len(recall) - 1)
    chosen = np.maximum(recall[at] * positives, 1) / np.maximum(precision[at], 1 / len(recall))
    return _band(precision[at], drawn, chosen, quantile)


def _band(value: Float64Array, drawn: Float64Array, rows: Float64Array, quantile: float) -> Float64Array:
    """Return pointwise Wilson intervals (2, 51) of proportions."""
    # The number of rows is the smaller of `rows` and that for which a proportion has the bootstrap variance.
    variance = drawn.var(axis=0, ddof=1) if len(drawn) > 1 else np.zeros(len(value))
    middle = (value * rows + 2) / (rows + 4)
    n = np.minimum(rows, middle * (1 - middle) / np.maximum(variance, 1e-300))
    z2 = quantile**2
    centre = (value * n + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (n * value * (1 - value) + z2 / 4)) / (n + z2)
    return np.stack([np.clip(np.minimum(centre - half, value), 0, 1), np.clip(np.maximum(centre + half, value), 0, 1)])
