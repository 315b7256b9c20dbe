"""Mean cross-entropy plus penalty of a stack of models, over rows wherever they live.

The parameters of a stack are `theta` (m, q, d + 1) in the coordinates of `coordinates.py`: weights of the standardised
columns, then the bias. Blocks keep their logits (m, q, b) between sums, so the logits of `theta + t * direction` cost
no further pass over X for any number of step lengths t.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from softreg.optimize.stack import Stack
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Sums


class Objective(Stack):
    """F_j(theta_j) for each model j of a stack."""

    keeps_logits = True
    fresh = False
    """Whether the kept logits are a product with X, not a sum of many small steps."""

    # --- sums over the rows -------------------------------------------------------------------------------------

    def _prepared(self, theta: Array) -> tuple[Array, Array]:
        """Weights and bias (m q,) of these parameters as blocks multiply them."""
        W, b = self.coordinates.to_stored(theta)
        return self.rows.prepare(W.reshape(b.size, -1)), b.reshape(-1).astype(self.rows.dtype)

    def _product(self, theta: Array) -> Callable[[Block], Array]:
        """How a block computes the logits (m, q, b) of these parameters."""
        prepared, bias = self._prepared(theta)
        self.half_passes += 1

        def product(block: Block) -> Array:
            o = block.times(prepared)
            o += bias[:, None]
            return o.reshape(self.m, self.q, -1)

        return product

    def place(self, theta: Array) -> None:
        """Keep the logits of `theta` beside the rows (half a pass)."""
        product = self._product(theta)

        def part(block: Block) -> Sums:
            block.memory["logits"] = product(block)
            return (0.0,)

        self.rows.sum(part)
        self.fresh = True

    def evaluate(self, theta: Array) -> tuple[Array, Array]:
        """Mean loss (m,) and its gradient (m, q, d + 1) at `theta`, whose logits are kept: one pass."""
        self.fresh = True
        return self._pass(theta, "logits")

    def leap(self, theta: Array) -> tuple[Array, Array]:
        """Mean loss and gradient at `theta` in one pass; the kept logits stay those of the point left behind, until
        `land` says that this is the place to be, or `turn_back` that only the direction was right."""
        return self._pass(theta, "ahead")

    def land(self) -> None:
        """The point leapt to is the new one."""

        def part(block: Block) -> Sums:
            memory = block.memory
            memory["logits"], memory["ahead"] = memory["ahead"], memory["logits"]
            return (0.0,)

        self.rows.sum(part)
        self.fresh = True

    def turn_back(self) -> None:
        """Aim at the point leapt to: the difference of the logits is kept, no pass over X."""

        def part(block: Block) -> Sums:
            step = block.memory.pop("ahead")
            step -= block.memory["logits"]
            block.memory["step"] = step
            return (0.0,)

        self.rows.sum(part)

    def _pass(self, theta: Array, name: str) -> tuple[Array, Array]:
        """Loss and gradient from one reading of each block; its logits are kept under this name."""
        prepared, bias = self._prepared(theta)
        self.half_passes += 2

        def part(block: Block) -> Sums:
            o = self._room(block, name)
            V = self.weights(block)
            sums = block.loss_and_gradient(prepared, bias, self.q, V, o.reshape(len(bias), -1))
            if sums is not None:
                return sums
            np.add(block.times(prepared).reshape(o.shape), bias.reshape(self.m, self.q, 1), out=o)
            value, R = loss.loss_and_residual(o, block.labels, V)
            flat = R.reshape(len(bias), -1).astype(self.rows.dtype, copy=False)
            return value, flat.sum(axis=1, dtype=np.float64), block.transposed_times(flat)

        value, r, G = self.rows.sum(part)
        return self._means(value, G, r, r)

    def _room(self, block: Block, name: str) -> Array:
        """An array (m, q, b) beside the block for logits: the one of the last pass, where there is one."""
        shape = (self.m, self.q, block.stop - block.start)
        room = block.memory.pop(name, None)
        if room is None and name == "ahead":
            room = block.memory.pop("step", None)  # an old direction is of no more use
        if room is None or room.shape != shape or room.dtype != self.rows.dtype:
            room = np.empty(shape, self.rows.dtype)
        block.memory[name] = room
        return room

    def aim(self, direction: Array) -> Array:
        """Keep the logits' change for a unit step beside the rows (half a pass); returns value, slope and curvature
        (3, m) of the objective's loss at step 1."""
        product, ones = self._product(direction), np.ones(self.m)

        def part(block: Block) -> Sums:
            block.memory["step"] = product(block)
            return self._along(block, ones)

        return self._mean(self.rows.sum(part))

    def at(self, t: Array) -> Array:
        """Mean loss, slope and curvature (3, m) at steps t (m,) along the direction aimed at: no pass over X."""
        return self._mean(self.rows.sum(lambda block: self._along(block, t)))

    def _along(self, block: Block, t: Array) -> Sums:
        o, step = block.memory["logits"], block.memory["step"]
        moved = o + t.astype(o.dtype)[:, None, None] * step
        return loss.along(moved, step, block.labels, self.weights(block))

    def _mean(self, sums: Sums) -> Array:
        return np.stack([total / self.mass for total in sums])

    def move(self, t: Array) -> None:
        """Take steps t (m,) along the direction aimed at: the kept logits follow."""

        def part(block: Block) -> Sums:
            o = block.memory["logits"]
            o += t.astype(o.dtype)[:, None, None] * block.memory["step"]
            return (0.0,)

        self.rows.sum(part)
        self.fresh = False

    def gradient(self, shift: Array | None = None) -> tuple[Array, Array]:
        """Mean loss (m,) and its gradient (m, q, d + 1) at the kept logits (half a pass).

        With a `shift` of the logits (m, q) the softmax is computed in float64, for the certificate.
        """
        self.half_passes += 1

        def part(block: Block) -> Sums:
            o = block.memory["logits"]
            if shift is not None:
                o = o.astype(np.float64) + shift[:, :, None]
            value, R = loss.loss_and_residual(o, block.labels, self.weights(block))
            flat = R.reshape(self.m * self.q, -1).astype(self.rows.dtype, copy=False)
            return (
                value,
                block.transposed_times(flat),
                flat.sum(axis=1, dtype=np.float64),
                R.sum(axis=2, dtype=np.float64),
            )

        value, G, r, exact = self.rows.sum(part)
        return self._means(value, G, r, exact)

    def _means(self, value: Array, G: Array, r: Array, exact: Array) -> tuple[Array, Array]:
        """Mean loss (m,) and gradient (m, q, d + 1) from the sums of the loss, of R @ X and of R; `r` is the sum of
        the very numbers that were multiplied, `exact` that before they were rounded for it."""
        G = G.reshape(self.m, self.q, -1)  # a view: sparse homes sum it in Fortran order, and so it stays
        r, exact = r.reshape(self.m, self.q), exact.reshape(self.m, self.q)
        bias = exact if self.fit_intercept else np.zeros_like(exact)
        full = np.concatenate([self.coordinates.gradient(G, r), bias[..., None]], axis=-1)
        full /= self.mass[:, None, None]
        return value / self.mass, full

    def balance(self) -> tuple[Array, Array]:
        """The shift of the bias (m, q) at which mean prediction = class rates, and what is left of the difference.

        Newton's method in q dimensions on the kept logits, in float64; no pass over X.
        """
        shift = np.zeros((self.m, self.q))
        if not self.fit_intercept:
            return shift, np.zeros(self.m)
        for _ in range(20):
            r, K = self.rows.sum(lambda block, s=shift: self._bias_sums(block, s))  # type: ignore[misc]
            r, K = r / self.mass[:, None], K / self.mass[:, None, None]
            left = np.abs(r).max(axis=1)
            if (left < 1e-14).all():
                break
            ties = np.trace(K, axis1=1, axis2=2)[:, None, None] / self.q + 1e-300  # the direction that softmax ignores
            change = -np.linalg.solve(K + ties, r[..., None])[..., 0]
            if not np.isfinite(change).all():
                break
            shift += np.clip(change, -2.0, 2.0)
        return shift, left

    def tilt(self, shift: Array) -> None:
        """Add a shift of the bias (m, q) to the kept logits."""

        def part(block: Block) -> Sums:
            block.memory["logits"] += shift.astype(self.rows.dtype)[:, :, None]
            return (0.0,)

        self.rows.sum(part)

    def logits(self, block: Block) -> Array:
        """The block's logits (m, q, b) at the parameters of now."""
        return block.memory["logits"]

    def surety(self, block: Block) -> loss.Surety:
        """How sure the models are of these rows."""
        return loss.surety(loss.probabilities(self.logits(block))[0], block.labels, self.weights(block))

    def _bias_sums(self, block: Block, shift: Array) -> Sums:
        o = block.memory["logits"].astype(np.float64) + shift[:, :, None]
        return loss.bias_sums(o, block.labels, self.weights(block))

    def entropy(self, shift: Array, share: Array) -> Array:
        """Mean entropy (m,) of `Y + share * (P - Y)` at the kept logits plus `shift`."""

        def part(block: Block) -> Sums:
            o = block.memory["logits"].astype(np.float64) + shift[:, :, None]
            return (loss.mixed_entropy(o, block.labels, self.weights(block), share),)

        return np.asarray(self.rows.sum(part)[0] / self.mass)
