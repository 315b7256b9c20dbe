"""Whether an optimum without a penalty exists at all: decided before any fit, by a linear programme."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from softreg.models.inputs import labels as targets
from softreg.models.inputs import parameters as checks
from softreg.models.inputs.features import features
from softreg.models.inputs.sample_weights import sample_weights
from softreg.optimize import Solution, Status
from softreg.optimize.problem.result import Separation
from softreg.optimize.problem.standardization import standardise
from softreg.rows import Array, as_rows

MOST = 5_000_000
"""Numbers in the programme's matrix, about 2 n (q - 1) (d + 1), that take some ten seconds; more are refused."""
QUICK = 200_000
"""As many take half a second at most; a fit whose logits are small never waits for it."""
LARGE = 30.0
"""Spread of a row's logits from which a fit without a penalty is asked about."""
OUTLIER = 100.0
"""Largest standardised value from which a row counts as an outlier."""
CLEAR = 1e-6
"""A margin that counts, of a direction whose largest weight is 1; the programme's own tolerance is 1e-7."""


@dataclass(frozen=True)
class Separated(Separation):
    """Separated classes by name, as `separation` finds them; `str` says it in the words of a fit that met them."""

    labels: tuple[Any, Any]
    """The two classes that the direction tells apart most."""
    columns: tuple[str, ...]
    """The columns by which it does, heaviest first."""
    pairs: tuple[tuple[Any, Any], ...]
    """All pairs of classes between which some row is decided for certain."""
    rows: int
    """How many rows are decided for certain, against one class at least."""
    words: str

    def __str__(self) -> str:
        return self.words


def separation(X: Any, y: Any, sample_weight: Any = None, *, fit_intercept: bool = True) -> Separated | None:
    """Complete or quasi-complete separation of the classes by the columns; None where a finite optimum exists.

    Without a penalty there is an optimum unless some weights B (q, d + 1) favour the given label of every row or leave
    it as it is, `(b_y - b_c) . (x, 1) >= 0` for all rows and classes c, and do favour some. The linear programme

    maximise sum_ic (b_yi - b_c) . (x_i, 1) subject to all of them >= 0, -1 <= B <= 1

    finds such weights or proves that there are none. Directions may be added up, so repeating it for the rows that are
    left finds all that are ever decided: separation is complete where these are all rows. A last programme takes the
    direction of least weight, which names the columns.

    X (n, d) and y are those of `SoftmaxRegression.fit`; of a label in doubt, the classes of positive probability hold
    each other back.

    Returns
    -------
    Separated or None
        Complete or quasi-complete separation of the classes by the columns; None where a finite optimum exists.

    Raises
    ------
    ValueError
        For input that cannot be learned from, or too large for the programme.

    References
    ----------
    Albert and Anderson (1984).
    Konis (2007), Linear programming algorithms for detecting separated data.

    Examples
    --------
    >>> found = separation([[1.0], [2.0], [3.0], [4.0]], ["no", "no", "yes", "yes"])
    >>> found.complete, found.labels, found.columns
    (True, ('no', 'yes'), ('column 0',))
    >>> separation([[1.0], [3.0], [2.0], [4.0]], ["no", "no", "yes", "yes"]) is None
    True
    """
    seen = _Columns()
    X = features(seen, X, reset=True)
    classes, labels = targets.known_labels(y)
    checks.check_lengths(X, labels)
    weight = None if sample_weight is None else sample_weights(sample_weight, X.shape[0])
    X, labels, weight = checks.rows_that_count(X, labels, weight)
    checks.check_classes(classes, labels, weight)
    q = len(classes)
    if 2 * X.shape[0] * (q - 1) * (X.shape[1] + fit_intercept) > MOST:
        raise ValueError(
            f"{X.shape[0]:,} rows, {q} classes and {X.shape[1]:,} columns are too many for the linear programme "
            f"(2 n (q - 1) (d + 1) <= {MOST:,}). A fit with penalty=None looks for separated classes on its way."
        )
    return _decide(X, labels, classes, getattr(seen, "feature_names_in_", None), fit_intercept)


def settle(
    solution: Solution, X: Any, labels: Array, classes: NDArray[Any], names: Any, fit_intercept: bool
) -> Solution:
    """Return a fit without a penalty, judged by the linear programme where it may have met separated classes.

    A fit notices most of them on its way, but where only few rows are decided for certain, their part of the loss sinks
    below the rounding of the others', and the fit ends as if it had converged. The logits are large then, so large ones
    are asked about here; a finite optimum may have them too, and stays as it is. Input too large for a quick answer is
    left alone.

    Returns
    -------
    Solution
        A fit without a penalty, judged by the linear programme where it may have met separated classes.
    """
    size = 2 * X.shape[0] * (len(classes) - 1) * (X.shape[1] + fit_intercept)
    if size > QUICK or solution.status is Status.STOPPED:
        return solution
    if solution.status is not Status.SEPARATED:
        logits = X @ solution.W + solution.b
        if not (logits.max(axis=1) - logits.min(axis=1)).max() > LARGE:
            return solution
    try:
        found = _decide(X, labels, classes, names, fit_intercept)
    except ValueError:  # the programme found no end: what the fit says stands
        return solution
    if found is None:
        return _contradicted(solution)
    plain = Separation(found.classes, found.features, found.complete)
    bound = solution.bound if solution.status is Status.SEPARATED else "estimate"
    return replace(solution, status=Status.SEPARATED, separation=plain, bound=bound)


