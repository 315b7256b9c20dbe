"""Loss, gradient and curvature of a stack of models on one block of rows; full-batch solvers sum them over blocks.

The formulas are those of `loss.py`. Logits `o` have shape (m, q, b) for m models, q classes and b rows, so that maxima
and sums over classes are vector operations along the rows. Labels are codes (b,), which are gathered, or label
probabilities (b, q). Weights `V` have shape (m, b); None means 1 for every row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.typing import Array


def probabilities(o: Array) -> tuple[Array, Array]:
    """Return the softmax of the logits over the classes and the log-sum-exp of each row.

    Parameters
    ----------
    o : ndarray of shape (m, q, b)
        Logits.

    Returns
    -------
    P : ndarray of shape (m, q, b)
        Probabilities.
    log_mass : ndarray of shape (m, b)
        Log-sum-exp of the logits over the classes.

    Examples
    --------
    >>> P, log_mass = probabilities(np.zeros((1, 2, 1)))
    >>> P.ravel(), log_mass.round(4)
    (array([0.5, 0.5]), array([[0.6931]]))
    """
    largest = o.max(axis=1)
    P = np.exp(o - largest[:, None])  # softmax ignores shifts, and exp(z) <= 1 cannot overflow
    mass = P.sum(axis=1)
    P /= mass[:, None]
    return P, np.log(mass) + largest


def losses(o: Array, labels: Array, out: Array | None = None) -> tuple[Array, Array]:
    """Return the softmax of the logits and the cross-entropy of each row.

    The sum of exponentials, relative to the largest logit, is 1 plus the rest, and its logarithm is `log1p(rest)`. The
    loss of a row with a confident prediction, such as `exp(-20)`, therefore keeps its digits in float32, too.

    Parameters
    ----------
    o : ndarray of shape (m, q, b)
        Logits.
    labels : ndarray of shape (b,) or (b, q)
        Codes or label probabilities.
    out : ndarray of shape (m, q, b), optional
        Array that receives the softmax; may be `o`.

    Returns
    -------
    P : ndarray of shape (m, q, b)
        Probabilities.
    loss : ndarray of shape (m, b)
        Cross-entropy in nats.

    Examples
    --------
    >>> P, loss = losses(np.array([[[0.0], [20.0]]], np.float32), np.array([1]))
    >>> float(loss[0, 0]).__round__(12)
    2.061e-09
    """
    largest = o.max(axis=1)
    z = np.subtract(o, largest[:, None], out=out)
    if labels.ndim == 1:
        index: tuple[slice | Array, Array, Array] = (slice(None), labels, np.arange(z.shape[2]))
        below = z[index]
    else:
        index = _class_index(z.argmax(axis=1))
        below = given(z, labels)
        below -= largest * (1 - labels.sum(axis=1)).astype(largest.dtype)  # labels that do not quite sum to 1
    P = np.exp(z, out=z)
    term = P[index]  # of the label, or of the largest logit
    P[index] = 0.0
    rest = P.sum(axis=1)
    P[index] = term
    mass = rest + term
    P /= mass[:, None]
    return P, np.where(term == 1, np.log1p(rest), np.log(mass)) - below


def _class_index(codes: Array) -> tuple[Array, Array, Array]:
    """Return the index into (m, q, b) that selects the class `codes` (m, b) of each model and row."""
    return np.arange(len(codes))[:, None], codes, np.arange(codes.shape[1])


def given(values: Array, labels: Array) -> Array:
    """Return the value of the given label: gathered for codes, averaged for label probabilities.

    Parameters
    ----------
    values : ndarray of shape (m, q, b)
        One value for each class.
    labels : ndarray of shape (b,) or (b, q)
        Codes or label probabilities.

    Returns
    -------
    ndarray of shape (m, b)
        Value of the label of each row.

    Examples
    --------
    >>> given(np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([1, 0]))
    array([[3., 2.]])
    """
    if labels.ndim == 1:
        return np.asarray(values[:, labels, np.arange(len(labels))])
    return np.asarray(np.einsum("mqb,bq->mb", values, labels.astype(values.dtype, copy=False)))


def weigh(values: Array, V: Array | None) -> Array:
    """Return the weighted sum over the rows, in float64, of values (m, b) with one number for each model and row."""
    if V is None:
        return np.asarray(values.sum(axis=1, dtype=np.float64))
    return np.asarray(np.einsum("mb,mb->m", values, V, dtype=np.float64))


def residual(P: Array, labels: Array, V: Array | None) -> Array:
    """Overwrite P (m, q, b) with `V * (P - Y)`, the gradient of the summed loss with respect to the logits."""
    if labels.ndim == 1:
        P[:, labels, np.arange(len(labels))] -= 1
    else:
        P -= labels.T.astype(P.dtype, copy=False)
    if V is not None:
        P *= V[:, None].astype(P.dtype, copy=False)
    return P


def loss_and_residual(o: Array, labels: Array, V: Array | None) -> tuple[Array, Array]:
    """Return the summed cross-entropy of each model (m,) in nats, and its residual (m, q, b)."""
    P, loss = losses(o, labels)
    return weigh(loss, V), residual(P, labels, V)


@dataclass(frozen=True)
class LabelConfidence:
    """Probabilities of the labels, and sums over the rows for each class."""

    p_label: Array
    """The probability (m, b) of each row's label (of the most likely one, where labels are probabilities)."""
    class_mass: Array
    """Summed probability `V p` of each class (m, q), in float64."""
    class_variance: Array
    """Summed `V p (1 - p)` of each class (m, q), in float64."""


