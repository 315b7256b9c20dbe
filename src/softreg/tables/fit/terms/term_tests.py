"""Tests of the terms of a fitted table model: columns, the curvature of curves, and interactions."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models import Inference, SoftmaxRegression
from softreg.models.evidence.no_effect_test import NoEffectTest, Reference, no_effect_test
from softreg.models.inference.estimates import p_value_text
from softreg.optimize.objective.hessian import contrasts
from softreg.tables.columns.table_errors import TableError, quote_list
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.encode.terms.pair_encoder import PairEncoder
from softreg.tables.fit.terms.term_layout import TermLayout, term_layout
from softreg.typing import BoolArray, Float64Array, IntArray

CURVATURE = "curvature"
"""Kind of the test of a curve against a line."""
INTERACTION = "interaction"
"""Kind of the test of an interaction."""


@dataclass(frozen=True)
class TermTest:
    """The test that a term has no effect.

    Attributes
    ----------
    term : str
        Column, or interaction as `age:job`.
    kind : str
        "column": no feature of the column has an effect, its curve and its indicator of missing values included;
        "curvature": the column has the effect of a line (of the values within the range of training) and of its
        indicator of missing values at most; "interaction": the interaction has no effect.
    parameters : int
        Weights that are zero under the null hypothesis, over the q - 1 contrasts of the classes.
    degrees : float
        Effective degrees of freedom.
    statistic : float
        The statistic.
    null_mean : float
        Its mean under the null hypothesis.
    p_value : float
        p-value; nan where the penalty alone determines the weights.
    searched : bool
        Whether the interaction was found by a search of the same rows, for which the p-value is too small.
    """

    term: str
    kind: str
    parameters: int
    degrees: float
    statistic: float
    null_mean: float
    p_value: float
    searched: bool


@dataclass(frozen=True)
class TermTests:
    """Tests of the terms of a model.

    Attributes
    ----------
    tests : tuple of TermTest
        The tests, in the order of the columns; interactions last.
    refitted : bool
        Whether the weights are those of a fit to the rows of the tests, which did not choose terms and strengths.
    rows : int
        Number of rows.
    penalised : bool
        Whether the model has a penalty.
    """

    tests: tuple[TermTest, ...]
    refitted: bool
    rows: int
    penalised: bool = True

    def __getitem__(self, term: str) -> TermTest:
        """Return the test of a column or interaction; the curvature of a curve is `age=curve`."""
        found = {f"{test.term}=curve" if test.kind == CURVATURE else test.term: test for test in self.tests}
        if term not in found:
            raise KeyError(f"{term!r} is not among the tests: {', '.join(found)}.")
        return found[term]

    def frame(self) -> dict[str, list[Any]]:
        """Return the tests as columns of equal length.

        Returns
        -------
        dict of str to list
            Accepted by `pandas.DataFrame`, `polars.DataFrame` and `pyarrow.table`.
        """
        names = ("term", "kind", "parameters", "degrees", "statistic", "null_mean", "p_value", "searched")
        return {name: [getattr(test, name) for test in self.tests] for name in names}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the p-values assume."""
        first = (
            "Terms and strengths were chosen on other rows and are taken as given; the weights were fitted to these "
            "rows."
            if self.refitted
            else "The same rows chose terms and strengths; the tests use strengths that do not depend on the labels."
            if self.penalised
            else "Wald's tests: the model has no penalty."
        )
        found = [test.term for test in self.tests if test.searched]
        second = (
            f"{quote_list(found)}: found by a search of these rows for the strongest interactions; the p-values do not "
            "account for the search and are too small. Rows that the fit did not have give valid ones: "
            "term_tests(rows, refit=True)."
        )
        return (first, *((second,) if found else ()))

    def __str__(self) -> str:
        head = ["term", "null hypothesis", "edf", "statistic", "its mean", "p"]
        lines = [head]
        for test in self.tests:
            p = p_value_text(test.p_value).removeprefix("p = ").removeprefix("p ")
            null = {CURVATURE: "a line"}.get(test.kind, "no effect")
            lines.append(
                [
                    test.term,
                    null,
                    f"{test.degrees:.2f}",
                    f"{test.statistic:.2f}",
                    f"{test.null_mean:.2f}",
                    p + (" *" if test.searched else ""),
                ]
            )
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        rows = [
            f"{line[0]:<{widths[0]}}  {line[1]:<{widths[1]}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(line[2:], widths[2:], strict=True))
            for line in lines
        ]
        marks = ["* " if "search" in note else "" for note in self.notes]
        return "\n".join([*rows, *(mark + note for mark, note in zip(marks, self.notes, strict=True))])


