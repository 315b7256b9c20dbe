"""From rows to the optimum: coordinates, choice of solver, warm start, descent."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import numpy as np

from softreg.optimize.curvature.class_clusters import ClusterSketch
from softreg.optimize.curvature.subsampled import MAX_CLASSES, DiagonalSketch, Sketch, needs_diagonal
from softreg.optimize.dual.coordinate_ascent import DualResult, run_sdca
from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.recomputed import objective_for
from softreg.optimize.problem.penalties import Penalty
from softreg.optimize.problem.result import Progress, Solution, Status
from softreg.optimize.problem.standardization import Coordinates, standardise
from softreg.optimize.reduction.row_space import reduce, row_space_pays
from softreg.optimize.reduction.screened_fit import Order, on_few_columns
from softreg.optimize.reduction.screening import Weights, can_screen, diagonal_suffices
from softreg.optimize.solvers.certify import certify
from softreg.optimize.solvers.class_mean_start import from_class_means
from softreg.optimize.solvers.direction import DirectionMethod
from softreg.optimize.solvers.lbfgs import LBFGS, REVIEWS
from softreg.optimize.solvers.loop import Descent
from softreg.optimize.solvers.members import StackResult
from softreg.optimize.solvers.nested_newton import nested_newton
from softreg.optimize.solvers.newton import Newton
from softreg.optimize.solvers.orthant_lbfgs import OrthantLBFGS
from softreg.rows import Array, Rows, one_blas_thread

SOLVERS = ("auto", "newton", "lbfgs")
NEWTON_PARAMETERS = 125
"""Up to this many parameters, (q - 1) x (d + 1), an exact Hessian a step is cheaper than the steps that it saves."""
NEWTON_CLASSES = 12
"""Above this many classes the Hessian has too many blocks: one for each pair of contrasts."""
TALL_PARAMETERS, TALL = 500, 1000
"""With up to so many parameters and from so many rows a parameter on, Newton's method takes the Hessian of a sample."""
SAMPLE_SHARE = 10
"""The sample for warm starts and sketches is this part of the rows."""
WARM_STEPS = 12
"""Iterations on the sample, at most: its optimum is another one anyway (8 to 20 make no difference on MNIST)."""
REVIEWS_MANY = (1, 2, 4, 7, 12, 20, 40)
"""Iterations at which the clusters are taken anew: all that they need is known from the pass, so often is cheap."""
START_ROWS = 5000
"""So many rows (at least five of each class) tell how far to go in the direction of the class means."""
MANY_FEATURES = 2048
"""Up to this many columns, and to the root of rows times classes, the scatter within classes is made diagonal. That
takes 0.03 s for 512 columns and 1.3 s for 2,048, as much as some twenty passes where the second limit holds."""
SMALL = 20_000
"""Up to this many rows there is no warm start from a sample."""


