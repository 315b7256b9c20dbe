"""Fits on the weights that an elastic net has chosen, of all folds or of all rows, on the columns that these need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.models.selection.fold_stack import FoldStack, Place, StackSolution, Weights
from softreg.optimize import Solution, make_penalty, minimise
from softreg.optimize.problem.relaxed import relaxed_net
from softreg.rows import Array, as_rows

FEW = 4
"""Columns are copied where no more than one out of so many is needed. Measured with five folds and two shares,
without the elastic nets: 300 x 5,000, four strengths, 0.8 in place of 3.8 s; 2,000 x 20,000 sparse, three strengths,
2.0 in place of 8.6 s."""


def relax(stack: FoldStack, X: Any, places: Sequence[Place], nets: Sequence[StackSolution]) -> list[StackSolution]:
    """Every member again at each place, with less of the l1 part and only the weights that it has in `nets`.

    `nets` are the elastic nets at these places, from which the fits begin.
    """
    used = _used(W for net in nets for W, _ in net.weights)
    if not used.any():
        return list(nets)  # nothing is chosen, so nothing is pulled
    if not _few(X, used):
        return stack.relax(places, nets)
    few = [_changed(net, lambda W: W[:, used]) for net in nets]
    answers = stack.on(X[:, used]).relax(places, few)
    return [_changed(answer, lambda W: _among(W, used)) for answer in answers]


def minimise_relaxed(
    X: Any,
    labels: Array,
    V: Array | None,
    q: int,
    place: Place,
    start: Weights | None = None,
    second: Weights | None = None,
    *,
    penalty: str | None = "elasticnet",
    **settings: Any,
) -> tuple[tuple[Solution, ...], tuple[Solution, ...]]:
    """The elastic nets of a stack with row weights V (m, n), and the minima on their supports with a share of l1.

    `start` and `second` are weights W (m, d, q) and bias (m, q) to begin the two with; the second begins with the
    answers of the first where nothing better is known. At a share of 1 both are the same. Each is certified by itself,
    the second as a minimum among all weights on the support. `penalty` names that of the first fit, and
    `settings` are those of `minimise`.

    Example:
        >>> X, y = np.array([[0.0, 1], [1, 0], [2, 0], [3, 1]]), np.array([0, 0, 1, 1])
        >>> (net,), (free,) = minimise_relaxed(X, y, None, 2, (0.2, 0.5, 0.0))
        >>> bool((abs(free.W) > abs(net.W))[net.W != 0].all()), free.W[1].tolist(), free.gap <= 1e-6
        (True, [0.0, 0.0], True)
    """
    strength, ratio, share = place
    m = 1 if V is None else len(V)
    first = minimise(
        as_rows(X, labels, V), q, make_penalty(penalty, np.full(m, strength), ratio), start=start, **settings
    )
    if share == 1:
        return first, first
    W, b = second or _stacked(first)
    chosen = _stacked(first)[0]
    used = _used([chosen])
    if not _few(X, used):
        used = np.ones(len(used), dtype=bool)
    few, begin = X if used.all() else X[:, used], (W[:, used], b)
    relaxed = relaxed_net(np.full(m, strength), ratio, share, chosen[:, used])
    found = minimise(as_rows(few, labels, V), q, relaxed, start=begin, **settings)
    # the classes' biases may share anything; they share nothing, so that the same rows give the same logits
    return first, tuple(replace(fit, W=_among(fit.W[None], used)[0], b=fit.b - fit.b.mean()) for fit in found)


def _used(weights: Any) -> NDArray[np.bool_]:
    """The columns (d,) on which some of these weights W (m, d, q) are not 0."""
    return np.asarray(np.any([W.any(axis=(0, 2)) for W in weights], axis=0))


def _few(X: Any, used: NDArray[np.bool_]) -> bool:
    """Whether X can be narrowed to these columns, and should be."""
    return (isinstance(X, np.ndarray) or sp.issparse(X)) and bool(0 < FEW * used.sum() <= len(used))


def _among(W: Array, used: NDArray[np.bool_]) -> Array:
    """Weights (m, d, q) of all columns from those of some, 0 for the others."""
    if used.all():
        return W
    out = np.zeros((len(W), len(used), W.shape[2]))
    out[:, used] = W
    return out


def _changed(answer: StackSolution, change: Any) -> StackSolution:
    return replace(answer, weights=tuple((change(W), b) for W, b in answer.weights))


def _stacked(fits: Sequence[Solution]) -> Weights:
    return np.stack([fit.W for fit in fits]), np.stack([fit.b for fit in fits])
