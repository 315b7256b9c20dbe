"""The results of a solver: parameters, status, certified gap and the plan by which they were computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from softreg.optimize.cost.fit_cost import FitCost
from softreg.optimize.problem.solver_plan import Plan
from softreg.rows import Array


class Status(StrEnum):
    """How a fit ended."""

    CONVERGED = "converged"
    """The gap is proved to be below the tolerance."""
    UNCERTIFIED = "estimated, not certified"
    """The gap is estimated to be below the tolerance, without a proof: without a penalty a proof needs the exact
    Hessian, and the model has too many parameters for it, or the Hessian is singular to rounding."""
    STATIONARY = "stationary, not certified"
    """The gradient of Firth's penalised likelihood is zero to the tolerance. That likelihood need not be
    concave, so no distance to its maximum is proved."""
    STOPPED = "stopped at max_iter"
    """The largest number of iterations was reached first; the gap bounds or estimates the distance to the minimum."""
    STALLED = "stalled at rounding error"
    """No step decreased the objective further, and the gap is above the tolerance."""
    SEPARATED = "no finite optimum"
    """Without a penalty, some direction of the features separates classes: the weights diverge."""


@dataclass(frozen=True)
class Separation:
    """A direction of the features along which the likelihood has no maximum."""

    classes: tuple[int, int]
    """Codes of the two classes that the direction separates most."""
    features: tuple[int, ...]
    """Columns with the largest difference of weights between the two, largest first (in standard deviations)."""
    complete: bool
    """True if all rows are classified correctly (complete), False if some rows have equal logits (quasi-complete)."""


@dataclass(frozen=True)
class Progress:
    """Progress of a running fit.

    Attributes
    ----------
    passes : int
        Passes over the rows so far; a pass is one product with X and one with its transpose.
    value : float
        The objective in nats, the largest of a stack; nan while it is not computed.
    gap : float
        Estimated difference of the objective and its minimum in nats; not a certificate until the fit ends.
    seconds : float
        Time since the start.
    rows : int
        Rows read so far in all passes, including those read from a source of batches before the first pass.
    total : int or None
        Number of rows of the source while it is read, if known.
    """

    passes: int
    value: float
    gap: float
    seconds: float
    rows: int = field(default=0, compare=False)
    total: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Solution:
    """The fit of one model.

    Attributes
    ----------
    W : ndarray of shape (d, q)
        Weights.
    b : ndarray of shape (q,)
        Bias.
    value : float
        The objective in nats.
    gap : float
        Upper bound on the difference of `value` and the minimum in nats.
    bound : str
        The proof of `gap`: "duality" (maximum-entropy dual), "self-concordance" (Newton decrement), "separation" (the
        minimum is known to be 0) or "estimate" (no proof: the preconditioned gradient norm).
    status : Status
        Why the iterations ended.
    passes : int
        Passes over the rows.
    n_iter : int
        Iterations.
    history : tuple of Progress
        Progress after each iteration.
    separation : Separation or None
        The separated classes, if the optimum is not finite.
    plan : Plan or None
        The solver plan with the reason for its choice; None if unknown, as in files of earlier versions.
    cost : FitCost or None
        Bytes, operations and seconds of the fit, shared by the models of a stack; None for a model from a file.
    """

    W: Array
    b: Array
    value: float
    gap: float
    bound: str
    status: Status
    passes: int
    n_iter: int
    history: tuple[Progress, ...] = ()
    separation: Separation | None = None
    plan: Plan | None = None
    cost: FitCost | None = field(default=None, compare=False)

    @property
    def converged(self) -> bool:
        """True if the gap is proved to be below the tolerance."""
        return self.status is Status.CONVERGED

    @property
    def within_tolerance(self) -> bool:
        """True if the gap is proved or, where no proof exists, estimated to be below the tolerance."""
        return self.status in (Status.CONVERGED, Status.UNCERTIFIED, Status.STATIONARY)

    @property
    def certified(self) -> bool:
        """True if the gap is proved rather than estimated."""
        return self.bound != "estimate"


@dataclass(frozen=True)
class StackFit:
    """The members of a stack at one strength: weights W (m, d, q) and b (m, q), objective and certified gap (m,).

    `held_out_logits` (L, n, q) are the logits of the rows held out, nan where a row evaluates no member; `converged`
    states whether the held-out losses of all members converged before the iterations ended.
    """

    W: Array
    b: Array
    value: Array
    gap: Array
    held_out_logits: Array
    passes: int
    converged: bool
