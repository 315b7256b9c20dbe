"""Contributions of the columns to the logits of rows, relative to a baseline row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from softreg.models.class_blocks.logit_blocks import LogitBlocks
from softreg.models.class_blocks.top_classes import ChosenLogits, LargestLogits
from softreg.models.inference.estimates import as_html, as_text, number
from softreg.models.inputs.features import validate_features
from softreg.rows import Array
from softreg.typing import Matrix

ROUNDING = 1e-12
"""Mean of standardised rows, in standard deviations, below which it counts as 0."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """The logits of rows as a sum over the columns, as `explain` computes it.

    Attributes
    ----------
    classes : tuple
        The q classes.
    columns : tuple of str
        The d columns.
    values : ndarray of shape (n, d)
        The rows.
    baseline : ndarray of shape (d,)
        The row that the rows are compared with.
    baseline_logits : ndarray of shape (q,)
        Logits of the baseline.
    weights : ndarray of shape (q, d)
        Weights of the model.
    predicted, runner_up : ndarray of shape (n,)
        Codes of the most and second most probable class of each row.
    sources : tuple of str
        Column of the table from which each of the d columns comes, or interaction; the columns themselves for arrays.
    """

    classes: tuple[Any, ...]
    columns: tuple[str, ...]
    values: Array = field(repr=False)
    baseline: Array = field(repr=False)
    baseline_logits: Array
    weights: Array = field(repr=False)
    predicted: Array
    runner_up: Array
    sources: tuple[str, ...] = ()

    def grouped(self) -> dict[str, Array]:
        """Return the contributions to the logits by column of the table, all levels of a category together.

        Returns
        -------
        dict of str to ndarray of shape (n, q)
            Sum of the contributions of the features of each column, and of each interaction. With `baseline_logits`
            they sum to the logits.
        """
        sources, parts = self.sources or self.columns, self.contributions
        places: dict[str, list[int]] = {}
        for j, source in enumerate(sources):
            places.setdefault(source, []).append(j)
        return {source: parts[:, :, own].sum(axis=2) for source, own in places.items()}

    @property
    def contributions(self) -> Array:
        """Contributions `w_kj (x_ij - baseline_j)`, (n, q, d); with `baseline_logits` they sum to the logits."""
        return np.asarray((self.values - self.baseline)[:, None, :] * self.weights)

    @property
    def log_odds(self) -> Array:
        """Contributions to the log-odds of the predicted class against the runner-up, (n, d).

        With `baseline_log_odds` they sum to the difference of the two logits, which is not negative.

        Returns
        -------
        ndarray of shape (n, d)
            Contributions of the columns.
        """
        return np.asarray((self.values - self.baseline) * (self.weights[self.predicted] - self.weights[self.runner_up]))

    @property
    def baseline_log_odds(self) -> Array:
        """The log-odds (n,) of the baseline row for each row's two classes."""
        return np.asarray(self.baseline_logits[self.predicted] - self.baseline_logits[self.runner_up])

    def frame(self, row: int = 0) -> dict[str, Any]:
        """Return the contributions to one row as columns of equal length, largest first.

        Parameters
        ----------
        row : int, default 0
            Index of the row.

        Returns
        -------
        dict of str to list or ndarray
            Name, value, baseline and contributions of each column, for `pandas.DataFrame` or `polars.DataFrame`.
        """
        odds, adds = self.log_odds[row], (self.values[row] - self.baseline) * self.weights
        order = np.argsort(-np.abs(odds), kind="stable")
        out: dict[str, Any] = {
            "column": [self.columns[j] for j in order],
            "value": self.values[row][order],
            "baseline": self.baseline[order],
            "log_odds": odds[order],
        }
        return out | {f"logit {label}": part[order] for label, part in zip(self.classes, adds, strict=True)}

    def text(self, row: int = 0, top: int = 10) -> str:
        """Return one row as text: the two classes, and the columns of largest contribution."""
        return "\n".join(as_text(*self._table(row, top)))

    def html(self, row: int = 0, top: int = 10) -> str:
        """Return one row as an HTML table without style."""
        return as_html(*self._table(row, top))

    def _table(self, row: int, top: int) -> tuple[list[str], list[list[list[str]]], list[str]]:
        """Return header, lines and title of the table of one row."""
        frame = self.frame(row)
        a, b = self.classes[self.predicted[row]], self.classes[self.runner_up[row]]
        lines = [
            [name, number(x), number(m), f"{c:+.4f}"]
            for name, x, m, c in zip(frame["column"], frame["value"], frame["baseline"], frame["log_odds"], strict=True)
        ]
        rest = float(frame["log_odds"][top:].sum())
        more = [[f"{len(lines) - top} more columns", "", "", f"{rest:+.4f}"]] if len(lines) > top else []
        start, whole = self.baseline_log_odds[row], self.baseline_log_odds[row] + frame["log_odds"].sum()
        body = [
            ["the baseline row", "", "", f"{start:+.4f}"],
            *lines[:top],
            *more,
            ["together", "", "", f"{whole:+.4f}"],
        ]
        return ["", "value", "baseline", "log-odds"], [body], [f"row {row}: {a!r} rather than {b!r}"]

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()


