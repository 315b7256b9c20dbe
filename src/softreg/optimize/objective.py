"""Mean cross-entropy plus penalty of a stack of models, over rows wherever they live.

The parameters of a stack are `theta` (m, q, d + 1) in the coordinates of `coordinates.py`: weights of the standardised
columns, then the bias. Blocks keep their logits (m, q, b) between sums, so the logits of `theta + t * direction` cost
no further pass over X for any number of step lengths t.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from softreg.optimize.coordinates import Coordinates
from softreg.optimize.penalties import Penalty
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Rows, Sums


class Objective:
    """F_j(theta_j) for each model j of a stack; `penalty` and the row weights tell the models apart."""

    def __init__(
        self,
        rows: Rows,
        n_classes: int,
        penalty: Penalty,
        coordinates: Coordinates,
        fit_intercept: bool = True,
    ) -> None:
        self.rows, self.q, self.penalty, self.coordinates = rows, n_classes, penalty, coordinates
        self.fit_intercept = fit_intercept
        self.members = np.arange(len(penalty.l2))
        self.half_passes = 0
        self._check_weights()
        self.mass = self._mass()
        self.ridge = self._ridge()

    @property
    def m(self) -> int:
        """Models still in the stack."""
        return len(self.members)

    @property
    def passes(self) -> int:
        """Passes over the rows so far; one pass is one product with X and one with its transpose."""
        return (self.half_passes + 1) // 2

    def _check_weights(self) -> None:
        def part(block: Block) -> Sums:
            V = block.weights
            return (len(V) if V is not None and len(V) not in (1, self.m) else 0,)

        if self.rows.sum(part)[0]:
            raise ValueError(f"the row weights must be (1, n) or (m, n) for the m = {self.m} models of the penalty")

    def _mass(self) -> Array:
        def part(block: Block) -> Sums:
            V = block.weights
            return (np.full(self.m, block.stop - block.start) if V is None else V.sum(axis=1, dtype=np.float64),)

        return np.broadcast_to(self.rows.sum(part)[0], (self.m,)).astype(np.float64)

    def _ridge(self) -> Array:
        """Curvature (m, d + 1) of the l2 part in the scaled coordinates, none for the bias."""
        with np.errstate(over="ignore"):
            ridge = self.penalty.l2[:, None] / self.coordinates.scale / self.coordinates.scale
        ridge = np.minimum(ridge, 1e200)  # a tiny column: its weight is 0, whatever the number
        return np.concatenate([ridge, np.zeros((self.m, 1))], axis=1)

    @property
    def l1_scaled(self) -> Array:
        """The l1 strength (m, d + 1) of each parameter in the scaled coordinates, none for the bias."""
        hold = self.penalty.l1[:, None] / self.coordinates.scale
        return np.concatenate([hold, np.zeros((self.m, 1))], axis=1)

    def weights(self, block: Block) -> Array | None:
        """The block's row weights of the models still in the stack."""
        V = block.weights
        return None if V is None else V[self.members] if len(V) > 1 else V

    def user(self, theta: Array) -> tuple[Array, Array]:
        """Weights (m, q, d) and bias (m, q) for the user's columns."""
        return self.coordinates.to_user(theta)

    # --- sums over the rows -------------------------------------------------------------------------------------

    def _product(self, theta: Array) -> Callable[[Block], Array]:
        """How a block computes the logits (m, q, b) of these parameters."""
        W, b = self.coordinates.to_stored(theta)
        m, q = b.shape
        prepared = self.rows.prepare(W.reshape(m * q, -1))
        bias = b.reshape(m * q, 1).astype(self.rows.dtype)
        self.half_passes += 1

        def product(block: Block) -> Array:
            o = block.times(prepared)
            o += bias
            return o.reshape(m, q, -1)

        return product

    def place(self, theta: Array) -> None:
        """Keep the logits of `theta` beside the rows (half a pass)."""
        product = self._product(theta)

        def part(block: Block) -> Sums:
            block.memory["logits"] = product(block)
            return (0.0,)

        self.rows.sum(part)

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
        G = np.ascontiguousarray(G).reshape(self.m, self.q, -1)  # sparse homes sum it in Fortran order
        r = r.reshape(self.m, self.q)
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

    def _bias_sums(self, block: Block, shift: Array) -> Sums:
        o = block.memory["logits"].astype(np.float64) + shift[:, :, None]
        return loss.bias_sums(o, block.labels, self.weights(block))

    def entropy(self, shift: Array, share: Array) -> Array:
        """Mean entropy (m,) of `Y + share * (P - Y)` at the kept logits plus `shift`."""

        def part(block: Block) -> Sums:
            o = block.memory["logits"].astype(np.float64) + shift[:, :, None]
            return (loss.mixed_entropy(o, block.labels, self.weights(block), share),)

        return np.asarray(self.rows.sum(part)[0] / self.mass)

    # --- the stack ----------------------------------------------------------------------------------------------

    def leave(self, keep: Array) -> None:
        """Only the models marked in `keep` stay in the stack."""
        self.members, self.mass, self.ridge = self.members[keep], self.mass[keep], self.ridge[keep]
        self.penalty = self.penalty.keep(keep)

        def part(block: Block) -> Sums:
            for name, kept in block.memory.items():
                block.memory[name] = kept[keep]
            return (0.0,)

        self.rows.sum(part)

    def in_float64(self) -> None:
        """From now on multiply in float64; the logits must be placed again."""
        self.rows = self.rows.precise(dtype=np.float64)

    def lacks_precision(self) -> bool:
        """Whether products in float64 would be more exact than today's."""
        return bool(self.rows.dtype != np.float64)
