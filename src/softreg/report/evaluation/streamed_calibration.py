"""Calibration of a model of many classes from blocks of logits, without the probabilities (n, q)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from softreg.models.class_blocks.class_sums import ClassSums, MistakeMoments, Moments
from softreg.models.class_blocks.logit_blocks import LogitBlocks
from softreg.models.class_blocks.normalizer import LogNormalizer
from softreg.models.class_blocks.row_scores import RowScores
from softreg.models.class_blocks.temperature_scaling import (
    TemperedRows,
    cross_fitted_scales,
    derivatives_by_scale,
    sampled_scale,
    tempered_rows,
)
from softreg.models.class_blocks.top_classes import ChosenLogits
from softreg.probability import Interval, proportion_interval
from softreg.probability.calibration import CalibrationCheck, check_calibration
from softreg.probability.calibration_statistics import LEAST_VARIANCE
from softreg.probability.intervals import ScoreParts, design_effect, interval_of_parts
from softreg.probability.scores import weighted_mean
from softreg.report.evaluation.calibration_audit import (
    FITTED_Z,
    MAX_CURVES,
    MIN_EXPECTED_ERRORS,
    MIN_ROWS_TO_DETECT_FIT,
    CalibrationAudit,
)
from softreg.report.evaluation.gain_and_skill import FOLDS, RecalibrationGain, SkillOfRows, undefined_skill
from softreg.report.evaluation.reliability import Reliability, reliability_curve
from softreg.splits import one_of_each, stratified_fold_numbers
from softreg.typing import Array, Float64Array, IntArray


@dataclass(frozen=True, eq=False)
class StreamedRows:
    """What one evaluation of a model of many classes keeps: scores of rows, sums of classes, columns of a few classes.

    Attributes
    ----------
    scores : RowScores
        Scores of the n rows.
    weights : ndarray of shape (n,) or None
        Weights of the rows.
    groups : ndarray of shape (n,) or None
        Groups of dependent rows.
    mean_probability : ndarray of shape (q,)
        Weighted mean probability of each class.
    columns : dict of int to ndarray of shape (n,)
        Probabilities of the most frequent classes by their codes.
    calibration : CalibrationAudit
        Scores with intervals, calibration gap and test.
    """

    scores: RowScores
    weights: Float64Array | None
    groups: Array | None
    mean_probability: Float64Array
    columns: dict[int, Float64Array]
    calibration: CalibrationAudit


def streamed_rows(
    blocks: LogitBlocks,
    scores: RowScores,
    rates: Float64Array,
    names: tuple[str, ...],
    *,
    groups: Array | None,
    weights: Float64Array | None,
    bins: int,
) -> StreamedRows:
    """Compute the sums of classes and the calibration of labelled rows in two more passes over the blocks.

    Parameters
    ----------
    blocks : LogitBlocks
        Logits of n rows.
    scores : RowScores
        Their scores, from the first pass.
    rates : ndarray of shape (q,)
        Class rates of the baseline of the skill.
    names : tuple of str
        Names of the q classes.
    groups : ndarray of shape (n,) or None
        Groups of dependent rows.
    weights : ndarray of shape (n,) or None
        Weights of the rows.
    bins : int
        Bins of the reliability curves.

    Returns
    -------
    StreamedRows
        Sums and calibration.
    """
    codes, q = scores.codes, blocks.q
    w = np.ones(blocks.n) if weights is None else weights / weights.mean()
    frequent = np.sort(np.argsort(-np.bincount(codes, minlength=q), kind="stable")[:MAX_CURVES])
    scale, baseline = sampled_scale(blocks, codes), _baseline(scores, rates, weights)
    sums, mistakes = ClassSums(scores.log_normalizer, w, q), MistakeMoments(scores, w, baseline)
    chosen = ChosenLogits(blocks.n, frequent)
    normalizer = LogNormalizer(blocks.n, moments=True, scale=np.full(blocks.n, scale))
    blocks.reduce(sums, mistakes, chosen, normalizer)
    derivatives = derivatives_by_scale(normalizer, scores.label + scores.log_normalizer, scale)
    fold = stratified_fold_numbers(codes, FOLDS, seed=0)
    tempered = tempered_rows(blocks, codes, cross_fitted_scales(*derivatives, scale, fold, FOLDS))
    P = np.exp(chosen.logits - scores.log_normalizer[:, None])
    evaluation = _StreamedCalibration(scores, tempered, mistakes, sums, weights, groups)
    columns = {int(k): P[:, j] for j, k in enumerate(frequent)}
    curves = [reliability_curve(np.minimum(p, 1.0), codes == k, name=names[k], bins=bins) for k, p in columns.items()]
    calibration = evaluation.audit(baseline, rates, tuple(curves))
    return StreamedRows(scores, weights, groups, sums.expected / w.sum(), columns, calibration)


def _baseline(scores: RowScores, rates: Float64Array, weights: Float64Array | None) -> Float64Array:
    """Return the surprisals (q,) of the class rates times log loss / label entropy; zeros where that is not defined."""
    with np.errstate(divide="ignore"):
        surprisal = 0.0 - np.log(rates)
    entropy = weighted_mean(surprisal[scores.codes], weights)
    if not 0 < entropy < np.inf:
        return np.zeros(len(rates))
    surprisal = np.where(np.isfinite(surprisal), surprisal, surprisal[np.isfinite(surprisal)].max())
    return np.asarray(weighted_mean(scores.log_loss, weights) / entropy * surprisal)


@dataclass(frozen=True, eq=False)
class _StreamedCalibration:
    """The parts of a calibration audit from streamed quantities of rows and classes."""

    scores: RowScores
    tempered: TemperedRows
    mistakes: MistakeMoments
    sums: ClassSums
    weights: Float64Array | None
    groups: Array | None

    @property
    def hit(self) -> Array:
        """Whether the most likely class (n,) is the label."""
        return np.asarray(self.scores.top_codes[:, 0] == self.scores.codes)

    def audit(self, baseline: Float64Array, rates: Float64Array, curves: tuple[Reliability, ...]) -> CalibrationAudit:
        """Return the audit; `baseline` (q,) is the scaled surprisal of the class rates."""
        scores, after, n = self.scores, self.tempered, len(self.scores.codes)
        top, top_after = np.exp(scores.top[:, 0]), np.exp(after.top)
        w = np.ones(n) if self.weights is None else self.weights / self.weights.mean()
        squares_top, after_top = scores.squares + 1 - 2 * top, after.squares + 1 - 2 * top_after
        rows = n / design_effect(self.hit.astype(float), self.groups, None if self.weights is None else w)[0]
        first = np.arange(n) if self.groups is None else one_of_each(self.groups)
        gap = self._interval(
            after.top - scores.top[:, 0], after.label - scores.label, self.mistakes.log_loss(1 - after.scale)
        )
        brier_gap = scores.brier - after.brier
        log_loss = self._interval(-scores.top[:, 0], scores.log_loss, self.mistakes.log_loss())
        z = np.divide(
            np.bincount(scores.codes, weights=w, minlength=len(rates)) - self.sums.expected,
            np.sqrt(self.sums.variance),
            out=np.zeros(len(rates)),
            where=self.sums.variance > 0,
        )
        brier = _at_least_zero(self._interval(squares_top, scores.brier, self.mistakes.brier()))
        gain = RecalibrationGain(
            after.label - scores.label,
            brier_gap,
            parameters=1,
            mistakes=int((~self.hit).sum()),
            groups=self.groups,
            weights=None if self.weights is None else w,
        )
        return CalibrationAudit(
            log_loss=_at_least_zero(log_loss),
            brier=brier,
            accuracy=proportion_interval(float((w * self.hit).mean()) * rows, rows),
            skill=self._skill(baseline, rates),
            gap=gain.log_loss_interval(gap, log_loss),
            refinement=weighted_mean(-after.label, self.weights),
            brier_gap=gain.brier_interval(self._interval(squares_top - after_top, brier_gap, None), brier),
            recalibration="temperature",
            check=self._check(first),
            bias=np.where(self.sums.variance >= LEAST_VARIANCE, z, 0.0),
            mean_top=float((w * top).mean()),
            curves=curves,
            tested=len(first),
            groups=None if self.groups is None else len(first),
            fitted=self._is_fitted(z),
            ranks=scores.top.shape[1],
        )

    def _check(self, rows: IntArray) -> CalibrationCheck:
        """Return the exact test of the ranks of the labels, combined with the z-test of their mean surprisal."""
        categories, ranks = self._ranks()
        check = check_calibration(categories[rows], ranks[rows], top_columns=np.zeros(len(rows), dtype=np.int64))
        excess = float((self.scores.log_loss - self.scores.entropy)[rows].sum())
        spread = float(np.sqrt(self.scores.variance[rows].sum()))
        if spread == 0:
            return check
        z = excess / spread
        p = max(float(2 * ndtr(-abs(z))), 1 / (check.draws + 1))
        return replace(check, p_value=min(1.0, 2 * min(check.p_value, p)), p_confidence=p, confidence=z)

    def _ranks(self) -> tuple[Float64Array, IntArray]:
        """Return the probabilities (n, k + 1) of the most likely classes and of all others together, and the ranks."""
        P = np.exp(self.scores.top)
        rest = np.maximum(1 - P.sum(axis=1), 0.0)
        P = np.column_stack([P, rest]) if P.shape[1] < len(self.sums.expected) else P
        return P / P.sum(axis=1, keepdims=True), self.scores.rank

    def _interval(self, top: Float64Array, label: Float64Array, extra: Moments | None) -> Interval:
        """Return the interval of scores whose values (n,) for the most likely class and for the label are given."""
        w = np.ones(len(top)) if self.weights is None else self.weights
        kept, miss = w > 0, ~self.hit
        observed = np.where(miss, label - top, 0.0)
        if extra is None:  # the moments of the observed mistakes
            seen = observed[miss & kept]
            extra = Moments(float(seen.mean()), float((seen**2).mean())) if len(seen) else Moments(0.0, 0.0)
        parts = ScoreParts(w[kept] / w[kept].mean(), top[kept], observed[kept], miss[kept], extra.mean, extra.square)
        return interval_of_parts(parts, groups=None if self.groups is None else self.groups[kept])

    def _skill(self, baseline: Float64Array, rates: Float64Array) -> Interval:
        """Return the skill with its interval."""
        scores = self.scores
        with np.errstate(divide="ignore"):
            surprisal = 0.0 - np.log(rates[scores.codes])
        rows = SkillOfRows(scores.log_loss, surprisal, scores.codes, rates, self.groups, self.weights)
        if not rows.is_defined:
            return undefined_skill(rows.loss, rows.entropy)
        top, label = -scores.top[:, 0] - baseline[scores.top_codes[:, 0]], scores.log_loss - baseline[scores.codes]
        return rows.interval(self._interval(top, label, self.mistakes.skill()))

    def _is_fitted(self, z: Float64Array) -> bool:
        """Return whether the mean probability of every class equals its share, as on the rows of a fit."""
        top = self.scores.top[:, 0]
        if len(top) < MIN_ROWS_TO_DETECT_FIT or len(np.unique(top)) < MIN_ROWS_TO_DETECT_FIT:
            return False
        if float((1 - self.scores.squares).sum()) < MIN_EXPECTED_ERRORS:
            return False
        return bool((np.abs(z) < FITTED_Z).all())


def _at_least_zero(figure: Interval) -> Interval:
    return Interval(figure.value, max(figure.low, 0.0), figure.high)
