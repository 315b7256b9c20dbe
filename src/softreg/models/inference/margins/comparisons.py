"""Comparisons of probabilities between two values of a column: differences, ratios and odds ratios.

Averages compare the average probabilities of the same rows with the column at either value (standardisation, also
called g-computation). Confidence intervals of ratios and odds ratios are computed for their logarithms. Greene,
Econometric Analysis (2012), section 17.3.2; Norton, Dowd and Maciejewski, JAMA 320 (2018), 84-85.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from softreg.models.inference.estimates import Estimates, normal
from softreg.models.inference.fitted_inference import FittedInference
from softreg.models.inference.margins.average_probabilities import AverageProbabilities, average_probabilities
from softreg.models.inference.margins.predictions import critical_value
from softreg.models.inference.margins.row_logits import ParameterDistribution, Scenario, each_block, log_odds
from softreg.probability.label_arrays import spell
from softreg.rows import Array, one_blas_thread

KINDS = ("difference", "ratio", "odds_ratio")
"""Functions of two probabilities."""


@dataclass(frozen=True, eq=False)
class Contrast:
    """The same rows with two values of a column.

    Attributes
    ----------
    column : str
        The column, or a level as `city=Kiel`.
    words : str
        Description of the change.
    before, after : Scenario
        The rows at the low value or reference level, and at the high value or level.
    """

    column: str
    words: str
    before: Scenario
    after: Scenario


@dataclass(frozen=True, eq=False)
class RowComparisons:
    """Comparisons of the probabilities of n rows and q classes, as `Comparisons.rows` returns them.

    Attributes
    ----------
    what : str
        "difference", "ratio" or "odds_ratio".
    classes : tuple
        The q classes.
    estimate, std_error, low, high : ndarray of shape (n, q)
        Comparisons, standard errors by the delta method, and limits of the intervals.
    """

    what: str
    classes: tuple[Any, ...]
    estimate: Array
    std_error: Array
    low: Array
    high: Array

    def frame(self) -> dict[str, Any]:
        """Return the comparisons as columns of equal length, one entry for each row and class."""
        n, q = self.estimate.shape
        return {
            "row": np.repeat(np.arange(n), q),
            "class": list(self.classes) * n,
            self.what: self.estimate.ravel(),
            "std_error": self.std_error.ravel(),
            "low": self.low.ravel(),
            "high": self.high.ravel(),
        }


@dataclass(frozen=True, eq=False)
class Comparisons:
    """Comparisons of probabilities between two values of a column, as `Inference.comparisons` returns them.

    Attributes
    ----------
    contrasts : tuple of Contrast
        The c comparisons: one for two values of a column, one for each other level of a category.
    level : float
        Confidence level.
    """

    contrasts: tuple[Contrast, ...]
    level: float
    _inference: FittedInference = field(repr=False)
    _weight: Array | None = field(repr=False)

    @property
    def classes(self) -> tuple[Any, ...]:
        """The q classes."""
        return tuple(self._inference.fitted.labels)

    @cached_property
    def _distribution(self) -> ParameterDistribution:
        return ParameterDistribution.of(self._inference)

    @cached_property
    def _averages(self) -> list[tuple[AverageProbabilities, AverageProbabilities]]:
        """Average probabilities of each contrast before and after."""
        with one_blas_thread():
            return [
                (
                    average_probabilities(self._distribution, contrast.before, self._weight),
                    average_probabilities(self._distribution, contrast.after, self._weight),
                )
                for contrast in self.contrasts
            ]

    @cached_property
    def difference(self) -> Estimates:
        """Differences of the average probabilities, after minus before, with Wald intervals.

        Their limits are not restricted to [-1, 1].
        """
        return self._estimates("difference", [after.p - before.p for before, after in self._averages],
                               [after.J - before.J for before, after in self._averages])  # fmt: skip

    @cached_property
    def ratio(self) -> Estimates:
        """Ratios of the average probabilities, after to before, with intervals of their logarithms.

        z tests a ratio of 1. A ratio is nan where both averages underflow to 0.
        """
        logs = [after.log_p - before.log_p for before, after in self._averages]
        return self._estimates("ratio", logs, [after.d_log_p - before.d_log_p for before, after in self._averages])

    @cached_property
    def odds_ratio(self) -> Estimates:
        """Ratios of the odds p / (1 - p) of the average probabilities, with intervals of their logarithms."""
        logs = [after.log_odds - before.log_odds for before, after in self._averages]
        gradients = [after.d_log_odds - before.d_log_odds for before, after in self._averages]
        return self._estimates("odds_ratio", logs, gradients)

    def _estimates(self, what: str, values: Sequence[Array], J: Sequence[Array]) -> Estimates:
        """Return estimates (q, c) of differences, or of ratios from their logarithms."""
        estimate, error = np.stack(values, axis=1), np.stack([self._distribution.std_error(j) for j in J], axis=1)
        columns = tuple(contrast.column for contrast in self.contrasts)
        tested = self._inference.fitted.strength == 0
        found = normal(what, self.classes, columns, estimate, error, self.level, tested)
        found = replace(found, changes=tuple(contrast.words for contrast in self.contrasts))
        if what == "difference":
            return found
        with np.errstate(over="ignore", invalid="ignore"):
            ratio, lower, upper = (np.exp(a) for a in (found.estimate, found.lower, found.upper))
        return replace(found, estimate=ratio, std_error=ratio * error, lower=lower, upper=upper)

    def rows(self, what: str = "difference", contrast: int = 0) -> RowComparisons:
        """Return the comparison of each row.

        Parameters
        ----------
        what : {"difference", "ratio", "odds_ratio"}, default "difference"
            Function of the two probabilities of a row.
        contrast : int, default 0
            Position of the contrast among `contrasts`.

        Returns
        -------
        RowComparisons
            Comparisons (n, q).

        Raises
        ------
        ValueError
            If `what` is none of the three.
        """
        if what not in KINDS:
            raise ValueError(f"what={spell(what)} is not one of {', '.join(KINDS)}.")
        with one_blas_thread():
            value, error = _row_values(self._distribution, self.contrasts[contrast], what)
        half = critical_value(self.level, len(self.classes), simultaneous=False) * error
        low, high = value - half, value + half
        if what != "difference":
            with np.errstate(over="ignore"):
                value, low, high = np.exp(value), np.exp(low), np.exp(high)
                error = value * error
        return RowComparisons(what, self.classes, value, error, low, high)

    def frame(self) -> dict[str, Any]:
        """Return differences, ratios and odds ratios of the averages as columns of equal length.

        Returns
        -------
        dict of str to list or ndarray
            The columns of `difference.frame()` with `what` and `estimate`, for the three kinds in turn.
        """
        frames = [getattr(self, what).frame() for what in KINDS]
        named = [{"what": [what] * len(f["class"]), **_renamed(f, what)} for what, f in zip(KINDS, frames, strict=True)]
        return {key: _joined([f[key] for f in named]) for key in named[0]}

    def __str__(self) -> str:
        titles = ("Differences of probabilities", "Ratios of probabilities", "Odds ratios")
        return "\n\n".join(f"{title}:\n{getattr(self, what)}" for title, what in zip(titles, KINDS, strict=True))


def _renamed(frame: dict[str, Any], what: str) -> dict[str, Any]:
    return {"estimate" if key == what else key: values for key, values in frame.items()}


def _joined(parts: Sequence[Any]) -> Any:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else [v for part in parts for v in part]


def _row_values(distribution: ParameterDistribution, contrast: Contrast, what: str) -> tuple[Array, Array]:
    """Return the difference of each row's probabilities, or the logarithm of a ratio, with standard errors (n, q)."""
    n, q = contrast.after.n, distribution.q
    value, error = np.empty((n, q)), np.empty((n, q))

    def work(rows: slice) -> None:
        total, b = np.zeros((q, rows.stop - rows.start)), rows.stop - rows.start
        gradient = np.zeros((q, len(distribution.L), b))  # of each class, in the factor's coordinates
        for scenario, sign in ((contrast.before, -1.0), (contrast.after, 1.0)):
            o, factors = distribution.logits_and_factors(scenario.block(rows), scenario.offset_block(rows))
            part, G = _function(o, what)
            total += sign * part
            for c, U in enumerate(factors, start=1):
                gradient[:, : len(U)] += (sign * G[c])[:, None] * U
        value[rows], error[rows] = total.T, np.sqrt((gradient**2).sum(axis=1)).T

    for _ in each_block(distribution, n, work):
        pass
    return value, error


