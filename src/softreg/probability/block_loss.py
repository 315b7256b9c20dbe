"""The loss of a stack of models on a block of rows, class-major: what a full-batch solver sums over the data.

The same mathematics as `loss.py`, arranged for speed: logits `o` are (m, q, b) for m models, q classes and b rows, so
that maxima and sums over classes are vector operations along the rows, and hard labels are gathered, not multiplied.
Weights `V` are (m, b), or None for ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def probabilities(o: Array) -> tuple[Array, Array]:
    """Return softmax over axis 1 and the log-sum-exp (m, b) that belongs to it.

    Returns
    -------
    tuple[ndarray, ndarray]
        Softmax over axis 1 and the log-sum-exp (m, b) that belongs to it.

    Examples
    --------
    >>> P, log_mass = probabilities(np.zeros((1, 2, 1)))
    >>> P.ravel(), log_mass.round(4)
    (array([0.5, 0.5]), array([[0.6931]]))
    """
    top = o.max(axis=1)
    P = np.exp(o - top[:, None])  # softmax ignores shifts, and exp(z) <= 1 cannot overflow
    mass = P.sum(axis=1)
    P /= mass[:, None]
    return P, np.log(mass) + top


def losses(o: Array, labels: Array, out: Array | None = None) -> tuple[Array, Array]:
    """Return softmax (m, q, b) and cross-entropy (m, b) in nats; `out`, which may be `o`, receives the softmax.

    The mass of a row is 1 for its largest logit and the rest, whose logarithm is `log1p(rest)`: a row of which the
    model is confidence keeps the digits of its loss, `exp(-20)` say, in float32 too.

    Returns
    -------
    tuple[ndarray, ndarray]
        Softmax (m, q, b) and cross-entropy (m, b) in nats; `out`, which may be `o`, receives the softmax.

    Examples
    --------
    >>> P, lost = losses(np.array([[[0.0], [20.0]]], np.float32), np.array([1]))
    >>> float(lost[0, 0]).__round__(12)
    2.061e-09
    """
    top = o.max(axis=1)
    z = np.subtract(o, top[:, None], out=out)
    below = given(z, labels)
    if labels.ndim == 2:
        below -= top * (1 - labels.sum(axis=1)).astype(top.dtype)  # labels that do not quite sum to 1
    at = labels if labels.ndim == 1 else z.argmax(axis=1)
    place = (slice(None), at, np.arange(z.shape[2])) if labels.ndim == 1 else _places(at)
    P = np.exp(z, out=z)
    own = P[place]
    P[place] = 0.0
    rest = P.sum(axis=1)
    P[place] = own
    mass = rest + own
    P /= mass[:, None]
    return P, np.where(own == 1, np.log1p(rest), np.log(mass)) - below


def _places(at: Array) -> tuple[Array, Array, Array]:
    """Return the index of one class (m, b) in each row of (m, q, b)."""
    return np.arange(len(at))[:, None], at, np.arange(at.shape[1])


def given(values: Array, labels: Array) -> Array:
    """Return the value of the given label, (m, b): gathered for codes (b,), averaged for label probabilities (b, q).

    Returns
    -------
    ndarray
        The value of the given label, (m, b): gathered for codes (b,), averaged for label probabilities (b, q).

    Examples
    --------
    >>> given(np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([1, 0]))
    array([[3., 2.]])
    """
    if labels.ndim == 1:
        return np.asarray(values[:, labels, np.arange(len(labels))])
    return np.asarray(np.einsum("mqb,bq->mb", values, labels.astype(values.dtype, copy=False)))


def weigh(values: Array, V: Array | None) -> Array:
    """Return sums over the rows, in float64, of one number a row and model: (m, b) -> (m,)."""
    if V is None:
        return np.asarray(values.sum(axis=1, dtype=np.float64))
    return np.asarray(np.einsum("mb,mb->m", values, V, dtype=np.float64))


def residual(P: Array, labels: Array, V: Array | None) -> Array:
    """`V * (P - Y)`, (m, q, b), written over `P`: the gradient of the summed loss with respect to the logits."""
    if labels.ndim == 1:
        P[:, labels, np.arange(len(labels))] -= 1
    else:
        P -= labels.T.astype(P.dtype, copy=False)
    if V is not None:
        P *= V[:, None].astype(P.dtype, copy=False)
    return P


def loss_and_residual(o: Array, labels: Array, V: Array | None) -> tuple[Array, Array]:
    """Return summed cross-entropy of each model (m,) in nats, and its residual (m, q, b)."""
    P, lost = losses(o, labels)
    return weigh(lost, V), residual(P, labels, V)


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
    """Return the probabilities of the labels and the sums for each class, from P (m, q, b).

    Returns
    -------
    LabelConfidence
        Probabilities and sums.

    Examples
    --------
    >>> label_confidence(np.array([[[0.9], [0.1]]]), np.array([0]), None)
    LabelConfidence(p_label=array([[0.9]]), class_mass=array([[0.9, 0.1]]), class_variance=array([[0.09, 0.09]]))
    """
    codes = labels if labels.ndim == 1 else labels.argmax(axis=1)
    own = P[:, codes, np.arange(len(codes))]
    if V is None:
        predicted, square = P.sum(axis=2, dtype=np.float64), np.einsum("mqb,mqb->mq", P, P)
    else:
        v = np.broadcast_to(V, own.shape)
        predicted = np.einsum("mqb,mb->mq", P, v, dtype=np.float64)
        square = ((P * P) @ v[..., None].astype(P.dtype))[..., 0]
    return LabelConfidence(own, predicted, predicted - square)


def consume(o: Array, labels: Array, V: Array | None) -> tuple[Array, Array, Array, LabelConfidence]:
    """Return summed cross-entropy (m,), residual sums (m, q), probabilities and label confidence.

    For many classes, where each turn through the arrays costs; `residual` then makes the residual of the probabilities.

    Returns
    -------
    tuple[ndarray, ndarray, ndarray, LabelConfidence]
        Summed cross-entropy (m,) and residual (m, q), probabilities written over the logits.

    Examples
    --------
    >>> loss, r, P, confidence = consume(np.zeros((1, 2, 1)), np.array([1]), None)
    >>> loss.round(4), r, P.ravel(), confidence.class_variance
    (array([0.6931]), array([[ 0.5, -0.5]]), array([0.5, 0.5]), array([[0.25, 0.25]]))
    """
    P, lost = losses(o, labels, out=o)
    confidence = label_confidence(P, labels, V)
    return weigh(lost, V), confidence.class_mass - label_sums(labels, V, *P.shape[:2]), P, confidence


def label_sums(labels: Array, V: Array | None, m: int, q: int) -> Array:
    """Return summed label `V Y` of each class (m, q) for m models.

    Returns
    -------
    ndarray
        Summed label `V Y` of each class (m, q) for m models.

    Examples
    --------
    >>> label_sums(np.array([1, 1, 0]), np.array([[1.0, 2.0, 3.0]]), 1, 2)
    array([[3., 3.]])
    """
    v = np.ones((1, len(labels))) if V is None else V
    if labels.ndim == 1:
        return np.broadcast_to(np.stack([np.bincount(labels, weights=one, minlength=q) for one in v]), (m, q))
    return np.broadcast_to(v @ labels.astype(np.float64), (m, q))


def along(o: Array, step: Array, labels: Array, V: Array | None) -> tuple[Array, Array, Array]:
    """Return value, slope and curvature, (m,) each, of the summed loss along a direction of the logits.

    The curvature is the variance of the step under the model's own probabilities, so it is never negative.

    Returns
    -------
    tuple[ndarray, ndarray, ndarray]
        Value, slope and curvature, (m,) each.
    """
    P, lost = losses(o, labels)
    mean = np.einsum("mqb,mqb->mb", P, step)
    variance = np.einsum("mqb,mqb->mb", P, (step - mean[:, None]) ** 2)
    return (
        weigh(lost, V),
        weigh(mean - given(step, labels), V),
        weigh(variance, V),
    )


def bias_sums(o: Array, labels: Array, V: Array | None) -> tuple[Array, Array]:
    """Return residual sums (m, q) and the Hessian of the bias, the sum of `diag(p) - p p^T` (m, q, q)."""
    P, _ = probabilities(o)
    weighted = P if V is None else P * V[:, None].astype(P.dtype, copy=False)
    curvature = -np.matmul(weighted, P.transpose(0, 2, 1)).astype(np.float64)
    index = np.arange(o.shape[1])
    curvature[:, index, index] += weighted.sum(axis=2, dtype=np.float64)
    return residual(P, labels, V).sum(axis=2, dtype=np.float64), curvature


def mixed_entropy(o: Array, labels: Array, V: Array | None, share: Array) -> Array:
    """Return the summed entropy (m,) of `Y + share * (P - Y)`, share (m,) in [0, 1], for the dual value."""
    P, _ = probabilities(o)
    P *= share[:, None, None]
    if labels.ndim == 1:
        P[:, labels, np.arange(len(labels))] += (1 - share)[:, None]
    else:
        P += (1 - share)[:, None, None] * labels.T
    terms = np.zeros_like(P)
    np.log(P, out=terms, where=P > 0)  # 0 log 0 = 0
    return weigh(-np.einsum("mqb,mqb->mb", P, terms), V)
