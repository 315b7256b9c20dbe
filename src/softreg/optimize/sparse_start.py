"""A start near the minimum for sparse rows with an l1 part, from compiled proximal Newton steps on all columns.

The steps work on the stored numbers column by column; the method of the plan then proves the gap, and goes on where it
has to. A step moves the logit of a row by about 2 through each weight at most, as the trust regions of Genkin, Lewis
and Madigan do: beyond, the quadratic model is no guide.

References
----------
Genkin, Lewis and Madigan (2007), Large-scale Bayesian logistic regression for text categorization.
Yuan, Ho and Lin (2012), An improved GLMNET for l1-regularized logistic regression.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from softreg.optimize.curvature.sparse_models import is_sparse, sparse_columns
from softreg.optimize.curvature.subsampled import MemberWeights
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.optimize.problem.result import Progress
from softreg.optimize.solvers.proximal_newton import TARGET_GAP, has_one_weight, in_both_classes
from softreg.optimize.solvers.small_start import SmallStart
from softreg.rows import SparseRows
from softreg.rows.kernels.small_newton import FitSteps
from softreg.rows.kernels.sparse_model import Effort, SparseTask, fit_sparse
from softreg.typing import Array

MAX_STEPS = 100
"""Proximal Newton steps; a fit that needs more is left to the method of the plan."""
FIRST_WEIGHTS = 400
"""Weights that may become other than 0 in one step, or as many as are."""
GAP_SHARE = 0.5
"""Duality gap at which the steps end, in units of the tolerance: the bias is not balanced yet."""
GOAL_SHARE = 1e-4
"""Estimated gap after which a step is the last one, in units of the smaller of the tolerance and `TARGET_GAP`."""
EFFORT = Effort()
"""How closely the model of each step is minimised."""


def sparse_start(objective: Objective, theta: Array, tol: float, max_iter: int) -> SmallStart | None:
    """Return parameters whose gap is expected to be within the tolerance.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (1, q, d + 1)
        The start.
    tol : float
        Nats.
    max_iter : int
        Steps at most.

    Returns
    -------
    SmallStart or None
        None where the steps are not possible or not expected to save time.
    """
    if not _is_possible(objective):
        return None
    started = perf_counter()
    columns = sparse_columns(objective)
    if columns is None:
        return None
    assert isinstance(objective.rows, SparseRows)
    single = has_one_weight(objective)
    V = np.asarray(objective.rows.map(MemberWeights(objective.state)), dtype=np.float64)[:, 0]
    labels = objective.rows.labels
    ridge = objective.ridge[0, 0] / 2 if single else objective.ridge[0, 0]
    task = SparseTask(columns, labels.astype(np.int64, copy=False), V / V.sum(), ridge, objective.l1_scaled[0, 0])
    x = np.array(theta[:, 1:] - theta[:, :1] if single else theta, order="C", dtype=np.float64)
    start = x.copy()
    fit = fit_sparse(
        task,
        x[0],
        EFFORT,
        goal=GOAL_SHARE * min(tol, TARGET_GAP),
        tolerance=GAP_SHARE * tol,
        max_steps=min(int(max_iter), MAX_STEPS),
        first_weights=FIRST_WEIGHTS,
    )
    if not np.isfinite(x).all():
        return None
    found = theta + in_both_classes(objective, theta, start, x - start) if single else x
    half_passes = 2 * round(float(fit.products[-1]))
    history = _history(fit, objective.rows.n, objective.half_passes, perf_counter() - started)
    return SmallStart(found, fit.steps, half_passes, history, proof_first=fit.converged)


def _is_possible(objective: Objective) -> bool:
    """Return True if the steps are possible and expected to save time."""
    rows, penalty = objective.rows, objective.penalty
    kinked = {Trait.SEPARABLE, Trait.SELECTS_COLUMNS} <= set(penalty.traits)
    free = penalty.bounds is None and penalty.support is None and penalty.center is None
    alike = objective.l1_scaled.shape[1] == 1 and objective.ridge.shape[1] == 1
    if not (objective.m == 1 and kinked and free and alike and is_sparse(rows)):
        return False
    assert isinstance(rows, SparseRows)
    return not rows.has_offset and rows.labels.ndim == 1


def _history(fit: FitSteps, n: int, half_passes: int, seconds: float) -> list[Progress]:
    """Return a record for each step; the seconds are shared evenly."""
    entries = []
    for step, (value, gap, products) in enumerate(zip(fit.values, fit.gaps, fit.products, strict=True)):
        halves = half_passes + 2 * round(float(products))
        share = (step + 1) / max(1, fit.steps)
        entries.append(Progress((halves + 1) // 2, float(value), float(gap), seconds * share, halves * n // 2))
    return entries
