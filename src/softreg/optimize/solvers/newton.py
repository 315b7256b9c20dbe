"""Newton's method with the exact Hessian, for models of few parameters, and the proof that its decrement gives.

The certificate: for any direction v, the loss h(t) = F(theta + t v) has |h'''| <= s h'' with s the largest range, over
the rows, of the change of their logits (the third cumulant of a variable of range s is at most s times its variance).
With the Newton decrement delta and R such that s <= R ||v||_H this integrates to

    F - F* <= (u + (1 - u) log(1 - u)) / R^2   with u = R delta < 1,

which is delta^2 / 2 for small u. The argument follows Bach (2010), Self-concordant analysis for logistic regression.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as sl

from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.hessian import Columns, assemble, contrasts, pair_sums
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Sums

EPS = 2.0**-52
DOUBTFUL = 1e-3
"""Where R^2 times eps exceeds this, rounding errors of the gradient are part of the bound."""
SAFE = 0.9
"""The bound holds for u < 1 in exact arithmetic. A row that is a huge outlier has u = 1 up to rounding as long as its
loss falls exponentially along its own direction, however far the optimum is."""


class Newton:
    """Directions from the exact Hessian of each model."""

    has_certificate = True
    target_gap = 1e-13

    def __init__(self) -> None:
        self.factors: list[tuple[Array, bool]] = []

    def direction(self, objective: Objective, theta: Array, G: Array) -> Array:
        """The Newton direction (m, q, d + 1) at parameters `theta` with gradient `G`."""
        T = contrasts(objective.q)
        self.factors = [factorised(H) for H in self._hessian(objective)]
        reduced = np.einsum("qa,mqd->mad", T, G)
        D = np.stack([-solved(f, g.ravel()).reshape(g.shape) for (f, _), g in zip(self.factors, reduced, strict=True)])
        return np.asarray(np.einsum("qa,mad->mqd", T, D))

    def _hessian(self, objective: Objective) -> Array:
        """Hessians (m, p, p) for p = (q - 1) x (d + 1) parameters, at the kept logits."""
        objective.half_passes += 1
        columns = Columns(objective)

        def part(block: Block) -> Sums:
            P, _ = loss.probabilities(objective.logits(block).astype(np.float64))
            return (pair_sums(columns, block, P, objective.weights(block)),)

        return assemble(objective, objective.rows.sum(part)[0])

    def decrement_bound(self, objective: Objective, G: Array) -> Array:
        """The certified gap (m,) at gradient `G`; inf where it proves nothing, as with a Hessian bent to be factored.

        Call it right after `direction` at the same parameters.
        """
        reduced = np.einsum("qa,mqd->mad", contrasts(objective.q), G)
        square = np.array([g.ravel() @ solved(f, g.ravel()) for (f, _), g in zip(self.factors, reduced, strict=True)])
        proved = proved_by_decrement(objective, [f for f, _ in self.factors], square, with_rounding=True)
        return np.where([exact for _, exact in self.factors], proved, np.inf)

    def recession_direction(self, objective: Objective, theta: Array, G: Array, D: Array) -> Array:
        """Newton's own direction: what converges hardly moves, what runs away moves by about 1."""
        return D

    def update(self, step: Array, change: Array) -> None:
        """Nothing to remember: each Hessian is exact."""

    def drop_members(self, keep: Array) -> None:
        """Only the models marked in `keep` stay."""
        self.factors = [f for f, k in zip(self.factors, keep, strict=False) if k]

    def reset(self) -> None:
        """Nothing was remembered."""


def self_concordant_gap(decrement: float, R: float) -> float:
    """`(u + (1 - u) log(1 - u)) / R^2` with `u = R * decrement`; inf for u >= `SAFE`.

    Example:
        >>> round(self_concordant_gap(1e-3, 1.0) / 5e-7, 3)
        1.0
    """
    u = R * decrement
    if u >= SAFE or not np.isfinite(u):
        return float("inf")
    if u < 1e-4:  # the series: the closed form would cancel
        return decrement**2 * (0.5 + u / 6 + u * u / 12 * 1.001)
    return float((u + (1 - u) * np.log1p(-u)) / R**2)


