"""The form of each heavy-tailed column of numbers, linear, normal scores or both, chosen by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.splits import sample_rows
from softreg.tables.columns.table_errors import TableError, column_name, quote, quote_list, unknown_column_error
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import Form, FormLoss, NumberEncoder
from softreg.tables.fit.cross_validation import CrossValidation, NumericForm
from softreg.tables.fit.numeric_forms.numeric_form_cv import NumericFormCV, NumericForms
from softreg.tables.row_selection.offset_columns import Offsets
from softreg.tables.schema.kinds import Kind
from softreg.tables.schema.schema import Schema
from softreg.typing import Codes, Float64Array, RowNumbers, TextArray

MAX_ROWS = 10_000
"""Most rows of the sample on which forms are compared; relevant differences are many standard errors at this size."""
MAX_CELLS = 3_000_000
"""Most stored entries of X times classes of the sample; a sample of `MIN_ROWS` rows may exceed it."""
WIDTH_ROWS = 200
"""Number of first rows that estimate the stored entries of X per row."""
MIN_ROWS = 1_000
"""Fewest rows of the sample, whatever their width (all rows of a smaller table)."""
MAX_SEPARATE_COLUMNS = 12
"""Most columns whose forms are chosen one by one; with more columns, all have the same form."""
SE_TOLERANCE = 0.1
"""Excess loss, in standard errors of the difference, up to which a form counts as equal to the best one."""
LOSS_TOLERANCE = 1e-4
"""Excess loss, in nats per row, up to which a form counts as equal to the best one whatever its standard error."""
PREFERENCE = (Form.LINEAR, Form.SCORES, Form.BOTH)
"""Order of preference: the first form that counts as equal to the best one is chosen."""


def requested_forms(given: NumericForm, schema: Schema) -> NumericForms:
    """Return the requested forms by column name.

    Parameters
    ----------
    given : mapping of str to str, or None
        Requested form of each column: "linear", "scores" or "both".
    schema : Schema
        Kinds of the columns.

    Returns
    -------
    dict of str to Form
        Requested forms.

    Raises
    ------
    TableError
        If a form is unknown, or a column does not exist or does not hold numbers.

    Examples
    --------
    >>> from softreg.tables.schema.kinds import Column
    >>> schema = Schema("y", (Column("x", Kind.NUMBER, "1 to 9"), Column("y", Kind.TARGET, "")))
    >>> requested_forms({"x": "both"}, schema)
    {'x': <Form.BOTH: 'both'>}
    """  # noqa: DOC501
    kinds = {column.name: column.kind for column in schema.columns}
    forms: NumericForms = {}
    for key, word in (given or {}).items():
        name = column_name(key, "numeric_form")
        if name not in kinds:
            raise unknown_column_error(name, list(kinds), "column of numbers")
        if word not in list(Form):
            raise TableError(f"The form of column {quote(name)} is {word!r}; expected one of {quote_list(list(Form))}.")
        if kinds[name] is not Kind.NUMBER:
            raise TableError(
                f"Column {quote(name)} is asked for in the form {word!r}, which is for numbers, and was taken for a "
                f"{kinds[name].value}. Take it for numbers with --number {quote(name)} (number=[{quote(name)}] in "
                "Python), or leave the form out."
            )
        forms[name] = Form(word)
    return forms


def forms_state(given: NumericForm) -> dict[str, str] | None:
    """Return the requested forms as a JSON-serializable dict, or None if no form was requested.

    Parameters
    ----------
    given : mapping of str to str, or None
        Requested form of each column.

    Returns
    -------
    dict of str to str, or None
        Requested forms, as stored in a model file.

    Examples
    --------
    >>> forms_state({"x": "both"})
    {'x': 'both'}
    """
    return {column_name(key, "numeric_form"): str(form) for key, form in given.items()} if given else None


def fit_encoder(
    schema: Schema,
    table: pa.Table,
    rows: RowNumbers | None,
    y: TextArray,
    settings: Mapping[str, Any],
    choice: CrossValidation,
    *,
    weight: Float64Array | None = None,
    offsets: Offsets | None = None,
    fit: Callable[[Schema, NumericForms], Encoder] | None = None,
) -> Encoder:
    """Fit the encoder of a table, with requested numeric forms and those that cross-validation chooses.

    Parameters
    ----------
    schema : Schema
        Kinds of the columns.
    table : pyarrow.Table
        The table, or a sample of its training rows if `fit` is given.
    rows : array of int or None
        Training rows.
    y : array of str (n,)
        Labels of the training rows.
    settings : mapping
        Parameters of the regression.
    choice : CrossValidation
        Requested forms, and the folds that choose the other ones.
    weight : array of float64 (n,), optional
        Weights of these rows.
    offsets : Offsets, optional
        Fixed part of the logits of these rows.
    fit : callable, optional
        `fit(schema, forms)` returns the encoder with the requested forms; by default it is fitted to the table.

    Returns
    -------
    Encoder
        The fitted encoder.
    """
    given = requested_forms(choice.numeric_form, schema)
    encoder = Encoder.fit(schema, table, rows, given) if fit is None else fit(schema, given)
    return choose_numeric_forms(encoder, table, rows, y, settings, choice, given, weight=weight, offsets=offsets)


def choose_numeric_forms(
    encoder: Encoder,
    table: Any,
    rows: RowNumbers | None,
    y: TextArray,
    settings: Mapping[str, Any],
    choice: CrossValidation,
    given: NumericForms,
    *,
    weight: Float64Array | None = None,
    offsets: Offsets | None = None,
) -> Encoder:
    """Return the encoder with the form of each heavy-tailed column that cross-validation chooses.

    Parameters
    ----------
    encoder : Encoder
        Encoder whose heavy-tailed columns have normal scores.
    table : pyarrow.Table
        The table.
    rows : array of int (n,), optional
        Training rows; all by default.
    y : array of str (n,)
        Labels of the training rows.
    settings : mapping
        Parameters of the regression.
    choice : CrossValidation
        Folds, groups and times of the training rows.
    given : mapping of str to Form
        Requested forms; these columns keep theirs.
    weight : array of float64 (n,), optional
        Weights of the training rows.
    offsets : Offsets, optional
        Fixed part of the logits of the training rows.

    Returns
    -------
    Encoder
        Encoder with the chosen forms. If no rows can be held out, all columns keep normal scores.

    Notes
    -----
    Candidates are fitted to the folds of a sample of at most `MAX_ROWS` rows: all columns linear, all as normal scores,
    all in both forms, and then each column in one form alone while the others have both. The strength is that of
    `settings` or, if that is "auto", the best of a short grid for both forms.
    """
    columns = [code.name for code in encoder.column_encoders if _can_choose(code, given)]
    counts = np.sort(np.unique(y, return_counts=True)[1])
    if not columns or len(counts) < 2 or counts[-2] < 2:
        return encoder
    both = with_forms(encoder, dict.fromkeys(columns, Form.BOTH))
    some = _sample_rows(both, table, rows, y, settings["random_state"])
    sample_rows = some if rows is None else rows[some]
    groups = None if choice.groups is None else choice.groups[some]
    some_choice = replace(choice, groups=groups, times=None if choice.times is None else choice.times[some])
    counts = np.sort(np.unique(y[some], return_counts=True)[1])
    if len(counts) < 2 or counts[-2] < 2 or (groups is not None and len(np.unique(groups)) < 2):
        return encoder
    try:
        splits = some_choice.splits(y[some], settings["random_state"])
    except TableError:  # fewer rows of a class, or groups, in the sample than requested folds
        if choice.times is not None or choice.folds is None:
            return encoder
        splits = replace(some_choice, folds=None).splits(y[some], settings["random_state"])
    share = None if weight is None else weight[some]
    offset = None if offsets is None else offsets.of(some, np.unique(y[some]))
    X = both.encode(table, np.asarray(sample_rows))
    trial = NumericFormCV.from_encoded(X, y[some], splits, settings, both, columns, weight=share, offset=offset)
    return _encoder_with_best_forms(encoder, trial, columns)


def with_forms(
    encoder: Encoder, forms: NumericForms, evidence: Mapping[str, Sequence[FormLoss]] | None = None
) -> Encoder:
    """Return the encoder with the given forms of columns that have normal scores, and the losses of each form."""
    codes = [
        in_form(code, forms[code.name], (evidence or {}).get(code.name, ()))
        if isinstance(code, NumberEncoder) and code.name in forms
        else code
        for code in encoder.column_encoders
    ]
    return replace(encoder, column_encoders=tuple(codes))


def in_form(code: NumberEncoder, form: Form, evidence: Sequence[FormLoss] = ()) -> NumberEncoder:
    """Return the encoder of a column that has normal scores, in one of its forms.

    Parameters
    ----------
    code : NumberEncoder
        Encoder of the column.
    form : Form
        The form.
    evidence : sequence of FormLoss
        Held-out losses of the forms, the chosen one first.

    Returns
    -------
    NumberEncoder
        Encoder in that form.

    Examples
    --------
    >>> in_form(NumberEncoder("x", 0.0, 1.0, False, (0.0, 9.0), (-1.0, 1.0)), Form.BOTH).features
    ('x', 'x=score')
    """
    code = replace(code, both=form is Form.BOTH, evidence=tuple(evidence))
    return replace(code, knots=(), scores=()) if form is Form.LINEAR else code


def _can_choose(code: Any, given: NumericForms) -> bool:
    return isinstance(code, NumberEncoder) and bool(code.knots) and code.name not in given


def _sample_rows(encoder: Encoder, table: Any, rows: RowNumbers | None, y: TextArray, seed: int | None) -> Codes:
    """Return the sorted indices (into y) of a random sample of rows on which the forms are compared."""
    n = len(y)
    first_rows = np.arange(min(n, WIDTH_ROWS)) if rows is None else rows[:WIDTH_ROWS]
    X = encoder.encode(table, first_rows)
    width = max(1.0, (X.nnz if hasattr(X, "nnz") else X.size) / max(1, len(first_rows)))
    size = min(MAX_ROWS, max(MIN_ROWS, int(MAX_CELLS / (width * len(np.unique(y))))))
    return sample_rows(n, size, 0 if seed is None else seed)


def _encoder_with_best_forms(encoder: Encoder, trial: NumericFormCV, columns: Sequence[str]) -> Encoder:
    """Return the encoder with the best form of each column, or the best common form if there are many columns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        joint = {form: dict.fromkeys(columns, form) for form in PREFERENCE}
        strength = trial.best_strength(joint[Form.BOTH])
        losses = {form: trial.losses(joint[form], strength) for form in reversed(PREFERENCE)}
        evidence = compare_forms(losses)
        chosen, why = joint[evidence[0].form], dict.fromkeys(columns, evidence)
        if 1 < len(columns) <= MAX_SEPARATE_COLUMNS:
            alone = {
                name: compare_forms(
                    {
                        Form.BOTH: losses[Form.BOTH],
                        **{f: trial.losses({**joint[Form.BOTH], name: f}, strength) for f in PREFERENCE[:2]},
                    }
                )
                for name in columns
            }
            mixed = {name: form_losses[0].form for name, form_losses in alone.items()}
            best = losses[evidence[0].form]
            if mixed == chosen or np.nanmean(trial.losses(mixed, strength) - best) <= 0:
                chosen, why = mixed, alone
    return with_forms(encoder, chosen, why)


