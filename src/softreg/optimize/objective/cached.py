"""Mean cross-entropy plus penalty of a stack of models, over rows wherever they live.

The parameters of a stack are `theta` (m, q, d + 1) in the coordinates of `coordinates.py`: weights of the standardised
columns, then the bias. Blocks keep their logits (m, q, b) between sums, so the logits of `theta + t * direction` cost
no further pass over X for any number of step lengths t.
"""

from __future__ import annotations

import numpy as np

from softreg.optimize.objective.base import Stack
from softreg.optimize.objective.bias_newton import BiasCurvature, by_products
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

    def place(self, theta: Array) -> None:
        """Keep the logits of `theta` beside the rows (half a pass)."""
        self._place(theta, "logits")
        self.fresh = True

    def _place(self, theta: Array, name: str) -> None:
        prepared, bias = self._prepared(theta)
        self.half_passes += 1
        self.each(lambda block: self.softmax(block).place(prepared, bias, name))

    def evaluate(self, theta: Array) -> tuple[Array, Array]:
        """Mean loss (m,) and its gradient (m, q, d + 1) at `theta`, whose logits are kept: one pass."""
        self.fresh = True
        return self._pass(theta, "logits")

    def try_step(self, theta: Array) -> tuple[Array, Array]:
        """Mean loss and gradient at `theta` in one pass; the kept logits stay those of the point left behind, until
        `land` says that this is the place to be, or `turn_back` that only the direction was right."""
        return self._pass(theta, "ahead")

    def accept(self) -> None:
        """The point leapt to is the new one."""
        self.each(lambda block: self.softmax(block).accept())
        self.fresh = True

    def reject(self) -> None:
        """Aim at the point leapt to: the difference of the logits is kept, no pass over X."""
        self.each(lambda block: self.softmax(block).reject())

    def _pass(self, theta: Array, name: str) -> tuple[Array, Array]:
        """Loss and gradient from one reading of each block; its logits are kept under this name."""
        prepared, bias = self._prepared(theta)
        self.half_passes += 2
        value, r, G = self.rows.sum(lambda block: self.softmax(block).read(prepared, bias, name))
        return self._means(value, G, r, r)

    def set_direction(self, direction: Array) -> Array:
        """Keep the logits' change for a unit step beside the rows (half a pass); returns value, slope and curvature
        (3, m) of the objective's loss at step 1."""
        self._place(direction, "step")
        return self.eval_along(np.ones(self.m))

    def eval_along(self, t: Array) -> Array:
        """Mean loss, slope and curvature (3, m) at steps t (m,) along the direction aimed at: no pass over X."""
        return self._mean(self.rows.sum(lambda block: self.softmax(block).along(t)))

    def _mean(self, sums: Sums) -> Array:
        return np.stack([total / self.mass for total in sums])

    def take_step(self, t: Array) -> None:
        """Take steps t (m,) along the direction aimed at: the kept logits follow."""
        self.each(lambda block: self.softmax(block).take_step(t))
        self.fresh = False

    def gradient(self, shift: Array | None = None) -> tuple[Array, Array]:
        """Mean loss (m,) and its gradient (m, q, d + 1) at the kept logits (half a pass).

        With a `shift` of the logits (m, q) the softmax is computed in float64, for the certificate.
        """
        self.half_passes += 1
        value, G, r, exact = self.rows.sum(lambda block: self.softmax(block).gradient(shift))
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

        Newton's method in q dimensions on the kept logits, in float64; no pass over X. Along a shift of size s no
        product of two probabilities changes by more than a factor e^(4 s), so a Newton step leaves (e^(4 s) - 1) s / 2
        at most: the last one need not be looked at.
        """
        shift = np.zeros((self.m, self.q))
        if not self.fit_intercept:
            return shift, np.zeros(self.m)
        for _ in range(20):
            left, change, unsolved = self._bias_step(shift)
            if (left < 1e-14).all() or not np.isfinite(change).all():
                break
            size = np.abs(change).max(axis=1)
            shift += np.clip(change, -2.0, 2.0)
            left = np.expm1(4 * np.minimum(size, 2.0)) * size / 2 + unsolved
            if (left < 1e-14).all():
                break
        return shift, left

    def _bias_step(self, shift: Array) -> tuple[Array, Array, Array]:
        """The largest mean residual (m,) at a shift (m, q), Newton's step from there (m, q), and the largest residual
        (m,) of the linear system that gives it, 0 where that is solved by a factorisation."""
        if by_products(self):
            curvature = BiasCurvature(self, self.logits, shift)
            return np.abs(curvature.r).max(axis=1), *curvature.step()
        r, K = self.rows.sum(lambda block: self.softmax(block).bias_sums(shift))
        r, K = r / self.mass[:, None], K / self.mass[:, None, None]
        ties = np.trace(K, axis1=1, axis2=2)[:, None, None] / self.q + 1e-300  # the direction that softmax ignores
        change = -_solved(K + ties, r)
        return np.abs(r).max(axis=1), change, np.zeros(self.m)

    def shift_bias(self, shift: Array) -> None:
        """Add a shift of the bias (m, q) to the kept logits."""
        self.each(lambda block: self.softmax(block).shift_bias(shift))

    def logits(self, block: Block) -> Array:
        """The block's logits (m, q, b) at the parameters of now."""
        return self.softmax(block).kept("logits")

    def surety(self, block: Block) -> loss.LabelConfidence:
        """How sure the models are of these rows."""
        return loss.LabelConfidence(*self.softmax(block).surety())

    def entropy(self, shift: Array, share: Array) -> Array:
        """Mean entropy (m,) of `Y + share * (P - Y)` at the kept logits plus `shift`."""
        return np.asarray(self.rows.sum(lambda block: self.softmax(block).entropy(shift, share))[0] / self.mass)


def _solved(A: Array, b: Array) -> Array:
    """Solutions x (m, q) of A x = b, A (m, q, q) symmetric; the shortest one where A is singular.

    A class whose probability is 0 in every row makes the curvature singular, and has no residual.
    """
    try:
        return np.asarray(np.linalg.solve(A, b[..., None])[..., 0])
    except np.linalg.LinAlgError:
        return np.asarray((np.linalg.pinv(A, hermitian=True) @ b[..., None])[..., 0])
