"""The normalizer of the softmax of each row, merged over blocks of classes, and moments of its logits."""

from __future__ import annotations

import numpy as np

from softreg.models.class_blocks.logit_blocks import LogitBlock
from softreg.typing import Float64Array


class LogNormalizer:
    """`log sum_k exp(t o_k)` of each row, as a running maximum and a sum of exponentials relative to it.

    Where a block raises the maximum m, the sums so far are multiplied by `exp(m - m')`, so that nothing overflows.

    Parameters
    ----------
    n : int
        Number of rows.
    moments : bool
        Whether the moments of the logits under the softmax are summed as well.
    scale : ndarray of shape (n,), optional
        Factor t of the logits of each row; 1 by default.

    References
    ----------
    Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018).

    Examples
    --------
    >>> from softreg.models.class_blocks.logit_blocks import LogitBlocks
    >>> normalizer = LogNormalizer(1)
    >>> LogitBlocks(np.zeros((4, 1)), np.zeros(4), np.zeros((1, 1))).reduce(normalizer)
    >>> normalizer.log_sum().round(4)
    array([1.3863])
    """

    def __init__(self, n: int, *, moments: bool = False, scale: Float64Array | None = None) -> None:
        self.maximum = np.full(n, -np.inf)
        self.total = np.zeros(n)
        """Sum of `exp(t o - m)`."""
        self.scale = scale
        self.moments = np.zeros((3, n)) if moments else None
        """Sums of `exp(2 (t o - m))`, `(t o - m) exp(t o - m)` and `(t o - m)^2 exp(t o - m)`."""

    def add(self, block: LogitBlock) -> None:
        """Merge a block."""
        rows, o = block.rows, block.logits
        if self.scale is not None:
            o = o * self.scale[rows, None]
        before = self.maximum[rows]
        maximum = np.maximum(before, o.max(axis=1))
        with np.errstate(invalid="ignore"):
            shift = np.where(np.isfinite(before), before - maximum, -np.inf)
        factor = np.exp(shift)
        z = o - maximum[:, None]
        p = np.exp(z)
        if self.moments is not None:
            self._add_moments(rows, np.where(np.isfinite(shift), shift, 0.0), factor, z, p)
        self.total[rows] = self.total[rows] * factor + p.sum(axis=1)
        self.maximum[rows] = maximum

    def _add_moments(
        self, rows: slice, shift: Float64Array, factor: Float64Array, z: Float64Array, p: Float64Array
    ) -> None:
        """Merge the moments of a block; `shift` (b,) is the last maximum minus the new one, `factor` is exp(shift)."""
        assert self.moments is not None
        square, first, second = self.moments[:, rows]
        second = factor * (second + 2 * shift * first + shift**2 * self.total[rows])
        first = factor * (first + shift * self.total[rows])
        zp = z * p
        self.moments[0, rows] = square * factor**2 + np.einsum("ij,ij->i", p, p)
        self.moments[1, rows] = first + zp.sum(axis=1)
        self.moments[2, rows] = second + np.einsum("ij,ij->i", zp, z)

    def collect(self, first: int, contribution: None) -> None:
        """Do nothing: all sums are those of rows."""

    def log_sum(self) -> Float64Array:
        """Return `log sum_k exp(t o_k)` (n,)."""
        return np.asarray(self.maximum + np.log(self.total))

    def sum_of_squares(self) -> Float64Array:
        """Return `sum_k p_k^2` (n,)."""
        assert self.moments is not None
        return np.asarray(self.moments[0] / self.total**2)

    def mean(self) -> Float64Array:
        """Return the mean `sum_k p_k t o_k` (n,) of the scaled logits."""
        assert self.moments is not None
        return np.asarray(self.maximum + self.moments[1] / self.total)

    def variance(self) -> Float64Array:
        """Return the variance (n,) of the scaled logits under the softmax."""
        assert self.moments is not None
        return np.asarray(np.maximum(self.moments[2] / self.total - (self.moments[1] / self.total) ** 2, 0.0))

    def entropy(self) -> Float64Array:
        """Return the entropy (n,) of the softmax in nats."""
        return np.asarray(np.maximum(self.log_sum() - self.mean(), 0.0))
