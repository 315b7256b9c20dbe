"""The result of `table_statistics`: coefficients, ratios, effects and tests of a table's columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from softreg.deprecated import DeprecatedAttributes
from softreg.models import Inference
from softreg.models.inference.counterfactual_effects import counterfactual_effects
from softreg.models.inference.estimates import ChiSquared, Estimates, as_text
from softreg.models.inference.inference import INTERCEPT
from softreg.models.inference.margins.comparisons import Comparisons
from softreg.models.inference.margins.prediction_plot import plot_predictions
from softreg.models.inference.margins.predictions import Predictions
from softreg.models.inference.summary import Summary
from softreg.tables.row_selection.complete_cases import ExcludedRows
from softreg.tables.row_selection.weight_column import WeightColumn
from softreg.tables.statistics.design_matrix import Design
from softreg.tables.statistics.table_margins import table_comparisons, table_predictions

PROFILE_WORK = 1e11
"""Multiplications above which the default intervals of Firth's estimates are Wald's: about three minutes."""
EFFECTS_WORK = 3e10
"""Multiplications above which text and JSON leave the effects out: about a minute."""
EVALUATIONS = 40
"""Approximate number of evaluations of the penalized likelihood for an interval and a test."""


@dataclass(frozen=True, eq=False)
class TableStatistics(DeprecatedAttributes):
    """Statistics of a table, returned by `table_statistics`.

    Attributes
    ----------
    target : str
        Column of labels.
    inference : Inference
        Coefficients, effects and tests of the columns of the design matrix, in the columns' own units.
    groups : mapping of str to tuple of str
        Names of these columns by column of the table (or variable and interaction of a formula).
    reference_levels : mapping of str to str
        Level of each category that the others are compared with.
    column_indices : mapping of str to tuple of int
        Indices of the columns of `groups` in `inference`.
    aliased : mapping of str to tuple of str
        Columns without a coefficient of their own, with those that they are a linear combination of.
    notes : tuple of str
        What was done with the table: rows and columns left out, kind of weights, separation.
    left_out : ExcludedRows
        Rows that are not used.
    total : int
        Rows that were given, used or not.
    weights : WeightColumn or None
        Weights of the rows.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from softreg.tables import table_statistics
    >>> table = pa.table({"age": [20, 60, 25, 55, 40, 41], "buys": ["no", "yes", "no", "yes", "yes", "no"]})
    >>> table_statistics(table, "buys", penalty="firth").inference.columns
    ('(intercept)', 'age')
    """

    target: str
    inference: Inference
    groups: Mapping[str, tuple[str, ...]]
    reference_levels: Mapping[str, str]
    column_indices: Mapping[str, tuple[int, ...]] = field(repr=False)
    aliased: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = field(repr=False)
    left_out: ExcludedRows
    total: int
    """Rows that were given, used or not."""
    weights: WeightColumn | None = field(repr=False)
    _design: Design = field(repr=False)
    _names: tuple[str, ...] = field(repr=False)
    """The names of all columns of the design, aliased ones among them."""
    _kept: tuple[bool, ...] = field(repr=False)

    @property
    def against(self) -> Mapping[str, str]:
        """`reference_levels`, by its former name."""
        return self.reference_levels

    @property
    def interval_kind(self) -> str:
        """Default kind of intervals: "profile" with Firth's penalty and model-based errors, else "Wald".

        Where profile intervals would take minutes, they are Wald's, which `notes` of the text states.
        """
        kind = self.inference.interval_kind
        return "Wald" if kind == "profile" and self._profile_work > PROFILE_WORK else kind

    @property
    def _profile_work(self) -> float:
        p = (self.inference.likelihood.q - 1) * (self.inference.likelihood.d + 1)
        return float(EVALUATIONS * self.inference.likelihood.n * p**3)

    @property
    def effects_are_quick(self) -> bool:
        """Whether the text shows the effects; `effects` computes them in any case."""
        return self._effects_work <= EFFECTS_WORK

    @property
    def _effects_work(self) -> float:
        q, d = self.inference.likelihood.q, self.inference.likelihood.d
        return float(2 * self.inference.likelihood.n * q * q * (d + 1) * max(d, q))

    @cached_property
    def _profile(self) -> Estimates:
        return self.inference.profile()

    def coefficients(self, intervals: str | None = None) -> Estimates:
        """Return the coefficients with "Wald" or "profile" intervals (None for `interval_kind`); nan where aliased."""
        kind = self.interval_kind if intervals is None else intervals
        estimates = self._profile if kind == "profile" else self.inference.coefficients
        return self._with_aliased(estimates)

    def ratios(self, intervals: str | None = None) -> Estimates:
        """Return `exp(coefficient)` with intervals: odds ratios with two classes, relative-risk ratios with more."""
        return self.inference.ratios_of(self.coefficients(intervals))

    def effects(self) -> Estimates:
        """Return average marginal effects on the probability of each class.

        The effect of a number is the mean over the rows of the derivative of the probability, per unit of the column;
        that of a column of zeros and ones, of a boolean and of a level is the mean difference of the probabilities,
        compared with 0 or the reference level. Of a formula, each variable has one effect (a level one each), in
        whatever terms it is.

        Returns
        -------
        Estimates
            Effects (q, ...).
        """
        if self._design.counterfactuals is None:
            return self._with_aliased(self.inference.effects())
        kept = np.flatnonzero(self._kept)
        changes = self._design.counterfactuals()
        return counterfactual_effects(
            self.inference, (replace(c, before=c.before[:, kept], after=c.after[:, kept]) for c in changes)
        )

    def predictions(
        self,
        data: Any = None,
        *,
        grid: Mapping[str, Any] | None = None,
        others: str = "mean_or_mode",
        level: float | None = None,
        simultaneous: bool = False,
    ) -> Predictions:
        """Return probabilities with standard errors and intervals, of rows or of the points of a grid.

        Parameters
        ----------
        data : path, pyarrow.Table or data frame, optional
            Rows with the columns of the fit, without missing values; the rows of the fit by default.
        grid : mapping of str to value or values, optional
            Numbers in the units of the table, levels of categories, and True or False (or their words) of booleans;
            all combinations are predicted.
        others, level, simultaneous
            As in `Inference.predictions`. Categories and booleans have their most frequent level with "mean_or_mode",
            and with "mean" the share of each level.

        Returns
        -------
        Predictions
            Probabilities (n, q), standard errors and limits of intervals.
        """
        options: dict[str, Any] = {"grid": grid, "others": others, "level": level, "simultaneous": simultaneous}
        return table_predictions(self.inference, self._design, np.array(self._kept, dtype=bool), data, **options)

    def plot_predictions(self, grid: Mapping[str, Any], data: Any = None, *, axes: Any = None, **options: Any) -> Any:
        """Draw the predictions of a grid of one or two columns with bands; `options` are those of `predictions`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        return plot_predictions(self.predictions(data, grid=grid, **options), axes)

    def comparisons(
        self, column: str, low: Any = None, high: Any = None, *, data: Any = None, level: float | None = None
    ) -> Comparisons:
        """Compare probabilities between two values or levels of a column, the other columns as observed.

        Parameters
        ----------
        column : str
            The column.
        low, high : value, optional
            Two numbers or levels. By default a number of zeros and ones is compared at 1 with 0, and each level of a
            category or boolean with the reference level.
        data : path, pyarrow.Table or data frame, optional
            The rows; those of the fit, with their weights, by default.
        level : float, optional
            Confidence level; that of the inference by default.

        Returns
        -------
        Comparisons
            `difference`, `ratio` and `odds_ratio` of the average probabilities, and `rows()`.
        """
        kept = np.array(self._kept, dtype=bool)
        return table_comparisons(self.inference, self._design, kept, data, column, low, high, level)

    def column_tests(self) -> dict[str, ChiSquared]:
        """Return a test for each column of the table that its coefficients are zero in all classes.

        Where errors are model-based, it is a likelihood-ratio test (of penalized likelihoods with Firth's penalty),
        which takes a fit for each column; where they are robust it is Wald's, as a likelihood ratio assumes that the
        model holds. Of a formula, a variable is tested in all its terms, and an interaction that no other term contains
        by itself.

        Returns
        -------
        dict of str to ChiSquared
            Test by column.
        """
        return {column: self._test(indices) for column, indices in self.column_indices.items() if indices}

    def text(self, intervals: str | None = None) -> str:
        """Return summary, reference levels, tests, ratios, average marginal effects and notes as text."""
        kind = self.interval_kind if intervals is None else intervals
        summary = self._summary(kind)
        coefficients = as_text(*summary.coefficients.table(), summary.titles)
        parts = [summary.head(), coefficients, self._reference_text(), self._tests_text(), self._ratios_text(kind)]
        notes = [*summary.notes, *self.notes]
        if self.effects_are_quick:
            parts.append(["Average marginal effects on the probability:", *self._effects_text()])
        else:
            notes.append("average marginal effects would take minutes and are left out; .effects() computes them")
        if kind != "profile" and self.inference.interval_kind == "profile" and intervals is None:
            notes.append("profile intervals would take minutes; these are Wald's (--intervals profile computes them)")
        parts.append(["Notes", *(f"  {note[:1].upper()}{note[1:].rstrip('.')}." for note in notes)] if notes else [])
        return "\n\n".join("\n".join(lines) for lines in parts if lines)

    def __str__(self) -> str:
        return self.text()

    def _summary(self, kind: str) -> Summary:
        summary = Summary.of(self.inference, self._profile if kind == "profile" else None)
        facts = list(summary.facts)
        if self.left_out.rows or self.left_out.weightless:
            gone = self.left_out.rows + self.left_out.weightless
            facts.insert(1, ("left out", f"{gone:,} of {self.total:,} rows; see the notes"))
        return replace(summary, facts=tuple(facts), coefficients=self.coefficients(kind))

    def _reference_text(self) -> list[str]:
        wide = max(map(len, self.column_indices), default=0)
        lines = [f"  {name.ljust(wide)}  {level}" for name, level in self.reference_levels.items()]
        return ["Reference levels:", *lines] if lines else []

    def _tests_text(self) -> list[str]:
        tests = dict[str, str]()
        for name, indices in self.column_indices.items():
            try:
                tests[name] = str(self._test(indices)) if indices else "no test: it has no coefficient"
            except ValueError as error:
                tests[name] = f"no test: {error}"
        wide = max(map(len, tests), default=0)
        return [
            "Tests that all coefficients of a column are zero:",
            *(f"  {name.ljust(wide)}  {test}" for name, test in tests.items()),
        ]

    def _test(self, indices: tuple[int, ...]) -> ChiSquared:
        test = self.inference.wald if self.inference.test_kind == "Wald" else self.inference.likelihood_ratio
        return test(list(indices))

    def _ratios_text(self, kind: str) -> list[str]:
        ratios = self.ratios(kind)
        two = self.inference.likelihood.q == 2
        title = "Odds ratios" if two else "Relative-risk ratios"
        what = "the odds" if two else "the ratio of the two probabilities"
        titles = self._summary(kind).titles
        return [f"{title} (factor of {what} per unit):", *as_text(*ratios.table(), titles)]

    def _effects_text(self) -> list[str]:
        """Return the effects; those of two classes differ in sign only, so that one class is shown."""
        effects, reference = self.effects(), self.inference.reference
        head, parts = effects.table()
        titles = [f"probability of {label!r}" for label in effects.classes]
        shown = [k for k in range(len(titles)) if len(titles) > 2 or k != reference]
        return as_text(head, [parts[k] for k in shown], [titles[k] for k in shown])

    def _with_aliased(self, estimates: Estimates) -> Estimates:
        """Return the estimates with a column of nan for each aliased column of the design."""
        if all(self._kept):
            return estimates
        first = [True] if estimates.columns[:1] == (INTERCEPT,) and self._design.intercept else []
        there = np.array([*first, *self._kept])
        names = (*([INTERCEPT] if first else []), *self._names)

        def spread(values: Any) -> Any:
            if values is None:
                return None
            out = np.full((values.shape[0], len(there)), np.nan)
            out[:, there] = values
            return out

        changes = None
        if estimates.changes is not None:
            given = iter(estimates.changes)
            changes = tuple(next(given) if keeps else "aliased" for keeps in there)
        arrays = {part: spread(getattr(estimates, part)) for part in ("estimate", "std_error", "lower", "upper", "z")}
        return replace(estimates, columns=names, changes=changes, **arrays)
