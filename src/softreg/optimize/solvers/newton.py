"""Newton's method with the exact Hessian, for models of few parameters; its decrement gives a certificate."""

from __future__ import annotations

import numpy as np

from softreg.linalg import Cholesky, cholesky
from softreg.optimize.certificate.self_concordance import decrement_gaps
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import Columns, HessianSums, assemble, contrasts
from softreg.typing import BoolArray, Float64Array, FloatArray

JITTER = (0.0, 1e-13, 1e-11, 1e-9, 1e-6, 1e-3, np.inf)
"""Parts of a Hessian's unit diagonal that are added to it, in turn, until it has a Cholesky factor."""
MIN_PIVOT = 1e-7
"""Diagonal element of the scaled factor below which rounding errors decide: about the root of the unit roundoff."""


class Newton:
    """Directions from the exact Hessian of each model."""

    keeps_signs = True
    has_certificate = True
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