def minimise(
    rows: Rows,
    n_classes: int,
    penalty: Penalty,
    *,
    fit_intercept: bool = True,
    solver: str = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    start: tuple[Array, Array] | None = None,
    seed: int = 0,
    on_progress: Callable[[Progress], Any] | None = None,
) -> tuple[Solution, ...]:
    """The minimum of mean cross-entropy + penalty for each model of a stack, with a certificate.

    Model j minimises `(1 / N_j) sum_i V_ij CE(Y_i, softmax(x_i W_j + b_j)) + penalty_j(W_j)` over W_j (d, q) and b_j
    (q,). Row weights V and labels come with `rows`; there are as many models as `penalty` has strengths. `tol` is in
    nats: a fit has converged when its value is proved to be within `tol` of the minimum. `start` is weights (m, d, q)
    and bias (m, q) to begin with.

    Example:
        >>> import numpy as np
        >>> from softreg.rows import as_rows
        >>> from softreg.optimize import l2
        >>> rows = as_rows(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1]))
        >>> fit, = minimise(rows, 2, l2(0.1))
        >>> fit.status.value, fit.gap <= 1e-6
        ('converged', True)
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver={solver!r} is not one of {', '.join(SOLVERS)}")
    if rows.n == 0:
        raise ValueError("there are no rows to fit to; at least one row is needed")
    with one_blas_thread():
        free = bool(penalty.is_zero.any())
        rows, coordinates = standardise(rows, centred=fit_intercept, robust=free)
        if free:
            coordinates.refuse_faint()
        if row_space_pays(rows, n_classes, penalty):
            small = reduce(rows, coordinates)
            found = minimise(
                small.rows,
                n_classes,
                penalty,
                fit_intercept=fit_intercept,
                solver=solver,
                tol=tol,
                max_iter=max_iter,
                start=None if start is None else small.start(*start),
                seed=seed,
                on_progress=on_progress,
            )
            return tuple(small.back(solution) for solution in found)
        order = Order(n_classes, penalty, fit_intercept, solver, tol, max_iter, seed, on_progress)
        if can_screen(rows, penalty):
            few, start = on_few_columns(rows, coordinates, order, start, optimum)
            if few is not None:
                return few
        return optimum(rows, coordinates, order, start)


def optimum(
    rows: Rows, coordinates: Coordinates, order: Order, start: Weights | None, few: bool = False
) -> tuple[Solution, ...]:
    """The minimum for rows in these coordinates; `few` says that they are some of the columns of others."""
    rows, name = _with_solver(rows, order.n_classes, order.penalty, order.solver)
    make = objective_for if name == "lbfgs" else Objective  # Newton's method looks at kept logits often
    objective = make(rows, order.n_classes, order.penalty, coordinates, order.fit_intercept)
    theta = _start(objective, coordinates, start)
    if few and diagonal_suffices(objective):
        strategy = OrthantLBFGS(DiagonalSketch(rows))
        more: dict[str, Any] = {"tol": order.tol, "max_iter": order.max_iter, "on_progress": order.on_progress}
        outcome = Descent(objective, strategy, theta, **more).run()
    else:
        rest = (order.tol, order.max_iter, order.seed, start is None, order.on_progress)
        outcome = _descend(objective, theta, name, *rest)
    certify(objective, order.penalty, outcome, order.tol)
    return tuple(_solution(objective, coordinates, outcome, j) for j in range(len(theta)))


def _with_solver(rows: Rows, n_classes: int, penalty: Penalty, solver: str) -> tuple[Rows, str]:
    """The solver of one fit, and the rows as it wants them."""
    name = choose(rows, n_classes, penalty, solver)
    if solver == "auto" and is_tall(rows, n_classes, penalty):
        name = "newton"
    if name == "newton" and rows.reduced_precision:  # few steps, each of which brings many digits
        rows = rows.with_higher_precision()
    return rows, name


def choose(rows: Rows, n_classes: int, penalty: Penalty, solver: str = "auto") -> str:
    """The solver for this shape: Newton for few parameters and smooth penalties, else L-BFGS.

    Example:
        >>> import numpy as np
        >>> from softreg.rows import as_rows
        >>> from softreg.optimize import l2
        >>> choose(as_rows(np.zeros((9, 3)), np.zeros(9, int)), 2, l2(1.0))
        'newton'
    """
    if not penalty.is_smooth:
        if solver == "newton":
            raise ValueError("solver='newton' needs a smooth penalty; an l1 part needs solver='lbfgs' or 'auto'")
        return "lbfgs"
    if solver != "auto":
        return solver
    few = n_classes <= NEWTON_CLASSES and (n_classes - 1) * (rows.d + 1) <= NEWTON_PARAMETERS
    return "newton" if few else "lbfgs"


def is_tall(rows: Rows, n_classes: int, penalty: Penalty) -> bool:
    """Whether there are so many rows that the Hessian of a sample does for all: a step then costs one reading.

    Example:
        >>> import numpy as np
        >>> from softreg.rows import as_rows
        >>> from softreg.optimize import l2
        >>> is_tall(as_rows(np.zeros((9, 3)), np.zeros(9, int)), 2, l2(1.0))
        False
    """
    parameters = (n_classes - 1) * (rows.d + 1)
    small = n_classes <= NEWTON_CLASSES and parameters <= TALL_PARAMETERS
    return small and rows.n >= TALL * parameters and bool((penalty.strong_convexity > 0).all()) and penalty.is_smooth


def _start(objective: Objective, coordinates: Coordinates, start: tuple[Array, Array] | None) -> Array:
    if start is None:
        return np.zeros((objective.m, objective.q, objective.rows.d + 1))
    W, b = start
    return coordinates.from_user(np.moveaxis(np.asarray(W, dtype=np.float64), 1, 2), np.asarray(b, dtype=np.float64))


def sampled(rows: Rows, seed: int) -> Rows:
    """A tenth of the rows, or some thousands where that is more; few rows as they are."""
    return (
        rows
        if rows.n <= SMALL // 4 and rows.fits_in_memory
        else rows.sample(max(SMALL // 4, rows.n // SAMPLE_SHARE), seed)
    )


def _descend(
    objective: Objective,
    theta: Array,
    name: str,
    tol: float,
    max_iter: int,
    seed: int,
    cold: bool,
    on_progress: Callable[[Progress], Any] | None,
) -> StackResult:
    if name == "lbfgs" and many_classes(objective):
        if cold:
            theta = from_class_means(objective, objective.rows.sample(START_ROWS, seed))
        clusters = LBFGS(ClusterSketch(), REVIEWS_MANY)
        return Descent(objective, clusters, theta, tol=tol, max_iter=max_iter, on_progress=on_progress).run()
    if name == "newton" and (objective.penalty.strong_convexity > 0).all():
        return nested_newton(
            objective, theta, tol=tol, max_iter=max_iter, seed=seed, cold=cold, on_progress=on_progress
        )
    if name == "lbfgs":
        begin = None if cold else _weights(objective, theta)
        summit = run_sdca(objective, tol, seed, on_progress, begin)
        if summit is not None and (summit.gap <= tol).all():
            return _climbed(summit)
        cold, theta = (cold, theta) if summit is None else (False, summit.theta)
    big = cold and objective.rows.n > SMALL
    sample = (
        sampled(objective.rows, seed)
        if big or (name == "lbfgs" and not needs_diagonal(objective.rows))
        else objective.rows
    )
    if big:
        theta = warm(objective, name, sample, theta, tol)
    strategy = _strategy(objective, name, sample, REVIEWS)
    return Descent(objective, strategy, theta, tol=tol, max_iter=max_iter, on_progress=on_progress).run()


def _weights(objective: Objective, theta: Array) -> tuple[Array, Array]:
    """Weights (m, d, q) and bias (m, q) of the user's columns."""
    W, b = objective.user(theta)
    return np.moveaxis(W, 1, 2), b


