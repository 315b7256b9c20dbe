"""The result of a linear probe: a row for each strength, the fitted model and the evaluation of its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.linear_probe.embedding_arrays import check_embeddings, unit_length
from softreg.linear_probe.held_out_scores import TOP, RowScores
from softreg.models import Path, SoftmaxRegression
from softreg.optimize import Solution
from softreg.probability import Interval
from softreg.report import Audit
from softreg.typing import Array

NORMAL = 1.96
"""Standard errors of a 95% interval."""
TABLE = ("strength", "log_loss", "accuracy", "top5_accuracy", "gap", "converged", "passes", "seconds")
"""Columns of `Probe.as_dict`."""


@dataclass(frozen=True, eq=False)
class StrengthScores:
    """Scores of the held-out rows at one strength.

    Attributes
    ----------
    strength : float
        Strength of the penalty.
    log_loss : Interval
        Mean log loss in nats with a 95% interval.
    accuracy, top5_accuracy : Interval
        Share of rows whose label is the most probable class, or among the five most probable, with its 95% interval.
    gap : float
        Largest certified distance of the fits from their minimum, in nats.
    converged : bool
        Whether all fits have reached their tolerance.
    passes : int
        Passes over the rows.
    seconds : float
        Seconds of the fits and the scores.

    Examples
    --------
    >>> from softreg import probe
    >>> X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
    >>> probe(X, y, strengths=[0.1]).strengths[0].converged
    True
    """

    strength: float
    log_loss: Interval
    accuracy: Interval
    top5_accuracy: Interval
    gap: float
    converged: bool
    passes: int
    seconds: float

    @classmethod
    def of(cls, strength: float, rows: RowScores, solutions: Sequence[Solution], seconds: float) -> StrengthScores:
        """Return the scores of rows and the certificates of the fits."""
        return cls(
            strength,
            rows.log_loss(),
            rows.accuracy(),
            rows.accuracy(TOP),
            max(float(solution.gap) for solution in solutions),
            all(solution.certified for solution in solutions),
            sum(int(solution.passes) for solution in solutions),
            seconds,
        )

    def value(self, score: str) -> float:
        """Return the log loss, or the share of wrong rows for "accuracy"; less is better."""
        return self.log_loss.value if score == "log_loss" else 1 - self.accuracy.value


@dataclass(frozen=True, eq=False)
class Probe:
    """The result of `softreg.probe`.

    Attributes
    ----------
    model : SoftmaxRegression
        The model of all training rows at the chosen strength. Its weights belong to the embeddings as given, or to rows
        of unit length (`unit_rows`).
    strengths : tuple of StrengthScores
        The strengths, strongest first, with the scores of the held-out rows.
    chosen : int
        Index of the chosen strength.
    log_loss, accuracy, top5_accuracy : Interval
        Scores of the test rows by `model`; without test rows, those of the held-out rows at the chosen strength.
    evaluation : Audit
        Evaluation of the probabilities of these rows, or of a sample of them.
    evaluated_on : {"test", "held-out"}
        Which rows these are.
    rows : int
        Training rows.
    held_out : int
        Rows on which the strengths are compared.
    tested : int
        Test rows with a label of the training rows.
    unknown_labels : int
        Test rows of other labels, which are not evaluated.
    kind : str
        Type of the embeddings, such as "float16".
    unit_rows, standardized : bool
        Whether rows were divided by their length, and columns standardised, before the fit.
    score : str
        Score by which the strength was chosen.
    passes : int
        Passes over the rows of all fits.
    seconds : float
        Seconds of all fits and scores.

    Examples
    --------
    >>> from softreg import probe
    >>> random = np.random.default_rng(0)
    >>> y = np.arange(600) % 3
    >>> X = random.normal(size=(600, 8)) + 3 * np.eye(3, 8)[y]
    >>> result = probe(X, y)
    >>> result.model.predict(X[:3]).tolist(), result.evaluated_on, result.accuracy.value > 0.9
    ([0, 1, 2], 'held-out', True)
    """

    model: SoftmaxRegression
    strengths: tuple[StrengthScores, ...]
    chosen: int
    log_loss: Interval
    accuracy: Interval
    top5_accuracy: Interval
    evaluation: Audit
    evaluated_on: str
    rows: int
    held_out: int
    tested: int
    unknown_labels: int
    kind: str
    unit_rows: bool
    standardized: bool
    score: str
    passes: int
    seconds: float

    @property
    def strength(self) -> float:
        """The chosen strength."""
        return float(self.model.strength)

    def predict_proba(self, X: Any) -> Array:
        """Return the class probabilities of embeddings, with rows of unit length if those of the fit were.

        Parameters
        ----------
        X : array or tensor of shape (n, d)

        Returns
        -------
        ndarray of shape (n, q)

        Raises
        ------
        ValueError
            If X is no matrix of finite numbers with d columns.

        Examples
        --------
        >>> from softreg import probe
        >>> X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
        >>> probe(X, y, strengths=[0.1], unit_rows=True).predict_proba(X[:2]).shape
        (2, 3)
        """
        array = check_embeddings(X, copied=True).X if _is_narrow(X) else check_embeddings(X).X
        return np.asarray(self.model.predict_proba(unit_length(array) if self.unit_rows else array))

    def as_dict(self) -> dict[str, Array]:
        """Return the table of strengths by column, for `pandas.DataFrame(result.as_dict())`; scores without intervals.

        Returns
        -------
        dict of str to ndarray

        Examples
        --------
        >>> from softreg import probe
        >>> X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
        >>> probe(X, y, strengths=[1, 0.1]).as_dict()["strength"]
        array([1. , 0.1])
        """
        values = {name: [getattr(point, name) for point in self.strengths] for name in TABLE}
        return {name: np.array([getattr(v, "value", v) for v in column]) for name, column in values.items()}

    def path(self) -> Path:
        """Return the held-out log losses as the path of a cross-validation, for the report.

        Returns
        -------
        Path

        Examples
        --------
        >>> from softreg import probe
        >>> X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
        >>> len(probe(X, y, strengths=[1, 0.1]).path())
        2
        """
        scores = [p.log_loss for p in self.strengths]
        mean = np.array([s.value for s in scores])
        ones = np.ones(len(scores))
        return Path(
            "log_loss",
            False,
            self.chosen,
            np.array([p.strength for p in self.strengths]),
            0 * ones,
            ones,
            mean[:, None],
            mean,
            np.array([(s.high - s.low) / (2 * NORMAL) for s in scores]),
            np.array([p.log_loss.value for p in self.strengths]),
            np.array([p.gap for p in self.strengths]),
            np.full(len(scores), self.model.coef_.size),
            sum(p.passes for p in self.strengths),
            float(sum(p.seconds for p in self.strengths)),
        )


def _is_narrow(X: Any) -> bool:
    """Return True if the numbers of X have fewer bytes than float32 has."""
    return int(getattr(getattr(X, "dtype", None), "itemsize", 8)) < np.dtype(np.float32).itemsize
