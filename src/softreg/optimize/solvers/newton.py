"""Newton's method: with the exact Hessian, whose decrement gives a certificate, or with conjugate gradients.

References
----------
Nash and Sofer (1990), Assessing a search direction within a truncated-Newton method.
"""

from __future__ import annotations

import numpy as np

from softreg.linalg import TINY, Cholesky, cholesky
from softreg.optimize.certificate.self_concordance import decrement_gaps
from softreg.optimize.curvature.class_hessian import ClassHessian, ClassPreconditioner
from softreg.optimize.curvature.hessian_products import StandardisedColumns
from softreg.optimize.curvature.preconditioners import Preconditioner
from softreg.optimize.curvature.subsampled import KeptProbabilities, MemberWeights
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import Columns, HessianSums, assemble, contrasts
from softreg.optimize.solvers.direction import StatelessDirections
from softreg.typing import BoolArray, Float64Array, FloatArray

JITTER = (0.0, 1e-13, 1e-11, 1e-9, 1e-6, 1e-3, np.inf)
"""Parts of a Hessian's unit diagonal that are added to it, in turn, until it has a Cholesky factor."""
LOOSEST, TIGHTEST = 0.3, 0.1
"""Residual at which conjugate gradients end, in the norm of the preconditioner and relative to the gradient: at an
estimated gap of 1 nat and more, and at 1e-2 and less."""
GAIN = 0.25
"""They also end where the last product lowers the model by less than this share of the mean of all products."""
SLOW = 0.5
"""Ratio of the estimated gaps of two steps above which the next system is solved more closely, by this factor."""
MOST_PRODUCTS = 400
"""Products with the Hessian in one linear system."""
MIN_PIVOT = 1e-7
"""Diagonal element of the scaled factor below which rounding errors decide: about the root of the unit roundoff."""


class Newton:
    """Directions from the exact Hessian of each model."""

    keeps_signs = True
    has_certificate = True
    searches_closely = False
    target_gap = 1e-13

    def __init__(self) -> None:
        self.factors: list[Cholesky] = []

    def direction(self, objective: Objective, theta: FloatArray, G: FloatArray) -> FloatArray:
        """Return the Newton direction (m, q, d + 1) at parameters `theta` with gradient `G`."""
        T = contrasts(objective.q)
        self.factors = [factor_hessian(H) for H in self._hessian(objective)]
        reduced = np.einsum("qa,mqd->mad", T, G)
        D = np.stack([-f.solve(g.ravel()).reshape(g.shape) for f, g in zip(self.factors, reduced, strict=True)])
        return np.asarray(np.einsum("qa,mad->mqd", T, D))

    def _hessian(self, objective: Objective) -> Float64Array:
        """Return the Hessians (m, p, p) for p = (q - 1) (d + 1) parameters, at the kept logits."""
        return assemble(objective, objective.sum(HessianSums(objective.state, Columns(objective)))[0])

    def decrement_bound(self, objective: Objective, G: FloatArray) -> Float64Array:
        """Return the certified gap (m,) at gradient `G`, right after `direction` at the same parameters.

        It is inf where the Hessian had no factor without jitter.

        Returns
        -------
        Float64Array
            Gaps (m,) in nats.
        """
        reduced = np.einsum("qa,mqd->mad", contrasts(objective.q), G)
        square = np.array([g.ravel() @ f.solve(g.ravel()) for f, g in zip(self.factors, reduced, strict=True)])
        proved = decrement_gaps(objective, [f.L for f in self.factors], square, with_rounding=True)
        return np.where([f.exact for f in self.factors], proved, np.inf)

    def recession_direction(self, objective: Objective, theta: FloatArray, G: FloatArray, D: FloatArray) -> FloatArray:
        """Return Newton's direction: convergent weights hardly move, diverging ones move by about 1."""
        return D

    def update(self, step: FloatArray, change: FloatArray) -> None:
        """Do nothing: each Hessian is exact."""

    def drop_members(self, keep: BoolArray) -> None:
        """Keep only the members marked in `keep` (m,)."""
        self.factors = [f for f, k in zip(self.factors, keep, strict=False) if k]

    def reset(self) -> None:
        """Do nothing: nothing is kept between steps."""