def compare_forms(losses: Mapping[Form, Float64Array]) -> tuple[FormLoss, ...]:
    """Choose a form by the held-out losses of the rows, and return the mean losses of all forms.

    The first of linear, scores and both is chosen whose mean loss exceeds the least one by at most `LOSS_TOLERANCE`
    nats, or by `SE_TOLERANCE` standard errors of the difference.

    Parameters
    ----------
    losses : mapping of Form to array of float64 (n,)
        Held-out log loss of each row in each form; nan for rows that no fold tests.

    Returns
    -------
    tuple of FormLoss
        Losses of the forms, the chosen form first.

    Examples
    --------
    >>> evidence = compare_forms({Form.LINEAR: np.array([1.0, 1.2]), Form.SCORES: np.array([0.5, 0.6])})
    >>> evidence[0].form, round(evidence[1].excess, 3), round(evidence[1].error, 3)
    (<Form.SCORES: 'scores'>, 0.55, 0.05)
    """
    mean = {form: float(np.nanmean(losses[form])) for form in losses}
    least = min(losses, key=lambda form: mean[form])
    near = [form for form in PREFERENCE if form in losses and _excess_loss(losses[form], losses[least]).negligible]
    chosen = near[0]
    order = [chosen, *(form for form in PREFERENCE if form in losses and form is not chosen)]
    excess = {form: _excess_loss(losses[form], losses[chosen]) for form in order}
    return tuple(FormLoss(form, mean[form], excess[form].mean, excess[form].error) for form in order)


@dataclass(frozen=True)
class _ExcessLoss:
    """Mean difference of two losses in nats, its standard error, and whether it counts as zero."""

    mean: float
    error: float
    negligible: bool


def _excess_loss(losses: Float64Array, best: Float64Array) -> _ExcessLoss:
    """Return the mean difference of two losses (n,) of the same rows."""
    difference = losses - best
    known = difference[~np.isnan(difference)]
    error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else 0.0
    mean = float(known.mean()) if len(known) else 0.0
    return _ExcessLoss(mean, error, mean <= max(SE_TOLERANCE * error, LOSS_TOLERANCE))
