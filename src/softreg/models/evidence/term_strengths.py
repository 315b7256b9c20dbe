"""One strength for each term of a model, by the Laplace approximation to the evidence.

The weights W_j (d_j, q) of term j have the prior N(0, 1 / s_j), a precision s_j for the whole term. The evidence is the
probability of the labels with the weights integrated out; in Laplace's approximation, at the optimum W and with the
Hessian H of the summed loss,

    log p(y | s) = -loss(W) - sum_j s_j / 2 ||W_j||^2 + sum_j d_j (q - 1) / 2 log s_j - 1 / 2 log det(H + S) + constant.

Its maximum satisfies `s_j ||W_j||^2 = e_j`, where `e_j = d_j (q - 1) - s_j tr_j((H + S)^-1)` are the effective degrees
of freedom of the term. The fixed point of `s_j <- e_j / ||W_j||^2` is reached in a few fits, each from the optimum of
the last one. With the prior density `(1 + t)^-PRIOR_RATE` of the standard deviation t = 1 / sqrt(s_j) of a term, the
step is

    s_j <- (e_j + PRIOR_RATE t / (1 + t)) / ||W_j||^2,

so that a term without evidence disappears, while a strong term is hardly affected. Terms may share a prior, which
shrinks their precisions towards a common one; see `precision_step`.

References
----------
MacKay (1992), Bayesian interpolation. Wood and Fasiolo (2017), A generalized Fellner-Schall method for smoothing
parameter optimization.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.models.evidence.precision_step import MAX_PRECISION, next_precisions
from softreg.models.evidence.term_curvature import (
    INTERCEPT_PRECISION,
    CurvatureFactor,
    FactorPreconditioner,
    TermCurvature,
)
from softreg.models.evidence.term_traces import TermTraces
from softreg.models.evidence.term_weights import FitRows, FittedWeights, TermFit
from softreg.optimize.objective.hessian import contrasts
from softreg.typing import Array, BoolArray, Float64Array, IntArray

FIRST_PRECISION = 10.0
"""Precision from which the iteration starts."""
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
FIT_GAP, FINAL_GAP = 0.2, 1e-3
"""Estimated gaps of the fits of the iteration, and of those whose weights are used, in nats of the summed objective.
With 0.01 in the iteration, weak terms disappear more often: held-out losses of the curves of seven tables change by
-0.2% to 1.4%."""
ROW_GAP = 1e-3
"""Largest gap of the fits of the iteration in nats a row, which limits it for few rows."""
SAME_CURVATURE = 0.01
"""Relative change of the curvatures of the rows up to which those of the last fit serve the traces, too.
Held-out losses of six tables change by less than 0.003%."""
LEAST_COUNT = 0.5
"""Least number of rows of a class from whose logarithm its intercept starts."""


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
    shared: BoolArray | None = None,
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
    shared : array of bool (m,), optional
        Terms whose precisions are shrunk towards a common one; none by default.

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
    shrunk = np.zeros(n_terms, dtype=bool) if shared is None else shared & ~given
    fits = _Fits(X, codes, n_classes, terms, weight, offset)
    gap = min(FIT_GAP, ROW_GAP * float(len(codes) if weight is None else weight.sum()))
    degrees, settled, step = np.zeros(n_terms), False, 0
    for step in range(1, MAX_STEPS + 1):
        alive = precision < MAX_PRECISION
        traces = fits.at(precision, gap)[1]
        degrees = _degrees(precision, sizes, traces)
        updated = np.where(given, precision, next_precisions(precision, degrees, fits.squares, shrunk))
        change = np.abs(np.log(updated[alive] / precision[alive]))
        settled = not (change[degrees[alive] > NOTICED] > SETTLED).any()
        if (settled and step >= FEWEST_STEPS) or step == MAX_STEPS:
            break
        if step >= FEWEST_STEPS:
            updated[~given & (degrees < ABSENT * (n_classes - 1))] = np.inf
        precision = updated
    objective = fits.solve(precision, FINAL_GAP).point.value
    evidence = _log_evidence(objective, precision, sizes, traces)
    precision = np.where(~given & (degrees < ABSENT * (n_classes - 1)), np.inf, precision)
    return TermStrengths(precision, degrees, evidence, fits.coef, fits.intercept, step, settled)


class TermRefits:
    """Fits at other precisions of the terms, each from the last one.

    Parameters
    ----------
    X : array (n, d)
        Features.
    codes : array of int (n,)
        Codes of the labels.
    terms : array of int (d,)
        Term of each column.
    fit : TermStrengths
        Fit to the same rows, from which the first one starts.
    weight : array of float64 (n,), optional
        Weights of the rows.
    offset : array of float64 (n, q), optional
        Fixed part of the logits.

    Examples
    --------
    >>> X, codes, terms = np.array([[-1.0], [1.0], [0.5]]), np.array([0, 1, 1]), np.array([0])
    >>> fit = choose_term_strengths(X, codes, 2, terms, fixed=np.ones(1))
    >>> refits = TermRefits(X, codes, terms, fit)
    >>> bool(refits.at(np.full(1, 4.0)).coef[1, 0] < fit.coef[1, 0] < refits.at(np.full(1, 0.5)).coef[1, 0])
    True
    """

    def __init__(
        self,
        X: Array,
        codes: IntArray,
        terms: IntArray,
        fit: TermStrengths,
        *,
        weight: Float64Array | None = None,
        offset: Float64Array | None = None,
    ) -> None:
        self._fits = _Fits(X, codes, len(fit.coef), terms, weight, offset, fit)

    def at(self, precision: Float64Array) -> TermWeights:
        """Return the weights at other precisions.

        Parameters
        ----------
        precision : array of float64 (m,)
            Precisions; infinite for a term that is left out.

        Returns
        -------
        TermWeights
            The weights.
        """
        self._fits.solve(precision, FINAL_GAP)
        return TermWeights(self._fits.coef, self._fits.intercept)


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
    X, codes, terms, fit, weight, offset
        As for `TermRefits`.
    precision : array of float64 (m,)
        Precisions; infinite for a term that is left out.

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
    objective, traces = fits.at(precision, FINAL_GAP)
    sizes = np.bincount(terms, minlength=len(precision)) * (len(fit.coef) - 1)
    degrees = _degrees(precision, sizes, traces)
    evidence = _log_evidence(objective, precision, sizes, traces)
    return TermStrengths(precision, degrees, evidence, fits.coef, fits.intercept, fit.steps + 1, fit.settled)


def _degrees(precision: Float64Array, sizes: IntArray, traces: TermTraces) -> Float64Array:
    """Return the effective degrees of freedom of each term."""
    alive = precision < MAX_PRECISION
    return np.where(alive, np.maximum(sizes - np.where(alive, precision, 0.0) * traces.trace, 0.0), 0.0)


class _Fits:
    """Fits at successive precisions on the columns that remain, each from the last optimum or that of `first`."""

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
        self.X, self.codes, self.q, self.terms, self.weight = X, codes, n_classes, terms, weight
        self.offset = None if offset is None else np.ascontiguousarray(offset.T)
        contrast = contrasts(n_classes)
        if first is None:
            counts = np.bincount(codes, weight, minlength=n_classes)
            rates = np.log(np.maximum(counts, LEAST_COUNT)) @ contrast
            self.theta = np.column_stack([np.zeros((n_classes - 1, X.shape[1])), rates])
        else:
            self.theta = contrast.T @ np.column_stack([first.coef, first.intercept])
        self.columns = np.arange(0)
        self.rows: FitRows
        self.curvature: TermCurvature | None = None
        self.preconditioner: FactorPreconditioner | None = None
        self.squares: Float64Array = np.zeros(0)

    @property
    def coef(self) -> Float64Array:
        """The weights (q, d)."""
        return np.asarray(contrasts(self.q) @ self.theta[:, :-1])

    @property
    def intercept(self) -> Float64Array:
        """The intercepts (q,)."""
        return np.asarray(contrasts(self.q) @ self.theta[:, -1])

    def solve(self, precision: Float64Array, gap: float) -> FittedWeights:
        """Return the optimum at these precisions, to a gap in nats of the sum."""
        of_column = precision[self.terms]
        self._take_columns(np.flatnonzero(of_column < MAX_PRECISION))
        kept = np.append(self.columns, len(self.terms))
        diagonal = np.append(of_column[self.columns], INTERCEPT_PRECISION)
        inverse = None if self.preconditioner is None else self.preconditioner.at(diagonal)
        found = TermFit(self.rows, diagonal).minimise(self.theta[:, kept], gap, inverse)
        if found.curvature is not None and found.factor is not None:
            self._keep(found.curvature, found.factor, diagonal)
        self.theta = np.zeros_like(self.theta)
        self.theta[:, kept] = found.point.theta
        return found

    def at(self, precision: Float64Array, gap: float) -> tuple[float, TermTraces]:
        """Return the objective at the optimum at these precisions, and the traces of the covariance there."""
        found = self.solve(precision, gap)
        curvature, factor = self.curvature, found.factor
        if curvature is None or curvature.change(found.point.P) > SAME_CURVATURE:
            curvature, factor = TermCurvature(self.rows.Z, found.point.P, self.weight), None
        if factor is None:
            diagonal = np.append(precision[self.terms][self.columns], INTERCEPT_PRECISION)
            factor = curvature.factor(diagonal)
            self._keep(curvature, factor, diagonal)
        traces = TermTraces.of(factor, self.terms[self.columns], len(precision))
        squares = np.bincount(self.terms, (self.theta[:, :-1] ** 2).sum(axis=0), minlength=len(precision))
        self.squares = squares.astype(np.float64)
        return found.point.value, traces

    def _keep(self, curvature: TermCurvature, factor: CurvatureFactor, diagonal: Float64Array) -> None:
        """Keep the curvature, and its factor with these precisions, for the next fit."""
        self.curvature = curvature
        self.preconditioner = FactorPreconditioner(factor, diagonal, np.arange(len(diagonal)))

    def _take_columns(self, columns: IntArray) -> None:
        """Keep these columns of the rows, and the intercept."""
        if self.curvature is not None and np.array_equal(columns, self.columns):
            return
        if self.curvature is None or not np.isin(columns, self.columns).all():
            self.curvature = self.preconditioner = None
            Z = np.ones((len(self.codes), len(columns) + 1), np.float32)
            Z[:, :-1] = self.X if len(columns) == self.X.shape[1] else self.X[:, columns]
        else:
            kept = np.append(np.searchsorted(self.columns, columns), len(self.columns))
            Z = self.rows.Z.take(kept, axis=1)
            self.curvature = self.curvature.columns(kept, Z)
            self.preconditioner = None if self.preconditioner is None else self.preconditioner.of(kept)
        self.columns = columns
        self.rows = FitRows(Z, self.codes, self.q, self.weight, self.offset)


def _log_evidence(objective: float, precision: Float64Array, sizes: IntArray, traces: TermTraces) -> float:
    """Return the Laplace approximation to the logarithm of the evidence, up to a constant."""
    alive = precision < MAX_PRECISION
    value = -objective - traces.log_determinant / 2
    return value + float((sizes[alive] * np.log(precision[alive])).sum()) / 2