def label_confidence(P: Array, labels: Array, V: Array | None) -> LabelConfidence:
    """Return the probabilities of the labels and the sums over the rows for each class.

    Parameters
    ----------
    P : ndarray of shape (m, q, b)
        Probabilities.
    labels : ndarray of shape (b,) or (b, q)
        Codes or label probabilities.
    V : ndarray of shape (m, b) or None
        Weights.

    Returns
    -------
    LabelConfidence
        Probabilities of the labels, and class sums.

    Examples
    --------
    >>> label_confidence(np.array([[[0.9], [0.1]]]), np.array([0]), None)
    LabelConfidence(p_label=array([[0.9]]), class_mass=array([[0.9, 0.1]]), class_variance=array([[0.09, 0.09]]))
    """
    codes = labels if labels.ndim == 1 else labels.argmax(axis=1)
    p_label = P[:, codes, np.arange(len(codes))]
    if V is None:
        class_mass, square = P.sum(axis=2, dtype=np.float64), np.einsum("mqb,mqb->mq", P, P)
    else:
        v = np.broadcast_to(V, p_label.shape)
        class_mass = np.einsum("mqb,mb->mq", P, v, dtype=np.float64)
        square = ((P * P) @ v[..., None].astype(P.dtype))[..., 0]
    return LabelConfidence(p_label, class_mass, class_mass - square)


def consume(o: Array, labels: Array, V: Array | None) -> tuple[Array, Array, Array, LabelConfidence]:
    """Return loss, class sums of the residual, probabilities and label confidence in one pass.

    Intended for many classes, where each pass over the arrays is expensive. `residual` turns the probabilities into the
    residual.

    Parameters
    ----------
    o : ndarray of shape (m, q, b)
        Logits; overwritten by the probabilities.
    labels : ndarray of shape (b,) or (b, q)
        Codes or label probabilities.
    V : ndarray of shape (m, b) or None
        Weights.

    Returns
    -------
    loss : ndarray of shape (m,)
        Summed cross-entropy in nats.
    sums : ndarray of shape (m, q)
        Residual summed over the rows.
    P : ndarray of shape (m, q, b)
        Probabilities, in the memory of `o`.
    confidence : LabelConfidence
        Probabilities of the labels, and class sums.

    Examples
    --------
    >>> loss, r, P, confidence = consume(np.zeros((1, 2, 1)), np.array([1]), None)
    >>> loss.round(4), r, P.ravel(), confidence.class_variance
    (array([0.6931]), array([[ 0.5, -0.5]]), array([0.5, 0.5]), array([[0.25, 0.25]]))
    """
    P, loss = losses(o, labels, out=o)
    confidence = label_confidence(P, labels, V)
    return weigh(loss, V), confidence.class_mass - label_sums(labels, V, *P.shape[:2]), P, confidence


