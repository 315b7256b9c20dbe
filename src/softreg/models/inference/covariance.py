"""Covariance of the parameter estimates: model-based, robust, clustered and posterior.

With I the information of the rows (the Hessian of the summed loss) and H = I plus the penalty's curvature, it is

    "model"      H^-1 I H^-1    (without a penalty simply I^-1)
    "robust"     H^-1 M H^-1    with M the products of the rows' (or clusters') scores
    "posterior"  H^-1           of an L2 penalty read as a normal prior

Huber (1967) and White (1982) for the robust kind, Liang and Zeger (1986) for clusters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from softreg.models.inference.fitted_rows import FittedRows
from softreg.models.likelihood.likelihood import Likelihood, solve
from softreg.optimize.objective.hessian import contrasts
from softreg.probability.label_arrays import spell
from softreg.rows import Array

ERRORS = ("model", "robust", "posterior")
"""Kinds of standard errors."""


def check_errors(model: Any, fitted: FittedRows, kind: str, clusters: Any) -> None:
    """Raise `ValueError` for a kind of standard errors that is not valid for this model."""
    if kind not in ERRORS:
        raise ValueError(f"errors={spell(kind)} is not one of {', '.join(ERRORS)}.")
    if kind == "posterior" and fitted.strength == 0:
        raise ValueError("errors='posterior' reads an L2 penalty as a prior, and this model has none; use 'model'.")
    if clusters is not None and kind != "robust":
        raise ValueError(f"clusters need errors='robust', not {kind!r}, which takes all rows for independent.")
    if model.class_weight is not None and kind != "robust":
        raise ValueError(
            f"the model was fitted with class weights, which are no counts of rows, so errors={kind!r} would be wrong; "
            "use errors='robust'."
        )
    if fitted.sampling and kind != "robust":
        raise ValueError(f"sampling weights are no counts of rows, so errors={kind!r} would be wrong; use 'robust'.")


def covariance(
    fitted: FittedRows, likelihood: Likelihood, theta: Array, hessian: Array | None, kind: str
) -> tuple[Array, float]:
    """Return the covariance (q, d + 1, q, d + 1) in the solver's coordinates, and the degrees of freedom."""
    assert hessian is not None
    H, ridge, p = likelihood.reduced(hessian), likelihood.ridge(), len(likelihood.ridge())
    inverse = solve(H, np.eye(p))
    information = H - np.diag(ridge)
    if kind == "robust":
        C = inverse @ likelihood.score_products(theta, fitted.counts, fitted.clusters) @ inverse
    elif kind == "posterior" or not ridge.any():
        C = inverse
    else:
        C = inverse @ information @ inverse
    df = float(np.einsum("ij,ji->", information, inverse)) if ridge.any() else float(p)
    a, k, identified = likelihood.q - 1, likelihood.d + 1, likelihood.identified
    padded = np.zeros((a, k, a, k))
    each = np.arange(a)
    padded[np.ix_(each, identified, each, identified)] = (
        C.reshape(a, len(identified), a, len(identified)) / likelihood.mass
    )
    T = contrasts(likelihood.q)
    return np.einsum("qa,aibj,rb->qirj", T, padded, T, optimize=True), df
