"""Whether the probabilities of an audit can be trusted: figures with intervals, calibration gap, exact test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from softreg.deprecated import DeprecatedAttributes
from softreg.models.calibration.temperature import fit_scaling, folds, log_probabilities
from softreg.probability import score_interval, wilson_interval
from softreg.probability.calibration import CalibrationCheck, check_calibration
from softreg.probability.intervals import design_effect
from softreg.probability.resampling import Interval
from softreg.probability.scores import weighted_mean
from softreg.report.evaluation.reliability import Reliability, reliability_curve

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
MOST_CURVES = 12
"""Classes whose own reliability is computed: the most frequent ones."""
MOST_RANKED = 100
"""Above this many classes no ranking scores are computed: each takes a sort of all rows."""
MOST_SCALED = 100
"""Above this many classes the calibration gap is that of a temperature alone."""
FOLDS = 5
FITTED_Z = 3e-3
"""z-score of every class's bias below which rows look like those of a fit. New rows with right probabilities have such
small ones in 0.24% of samples for two classes, and more rarely for more."""
LEAST_MISTAKES = 1.0
"""Rows that are expected to deviate, at least, to judge whether rows are those of a fit."""
LEAST_FITTED = 20
"""Rows, and different rows of probabilities, at least, to judge that."""


@dataclass(frozen=True, eq=False)
class Trust(DeprecatedAttributes):
    """Figures with 95% intervals, the part of the losses that is calibration, and the exact test; made by `trust`.

    Attributes
    ----------
    log_loss, brier, accuracy, skill : Interval
        As in `Audit`, with intervals for their expectation on new rows: `score_interval`, and Wilson's for accuracy.
    gap : Interval
        Calibration gap in nats: what the better of two simple recalibrations gains in log loss on rows that it was not
        fitted to: an estimate; other recalibrations may gain more. Slightly negative where there is nothing to gain.
    refinement : float
        `log_loss - gap`.
    brier_gap : Interval
        The same gain in Brier score.
    recalibration : str
        Which of the two it is: "temperature" or "vector" scaling.
    check : CalibrationCheck
        The exact test, on `tested` rows.
    bias : array (q,)
        z-scores of each class: (rows of the class - sum of its probabilities) / standard deviation of that sum. Below 0
        the probabilities of the class are too high on average.
    mean_top : float
        Mean probability of the most likely class: the expected accuracy if the probabilities are right.
    curves : tuple of Reliability
        Those of the most frequent classes.
    groups : int or None
        Groups of dependent rows, where they are known: intervals are then those of independent groups, and the test
        takes one row of each.
    fitted : bool
        Whether the mean probability of every class equals its share of the rows, as on the rows of a fit.
    """

    log_loss: Interval
    brier: Interval
    accuracy: Interval
    skill: Interval
    gap: Interval
    refinement: float
    brier_gap: Interval
    recalibration: str
    check: CalibrationCheck
    bias: Floats
    mean_top: float
    curves: tuple[Reliability, ...]
    tested: int
    groups: int | None
    fitted: bool

    @property
    def calibrated(self) -> bool:
        """Whether the exact test finds nothing at 5%."""
        return self.check.p_value > 0.05


@dataclass(frozen=True, eq=False)
class Ranking:
    """How well each class's probability ranks its rows before the others: areas (q,), nan where a class has no rows.

    `auc` is the probability that a random row of the class gets a larger one than a random other row;
    `average_precision` the mean precision over the rows of the class. `mean_auc`, `mean_average_precision` are means
    over the classes that have both; for two classes, the second class's own.
    """

    auc: Floats
    average_precision: Floats

    @property
    def mean_auc(self) -> float:
        """Mean area under the curve; nan where no class has rows and other rows."""
        return _mean(self.auc)

    @property
    def mean_average_precision(self) -> float:
        """Mean average precision; nan as for `mean_auc`."""
        return _mean(self.average_precision)


def trust(
    given: NDArray[np.floating],
    codes: Codes,
    rates: Floats,
    names: tuple[str, ...],
    *,
    groups: NDArray[np.generic] | None = None,
    weights: Floats | None = None,
    bins: int = 10,
) -> Trust:
    """Compute what `Trust` holds; `given` (n, q) and codes are those of an audit, rates (q,) those of its baseline.

    Sums of rows are checked in the precision of `given`; the figures are computed in float64. With `weights` (n,) they
    are weighted means; the exact test, the calibration errors and the curves count each row once.
    """
    P: Floats = np.minimum(np.asarray(given, dtype=np.float64), 1.0)
    n, q = P.shape
    loss = _surprisals(P)
    square = _squares(P)
    after, name = _recalibrated(P, codes, weights)
    w = np.ones(n) if weights is None else weights / weights.mean()

    def figure(scores: Floats) -> Interval:
        return score_interval(scores, given, codes, groups=groups, sample_weight=weights)

    hit = P.argmax(axis=1) == codes
    rows = n / design_effect(hit.astype(np.float64), groups, None if weights is None else w)[0]
    log_loss = _at_least(figure(loss), 0.0)
    first = np.arange(n) if groups is None else _one_of_each(groups)
    frequent = np.sort(np.argsort(-np.bincount(codes, minlength=q), kind="stable")[:MOST_CURVES])
    return Trust(
        log_loss=log_loss,
        brier=_at_least(figure(square), 0.0),
        accuracy=wilson_interval(float((w * hit).mean()) * rows, rows),
        skill=_skill(loss, given, codes, rates, (groups, weights)),
        gap=figure(loss - _surprisals(after)),
        refinement=weighted_mean(_surprisals(after)[np.arange(n), codes], weights),
        brier_gap=figure(square - _squares(after)),
        recalibration=name,
        check=check_calibration(given[first], codes[first]),
        bias=_bias(P, codes, w),
        mean_top=float((w * P.max(axis=1)).mean()),
        curves=tuple(reliability_curve(P[:, k], codes == k, name=names[k], bins=bins) for k in frequent),
        tested=len(first),
        groups=None if groups is None else len(first),
        fitted=looks_fitted(P, codes, w),
    )


def looks_fitted(P: Floats, codes: Codes, w: Floats | None = None) -> bool:
    """Whether every class's mean probability equals its share of the rows, as a fit with an intercept makes it.

    >>> P = np.column_stack([1 - (p := np.linspace(0.1, 0.9, 100)), p])
    >>> looks_fitted(P, np.repeat([0, 1], 50)), looks_fitted(P, np.repeat([0, 1], [40, 60]))
    (True, False)
    """
    if len(P) < LEAST_FITTED or len(np.unique(P[:, 0])) < LEAST_FITTED:
        return False
    if (P * (1 - P)).sum() < LEAST_MISTAKES:  # so sure that counts hardly vary, whatever the rows
        return False
    return bool((np.abs(_bias(P, codes, np.ones(len(P)) if w is None else w)) < FITTED_Z).all())


def _bias(P: Floats, codes: Codes, w: Floats) -> Floats:
    """z-scores (q,) of the weight of each class; 0 where its probabilities are all 0 or 1."""
    variance = w**2 @ (P * (1 - P))
    excess = np.bincount(codes, weights=w, minlength=P.shape[1]) - w @ P
    return np.asarray(np.divide(excess, np.sqrt(variance), out=np.zeros_like(excess), where=variance > 0))


def _surprisals(P: Floats) -> Floats:
    """Surprisal (n, q) of each class, in nats."""
    with np.errstate(divide="ignore"):
        return np.asarray(0.0 - np.log(P))


def _squares(P: Floats) -> Floats:
    """Brier score (n, q) of each row for each label that it may have."""
    return np.asarray(np.einsum("nq,nq->n", P, P)[:, None] + 1 - 2 * P)


def _at_least(figure: Interval, least: float) -> Interval:
    return Interval(figure.value, max(figure.low, least), figure.high)


def _skill(
    loss: Floats,
    P: NDArray[np.floating],
    codes: Codes,
    rates: Floats,
    sampling: tuple[NDArray[np.generic] | None, Floats | None],
) -> Interval:
    """`1 - log loss / label entropy` with the interval of a ratio of means, by its linearisation."""
    with np.errstate(divide="ignore"):
        baseline = 0.0 - np.log(np.asarray(rates, dtype=np.float64))
    groups, weights = sampling
    observed, entropy = (weighted_mean(of, weights) for of in (loss[np.arange(len(P)), codes], baseline[codes]))
    if entropy == 0 or not np.isfinite(observed) or not np.isfinite(entropy):
        value = 0.0 if observed == 0 else 1.0 if np.isinf(entropy) and np.isfinite(observed) else -np.inf
        return Interval(value, value, value)
    baseline = np.where(np.isfinite(baseline), baseline, baseline[np.isfinite(baseline)].max())
    rest = score_interval(loss - observed / entropy * baseline, P, codes, groups=groups, sample_weight=weights)
    value = 1 - observed / entropy
    return Interval(value, value - rest.high / entropy, min(value - rest.low / entropy, 1.0))


def _one_of_each(groups: NDArray[np.generic]) -> Codes:
    """A row of each group, drawn at random, always the same for the same groups."""
    order = np.random.default_rng(0).permutation(len(groups))
    return np.sort(order[np.unique(groups[order], return_index=True)[1]])


def _recalibrated(P: Floats, codes: Codes, weights: Floats | None) -> tuple[Floats, str]:
    """Probabilities (n, q) after the better of two recalibrations, each fitted without the row's fold, and its name."""
    n, q = P.shape
    at, fold = np.arange(n), folds(codes, FOLDS, seed=0)
    L, _ = log_probabilities(P)
    found = []
    for name, shared in (("temperature", True), ("vector", False)):
        if not shared and q > MOST_SCALED:
            continue
        after = np.empty_like(P)
        for k in range(FOLDS):
            if (fold == k).any():
                rest = fold != k
                fitted = fit_scaling(L[rest], codes[rest], shared=shared) if rest.any() else None
                after[fold == k] = fitted.apply(L[fold == k]) if fitted else P[fold == k]
        after = np.maximum(after, 5e-324)
        found.append((weighted_mean(_surprisals(after)[at, codes], weights), after, name))
    _, after, name = min(found, key=lambda one: one[0])
    return after, name


def ranking(P: NDArray[np.floating], codes: Codes, weights: Floats | None = None) -> Ranking:
    """One-vs-rest ranking scores of each class (scikit-learn's), nan where a class has all rows or none."""
    q = P.shape[1]
    scores = np.full((2, q), np.nan)
    if q <= MOST_RANKED:
        for k in range(q):
            happened = codes == k
            if happened.any() and not happened.all():
                of = (roc_auc_score, average_precision_score)
                scores[:, k] = [score(happened, P[:, k], sample_weight=weights) for score in of]
    return Ranking(scores[0], scores[1])


def _mean(scores: Floats) -> float:
    if len(scores) == 2:
        return float(scores[1])
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
