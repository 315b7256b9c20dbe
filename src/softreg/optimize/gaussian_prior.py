"""Fits with a Gaussian prior of all parameters, and the precision of the posterior that they leave.

With a prior of mean m and precision P, and N the sum of the row weights, a fit minimises

    mean_i v_i CE(y_i, softmax(x_i W + b)) + (theta - m)' P (theta - m) / (2 N),   theta = (W, b),

which is -1/N times the logarithm of the posterior density. At its minimum, the precision of the Gaussian approximation
to the posterior (Laplace's) is P + N H with the Hessian H of the loss. As prior of further rows it stands for the rows
of this fit up to the second order of their likelihood.

References
----------
Spiegelhalter and Lauritzen (1990), Sequential updating of conditional probabilities on directed graphical structures.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from softreg.optimize.certified_newton.proximal_steps import FinalProximal
from softreg.optimize.cost.meter import metered
from softreg.optimize.curvature.subsampled import DiagonalSums
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import Columns, free_hessians
from softreg.optimize.objective.recomputed_logits import RecomputedObjective
from softreg.optimize.problem.elastic_net import l2
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.penalty_protocol import Penalty
from softreg.optimize.problem.quadratic_form import QuadraticForm
from softreg.optimize.problem.result import Solution, Status
from softreg.optimize.problem.solver_plan import CurvatureModel, Logits, Method, Plan, Start, Transform
from softreg.optimize.problem.standardization import Coordinates, standardise
from softreg.rows import Array, Rows, one_blas_thread
from softreg.typing import Float64Array


def minimise_with_prior(
    rows: Rows,
    n_classes: int,
    prior: QuadraticForm,
    *,
    penalty: Penalty | None = None,
    fit_intercept: bool = True,
    tol: float = 1e-6,
    limits: Limits = LIMITS,
) -> Solution:
    """Minimise mean cross-entropy plus the negative log-density of a Gaussian prior divided by the mass of the rows.

    Parameters
    ----------
    rows : Rows
        Features (n, d) with their labels and row weights (1, n).
    n_classes : int
        Number of classes q.
    prior : QuadraticForm
        Mean (q, d + 1) and precision (p, p) of the prior, p = q (d + 1), in the user's columns, bias last.
    penalty : Penalty, optional
        Bounds of the weights, as a penalty of one model.
    fit_intercept : bool
        Whether there is a bias.
    tol : float
        Nats: certified gap at which the fit has converged.
    limits : Limits
        Thresholds of the exact Hessian.

    Returns
    -------
    Solution
        The mode of the posterior.

    Examples
    --------
    >>> from softreg.rows import as_rows
    >>> rows = as_rows(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1]))
    >>> fit = minimise_with_prior(rows, 2, QuadraticForm(np.zeros((2, 2)), np.diag([1.0, 0.0, 1.0, 0.0])))
    >>> fit.status.value, fit.bound
    ('converged', 'self-concordance')
    """
    with one_blas_thread(), metered() as meter:
        rows, coordinates = standardise(rows, centred=fit_intercept)
        coordinates = replace(coordinates, constant=np.zeros_like(coordinates.constant))  # the prior has their weights
        no_penalty = l2(0.0) if penalty is None else penalty
        form = prior.in_coordinates(coordinates)
        newton = FinalProximal(rows, coordinates, n_classes, 0, no_penalty, fit_intercept, limits, form)
        start = form.center.copy()
        start[:, -1] *= fit_intercept
        proof = newton.run(start, tol)
        cost = meter.finish(rows)
    W, b = coordinates.to_user(proof.theta[None])
    status = Status.STALLED
    if proof.gap <= tol:
        status = Status.CONVERGED if proof.certified else Status.UNCERTIFIED
    return Solution(
        W=np.ascontiguousarray(W[0].T),
        b=b[0],
        value=proof.value,
        gap=proof.gap,
        bound="self-concordance" if proof.certified else "estimate",
        status=status,
        passes=2 * newton.hessians + proof.steps,
        n_iter=proof.steps,
        cost=cost,
        plan=Plan(
            name="proximal-newton",
            transform=Transform.NONE,
            logits=Logits.RECOMPUTED,
            start=Start.GIVEN,
            method=Method.PROXIMAL_NEWTON,
            curvature=CurvatureModel.EXACT,
            fallback="",
            why="The prior has a precision matrix of all parameters.",
        ),
    )


def loss_precision(rows: Rows, W: Array, b: Array, *, diagonal: bool, fit_intercept: bool = True) -> Float64Array:
    """Return the Hessian of the summed loss in the user's parameters, class by class, bias last.

    Parameters
    ----------
    rows : Rows
        Features (n, d) with their labels and row weights (1, n).
    W, b : ndarray of shape (d, q) and (q,)
        Parameters.
    diagonal : bool
        Whether to return the diagonal alone.
    fit_intercept : bool
        Whether there is a bias; without one its rows and columns are 0.

    Returns
    -------
    ndarray of shape (p, p) or (q, d + 1)
        The Hessian with p = q (d + 1), or its diagonal.

    Examples
    --------
    >>> from softreg.rows import as_rows
    >>> rows = as_rows(np.array([[0.0], [2.0]]), np.array([0, 1]))
    >>> loss_precision(rows, np.zeros((1, 2)), np.zeros(2), diagonal=False)[:2, :2]
    array([[1. , 0.5],
           [0.5, 0.5]])
    """
    with one_blas_thread():
        rows, coordinates = standardise(rows, centred=fit_intercept)
        kind = Objective if rows.fits_in_memory else RecomputedObjective
        objective = kind(rows, len(b), l2(0.0), coordinates, fit_intercept)
        objective.place(coordinates.from_user(W.T[None], b[None]))
        if diagonal:
            zeros, ones = np.zeros(rows.d), np.ones(rows.d)
            squares, mean = objective.sum(DiagonalSums(objective.state, zeros, ones))
            return np.concatenate([squares[0], mean[0][:, None] * fit_intercept], axis=1)
        every = np.ones((1, len(b), rows.d + 1), dtype=bool)
        every[..., -1] = fit_intercept
        (H,) = free_hessians(objective, Columns(objective), every)
        return _in_user_parameters(H * float(objective.mass[0]), coordinates, len(b), fit_intercept)


def _in_user_parameters(H: Array, coordinates: Coordinates, q: int, fit_intercept: bool) -> Float64Array:
    """Return a Hessian (p, p) of the solver's parameters as one of the user's parameters."""
    d = len(coordinates.scale)
    from_user = np.zeros((d + 1, d + 1))
    from_user[:d, :d] = np.diag(coordinates.scale)
    from_user[d, :d], from_user[d, d] = coordinates.shift, 1.0
    from_user = from_user[: d + fit_intercept]
    k = len(from_user)
    blocks = H.reshape(q, k, q, k)
    user = np.einsum("ij,aibk,kl->ajbl", from_user, blocks, from_user, optimize=True).reshape(q * (d + 1), -1)
    return np.asarray((user + user.T) / 2)
