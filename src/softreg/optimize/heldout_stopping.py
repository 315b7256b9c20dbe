"""Stops the fits of a cross-validation when their held-out losses have converged.

A fold is fitted for its score on the rows held out from it. The kept logits of a stack are those of all rows, so the
held-out loss of every member is available after each iteration without a product. A member ends when the movement that
remains, extrapolated from the last two iterations, is below the tolerance. (A gap of the training objective says little
about it: where a penalty is weak, a gap of 1e-6 nats has been seen to move the held-out loss by 3e-3.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.stack_state import StackState
from softreg.optimize.problem.result import Status
from softreg.optimize.solvers.descent_loop import Descent
from softreg.optimize.solvers.stack_members import keep_entries
from softreg.probability import block_loss as loss
from softreg.rows import Array, Block, Sums
from softreg.typing import BoolArray, Float64Array, IntArray

CHANCE_FACTOR = 8.0
"""The mean loss of some rows may stand still where gains and losses cancel by chance: it is taken to move by at least
`CHANCE_FACTOR / sqrt(rows)` of the mean movement of a row's loss. (Folds of digits are then within 3e-5 nats at
strengths down to 1e-6; by the movement of the mean alone they were 1e-3 off there.)"""
LEAVING_SHARE = 0.5
"""Members that have converged wait until this share of the stack has, and leave together: a certificate costs about as
much as an iteration."""
UNKNOWN_MOVEMENT = 1e300
"""The movement of a loss that has been evaluated once."""
UNKNOWN_LOSS = 1e30
"""The loss of a row that has not been evaluated, in float32."""
MIN_SHRINK, MAX_SHRINK, SHRINK_ITERATIONS = 0.5, 0.95, 5.0
"""Movements of a held-out loss are taken to shrink by factors in this range from one iteration to the next, and after t
iterations by no less than `1 - SHRINK_ITERATIONS / t`."""
REMAINING_FACTOR = 2.0
"""The remaining movement may be this multiple of the tolerance. (Measured with 2 and 5 `SHRINK_ITERATIONS`, five folds,
ten strengths from 1e-2 to 1e-6: all 50 scores of MNIST are then within 6e-5 nats, of letter within 1e-5; 49 of digits
and 48 of 8,000 images of MNIST are within 1e-4.)"""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutLoss:
    """Summed loss (m,) of the rows held out from each model, and its change; for kept logits in this process.

    `held_out_by` (L, n) is the member that each row evaluates in each layer, `place` its position in the stack or -1,
    and `count` (n,) the weight of each row. The rows' `losses` (L, n) and `logits` (L, n, q) are updated.
    """

    state: StackState
    place: Array
    held_out_by: Array
    count: Array
    losses: Array
    logits: Array
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        m = self.state.m
        total, moved = np.zeros((2, m))
        on = self.state.on(block)
        for layer, member in enumerate(self.held_out_by):
            at = self.place[member[block.start : block.stop]]
            chosen = np.flatnonzero(at >= 0)
            if len(chosen) == 0:
                continue
            o, at, rows = on.select(self.state.point, at[chosen], chosen), at[chosen], block.start + chosen
            self.logits[layer, rows] = o
            o = np.ascontiguousarray(o.T)[None]
            row_loss = loss.losses(o, block.labels[chosen])[1][0]
            change = np.abs(row_loss - self.losses[layer, rows])
            total += np.bincount(at, row_loss * self.count[rows], m)
            moved += np.bincount(at, change * self.count[rows], m)
            self.losses[layer, rows] = row_loss
        return total, moved


@dataclass(frozen=True)
class HeldOutLosses:
    """Mean held-out loss (m,) of each model in the stack, nan for none, and the mean movement (m,) of its rows'."""

    loss: Array
    movement: Array


class HeldOutRows:
    """The rows held out from each member, with their logits and losses of the last evaluation.

    Parameters
    ----------
    held_out_by : ndarray of shape (L, n)
        The member that each row evaluates in each layer, -1 for none.
    count : ndarray of shape (n,)
        Weight of each row in a held-out loss.
    q : int
    objective : Objective
        The objective of all m members.
    """

    def __init__(self, held_out_by: Array, count: Array, q: int, objective: Objective) -> None:
        self.held_out_by, self.count, self.m = held_out_by, count, objective.m
        self.logits = np.full((*held_out_by.shape, q), np.nan, dtype=objective.rows.dtype)
        self.losses = np.full(held_out_by.shape, UNKNOWN_LOSS, dtype=np.float32)
        of_member = [(held_out_by == j).any(axis=0) for j in range(self.m)]
        self.mass = np.array([count[rows].sum() for rows in of_member])
        self.rows = np.array([rows.sum() for rows in of_member])

    def evaluate(self, objective: Objective) -> HeldOutLosses:
        """Return the losses of the members still in the stack, at its kept logits."""
        place = np.full(self.m + 1, -1)  # the last entry stands for no member
        place[objective.members] = np.arange(objective.m)
        reduction = HeldOutLoss(objective.state, place, self.held_out_by, self.count, self.losses, self.logits)
        mass = self.mass[objective.members]
        means = [
            np.divide(total, mass, out=np.full(objective.m, np.nan), where=mass > 0)
            for total in objective.sum(reduction)
        ]
        return HeldOutLosses(*means)


