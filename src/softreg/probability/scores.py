"""Scores of predicted probabilities on labelled rows: log loss, Brier score, accuracy, top-k accuracy.

Every score is a weighted mean over rows, `sum_i w_i score_i / sum_i w_i`. The denominator is the sum of the weights,
for hard and soft labels: a weight of 2 is equivalent to the row given twice, a weight of 0 to the row left out.
P (n, q) holds a distribution in each row (never renormalised), y codes (n,) or label probabilities (n, q).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.check_distributions import check_probabilities
from softreg.probability.expected_cost import most_likely
from softreg.probability.information import Unit, in_unit
from softreg.probability.labels import codes_or_probabilities
from softreg.probability.loss import row_losses
from softreg.typing import FloatArray


def log_loss(P: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, *, unit: Unit = "nat") -> float:
    """Return the log loss: the mean cross-entropy between labels and predictions.

    `log_loss = sum_i w_i H(Y_i, P_i) / sum_i w_i`

    Parameters
    ----------
    P : array_like of shape (n, q)
        Probabilities.
    y : array_like of shape (n,) or (n, q)
        Codes or label probabilities.
    sample_weight : array_like of shape (n,), optional
        Weights, not negative; None for 1 each.
    unit : {"nat", "bit"}, default "nat"
        Unit of the result.

    Returns
    -------
    float
        From 0 to inf; inf where a label has mass on a class of probability 0, since probabilities are not clipped. The
        expectation is least for the true probabilities (a proper score).

    Raises
    ------
    ValueError
        For rows that are no distributions, labels or weights that do not fit, weights that are negative or all 0, and
        for no rows.

    References
    ----------
    Good, "Rational decisions" (1952).

    Examples
    --------
    >>> print(log_loss([[0.5, 0.5], [0.25, 0.75]], [1, 0], unit="bit"))
    1.5
    """
    return in_unit(weighted_mean(row_losses(P, y), sample_weight), unit)


def brier(P: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the Brier score: the mean squared distance between predicted and label probabilities.

    `brier = sum_i w_i sum_k (P_ik - Y_ik)^2 / sum_i w_i`

    This is Brier's definition: 0 is perfect, 2 is certain and wrong. For two classes it is twice the mean square of `p
    - y` that some libraries report. It is a proper score.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Probabilities.
    y : array_like of shape (n,) or (n, q)
        Codes or label probabilities.
    sample_weight : array_like of shape (n,), optional
        Weights, not negative; None for 1 each.

    Returns
    -------
    float
        Score from 0 to 2.

    Raises
    ------
    ValueError
        As `log_loss`.

    References
    ----------
    Brier, "Verification of forecasts expressed in terms of probability" (1950).

    Examples
    --------
    >>> print(brier([[0.5, 0.5], [1.0, 0.0]], [1, 0]))
    0.25
    """
    P, Y = _pair(P, y)
    return weighted_mean(np.square(P - Y).sum(axis=-1), sample_weight)


