"""The form of each heavy-tailed column of numbers, linear, normal scores or both, chosen by cross-validation."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from softreg.tables.columns.errors import TableError, column_name, quote, quote_list, unknown_column_error
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import Form, FormLoss, NumberEncoder
from softreg.tables.fit.cross_validation import CrossValidation, NumericForm
from softreg.tables.fit.numeric_form_cv import NumericFormCV, NumericForms
from softreg.tables.schema.kinds import Kind
from softreg.tables.schema.schema import Schema
from softreg.typing import Codes, Float64Array, RowNumbers, TextArray

ROWS = 10_000
"""Rows that choose, at most: the differences between forms that matter are many standard errors of so many rows."""
CELLS = 3_000_000
"""Stored numbers of X times classes among them, at most, but no fewer than `FEWEST` rows."""
FEWEST = 1_000
EACH = 12
"""Up to so many columns, each has a form of its own; of more, all have the same."""
SLIGHT = 0.1
"""Standard errors by which a form of fewer features, or the linear one, may be worse than the best and be chosen."""
SAME = 1e-4
"""Nats by which it may be worse in any case: less matters nowhere."""
ORDER = (Form.LINEAR, Form.SCORES, Form.BOTH)
"""Of equal forms, the first is chosen."""


def requested_forms(given: NumericForm, schema: Schema) -> NumericForms:
    """The forms that were asked for, by the name of the column.

    Raises `TableError` for another word, and for a column that is not there or is not taken for numbers.

    Example:
        >>> from softreg.tables.schema.kinds import Column
        >>> schema = Schema("y", (Column("x", Kind.NUMBER, "1 to 9"), Column("y", Kind.TARGET, "")))
        >>> requested_forms({"x": "both"}, schema)
        {'x': <Form.BOTH: 'both'>}
    """
    kinds, found = {column.name: column.kind for column in schema.columns}, {}
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
        found[name] = Form(word)
    return found


def forms_state(given: NumericForm) -> dict[str, str] | None:
    """The forms that were asked for, as a model file keeps them.

    Example:
        >>> forms_state({"x": "both"})
        {'x': 'both'}
    """
    return {column_name(key, "numeric_form"): str(form) for key, form in given.items()} if given else None


def fit_encoder(
    schema: Schema,
    batches: Any,
    rows: Any,
    y: TextArray,
    settings: Mapping[str, Any],
    choice: CrossValidation,
    *,
    sample: Any = None,
    weight: Float64Array | None = None,
) -> Encoder:
    """The encoder of a table or of batches, with the forms that were asked for and those that cross-validation chooses.

    `y` (n,) are the labels of the rows of the table, or of the `sample` of the batches, and `weight` (n,) is how often
    each of them counts.
    """
    given = requested_forms(choice.numeric_form, schema)
    encoder = Encoder.fit(schema, batches, rows, given)
    table, chosen = (batches, rows) if sample is None else (sample, None)
    return choose_numeric_forms(encoder, table, chosen, y, settings, choice, given, weight)


def choose_numeric_forms(
    encoder: Encoder,
    table: Any,
    rows: RowNumbers | None,
    y: TextArray,
    settings: Mapping[str, Any],
    choice: CrossValidation,
    given: NumericForms,
    weight: Float64Array | None = None,
) -> Encoder:
    """The encoder with the form of each heavy-tailed column that cross-validation chooses.

    Candidates are fitted to the folds of at most `ROWS` of the rows (of the table; `y` (n,) are their labels), as one
    stack each: all columns linear, all by normal scores, all by both, and from there each column by one of its forms
    alone. The strength is that of `settings` or, where that is "auto", the best of a few for both forms. A column in
    `given` keeps its form, and where no rows can be held out, all keep normal scores.
    """
    columns = [code.name for code in encoder.column_encoders if _can_choose(code, given)]
    counts = np.sort(np.unique(y, return_counts=True)[1])
    if not columns or len(counts) < 2 or counts[-2] < 2:
        return encoder
    both = with_forms(encoder, dict.fromkeys(columns, Form.BOTH))
    some = _sample_rows(both, table, rows, y, settings["random_state"])
    places = some if rows is None else rows[some]
    groups = None if choice.groups is None else choice.groups[some]
    some_choice = replace(choice, groups=groups, moments=None if choice.moments is None else choice.moments[some])
    counts = np.sort(np.unique(y[some], return_counts=True)[1])
    if len(counts) < 2 or counts[-2] < 2 or (groups is not None and len(np.unique(groups)) < 2):
        return encoder
    try:
        splits = some_choice.splits(y[some], settings["random_state"])
    except TableError:  # fewer rows of a class, or groups, in the sample than folds were asked for
        if choice.moments is not None or choice.folds is None:
            return encoder
        splits = replace(some_choice, folds=None).splits(y[some], settings["random_state"])
    share = None if weight is None else weight[some]
    trial = NumericFormCV.of(both.encode(table, np.asarray(places)), y[some], splits, settings, both, columns, share)
    return _encoder_with_best_forms(encoder, trial, columns)


def with_forms(
    encoder: Encoder, forms: NumericForms, evidence: Mapping[str, Sequence[FormLoss]] | None = None
) -> Encoder:
    """The encoder with these forms of columns that have normal scores, and the losses that chose them."""
    codes = [
        in_form(code, forms[code.name], (evidence or {}).get(code.name, ()))
        if isinstance(code, NumberEncoder) and code.name in forms
        else code
        for code in encoder.column_encoders
    ]
    return replace(encoder, column_encoders=tuple(codes))


def in_form(code: NumberEncoder, form: Form, evidence: Sequence[FormLoss] = ()) -> NumberEncoder:
    """The code of a column that has normal scores, in one of its forms.

    Example:
        >>> in_form(NumberEncoder("x", 0.0, 1.0, False, (0.0, 9.0), (-1.0, 1.0)), Form.BOTH).features
        ('x', 'x=score')
    """
    code = replace(code, both=form is Form.BOTH, evidence=tuple(evidence))
    return replace(code, knots=(), scores=()) if form is Form.LINEAR else code


def _can_choose(code: Any, given: NumericForms) -> bool:
    return isinstance(code, NumberEncoder) and bool(code.knots) and code.name not in given


def _sample_rows(encoder: Encoder, table: Any, rows: RowNumbers | None, y: TextArray, seed: int | None) -> Codes:
    """The places among the rows of those that choose, in their order."""
    n = len(y)
    few = np.arange(min(n, 200)) if rows is None else rows[:200]
    X = encoder.encode(table, few)
    width = max(1.0, (X.nnz if hasattr(X, "nnz") else X.size) / max(1, len(few)))
    size = min(ROWS, max(FEWEST, int(CELLS / (width * len(np.unique(y))))))
    if n <= size:
        return np.arange(n)
    return np.sort(np.random.default_rng(0 if seed is None else seed).permutation(n)[:size])


def _encoder_with_best_forms(encoder: Encoder, trial: NumericFormCV, columns: Sequence[str]) -> Encoder:
    """The encoder with the best forms: one for each column where columns are few, or one for all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        joint = {form: dict.fromkeys(columns, form) for form in ORDER}
        strength = trial.best_strength(joint[Form.BOTH])
        losses = {form: trial.losses(joint[form], strength) for form in reversed(ORDER)}
        evidence = compare_forms(losses)
        chosen, why = joint[evidence[0].form], dict.fromkeys(columns, evidence)
        if 1 < len(columns) <= EACH:
            alone = {
                name: compare_forms(
                    {
                        Form.BOTH: losses[Form.BOTH],
                        **{f: trial.losses({**joint[Form.BOTH], name: f}, strength) for f in ORDER[:2]},
                    }
                )
                for name in columns
            }
            mixed = {name: found[0].form for name, found in alone.items()}
            best = losses[evidence[0].form]
            if mixed == chosen or np.nanmean(trial.losses(mixed, strength) - best) <= 0:
                chosen, why = mixed, alone
    return with_forms(encoder, chosen, why)


