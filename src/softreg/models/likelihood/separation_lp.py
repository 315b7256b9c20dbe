"""Separation of classes, decided by linear programmes before a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from softreg.models.inputs.features import validate_features
from softreg.models.inputs.labels import check_classes, check_lengths, classes_and_labels
from softreg.models.inputs.sample_and_class_weights import drop_zero_weight_rows, sample_weights
from softreg.models.likelihood.separation_message import separation_message
from softreg.optimize import Solution, Status
from softreg.optimize.problem.result import Separation
from softreg.optimize.problem.standardization import standardise
from softreg.rows import Array, as_rows
from softreg.rows.column_statistics import Standardised
from softreg.typing import Matrix

MOST = 5_000_000
"""Largest number of entries of the constraint matrix, 2 n (q - 1) (d + 1); as many take about ten seconds."""
QUICK = 200_000
"""Entries of the matrix up to which a fit is checked; as many take half a second at most."""
LARGE = 30.0
"""Range of the logits of a row from which a fit without a penalty is checked."""
OUTLIER = 100.0
"""Largest standardised value from which a row counts as an outlier."""
CLEAR = 1e-6
"""Least positive margin of a direction whose largest weight is 1; the tolerance of the solver is 1e-7."""
NEGLIGIBLE = 1e-6
"""Weights below this share of the largest one name no column."""


@dataclass(frozen=True)
class Separated(Separation):
    """Separated classes by name, as `separation` returns them; `str` is the message of a fit.

    Attributes
    ----------
    labels : tuple
        The two classes that the direction separates most.
    columns : tuple of str
        Columns with the largest difference of weights between them, largest first.
    pairs : tuple of tuple
        All pairs of classes with a row of positive margin.
    rows : int
        Number of rows with a positive margin against at least one class.
    words : str
        The message.
    """

    labels: tuple[Any, Any]
    columns: tuple[str, ...]
    pairs: tuple[tuple[Any, Any], ...]
    rows: int
    words: str

    def __str__(self) -> str:
        return self.words


def separation(X: Any, y: Any, sample_weight: Any = None, *, fit_intercept: bool = True) -> Separated | None:
    """Find complete or quasi-complete separation of the classes by the columns.

    Without a penalty a finite optimum exists unless some weights B (q, d + 1) give every row a non-negative margin
    ``(b_y - b_c) . (x, 1) >= 0`` against all classes c, and a positive one to some row. The linear programme::

        maximise sum_ic (b_yi - b_c) . (x_i, 1)   subject to all margins >= 0, -1 <= B <= 1

    finds such weights or proves that there are none. It is repeated for the remaining rows, since sums of such weights
    have the property too: separation is complete if all rows have positive margins. A last programme minimises the
    absolute sum of the weights, which names the columns.

    Parameters
    ----------
    X : array, sparse matrix or data frame of shape (n, d)
        Features, as for `SoftmaxRegression.fit`.
    y : array_like of shape (n,) or (n, q)
        Labels. For label probabilities, margins between classes of positive probability must be zero.
    sample_weight : array_like of shape (n,), optional
        Weights; rows of weight 0 are ignored.
    fit_intercept : bool, default True
        Whether the model has an intercept.

    Returns
    -------
    Separated or None
        The separated classes, or None if a finite optimum exists.

    Raises
    ------
    ValueError
        If the input is not valid for a fit or too large for the programme.

    References
    ----------
    Albert and Anderson (1984).
    Konis (2007), Linear programming algorithms for detecting separated data.

    Examples
    --------
    >>> separated = separation([[1.0], [2.0], [3.0], [4.0]], ["no", "no", "yes", "yes"])
    >>> separated.complete, separated.labels, separated.columns
    (True, ('no', 'yes'), ('column 0',))
    >>> separation([[1.0], [3.0], [2.0], [4.0]], ["no", "no", "yes", "yes"]) is None
    True
    """
    seen = _Columns()
    X = validate_features(seen, X, reset=True)
    classes, labels = classes_and_labels(y)
    check_lengths(X, labels)
    weight = None if sample_weight is None else sample_weights(sample_weight, X.shape[0])
    positive = drop_zero_weight_rows(X, labels, weight)
    X, labels, weight = positive.X, positive.labels, positive.weight
    check_classes(classes, labels, weight)
    q = len(classes)
    if 2 * X.shape[0] * (q - 1) * (X.shape[1] + fit_intercept) > MOST:
        raise ValueError(
            f"{X.shape[0]:,} rows, {q} classes and {X.shape[1]:,} columns are too many for the linear programme "
            f"(2 n (q - 1) (d + 1) <= {MOST:,}). A fit with penalty=None detects most cases of separation."
        )
    return _decide(X, labels, classes, getattr(seen, "feature_names_in_", None), fit_intercept)


def check_separation(
    solution: Solution, X: Matrix, labels: Array, classes: Array, names: Any, fit_intercept: bool
) -> Solution:
    """Check a fit without a penalty for separation by the linear programme.

    A fit detects most cases itself. If only few rows are separated, their share of the loss is below the rounding of
    the total, and the fit seems to converge with large logits. Fits with large logits are therefore checked here, if
    the programme is small.

    Returns
    -------
    Solution
        The fit, with status separated where the programme finds separation.
    """
    size = 2 * X.shape[0] * (len(classes) - 1) * (X.shape[1] + fit_intercept)
    if size > QUICK or solution.status is Status.STOPPED:
        return solution
    if solution.status is not Status.SEPARATED:
        logits = X @ solution.W + solution.b
        if not (logits.max(axis=1) - logits.min(axis=1)).max() > LARGE:
            return solution
    try:
        separated = _decide(X, labels, classes, names, fit_intercept)
    except ValueError:  # the programme did not converge
        return solution
    if separated is None:
        return _contradicted(solution)
    plain = Separation(separated.classes, separated.features, separated.complete)
    bound = solution.bound if solution.status is Status.SEPARATED else "estimate"
    return replace(solution, status=Status.SEPARATED, separation=plain, bound=bound)


def _contradicted(solution: Solution) -> Solution:
    """Return the fit with status stalled: it claimed separation, and the linear programme finds none."""
    if solution.status is Status.SEPARATED and solution.bound != "separation":
        return replace(solution, status=Status.STALLED, separation=None)
    return solution


def _decide(X: Matrix, labels: Array, classes: Array, names: Any, fit_intercept: bool) -> Separated | None:
    """Run the linear programmes on checked input."""
    q, k = len(classes), X.shape[1] + fit_intercept
    Z = _standardised(X, fit_intercept)
    codes = labels if labels.ndim == 1 else labels.argmax(axis=1)
    possible = np.eye(q, dtype=bool)[codes] if labels.ndim == 1 else labels > 0
    A, row, other = _margins(Z, codes, q)
    direction, decided = _decided(A, tied=possible[row, other])
    if direction is None:
        return None
    full = np.append(_lightest(A, possible[row, other], decided, direction), np.zeros(k)).reshape(q, k)
    return _named(full[:, : X.shape[1]], classes, names, codes[row], other, row, decided)


class _Columns(BaseEstimator):  # type: ignore[misc]
    """Holds the column names that `validate_features` records."""


def _standardised(X: Matrix, bias: bool) -> Array:
    """Return standardised rows, with a column of ones for the bias."""
    rows = as_rows(X.astype(np.float64), np.zeros(X.shape[0], np.int64))
    rows, coordinates = standardise(rows, centred=bias, robust=True)
    coordinates.refuse_faint()
    shift, scale = coordinates.for_block()
    Z = rows.map(Standardised(shift, scale))
    return np.column_stack([Z, np.ones(len(Z))]) if bias else Z


def _margins(Z: Array, codes: Array, q: int) -> tuple[Matrix, Array, Array]:
    """Return the matrix A with `A b` = margins of all rows against all other classes, their rows and classes."""
    k, parts, rows, others = Z.shape[1], [], [], []
    for a in range(q):
        here = np.flatnonzero(codes == a)
        for c in range(q):
            if c != a and len(here):
                blocks: list[Matrix] = [sp.csr_array((len(here), k))] * q
                blocks[a], blocks[c] = sp.csr_array(Z[here]), sp.csr_array(-Z[here])
                parts.append(sp.hstack(blocks[:-1], format="csr"))
                rows.append(here)
                others.append(np.full(len(here), c))
    A = sp.vstack(parts, format="csr")
    size = np.asarray(abs(A).max(axis=1).todense()).ravel()  # margins of outliers are relative to their size
    A = sp.diags_array(1 / np.where(size > OUTLIER, size, 1.0)) @ A
    return A.tocsc(), np.concatenate(rows), np.concatenate(others)


def _decided(A: Matrix, tied: Array) -> tuple[Array | None, Array]:
    """Return a direction that decides as many margins as any direction does, and which these are."""
    total, decided = np.zeros(A.shape[1]), np.zeros(A.shape[0], dtype=bool)
    while not (decided | tied).all():
        total_margin = np.asarray(A[~decided & ~tied].sum(axis=0)).ravel()
        b = _programme(-total_margin, A, tied, np.zeros(A.shape[0]), [(-1.0, 1.0)])
        new = (A @ b > CLEAR) & ~decided
        if not new.any():
            break
        total, decided = total + b, decided | new
    return (total if decided.any() else None), decided


def _lightest(A: Matrix, tied: Array, decided: Array, fallback: Array) -> Array:
    """Return the weights of least absolute sum that decide all margins that can be decided."""
    p, least = A.shape[1], decided.astype(float)
    split = sp.hstack([A, -A], format="csc")
    try:
        b = _programme(np.ones(2 * p), split, tied, least, [(0.0, None)])
    except ValueError:  # margins so small that weights of 1e7 are needed
        return fallback
    return np.asarray(b[:p] - b[p:])


def _programme(cost: Array, A: Matrix, tied: Array, least: Array, bounds: list[tuple[float, float | None]]) -> Array:
    """Minimise the cost subject to `A b >= least`, and `A b = 0` where tied."""
    from scipy.optimize import linprog  # imported here: it takes a second

    equal = {"A_eq": A[tied], "b_eq": np.zeros(int(tied.sum()))} if tied.any() else {}
    result = linprog(cost, A_ub=-A[~tied], b_ub=-least[~tied], bounds=bounds * A.shape[1], method="highs", **equal)
    if result.status != 0:
        raise ValueError(f"the linear programme for separated classes did not converge: {result.message}")
    return np.asarray(result.x)


def _named(W: Array, classes: Array, names: Any, label: Array, other: Array, row: Array, decided: Array) -> Separated:
    """Return the separation by names of classes and columns."""
    difference = np.abs(W[:, None] - W[None]).sum(axis=2)
    a, b = sorted(int(k) for k in np.unravel_index(difference.argmax(), difference.shape))
    weight = np.abs(W[a] - W[b])
    heaviest = tuple(int(j) for j in np.argsort(-weight, kind="stable")[:3] if weight[j] > NEGLIGIBLE * weight.max())
    plain = Separation((a, b), heaviest, bool(decided.all()))
    pairs = sorted({(min(p), max(p)) for p in zip(label[decided].tolist(), other[decided].tolist(), strict=True)})
    names_of_classes = classes.tolist()
    return Separated(
        plain.classes,
        plain.features,
        plain.complete,
        labels=(names_of_classes[a], names_of_classes[b]),
        columns=tuple(f"column {j}" if names is None else str(names[j]) for j in heaviest),
        pairs=tuple((names_of_classes[i], names_of_classes[j]) for i, j in pairs),
        rows=len(np.unique(row[decided])),
        words=separation_message(plain, classes, names),
    )
