"""Messages of the `ConvergenceWarning` about fits that ended without a certificate."""

from __future__ import annotations

from softreg.models.likelihood.separation_message import separation_message
from softreg.optimize import Solution, Status
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.typing import Array


def convergence_message(
    solution: Solution, classes: Array, names: Array | None, tol: float, limits: Limits = LIMITS
) -> str | None:
    """Return the message about a fit that did not converge; None for a fit that converged.

    Parameters
    ----------
    solution : Solution
        Result of the fit.
    classes : ndarray of shape (q,)
        The classes.
    names : ndarray of shape (d,) or None
        Names of the features.
    tol : float
        Tolerance of the fit, in nats.
    limits : Limits
        Thresholds of the fit.

    Returns
    -------
    str or None
        The message.
    """
    if solution.status in (Status.CONVERGED, Status.STATIONARY):
        return None
    if solution.separation is not None:
        return separation_message(solution.separation, classes, names)
    if solution.status is Status.UNCERTIFIED:
        return (
            f"{solution.status.value}: the objective is estimated to be within {solution.gap:.1e} nats of its "
            f"minimum, without a proof. {_advice_for_certificate(solution, limits)}"
        )
    return (
        f"{solution.status.value} after {solution.passes} passes: the objective is "
        f"{'proved' if solution.certified else 'estimated'} to be within {solution.gap:.1e} nats of its "
        f"minimum, not within tol={tol:g}. {_advice_for_minimum(solution)}"
    )


def _advice_for_minimum(solution: Solution) -> str:
    """Return what to do about a fit that stopped above the tolerance."""
    if solution.status is Status.STALLED:
        return (
            "No step decreases it further in float64: raise strength, bring the columns to one scale "
            "(StandardScaler), or raise tol if that is near enough."
        )
    return "Raise max_iter, or tol if that is near enough."


def _advice_for_certificate(solution: Solution, limits: Limits) -> str:
    """Return what to do about a fit without a certificate."""
    d, q = solution.W.shape
    n_parameters, most = (q - 1) * (d + 1), limits.certify_parameters
    if n_parameters > most:
        return (
            f"Without a penalty a certificate needs the exact Hessian, which is not computed for more than "
            f"{most:,} parameters (here {n_parameters:,}): add an L2 penalty (penalty='l2', strength=1e-6, "
            "say), or use fewer columns."
        )
    return (
        "The Hessian is singular to rounding, as it is where classes are nearly separated or columns are nearly "
        "collinear: add an L2 penalty (penalty='l2', strength=1e-6, say), or leave such columns out."
    )
