"""Proximal Newton directions for the group penalty.

Each direction leads to the minimum of a quadratic model of loss and l2 part plus the group penalty, on a working set of
columns: those of groups with weights, and of the groups whose gradient exceeds the threshold most. The model has the
exact Hessian: as a matrix where that is cheap, and as products otherwise (`curvature.group_models`). It is minimised by
sweeps of block coordinate descent, one group at a time; each sweep is followed by a Newton step on the groups with
weights, where the penalty is twice differentiable.

With products, the minimum is inexact: the first sweep is the largest, and the model counts as minimised when one is
a tenth of it. A direction that lowers model plus penalty is one of descent for the objective, since the penalty is
convex: its slope is at most the change of the model minus half the curvature of the loss along the direction.

References
----------
Lee, Sun and Saunders (2014), Proximal Newton-type methods for minimizing composite functions.
Simon, Friedman and Hastie (2013), A blockwise descent algorithm for group-penalized multiresponse and multinomial
regression.
"""

from __future__ import annotations

import numpy as np

from softreg.optimize.curvature.group_models import ExactModel, GroupModel, ProductModel, WorkingGroups, descend
from softreg.optimize.curvature.hessian_products import HessianRows
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import Columns, free_hessians
from softreg.optimize.problem.group_penalty import GroupPenalty
from softreg.optimize.solvers.direction import StatelessDirections
from softreg.typing import BoolArray, Float64Array, FloatArray, IntArray

MOST_PARAMETERS = 250
"""Parameters of a working set up to which its exact Hessian is a matrix; of more, products are cheaper."""
WIDEST = 8192
"""Columns of the rows up to which that matrix is computed: 2,048 rows are standardised at a time."""
FIRST_COLUMNS = 50
"""Columns that may enter the empty working set at once; otherwise at most as many columns enter as it has."""


class GroupProximalNewton(StatelessDirections):
    """Directions (m, q, d + 1) to the minimum of a quadratic model plus the penalty, on a working set of columns."""

    keeps_signs = True

    def __init__(self) -> None:
        self.rows = HessianRows()

    def direction(self, objective: Objective, theta: FloatArray, G: FloatArray) -> FloatArray:
        """Return the direction at parameters `theta` with gradient `G` of loss and l2 part."""
        free = self._working_sets(objective, theta, G)
        columns = [np.flatnonzero(of_model) for of_model in free]
        D = np.zeros_like(theta)
        for j, model in enumerate(self._models(objective, theta, columns)):
            D[j][:, columns[j]] = minimise_model(model, theta[j][:, columns[j]], G[j][:, columns[j]])
        return D

    def _working_sets(self, objective: Objective, theta: FloatArray, G: FloatArray) -> BoolArray:
        """Return the columns (m, d + 1) of each model that may move, the bias among them."""
        penalty = _group_penalty(objective)
        excess = penalty.column_dual_norm(G[..., :-1] * objective.coordinates.scale) - penalty.threshold[:, None]
        live = penalty.whole_groups((theta[..., :-1] != 0).any(axis=1))
        free = np.zeros((objective.m, objective.rows.d + 1), dtype=bool)
        free[:, -1] = objective.fit_intercept
        for j in range(objective.m):
            entering = np.flatnonzero((excess[j] > 0) & ~live[j])
            most = max(FIRST_COLUMNS, int(live[j].sum()))
            entering = entering[np.argsort(-excess[j, entering], kind="stable")[:most]]
            free[j, :-1] = live[j]
            free[j, entering] = True
        free[:, :-1] = penalty.whole_groups(free[:, :-1])
        free[:, :-1][:, objective.coordinates.constant] = False
        return free

    def _models(self, objective: Objective, theta: FloatArray, columns: list[IntArray]) -> list[GroupModel]:
        """Return the quadratic model of each member on its working set."""
        q, scale = objective.q, objective.parameter_scale
        penalty = _group_penalty(objective)
        groups = [working_groups(penalty, j, q, own, scale) for j, own in enumerate(columns)]
        if objective.rows.d <= WIDEST and q * max(len(own) for own in columns) <= MOST_PARAMETERS:
            objective.half_passes += 1
            free = np.zeros((objective.m, q, objective.rows.d + 1), dtype=bool)
            for j, own in enumerate(columns):
                free[j][:, own] = True
            hessians = free_hessians(objective, Columns(objective), free)
            exact: list[GroupModel] = [ExactModel.of(H, q, own) for H, own in zip(hessians, groups, strict=True)]
            return exact
        objective.half_passes += 1
        products = self.rows.products(objective, theta, columns)
        return [ProductModel.of(*parts) for parts in zip(products, groups, strict=True)]


def _group_penalty(objective: Objective) -> GroupPenalty:
    """Return the penalty of the objective, which the rules have checked."""
    assert isinstance(objective.penalty, GroupPenalty)
    return objective.penalty


def working_groups(penalty: GroupPenalty, j: int, q: int, columns: IntArray, scale: Float64Array) -> WorkingGroups:
    """Return the groups of model j in some columns, of which column d is the bias.

    Parameters
    ----------
    penalty : GroupPenalty
        The penalty of the stack.
    j, q : int
        The model, and the number of classes.
    columns : array of int of shape (k,)
        The columns, increasing.
    scale : array of shape (d + 1,)
        Scale of each column, infinite for the bias.

    Returns
    -------
    WorkingGroups
        The groups.

    Examples
    --------
    >>> from softreg.optimize.problem.group_penalty import group_penalty
    >>> groups = working_groups(group_penalty(1.0), 0, 4, np.array([0, 2]), np.array([2.0, 1.0, np.inf]))
    >>> groups.radius.tolist(), groups.stretch.tolist()
    ([1.0, 0.0], [1.0, 1.0])
    """
    if penalty.groups is None:
        return WorkingGroups.single(penalty.strength[j] * np.sqrt(q) / scale[columns])
    d = len(penalty.groups.codes)
    codes, size = np.append(penalty.groups.codes, d), np.append(penalty.groups.size, 1.0)
    codes = np.unique(codes[columns], return_inverse=True)[1]
    least = np.full(len(columns), np.inf)
    np.minimum.at(least, codes, scale[columns])
    least = least[codes]
    stretch = np.where(columns < d, scale[columns] / np.where(columns < d, least, 1.0), 1.0)
    return WorkingGroups(codes, penalty.strength[j] * np.sqrt(q * size[columns]) / least, stretch)


def minimise_model(model: GroupModel, U: Float64Array, G: Float64Array) -> Float64Array:
    """Return the move (q, k) from U that minimises `<G, move> + quadratic + penalty(U + move)`.

    Parameters
    ----------
    model : GroupModel
        The quadratic part, with the groups of its columns.
    U, G : array of shape (q, k)
        Weights, and the gradient of the smooth part there.

    Returns
    -------
    array of shape (q, k)
        The move.

    Examples
    --------
    >>> model = ExactModel.of(np.eye(2), 2, WorkingGroups.single(np.array([2.5])))
    >>> minimise_model(model, np.zeros((2, 1)), np.array([[-3.0], [-4.0]])).ravel()
    array([1.5, 2. ])
    """
    V, gradient, first = U.copy(), G.copy(), 0.0
    for _ in range(model.most_sweeps):
        largest = model.sweep(V, gradient)
        first = max(first, largest)
        if largest <= model.tolerance**2 * first:
            break
        descend(model, V, gradient, model.newton(V, gradient))
    return V - U
