"""Approximate leave-one-out cross-validation: logits of each row by the model without it, from one Newton step.

At the optimum of all rows, with Hessian H of the objective (bias included), the gradient of the objective without row i
is `-(v / N) (x (p - Y)^T + gradient of the penalty)`. One Newton step, with the row's own curvature subtracted from H
by Woodbury's formula, changes the row's logits by

    (v / N) (I - (v / N) L C)^-1 (L (p - Y) + u),   C = diag(p) - p p^T,   L = x^T H^-1 x  (q, q),

where u, `x^T H^-1` times the gradient of the penalty, is the effect of the smaller N on the share of the penalty. With
an l1 part, only weights that are not zero are free parameters.

With class weights "balanced" the objective is the mean over the classes of the mean loss of their rows, so the fit
without a row of class k, whose rows weigh m_k, has other class weights: its gradient is
`v / (q (m_k - v)) (g_k - x (p - Y)^T)`, with g_k the mean gradient of the rows of class k. These replace the factor
v / N and the gradient of the penalty.

Rad and Maleki (2020), A scalable estimate of the out-of-sample prediction error via approximate leave-one-out
cross-validation; for the linear model with squared error it is the exact PRESS formula (Allen 1974).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from softreg.linalg import cholesky
from softreg.models.selection.fold_stack import Weights
from softreg.probability import softmax
from softreg.typing import Array, BoolArray, Float64Array

MAX_PARAMETERS = 6_000
"""Free parameters up to which the whole Hessian is used (288 MB); above, only its diagonal block of each class."""
RUN_ROWS = 1024
"""Rows that are processed at a time, at most."""
RUN_NUMBERS = 4_000_000
"""Numbers of the q x q matrices of the rows that are processed at a time, at most."""
ROUNDING = 1e-12
"""A remainder of a class mass below this share of the mass is rounding error."""


def check_size(d: int) -> None:
    """Raise `ValueError` for more columns than a diagonal block of the Hessian may have."""
    if d >= MAX_PARAMETERS:
        raise ValueError(
            f"cv='loo' needs the curvature between all columns, and X has {d:,}, more than {MAX_PARAMETERS - 1:,}; "
            "use folds: cv=5."
        )


def leave_one_out(
    X: Any,
    labels: Array,
    V: Array,
    *,
    weights: Weights,
    l1: float,
    l2: float,
    fit_intercept: bool,
    free: BoolArray | None = None,
    balanced: Array | None = None,
    offset: Array | None = None,
) -> Float64Array:
    """Return the approximate logits of each row by the model that is fitted without it.

    Parameters
    ----------
    X : ndarray or csr_array of shape (n, d)
        Features.
    labels : ndarray of shape (n,) or (n, q)
        Codes of the classes or label probabilities.
    V : ndarray of shape (n,)
        Row weights, class weights included.
    weights : pair of ndarray
        W (d, q) and b (q,), the optimum of all rows.
    l1, l2 : float
        Strengths of the l1 and the l2 part of the penalty.
    fit_intercept : bool
        Whether there is a bias.
    free : ndarray of bool, shape (d, q), optional
        Weights that are free parameters; by default all, and with an l1 part those that are not 0.
    balanced : ndarray of shape (n,), optional
        Sample weights, if class weights are "balanced", which are computed again without each row.
    offset : ndarray of shape (n, q), optional
        Fixed part of the logits.

    Returns
    -------
    ndarray of shape (n, q)
        The logits.
    """
    penalty = {"l1": l1, "l2": l2}
    step = _LeaveOneOutStep(
        X, labels, V, weights=weights, **penalty, fit_intercept=fit_intercept, free=free, offset=offset
    )
    return step.logits(balanced)


class _LeaveOneOutStep:
    """The Hessian at the optimum and its inverse, for all classes together or class by class."""

    def __init__(
        self,
        X: Any,
        labels: Array,
        V: Array,
        *,
        weights: Weights,
        l1: float,
        l2: float,
        fit_intercept: bool,
        free: BoolArray | None,
        offset: Array | None,
    ) -> None:
        self.offset = offset
        self.X, self.V, self.N = X, V, float(V.sum())
        self.W, self.b = weights
        self.d, self.q = self.W.shape
        self.Y = np.eye(self.q)[labels] if labels.ndim == 1 else labels
        self.l1, self.l2, self.fit_intercept = l1, l2, fit_intercept
        mean = np.asarray((X.T @ V) / self.N).ravel()
        self.shift = mean if fit_intercept else np.zeros(self.d)  # centred features make the Hessian well scaled
        self.free = np.ones((self.q, self.d + 1), dtype=bool)
        self.free[:, :-1] = free.T if free is not None else (self.W.T != 0) if l1 > 0 else True
        self.free[:, -1] = fit_intercept

    def logits(self, balanced: Array | None = None) -> Array:
        """Return the logits (n, q) of each row by the model without it; `balanced` as in `leave_one_out`."""
        shares, gradients = self._removal() if balanced is None else self._balanced_removal(balanced)
        U = np.zeros(gradients.shape)
        leverage: Callable[[Array], Array]
        if self.free.sum() <= MAX_PARAMETERS:
            inverse = self._inverse_hessian()
            U[:, self.free] = gradients[:, self.free] @ inverse
            leverage = partial(self._leverage_whole, inverse=inverse)
        else:
            blocks = self._inverse_blocks()
            for k, (free, inverse) in enumerate(blocks):
                U[:, k, free] = gradients[:, k, free] @ inverse
            leverage = partial(self._leverage_blocks, blocks=blocks)
        return np.concatenate([self._logits_without(rows, leverage, shares[rows], U) for rows in self._runs()])

    def _removal(self) -> tuple[Array, Array]:
        """Return the share of each row (n, 1) and the gradient (1, q, d + 1) of the loss, minus that of the penalty."""
        penalty_gradient = self.l2 * self.W.T + self.l1 * np.sign(self.W.T)
        return (self.V / self.N)[:, None], -np.concatenate([penalty_gradient, np.zeros((self.q, 1))], axis=1)[None]

    def _balanced_removal(self, v: Array) -> tuple[Array, Array]:
        """Return shares (n, q) of rows in their classes, and mean gradients (q, q, d + 1) of the classes."""
        # The share is `v Y_k / (q (m_k - v Y_k))`, and 0 if a class has no other row.
        own = self.Y * v[:, None]
        mass = own.sum(axis=0)
        remaining = mass - own
        alone = remaining <= ROUNDING * mass
        shares = np.where(alone, 0.0, own / np.where(alone, 1.0, remaining)) / self.q
        gradients = np.zeros((self.q, self.q, self.d + 1))
        for rows in self._runs():
            Z = self._rows(rows)
            R = softmax(self._logits(Z, rows)) - self.Y[rows]
            for k in range(self.q):
                gradients[k] += (R * own[rows, k, None]).T @ Z
        return shares, gradients / np.where(mass > 0, mass, 1.0)[:, None, None]

    def _logits_without(self, rows: slice, leverage: Callable[[Array], Array], shares: Array, U: Array) -> Float64Array:
        """Return the logits of a run of rows, each by the model without it."""
        Z = self._rows(rows)
        o = self._logits(Z, rows)
        P = softmax(o)
        C = P[:, :, None] * np.eye(self.q) - P[:, :, None] * P[:, None, :]
        L = leverage(Z)
        mean_terms = sum(shares[:, g, None] * (Z @ u.T) for g, u in enumerate(U))
        right = shares.sum(axis=1)[:, None] * np.einsum("bij,bj->bi", L, P - self.Y[rows]) - mean_terms
        step = np.linalg.solve(np.eye(self.q) - (self.V[rows] / self.N)[:, None, None] * (L @ C), right[:, :, None])
        return np.asarray(o + step[:, :, 0])

    def _logits(self, Z: Array, rows: slice) -> Array:
        """Return the logits (b, q) of centred rows by the model of all rows."""
        o = Z @ self._centred()
        return o if self.offset is None else o + self.offset[rows]

    def _centred(self) -> Array:
        """Return weights and bias (d + 1, q) for centred rows."""
        return np.concatenate([self.W, (self.b + self.shift @ self.W)[None]])

    def _runs(self) -> list[slice]:
        """Return runs of rows that are processed at a time."""
        n, size = len(self.V), max(1, min(RUN_ROWS, RUN_NUMBERS // self.q**2))
        return [slice(a, min(a + size, n)) for a in range(0, n, size)]

    def _rows(self, rows: slice) -> Array:
        """Return rows in float64, centred, with a one for the bias."""
        x = self.X[rows]
        x = (x if isinstance(x, np.ndarray) else x.toarray()).astype(np.float64) - self.shift
        return np.concatenate([x, np.full((len(x), 1), float(self.fit_intercept))], axis=1)

    # --- all classes together -----------------------------------------------------------------------------------

    def _inverse_hessian(self) -> Array:
        """Return the inverse of the Hessian (p, p) of the p free parameters."""
        k, q = self.d + 1, self.q
        H = np.zeros((q, k, q, k))
        for rows in self._runs():
            Z = self._rows(rows)
            P = softmax(self._logits(Z, rows))
            v = self.V[rows] / self.N
            for r in range(q):
                for c in range(r + 1):
                    half = Z.T @ (Z * (v * P[:, r] * ((r == c) - P[:, c]))[:, None])
                    H[r, :, c] += half
                    if c < r:
                        H[c, :, r] += half
        free = self.free.ravel()
        A = H.reshape(q * k, q * k)[np.ix_(free, free)]
        del H
        weights = np.broadcast_to(np.arange(k) < self.d, (q, k)).ravel()[free]
        A[np.diag_indices_from(A)] += self.l2 * weights
        biases = (
            ~weights
        )  # softmax is invariant to a common shift of them: any curvature along it gives the same logits
        A[np.ix_(biases, biases)] += 1.0 / q
        return _inverse(A)

    def _leverage_whole(self, Z: Array, inverse: Array) -> Array:
        """Return `x^T H^-1 x` for each pair of classes, (b, q, q)."""
        q = self.q
        starts = np.concatenate([[0], np.cumsum(self.free.sum(axis=1))])
        L = np.zeros((len(Z), q, q))
        for r in range(q):
            half = Z[:, self.free[r]] @ inverse[starts[r] : starts[r + 1]]  # (b, p)
            for c in range(r + 1):
                L[:, r, c] = L[:, c, r] = np.einsum("bj,bj->b", half[:, starts[c] : starts[c + 1]], Z[:, self.free[c]])
        return L

    # --- class by class -----------------------------------------------------------------------------------------

    def _inverse_blocks(self) -> list[tuple[BoolArray, Array]]:
        """Return the free parameters of each class and the inverse of its diagonal block of the Hessian."""
        # The blocks are scaled by q / (q - 1), for the coupling of the classes: softmax is invariant to common shifts.
        out, q = [], self.q
        sums = [np.zeros((int(m.sum()),) * 2) for m in self.free]
        for rows in self._runs():
            Z = self._rows(rows)
            P, v = softmax(self._logits(Z, rows)), self.V[rows] / self.N * (q / (q - 1))
            for k, free in enumerate(self.free):
                Zk = Z[:, free]
                sums[k] += Zk.T @ (Zk * (v * P[:, k] * (1 - P[:, k]))[:, None])
        for k, free in enumerate(self.free):
            H = sums[k]
            H[np.diag_indices_from(H)] += self.l2 * (np.flatnonzero(free) < self.d)
            out.append((free, _inverse(H)))
        return out

    def _leverage_blocks(self, Z: Array, blocks: list[tuple[BoolArray, Array]]) -> Array:
        """Return `x^T H_k^-1 x` for each class k on the diagonal of (b, q, q)."""
        L = np.zeros((len(Z), self.q, self.q))
        for k, (free, inverse) in enumerate(blocks):
            Zk = Z[:, free]
            L[:, k, k] = np.einsum("bj,bj->b", Zk @ inverse, Zk)
        return L


def _inverse(A: Array) -> Array:
    """Return the inverse of a positive definite matrix, with jitter on its diagonal if rounding requires it."""
    try:
        return cholesky(A, jitter=(0.0, 1e-12, 1e-9, 1e-6), unit_where_zero=True).inverse()
    except np.linalg.LinAlgError:
        size = np.sqrt(np.where(np.diag(A) > 0, np.diag(A), 1.0))
        return np.asarray(np.linalg.pinv(A / size / size[:, None], hermitian=True) / size / size[:, None])