def _climbed(summit: DualResult) -> StackResult:
    m = len(summit.gap)
    return StackResult(
        theta=summit.theta,
        value=summit.value,
        gap=summit.gap,
        bound=["duality"] * m,
        status=[Status.CONVERGED] * m,
        n_iter=summit.sweeps,
        separation=[None] * m,
        history=list(summit.history),
    )


def _strategy(objective: Objective, name: str, sample: Rows, reviews: Container[int]) -> DirectionMethod:
    if name == "newton":
        return Newton()
    return (LBFGS if objective.penalty.is_smooth else OrthantLBFGS)(Sketch(sample), reviews)


def many_classes(objective: Objective) -> bool:
    """Whether classes are too many for a factor of the curvature each, and columns few enough for a common basis."""
    n, d, q = objective.rows.n, objective.rows.d, objective.q
    return q > MAX_CLASSES and d <= MANY_FEATURES and d**2 <= n * q and objective.penalty.is_smooth


def warm(objective: Objective, name: str, sample: Rows, theta: Array, tol: float = 0.0) -> Array:
    """The answer for a sample of the rows: a start that costs a tenth of a pass a step."""
    few = objective_for(sample, objective.q, objective.penalty, objective.coordinates, objective.fit_intercept)
    few.members = objective.members.copy()
    strategy = _strategy(objective, name, sample, ())  # a new sketch costs more than it saves here
    return Descent(few, strategy, theta, tol=max(tol, 1e-3), max_iter=WARM_STEPS, certify=False).run().theta


def _solution(objective: Objective, coordinates: Coordinates, outcome: StackResult, j: int) -> Solution:
    with np.errstate(over="ignore", invalid="ignore"):
        W, b = coordinates.to_user(outcome.theta[j : j + 1])
    _refuse_overflow(W[0], b[0], coordinates)
    return Solution(
        W=np.ascontiguousarray(W[0].T),
        b=b[0],
        value=float(outcome.value[j]),
        gap=float(outcome.gap[j]),
        bound=outcome.bound[j],
        status=outcome.status[j],
        passes=objective.passes,
        n_iter=int(outcome.n_iter[j]),
        history=tuple(outcome.history),
        separation=outcome.separation[j],
    )


def _refuse_overflow(W: Array, b: Array, coordinates: Coordinates) -> None:
    """Raise `ValueError` where weights (q, d) or bias (q,) of the user's columns are beyond float64."""
    if np.isfinite(W).all() and np.isfinite(b).all():
        return
    column = int(np.argmin(coordinates.scale))
    raise ValueError(
        f"the weights are beyond float64, because column {column} varies by only {coordinates.scale[column]:.0e}. "
        f"Multiply the column by a power of ten, or leave it out."
    )
