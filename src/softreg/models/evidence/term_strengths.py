"""One strength for each term of a model, by the Laplace approximation to the evidence.

The weights W_j (d_j, q) of term j have the prior N(0, 1 / s_j), a precision s_j for the whole term. The evidence is the
probability of the labels with the weights integrated out; in Laplace's approximation, at the optimum W and with the
Hessian H of the summed loss,

    log p(y | s) = -loss(W) - sum_j s_j / 2 ||W_j||^2 + sum_j d_j (q - 1) / 2 log s_j - 1 / 2 log det(H + S) + constant.

Its maximum satisfies `s_j ||W_j||^2 = e_j`, where `e_j = d_j (q - 1) - s_j tr_j((H + S)^-1)` are the effective degrees
of freedom of the term. The fixed point of `s_j <- e_j / ||W_j||^2` is reached in a few exact fits, each from the
optimum of the last one. With the prior density `(1 + t)^-PRIOR_RATE` of the standard deviation t = 1 / sqrt(s_j) of a
term, the step is

    s_j <- (e_j + PRIOR_RATE t / (1 + t)) / ||W_j||^2,

so that a term without evidence disappears, while a strong term is hardly affected.

References
----------
MacKay (1992), Bayesian interpolation. Wood and Fasiolo (2017), A generalized Fellner-Schall method for smoothing
parameter optimization.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.models.evidence.term_traces import TermTraces, term_traces
from softreg.optimize import Solution, WeightTerms, make_penalty, minimise
from softreg.probability import softmax
from softreg.rows import as_rows
from softreg.typing import Array, BoolArray, Float64Array, IntArray

FIRST_PRECISION = 10.0
"""Precision from which the iteration starts."""
PRIOR_RATE = 1.0
"""Exponent of the prior density of the standard deviation of a term."""
MAX_PRECISION = 1e8
"""Precision at which a term counts as absent."""
MIN_PRECISION = 1e-4
"""Least precision of a term."""
ABSENT = 0.02
"""Effective degrees of freedom, per class contrast, below which a term is left out after `FEWEST_STEPS` steps."""
FEWEST_STEPS = 4
"""Steps before a term is left out."""
MAX_STEPS = 30
"""Most steps of the iteration."""
SETTLED = 0.1
"""Largest change of the logarithm of the precision of a term with effective degrees of freedom at which it ends."""
NOTICED = 0.5
"""Effective degrees of freedom below which a change of the precision does not count."""
LARGEST_CHANGE = 3.0
"""Largest change of the logarithm of a precision in one step."""
FIT_GAP = 0.2
"""Gap of the fits of the iteration, in nats of the summed objective."""
TOLERANCES = (1e-7, 1e-3)
"""Least and largest tolerance of these fits, in nats a row."""


@dataclass(frozen=True, eq=False)
class TermWeights:
    """Weights of a fit.

    Attributes
    ----------
    coef, intercept : array (q, d), (q,)
        Weights; 0 in columns of terms that are left out.
    """

    coef: Float64Array
    intercept: Float64Array


@dataclass(frozen=True, eq=False)
class TermStrengths:
    """The precision of each term, with the fit at these precisions.

    Attributes
    ----------
    precision : array of float64 (m,)
        Precision of the weights of each term; infinite for a term that is left out.
    degrees : array of float64 (m,)
        Effective degrees of freedom of each term, over all q - 1 contrasts of the classes.
    log_evidence : float
        Logarithm of the evidence in nats, up to a constant that is the same for all models of the same rows.
    coef, intercept : array (q, d), (q,)
        Weights at the optimum; 0 in columns of terms that are left out.
    steps : int
        Fits.
    settled : bool
        Whether the iteration converged.
    """

    precision: Float64Array
    degrees: Float64Array
    log_evidence: float
    coef: Float64Array
    intercept: Float64Array
    steps: int
    settled: bool


def choose_term_strengths(
    X: Array,
    codes: IntArray,
    n_classes: int,
    terms: IntArray,
    *,
    weight: Float64Array | None = None,
    offset: Float64Array | None = None,
    start: Float64Array | None = None,
    fixed: Float64Array | None = None,
) -> TermStrengths:
    """Choose the precision of each term by the Laplace approximation to the evidence.

    Parameters
    ----------
    X : array (n, d)
        Features.
    codes : array of int (n,)
        Codes of the labels, 0 .. q - 1.
    n_classes : int
        Number of classes q.
    terms : array of int (d,)
        Term of each column, 0 .. m - 1.
    weight : array of float64 (n,), optional
        Weights of the rows, as counts of rows.
    offset : array of float64 (n, q), optional
        Fixed part of the logits.
    start : array of float64 (m,), optional
        Precisions from which the iteration starts; infinite ones stay out.
    fixed : array of float64 (m,), optional
        Precisions of terms that are not chosen; nan for the others.

    Returns
    -------
    TermStrengths
        Precisions, effective degrees of freedom and the fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> codes = (rng.random(500) < 1 / (1 + np.exp(-2 * X[:, 0]))).astype(np.int64)
    >>> chosen = choose_term_strengths(X, codes, 2, np.array([0, 1]))
    >>> bool(chosen.precision[1] > 20 * chosen.precision[0]), bool(chosen.degrees[0] > 0.9)
    (True, True)
    """
    n_terms = int(terms.max()) + 1
    sizes = np.bincount(terms, minlength=n_terms) * (n_classes - 1)
    precision = np.full(n_terms, FIRST_PRECISION) if start is None else start.copy()
    given = np.zeros(n_terms, dtype=bool) if fixed is None else ~np.isnan(fixed)
    if fixed is not None:
        precision[given] = fixed[given]
    fits = _Fits(X, codes, n_classes, terms, weight, offset)
    degrees, settled, step = np.zeros(n_terms), False, 0
    for step in range(1, MAX_STEPS + 1):
        alive = precision < MAX_PRECISION
        solution, traces = fits.at(precision)
        degrees = _degrees(precision, sizes, traces)
        updated = np.where(given, precision, _update(precision, degrees, fits.squares))
        change = np.abs(np.log(updated[alive] / precision[alive]))
        settled = not (change[degrees[alive] > NOTICED] > SETTLED).any()
        if (settled and step >= FEWEST_STEPS) or step == MAX_STEPS:
            break
        if step >= FEWEST_STEPS:
            updated[~given & (degrees < ABSENT * (n_classes - 1))] = np.inf
        precision = updated
    evidence = fits.log_evidence(precision, sizes, solution, traces)
    precision = np.where(~given & (degrees < ABSENT * (n_classes - 1)), np.inf, precision)
    return TermStrengths(precision, degrees, evidence, fits.coef, fits.intercept, step, settled)


def fit_at_precisions(
    X: Array,
    codes: IntArray,
    terms: IntArray,
    fit: TermStrengths,
    precision: Float64Array,
    *,
    weight: Float64Array | None = None,
    offset: Float64Array | None = None,
) -> TermWeights:
    """Return the weights at other precisions of the terms.

    Parameters
    ----------
    X : array (n, d)
        Features.
    codes : array of int (n,)
        Codes of the labels.
    terms : array of int (d,)
        Term of each column.
    fit : TermStrengths
        Fit to the same rows, from which this one starts.
    precision : array of float64 (m,)
        Precisions; infinite for a term that is left out.
    weight : array of float64 (n,), optional
        Weights of the rows.
    offset : array of float64 (n, q), optional
        Fixed part of the logits.

    Returns
    -------
    TermWeights
        The weights.

    Examples
    --------
    >>> X, codes, terms = np.array([[-1.0], [1.0], [0.5]]), np.array([0, 1, 1]), np.array([0])
    >>> fit = choose_term_strengths(X, codes, 2, terms, fixed=np.ones(1))
    >>> bool(fit_at_precisions(X, codes, terms, fit, np.full(1, 4.0)).coef[1, 0] < fit.coef[1, 0])
    True
    """
    fits = _Fits(X, codes, len(fit.coef), terms, weight, offset, fit)
    fits.solve(precision)
    return TermWeights(fits.coef, fits.intercept)


def degrees_at(
    X: Array,
    codes: IntArray,
    terms: IntArray,
    fit: TermStrengths,
    precision: Float64Array,
    *,
    weight: Float64Array | None = None,
    offset: Float64Array | None = None,
) -> TermStrengths:
    """Return the fit at other precisions of the terms, with their effective degrees of freedom.

    Parameters
    ----------
    X, codes, terms, fit, precision, weight, offset
        As for `fit_at_precisions`.

    Returns
    -------
    TermStrengths
        Precisions, effective degrees of freedom and the fit.

    Examples
    --------
    >>> X, codes, terms = np.array([[-1.0], [1.0], [0.5]]), np.array([0, 1, 1]), np.array([0])
    >>> fit = choose_term_strengths(X, codes, 2, terms, fixed=np.ones(1))
    >>> bool(degrees_at(X, codes, terms, fit, np.full(1, 4.0)).degrees[0] < fit.degrees[0])
    True
    """
    fits = _Fits(X, codes, len(fit.coef), terms, weight, offset, fit)
    solution, traces = fits.at(precision)
    sizes = np.bincount(terms, minlength=len(precision)) * (len(fit.coef) - 1)
    degrees = _degrees(precision, sizes, traces)
    evidence = fits.log_evidence(precision, sizes, solution, traces)
    return TermStrengths(precision, degrees, evidence, fits.coef, fits.intercept, fit.steps + 1, fit.settled)


def _degrees(precision: Float64Array, sizes: IntArray, traces: TermTraces) -> Float64Array:
    """Return the effective degrees of freedom of each term."""
    alive = precision < MAX_PRECISION
    return np.where(alive, np.maximum(sizes - np.where(alive, precision, 0.0) * traces.trace, 0.0), 0.0)


def _update(precision: Float64Array, degrees: Float64Array, squares: Float64Array) -> Float64Array:
    """Return the next precisions, at most `exp(LARGEST_CHANGE)` times larger or smaller."""
    finite = np.where(precision < MAX_PRECISION, precision, 1.0)
    target = (degrees + PRIOR_RATE / (1 + np.sqrt(finite))) / np.maximum(squares, 1 / MAX_PRECISION**2)
    change = np.clip(np.log(np.maximum(target, MIN_PRECISION) / finite), -LARGEST_CHANGE, LARGEST_CHANGE)
    return np.where(precision < MAX_PRECISION, np.maximum(finite * np.exp(change), MIN_PRECISION), np.inf)


class _Fits:
    """Exact fits at successive precisions on the columns that remain, each from the last optimum or that of `first`."""

    def __init__(
        self,
        X: Array,
        codes: IntArray,
        n_classes: int,
        terms: IntArray,
        weight: Float64Array | None,
        offset: Float64Array | None,
        first: TermStrengths | None = None,
    ) -> None:
        self.X, self.codes, self.q, self.terms, self.weight, self.offset = X, codes, n_classes, terms, weight, offset
        self.total = float(len(codes) if weight is None else weight.sum())
        self.coef = np.zeros((n_classes, X.shape[1])) if first is None else first.coef
        self.intercept = np.zeros(n_classes) if first is None else first.intercept
        self.started = first is not None
        self.columns = np.arange(0)
        self.squares: Float64Array = np.zeros(0)

    def solve(self, precision: Float64Array) -> Solution:
        """Return the optimum at these precisions."""
        of_column = precision[self.terms]
        keep = of_column < MAX_PRECISION
        columns = np.flatnonzero(keep)
        self._take_columns(columns, keep)
        solution = self._fit(of_column[columns])
        self.coef = np.zeros_like(self.coef)
        self.coef[:, columns] = solution.W.T
        self.intercept = np.asarray(solution.b, dtype=np.float64)
        self.started = True
        return solution

    def at(self, precision: Float64Array) -> tuple[Solution, TermTraces]:
        """Return the optimum at these precisions and the traces of the covariance there."""
        solution = self.solve(precision)
        of_column, columns = precision[self.terms], self.columns
        logits = self.chosen @ self.coef[:, columns].T.astype(self.chosen.dtype) + self.intercept
        P = np.asarray(softmax(logits if self.offset is None else logits + self.offset), dtype=np.float64)
        traces = term_traces(self.chosen, P, self.weight, of_column[columns], self.terms[columns], len(precision))
        squares = np.bincount(self.terms, (self.coef**2).sum(axis=0), minlength=len(precision))
        self.squares = squares.astype(np.float64)
        return solution, traces

    def _take_columns(self, columns: IntArray, keep: BoolArray) -> None:
        """Keep these columns of the rows."""
        if len(self.columns) and len(columns) == len(self.columns):
            return
        self.columns = columns
        chosen = self.X if keep.all() else np.ascontiguousarray(self.X[:, columns])
        weights = None if self.weight is None else self.weight[None, :]
        self.rows = as_rows(chosen, self.codes, weights, self.offset)
        self.chosen = chosen.astype(np.float32)

    def _fit(self, precision: Float64Array) -> Solution:
        """Return the optimum for precisions (d,) of the columns."""
        factors, free = precision[None, :], np.full((self.q, len(precision)), np.inf)
        tol = float(np.clip(FIT_GAP / self.total, *TOLERANCES))
        start = (self.coef[:, self.columns].T[None], self.intercept[None]) if self.started else None
        penalty = make_penalty("l2", 1 / self.total, 0.0, WeightTerms(factors, factors, -free, free))
        (solution,) = minimise(self.rows, self.q, penalty, tol=tol, start=start)
        return solution

    def log_evidence(self, precision: Float64Array, sizes: IntArray, solution: Solution, traces: TermTraces) -> float:
        """Return the Laplace approximation to the logarithm of the evidence, up to a constant."""
        alive = precision < MAX_PRECISION
        value = -self.total * float(solution.value) - traces.log_determinant / 2
        return value + float((sizes[alive] * np.log(precision[alive])).sum()) / 2