def proved_by_decrement(
    objective: Objective, factors: list[Array], squares: Array, with_rounding: bool = False
) -> Array:
    """Certified gaps (m,) from factors of the exact Hessians and squared Newton decrements (m,) at the same place.

    `with_rounding` adds the rounding error of the gradient at the kept logits, which decides where rows have a huge
    leverage.
    """
    out = []
    for j, (factor, square) in enumerate(zip(factors, squares, strict=True)):
        trace = _trace(objective, factor)
        decrement, R = np.sqrt(max(0.0, square)), _range_bound(objective, trace)
        if with_rounding and R * R * EPS > DOUBTFUL:
            decrement += _rounding(objective, trace, j)
        out.append(self_concordant_gap(float(decrement), R))
    return np.array(out)


def _trace(objective: Objective, factor: Array) -> Array:
    """The sum (d + 1, d + 1) of the diagonal blocks of the inverse Hessian; `z^T trace z` is the leverage of a row."""
    a, k = objective.q - 1, objective.rows.d + 1
    return np.asarray(solved(factor, np.eye(len(factor))).reshape(a, k, a, k).trace(axis1=0, axis2=2))


def _range_bound(objective: Objective, trace: Array) -> float:
    """R with `range of a row's change of logits <= R ||v||_H`: from the leverage of the rows."""
    objective.half_passes += 1
    columns = Columns(objective)

    def part(block: Block) -> Array:
        return np.array([max(np.einsum("ji,ji->i", trace @ Z, Z).max() for _, Z in columns.runs(block))])

    return float(np.sqrt(2 * max(0.0, objective.rows.map(part).max())))


def _rounding(objective: Objective, trace: Array, j: int) -> float:
    """A bound of the rounding error of model j's gradient, in the norm of the inverse Hessian."""
    columns = Columns(objective)

    def part(block: Block) -> Sums:
        P, _ = loss.probabilities(objective.logits(block).astype(np.float64))
        V, total = objective.weights(block), 0.0
        for run, Z in columns.runs(block):
            leverage = np.einsum("ji,ji->i", trace @ Z, Z)
            total += lost_residual(P[j][:, run], leverage, None if V is None else V[j % len(V), run])
        return (total,)

    return float(objective.rows.sum(part)[0] / objective.mass[j])


def lost_residual(P: Array, leverage: Array, v: Array | None) -> float:
    """`sum_i v_i e_i sqrt(2 leverage_i)` with e_i the rounding error of a residual at probabilities P (q, b): eps, or
    the probability of all classes but the likeliest where that is less.

    Example:
        >>> lost_residual(np.array([[1.0, 0.5], [0.0, 0.5]]), np.array([1e30, 0.5]), None) == 2.0**-52
        True
    """
    rest = P.sum(axis=0, where=np.arange(len(P))[:, None] != P.argmax(axis=0))
    error = np.minimum(EPS, rest) * np.sqrt(2 * np.maximum(leverage, 0.0))
    return float((error if v is None else v * error).sum())


def factorised(H: Array) -> tuple[Array, bool]:
    """A lower Cholesky factor of H, and whether H was factored as it is.

    H is scaled to a unit diagonal first, so that a column with a huge ridge does not drown the others.
    """
    size = H.diagonal()
    size = np.sqrt(np.where(size > 0, size, 1.0))  # a column that never varies, without penalty: its weight stays 0
    unit = np.divide(H, np.multiply.outer(size, size), order="F")
    index = np.arange(len(H))
    for jitter in (0.0, 1e-13, 1e-11, 1e-9, 1e-6, 1e-3):
        unit[index, index] = 1.0 + jitter
        L, failed = sl.lapack.dpotrf(unit, lower=1, clean=1)
        if not failed and (jitter or L.diagonal().min() > 1e-7):
            L *= size[:, None]
            return L, jitter == 0.0 and bool(np.isfinite(size).all())
    return np.diag(size), False


def solved(L: Array, g: Array) -> Array:
    """`(L L^T)^-1 g`."""
    x, _ = sl.lapack.dpotrs(L, g, lower=1)
    return np.asarray(x)
