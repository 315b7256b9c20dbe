"""Probabilities of rows with standard errors and intervals, by the delta method on their log-odds.

An interval for the log-odds of a probability, transformed to the probability, stays between 0 and 1. Agresti,
Categorical Data Analysis (2013), section 5.1; Xu and Long, The Stata Journal 5 (2005), 537-559.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import chdtri, expit, ndtri

from softreg.models.inference.estimates import as_html, as_text, number
from softreg.models.inference.fitted_inference import FittedInference
from softreg.models.inference.margins.average_probabilities import average_probabilities
from softreg.models.inference.margins.row_logits import (
    ParameterDistribution,
    Scenario,
    each_block,
    log_odds_and_errors,
)
from softreg.models.inputs.features import validate_features
from softreg.models.inputs.offsets import new_offset
from softreg.probability.label_arrays import is_real, spell
from softreg.rows import Array, one_blas_thread

SHOWN = 10
"""Rows of the text table of predictions."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Probabilities of n rows and q classes with standard errors and intervals, as `Inference.predictions` returns.

    Attributes
    ----------
    classes : tuple
        The q classes.
    probabilities : ndarray of shape (n, q)
        Probabilities at the estimated parameters.
    std_errors : ndarray of shape (n, q)
        Standard errors of the probabilities, by the delta method.
    low, high : ndarray of shape (n, q)
        Limits of the intervals, between 0 and 1. They are `expit(log-odds -+ c * standard error of the log-odds)`, and
        not symmetric about the probability.
    level : float
        Confidence level.
    simultaneous : bool
        Whether the q intervals of a row contain the q probabilities jointly with at least this level.
    errors : str
        Kind of standard errors: "model", "robust", "clustered" or "posterior".
    grid : mapping of str to list
        Values of the columns of a grid, one a row; empty for given rows.
    """

    classes: tuple[Any, ...]
    probabilities: Array
    std_errors: Array
    low: Array
    high: Array
    level: float
    simultaneous: bool = False
    errors: str = "model"
    grid: Mapping[str, list[Any]] = field(default_factory=dict)

    def frame(self) -> dict[str, Any]:
        """Return the predictions as columns of equal length, one entry for each row and class.

        Returns
        -------
        dict of str to list or ndarray
            Columns of the grid, or the row's number from 0, then class, probability, std_error, low and high; accepted
            by `pandas.DataFrame`, `polars.DataFrame` and `pyarrow.table`. A column of the grid with one of these names
            is `grid_NAME`.
        """
        n, q = self.probabilities.shape
        found = {
            "class": list(self.classes) * n,
            "probability": self.probabilities.ravel(),
            "std_error": self.std_errors.ravel(),
            "low": self.low.ravel(),
            "high": self.high.ravel(),
        }
        rows: dict[str, Any] = {
            f"grid_{name}" if name in found else name: [v for v in values for _ in range(q)]
            for name, values in self.grid.items()
        }
        return {**(rows or {"row": np.repeat(np.arange(n), q)}), **found}

    def table(self) -> tuple[list[str], list[list[list[str]]], list[str]]:
        """Return the header, the lines of the first rows, and the title of each row, as text."""
        percent = f"{100 * self.level:g}%"
        parts, titles = [], []
        for i in range(min(SHOWN, len(self.probabilities))):
            values = [a[i] for a in (self.probabilities, self.std_errors, self.low, self.high)]
            parts.append([[str(c), *map(number, line)] for c, *line in zip(self.classes, *values, strict=True)])
            point = ", ".join(f"{name} = {_text(values[i])}" for name, values in self.grid.items())
            titles.append(point or f"row {i}")
        return ["", "probability", "std error", f"{percent} from", "to"], parts, titles

    def __str__(self) -> str:
        rest = len(self.probabilities) - SHOWN
        return "\n".join([*as_text(*self.table()), *([f"and {rest:,} more rows"] if rest > 0 else [])])

    def _repr_html_(self) -> str:
        return as_html(*self.table())


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float, np.number)) else str(value)


def checked_level(level: float | None, default: float) -> float:
    """Return a confidence level, `default` for None; raise `ValueError` if it is not between 0 and 1."""
    level = default if level is None else level
    if not is_real(level) or not 0 < level < 1:
        raise ValueError(f"level={spell(level)} must be between 0 and 1, such as 0.95.")
    return float(level)


def critical_value(level: float, q: int, simultaneous: bool) -> float:
    """Return the number of standard errors of log-odds from the estimate to the limits of an interval.

    Of one interval it is the normal quantile. The q log-odds of a row are jointly normal with a covariance of rank
    q - 1, for which two bounds hold whatever the correlations: Scheffe's, the root of the quantile of chi-squared with
    q - 1 degrees of freedom, and Sidak's, the normal quantile at `level ** (1 / q)`. The smaller one is used. For two
    classes it is exact, as the two intervals are the same statement; for more it is conservative.

    Parameters
    ----------
    level : float
        Confidence level.
    q : int
        Number of classes.
    simultaneous : bool
        Whether the intervals of all classes hold jointly.

    Returns
    -------
    float
        The critical value.

    References
    ----------
    Sidak, Rectangular confidence regions for the means of multivariate normal distributions, Journal of the American
    Statistical Association 62 (1967), 626-633.

    Examples
    --------
    >>> [round(critical_value(0.95, q, True), 3) for q in (2, 3, 5)], round(critical_value(0.95, 3, False), 3)
    ([1.96, 2.388, 2.569], 1.96)
    """
    if not simultaneous:
        return float(ndtri(0.5 + level / 2))
    scheffe = np.sqrt(chdtri(q - 1, 1 - level))
    return float(min(scheffe, ndtri(0.5 + level ** (1 / q) / 2)))


def predict(inference: FittedInference, rows: Scenario, level: float, simultaneous: bool) -> Predictions:
    """Return the probabilities of rows with standard errors and intervals.

    Parameters
    ----------
    inference : Inference
        Statistics of the fit.
    rows : Scenario
        The rows.
    level : float
        Confidence level.
    simultaneous : bool
        Whether the intervals of a row hold jointly over the classes.

    Returns
    -------
    Predictions
        Predictions (n, q).
    """
    labels, distribution = tuple(inference.fitted.labels), ParameterDistribution.of(inference)
    return _predictions(distribution, labels, rows, level, simultaneous, inference.errors)


def posterior_predictions(
    model: Any, X: Any, *, offset: Any = None, level: float = 0.95, simultaneous: bool = False
) -> Predictions:
    """Return the probabilities of rows with standard errors and intervals from the posterior that a fit kept.

    The posterior of the parameters is taken to be Gaussian (Laplace's approximation), and the log-odds of a probability
    to be linear in them. An interval has the posterior probability `level`. It needs no rows of the fit, and is that of
    models with an L2 penalty, penalty factors or a prior, for which there are no tests of zero.

    Parameters
    ----------
    model : SoftmaxRegression
        A model that was fitted with `keep_posterior=True`.
    X : array, sparse matrix or data frame of shape (n, d)
        Rows.
    offset : array or frame of shape (n, q) or (n,), optional
        Offset of the rows, which a model that was fitted with an offset needs.
    level : float, default 0.95
        Posterior probability of the intervals.
    simultaneous : bool, default False
        Whether the intervals of a row hold jointly over the classes.

    Returns
    -------
    Predictions
        Probabilities, standard errors and intervals (n, q).

    Raises
    ------
    ValueError
        If the fit did not keep its posterior, the rows have other columns, or the offset is missing.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> rows, labels = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
    >>> model = SoftmaxRegression(0.1, keep_posterior=True).fit(rows, labels)
    >>> found = posterior_predictions(model, [[1.5]])
    >>> found.probabilities.round(3).tolist(), found.low.round(3).tolist(), found.errors
    ([[0.5, 0.5]], [[0.107, 0.107]], 'posterior')
    """
    posterior, level = model.posterior(), checked_level(level, level)
    X = validate_features(copy.copy(model), X, reset=False)
    rows = Scenario(X, offset=new_offset(model, offset, X.shape[0]))
    labels = tuple(model.classes_.tolist())
    return _predictions(ParameterDistribution.of_posterior(posterior), labels, rows, level, simultaneous, "posterior")


def _predictions(
    distribution: ParameterDistribution,
    labels: tuple[Any, ...],
    rows: Scenario,
    level: float,
    simultaneous: bool,
    errors: str,
) -> Predictions:
    """Return the predictions (n, q) of rows by the distribution of the parameters."""
    q, c = distribution.q, critical_value(level, distribution.q, simultaneous)
    p, error, low, high = (np.empty((rows.n, q)) for _ in range(4))

    def work(block: slice) -> None:
        eta, se = log_odds_and_errors(distribution, rows.block(block), rows.offset_block(block))
        p[block] = expit(eta).T
        error[block] = (density(eta) * se).T
        low[block], high[block] = expit(eta - c * se).T, expit(eta + c * se).T

    with one_blas_thread():
        for _ in each_block(distribution, rows.n, work):
            pass
    return Predictions(labels, p, error, low, high, level, simultaneous, errors)


def predict_averages(
    inference: FittedInference, scenarios: Sequence[Scenario], weight: Array | None, level: float, simultaneous: bool
) -> Predictions:
    """Return the average probabilities over the rows of each scenario, with standard errors and intervals.

    The interval is that of the log-odds of the average probability, transformed to the probability. The rows are taken
    as fixed.

    Parameters
    ----------
    inference : Inference
        Statistics of the fit.
    scenarios : sequence of Scenario
        The rows of each average.
    weight : ndarray of shape (n,) or None
        Weights of the rows.
    level : float
        Confidence level.
    simultaneous : bool
        Whether the intervals of an average hold jointly over the classes.

    Returns
    -------
    Predictions
        Predictions, one row a scenario.
    """
    distribution = ParameterDistribution.of(inference)
    c = critical_value(level, distribution.q, simultaneous)
    p, error, low, high = (np.empty((len(scenarios), distribution.q)) for _ in range(4))
    with one_blas_thread():
        for i, rows in enumerate(scenarios):
            average = average_probabilities(distribution, rows, weight)
            eta, se = average.log_odds, distribution.std_error(average.d_log_odds)
            p[i], error[i] = average.p, distribution.std_error(average.J)
            low[i], high[i] = expit(eta - c * se), expit(eta + c * se)
    return Predictions(tuple(inference.fitted.labels), p, error, low, high, level, simultaneous, inference.errors)


def density(eta: Array) -> Array:
    """Return `p (1 - p)` for log-odds eta, without cancellation.

    Returns
    -------
    ndarray
        Array of the shape of eta.

    Examples
    --------
    >>> density(np.array([0.0, -800.0]))
    array([0.25, 0.  ])
    """
    e = np.exp(-np.abs(eta))
    return np.asarray(e / (1 + e) ** 2)
