"""A start for many classes: linear discriminant analysis, scaled to the minimum of the objective on a sample.

With Gaussian classes about their means `c_k` and one within-class scatter S, the logits are `c_k S^-1 z - c_k S^-1 c_k
/ 2 + log rate`. The direction of these parameters is nearly that of the optimum, and it costs no pass.

References
----------
Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, section 4.3.
"""

from __future__ import annotations

import numpy as np

from softreg.linalg import TINY, cholesky
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.recomputed_logits import RecomputedObjective
from softreg.optimize.solvers.lbfgs_memory import dot
from softreg.optimize.solvers.line_search import PointOnLine, wolfe_search
from softreg.rows import Rows
from softreg.typing import Float64Array, FloatArray

SHRINKAGE = 0.1
"""Part of a standardised column's variance that is added to the scatter."""
PSEUDO_COUNT = 0.1
"""Rows that a class without rows counts as."""
NOISE = 1e-6
"""Rounding error of the sample's objective, as a part of it."""
CURVATURE = 0.02
"""Curvature constant c2 of the line search: nearly exact, since it costs no pass."""


def from_class_means(objective: Objective, sample: Rows) -> FloatArray:
    """Return start parameters along the linear discriminant, at the minimum of the sample's objective.

    Parameters
    ----------
    objective
        The objective of m models with q classes and d columns.
    sample
        Rows among those of the objective.

    Returns
    -------
    FloatArray
        Parameters (m, q, d + 1) in the solver's coordinates.
    """
    rates, means = objective.moments.rates, objective.moments.means
    S = objective.scatter.within + SHRINKAGE * np.eye(objective.rows.d)
    W = cholesky(S, scaled=False).solve(means.reshape(-1, means.shape[-1]).T).T.reshape(means.shape)
    W[..., objective.coordinates.constant] = 0.0
    half = np.einsum("mqd,mqd->mq", W, means) / 2
    D = np.concatenate([W, -half[..., None] * objective.fit_intercept], axis=-1)
    D -= D.mean(axis=1, keepdims=True)
    D /= np.sqrt(np.maximum(half.mean(axis=1), TINY))[:, None, None]
    theta = np.zeros_like(D)
    if objective.fit_intercept:
        theta[..., -1] = np.log(np.maximum(rates, PSEUDO_COUNT / objective.mass[:, None]))
        theta[..., -1] -= theta[..., -1].mean(axis=1, keepdims=True)
    return np.asarray(theta + _step_lengths(objective, sample, theta, D)[:, None, None] * D)


def _step_lengths(objective: Objective, sample: Rows, theta: FloatArray, D: FloatArray) -> Float64Array:
    """Return the step lengths (m,) along D that minimize the sample's objective; 0 where D does not descend."""
    sampled = RecomputedObjective(
        sample, objective.q, objective.penalty, objective.coordinates, objective.fit_intercept
    )
    sampled.members = objective.members.copy()
    ridge = objective.ridge
    cross, square = dot(ridge * theta, D), dot(ridge * D, D)
    sampled.place(theta)
    sampled.direction = sampled.direction_point(np.asarray(D, dtype=np.float64))

    def eval_along(t: Float64Array) -> PointOnLine:
        ridge_part = np.stack([t * cross + t**2 * square / 2, cross + t * square, square])
        return np.asarray(sampled.eval_along(t) + ridge_part)

    value0, slope0, _ = eval_along(np.zeros(objective.m))
    t = wolfe_search(eval_along, value0, slope0, NOISE * np.abs(value0), curvature=CURVATURE)
    return np.where(slope0 < 0, t, 0.0)