def factor_hessian(H: Float64Array) -> Cholesky:
    """Return the Cholesky factor of an exact Hessian, with jitter where rounding has made it indefinite.

    The scale of a constant column without a penalty is 1: its weight stays 0.

    Returns
    -------
    Cholesky
        The factor in the units of H.
    """
    return cholesky(H, jitter=JITTER, min_pivot=MIN_PIVOT, unit_where_zero=True).merged()


class TruncatedNewton(StatelessDirections):
    """Newton directions by conjugate gradients, with products of the exact Hessian and a copy of the rows."""

    keeps_signs = True
    searches_closely = True

    def __init__(self) -> None:
        self.Z: FloatArray | None = None
        self.models: list[TruncatedModel] = []

    def direction(self, objective: Objective, theta: FloatArray, G: FloatArray) -> FloatArray:
        """Return an approximate Newton direction (m, q, d + 1) at parameters `theta` with gradient `G`."""
        if self.Z is None:
            columns = np.arange(objective.rows.d + 1)
            shift, scale = objective.coordinates.for_block()
            self.Z = objective.rows.map(StandardisedColumns(shift, scale, columns, float(objective.fit_intercept)))
            self.models = [TruncatedModel() for _ in G]
        P = objective.map(KeptProbabilities(objective.state))
        V = np.asarray(objective.rows.map(MemberWeights(objective.state)))
        D = np.empty(G.shape)
        for j, model in enumerate(self.models):
            v = (V[:, j] / objective.mass[j]).astype(self.Z.dtype)
            hessian = ClassHessian.of(self.Z, np.ascontiguousarray(P[:, j].T), v, objective.ridge[j])
            D[j] = model.direction(hessian, np.asarray(G[j], dtype=np.float64))
            objective.half_passes += 2 * model.products
            work = 2 * model.products * hessian.multiplications
            objective.meter.count(2.0 * model.products * self.Z.nbytes, work, self.Z.dtype)
        return D

    def drop_members(self, keep: BoolArray) -> None:
        """Keep only the members marked in `keep` (m,)."""
        self.models = [model for model, kept in zip(self.models, keep, strict=False) if kept]


class TruncatedModel:
    """The linear systems of one model."""

    def __init__(self) -> None:
        self.preconditioner = ClassPreconditioner()
        self.estimate, self.gain, self.products = np.inf, GAIN, 0

    def direction(self, hessian: ClassHessian, G: Float64Array) -> Float64Array:
        """Return an approximate Newton direction (q, k) at the gradient G."""
        inverse = self.preconditioner.at(hessian)
        residual = min(LOOSEST, max(TIGHTEST, float(np.sqrt(self.estimate))))
        D, self.products = conjugate_gradients(hessian, inverse, -G, residual, self.gain)
        self.preconditioner.count(self.products)
        estimate = -float((G * D).sum()) / 2
        if estimate > SLOW * self.estimate:
            self.gain *= SLOW
        self.estimate = estimate
        return D


def conjugate_gradients(
    hessian: ClassHessian, inverse: Preconditioner, right: Float64Array, residual: float, gain: float
) -> tuple[Float64Array, int]:
    """Return an approximate solution (q, k) of Hessian times D = right, and the products that it took.

    Parameters
    ----------
    hessian, inverse
        The Hessian and its preconditioner.
    right
        Right-hand side (q, k).
    residual
        Relative residual at the end.
    gain
        Smallest decrease of the quadratic model by a product, relative to the mean of all products.

    Returns
    -------
    D : Float64Array
    products : int
    """
    size = float(np.abs(right).max())
    if not size > 0:
        return np.zeros_like(right), 0
    r, D = right / size, np.zeros_like(right)

    def solved(r: Float64Array) -> Float64Array:
        y = np.asarray(inverse.solve(r[None])[0], dtype=np.float64)
        return np.asarray(y - y.mean(axis=0))  # softmax ignores a common shift of all classes

    y = solved(r)
    d, square, decrease = y.copy(), float((r * y).sum()), 0.0
    first, products = square, 0
    while products < MOST_PRODUCTS and square > residual**2 * first:
        H = hessian.times(d)
        bend = float((d * H).sum())
        products += 1
        if not bend > 0:
            break
        length = square / bend
        last, decrease = length * square, decrease + length * square
        D += length * d
        r -= length * H
        if products > 1 and products * last < gain * decrease:
            break
        y = solved(r)
        following = float((r * y).sum())
        d *= following / max(square, TINY)
        d += y
        square = following
    return (D if np.isfinite(D).all() and D.any() else solved(right / size)) * size, products
