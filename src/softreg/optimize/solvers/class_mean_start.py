"""A start for many classes: what the class means alone would say, as far along as a sample of rows says is best.

With Gaussian classes about their means `c_k` and one scatter S, the logits are `c_k S^-1 z - c_k S^-1 c_k / 2 + log
rate` (Fisher's discriminant). That is no optimum, but its direction is nearly right, and it costs no pass.
"""

from __future__ import annotations

import numpy as np

from softreg.linalg import cholesky
from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.recomputed import LeanObjective
from softreg.optimize.solvers.lbfgs import dot
from softreg.optimize.solvers.line_search import search
from softreg.rows import Array, Rows

SHRINK = 0.1
"""So much of a standardised column's variance is added to the scatter."""
RARE = 0.1
"""A class without rows starts as if it had this part of one."""


def from_class_means(objective: Objective, sample: Rows) -> Array:
    """Parameters (m, q, d + 1) along the discriminant of the class means, as far as is best for the sample."""
    rates, means = objective.moments.rates, objective.moments.means
    S = objective.scatter.within + SHRINK * np.eye(objective.rows.d)
    W = cholesky(S, scaled=False).solve(means.reshape(-1, means.shape[-1]).T).T.reshape(means.shape)
    W[..., objective.coordinates.constant] = 0.0
    half = np.einsum("mqd,mqd->mq", W, means) / 2
    D = np.concatenate([W, -half[..., None] * objective.fit_intercept], axis=-1)
    D -= D.mean(axis=1, keepdims=True)
    D /= np.sqrt(np.maximum(half.mean(axis=1), 1e-300))[:, None, None]
    theta = np.zeros_like(D)
    if objective.fit_intercept:
        theta[..., -1] = np.log(np.maximum(rates, RARE / objective.mass[:, None]))
        theta[..., -1] -= theta[..., -1].mean(axis=1, keepdims=True)
    return np.asarray(theta + _steps(objective, sample, theta, D)[:, None, None] * D)


def _steps(objective: Objective, sample: Rows, theta: Array, D: Array) -> Array:
    """The step lengths (m,) at which the sample's objective is least; 0 where D does not go down."""
    few = LeanObjective(sample, objective.q, objective.penalty, objective.coordinates, objective.fit_intercept)
    few.members = objective.members.copy()
    ridge = objective.ridge[:, None, :]
    cross, square = dot(ridge * theta, D), dot(ridge * D, D)
    few.place(theta)
    few.step = D

    def eval_along(t: Array) -> Array:
        return np.asarray(few.eval_along(t) + np.stack([t * cross + t**2 * square / 2, cross + t * square, square]))

    start, slope, _ = eval_along(np.zeros(objective.m))
    t = search(eval_along, start, slope, 1e-6 * np.abs(start), flat=0.02)
    return np.where(slope < 0, t, 0.0)