def explain(model: Any, X: Any, *, baseline: Any = None) -> Explanation:
    """Compute the contribution of each column to the logits of rows, and to the log-odds against the runner-up.

    The contribution of column j to the logit of class k is `w_kj (x_ij - m_j)`, relative to a baseline row m. Only
    differences between classes are identified: a constant added to the logits of all classes changes no probability.
    The contributions of a model without interactions are also Shapley values if the columns are independent.

    Parameters
    ----------
    model : SoftmaxRegression, SoftmaxRegressionCV or TableClassifier
        A fitted model. With a `TableClassifier`, `X` and `baseline` are tables, columns are its features (one for each
        level of a category), and values are encoded (numbers in standard deviations from the training mean). With
        curves and interactions, features are basis functions: use `Explanation.grouped`, or
        `TableClassifier.term_functions`, which also divides an interaction from the functions of its columns.
    X : array, sparse matrix, data frame or table of n rows
        The rows to explain.
    baseline : array_like of shape (d,), or rows, optional
        Baseline row, or rows whose mean is the baseline, such as the training rows. The default is the mean of X, which
        needs at least two rows.

    Returns
    -------
    Explanation
        Contributions of the columns.

    Raises
    ------
    ValueError
        For a single row without a baseline, and for X that the model would not predict.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> X = np.array([[1.0, 5.0], [2.0, 3.0], [3.0, 4.0], [4.0, 6.0]])
    >>> model = SoftmaxRegression(0.1).fit(X, ["no", "no", "yes", "yes"])
    >>> why = explain(model, X[:1], baseline=X)
    >>> np.allclose(why.baseline_log_odds + why.log_odds.sum(axis=1), -model.decision_function(X[:1]))
    True
    """
    labels, sources = None, ()
    if hasattr(model, "encode"):  # a table classifier: its regression, and the encoded rows
        X, baseline = model.encode(X), None if baseline is None else model.encode(baseline)
        sources = model.encoder_.column_names
        model, labels = model.model_, model.classes_
    check_is_fitted(model, "coef_")
    if model.has_offset_:
        raise ValueError("the model was fitted with an offset of the logits, which is the contribution of no column.")
    rows = _dense(validate_features(model, X, reset=False))
    if baseline is None:
        if len(rows) < 2:
            raise ValueError("one row is its own mean: hand in baseline=X_train, the rows to compare it with.")
        mean = rows.mean(axis=0)
    elif np.ndim(baseline) == 1 and not isinstance(baseline, list):
        mean = _dense(validate_features(model, np.asarray(baseline)[None, :], reset=False))[0]
    else:
        mean = np.asarray(validate_features(model, baseline, reset=False).mean(axis=0), dtype=np.float64).ravel()
    if labels is not None:
        mean = np.where(np.abs(mean) < ROUNDING, 0.0, mean)
    largest, every = LargestLogits(len(rows), 2), ChosenLogits(1, np.arange(len(model.coef_)))
    LogitBlocks(model.coef_, model.intercept_, rows).reduce(largest)
    LogitBlocks(model.coef_, model.intercept_, mean[None]).reduce(every)
    names = getattr(model, "feature_names_in_", model._column_names)
    return Explanation(
        classes=tuple((model.classes_ if labels is None else labels).tolist()),
        columns=tuple(f"column {j}" if names is None else str(names[j]) for j in range(rows.shape[1])),
        values=rows,
        baseline=mean,
        baseline_logits=every.logits[0],
        weights=model.coef_,
        predicted=largest.codes[:, 0],
        runner_up=largest.codes[:, 1],
        sources=sources,
    )


def _dense(X: Matrix) -> Array:
    """Return rows as a dense float64 array."""
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.float64)
