"""What the rules know about an objective: its shape, the storage of its rows, its penalty and its purpose."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from softreg.optimize.curvature.sparse_models import is_sparse
from softreg.optimize.plan.column_correlation import are_nearly_uncorrelated
from softreg.optimize.problem.penalty_protocol import Penalty, Trait
from softreg.rows import DenseRows, Rows, SparseRows

LEAST_NUMBERS, LEAST_COLUMNS = 65_536, 64
"""Numbers n d and columns of dense rows from which on correlations of the columns are looked at: of fewer, this takes
too long, and factors of the curvature cost little."""


class Stored(StrEnum):
    """The storage of the rows."""

    DENSE = "dense"
    SPARSE = "sparse"


class Purpose(StrEnum):
    """What the minimum is needed for."""

    FIT = "fit"
    """Parameters with a certified gap."""
    PATH = "path"
    """Held-out losses of the members of a stack, at one strength after another."""


@dataclass(frozen=True)
class Facts:
    """What the choice of a method depends on.

    Parameters
    ----------
    n, d, q, m : int
        Rows, columns, classes, and models of the stack.
    stored : Stored
    stored_numbers : int
        Numbers that the rows store: n d, or the nonzeros of sparse rows.
    itemsize : int
        Bytes of a product of the rows.
    fits_in_memory : bool
        False where the rows are read from disk, so that nothing of their size may be kept.
    column_access : bool
        Whether columns can be copied out of the rows.
    row_square_mean : float or None
        Mean of ||x||^2 where compiled steps for single rows exist and may be of use, otherwise None.
    reduced_precision : bool
        Whether products have fewer digits than the numbers (TF32).
    penalty : str
        Name of the class of the penalty, for messages.
    traits : frozenset of Trait
        What the penalty of every model is.
    strong_convexity : tuple of float
        Strength of the l2 part of each model.
    started : bool
        Whether the caller gives parameters to start from.
    working_set : bool
        Whether the rows are a working set of the columns of others.
    purpose : Purpose
    tolerance : float
        Nats: the gap that a fit has to prove, or how exact held-out losses have to be.
    has_offset : bool
        Whether the logits of the rows have an offset.
    hard_labels : bool
        Whether the labels of rows in memory are known to be classes, not probabilities.
    sparse_models : bool
        Whether quadratic models of the columns are compiled for sparse rows, and rows are sparse enough for them.
    uncorrelated : bool
        Whether the columns are known to be nearly uncorrelated.
    """

    n: int
    d: int
    q: int
    m: int
    stored: Stored
    stored_numbers: int
    itemsize: int
    fits_in_memory: bool
    column_access: bool
    row_square_mean: float | None
    reduced_precision: bool
    penalty: str
    traits: frozenset[Trait]
    strong_convexity: tuple[float, ...]
    started: bool
    working_set: bool
    purpose: Purpose
    tolerance: float
    has_offset: bool = False
    hard_labels: bool = False
    sparse_models: bool = False
    uncorrelated: bool = False

    @property
    def parameters(self) -> int:
        """Free parameters of one model, (q - 1) x (d + 1)."""
        return (self.q - 1) * (self.d + 1)

    @property
    def smooth(self) -> bool:
        """Whether the penalty has neither a kink nor a support."""
        return Trait.SMOOTH in self.traits

    @property
    def strongly_convex(self) -> bool:
        """Whether the penalty of every model has an l2 part."""
        return Trait.STRONGLY_CONVEX in self.traits

    @property
    def row_access(self) -> bool:
        """Whether dual steps for single rows are possible."""
        return self.row_square_mean is not None

    @property
    def is_path(self) -> bool:
        """Whether the minimum is needed for held-out losses."""
        return self.purpose is Purpose.PATH


def facts_of(
    rows: Rows,
    n_classes: int,
    penalty: Penalty,
    *,
    started: bool = False,
    working_set: bool = False,
    purpose: Purpose = Purpose.FIT,
    tolerance: float = 1e-6,
    uncorrelated: bool | None = None,
) -> Facts:
    """Return the facts about standardised rows and a penalty.

    The correlations of the columns are looked at where `uncorrelated` is None.

    Returns
    -------
    Facts

    Examples
    --------
    >>> import numpy as np
    >>> from softreg.optimize import l2
    >>> from softreg.rows import as_rows
    >>> facts = facts_of(as_rows(np.zeros((9, 3)), np.zeros(9, int)), 2, l2(1.0))
    >>> facts.n, facts.parameters, facts.smooth
    (9, 4, True)
    """
    traits = penalty.traits
    squares = rows.row_squares() if traits >= {Trait.SMOOTH, Trait.STRONGLY_CONVEX} else None
    if uncorrelated is None:
        dense_fit = type(rows) is DenseRows and rows.fits_in_memory and purpose is Purpose.FIT and len(penalty) == 1
        uncorrelated = dense_fit and _is_large(rows) and are_nearly_uncorrelated(rows)  # type: ignore[arg-type]
    return Facts(
        n=rows.n,
        d=rows.d,
        q=n_classes,
        m=len(penalty),
        stored=Stored.DENSE if rows.can_shift else Stored.SPARSE,
        stored_numbers=rows.stored,
        itemsize=rows.dtype.itemsize,
        fits_in_memory=rows.fits_in_memory,
        column_access=type(rows) in (DenseRows, SparseRows) and rows.fits_in_memory,
        row_square_mean=None if squares is None else float(squares.mean()),
        reduced_precision=rows.reduced_precision,
        penalty=type(penalty).__name__,
        traits=traits,
        strong_convexity=tuple(penalty.strong_convexity.tolist()),
        started=started,
        working_set=working_set,
        purpose=purpose,
        tolerance=tolerance,
        has_offset=rows.has_offset,
        hard_labels=bool(type(rows) in (DenseRows, SparseRows) and rows.labels.ndim == 1),  # type: ignore[attr-defined]
        sparse_models=is_sparse(rows),
        uncorrelated=uncorrelated,
    )


def _is_large(rows: DenseRows) -> bool:
    """Return True if correlations of the columns are worth a look."""
    return bool(rows.d >= LEAST_COLUMNS and rows.n * rows.d >= LEAST_NUMBERS)
