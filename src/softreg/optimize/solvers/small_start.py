"""A start near the minimum for few numbers, from compiled Newton steps; the method of the plan then proves the gap.

With few rows and columns the time of a fit is that of the calls from Python, some hundred in each iteration. Compiled
as a whole, Newton's method with conjugate gradients takes a tenth of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar

import numpy as np

from softreg.optimize.objective.base import Stack
from softreg.optimize.objective.hessian import Columns
from softreg.optimize.objective.stack_state import StackState
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.optimize.problem.result import Progress
from softreg.rows import Array, Block, DenseRows, SparseRows
from softreg.rows.kernels.small_newton import SmallFit, small_newton

MAX_NUMBERS = 65_536
"""Largest count of the standardised numbers n (d + 1), which are copied. Beyond, Newton steps by BLAS are faster:
4,726 x 31 with two classes 4.8 ms, and 7.2 with compiled steps."""
MAX_PRODUCT = 2_000_000
"""Largest count of multiplications n (d + 1) q of a product with the rows: beyond, the calls from Python matter less
than the products, which BLAS does faster."""
MAX_FACTORS = 33_000_000
"""Largest count of multiplications n (d + 1)^2 q / 2 of the preconditioner, without its factorisation."""
MAX_KINKED_NUMBERS = 65_536
"""Largest count n (d + 1) q, without q for two classes, with an l1 part: beyond, the method of the plan takes fewer
steps. Five classes, 1,000 rows with 40 correlated columns: 21 ms, and 145 with compiled steps."""
MAX_STEPS = 60
"""Newton steps; a fit that needs more is left to the method of the plan."""


@dataclass(frozen=True)
class SmallStart:
    """Parameters (1, q, d + 1) near the minimum, with the number of steps and their history."""

    theta: Array
    steps: int
    half_passes: int
    history: list[Progress]

    def moved(self, entry: Progress) -> Progress:
        """Return a record of the method that goes on, with its seconds counted from the start of the steps."""
        return replace(entry, seconds=entry.seconds + (self.history[-1].seconds if self.history else 0.0))

    def later(self, on_progress: Callable[[Progress], Any] | None) -> Callable[[Progress], Any] | None:
        """Return the function to be called with the records of the method that goes on."""
        return None if on_progress is None else lambda entry: on_progress(self.moved(entry))


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


def small_start(objective: Stack, theta: Array, goal: float, max_iter: int) -> SmallStart | None:
    """Return parameters at which the estimated gap is below the goal; None where the problem is not small.

    Parameters
    ----------
    objective : Stack
        A single model with an l2 and an l1 penalty that are the same for all classes.
    theta : ndarray of shape (1, q, d + 1)
        The start.
    goal : float
        Nats.
    max_iter : int
        Steps at most.

    Returns
    -------
    SmallStart or None
        None as well without compiled kernels, and where the steps end before the goal.
    """
    if not _is_small(objective):
        return None
    started = perf_counter()
    rows = objective.map(LabelledColumns(objective.state, Columns(objective)))
    kinked = Trait.SMOOTH not in objective.penalty.traits
    found = np.array(theta[0] if kinked and objective.q > 2 else theta[0] - theta[0].mean(axis=0), order="C")
    fit = small_newton(
        rows[:, :-2].T,
        rows[:, -2].astype(np.int64),
        rows[:, -1] / objective.mass[0],
        objective.ridge[0, 0],
        found,
        goal=goal,
        max_steps=min(max_iter, MAX_STEPS),
        kink=objective.l1_scaled[0, 0] if kinked else None,
    )
    if fit is None or not fit.converged:
        return None
    if kinked and objective.q == 2:
        _in_one_class(found, objective.ridge[0, 0], objective.l1_scaled[0, 0])
    history = _history(fit, objective.rows.n, objective.half_passes, perf_counter() - started)
    half_passes = 2 * (int(fit.products[-1]) + fit.steps + 1)
    return SmallStart(found[None], fit.steps, half_passes, history)


def _is_small(objective: Stack) -> bool:
    """Return True if the steps are possible and expected to save time."""
    rows, q, k = objective.rows, objective.q, objective.rows.d + 1
    if not isinstance(rows, DenseRows | SparseRows):
        return False
    possible = (
        objective.m == 1
        and rows.fits_in_memory
        and not rows.has_offset
        and _is_uniform(objective)
        and all(block.labels.ndim == 1 for block in rows.blocks)
    )
    numbers = rows.n * k
    if Trait.SMOOTH not in objective.penalty.traits and numbers * (1 if q == 2 else q) > MAX_KINKED_NUMBERS:
        return False
    factors = numbers * k * q / 2
    return possible and numbers <= MAX_NUMBERS and numbers * q <= MAX_PRODUCT and factors <= MAX_FACTORS


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


def _history(fit: SmallFit, n: int, half_passes: int, seconds: float) -> list[Progress]:
    """Return a record for each step; the seconds are shared evenly."""
    entries = []
    for step, (value, gap, products) in enumerate(zip(fit.values, fit.gaps, fit.products, strict=True)):
        halves = half_passes + 2 * (int(products) + step + 1)
        share = (step + 1) / max(1, fit.steps)
        entries.append(Progress((halves + 1) // 2, float(value), float(gap), seconds * share, halves * n // 2))
    return entries
