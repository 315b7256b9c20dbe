"""Proximal Newton directions for the group penalty.

Each direction leads to the minimum of a quadratic model of loss and l2 part plus the group penalty, on a working set of
columns: those with weights, and those whose gradient exceeds the threshold most. The model has the exact Hessian of the
working set where that is cheap, and the sampled curvature of each class otherwise. It is minimised by sweeps of block
coordinate descent, one column at a time; with the exact Hessian, each sweep is followed by a Newton step on the columns
with weights, where the penalty is twice differentiable.

References
----------
Lee, Sun and Saunders (2014), Proximal Newton-type methods for minimizing composite functions.
Simon, Friedman and Hastie (2013), A blockwise descent algorithm for group-penalized multiresponse and multinomial
regression.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from softreg.optimize.curvature.preconditioners import DiagonalPreconditioner, HessianBlocks
from softreg.optimize.curvature.subsampled import SubsampledCurvature
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import Columns, free_hessians
from softreg.optimize.solvers.lbfgs import MIN_CHANGE, REVIEWS
from softreg.optimize.solvers.newton import factor_hessian
from softreg.typing import BoolArray, Float64Array, FloatArray, IntArray

MOST_PARAMETERS = 2000
"""Parameters of a working set up to which its exact Hessian is computed."""
WIDEST = 8192
"""Columns of the rows up to which the exact Hessian is computed: 2,048 rows are standardised at a time."""
FIRST_COLUMNS = 50
"""Columns that may enter the empty working set at once; otherwise at most as many columns enter as it has."""
EXACT_SWEEPS, SAMPLED_SWEEPS = 30, 20
"""Sweeps over the working set for one direction, with the exact Hessian and with the sampled curvature."""
MOVE_TOLERANCE = 1e-3
"""Largest move of a column, relative to that of the first sweep, at which the model counts as minimised."""
MAJORISATION = 1 + 1e-9
"""Factor above the largest eigenvalue of a column's block, so that rounding does not make a block step too long."""
EARLY = 5
"""Number of first iterations that all compute the sampled curvature: working set and probabilities change most."""
TINY = 1e-300
"""Smallest divisor: a column without curvature has a long step, and a gradient of zero."""
RIDGE = 1e-10
"""Part of the diagonal that is added to a Newton system: a shift common to all classes has no curvature."""


class Model(Protocol):
    """A quadratic model of loss and l2 part in the weights (q, k) of a working set."""

    @property
    def steps(self) -> Float64Array:
        """Step length (k,) of each column: the inverse of an upper bound of the curvature of its block."""
        ...

    def change(self, column: int, move: Float64Array) -> Float64Array:
        """Return the change (q, k) of the gradient after a move (q,) of one column."""
        ...

    def image(self, step: Float64Array) -> Float64Array:
        """Return the change (q, k) of the gradient after a move (q, k) of all columns."""
        ...

    def newton(self, V: Float64Array, gradient: Float64Array, radius: Float64Array) -> Float64Array | None:
        """Return a Newton step (q, k) on the columns with weights; None if the model has none."""
        ...


@dataclass(frozen=True)
class ExactModel:
    """The exact Hessian H (q, k, q, k)."""

    H: Float64Array
    steps: Float64Array

    @classmethod
    def of(cls, H: Float64Array, q: int) -> ExactModel:
        """Return the model of a Hessian (q k, q k), class by class."""
        k = len(H) // q
        H = H.reshape(q, k, q, k)
        largest = np.linalg.eigvalsh(np.einsum("akbk->kab", H))[:, -1]
        return cls(H, 1 / (MAJORISATION * np.maximum(largest, TINY)))

    def change(self, column: int, move: Float64Array) -> Float64Array:
        """Return the change (q, k) of the gradient after a move (q,) of one column."""
        return np.asarray(np.tensordot(move, self.H[:, column], (0, 0)))

    def image(self, step: Float64Array) -> Float64Array:
        """Return the change (q, k) of the gradient after a move (q, k) of all columns."""
        return np.asarray((self.H.reshape(step.size, -1) @ step.ravel()).reshape(step.shape))

    def newton(self, V: Float64Array, gradient: Float64Array, radius: Float64Array) -> Float64Array | None:
        """Return the Newton step (q, k) of model and penalty on the columns with weights, 0 elsewhere."""
        norm = np.sqrt((V**2).sum(axis=0))
        active = np.flatnonzero((norm > 0) | (radius == 0))
        q, k = len(V), len(active)
        unit = V[:, active] / np.where(norm[active] > 0, norm[active], 1.0)
        bend = np.where(norm[active] > 0, radius[active] / np.where(norm[active] > 0, norm[active], 1.0), 0.0)
        H = self.H[:, active][:, :, :, active].copy()
        diagonal_blocks = np.einsum("akbk->abk", H)
        diagonal_blocks += bend * (np.eye(q)[:, :, None] - unit[:, None] * unit[None])
        H = H.reshape(q * k, q * k)
        H[np.diag_indices_from(H)] *= 1 + RIDGE
        step = np.zeros_like(V)
        slope = gradient[:, active] + radius[active] * unit
        step[:, active] = -factor_hessian(H).solve(slope.ravel()).reshape(q, k)
        return step