def term_tests_of(
    inference: Inference, encoder: Encoder, requested: Sequence[tuple[str, str]], refitted: bool
) -> TermTests:
    """Return the tests of the terms of a table model.

    Parameters
    ----------
    inference : Inference
        Statistics of its regression with `errors="posterior"`, or "model" for a model without a penalty.
    encoder : Encoder
        Its encoder.
    requested : sequence of (str, str)
        Interactions that were requested; others were found by a search.
    refitted : bool
        Whether the rows of the inference did not choose the terms.

    Returns
    -------
    TermTests
        The tests.
    """
    fit = _Fit.of(inference, term_layout(encoder), refitted)
    asked = {frozenset(pair) for pair in requested}
    tests, first = [], 0
    for part in encoder.parts:
        places = np.arange(first, first + part.width)
        first += part.width
        if isinstance(part, PairEncoder):
            searched = frozenset((part.left.column, part.right.column)) not in asked and not refitted
            tests.append(fit.test(part.name, INTERACTION, places, searched=searched))
            continue
        if part.width:
            tests.append(fit.test(part.name, "column", places))
        if isinstance(part, CurveEncoder) and part.n_curves:
            of_curve = np.zeros(part.width, dtype=bool)
            of_curve[1 : 1 + part.n_curves] = True
            tests.append(fit.test(part.name, CURVATURE, places, free=~of_curve))
    found = tuple(test for test in tests if test is not None)
    return TermTests(found, refitted, len(inference.fitted.y), inference.fitted.strength > 0)


@dataclass(frozen=True, eq=False)
class _Fit:
    """Weights (q - 1, d) in contrasts of the classes, their posterior covariance, and the precision (d,) of each.

    `part` (d,) and `shape` (d,) are those of `Reference` for one contrast; `part` is None where other rows chose the
    strengths, or where there is no penalty.
    """

    weights: Float64Array
    covariance: Float64Array
    precision: Float64Array
    part: IntArray | None
    shape: Float64Array

    @classmethod
    def of(cls, inference: Inference, layout: TermLayout, refitted: bool) -> _Fit:
        """Return the fit of an inference, in the solver's coordinates."""
        T = contrasts(inference.likelihood.q)
        covariance = np.einsum("qa,qirs,rb->aibs", T, inference._C, T, optimize=True)[:, :-1, :, :-1]
        precision = inference.likelihood.objective.ridge[0, 0, :-1] * inference.likelihood.mass
        scale = np.asarray(inference.likelihood.coordinates.scale, dtype=np.float64)
        shape = np.where(precision > 0, scale**-2.0, 0.0)  # that of one strength for all features
        part = None if refitted or not precision.any() else layout.of_feature
        return cls((T.T @ inference._theta)[:, :-1], np.asarray(covariance), precision, part, shape)

    def test(
        self, term: str, kind: str, places: IntArray, free: BoolArray | None = None, searched: bool = False
    ) -> TermTest | None:
        """Return the test of the features at some places; None if none of them varies in these rows."""
        varies = np.array([(self.covariance[:, j, :, j].diagonal() > 0).all() for j in places])
        tested = varies if free is None else varies & ~free
        if not tested.any():
            return None
        places, a = places[varies], len(self.weights)
        block = self.covariance[:, places][:, :, :, places].reshape(a * len(places), -1)
        nuisance = None if free is None else np.tile(free[varies], a)
        reference = (
            None
            if self.part is None
            else Reference(np.tile(self.part[places], a), np.tile(self.shape[places], a), contrasts=a)
        )
        found: NoEffectTest = no_effect_test(
            self.weights[:, places].ravel(), block, np.tile(self.precision[places], a), nuisance, reference
        )
        parameters = a * int(tested.sum())
        figures = found.degrees, found.statistic, found.null_mean, found.p_value
        return TermTest(term, kind, parameters, *figures, searched)


def refitted_model(
    model: SoftmaxRegression,
    X: Any,
    y: Any,
    weight: Float64Array | None,
    offset: Float64Array | None,
    *,
    per_row: bool,
) -> SoftmaxRegression:
    """Return a model with the same penalty fitted to other rows.

    Parameters
    ----------
    model : SoftmaxRegression
        The model.
    X, y : array (n, d), (n,)
        Rows and labels.
    weight, offset : array of float64 (n,), (n, q), optional
        Weights and offsets of the rows.
    per_row : bool
        Whether the strength stays the same for each row; otherwise, as for terms, the precision of the weights does.

    Returns
    -------
    SoftmaxRegression
        The fit.

    Raises
    ------
    TableError
        If the rows lack a class.
    """
    absent = sorted(set(model.classes_.tolist()) - set(np.unique(y).tolist()))
    if absent:
        raise TableError(
            f"The rows have no label {quote_list(absent)}, which is a class of the model: the terms cannot be fitted "
            "to them. Pass more rows."
        )
    other = SoftmaxRegression(**{**model.get_params(deep=False), "verbose": 0, "keep_posterior": False})
    if not per_row:
        other.strength = 1 / float(len(y) if weight is None else weight.sum())
    other._column_names = copy.copy(model._column_names)
    return other.fit(X, y, weight, offset=offset)