def accuracy(P: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the accuracy: the share of rows whose most likely class is the label.

    `accuracy = sum_i w_i Y_{i, argmax P_i} / sum_i w_i`; for a soft label, a row counts with the label probability of
    the predicted class. Of equally likely classes the first is predicted, as by `most_likely`.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Probabilities.
    y : array_like of shape (n,) or (n, q)
        Codes or label probabilities.
    sample_weight : array_like of shape (n,), optional
        Weights, not negative; None for 1 each.

    Returns
    -------
    float
        Share from 0 to 1.

    Raises
    ------
    ValueError
        As `log_loss`.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning" (2006), section 1.5.1.

    Examples
    --------
    >>> print(accuracy([[0.9, 0.1], [0.3, 0.7]], [0, 0]))
    0.5
    """
    P, Y = _pair(P, y)
    hits = np.take_along_axis(Y, most_likely(P)[..., None], axis=-1).squeeze(-1)
    return weighted_mean(hits, sample_weight)


def top_k_accuracy(P: ArrayLike, y: ArrayLike, k: int, sample_weight: ArrayLike | None = None) -> float:
    """Return the top-k accuracy: the share of rows whose label is among the k most likely classes.

    `top_k_accuracy = sum_i w_i (sum of Y_ij over the k classes j of largest P_ij) / sum_i w_i`

    Exactly k classes are taken; of equally likely classes the first ones, as by `most_likely`. k = 1 is `accuracy`, and
    k = q gives 1.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Probabilities.
    y : array_like of shape (n,) or (n, q)
        Codes or label probabilities.
    k : int
        Number of classes, from 1 to q.
    sample_weight : array_like of shape (n,), optional
        Weights, not negative; None for 1 each.

    Returns
    -------
    float
        Share from 0 to 1.

    Raises
    ------
    ValueError
        If `k` is not a whole number from 1 to q, and as `log_loss`.

    References
    ----------
    Russakovsky et al., "ImageNet large scale visual recognition challenge" (2015), section 4.1.

    Examples
    --------
    >>> print(top_k_accuracy([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]], [2, 0], k=2))
    0.5
    """
    P, Y = _pair(P, y)
    if not 1 <= k <= P.shape[-1] or k != int(k):
        raise ValueError(f"k is {k}, but with {P.shape[-1]} classes it must be a whole number from 1 to {P.shape[-1]}.")
    best = np.argsort(-P, axis=-1, kind="stable")[..., : int(k)]
    return weighted_mean(np.take_along_axis(Y, best, axis=-1).sum(axis=-1), sample_weight)


def weighted_mean(values: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the weighted mean of one value for each row.

    `sum_i w_i v_i / sum_i w_i`, in float64. Rows of weight 0 are left out, even with an infinite value.

    Parameters
    ----------
    values : array_like of shape (n,)
        Values.
    sample_weight : array_like of shape (n,), optional
        Weights, finite, not negative, not all 0; None for 1 each.

    Returns
    -------
    float
        The mean.

    Raises
    ------
    ValueError
        For weights that are not valid, naming the row, and if there are no rows.

    Examples
    --------
    >>> weighted_mean([1.0, 4.0], [2.0, 1.0])
    2.0
    """
    v = np.asarray(values, dtype=np.float64)
    if v.size == 0:
        raise ValueError("there are no rows to take the mean of; at least one is needed.")
    if sample_weight is None:
        return float(v.mean())
    w = check_weights(sample_weight, v.shape)
    kept = w > 0
    share = w[kept] / w.max()  # the largest weight may be close to the largest float, and their sum beyond it
    return float((share * v[kept]).sum() / share.sum())


def check_weights(sample_weight: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return row weights in float64 if they fit the rows.

    Parameters
    ----------
    sample_weight : array_like
        Weights.
    shape : tuple of int
        Shape of the rows.

    Returns
    -------
    ndarray of float64
        The weights.

    Raises
    ------
    ValueError
        If the shape differs, a weight is negative or not finite, or all weights are 0.

    Examples
    --------
    >>> check_weights([1, -2], (2,))
    Traceback (most recent call last):
    ...
    ValueError: sample_weight holds -2.0 (row 1), but a weight says how often a row counts and cannot be negative.
    """
    w = np.asarray(sample_weight, dtype=np.float64)
    if w.shape != shape:
        raise ValueError(f"sample_weight has shape {w.shape}, but there must be one weight a row: shape {shape}.")
    bad = ~(w >= 0) | np.isinf(w)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        row = index[0] if len(index) == 1 else index
        why = "cannot be negative" if w[index] < 0 and np.isfinite(w[index]) else "must be a finite number"
        raise ValueError(
            f"sample_weight holds {w[index]} (row {row}), but a weight says how often a row counts and {why}."
        )
    if not w.any():
        raise ValueError("sample_weight is 0 in every row, so no row counts; at least one weight must be positive.")
    return w


def unit_weights(sample_weight: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return checked row weights divided by the largest.

    Parameters
    ----------
    sample_weight : array_like
        Weights.
    shape : tuple of int
        Shape of the rows.

    Returns
    -------
    ndarray of float64
        Weights from 0 to 1.

    Examples
    --------
    >>> unit_weights([1e308, 5e307], (2,)).tolist()
    [1.0, 0.5]
    """
    w = check_weights(sample_weight, shape)
    return np.asarray(w / w.max())


def _pair(P: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return predictions and labels as probabilities (n, q)."""
    P = check_probabilities(P)
    Y = codes_or_probabilities(y, P)
    if Y.ndim == P.ndim:
        return P, Y.astype(P.dtype, copy=False)
    one_hot = np.zeros_like(P)
    np.put_along_axis(one_hot, Y[..., None], 1, axis=-1)
    return P, one_hot