def compare_forms(losses: Mapping[Form, Float64Array]) -> tuple[FormLoss, ...]:
    """The losses of the forms, from those of each row (n,), the chosen form first.

    Chosen is the first of linear, scores and both that is at most 0.0001 nats, or a tenth of a standard error of the
    difference, worse than the best.

    Example:
        >>> found = compare_forms({Form.LINEAR: np.array([1.0, 1.2]), Form.SCORES: np.array([0.5, 0.6])})
        >>> found[0].form, round(found[1].excess, 3), round(found[1].error, 3)
        (<Form.SCORES: 'scores'>, 0.55, 0.05)
    """
    mean = {form: float(np.nanmean(losses[form])) for form in losses}
    least = min(losses, key=lambda form: mean[form])
    near = [form for form in ORDER if form in losses and _excess_loss(losses[form], losses[least])[2]]
    chosen = near[0]
    order = [chosen, *(form for form in ORDER if form in losses and form is not chosen)]
    return tuple(FormLoss(form, mean[form], *_excess_loss(losses[form], losses[chosen])[:2]) for form in order)


def _excess_loss(losses: Float64Array, best: Float64Array) -> tuple[float, float, bool]:
    """The mean difference of two losses (n,) of the same rows, its standard error, and whether it is slight."""
    difference = losses - best
    known = difference[~np.isnan(difference)]
    error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else 0.0
    mean = float(known.mean()) if len(known) else 0.0
    return mean, error, mean <= max(SLIGHT * error, SAME)