def _contradicted(solution: Solution) -> Solution:
    """Return the fit with status stalled: it claimed separation, and the linear programme finds none."""
    if solution.status is Status.SEPARATED and solution.bound != "separation":
        return replace(solution, status=Status.STALLED, separation=None)
    return solution


def _decide(X: Any, labels: Array, classes: NDArray[Any], names: Any, fit_intercept: bool) -> Separated | None:
    """Return what `separation` says of checked input."""
    q, k = len(classes), X.shape[1] + fit_intercept
    Z = _standardised(X, fit_intercept)
    own = labels if labels.ndim == 1 else labels.argmax(axis=1)
    possible = np.eye(q, dtype=bool)[own] if labels.ndim == 1 else labels > 0
    A, row, other = _margins(Z, own, q)
    direction, decided = _decided(A, tied=possible[row, other])
    if direction is None:
        return None
    full = np.append(_lightest(A, possible[row, other], decided, direction), np.zeros(k)).reshape(q, k)
    return _named(full[:, : X.shape[1]], classes, names, own[row], other, row, decided)


class _Columns(BaseEstimator):  # type: ignore[misc]
    """Takes note of the columns that `features` sees."""


def _standardised(X: Any, bias: bool) -> Array:
    rows = as_rows(X.astype(np.float64), np.zeros(X.shape[0], np.int64))
    rows, coordinates = standardise(rows, centred=bias, robust=True)
    coordinates.refuse_faint()
    shift, scale = coordinates.for_block()
    Z = rows.map(lambda block: block.standardised(shift, scale))
    return np.column_stack([Z, np.ones(len(Z))]) if bias else Z


def _margins(Z: Array, own: Array, q: int) -> tuple[Any, Array, Array]:
    """Return the matrix A with `A b` = margins of all rows against all other classes, their rows and classes."""
    k, parts, rows, others = Z.shape[1], [], [], []
    for a in range(q):
        here = np.flatnonzero(own == a)
        for c in range(q):
            if c != a and len(here):
                blocks: list[Any] = [sp.csr_array((len(here), k))] * q
                blocks[a], blocks[c] = sp.csr_array(Z[here]), sp.csr_array(-Z[here])
                parts.append(sp.hstack(blocks[:-1], format="csr"))
                rows.append(here)
                others.append(np.full(len(here), c))
    A = sp.vstack(parts, format="csr")
    size = np.asarray(abs(A).max(axis=1).todense()).ravel()  # the margin of an outlier counts relative to its row
    A = sp.diags_array(1 / np.where(size > OUTLIER, size, 1.0)) @ A
    return A.tocsc(), np.concatenate(rows), np.concatenate(others)


def _decided(A: Any, tied: Array) -> tuple[Array | None, Array]:
    """Return a direction that decides as many margins as any direction does, and which these are."""
    total, decided = np.zeros(A.shape[1]), np.zeros(A.shape[0], dtype=bool)
    while not (decided | tied).all():
        goal = np.asarray(A[~decided & ~tied].sum(axis=0)).ravel()
        b = _programme(-goal, A, tied, np.zeros(A.shape[0]), [(-1.0, 1.0)])
        new = (A @ b > CLEAR) & ~decided
        if not new.any():
            break
        total, decided = total + b, decided | new
    return (total if decided.any() else None), decided


def _lightest(A: Any, tied: Array, decided: Array, fallback: Array) -> Array:
    """Return the weights of least absolute sum that decide all margins that can be decided."""
    p, least = A.shape[1], decided.astype(float)
    split = sp.hstack([A, -A], format="csc")
    try:
        b = _programme(np.ones(2 * p), split, tied, least, [(0.0, None)])
    except ValueError:  # margins so small that weights of 1e7 are needed
        return fallback
    return np.asarray(b[:p] - b[p:])


def _programme(cost: Array, A: Any, tied: Array, least: Array, bounds: Any) -> Array:
    """Least cost with `A b >= least`, and `A b = 0` where tied."""
    from scipy.optimize import linprog  # a second of imports, for those who ask

    equal = {"A_eq": A[tied], "b_eq": np.zeros(int(tied.sum()))} if tied.any() else {}
    done = linprog(cost, A_ub=-A[~tied], b_ub=-least[~tied], bounds=bounds * A.shape[1], method="highs", **equal)
    if done.status != 0:
        raise ValueError(f"the linear programme that looks for separated classes found no end: {done.message}")
    return np.asarray(done.x)


def _named(
    W: Array, classes: NDArray[Any], names: Any, own: Array, other: Array, row: Array, decided: Array
) -> Separated:
    apart = np.abs(W[:, None] - W[None]).sum(axis=2)
    a, b = sorted(int(k) for k in np.unravel_index(apart.argmax(), apart.shape))
    weight = np.abs(W[a] - W[b])
    heaviest = tuple(int(j) for j in np.argsort(-weight, kind="stable")[:3] if weight[j] > 1e-6 * weight.max())
    plain = Separation((a, b), heaviest, bool(decided.all()))
    pairs = sorted({(min(p), max(p)) for p in zip(own[decided].tolist(), other[decided].tolist(), strict=True)})
    said = classes.tolist()
    return Separated(
        plain.classes,
        plain.features,
        plain.complete,
        labels=(said[a], said[b]),
        columns=tuple(f"column {j}" if names is None else str(names[j]) for j in heaviest),
        pairs=tuple((said[i], said[j]) for i, j in pairs),
        rows=len(np.unique(row[decided])),
        words=checks.separation_message(plain, classes, names),
    )
