"""When a fold has been fitted well enough: the held-out losses of a stack, looked at after each step.

A fold of cross-validation is fitted for its score on the rows held out from it. The kept logits of a stack are those of
all rows, so the held-out loss of every member is at hand after each step, without a product: a member is settled when
what is left of its movement, judged by the last two steps, is less than it needs to be known. (A bound of the training
objective says little of it: where a penalty is weak, a gap of 1e-6 nats has been seen to move the held-out loss by
3e-3.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.stack_state import StackState
from softreg.optimize.problem.result import Status
from softreg.optimize.solvers.loop import Descent
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Sums

BY_CHANCE = 8.0
"""The mean loss of some rows stands still where gains and losses cancel by chance, which they will not do for long: it
is taken to move by at least `BY_CHANCE / sqrt(rows)` of the mean movement of a row's. (Folds of digits are then within
3e-5 nats at strengths down to 1e-6; by the movement of the mean alone they were 1e-3 off there.)"""
LEAVE = 0.5
"""Settled members wait until this part of the stack is, and leave together: a proof costs about as much as a step."""
UNKNOWN = 1e300
"""The movement of a loss that has been looked at but once."""
UNSEEN = 1e30
"""The loss of a row that has not been looked at, in float32."""
LEAST_SHRINK, MOST_SHRINK, AGE = 0.5, 0.95, 5.0
"""Movements of a held-out loss are taken to shrink by factors in between, from one step to the next, and after t steps
by no less than `1 - AGE / t`: what has taken long goes on for long."""
TIMES = 2.0
"""What is left of the movement may be so many times the change that counts as none. (Measured with 2 and an AGE of 5,
five folds, ten strengths from 1e-2 to 1e-6: all 50 scores of MNIST are then within 6e-5 nats, of letter within 1e-5; 49
of digits and 48 of 8,000 images of MNIST are within 1e-4.)"""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutLoss:
    """Summed loss (m,) of the rows that judge each model, and its change; for kept logits in this process.

    `judge` (L, n) names the member that each row judges in each layer, `place` its position in the stack or -1, and
    `count` (n,) the weight of each row. The rows' `losses` (L, n) and `logits` (L, n, q) are brought up to date.
    """

    state: StackState
    place: Array
    judge: Array
    count: Array
    losses: Array
    logits: Array
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        m = self.state.m
        total, moved = np.zeros((2, m))
        on = self.state.on(block)
        for layer, judge in enumerate(self.judge):
            at = self.place[judge[block.start : block.stop]]
            chosen = np.flatnonzero(at >= 0)
            if len(chosen) == 0:
                continue
            o, at, rows = on.select(self.state.point, at[chosen], chosen), at[chosen], block.start + chosen
            self.logits[layer, rows] = o
            o = np.ascontiguousarray(o.T)[None]
            lost = loss.losses(o, block.labels[chosen])[1][0]
            change = np.abs(lost - self.losses[layer, rows])
            total += np.bincount(at, lost * self.count[rows], m)
            moved += np.bincount(at, change * self.count[rows], m)
            self.losses[layer, rows] = lost
        return total, moved


class Watch:
    """The mean held-out loss (m,) of each member after each step, how far it has moved, and the logits behind it."""

    def __init__(self, judge: Array, count: Array, q: int, objective: Objective) -> None:
        self.judge, self.count, self.members = judge, count, objective.m
        self.logits = np.full((*judge.shape, q), np.nan, dtype=objective.rows.dtype)
        self.losses = np.full(judge.shape, UNSEEN, dtype=np.float32)
        mine = [(judge == j).any(axis=0) for j in range(self.members)]
        self.mass, self.rows = np.array([count[rows].sum() for rows in mine]), np.array([rows.sum() for rows in mine])

    def __call__(self, objective: Objective) -> tuple[Array, Array]:
        """Mean losses (m,) of the members still in the stack, and how far those of their rows move; nan for none."""
        place = np.full(self.members + 1, -1)  # the last entry stands for "nobody"
        place[objective.members] = np.arange(objective.m)

        reduction = HeldOutLoss(objective.state, place, self.judge, self.count, self.losses, self.logits)
        sums = objective.sum(reduction)
        mass = self.mass[objective.members]
        told = [np.divide(a, mass, out=np.full(objective.m, np.nan), where=mass > 0) for a in sums]
        return told[0], told[1]


def left_to_move(before: Array, last: Array, steps: Array) -> Array:
    """How far a held-out loss (m,) will still move, if movements go on to shrink as the last has from the one before.

    A movement may be small by chance, so it counts as at least half the one before; and never is all over at once, the
    less so the more steps (m,) it has taken.

    Example:
        >>> left_to_move(np.array([2e-5, 1e-5, 2e-5]), np.array([5e-6, 9e-6, 5e-6]), np.array([3, 3, 20])).round(7)
        array([1.0e-05, 8.1e-05, 3.0e-05])
    """
    least = np.maximum(LEAST_SHRINK, 1 - AGE / np.maximum(steps, 1.0))
    shrink = np.divide(last, before, out=np.zeros_like(last), where=before > 0)
    shrink = np.clip(shrink, least, np.maximum(MOST_SHRINK, least))
    return np.asarray(np.maximum(last, before / 2) * shrink / (1 - shrink))


class WatchedDescent(Descent):
    """A descent that ends when the held-out losses of all members have settled; of a model of all rows, its own."""

    def __init__(self, watch: Watch, limit: float, objective: Objective, *rest: Any, **more: Any) -> None:
        super().__init__(objective, *rest, **more)
        self.watch, self.limit = watch, limit
        self.last, self.steps = np.full(watch.members, UNKNOWN), np.zeros(watch.members, dtype=np.int64)
        self.moves = np.full((2, watch.members), UNKNOWN)
        self.calm = np.zeros(watch.members, dtype=bool)
        self._look()

    def _look(self) -> None:
        (held, moved), mine = self.watch(self.objective), self.objective.members
        now = np.where(np.isnan(held), self.members.loss, held)
        share = np.minimum(1.0, BY_CHANCE / np.sqrt(np.maximum(self.watch.rows[mine], 1.0)))
        latest = np.fmax(np.abs(now - self.last[mine]), share * moved)  # of nan and a number, the number
        moves = np.stack([self.moves[1, mine], latest])
        self.moves[:, mine] = np.where(self.members.n_iter > self.steps[mine], moves, self.moves[:, mine])
        self.last[mine], self.steps[mine] = now, self.members.n_iter

    def _keep_members(self, keep: Array) -> bool:
        if not keep.all():
            self.watch(self.objective)  # the proof with which members leave has balanced their bias
        return super()._keep_members(keep)

    def _iterate(self, iteration: int) -> bool:
        """One step of all models in the stack; False when none is left to improve."""
        going = super()._iterate(iteration)
        if not going:
            return False
        self._look()
        mine = self.objective.members
        done = left_to_move(self.moves[0, mine], self.moves[1, mine], self.steps[mine]) <= TIMES * self.limit
        if self.limit == 0 or done.sum() < max(1, LEAVE * len(done)):
            return True
        gap, bound = self._certified_gaps(np.full(self.objective.m, np.inf), last=True)
        self.members.record(done, Status.STOPPED, value=self._value(), gap=gap, bound=bound)
        self.calm[self.objective.members[done]] = True
        self._keep_members(~done)
        return self.objective.m > 0
