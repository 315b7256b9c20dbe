"""Approximate leave-one-out: what each row's logits would be had the model not seen it, by one Newton step.

At the optimum of all rows, with Hessian H of the objective (bias included), the gradient of the objective without row i
is `-(v / N) (x (p - Y)^T + strength-part)`, so one Newton step, with the row's own curvature taken from H by Woodbury's
formula, moves the row's logits by

    (v / N) (I - (v / N) L C)^-1 (L (p - Y) + u),   C = diag(p) - p p^T,   L = x^T H^-1 x  (q, q),

where u is what the smaller N does to the penalty's share: `x^T H^-1` times the penalty's gradient. Where an l1 part has
chosen the weights, only those that are not zero take part.

With class weights "balanced" the objective is the mean over the classes of the mean loss of their rows, so the fit
without a row of class k, whose rows weigh m_k, has other class weights: its gradient is
`v / (q (m_k - v)) (g_k - x (p - Y)^T)`, with g_k the mean gradient of the rows of class k. This is what takes the place
of the factor v / N and of the penalty's gradient then.

Rad and Maleki (2020), A scalable estimate of the out-of-sample prediction error via approximate leave-one-out
cross-validation; for the linear model with squared error it is the classic exact formula (Allen 1974, PRESS).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from softreg.linalg import cholesky
from softreg.models.selection.fold_stack import Weights
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
    balanced: Array | None = None,
) -> Array:
    """The logits (n, q) of each row as predicted without it; W (d, q) and b (q,) are the optimum of all rows.

    X: (n, d), dense or CSR. labels: codes (n,) or label probabilities (n, q). V: row weights (n,), class weights
    included. free: the weights (d, q) that take part; None stands for those that are not 0 where there is an l1 part,
    and for all without. balanced: the sample weights (n,) where the class weights are "balanced", which are computed
    again without each row; None for class weights that do not depend on the rows.
    """
    return _Leaver(X, labels, V, weights, l1, l2, fit_intercept, free).logits(balanced)


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

    def logits(self, balanced: Array | None = None) -> Array:
        """The logits (n, q) of each row without itself; `balanced` as in `leave_one_out`."""
        shares, gradients = self._removal() if balanced is None else self._balanced_removal(balanced)
        U = np.zeros(gradients.shape)
        leverage: Callable[[Array], Array]
        if self.part.sum() <= MOST_PARAMETERS:
            inverse = self._whole()
            U[:, self.part] = gradients[:, self.part] @ inverse
            leverage = partial(self._leverage_whole, inverse=inverse)
        else:
            blocks = self._blocks()
            for k, (mine, own) in enumerate(blocks):
                U[:, k, mine] = gradients[:, k, mine] @ own
            leverage = partial(self._leverage_blocks, blocks=blocks)
        return np.concatenate([self._moved(rows, leverage, shares[rows], U) for rows in self._runs()])

    def _removal(self) -> tuple[Array, Array]:
        """By how much each row counts (n, 1), and the gradient (1, q, d + 1) of the loss of all rows at the optimum:
        minus that of the penalty."""
        pull = self.l2 * self.W.T + self.l1 * np.sign(self.W.T)
        return (self.V / self.N)[:, None], -np.concatenate([pull, np.zeros((self.q, 1))], axis=1)[None]

    def _balanced_removal(self, v: Array) -> tuple[Array, Array]:
        """`v Y_k / (q (m_k - v Y_k))` of each row and class (n, q), 0 where a class has no other row, and the mean
        gradient (q, q, d + 1) of the rows of each class."""
        own = self.Y * v[:, None]
        mass = own.sum(axis=0)
        left = mass - own
        alone = left <= 1e-12 * mass
        shares = np.where(alone, 0.0, own / np.where(alone, 1.0, left)) / self.q
        gradients = np.zeros((self.q, self.q, self.d + 1))
        for rows in self._runs():
            Z = self._rows(rows)
            R = softmax(Z @ self._centred()) - self.Y[rows]
            for k in range(self.q):
                gradients[k] += (R * own[rows, k, None]).T @ Z
        return shares, gradients / np.where(mass > 0, mass, 1.0)[:, None, None]

    def _moved(self, rows: slice, leverage: Any, shares: Array, U: Array) -> Array:
        """The logits of a run of rows, each without itself."""
        Z = self._rows(rows)
        o = Z @ self._centred()
        P = softmax(o)
        C = P[:, :, None] * np.eye(self.q) - P[:, :, None] * P[:, None, :]
        L = leverage(Z)
        pulled = sum(shares[:, g, None] * (Z @ u.T) for g, u in enumerate(U))
        right = shares.sum(axis=1)[:, None] * np.einsum("bij,bj->bi", L, P - self.Y[rows]) - pulled
        step = np.linalg.solve(np.eye(self.q) - (self.V[rows] / self.N)[:, None, None] * (L @ C), right[:, :, None])
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
    try:
        return cholesky(A, jitter=(0.0, 1e-12, 1e-9, 1e-6), unit_where_zero=True).inverse()
    except np.linalg.LinAlgError:
        size = np.sqrt(np.where(np.diag(A) > 0, np.diag(A), 1.0))
        return np.asarray(np.linalg.pinv(A / size / size[:, None], hermitian=True) / size / size[:, None])
