"""Whether the probabilities of an audit can be trusted: figures with intervals, the calibration gap, the exact test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from softreg.models.scaling import fit_scaling, folds, log_probabilities
from softreg.probability.calibration import CalibrationCheck, check_calibration
from softreg.probability.resampling import Interval, bootstrap_means, interval
from softreg.report.reliability import Reliability, reliability_curve

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
MOST_CURVES = 12
"""Classes whose own reliability is computed: the most frequent ones."""
MOST_RANKED = 100
"""Above this many classes no ranking scores are computed: each takes a sort of all rows."""
MOST_SCALED = 100
"""Above this many classes the calibration gap is that of a temperature alone."""
FOLDS = 5


@dataclass(frozen=True, eq=False)
class Trust:
    """Figures with 95% intervals and what of the losses is calibration; made from probabilities by `trust`.

    `log_loss`, `brier`, `accuracy`, `skill` as in `Audit`. `gap` is the calibration gap in nats: what recalibration
    gains in log loss on rows that it was not fitted to; `refinement` = log loss - gap is what the probabilities leave
    open even if recalibrated. `brier_gap` is the same of the Brier score. The two gaps are slightly negative where
    there is nothing to repair. `check` is the exact test, `curves` the reliability of the most frequent classes.
    """

    log_loss: Interval
    brier: Interval
    accuracy: Interval
    skill: Interval
    gap: Interval
    refinement: float
    brier_gap: Interval
    repair: str
    check: CalibrationCheck
    curves: tuple[Reliability, ...]

    @property
    def calibrated(self) -> bool:
        """Whether the exact test finds nothing at 5%."""
        return self.check.p_value > 0.05


@dataclass(frozen=True, eq=False)
class Ranking:
    """How well each class's probability ranks its rows before the others: areas (q,), nan where a class has no rows.

    `auc` is the probability that a row of the class gets more than another row; `average_precision` the mean precision
    over the rows of the class. `mean_auc`, `mean_average_precision` are means over the classes that have both; for two
    classes, the second class's own.
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


def trust(P: NDArray[np.floating], codes: Codes, baseline: Floats, names: tuple[str, ...], *, bins: int = 10) -> Trust:
    """Compute what `Trust` holds; P and codes are those of an audit, baseline (n,) is -log of the class rates."""
    P = np.minimum(np.asarray(P, dtype=np.float64), 1.0)
    n, q = P.shape
    at = np.arange(n)
    with np.errstate(divide="ignore"):
        loss = 0.0 - np.log(P[at, codes])
    square = np.einsum("nq,nq->n", P, P) + 1 - 2 * P[at, codes]
    hit = (P.argmax(axis=1) == codes).astype(np.float64)
    repaired, square_after, repair = _repaired(np.asarray(P, dtype=np.float64), codes)
    gain = loss - repaired
    columns = np.column_stack([loss, square, hit, baseline, gain, square - square_after])
    draws, mean = bootstrap_means(columns), columns.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        skill = np.append(1 - mean[0] / mean[3], 1 - draws[:, 0] / draws[:, 3])
    skill = np.nan_to_num(skill, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    frequent = np.sort(np.argsort(-np.bincount(codes, minlength=q), kind="stable")[:MOST_CURVES])
    return Trust(
        log_loss=interval(mean[0], draws[:, 0]),
        brier=interval(mean[1], draws[:, 1]),
        accuracy=interval(mean[2], draws[:, 2]),
        skill=interval(skill[0], skill[1:]),
        gap=interval(mean[4], draws[:, 4]),
        refinement=float(repaired.mean()),
        brier_gap=interval(mean[5], draws[:, 5]),
        repair=repair,
        check=check_calibration(P, codes),
        curves=tuple(reliability_curve(P[:, k], codes == k, name=names[k], bins=bins) for k in frequent),
    )


def _repaired(P: Floats, codes: Codes) -> tuple[Floats, Floats, str]:
    """Losses and squared errors (n,) after the better of two recalibrations, each fitted without the row."""
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
        losses = -np.log(np.maximum(after[at, codes], 5e-324))
        found.append((losses, np.einsum("nq,nq->n", after, after) + 1 - 2 * after[at, codes], name))
    return min(found, key=lambda one: float(one[0].mean()))


def ranking(P: NDArray[np.floating], codes: Codes) -> Ranking:
    """One-vs-rest ranking scores of each class (scikit-learn's), nan where a class has all rows or none."""
    q = P.shape[1]
    scores = np.full((2, q), np.nan)
    if q <= MOST_RANKED:
        for k in range(q):
            happened = codes == k
            if happened.any() and not happened.all():
                scores[:, k] = roc_auc_score(happened, P[:, k]), average_precision_score(happened, P[:, k])
    return Ranking(scores[0], scores[1])


def _mean(scores: Floats) -> float:
    if len(scores) == 2:
        return float(scores[1])
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