@dataclass(frozen=True)
class ClassModel:
    """One curvature matrix for each class, B (q or 1, k, k), without coupling of the classes."""

    B: Float64Array
    steps: Float64Array

    @classmethod
    def of(cls, B: Float64Array) -> ClassModel:
        """Return the model of these matrices."""
        largest = np.einsum("akk->ak", B).max(axis=0)
        return cls(B, 1 / (MAJORISATION * np.maximum(largest, TINY)))

    def change(self, column: int, move: Float64Array) -> Float64Array:
        """Return the change (q, k) of the gradient after a move (q,) of one column."""
        return np.asarray(self.B[:, column] * move[:, None])

    def image(self, step: Float64Array) -> Float64Array:
        """Return the change (q, k) of the gradient after a move (q, k) of all columns."""
        return np.asarray((self.B @ step[:, :, None])[:, :, 0])

    def newton(self, V: Float64Array, gradient: Float64Array, radius: Float64Array) -> Float64Array | None:
        """Return None: with a sampled curvature, sweeps are exact enough."""
        return None


class GroupProximalNewton:
    """Directions (m, q, d + 1) to the minimum of a quadratic model plus the penalty, on a working set of columns."""

    has_certificate = False
    target_gap = np.inf

    def __init__(self, curvature: SubsampledCurvature, reviews: Container[int] = REVIEWS) -> None:
        self.curvature, self.reviews, self.iterations = curvature, reviews, 0
        self.hessian: DiagonalPreconditioner | HessianBlocks | None = None

    def direction(self, objective: Objective, theta: FloatArray, G: FloatArray) -> FloatArray:
        """Return the direction at parameters `theta` with gradient `G` of loss and l2 part."""
        free = self._working_sets(objective, theta, G)
        models = self._models(objective, theta, free)
        scale = objective.parameter_scale
        D = np.zeros_like(theta)
        for j, model in enumerate(models):
            columns = np.flatnonzero(free[j])
            # the radius of a column is its penalty at a unit vector
            unit = np.zeros((1, objective.q, len(columns)))
            unit[:, 0] = 1.0
            alone = objective.penalty.keep(np.array([j]))
            radius = (alone.directional_gradient(unit, unit, scale[columns]) * unit).sum(axis=(0, 1))
            D[j][:, columns] = minimise_model(model, theta[j][:, columns], G[j][:, columns], radius)
        return D

    def _working_sets(self, objective: Objective, theta: FloatArray, G: FloatArray) -> BoolArray:
        """Return the columns (m, d + 1) of each model that may move, the bias among them."""
        penalty = objective.penalty
        excess = penalty.column_dual_norm(G[..., :-1] * objective.coordinates.scale) - penalty.threshold[:, None]
        live = (theta[..., :-1] != 0).any(axis=1)
        free = np.zeros((objective.m, objective.rows.d + 1), dtype=bool)
        free[:, -1] = objective.fit_intercept
        for j in range(objective.m):
            entering = np.flatnonzero((excess[j] > 0) & ~live[j])
            most = max(FIRST_COLUMNS, int(live[j].sum()))
            entering = entering[np.argsort(-excess[j, entering], kind="stable")[:most]]
            free[j, :-1] = live[j]
            free[j, entering] = True
        free[:, :-1][:, objective.coordinates.constant] = False
        return free

    def _models(self, objective: Objective, theta: FloatArray, free: BoolArray) -> list[Model]:
        """Return the quadratic model of each member on its working set."""
        q = objective.q
        if objective.rows.d <= WIDEST and q * int(free.sum(axis=1).max()) <= MOST_PARAMETERS:
            objective.half_passes += 1
            every = np.repeat(free[:, None], q, axis=1)
            return [ExactModel.of(H, q) for H in free_hessians(objective, Columns(objective), every)]
        hessian = self._sampled_hessian(objective, theta)
        columns = [np.flatnonzero(of_model) for of_model in free]
        if isinstance(hessian, DiagonalPreconditioner):
            return [ClassModel.of(_diagonal_matrices(hessian.diagonal[j][:, c])) for j, c in enumerate(columns)]
        return [ClassModel.of(_submatrices(hessian.blocks[hessian.group[j]], c)) for j, c in enumerate(columns)]

    def _sampled_hessian(self, objective: Objective, theta: FloatArray) -> DiagonalPreconditioner | HessianBlocks:
        """Return the sampled Hessian, computed again at the reviews if the class variances have changed."""
        review = self.iterations in self.reviews and self.curvature.relative_change(objective, theta) > MIN_CHANGE
        if self.hessian is None or self.iterations < EARLY or review:
            self.hessian = self.curvature.hessian(objective, theta)
        self.iterations += 1
        return self.hessian

    def recession_direction(self, objective: Objective, theta: FloatArray, G: FloatArray, D: FloatArray) -> FloatArray:
        """Return the direction itself: with this penalty there is always a finite optimum."""
        return D

    def decrement_bound(self, objective: Objective, G: FloatArray) -> Float64Array:
        """Return inf: the certificate is the duality gap."""
        return np.full(objective.m, np.inf)

    def update(self, step: FloatArray, change: FloatArray) -> None:
        """Learn nothing from steps."""

    def drop_members(self, keep: BoolArray) -> None:
        """Keep the curvature of the members marked in `keep`."""
        self.curvature.drop_members(keep)
        if self.hessian is not None:
            self.hessian = self.hessian.keep(keep)

    def reset(self) -> None:
        """Discard nothing: no step was learned from."""


