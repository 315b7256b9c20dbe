"""The minimum for few numbers, from compiled Newton steps, with its duality gap.

With few rows and columns the time of a fit is that of the calls from Python, some hundred in each iteration. Compiled
as a whole, Newton's method takes a tenth of it. Where its gap is not below the tolerance, the method of the plan goes
on from its parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from softreg.optimize.certificate.duality import BALANCED, gap_of
from softreg.optimize.objective.base import Stack
from softreg.optimize.objective.hessian import Columns
from softreg.optimize.objective.stack_state import StackState
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.optimize.problem.result import Progress, Status
from softreg.optimize.solvers.stack_members import StackResult
from softreg.probability.block_loss import mixed_entropy
from softreg.rows import Array, Block, DenseRows, SparseRows
from softreg.rows.kernels.small_newton import PADDING, SmallFit, small_newton, standard_columns

MAX_NUMBERS = 65_536
"""Largest count of the standardised numbers n (d + 1), which are copied, in place of Newton steps by BLAS with one pass
a step."""
MAX_PRODUCT = 2_000_000
"""Largest count of multiplications n (d + 1) q of a product with the rows: beyond, the calls from Python matter less
than the products, which BLAS does faster."""
MAX_HESSIAN = 2_500_000_000
"""Largest count of multiplications n p^2 / 2 of a Hessian of more than two classes, p = (d + 1) q: beyond, the
preconditioner, whose blocks are those of single classes, is formed too slowly for the steps that it saves."""
MAX_TWO_CLASS_NUMBERS, MAX_TWO_CLASS_COLUMNS = 1_000_000, 256
"""Largest counts of numbers n (d + 1) and of columns d + 1 up to which steps of two classes replace L-BFGS. 2,000 rows
of 200 columns: 5 ms, and 8 to 20 with L-BFGS; 1,000 rows of 1,000 columns: 60 to 270 ms, and 65 to 160."""
FEW_KINKED_NUMBERS, MAX_KINKED_NUMBERS, MAX_KINKED_HESSIAN = 65_536, 1_000_000, 50_000_000
"""With an l1 part, counts n p up to which compiled steps are used in any case and at most, and the largest count of
multiplications n p^2 of a Hessian in between, p = (d + 1) q, or d + 1 for two classes: beyond, the method of the plan
takes fewer steps. Five classes, 2,000 rows of 20 columns: 3 to 18 ms, and 6 to 83 by the method of the plan; 500 rows
of 100 correlated columns: 79 and 38."""
MAX_BLOCKS, MAX_KINKED_FACTORS = 1 << 22, 33_000_000
"""Largest counts of numbers (d + 1)^2 q of the blocks of the classes (32 MB) and, with an l1 part, of multiplications
n (d + 1)^2 q / 2 for them."""
MAX_EXACT_NUMBERS, MAX_EXACT_COLUMNS, MAX_EXACT_HESSIAN = 1 << 20, 140, 20_000_000
"""Largest counts of numbers n (d + 1), of columns d + 1 and of multiplications n (d + 1)^2 / 2 of a Hessian up to which
two classes have exact Newton steps. On one core, 30,000 x 30: 7 to 9 ms, and 10 to 14 with nested samples."""
MAX_STEPS = 60
"""Newton steps; a fit that needs more is left to the method of the plan."""
GOAL = 0.1
"""The first goal is this part of the squared tolerance: a Newton step at a gap g leads to one of about g^2."""
LEAST_GOAL = 1e-24
"""Least goal with an l1 part, whose gap is linear in the errors of the gradient: it is about the root of the goal."""
CLOSER = 1e-4
"""Part of the goal to which the steps go on where the gap is not proved."""
ALIASED = 512
"""Rows whose multiples get a few more of weight 0: columns a power of two apart share places of the cache."""


@dataclass(frozen=True)
class SmallStart:
    """Parameters (1, q, d + 1) near the minimum, with the number of steps and their history.

    `value` is the objective and `gap` its proved distance to the minimum, which is inf without a proof.
    """

    theta: Array
    steps: int
    half_passes: int
    history: list[Progress]
    value: float = math.nan
    gap: float = math.inf
    proof_first: bool = False
    """Whether a proof of the gap is to be tried before a further step."""

    def moved(self, entry: Progress) -> Progress:
        """Return a record of the method that goes on, with its seconds counted from the start of the steps."""
        return replace(entry, seconds=entry.seconds + (self.history[-1].seconds if self.history else 0.0))

    def later(self, on_progress: Callable[[Progress], Any] | None) -> Callable[[Progress], Any] | None:
        """Return the function to be called with the records of the method that goes on."""
        return None if on_progress is None else lambda entry: on_progress(self.moved(entry))

    def result(self) -> StackResult:
        """Return the result of a fit whose gap is proved to be below the tolerance."""
        return StackResult(
            theta=self.theta,
            value=np.array([self.value]),
            gap=np.array([self.gap]),
            bound=["duality"],
            status=[Status.CONVERGED],
            n_iter=np.array([self.steps]),
            separation=[None],
            history=list(self.history),
        )


@dataclass(frozen=True, slots=True, eq=False)
class LabelledColumns:
    """Standardised columns (b, d + 1), labels and row weights of a single model, side by side."""

    state: StackState
    columns: Columns
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Array:
        """Return the numbers (b, d + 3) of one block."""
        Z, V = self.columns.whole(block), self.state.weights(block)
        out = np.empty((Z.shape[1], len(Z) + 2))
        out[:, :-2], out[:, -2], out[:, -1] = Z.T, block.labels, 1.0 if V is None else V[0]
        return out


@dataclass(frozen=True)
class SmallRows:
    """Standardised columns (d + 1, n), labels (n,) and weights (n,) of sum 1, with rows of weight 0 at the end."""

    Z: Array
    codes: Array
    weights: Array
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.float64)

    @classmethod
    def of(cls, objective: Stack) -> SmallRows:
        """Return the rows of a single model in float64."""
        rows, n = objective.rows, objective.rows.n
        size = n + -n % PADDING
        size += PADDING * (size % ALIASED == 0)
        Z, codes, weights = np.zeros((rows.d + 1, size)), np.zeros(size, dtype=np.int64), np.zeros(size)
        if type(rows) is DenseRows and rows.shift is None and rows.dtype == rows.X.dtype:
            shift, scale = objective.coordinates.for_block()
            if standard_columns(rows.X, shift, scale, float(objective.fit_intercept), 0, Z):
                codes[:n] = rows.labels
                weights[:n] = 1.0 if rows.weights is None else rows.weights[0]
                weights /= objective.mass[0]
                return cls(Z, codes, weights)
        exact = rows if rows.dtype == np.float64 else rows.with_higher_precision()
        found = exact.map(LabelledColumns(objective.state, Columns(objective)))
        Z[:, :n], codes[:n], weights[:n] = found[:, :-2].T, found[:, -2], found[:, -1]
        weights /= objective.mass[0]
        return cls(Z, codes, weights)


@dataclass(frozen=True)
class SmallLogits:
    """Logits (q, n) of small rows, of which a certificate asks the entropy."""

    rows: SmallRows
    logits: Array

    def entropy(self, shift: Array, share: Array) -> Array:
        """Return the mean (1,) of the entropy of `Q = Y + share * (P - Y)` at the logits plus `shift` (1, q)."""
        o = self.logits[None] + shift[..., None]
        return mixed_entropy(o, self.rows.codes, self.rows.weights[None], share)


def small_start(
    objective: Stack, theta: Array, tol: float, goal: float, max_iter: int, *, many_steps: bool = False
) -> SmallStart | None:
    """Return parameters whose gap is proved, or estimated to be below the goal; None where the problem is not small.

    Parameters
    ----------
    objective : Stack
        A single model with an l2 and an l1 penalty that are the same for all classes.
    theta : ndarray of shape (1, q, d + 1)
        The start.
    tol : float
        Nats: a gap that is to be proved.
    goal : float
        Nats: estimated gap at which the steps end at the latest.
    max_iter : int
        Steps at most.
    many_steps : bool
        Whether the plan's method calls Python many times: compiled steps then save time for more numbers.

    Returns
    -------
    SmallStart or None
        None as well without compiled kernels, and where the steps end before the goal.
    """
    exact = _has_exact_steps(objective)
    if not _is_possible(objective) or not (exact or _is_small(objective, many_steps)):
        return None
    started = perf_counter()
    with objective.meter.passes():
        rows = SmallRows.of(objective)
    kink = None if Trait.SMOOTH in objective.penalty.traits else objective.l1_scaled[0, 0]
    centred = kink is None or objective.q == 2
    found = np.array(theta[0] - theta[0].mean(axis=0) if centred else theta[0], order="C")
    ridge = objective.ridge[0, 0].copy()
    ridge[-1] = 0.0 if objective.fit_intercept or kink is not None else 1.0  # the column of the bias is 0 then
    task = SmallTask(objective, rows, ridge, kink, exact, started)
    first = max(goal, min(tol, GOAL * tol * tol))
    last = goal if kink is None else min(goal, max(GOAL * tol * tol, LEAST_GOAL))
    start = task.approach(found, tol, first, last, min(int(max_iter), MAX_STEPS))
    if kink is not None and objective.q == 2:
        _in_one_class(found, objective.ridge[0, 0], kink)
    return start


@dataclass(frozen=True)
class SmallTask:
    """What compiled steps minimise, and when that began."""

    objective: Stack
    rows: SmallRows
    ridge: Array
    kink: Array | None
    exact: bool
    started: float

    def approach(self, theta: Array, tol: float, first: float, last: float, most: int) -> SmallStart | None:
        """Return the start at `theta` (q, d + 1), which is changed, after steps to one goal after another.

        Parameters
        ----------
        theta : ndarray of shape (q, d + 1)
            The start and the result.
        tol : float
            Gap to be proved.
        first, last : float
            First and last goal.
        most : int
            Steps at most.

        Returns
        -------
        SmallStart or None
            None where the steps fail.
        """
        objective, rows = self.objective, self.rows
        n, steps, halves, history, goal = objective.rows.n, 0, objective.half_passes, list[Progress](), first
        while True:
            with objective.meter.passes():
                fit = self._steps(theta, goal, most - steps)
            if fit is None or not (fit.converged or history):
                return None
            begin = history[-1].seconds if history else 0.0
            history += _history(fit, n, halves, begin, perf_counter() - self.started)
            steps, halves = steps + fit.steps, halves + 2 * (int(fit.products[-1]) + fit.steps + 1)
            with objective.meter.certificate():
                value, gap = _certified(objective, rows, fit, theta)
            if gap <= tol or goal <= last or steps >= most or not fit.converged:
                break
            goal = max(last, CLOSER * goal)
        if gap <= tol:
            history.append(Progress((halves + 1) // 2, value, gap, perf_counter() - self.started, halves * n // 2))
        return SmallStart(theta[None], steps, halves - objective.half_passes, history, value, gap)

    def _steps(self, theta: Array, goal: float, most: int) -> SmallFit | None:
        """Take steps to a goal."""
        return small_newton(
            self.rows.Z,
            self.rows.codes,
            self.rows.weights,
            self.ridge,
            theta,
            goal=float(goal),
            max_steps=most,
            kink=self.kink,
            exact=self.exact,
            balanced=bool(self.objective.fit_intercept),
            with_logits=self.kink is not None,
        )


def _certified(objective: Stack, rows: SmallRows, fit: SmallFit, theta: Array) -> tuple[float, float]:
    """Return the objective and its proved distance to the minimum, inf without a proof."""
    W, _ = objective.user(theta[None])
    A = fit.gradient[None, :, :-1] * objective.coordinates.scale
    A[..., objective.coordinates.constant] = 0.0
    penalty, loss = objective.penalty, np.array([fit.loss])
    value = float(fit.loss + penalty.value(W)[0])
    if objective.fit_intercept and not np.abs(fit.gradient[:, -1]).max() <= BALANCED:
        return value, np.inf
    if fit.logits is None:  # without an l1 part
        return value, float(penalty.fenchel_gap(A, W)[0])
    gap = gap_of(SmallLogits(rows, fit.logits), penalty, np.zeros((1, objective.q)), loss, A, W)
    return value, float(gap[0])


def _has_exact_steps(objective: Stack) -> bool:
    """Return True if the model has two classes, a smooth penalty, and few columns for exact Hessians."""
    n, k = objective.rows.n, objective.rows.d + 1
    few = n * k <= MAX_EXACT_NUMBERS and k <= MAX_EXACT_COLUMNS and n * k * k / 2 <= MAX_EXACT_HESSIAN
    return few and objective.q == 2 and Trait.SMOOTH in objective.penalty.traits


def _is_possible(objective: Stack) -> bool:
    """Return True if the compiled steps can minimise the objective."""
    rows = objective.rows
    if not isinstance(rows, DenseRows | SparseRows):
        return False
    return (
        objective.m == 1
        and rows.fits_in_memory
        and not rows.has_offset
        and _is_uniform(objective)
        and all(block.labels.ndim == 1 for block in rows.blocks)
    )


def _is_small(objective: Stack, many_steps: bool) -> bool:
    """Return True if compiled steps by conjugate gradients, or with an l1 part, are expected to save time."""
    n, q, k = objective.rows.n, objective.q, objective.rows.d + 1
    if k * k * q > MAX_BLOCKS:
        return False
    if Trait.SMOOTH not in objective.penalty.traits:
        p = k if q == 2 else k * q
        few = n * p <= FEW_KINKED_NUMBERS and n * k * k * q / 2 <= MAX_KINKED_FACTORS
        return few or (n * p <= MAX_KINKED_NUMBERS and n * p * p <= MAX_KINKED_HESSIAN)
    if many_steps and q == 2:
        return n * k <= MAX_TWO_CLASS_NUMBERS and k <= MAX_TWO_CLASS_COLUMNS
    few = n * k <= MAX_NUMBERS or many_steps
    return few and n * k * q <= MAX_PRODUCT and n * (k * q) ** 2 / 2 <= MAX_HESSIAN


def _is_uniform(objective: Stack) -> bool:
    """Return True if the penalty is the same for all classes, has a minimum and leaves the weights free."""
    penalty, traits = objective.penalty, objective.penalty.traits
    smooth = Trait.SMOOTH in traits and Trait.STRONGLY_CONVEX in traits
    kinked = Trait.SEPARABLE in traits and Trait.SELECTS_COLUMNS in traits and objective.l1_scaled.shape[1] == 1
    free = objective.center is None and penalty.bounds is None and penalty.support is None
    return objective.ridge.shape[1] == 1 and free and (smooth or kinked)


def _in_one_class(theta: Array, ridge: Array, kink: Array) -> None:
    """Move the weights of two classes without an l2 part, -u/2 and u/2, to one class: the l1 part is the same."""
    columns = (ridge == 0) & (kink > 0)
    u = theta[1, columns] - theta[0, columns]
    theta[:, columns] = np.maximum(-u, 0.0), np.maximum(u, 0.0)


def _history(fit: SmallFit, n: int, half_passes: int, begin: float, end: float) -> list[Progress]:
    """Return a record for each step; the seconds between begin and end are shared evenly."""
    entries, share = [], (end - begin) / max(1, fit.steps)
    for step, (value, gap, products) in enumerate(zip(fit.values, fit.gaps, fit.products, strict=True)):
        halves = half_passes + 2 * (int(products) + step + 1)
        seconds = begin + share * (step + 1)
        entries.append(Progress((halves + 1) // 2, float(value), float(gap), seconds, halves * n // 2))
    return entries
