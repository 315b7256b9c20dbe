"""Penalties on the weights: what each costs, how it bends the gradient, and its conjugate for the certificate.

Every penalty here is `sum over weights of l1 * |w| + l2 / 2 * w**2`, with one pair of strengths a model; the bias is
never penalised. A support confines a model to some of its weights: whatever the others might be costs infinitely much.
A further penalty (group lasso, say) is a further class with the same methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from softreg.rows import Array


class Penalty(Protocol):
    """What a solver and the certificate ask of a penalty on weights W (m, q, d)."""

    @property
    def l1(self) -> Array:
        """Strength (m,) of the part `|w|`."""
        ...

    @property
    def l2(self) -> Array:
        """Strength (m,) of the part `w**2 / 2`."""
        ...

    @property
    def support(self) -> Array | None:
        """Which weights (m, q, d) may be other than 0; None where all may."""
        ...

    @property
    def smooth(self) -> bool:
        """Whether it has no kink: then the best weights of all classes sum to 0, and any weight may move at once."""
        ...

    def value(self, W: Array) -> Array:
        """The penalty of each model, (m,), in nats."""
        ...

    def fenchel_gap(self, A: Array, W: Array) -> Array:
        """`penalty(W) + conjugate(-A) + <A, W>` of each model (m,), never negative; A is the gradient of the loss."""
        ...

    def feasible_share(self, A: Array) -> Array:
        """The largest share in [0, 1] of A (m,) at which the conjugate is finite."""
        ...

    def best_shift(self, W: Array) -> Array:
        """What all classes can give away: the c (m, 1, d) at which the penalty of `W - c` is least."""
        ...

    def keep(self, members: Array) -> Penalty:
        """The penalty of some models of the stack."""
        ...


@dataclass(frozen=True)
class ElasticNet:
    """`l1 * |w| + l2 / 2 * w**2`, with strengths (m,) of each model; zeros switch a part off.

    With a `support` (m, q, d) only the weights marked in it may be other than 0.
    """

    l1: Array
    l2: Array
    support: Array | None = None

    @property
    def smooth(self) -> bool:
        """Whether it has neither an l1 part nor a support."""
        return self.support is None and not self.l1.any()

    def value(self, W: Array) -> Array:
        """The penalty of each model, (m,).

        Example:
            >>> ElasticNet(np.array([1.0]), np.array([2.0])).value(np.array([[[3.0, -4.0]]]))
            array([32.])
        """
        with np.errstate(over="ignore"):
            square = np.where(self.l2 > 0, np.einsum("mqd,mqd->m", W, W), 0.0)  # 0 * inf is no penalty
        ridge = 0.5 * self.l2 * square
        return np.asarray(ridge + self.l1 * np.abs(W).sum(axis=(1, 2)) if self.l1.any() else ridge)

    def fenchel_gap(self, A: Array, W: Array) -> Array:
        """`penalty(W) + conjugate(-A) + <A, W>`, inf where the conjugate is infinite.

        The conjugate of `l1 |w| + l2/2 w^2` is `max(|a| - l1, 0)^2 / (2 l2)`; for l2 = 0, the indicator of |a| <= l1.
        That of a weight held at 0 is 0, whatever pulls at it.
        """
        A = self._felt(A)
        l1, l2 = self.l1[:, None, None], self.l2[:, None, None]
        with np.errstate(all="ignore"):  # an overflow gives inf, which proves nothing and claims nothing
            if not self.l1.any():  # a perfect square: no cancellation
                slack = A + l2 * W
                square = np.einsum("mqd,mqd->m", slack, slack) / (2 * self.l2)
                return np.where(self.l2 > 0, square, np.where(slack.any(axis=(1, 2)), np.inf, 0.0))
            beyond = np.maximum(np.abs(A) - l1, 0.0)
            conjugate = np.where(beyond > 0, beyond**2 / (2 * l2), 0.0)
            terms = l1 * np.abs(W) + 0.5 * l2 * W**2 + conjugate + A * W
            gap = np.maximum(terms, 0.0).sum(axis=(1, 2))
            return np.where(np.isnan(gap), np.inf, gap)

    def feasible_share(self, A: Array) -> Array:
        """1 where l2 > 0; otherwise `min(1, l1 / max |A|)`."""
        largest = np.abs(self._felt(A)).max(axis=(1, 2), initial=0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(largest > self.l1, self.l1 / largest, 1.0)
        return np.where(self.l2 > 0, 1.0, share)

    def best_shift(self, W: Array) -> Array:
        """The c (m, 1, d) at which `sum_k l1 |w_k - c| + l2/2 (w_k - c)^2` is least: between median and mean.

        Softmax does not see what is added to the weights of all classes, so only the penalty decides it. Where a class
        is held at 0, nothing can be added.

        Example:
            >>> ElasticNet(np.array([1.0]), np.array([0.0])).best_shift(np.array([[[1.0], [5.0], [2.0]]])).ravel()
            array([2.])
        """
        q = W.shape[1]
        l1, l2 = self.l1[:, None, None], self.l2[:, None, None]
        w = np.sort(W, axis=1)
        below = np.arange(q)[None, :, None]
        pull = l2 * (q * w - w.sum(axis=1, keepdims=True))
        after = l1 * (2 * (below + 1) - q) + pull  # the slope just above each w_(i)
        first = np.argmax(after >= 0, axis=1)[:, None, :]
        at = np.take_along_axis(w, first, axis=1)
        before = np.take_along_axis(l1 * (2 * below - q) + pull, first, axis=1)
        between = w.mean(axis=1, keepdims=True) - np.divide(
            l1 * (2 * first - q), q * l2, out=np.zeros_like(at), where=l2 > 0
        )
        shift = np.where(before > 0, between, at)
        return shift if self.support is None else shift * self.support.all(axis=1, keepdims=True)

    def keep(self, members: Array) -> ElasticNet:
        """The penalty of some models of the stack."""
        support = None if self.support is None else self.support[members]
        return ElasticNet(self.l1[members], self.l2[members], support)

    def _felt(self, A: Array) -> Array:
        """The pull A (m, q, d) on the weights that may move, 0 elsewhere."""
        return A if self.support is None else np.where(self.support, A, 0.0)


def l2(strength: Array | float) -> ElasticNet:
    """`strength / 2 * ||W||^2`; strength 0 is no penalty.

    Example:
        >>> l2(0.5).value(np.array([[[2.0]]]))
        array([1.])
    """
    ridge = np.atleast_1d(np.asarray(strength, dtype=np.float64))
    return ElasticNet(np.zeros_like(ridge), ridge)


def elastic_net(strength: Array | float, l1_ratio: Array | float) -> ElasticNet:
    """`strength * (l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||^2)`.

    Example:
        >>> elastic_net(1.0, 0.25).value(np.array([[[2.0]]]))
        array([2.])
    """
    size, ratio = np.broadcast_arrays(np.atleast_1d(strength).astype(float), np.atleast_1d(l1_ratio).astype(float))
    return ElasticNet(size * ratio, size * (1 - ratio))
