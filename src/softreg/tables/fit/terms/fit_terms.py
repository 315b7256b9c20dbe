"""Fit of a table with terms: the choice on a sample of the training rows, and the parameters of the exact fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from softreg.models.inputs.sample_and_class_weights import row_weights
from softreg.rows import one_blas_thread
from softreg.splits import sample_rows
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.fit.choose_strength import fit_at_strength
from softreg.tables.fit.cross_validation import CrossValidation
from softreg.tables.fit.terms.choose_terms import compare_models
from softreg.tables.fit.terms.fitted_parts import FittedParts, TermSample
from softreg.tables.fit.terms.functions.node_shares import kept_shares
from softreg.tables.fit.terms.linear_trial import LinearTrial
from softreg.tables.fit.terms.term_options import Terms, requested_terms
from softreg.tables.fit.terms.term_problem import ChosenTerms, TermProblem
from softreg.tables.fit.terms.term_record import TermRecord
from softreg.tables.fit.terms.term_search import Deadline
from softreg.tables.fit.weight_terms.column_constraints import ColumnConstraints
from softreg.tables.schema.schema import Schema
from softreg.typing import Float64Array, TextArray

MAX_ROWS = 25_000
"""Most rows on which terms are chosen; the fit has all rows."""


def checked_terms(given: Any, schema: Schema, settings: Mapping[str, Any]) -> Terms:
    """Return the requested terms, checked against the schema and the parameters of the regression.

    Parameters
    ----------
    given : {"linear", "auto"} or Terms
        Parameter of the classifier.
    schema : Schema
        Kinds of the columns.
    settings : mapping
        Parameters of the regression.

    Returns
    -------
    Terms
        The terms.

    Raises
    ------
    TableError
        If a column has no such term, the penalty is not l2, or the strength is given.
    """
    terms = requested_terms(given)
    terms.check(schema)
    if not terms:
        return terms
    if settings["penalty"] != "l2":
        raise TableError(
            f"Curves and interactions have one l2 strength for each term, and the penalty is {settings['penalty']!r}; "
            "leave it at 'l2', or choose terms='linear'."
        )
    if settings["strength"] != "auto":
        raise TableError(
            "Curves and interactions have strengths of their own, which are chosen; leave strength at 'auto', or "
            "choose terms='linear'."
        )
    return terms


def with_terms(
    linear: FittedParts,
    sample: TermSample,
    terms: Terms,
    *,
    settings: Mapping[str, Any],
    choice: CrossValidation,
    constraints: ColumnConstraints,
    encode: Callable[[Encoder], tuple[Any, TextArray | None]],
) -> FittedParts:
    """Return the parts of the model with the requested terms, fitted to all rows.

    Parameters
    ----------
    linear : FittedParts
        The linear model.
    sample : TermSample
        Rows on which the terms are chosen.
    terms : Terms
        Requested terms.
    settings : mapping
        Parameters of the regression.
    choice : CrossValidation
        Folds.
    constraints : ColumnConstraints
        Columns without penalty, and bounds, whose columns stay linear.
    encode : callable
        Returns all training rows as an encoder encodes them, with labels or None, as for `fit_at_strength`.

    Returns
    -------
    FittedParts
        The linear model, if no terms are requested or none make it better on held-out rows.
    """
    if not terms:
        return linear
    chosen = _search(linear, sample, terms, settings, choice, constraints)
    if isinstance(chosen, TermRecord):
        return replace(linear, terms=chosen)
    total = row_total(sample.y, sample.weight, settings["class_weight"]) * sample.training / len(sample.y)
    names = np.array(chosen.encoder.feature_names_out, dtype=object)
    parameters = term_settings(settings, chosen, total, linear.model.classes_.tolist())
    X, y = encode(chosen.encoder)
    rows: dict[str, Any] = {} if y is None else {"weight": sample.weight, "offsets": sample.offsets}
    model = fit_at_strength(parameters, X, y, names, **rows)
    shares = kept_shares(chosen.encoder, sample.table, sample.rows, sample.weight)
    return FittedParts(linear.schema, chosen.encoder, model, linear.path, chosen.record, shares)


def _search(
    linear: FittedParts,
    sample: TermSample,
    terms: Terms,
    settings: Mapping[str, Any],
    choice: CrossValidation,
    constraints: ColumnConstraints,
) -> ChosenTerms | TermRecord:
    """Return the chosen terms, or the record alone if no model is better than the linear one on held-out rows."""
    deadline, model, seed = Deadline(terms.seconds), linear.model, settings["random_state"]
    terms = replace(terms, linear=(*terms.linear, *constraints.bounds))
    some = sample_rows(len(sample.y), MAX_ROWS, 0 if seed is None else seed)
    chosen, y = sample.take(some), sample.y[some]
    codes = np.searchsorted(model.classes_, y)
    weight = row_weights(chosen.weight, len(y), model.classes_, codes, settings["class_weight"])
    offset = None if chosen.offsets is None else chosen.offsets.of(slice(None), model.classes_)
    with one_blas_thread():
        problem = TermProblem.of(
            (linear.encoder, model), chosen, codes, terms, free=constraints.unpenalised, weight=weight, offset=offset
        )
        if terms.mode == "linear":
            return problem.chosen(problem.search.main(problem.rows), "requested", ())
        groups, times = (None if part is None else part[some] for part in (choice.groups, choice.times))
        folds = replace(choice, groups=groups, times=times).splits(y, seed)
        trial = LinearTrial(linear, chosen, settings, offset)
        return compare_models(problem, folds, trial.probabilities, deadline)


def row_total(y: TextArray, weight: Float64Array | None, class_weight: Any) -> float:
    """Return the sum of the weights of rows, those of their classes included.

    Parameters
    ----------
    y : array of str (n,)
        Labels.
    weight : array of float64 (n,), optional
        Weights of the rows.
    class_weight : mapping, "balanced" or None
        Weights of the classes.

    Returns
    -------
    float
        The sum.

    Examples
    --------
    >>> row_total(np.array(["a", "b", "b"]), None, {"b": 2.0})
    5.0
    """
    classes, codes = np.unique(y, return_inverse=True)
    weights = row_weights(weight, len(codes), classes, codes, class_weight)
    return float(len(codes) if weights is None else weights.sum())


def term_settings(
    settings: Mapping[str, Any], terms: ChosenTerms, total: float, classes: Sequence[str]
) -> dict[str, Any]:
    """Return the parameters of the exact fit of a model with terms.

    Parameters
    ----------
    settings : mapping
        Parameters of the regression; penalty factors of 0 stay.
    terms : ChosenTerms
        The terms.
    total : float
        Sum of the weights of the training rows.
    classes : sequence of str
        The classes, in the order of the classifier's `classes_`.

    Returns
    -------
    dict
        Parameters with the strength 1 / total and the precision of each feature as its penalty factor.
    """
    names = terms.encoder.feature_names_out
    factors = dict(zip(names, terms.precision.tolist(), strict=True))
    free = {name: 0.0 for name, factor in (settings.get("penalty_factors") or {}).items() if factor == 0}
    bounds = {**(settings.get("bounds") or {}), **monotone_bounds(terms.encoder, classes)}
    return {
        **settings, "strength": 1 / total, "penalty_factors": {**factors, **free}, "bounds": bounds or None,
    }  # fmt: skip


def monotone_bounds(encoder: Encoder, classes: Sequence[str]) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the bounds of the features of monotone curves, for the second of two classes.

    Parameters
    ----------
    encoder : Encoder
        Encoder with curves.
    classes : sequence of str
        The classes.

    Returns
    -------
    dict
        Bounds by feature and class.

    Raises
    ------
    TableError
        If there are monotone curves and more than two classes.
    """
    names, bounds, first = encoder.feature_names_out, dict[str, dict[str, tuple[float, float]]](), 0
    for code in encoder.column_encoders:
        if isinstance(code, CurveEncoder) and code.sign:
            if len(classes) != 2:
                raise TableError(
                    f"Column {quote(code.name)} is requested as monotone, which needs two classes, and there are "
                    f"{len(classes)}: a curve of one class of several need not be monotone in probability."
                )
            limits = (0.0, np.inf) if code.sign > 0 else (-np.inf, 0.0)
            for name in names[first : first + 1 + code.n_curves]:
                bounds[name] = {classes[1]: limits}
        first += code.width
    return bounds
