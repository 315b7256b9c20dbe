"""Fit of a table with terms: the choice on a sample of the training rows, and the parameters of the exact fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from softreg.models.inputs.sample_and_class_weights import rescale_extreme_weights, row_weights
from softreg.rows import one_blas_thread
from softreg.splits import sample_rows
from softreg.tables.columns.table_errors import TableError, column_name, quote
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.fit.choose_strength import fit_at_strength
from softreg.tables.fit.cross_validation import CrossValidation, NumericForm
from softreg.tables.fit.terms.choose_terms import compare_models
from softreg.tables.fit.terms.fitted_parts import FittedParts, TermSample
from softreg.tables.fit.terms.functions.node_shares import kept_shares
from softreg.tables.fit.terms.linear_trial import LinearTrial
from softreg.tables.fit.terms.term_layout import MAIN, MISSING, term_layout
from softreg.tables.fit.terms.term_options import LINEAR_TERMS, Terms, requested_terms
from softreg.tables.fit.terms.term_problem import ChosenTerms, TermProblem
from softreg.tables.fit.terms.term_record import LINEAR, REQUESTED, TermRecord
from softreg.tables.fit.terms.term_search import Deadline
from softreg.tables.fit.weight_terms.column_constraints import NO_CONSTRAINTS, ColumnConstraints
from softreg.tables.row_selection.weight_column import effective_rows
from softreg.tables.schema.schema import Schema
from softreg.typing import Float64Array, TextArray

CLASSES = 2
"""Classes, and rows of the second largest one, that held-out rows need."""
MAX_ROWS = 25_000
"""Most rows on which terms are chosen; the fit has all rows."""
MAX_ROW_CLASSES = 150_000
"""Most rows times classes on which terms are chosen."""
MIN_ROWS = 5_000
"""Rows on which terms are chosen in any case, if there are so many."""


def checked_terms(
    given: Any,
    schema: Schema,
    settings: Mapping[str, Any],
    *,
    constraints: ColumnConstraints = NO_CONSTRAINTS,
    forms: NumericForm = None,
) -> Terms:
    """Return the requested terms, checked against the schema and the parameters of the regression.

    Parameters
    ----------
    given : {"linear", "auto"} or Terms
        Parameter of the classifier.
    schema : Schema
        Kinds of the columns.
    settings : mapping
        Parameters of the regression.
    constraints : ColumnConstraints
        Columns with bounds, which have neither a curve nor an interaction.
    forms : mapping, optional
        Requested forms of columns of numbers, which have neither as well.

    Returns
    -------
    Terms
        The terms; linear ones where no single terms are requested and the penalty is not l2, or the strength given.

    Raises
    ------
    TableError
        If a column has no such term, or single terms are requested and the penalty is not l2, or the strength is given.
    """
    terms = requested_terms(given)
    terms.check(schema)
    if not terms or not (terms.required or has_searched_strengths(settings)):
        return LINEAR_TERMS
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
    if terms.monotone and settings["keep_posterior"]:
        raise TableError(
            "The weights of a monotone curve have bounds, and their posterior is not approximately Gaussian; leave "
            "keep_posterior (--keep-posterior) out, or request a smooth curve."
        )
    alone = dict.fromkeys((column_name(key, "numeric_form") for key in forms or {}), "a requested form (--as)")
    return _with_linear_columns(terms, alone | dict.fromkeys(constraints.bounds, "a bound (--bound)"))


def has_searched_strengths(settings: Mapping[str, Any]) -> bool:
    """Return whether strengths are chosen, and the penalty is l2, as curves and interactions need it."""
    return bool(settings["penalty"] == "l2" and settings["strength"] == "auto")


def _with_linear_columns(terms: Terms, columns: Mapping[str, str]) -> Terms:
    """Return the terms with these columns as linear ones; raise `TableError` for one that is to have a term."""
    bent = {name: what for name, what in terms.named.items() if name not in (*terms.linear, *terms.pool)}
    for name, reason in columns.items():
        if name in bent:
            raise TableError(
                f"Column {quote(name)} has {reason}, with which it has neither a curve nor an interaction, and is "
                f"requested as a {bent[name]}; leave one of them out."
            )
    return replace(terms, linear=tuple(dict.fromkeys((*terms.linear, *columns))))


def with_terms(
    linear: FittedParts,
    sample: TermSample,
    terms: Terms,
    *,
    settings: Mapping[str, Any],
    choice: CrossValidation,
    constraints: ColumnConstraints,
    classes: Sequence[str],
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
        Columns without penalty, and bounds.
    classes : sequence of str
        Classes in the order of the classifier's `classes_`.
    encode : callable
        Returns all training rows as an encoder encodes them, with labels or None, as for `fit_at_strength`.

    Returns
    -------
    FittedParts
        The linear model, if no terms are requested, or no single ones and none make it better on held-out rows.

    Raises
    ------
    TableError
        If there are monotone terms and more than two classes.
    """
    if not terms:
        return linear
    _check_monotone(terms.signs, classes)
    chosen = _search(linear, sample, terms, settings, choice, constraints)
    if isinstance(chosen, TermRecord):
        return replace(linear, terms=chosen)
    total = evidence_rows(sample.y, sample.weight, settings["class_weight"]) * sample.training / len(sample.y)
    names = np.array(chosen.encoder.feature_names_out, dtype=object)
    parameters = term_settings(settings, chosen, total, signs=terms.signs, classes=classes, constraints=constraints)
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
    counts = np.sort(np.unique(sample.y, return_counts=True)[1])
    comparable = len(counts) >= CLASSES and counts[-CLASSES] >= CLASSES
    if not (comparable or terms.required):
        return TermRecord(LINEAR, (), (), len(sample.y))
    most = min(MAX_ROWS, max(MIN_ROWS, MAX_ROW_CLASSES // len(model.classes_)))
    some = sample_rows(len(sample.y), most, 0 if seed is None else seed)
    chosen, y = sample.take(some), sample.y[some]
    codes = np.searchsorted(model.classes_, y)
    weight = evidence_weights(row_weights(chosen.weight, len(y), model.classes_, codes, settings["class_weight"]))
    offset = None if chosen.offsets is None else chosen.offsets.of(slice(None), model.classes_)
    with one_blas_thread():
        problem = TermProblem.of(
            (linear.encoder, model), chosen, codes, terms, free=constraints.unpenalised, weight=weight, offset=offset
        )
        if not problem.has_choice:  # such as texts alone, whose features keep the strength of the linear model
            return TermRecord(LINEAR, (), (), len(y))
        if terms.mode == "linear" or not comparable:
            return problem.chosen(problem.search.main(problem.rows), REQUESTED, ())
        groups, times = (None if part is None else part[some] for part in (choice.groups, choice.times))
        folds = replace(choice, groups=groups, times=times).splits(y, seed)
        trial = LinearTrial(linear, chosen, settings, offset)
        on_progress = settings["verbose"] if callable(settings["verbose"]) else print if settings["verbose"] else None
        reported: dict[str, Any] = {"may_be_linear": not terms.required, "on_progress": on_progress}
        return compare_models(problem, folds, trial.probabilities, deadline, **reported)


def evidence_weights(weight: Float64Array | None) -> Float64Array | None:
    """Return the weights of rows, scaled such that their sum is Kish's effective number of rows.

    The evidence depends on how many rows the weights stand for, which a common factor of them must not change.

    Parameters
    ----------
    weight : array of float64 (n,), optional
        Weights of the rows, those of their classes included.

    Returns
    -------
    array of float64 (n,) or None
        Scaled weights; None for None.

    Examples
    --------
    >>> evidence_weights(np.array([2e6, 2e6])), evidence_weights(np.array([1.0, 3.0])).round(6)
    (array([1., 1.]), array([0.4, 1.2]))
    """
    if weight is None:
        return None
    weight = rescale_extreme_weights(weight)
    return np.asarray(weight * (effective_rows(weight) / weight.sum()))


def evidence_rows(y: TextArray, weight: Float64Array | None, class_weight: Any) -> float:
    """Return Kish's effective number of rows for the weights of rows, those of their classes included.

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
        The number; n without weights.

    Examples
    --------
    >>> round(evidence_rows(np.array(["a", "b"]), None, {"b": 3.0}), 6)
    1.6
    """
    classes, codes = np.unique(y, return_inverse=True)
    weights = row_weights(weight, len(codes), classes, codes, class_weight)
    return float(len(codes) if weights is None else effective_rows(rescale_extreme_weights(weights)))


def term_settings(
    settings: Mapping[str, Any],
    terms: ChosenTerms,
    total: float,
    *,
    signs: Mapping[str, int],
    classes: Sequence[str],
    constraints: ColumnConstraints = NO_CONSTRAINTS,
) -> dict[str, Any]:
    """Return the parameters of the exact fit of a model with terms.

    Parameters
    ----------
    settings : mapping
        Parameters of the regression.
    terms : ChosenTerms
        The terms.
    total : float
        Effective number of the training rows.
    signs : mapping of str to int
        The direction of each monotone column.
    classes : sequence of str
        The classes, in the order of the classifier's `classes_`.
    constraints : ColumnConstraints
        Columns without penalty, whose curves have one, and bounds.

    Returns
    -------
    dict
        Parameters with the strength 1 / total and the precision of each feature as its penalty factor.
    """
    names, layout = terms.encoder.feature_names_out, term_layout(terms.encoder)
    is_free = [column in constraints.unpenalised and part in (MAIN, MISSING) for column, part in layout.keys]
    factors = np.where(np.array(is_free)[layout.of_feature], 0.0, terms.precision)
    limits = constraints.parameters(terms.encoder, classes)
    bounds = {**limits.get("bounds", {}), **monotone_bounds(terms.encoder, signs, classes)}
    return {
        **settings, "strength": 1 / total, "penalty_factors": dict(zip(names, factors.tolist(), strict=True)),
        "bounds": bounds or None, "bounds_reference": limits.get("bounds_reference"),
    }  # fmt: skip


def monotone_bounds(
    encoder: Encoder, signs: Mapping[str, int], classes: Sequence[str]
) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the bounds of the features of monotone columns, for the second of two classes.

    Parameters
    ----------
    encoder : Encoder
        Encoder whose monotone curves have ramps as basis functions; a column of two values, or without evidence for a
        curve, has its linear feature alone.
    signs : mapping of str to int
        The direction of each monotone column, 1 or -1.
    classes : sequence of str
        The classes.

    Returns
    -------
    dict
        Bounds by feature and class.
    """
    names, bounds, first = encoder.feature_names_out, dict[str, dict[str, tuple[float, float]]](), 0
    for code in encoder.column_encoders:
        if code.name in signs and isinstance(code, NumberEncoder):
            limits = (0.0, np.inf) if signs[code.name] > 0 else (-np.inf, 0.0)
            for name in names[first : first + code.width - code.missing]:
                bounds[name] = {classes[1]: limits}
        first += code.width
    return bounds


def _check_monotone(signs: Mapping[str, int], classes: Sequence[str]) -> None:
    """Raise `TableError` if there are monotone columns and more than two classes."""
    for name in signs if len(classes) != 2 else ():
        raise TableError(
            f"Column {quote(name)} is requested as monotone, which needs two classes, and there are {len(classes)}: a "
            "curve of one class of several need not be monotone in probability."
        )