def remaining_movement(before: Array, last: Array, iterations: Array) -> Array:
    """Return how far held-out losses will still move, if movements go on to shrink as they last have.

    A movement may be small by chance, so it counts as at least half the one before; and the more iterations it has
    taken, the slower it is taken to shrink.

    Parameters
    ----------
    before, last : ndarray of shape (m,)
        The movements of the last two iterations.
    iterations : ndarray of shape (m,)
        Iterations so far.

    Returns
    -------
    ndarray of shape (m,)

    Examples
    --------
    >>> remaining_movement(np.array([2e-5, 1e-5, 2e-5]), np.array([5e-6, 9e-6, 5e-6]), np.array([3, 3, 20])).round(7)
    array([1.0e-05, 8.1e-05, 3.0e-05])
    """
    least = np.maximum(MIN_SHRINK, 1 - SHRINK_ITERATIONS / np.maximum(iterations, 1.0))
    shrink = np.divide(last, before, out=np.zeros_like(last), where=before > 0)
    shrink = np.clip(shrink, least, np.maximum(MAX_SHRINK, least))
    return np.asarray(np.maximum(last, before / 2) * shrink / (1 - shrink))


@dataclass
class HeldOutMovements:
    """How far the held-out losses of the unfinished members have moved; a follower of `Members`."""

    loss: Float64Array
    """Held-out loss (m,) of the last evaluation."""
    iteration: IntArray
    """Iterations (m,) at the last evaluation."""
    before: Float64Array
    """Movement (m,) in nats of the iteration before the last."""
    last: Float64Array
    """Movement (m,) in nats of the last iteration."""

    @classmethod
    def unknown(cls, m: int) -> HeldOutMovements:
        """Return the movements of m members before their first evaluation."""
        loss, before, last = np.full((3, m), UNKNOWN_MOVEMENT)
        return cls(loss, np.zeros(m, dtype=np.int64), before, last)

    def drop_members(self, keep: BoolArray) -> None:
        """Keep only the members marked in `keep` (m,)."""
        keep_entries(self, keep)

    def update(self, loss: Float64Array, movement: Float64Array, iteration: IntArray) -> None:
        """Record an evaluation whose losses have moved by at least `movement` (m,), after these iterations (m,)."""
        latest = np.fmax(np.abs(loss - self.loss), movement)  # fmax ignores nan
        stepped = iteration > self.iteration
        self.before = np.where(stepped, self.last, self.before)
        self.last = np.where(stepped, latest, self.last)
        self.loss, self.iteration = loss, iteration

    def remaining(self) -> Float64Array:
        """Return how far the losses (m,) will still move."""
        return remaining_movement(self.before, self.last, self.iteration)


class HeldOutDescent(Descent):
    """A descent that ends when the held-out losses of all members have converged.

    Of a member without held-out rows, such as the model of all rows, the training loss is used.
    """

    def __init__(self, held_out: HeldOutRows, tolerance: float, objective: Objective, *rest: Any, **more: Any) -> None:
        super().__init__(objective, *rest, **more)
        self.held_out, self.tolerance = held_out, tolerance
        self.movements = HeldOutMovements.unknown(held_out.m)
        self.members.followers = (*self.members.followers, self.movements)
        self.converged = np.zeros(held_out.m, dtype=bool)
        """The members (m,) that ended by their held-out loss, by original position."""
        self._evaluate_held_out()

    def _evaluate_held_out(self) -> None:
        """Evaluate the held-out losses, and how far they have moved since the last iteration."""
        losses = self.held_out.evaluate(self.objective)
        loss = np.where(np.isnan(losses.loss), self.members.loss, losses.loss)
        share = np.minimum(1.0, CHANCE_FACTOR / np.sqrt(np.maximum(self.held_out.rows[self.members.positions], 1.0)))
        self.movements.update(loss, share * losses.movement, self.members.n_iter)

    def _keep_members(self, keep: Array) -> bool:
        if not keep.all():
            self.held_out.evaluate(self.objective)  # the certificate of members that leave has balanced their bias
        return super()._keep_members(keep)

    def _iterate(self, iteration: int) -> bool:
        """Take one step of all models in the stack; return False when none is left to improve."""
        if not super()._iterate(iteration):
            return False
        self._evaluate_held_out()
        done = self.movements.remaining() <= REMAINING_FACTOR * self.tolerance
        if self.tolerance == 0 or done.sum() < max(1, LEAVING_SHARE * len(done)):
            return True
        gap, bound = self._certified_gaps(np.full(self.objective.m, np.inf), last=True)
        self.members.record(done, Status.STOPPED, value=self._value(), gap=gap, bound=bound)
        self.converged[self.members.positions[done]] = True
        self._keep_members(~done)
        return len(self.members) > 0
