"""The objective without kept logits: for so many classes that the logits of all rows would be larger than the rows.

Rows pass through in runs whose probabilities stay in the cache, written over their logits. What `Objective` reads from
kept logits is computed from the parameters again here, so a step other than the full one costs a pass, not nothing.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from softreg.optimize.objective.cached import Objective
from softreg.optimize.problem.penalty_protocol import Penalty
from softreg.optimize.problem.standardization import Coordinates
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Rows, Sums

FULL_BIAS = 4096
"""Up to this many classes the bias is balanced with the full curvature; beyond, with its diagonal."""
SMALL_SHIFT = 0.01
"""A Newton step of the bias shorter than this leaves so little that no other is needed."""
EIGEN_FEATURES = 2048
"""Up to this many columns the largest variance in any direction is computed; beyond, the sum of all stands for it."""


class LeanObjective(Objective):
    """F_j(theta_j) for each model j of a stack, from the parameters alone."""

    keeps_logits = False

    def __init__(
        self, rows: Rows, n_classes: int, penalty: Penalty, coordinates: Coordinates, fit_intercept: bool = True
    ) -> None:
        super().__init__(rows, n_classes, penalty, coordinates, fit_intercept)
        self.here = self.ahead = self.step = np.zeros((self.m, self.q, rows.d + 1))
        self.tension: tuple[Array, Array] | None = None
        """The curvature in the bias (m, q, q) when it was last balanced, and how far it was shifted then (m,)."""

    # --- where we are -------------------------------------------------------------------------------------------

    def place(self, theta: Array) -> None:
        """Go to `theta`: nothing is computed."""
        self.here, self.fresh = theta, True

    def evaluate(self, theta: Array) -> tuple[Array, Array]:
        """Mean loss (m,) and its gradient (m, q, d + 1) at `theta`: one pass."""
        self.place(theta)
        return self._pass(theta, "")

    def try_step(self, theta: Array) -> tuple[Array, Array]:
        """Mean loss and gradient at `theta`; `land` or `turn_back` tell whether to stay there."""
        self.ahead = theta
        return self._pass(theta, "")

    def accept(self) -> None:
        """The point leapt to is the new one."""
        self.place(self.ahead)

    def reject(self) -> None:
        """Aim at the point leapt to."""
        self.step = self.ahead - self.here

    def set_direction(self, direction: Array) -> Array:
        """Value, slope and curvature (3, m) of the loss at step 1 in this direction: one pass."""
        self.step = direction
        return self.eval_along(np.ones(self.m))

    def take_step(self, t: Array) -> None:
        """Take steps t (m,) along the direction aimed at."""
        self.place(self.here + t[:, None, None] * self.step)

    def shift_bias(self, shift: Array) -> None:
        """Add a shift of the bias (m, q)."""
        self.place(_tilted(self.here, shift))

    def drop_members(self, keep: Array) -> None:
        """Only the models marked in `keep` stay in the stack."""
        super().drop_members(keep)
        self.here, self.ahead, self.step = self.here[keep], self.ahead[keep], self.step[keep]
        self.tension = None
        self.__dict__.pop("spread", None)

    # --- sums over the rows -------------------------------------------------------------------------------------

    def logits(self, block: Block) -> Array:
        """The block's logits (m, q, b) at the parameters of now: half a pass in all."""
        prepared, bias = self._prepared(self.here)
        o = block.times(prepared)
        o += bias[:, None]
        return o.reshape(self.m, self.q, -1)

    def surety(self, block: Block) -> loss.LabelConfidence:
        """How sure the last pass has been of these rows."""
        return loss.LabelConfidence(*self.softmax(block).lean_surety())

    def gradient(self, shift: Array | None = None) -> tuple[Array, Array]:
        """Mean loss (m,) and its gradient (m, q, d + 1) at the parameters of now, or with a shifted bias: one pass."""
        return self._pass(self.here if shift is None else _tilted(self.here, shift), "")

    def eval_along(self, t: Array) -> Array:
        """Mean loss, slope and curvature (3, m) at steps t (m,) along the direction aimed at: one pass."""
        here = self._prepared(self.here + t[:, None, None] * self.step)
        step = self._prepared(self.step)
        self.half_passes += 2

        return self._mean(self.rows.sum(lambda block: self.softmax(block).lean_along(here, step)))

    def _pass(self, theta: Array, name: str) -> tuple[Array, Array]:
        """Loss and gradient from one reading of each block; beside the rows stays how sure the model is of them."""
        prepared, bias = self._prepared(theta)
        self.half_passes += 2

        def part(block: Block) -> Sums:
            return self.softmax(block).lean_read(prepared, bias)

        part.remembers = True  # type: ignore[attr-defined]  # for a journal, which does not hold that
        value, r, G = self.rows.sum(part)
        return self._means(value, G, r, r)

    # --- the balanced bias --------------------------------------------------------------------------------------

    def balance(self) -> tuple[Array, Array]:
        """A shift of the bias (m, q) at which mean prediction = class rates, but for so little that the certificate
        can count it, and zeros.

        Newton's method in q dimensions. Its last step is so small that about a thousandth of it is left to do.
        """
        shift = np.zeros((self.m, self.q))
        self.tension = None
        if not self.fit_intercept:
            return shift, np.zeros(self.m)
        for _ in range(10):
            r, K = self._imbalance(shift)
            change = np.clip(-_solve(K, r), -2.0, 2.0)
            shift += change
            moved = np.abs(change).max(axis=1)
            self.tension = (K, moved) if K.ndim == 3 else None
            if not (moved > SMALL_SHIFT).any():
                break
        return shift, np.zeros(self.m)

    def _imbalance(self, shift: Array) -> tuple[Array, Array]:
        """Mean residual (m, q) with a shifted bias, and the mean curvature in the bias (m, q, q): about a pass.

        For very many classes it is half a pass, and only the curvature's diagonal (m, q).
        """
        prepared, bias = self._prepared(_tilted(self.here, shift))
        full = self.q <= FULL_BIAS
        self.half_passes += 1 + full

        r, K = self.rows.sum(lambda block: self.softmax(block).lean_bias(prepared, bias, full))
        r /= self.mass[:, None]
        if not full:
            return r, np.maximum(K / self.mass[:, None], 1e-300)
        K = -np.tril(K, -1) / self.mass[:, None, None]
        K += K.transpose(0, 2, 1)
        index = np.arange(self.q)
        K[:, index, index] = -K.sum(axis=2)  # softmax ignores a common shift, so each row of the curvature sums to 0
        return r, K

    def imbalance_cost(self, r: Array) -> tuple[Array, Array]:
        """`r K^-1 r` (m,) for a mean residual r (m, q), an upper bound of it, and the largest tilt that undoes r (m,).

        K was summed at a bias that is `moved` away, and no variance changes by more than a factor e^(2 moved) there.
        inf where there is no curvature.
        """
        if not r.any():
            return np.zeros(self.m), np.zeros(self.m)
        if self.tension is None:
            return np.full(self.m, np.inf), np.full(self.m, np.inf)
        K, moved = self.tension
        tilt = _solve(K, r)
        return np.einsum("mq,mq->m", r, tilt) * np.exp(2 * moved), np.abs(tilt).max(axis=1)

    @cached_property
    def spread(self) -> Array:
        """An upper bound (m,) of the variance of the user's columns in any direction, with the row weights."""
        scale = self.coordinates.scale * ~self.coordinates.constant
        if self.rows.d <= EIGEN_FEATURES and self.scatter.whole:
            top = np.linalg.eigvalsh(self.scatter.total * scale * scale[:, None])[-1]
        else:
            top = np.square(scale).sum()
        heaviest = self.rows.map(lambda block: self._heaviest(block)).max(axis=0)
        return np.asarray(heaviest * self.rows.n / self.mass * top)

    def _heaviest(self, block: Block) -> Array:
        V = self.weights(block)
        return np.ones((1, self.m)) if V is None else np.broadcast_to(V.max(axis=1), (self.m,))[None]


def _solve(K: Array, r: Array) -> Array:
    """`K^-1 r` (m, q), where K does not see a common shift, or is a diagonal (m, q)."""
    if K.ndim == 2:
        return np.asarray(r / K)
    ties = np.trace(K, axis1=1, axis2=2)[:, None, None] / K.shape[1] + 1e-300
    flat = 1e-10 * ties * np.eye(K.shape[1])  # a class that is never predicted bends nothing
    return np.stack([np.linalg.solve(k, s) for k, s in zip(K + ties + flat, r, strict=True)])


def _tilted(theta: Array, shift: Array) -> Array:
    tilted = theta.copy()
    tilted[..., -1] += shift
    return tilted
