"""Relaxed fits: on the support of an elastic net, with less of the l1 part, using only the columns of the support."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.models.selection.fold_stack import FoldStack, StackSolution, Weights
from softreg.models.selection.penalty_spec import PenaltySpec
from softreg.optimize import Solution, make_penalty, minimise
from softreg.optimize.problem.penalty_table import Structure
from softreg.optimize.problem.relaxed_penalty import relaxed_net
from softreg.rows import as_rows
from softreg.typing import Array, BoolArray

COPY_FACTOR = 4
"""Columns of the support are copied if there are this many times more columns in all. Measured with five folds and two
shares, without the elastic nets: 300 x 5,000, four strengths, 0.8 s instead of 3.8 s; 2,000 x 20,000 sparse, three
strengths, 2.0 s instead of 8.6 s."""


@dataclass(frozen=True)
class RelaxedFits:
    """Elastic nets and the minima on their supports, one for each member of a stack.

    Parameters
    ----------
    elastic_nets : tuple of Solution
        The elastic nets.
    relaxed : tuple of Solution
        The relaxed fits, each certified among all weights on its support; the elastic nets themselves for a share of 1.
    """

    elastic_nets: tuple[Solution, ...]
    relaxed: tuple[Solution, ...]


def fit_relaxed(
    stack: FoldStack, X: Any, specs: Sequence[PenaltySpec], nets: Sequence[StackSolution]
) -> list[StackSolution]:
    """Return every member at each relaxed penalty, restricted to its support in the elastic nets `nets`."""
    used = _used_columns(W for net in nets for W, _ in net.weights)
    if not used.any():
        return list(nets)  # the support is empty, so there is nothing to relax
    if not _copying_pays(X, used):
        return stack.fit_relaxed(specs, nets)
    restricted = [_map_weights(net, lambda W: W[:, used]) for net in nets]
    solutions = stack.with_features(X[:, used], np.flatnonzero(used)).fit_relaxed(specs, restricted)
    return [_map_weights(solution, lambda W: _expand_columns(W, used)) for solution in solutions]


def minimise_relaxed(
    X: Any,
    labels: Array,
    V: Array | None,
    q: int,
    spec: PenaltySpec,
    *,
    start: Weights | None = None,
    relaxed_start: Weights | None = None,
    penalty: str | None = "elasticnet",
    structure: Structure | None = None,
    offset: Array | None = None,
    **settings: Any,
) -> RelaxedFits:
    """Fit a stack of elastic nets, and their relaxed fits.

    Parameters
    ----------
    X : ndarray, csr_array or OnDevice of shape (n, d)
        Features.
    labels : ndarray of shape (n,) or (n, q)
        Codes of the classes or label probabilities.
    V : ndarray of shape (m, n) or None
        Row weights of each member.
    q : int
        Number of classes.
    spec : PenaltySpec
        The penalty.
    start : pair of ndarray, optional
        W (m, d, q) and b (m, q) from which the elastic nets start.
    relaxed_start : pair of ndarray, optional
        The same for the relaxed fits; by default the elastic nets.
    penalty : str
        Name of the penalty of the first fit.
    structure : WeightTerms or ColumnGroups, optional
        Penalty factors and bounds of single weights, or groups of columns; not for relaxed fits.
    offset : ndarray of shape (n, q), optional
        Fixed part of the logits.
    **settings
        Further arguments of `softreg.optimize.minimise`.

    Returns
    -------
    RelaxedFits
        Elastic nets and relaxed fits.

    Examples
    --------
    >>> X, y = np.array([[0.0, 1], [1, 0], [2, 0], [3, 1]]), np.array([0, 0, 1, 1])
    >>> fits = minimise_relaxed(X, y, None, 2, PenaltySpec(0.2, 0.5, 0.0))
    >>> (net,), (free,) = fits.elastic_nets, fits.relaxed
    >>> bool((abs(free.W) > abs(net.W))[net.W != 0].all()), free.W[1].tolist(), free.gap <= 1e-6
    (True, [0.0, 0.0], True)
    """
    m = 1 if V is None else len(V)
    strength = np.full(m, spec.strength)
    cost = make_penalty(penalty, strength, spec.l1_ratio, structure)
    nets = minimise(as_rows(X, labels, V, offset), q, cost, start=start, **settings)
    if not spec.is_relaxed:
        return RelaxedFits(nets, nets)
    W, b = relaxed_start or _stack_weights(nets)
    net_W, _ = _stack_weights(nets)
    used = _used_columns([net_W])
    if not _copying_pays(X, used):
        used = np.ones(len(used), dtype=bool)
    columns, begin = X if used.all() else X[:, used], (W[:, used], b)
    relaxed_cost = relaxed_net(strength, spec.l1_ratio, spec.relaxed, net_W[:, used])
    fits = minimise(as_rows(columns, labels, V, offset), q, relaxed_cost, start=begin, **settings)
    # A common shift of the biases changes nothing; the mean is set to 0, so that the same rows give the same logits.
    relaxed = tuple(replace(fit, W=_expand_columns(fit.W[None], used)[0], b=fit.b - fit.b.mean()) for fit in fits)
    return RelaxedFits(nets, relaxed)


def _used_columns(weights: Iterable[Array]) -> BoolArray:
    """Return the columns (d,) on which some of these weights W (m, d, q) are not 0."""
    return np.asarray(np.any([W.any(axis=(0, 2)) for W in weights], axis=0))


def _copying_pays(X: Any, used: BoolArray) -> bool:
    """Return True if the used columns of X can be copied, and are few enough that it saves time."""
    return (isinstance(X, np.ndarray) or sp.issparse(X)) and bool(0 < COPY_FACTOR * used.sum() <= len(used))


def _expand_columns(W: Array, used: BoolArray) -> Array:
    """Return weights (m, d, q) of all columns from those of the used ones, 0 for the others."""
    if used.all():
        return W
    expanded = np.zeros((len(W), len(used), W.shape[2]))
    expanded[:, used] = W
    return expanded


def _map_weights(solution: StackSolution, function: Callable[[Array], Array]) -> StackSolution:
    """Return a solution with a function applied to the weights of each cohort."""
    return replace(solution, weights=tuple((function(W), b) for W, b in solution.weights))


def _stack_weights(fits: Sequence[Solution]) -> Weights:
    """Return W (m, d, q) and b (m, q) of solutions."""
    return np.stack([fit.W for fit in fits]), np.stack([fit.b for fit in fits])
