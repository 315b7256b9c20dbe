"""Approximate leave-one-out: what each row's logits would be had the model not seen it, by one Newton step.

At the optimum of all rows, with Hessian H of the objective (bias included), the gradient of the objective without row i
is `-(v / N) (x (p - Y)^T + strength-part)`, so one Newton step, with the row's own curvature taken from H by Woodbury's
formula, moves the row's logits by

    (v / N) (I - (v / N) L C)^-1 (L (p - Y) + u),   C = diag(p) - p p^T,   L = x^T H^-1 x  (q, q),

where u is what the smaller N does to the penalty's share: `x^T H^-1` times the penalty's gradient. Where an l1 part has
chosen the weights, only those that are not zero take part.

Rad and Maleki (2020), A scalable estimate of the out-of-sample prediction error via approximate leave-one-out
cross-validation; for the linear model with squared error it is the classic exact formula (Allen 1974, PRESS).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg as sl

from softreg.models.stack import Weights
from softreg.probability import softmax
from softreg.rows import Array

MOST_PARAMETERS = 6_000
"""Above so many parameters that take part, the Hessian (288 MB then) is replaced by its block of each class."""
RUN, NUMBERS = 1024, 4_000_000
"""Rows at a time, and numbers of their matrices of q x q."""


def check_size(d: int) -> None:
    """Raise `ValueError` for more columns than a block of the Hessian can have."""
    if d >= MOST_PARAMETERS:
        raise ValueError(
            f"cv='loo' needs the curvature between all columns, and X has {d:,}, more than {MOST_PARAMETERS - 1:,}; "
            "use folds: cv=5."
        )


def leave_one_out(
    X: Any,
    labels: Array,
    V: Array,
    weights: Weights,
    l1: float,
    l2: float,
    fit_intercept: bool,
    free: Array | None = None,
) -> Array:
    """The logits (n, q) of each row as predicted without it; W (d, q) and b (q,) are the optimum of all rows.

    X: (n, d), dense or CSR. labels: codes (n,) or label probabilities (n, q). V: row weights (n,). free: the weights
    (d, q) that take part; None stands for those that are not 0 where there is an l1 part, and for all without.
    """
    return _Leaver(X, labels, V, weights, l1, l2, fit_intercept, free).logits()


class _Leaver:
    """The Hessian at the optimum and its inverse, for all classes together or class by class."""

    def __init__(
        self,
        X: Any,
        labels: Array,
        V: Array,
        weights: Weights,
        l1: float,
        l2: float,
        fit_intercept: bool,
        free: Array | None,
    ) -> None:
        self.X, self.V, self.N = X, V, float(V.sum())
        self.W, self.b = weights
        self.d, self.q = self.W.shape
        self.Y = np.eye(self.q)[labels] if labels.ndim == 1 else labels
        self.l1, self.l2, self.fit_intercept = l1, l2, fit_intercept
        mean = np.asarray((X.T @ V) / self.N).ravel()
        self.shift = mean if fit_intercept else np.zeros(self.d)  # a well-scaled Hessian; the bias takes what it moves
        part = np.ones((self.q, self.d + 1), dtype=bool)
        part[:, :-1] = free.T if free is not None else (self.W.T != 0) if l1 > 0 else True
        part[:, -1] = fit_intercept
        self.part = part

    def logits(self) -> Array:
        """The logits (n, q) of each row without itself."""
        pull = self.l2 * self.W.T + self.l1 * np.sign(self.W.T)
        pull = np.concatenate([pull, np.zeros((self.q, 1))], axis=1)
        u = np.zeros(self.part.shape)
        leverage: Callable[[Array], Array]
        if self.part.sum() <= MOST_PARAMETERS:
            inverse = self._whole()
            u[self.part] = inverse @ pull[self.part]
            leverage = partial(self._leverage_whole, inverse=inverse)
        else:
            blocks = self._blocks()
            for k, (mine, own) in enumerate(blocks):
                u[k, mine] = own @ pull[k, mine]
            leverage = partial(self._leverage_blocks, blocks=blocks)
        return np.concatenate([self._moved(rows, leverage, u) for rows in self._runs()])

    def _moved(self, rows: slice, leverage: Any, u: Array) -> Array:
        """The logits of a run of rows, each without itself."""
        Z = self._rows(rows)
        o = Z @ self._centred()
        P = softmax(o)
        share = (self.V[rows] / self.N)[:, None, None]
        C = P[:, :, None] * np.eye(self.q) - P[:, :, None] * P[:, None, :]
        L = leverage(Z)
        right = np.einsum("bij,bj->bi", L, P - self.Y[rows]) + Z @ u.T
        step = np.linalg.solve(np.eye(self.q) - share * (L @ C), (share * right[:, :, None]))
        return np.asarray(o + step[:, :, 0])

    def _centred(self) -> Array:
        """Weights and bias (d + 1, q) for rows from which the mean was taken."""
        return np.concatenate([self.W, (self.b + self.shift @ self.W)[None]])

    def _runs(self) -> list[slice]:
        n, size = len(self.V), max(1, min(RUN, NUMBERS // self.q**2))
        return [slice(a, min(a + size, n)) for a in range(0, n, size)]

    def _rows(self, rows: slice) -> Array:
        """Rows in float64, centred, with a one for the bias."""
        x = self.X[rows]
        x = (x if isinstance(x, np.ndarray) else x.toarray()).astype(np.float64) - self.shift
        return np.concatenate([x, np.full((len(x), 1), float(self.fit_intercept))], axis=1)

    # --- all classes together -----------------------------------------------------------------------------------

    def _whole(self) -> Array:
        """The inverse of the Hessian (p, p) of the p parameters that take part."""
        k, q = self.d + 1, self.q
        H = np.zeros((q, k, q, k))
        for rows in self._runs():
            Z = self._rows(rows)
            P = softmax(Z @ self._centred())
            v = self.V[rows] / self.N
            for r in range(q):
                for c in range(r + 1):
                    half = Z.T @ (Z * (v * P[:, r] * ((r == c) - P[:, c]))[:, None])
                    H[r, :, c] += half
                    if c < r:
                        H[c, :, r] += half
        mine = self.part.ravel()
        A = H.reshape(q * k, q * k)[np.ix_(mine, mine)]
        del H
        weights = np.broadcast_to(np.arange(k) < self.d, (q, k)).ravel()[mine]
        A[np.diag_indices_from(A)] += self.l2 * weights
        ties = ~weights  # the biases share a direction that softmax ignores: any curvature along it will do
        A[np.ix_(ties, ties)] += 1.0 / q
        return _inverse(A)

    def _leverage_whole(self, Z: Array, inverse: Array) -> Array:
        """`x^T H^-1 x` for each pair of classes, (b, q, q)."""
        q = self.q
        starts = np.concatenate([[0], np.cumsum(self.part.sum(axis=1))])
        L = np.zeros((len(Z), q, q))
        for r in range(q):
            mine = inverse[starts[r] : starts[r + 1]]
            half = Z[:, self.part[r]] @ mine  # (b, p)
            for c in range(r + 1):
                L[:, r, c] = L[:, c, r] = np.einsum("bj,bj->b", half[:, starts[c] : starts[c + 1]], Z[:, self.part[c]])
        return L

    # --- class by class -----------------------------------------------------------------------------------------

    def _blocks(self) -> list[tuple[Array, Array]]:
        """Each class's own block of the Hessian, inverted, and its parameters that take part.

        Scaled by q / (q - 1): the coupling of the classes takes away the direction that softmax ignores.
        """
        out, q = [], self.q
        sums = [np.zeros((int(m.sum()),) * 2) for m in self.part]
        for rows in self._runs():
            Z = self._rows(rows)
            P, v = softmax(Z @ self._centred()), self.V[rows] / self.N * (q / (q - 1))
            for k, mine in enumerate(self.part):
                Zk = Z[:, mine]
                sums[k] += Zk.T @ (Zk * (v * P[:, k] * (1 - P[:, k]))[:, None])
        for k, mine in enumerate(self.part):
            H = sums[k]
            H[np.diag_indices_from(H)] += self.l2 * (np.flatnonzero(mine) < self.d)
            out.append((mine, _inverse(H)))
        return out

    def _leverage_blocks(self, Z: Array, blocks: list[tuple[Array, Array]]) -> Array:
        L = np.zeros((len(Z), self.q, self.q))
        for k, (mine, inverse) in enumerate(blocks):
            Zk = Z[:, mine]
            L[:, k, k] = np.einsum("bj,bj->b", Zk @ inverse, Zk)
        return L


def _inverse(A: Array) -> Array:
    """The inverse of a positive definite matrix; a little is added to the diagonal where rounding needs it."""
    size = np.sqrt(np.where(np.diag(A) > 0, np.diag(A), 1.0))
    unit = A / size / size[:, None]
    for jitter in (0.0, 1e-12, 1e-9, 1e-6):
        try:
            factor = sl.cho_factor(unit + jitter * np.eye(len(A)), lower=True)
        except np.linalg.LinAlgError:
            continue
        return np.asarray(sl.cho_solve(factor, np.eye(len(A))) / size / size[:, None])
    return np.asarray(np.linalg.pinv(unit, hermitian=True) / size / size[:, None])
