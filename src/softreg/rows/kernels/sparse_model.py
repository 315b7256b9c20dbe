"""Weights of sparse columns with an l1 part: the minimum of a quadratic model, and proximal Newton steps, compiled.

There is no version in NumPy: without compiled kernels the columns are copied as dense ones, for which
`rows.kernels.coordinate_sweeps` has one, and the steps are those of `optimize.solvers.proximal_newton`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.rows.kernels import products as kernels
from softreg.rows.kernels.coordinate_sweeps import Weights
from softreg.rows.kernels.small_newton import PADDING, FitSteps
from softreg.typing import Float64Array, FloatArray, IntArray


@dataclass(frozen=True)
class SparseColumns:
    """Standardised columns: stored numbers times a factor, and what is added in all rows."""

    data: FloatArray
    """Stored numbers, column by column."""
    indices: IntArray
    """Their rows, int32."""
    indptr: IntArray
    """First stored number (k + 1,) of each column, int64."""
    inverse: Float64Array
    """Factor (k,) of each column; 0 for a column that never varies."""
    zero: Float64Array
    """Standardised value (k,) of a number that is not stored."""

    @property
    def arguments(self) -> tuple[FloatArray, IntArray, IntArray, Float64Array, Float64Array]:
        """The arrays as the kernels take them."""
        return self.data, self.indices, self.indptr, self.inverse, self.zero


@dataclass(frozen=True)
class SparseModel:
    """A Hessian as a sum over n rows, and the gradient at the start."""

    columns: SparseColumns
    P: Float64Array | None
    """Probabilities (q, n); None where the classes are not coupled."""
    C: Float64Array
    """Probabilities times the weights of the rows (q, n), or the curvature of the logits without coupling."""
    group: IntArray
    """Class (f,) of each weight."""
    column: IntArray
    """Column (f,) of each weight."""
    gradient: Float64Array
    """Gradient (f,) at the start."""
    ridge: Float64Array
    """Curvature (f,) of the l2 part."""


@dataclass(frozen=True)
class Effort:
    """How closely a model is minimised."""

    rounds: int = 6
    """Rounds of sweeps and a Newton step, at most."""
    sweeps: int = 2
    """Sweeps before each Newton step."""
    tolerance: float = 0.05
    """Largest move of a sweep, relative to the largest one, at which the model counts as minimised."""
    steps: int = 20
    """Conjugate gradient steps for a Newton step, at most."""
    residual: float = 0.1
    """Residual at which they stop, in the norm of the preconditioner and relative to the right-hand side."""

    @property
    def arguments(self) -> tuple[int, int, int, float, float]:
        """The numbers as the kernels take them."""
        return self.rounds, self.sweeps, self.steps, self.tolerance, self.residual


def can_minimise_sparse() -> bool:
    """Return whether the kernel is compiled."""
    return kernels._module is not None


def minimise_sparse(model: SparseModel, weights: Weights, effort: Effort, whole: IntArray | None = None) -> float:
    """Move the weights to the minimum of model and penalty.

    Parameters
    ----------
    model : SparseModel
    weights : Weights
        The weights at its start, which are changed.
    effort : Effort
    whole : array of int of shape (c, q), optional
        The weights of the columns that have those of all classes, if a shift common to the classes has no curvature.

    Returns
    -------
    float
        Stored numbers that were read.

    Examples
    --------
    >>> free, one = np.full(1, np.inf), np.ones(1)
    >>> weights, at = Weights(np.zeros(1), one, -free, free), np.zeros(1, dtype=np.int64)
    >>> rows, first = np.zeros(1, dtype=np.int32), np.array([0, 1])
    >>> columns = SparseColumns(np.ones(1), rows, first, one, np.zeros(1))
    >>> model = SparseModel(columns, None, np.array([[1.0, 1.0]]), at, at, -3 * one, 0 * one)
    >>> if can_minimise_sparse():
    ...     read = minimise_sparse(model, weights, Effort())
    ... else:
    ...     weights.x[0] = 2.0
    >>> weights.x.tolist()
    [2.0]
    """
    if whole is None:
        whole = np.zeros((0, len(model.C)), dtype=np.int64)
    return float(
        kernels._module.minimise_sparse(
            *model.columns.arguments,
            model.P,
            model.C,
            model.group,
            model.column,
            np.ascontiguousarray(whole, dtype=np.int64),
            model.gradient,
            model.ridge,
            weights.x,
            weights.kink,
            weights.low,
            weights.high,
            effort.arguments,
        )
    )


@dataclass(frozen=True)
class SparseTask:
    """A softmax regression on sparse columns, the last one for the bias, with coefficients alike for all classes."""

    columns: SparseColumns
    codes: IntArray
    """Labels (n,)."""
    weights: Float64Array
    """Weights (n,) of the rows, of sum 1."""
    ridge: Float64Array
    """Coefficients (k,) of `x**2 / 2`."""
    kink: Float64Array
    """Coefficients (k,) of `|x|`; 0 for the bias."""


def fit_sparse(
    task: SparseTask,
    x: Float64Array,
    effort: Effort,
    *,
    goal: float,
    tolerance: float,
    max_steps: int,
    first_weights: int,
) -> FitSteps:
    """Take proximal Newton steps until the duality gap is within the tolerance, or its estimate below the goal.

    Parameters
    ----------
    task : SparseTask
    x : ndarray of shape (q, k) or (1, k)
        The start, which is replaced; of two classes, the difference of their parameters.
    effort : Effort
    goal : float
        Nats: the step at an estimated gap below this is the last one.
    tolerance : float
        Nats: the largest duality gap, but for the balance of the bias.
    max_steps : int
    first_weights : int
        Weights that may become other than 0 in one step, or as many as are.

    Returns
    -------
    FitSteps
        Its `products` are the stored numbers that were read until then, in units of a product with all classes.

    Examples
    --------
    >>> columns = SparseColumns(
    ...     np.ones(2), np.array([1, 2], dtype=np.int32), np.array([0, 2, 2]), np.ones(2), np.array([0.0, 1.0])
    ... )
    >>> task = SparseTask(columns, np.array([0, 1, 1]), np.ones(3) / 3, np.zeros(2), np.array([0.1, 0.0]))
    >>> x = np.zeros((1, 2))
    >>> fit = can_minimise_sparse() and fit_sparse(
    ...     task, x, Effort(), goal=1e-12, tolerance=1e-9, max_steps=50, first_weights=100
    ... )
    >>> bool(not fit or (fit.converged and x[0, 0] > 0 > x[0, 1]))
    True
    """
    more = -len(task.codes) % PADDING
    history = np.zeros((3, max_steps + 1))
    end = kernels._module.sparse_fit(
        *task.columns.arguments,
        np.concatenate([task.codes, np.zeros(more, dtype=np.int64)]),
        np.concatenate([task.weights, np.zeros(more)]),
        np.ascontiguousarray(task.ridge),
        np.ascontiguousarray(task.kink),
        x,
        history,
        goal,
        tolerance,
        first_weights,
        effort.arguments,
    )
    steps = end if end >= 0 else -1 - end
    values, gaps, read = history[:, : max(steps, 1)]
    products = read / max(1, len(task.columns.data) * len(x))
    return FitSteps(values=values, gaps=gaps, products=products, steps=steps, converged=end >= 0)
