"""Designs of recalibration maps: logits that are linear in few parameters, with gradient, Hessian and leverage.

A design computes the logits (n, q) of calibration rows from parameters theta (p,), and the derivatives of the summed
loss. `newton_fit.py` minimises the loss plus a quadratic penalty for any design.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from softreg.typing import Float64Array

NUMBERS_OF_A_BLOCK = 1 << 21
"""Largest number of float64 values of an array of a block of rows."""


class Design(Protocol):
    """Logits that are linear in the parameters of a recalibration map."""

    def logits(self, theta: Float64Array) -> Float64Array:
        """Return the logits (n, q)."""
        ...

    def gradient(self, R: Float64Array) -> Float64Array:
        """Return the gradient (p,) of the summed loss from residuals (n, q)."""
        ...

    def hessian(self, P: Float64Array, weights: Float64Array | None = None) -> Float64Array:
        """Return the Hessian (p, p) of the sum of the losses, weighted, at probabilities (n, q)."""
        ...

    def leverage(self, inverse: Float64Array, part: slice) -> Float64Array:
        """Return `J_i inverse J_i'` (b, q, q) for the derivative J_i (q, p) of the logits of each row of a part."""
        ...


def curve(L: Float64Array) -> Float64Array:
    """Return `-log(1 - L)` of log-probabilities, which is concave and changes little where a probability is tiny.

    Parameters
    ----------
    L : ndarray
        Log-probabilities.

    Returns
    -------
    ndarray
        Values of at most 0.

    Examples
    --------
    >>> curve(np.array([0.0, -1.0, -100.0])).round(3).tolist()
    [0.0, -0.693, -4.615]
    """
    return np.asarray(0.0 - np.log1p(-L))


@dataclass(frozen=True, eq=False)
class MatrixDesign:
    """Logits `W l + b`, or `W l + b + c curve(l)`, of rows l of log-probabilities L (n, q).

    The parameters are the rows of (W, b), class by class, and c last where the design is curved.
    """

    L: Float64Array
    curved: bool = False

    @property
    def center(self) -> Float64Array:
        """Return the parameters (p,) of the identity."""
        q = self.L.shape[1]
        return np.append(np.eye(q, q + 1).ravel(), np.zeros(int(self.curved)))

    def joined(self, W: Float64Array, b: Float64Array, c: float) -> Float64Array:
        """Return the parameters (p,) of W (q, q) or scales (q,), b (q,) and c."""
        rows = np.column_stack([np.diag(W) if W.ndim == 1 else W, b]).ravel()
        return np.append(rows, np.full(int(self.curved), c))

    def split(self, theta: Float64Array) -> tuple[Float64Array, Float64Array, float]:
        """Return W (q, q), b (q,) and c."""
        q = self.L.shape[1]
        rows = theta[: q * (q + 1)].reshape(q, q + 1)
        return rows[:, :q], rows[:, q], float(theta[-1]) if self.curved else 0.0

    def logits(self, theta: Float64Array) -> Float64Array:
        """Return the logits (n, q)."""
        W, b, c = self.split(theta)
        o = self.L @ W.T + b
        return o + c * curve(self.L) if self.curved else o

    def gradient(self, R: Float64Array) -> Float64Array:
        """Return the gradient (p,) of the summed loss from residuals (n, q)."""
        rows = np.column_stack([R.T @ self.L, R.sum(axis=0)]).ravel()
        return np.append(rows, (R * curve(self.L)).sum()) if self.curved else rows

    def hessian(self, P: Float64Array, weights: Float64Array | None = None) -> Float64Array:
        """Return the Hessian (p, p) of the sum of the losses, weighted, at probabilities (n, q)."""
        q = self.L.shape[1]
        d, p = q + 1, q * (q + 1)
        H = np.zeros((p + self.curved, p + self.curved))
        main = H[:p, :p]
        for part, F in self._blocks(p):
            root = None if weights is None else np.sqrt(weights[part, None])
            F = F if root is None else F * root
            scaled = P[part, :, None] * F[:, None, :]
            flat = scaled.reshape(len(F), p)
            main -= flat.T @ flat
            for k in range(q):
                place = slice(k * d, (k + 1) * d)
                main[place, place] += F.T @ scaled[:, k]
            if self.curved:
                bend = curve(self.L[part])
                bend = bend if root is None else bend * root
                pull = P[part] * (bend - (P[part] * bend).sum(axis=1, keepdims=True))
                H[-1, :p] += (pull.T @ F).ravel()
                H[-1, -1] += (pull * bend).sum()
        if self.curved:
            H[:p, -1] = H[-1, :p]
        return H

    def leverage(self, inverse: Float64Array, part: slice) -> Float64Array:
        """Return `J_i inverse J_i'` (b, q, q) for the derivative J_i (q, p) of the logits of each row of a part."""
        L = self.L[part]
        n, q = L.shape
        d, p = q + 1, q * (q + 1)
        F = np.column_stack([L, np.ones(n)])
        by_columns = inverse[:p, :p].reshape(q, d, q, d).transpose(1, 0, 2, 3).reshape(d, -1)
        A = np.einsum("nkd,nd->nk", (F @ by_columns).reshape(n, q * q, d), F).reshape(n, q, q)
        if self.curved:
            bend, cross = curve(L), F @ inverse[:p, -1].reshape(q, d).T
            A += cross[:, :, None] * bend[:, None, :] + cross[:, None, :] * bend[:, :, None]
            A += inverse[-1, -1] * bend[:, :, None] * bend[:, None, :]
        return np.asarray(A)

    def _blocks(self, numbers: int) -> Iterator[tuple[slice, Float64Array]]:
        """Yield the rows of blocks of which an array with so many numbers a row is small, and their features."""
        n = len(self.L)
        size = max(1, NUMBERS_OF_A_BLOCK // numbers)
        for start in range(0, n, size):
            part = slice(start, min(n, start + size))
            yield part, np.column_stack([self.L[part], np.ones(part.stop - start)])


@dataclass(frozen=True, eq=False)
class OddsDesign:
    """Two classes with log-odds `F theta` of the second, for features F (n, r)."""

    F: Float64Array

    def logits(self, theta: Float64Array) -> Float64Array:
        """Return the logits (n, 2); those of the first class are 0."""
        odds = self.F @ theta
        return np.column_stack([np.zeros(len(odds)), odds])

    def gradient(self, R: Float64Array) -> Float64Array:
        """Return the gradient (r,) of the summed loss from residuals (n, 2)."""
        return self.F.T @ R[:, 1]

    def hessian(self, P: Float64Array, weights: Float64Array | None = None) -> Float64Array:
        """Return the Hessian (r, r) of the sum of the losses, weighted, at probabilities (n, 2)."""
        variance = P[:, 0] * P[:, 1]
        variance = variance if weights is None else variance * weights
        return np.asarray(self.F.T @ (self.F * variance[:, None]))

    def leverage(self, inverse: Float64Array, part: slice) -> Float64Array:
        """Return `J_i inverse J_i'` (b, 2, 2) for the derivative J_i (2, r) of the logits of each row of a part."""
        F = self.F[part]
        A = np.zeros((len(F), 2, 2))
        A[:, 1, 1] = np.einsum("nd,de,ne->n", F, inverse, F)
        return A