def label_sums(labels: Array, V: Array | None, m: int, q: int) -> Array:
    """Return the sum over the rows of `V Y` for each class.

    Parameters
    ----------
    labels : ndarray of shape (b,) or (b, q)
        Codes or label probabilities.
    V : ndarray of shape (m, b) or None
        Weights.
    m : int
        Number of models.
    q : int
        Number of classes.

    Returns
    -------
    ndarray of shape (m, q)
        Weighted label sums, in float64.

    Examples
    --------
    >>> label_sums(np.array([1, 1, 0]), np.array([[1.0, 2.0, 3.0]]), 1, 2)
    array([[3., 3.]])
    """
    v = np.ones((1, len(labels))) if V is None else V
    if labels.ndim == 1:
        return np.broadcast_to(np.stack([np.bincount(labels, weights=weights, minlength=q) for weights in v]), (m, q))
    return np.broadcast_to(v @ labels.astype(np.float64), (m, q))


def along(o: Array, step: Array, labels: Array, V: Array | None) -> tuple[Array, Array, Array]:
    """Return value, slope and curvature of the summed loss along a direction of the logits.

    The curvature is the variance of the step under the predicted probabilities, so it is never negative.

    Parameters
    ----------
    o : ndarray of shape (m, q, b)
        Logits.
    step : ndarray of shape (m, q, b)
        Direction.
    labels : ndarray of shape (b,) or (b, q)
        Codes or label probabilities.
    V : ndarray of shape (m, b) or None
        Weights.

    Returns
    -------
    value : ndarray of shape (m,)
        Summed cross-entropy in nats.
    slope : ndarray of shape (m,)
        First derivative along the direction.
    curvature : ndarray of shape (m,)
        Second derivative along the direction.
    """
    P, loss = losses(o, labels)
    mean = np.einsum("mqb,mqb->mb", P, step)
    variance = np.einsum("mqb,mqb->mb", P, (step - mean[:, None]) ** 2)
    return (
        weigh(loss, V),
        weigh(mean - given(step, labels), V),
        weigh(variance, V),
    )


def bias_sums(o: Array, labels: Array, V: Array | None) -> tuple[Array, Array]:
    """Return the residual sums (m, q) and the Hessian of the bias, the sum of `diag(p) - p p^T` (m, q, q)."""
    P, _ = probabilities(o)
    weighted = P if V is None else P * V[:, None].astype(P.dtype, copy=False)
    curvature = -np.matmul(weighted, P.transpose(0, 2, 1)).astype(np.float64)
    index = np.arange(o.shape[1])
    curvature[:, index, index] += weighted.sum(axis=2, dtype=np.float64)
    return residual(P, labels, V).sum(axis=2, dtype=np.float64), curvature


def mixed_entropy(o: Array, labels: Array, V: Array | None, share: Array, offset: Array | None = None) -> Array:
    """Return the summed entropy (m,) of `Q = Y + share * (P - Y)`, for the dual objective.

    Parameters
    ----------
    o : ndarray of shape (m, q, b)
        Logits.
    labels : ndarray of shape (b,) or (b, q)
        Codes or label probabilities.
    V : ndarray of shape (m, b) or None
        Weights.
    share : ndarray of shape (m,)
        Numbers in [0, 1].
    offset : ndarray of shape (q, b), optional
        Fixed part of the logits; `<Q - Y, offset>` is then added to the entropy of each row.

    Returns
    -------
    ndarray of shape (m,)
        Weighted sums in nats.

    Examples
    --------
    >>> mixed_entropy(np.zeros((1, 2, 1)), np.array([1]), None, np.ones(1)).round(4)
    array([0.6931])
    """
    P, _ = probabilities(o)
    gained = None
    if offset is not None:
        gained = (np.einsum("mqb,qb->mb", P, offset) - given(offset[None], labels)) * share[:, None]
    P *= share[:, None, None]
    if labels.ndim == 1:
        P[:, labels, np.arange(len(labels))] += (1 - share)[:, None]
    else:
        P += (1 - share)[:, None, None] * labels.T
    terms = np.zeros_like(P)
    np.log(P, out=terms, where=P > 0)  # 0 log 0 = 0
    entropy = -np.einsum("mqb,mqb->mb", P, terms)
    return weigh(entropy if gained is None else entropy + gained, V)
