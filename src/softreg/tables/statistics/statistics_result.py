"""What `table_statistics` gives: coefficients, ratios, effects and tests of a table's columns, as numbers and as
text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from softreg.models import Inference
from softreg.models.inference.counterfactual_effects import counterfactual_effects
from softreg.models.inference.estimates import ChiSquared, Estimates, as_text
from softreg.models.inference.inference import INTERCEPT
from softreg.models.inference.summary import Summary
from softreg.tables.row_selection.complete_cases import ExcludedRows
from softreg.tables.row_selection.weight_column import RowWeights
from softreg.tables.statistics.design_matrix import Design

PROFILE_WORK = 1e11
"""Multiplications from which Firth's intervals are Wald's unless others are asked for: some three minutes."""
EFFECTS_WORK = 3e10
"""Multiplications from which text and JSON leave the effects out: some minute (20,000 rows of 300 levels take half)."""
EVALUATIONS = 40
"""Evaluations of the penalised likelihood for the two ends of an interval and a test, about."""


@dataclass(frozen=True, eq=False)
class TableStatistics:
    """The statistics of a table, made by `table_statistics`.

    `inference` has coefficients, effects and tests of the columns of the design matrix, in the columns' own units.
    `groups` has the names of these columns by column of the table (or variable and interaction of a formula), `places`
    their places among the columns of `inference`. `reference_levels` has the level of each category that the others are
    compared with. `aliased` has the columns of the design without a coefficient of their own, with those that they are
    a linear combination of. `notes` says what was done with the table: rows and columns left out, kinds of weights,
    separation. `left_out` counts the rows that are not used.
    """

    target: str
    inference: Inference
    groups: Mapping[str, tuple[str, ...]]
    reference_levels: Mapping[str, str]
    places: Mapping[str, tuple[int, ...]] = field(repr=False)
    aliased: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = field(repr=False)
    left_out: ExcludedRows
    total: int
    """Rows that were given, used or not."""
    weights: RowWeights | None = field(repr=False)
    _design: Design = field(repr=False)
    _names: tuple[str, ...] = field(repr=False)
    """The names of all columns of the design, aliased ones among them."""
    _kept: tuple[bool, ...] = field(repr=False)

    @property
    def against(self) -> Mapping[str, str]:
        """The same as `reference_levels`, by its former name."""
        return self.reference_levels

    @property
    def interval_kind(self) -> str:
        """The default kind of intervals: "profile" with Firth's penalty and model-based errors, else "Wald".

        Where profile intervals would take some minutes, they are Wald's, too, and `notes` of the text says so.
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
        """The coefficients with their intervals, "Wald" or "profile" (None: `interval_kind`); nan where aliased."""
        kind = self.interval_kind if intervals is None else intervals
        found = self._profile if kind == "profile" else self.inference.coefficients
        return self._with_aliased(found)

    def ratios(self, intervals: str | None = None) -> Estimates:
        """`exp(coefficient)` with intervals: odds ratios with two classes, relative-risk ratios with more."""
        return self.inference.ratios_of(self.coefficients(intervals))

    def effects(self) -> Estimates:
        """Average marginal effects (q, ...) on the probability of each class.

        Of a number, the mean over the rows of the derivative of the probability, per unit of the column; of a column of
        zeros and ones, a boolean and a level, the mean difference of the probabilities, compared with 0 or the
        reference level. Of a formula, each variable has one line (a level one each), in whatever terms it is.
        """
        if self._design.counterfactuals is None:
            return self._with_aliased(self.inference.effects())
        kept = np.flatnonzero(self._kept)
        changes = self._design.counterfactuals()
        return counterfactual_effects(
            self.inference, (replace(c, before=c.before[:, kept], after=c.after[:, kept]) for c in changes)
        )

    def column_tests(self) -> dict[str, ChiSquared]:
        """For each column of the table, a test that its coefficients are zero in all classes.

        A likelihood ratio, which takes a fit for each column, where the errors are model-based (of penalised
        likelihoods with Firth's penalty); Wald's where they are robust, for a likelihood ratio assumes that the model
        holds. Of a formula, a variable is tested in all its terms, and an interaction that no other term contains by
        itself.
        """
        return {column: self._test(places) for column, places in self.places.items() if places}

    def text(self, intervals: str | None = None) -> str:
        """All of it: summary, reference levels, tests of the columns, ratios, average marginal effects and notes."""
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
        wide = max(map(len, self.places), default=0)
        lines = [f"  {name.ljust(wide)}  {level}" for name, level in self.reference_levels.items()]
        return ["Reference levels:", *lines] if lines else []

    def _tests_text(self) -> list[str]:
        tests = dict[str, str]()
        for name, places in self.places.items():
            try:
                tests[name] = str(self._test(places)) if places else "no test: it has no coefficient"
            except ValueError as error:
                tests[name] = f"no test: {error}"
        wide = max(map(len, tests), default=0)
        return [
            "Tests that all coefficients of a column are zero:",
            *(f"  {name.ljust(wide)}  {test}" for name, test in tests.items()),
        ]

    def _test(self, places: tuple[int, ...]) -> ChiSquared:
        test = self.inference.wald if self.inference.test_kind == "Wald" else self.inference.likelihood_ratio
        return test(list(places))

    def _ratios_text(self, kind: str) -> list[str]:
        ratios = self.ratios(kind)
        two = self.inference.likelihood.q == 2
        title = "Odds ratios" if two else "Relative-risk ratios"
        what = "the odds" if two else "the ratio of the two probabilities"
        titles = self._summary(kind).titles
        return [f"{title} (factor of {what} per unit):", *as_text(*ratios.table(), titles)]

    def _effects_text(self) -> list[str]:
        """Those of two classes are the same but for the sign, so that one class tells both."""
        effects, reference = self.effects(), self.inference.reference
        head, parts = effects.table()
        titles = [f"probability of {label!r}" for label in effects.classes]
        shown = [k for k in range(len(titles)) if len(titles) > 2 or k != reference]
        return as_text(head, [parts[k] for k in shown], [titles[k] for k in shown])

    def _with_aliased(self, found: Estimates) -> Estimates:
        """The estimates with a column of nan for each aliased column of the design."""
        if all(self._kept):
            return found
        first = [True] if found.columns[:1] == (INTERCEPT,) and self._design.intercept else []
        there = np.array([*first, *self._kept])
        names = (*([INTERCEPT] if first else []), *self._names)

        def spread(values: Any) -> Any:
            if values is None:
                return None
            out = np.full((values.shape[0], len(there)), np.nan)
            out[:, there] = values
            return out

        changes = None
        if found.changes is not None:
            given = iter(found.changes)
            changes = tuple(next(given) if keeps else "aliased" for keeps in there)
        arrays = {part: spread(getattr(found, part)) for part in ("estimate", "std_error", "lower", "upper", "z")}
        return replace(found, columns=names, changes=changes, **arrays)