def _submatrices(blocks: FloatArray, columns: IntArray) -> Float64Array:
    """Return the rows and columns of matrices (q, d + 1, d + 1) that belong to some columns."""
    return np.asarray(blocks[:, columns][:, :, columns], dtype=np.float64)


def _diagonal_matrices(diagonal: FloatArray) -> Float64Array:
    """Return diagonal matrices (q, k, k) from their diagonals (q, k)."""
    return np.asarray(diagonal[:, :, None] * np.eye(diagonal.shape[1]))


def minimise_model(model: Model, U: Float64Array, G: Float64Array, radius: Float64Array) -> Float64Array:
    """Return the move (q, k) from U that minimises `<G, move> + quadratic + sum_j radius_j ||u_j + move_j||_2`.

    Parameters
    ----------
    model : Model
        The quadratic part.
    U, G : array of shape (q, k)
        Weights, and the gradient of the smooth part there.
    radius : array of shape (k,)
        Coefficient of the norm of each column; 0 for the bias.

    Returns
    -------
    array of shape (q, k)
        The move.

    Examples
    --------
    >>> model = ExactModel.of(np.eye(2), 2)
    >>> minimise_model(model, np.zeros((2, 1)), np.array([[-3.0], [-4.0]]), np.array([2.5])).ravel()
    array([1.5, 2. ])
    """
    V, gradient, first = U.copy(), G.copy(), 0.0
    sweeps = EXACT_SWEEPS if isinstance(model, ExactModel) else SAMPLED_SWEEPS
    for _ in range(sweeps):
        largest = 0.0
        for c in range(V.shape[1]):
            move = _shrunk(V[:, c] - model.steps[c] * gradient[:, c], model.steps[c] * radius[c]) - V[:, c]
            size = float(move @ move) / model.steps[c]
            if size > 0:
                V[:, c] += move
                gradient += model.change(c, move)
                largest = max(largest, size)
        first = max(first, largest)
        if largest <= MOVE_TOLERANCE**2 * first:
            break
        gradient = _newton_step(model, V, gradient, radius)
    return V - U


def _newton_step(model: Model, V: Float64Array, gradient: Float64Array, radius: Float64Array) -> Float64Array:
    """Move V by a Newton step, shortened until model and penalty fall; return the gradient there."""
    step = model.newton(V, gradient, radius)
    if step is None:
        return gradient
    bend = model.image(step)
    slope, curvature = float((gradient * step).sum()), float((bend * step).sum())
    before, t = radius @ np.sqrt((V**2).sum(axis=0)), 1.0
    for _ in range(10):
        after = radius @ np.sqrt(((V + t * step) ** 2).sum(axis=0))
        if t * slope + t * t * curvature / 2 + after - before < 0:
            V += t * step
            return np.asarray(gradient + t * bend)
        t /= 2
    return gradient


def _shrunk(v: Float64Array, radius: float) -> Float64Array:
    """Return v (q,) with its norm reduced by `radius`, at least to 0."""
    norm = float(np.sqrt(v @ v))
    return v * (1 - radius / norm) if norm > radius else np.zeros_like(v)
