"""Evaluate a model on labelled rows; of many classes, from blocks of logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from softreg.models.class_blocks.logit_blocks import LogitBlocks, is_streamed
from softreg.models.class_blocks.row_scores import RowScores, row_scores
from softreg.models.estimators.streamed_predictions import logit_blocks
from softreg.probability import Classes, cross_entropy
from softreg.probability.scores import unit_weights, weighted_mean
from softreg.report.evaluation.audit_result import Audit
from softreg.report.evaluation.probability_audit import (
    BINS,
    MAX_TOP_K,
    SHOWN_ROWS,
    audit,
    checked_codes,
    checked_groups,
    checked_rates,
    classes_audit,
    skill_of,
)
from softreg.report.evaluation.ranking_scores import MAX_RANKED_CLASSES
from softreg.report.evaluation.reliability import MOST_LIKELY, reliability_curve
from softreg.report.evaluation.streamed_calibration import StreamedRows, streamed_rows
from softreg.typing import Codes, Float64Array

MANY_TOP_K = 10
"""Largest k of the top-k accuracies of a model of many classes."""


def audit_model(
    model: Any,
    X: Any,
    y: Any,
    *,
    offset: Any = None,
    class_rates: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    shown: int = SHOWN_ROWS,
    bins: int = BINS,
) -> Audit:
    """Evaluate a fitted model on rows with known labels, without the probabilities of all classes where these are many.

    Up to 100 classes, or 4 million probabilities, it is `audit` of the probabilities. Beyond, logits are computed in
    blocks of rows and classes, in four passes, and memory does not grow with rows times classes. Scores and intervals
    are the same. The test of calibration then has the ten most likely classes of each row and all others together as
    its outcomes, `P` is None, and `confusion` is a sparse matrix.

    Parameters
    ----------
    model : SoftmaxRegression or SoftmaxRegressionCV
        The fitted model.
    X : array, sparse matrix, frame or tensor of shape (n, d)
        Features of rows that the model was not fitted to.
    y : array-like of shape (n,)
        Their labels, each a class of the model.
    offset : array of shape (n, q) or (n,), optional
        Fixed part of the logits, if the model was fitted with one.
    class_rates, groups, sample_weight, shown, bins
        As in `audit`.

    Returns
    -------
    Audit
        The evaluation.

    Raises
    ------
    ValueError
        If a label is not a class of the model, or as `audit`.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]
    >>> audit_model(SoftmaxRegression(0.1).fit(X, y), X, y).accuracy
    1.0
    """
    known = Classes.of(model.classes_)
    codes = known.encode(y)
    options: dict[str, Any] = {"class_rates": class_rates, "groups": groups, "sample_weight": sample_weight}
    options |= {"shown": shown, "bins": bins}
    if not is_streamed_audit(len(codes), len(known)):
        return audit(model.predict_proba(X, offset), codes, [str(label) for label in known.labels], **options)
    return audit_blocks(logit_blocks(model, X, offset), codes, [str(label) for label in known.labels], **options)


def is_streamed_audit(n: int, q: int) -> bool:
    """Return whether n rows of q classes are evaluated from blocks of logits.

    Parameters
    ----------
    n, q : int
        Numbers of rows and classes.

    Returns
    -------
    bool
        True for more than 100 classes and 4 million probabilities.

    Examples
    --------
    >>> is_streamed_audit(10**6, 10), is_streamed_audit(10_000, 1000)
    (False, True)
    """
    return q > MAX_RANKED_CLASSES and is_streamed(n, q)


def audit_blocks(
    blocks: LogitBlocks,
    codes: Any,
    classes: Sequence[str],
    *,
    class_rates: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    shown: int = SHOWN_ROWS,
    bins: int = BINS,
) -> Audit:
    """Evaluate logits in blocks on rows with known labels; see `audit_model`.

    Parameters
    ----------
    blocks : LogitBlocks
        Logits of n rows.
    codes : array_like of int of shape (n,)
        Labels as positions in `classes`.
    classes : sequence of str of length q
        Names of the classes.
    class_rates, groups, sample_weight, shown, bins
        As in `audit`.

    Returns
    -------
    Audit
        The evaluation.

    Examples
    --------
    >>> blocks = LogitBlocks(np.zeros((2, 1)), np.log([0.75, 0.25]), np.zeros((4, 1)))
    >>> audit_blocks(blocks, [0, 0, 0, 1], ["a", "b"]).accuracy
    0.75
    """
    names, n, q = tuple(classes), blocks.n, blocks.q
    codes = checked_codes((n, q), np.asarray(codes), names)
    w = None if sample_weight is None else unit_weights(sample_weight, (n,))
    checked = None if groups is None else checked_groups(groups, n)
    observed_rates = np.bincount(codes, minlength=q) / n if w is None else np.bincount(codes, w, q) / w.sum()
    rates = observed_rates if class_rates is None else np.asarray(checked_rates(class_rates, q), dtype=np.float64)
    scores = row_scores(blocks, codes, MANY_TOP_K)
    streamed = streamed_rows(blocks, scores, rates, names, groups=checked, weights=w, bins=bins)
    return _audit(streamed, names, observed_rates, rates, shown=shown, bins=bins)


def _audit(
    streamed: StreamedRows,
    names: tuple[str, ...],
    observed_rates: Float64Array,
    rates: Float64Array,
    *,
    shown: int,
    bins: int,
) -> Audit:
    """Return the audit of streamed quantities."""
    scores, w, q = streamed.scores, streamed.weights, len(names)
    predicted, majority = scores.top_codes[:, 0].astype(np.int64), int(np.argmax(rates))
    entropy, loss = float(cross_entropy(observed_rates, rates)), weighted_mean(scores.log_loss, w)
    surprise = scores.log_loss
    confusion = _confusion(scores.codes, predicted, q)
    largest = np.minimum(np.exp(scores.top[:, 0]), 1.0)
    top = reliability_curve(largest, predicted == scores.codes, name=MOST_LIKELY, bins=bins)
    return Audit(
        rows=len(surprise),
        classes=names,
        log_loss=loss,
        log_loss_bits=loss / float(np.log(2)),
        label_entropy=entropy,
        label_entropy_bits=entropy / float(np.log(2)),
        skill=skill_of(loss, entropy),
        accuracy=weighted_mean(predicted == scores.codes, w),
        majority=names[majority],
        majority_accuracy=float(observed_rates[majority]),
        brier=weighted_mean(scores.brier, w),
        confusion=confusion,
        per_class=classes_audit(names, confusion, streamed.mean_probability, observed_rates),
        reliability=(top,),
        codes=scores.codes,
        predicted=predicted,
        probability=np.minimum(np.exp(scores.label), 1.0),
        surprisal=surprise,
        least_surprising=np.argsort(surprise, kind="stable")[:shown],
        most_surprising=np.argsort(-surprise, kind="stable")[:shown],
        top_k=_top_k(scores, w),
        P=None,
        rates=rates,
        groups=streamed.groups,
        weights=w,
        streamed=streamed,
    )


def _confusion(codes: Codes, predicted: Codes, q: int) -> Any:
    """Return the counts of rows by observed and predicted class as a sparse matrix (q, q)."""
    counts = sp.coo_array((np.ones(len(codes), dtype=np.int64), (codes, predicted)), shape=(q, q)).tocsr()
    counts.sum_duplicates()
    return counts


def _top_k(scores: RowScores, w: Float64Array | None) -> tuple[float, ...]:
    """Return the shares of rows whose label is among the 1, 2, ... most likely classes."""
    rank = scores.rank
    return tuple(weighted_mean(rank < k, w) for k in range(1, max(MAX_TOP_K, scores.top.shape[1]) + 1))
