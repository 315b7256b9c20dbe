"""What a solver returns: the optimum, how it was reached, and the proof of how good it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from softreg.optimize.problem.solver_plan import Plan
from softreg.rows import Array


class Status(StrEnum):
    """How a fit ended."""

    CONVERGED = "converged"
    """The gap is proved to be below the tolerance."""
    UNCERTIFIED = "estimated, not certified"
    """The gap is estimated to be below the tolerance, and nothing proves it: without a penalty a proof needs the exact
    Hessian, and the model has too many parameters for one, or the Hessian is singular to rounding."""
    STATIONARY = "stationary, not certified"
    """The gradient of Firth's penalised likelihood is zero to the tolerance. That likelihood is not known to be
    concave, so no distance to its maximum is proved."""
    STOPPED = "stopped at max_iter"
    """The iterations were used up first; the gap says how far from the optimum the answer may be."""
    STALLED = "stalled at rounding error"
    """No step improved the objective any more before the tolerance was reached; the gap says what was reached."""
    SEPARATED = "no finite optimum"
    """Without a penalty, some direction of the features separates classes: the weights would grow for ever."""


@dataclass(frozen=True)
class Separation:
    """A direction of the features along which the likelihood has no maximum."""

    classes: tuple[int, int]
    """Codes of the two classes that the direction tells apart most."""
    features: tuple[int, ...]
    """Columns with the heaviest difference of weights between the two, heaviest first (in standard deviations)."""
    complete: bool
    """Whether all rows are classified rightly (complete), or the direction merely never errs (quasi-complete)."""


@dataclass(frozen=True)
class Progress:
    """Where a running fit stands."""

    passes: int
    """Passes over the rows so far: one pass is one product with X and one with its transpose."""
    value: float
    """The objective, in nats (the largest of a stack)."""
    gap: float
    """An estimate of how far the objective is above its minimum, in nats; not a certificate until the fit ends."""
    seconds: float
    rows: int = field(default=0, compare=False)
    """Rows read so far, all passes together; those of a source of batches before the first pass, while it is read."""
    total: int | None = field(default=None, compare=False)
    """While a source is read: how many rows it has, where that is known."""


@dataclass(frozen=True)
class Solution:
    """The fit of one model.

    `gap` bounds how far `value` lies above the minimum, in nats. `bound` names the proof: "duality" (maximum-entropy
    dual), "self-concordance" (Newton decrement), "separation" (the minimum is known to be 0) or "estimate" (no proof:
    the preconditioned gradient norm).
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
    """Where there is no finite optimum: which classes, and which features tell them apart."""
    plan: Plan | None = None
    """How the minimum was found and why that way; None where it is unknown, as in files of earlier versions."""

    @property
    def converged(self) -> bool:
        """Whether the gap is proved to be below the tolerance."""
        return self.status is Status.CONVERGED

    @property
    def within_tolerance(self) -> bool:
        """Whether the gap is proved or, where nothing can be proved, estimated to be below the tolerance."""
        return self.status in (Status.CONVERGED, Status.UNCERTIFIED, Status.STATIONARY)

    @property
    def certified(self) -> bool:
        """Whether the gap is proved rather than estimated."""
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