def _function(o: Array, what: str) -> tuple[Array, Array]:
    """Return p, log p or the log-odds (q, b) of logits o (q, b), and the derivatives (q, q, b) as `log_odds` does."""
    eta, G = log_odds(o)
    if what == "odds_ratio":
        return eta, G
    log_p = -np.logaddexp(0.0, -eta)
    log_complement = -np.logaddexp(0.0, eta)
    if what == "ratio":  # d log p = (1 - p) d log-odds
        return log_p, G * np.exp(log_complement)
    return np.exp(log_p), G * np.exp(log_p + log_complement)


def compare(
    inference: FittedInference, contrasts: Iterable[Contrast], weight: Array | None, level: float
) -> Comparisons:
    """Return the comparisons of contrasts of rows with these weights.

    Parameters
    ----------
    inference : Inference
        Statistics of the fit.
    contrasts : iterable of Contrast
        The contrasts.
    weight : ndarray of shape (n,) or None
        Weights of the rows in averages.
    level : float
        Confidence level.

    Returns
    -------
    Comparisons
        The comparisons.

    Examples
    --------
    >>> from softreg import SoftmaxRegression, infer
    >>> X, y = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]), np.array([0, 0, 1, 0, 1, 1])
    >>> result = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    >>> contrast = Contrast("x", "4 rather than 3", Scenario(X, {0: 3.0}), Scenario(X, {0: 4.0}))
    >>> compare(result, [contrast], None, 0.95).difference.estimate.round(3).ravel()
    array([-0.295,  0.295])
    """
    return Comparisons(tuple(contrasts), level, inference, weight)
