"""The section of a card on inputs: a table of the columns, and those that are not used."""

from __future__ import annotations

import numpy as np

from softreg.cards.card_subject import CardSubject
from softreg.cards.markdown import escape, listed, table
from softreg.report.evaluation.number_format import format_value
from softreg.tables import Kind, TableClassifier
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.date_encoder import TREND, DateEncoder
from softreg.tables.encode.list_column_encoders import TagsEncoder, VectorEncoder
from softreg.tables.encode.number_encoder import Form, NumberEncoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.encode.text.text_encoder import TextEncoder

MAX_COLUMNS = 200
"""Columns that the table lists."""
MAX_LEVELS = 12
"""Levels of a category that the table lists."""
HEADER = ("column", "kind", "values", "in the model", "missing value", "value that training did not have")
_DAY = 86400.0


def input_section(subject: CardSubject) -> list[str]:
    """Return the lines of the section."""
    if subject.table_model is None:
        return _features(subject)
    model = subject.table_model
    encoders = {encoder.name: encoder for encoder in model.encoder_.column_encoders}
    rows = [
        [escape(name), column.kind.value, *(_describe(encoders[name]))]
        for column in model.schema_.features
        if (name := column.name) in encoders
    ]
    lines = ["Columns are matched by name; their order is free.", *table(HEADER, rows[:MAX_COLUMNS])]
    lines += [
        f"{escape(column.name)} holds {column.image}: numbers from 0 to 255 by row. softreg reads pictures so."
        for column in model.schema_.features
        if column.image is not None
    ]
    pairs = model.encoder_.part_names[len(model.encoder_.column_encoders) :]
    if pairs:
        lines.append(f"Interactions of two columns: {listed(pairs, MAX_COLUMNS)}.")
    if len(rows) > MAX_COLUMNS:
        lines.append(f"{len(rows) - MAX_COLUMNS:,} more columns are not listed here.")
    if model.schema_.na:
        lines.append(f"Read as missing in every column: {listed(model.schema_.na, MAX_LEVELS)}.")
    lines += [
        f"The number in the column {escape(column)} is added to the logit of the class {escape(label)} (an offset); it "
        "must not be missing."
        for label, column in model.offset_.items()
    ]
    return lines + _unused(model)


def _features(subject: CardSubject) -> list[str]:
    """Return the lines on the features of a regression."""
    d = int(subject.regression.n_features_in_)
    what = "1 feature" if d == 1 else f"{d:,} features"
    names = subject.feature_names
    if names is None:
        lines = [f"An array of numbers with {what} in the order of training; they have no names."]
    else:
        lines = [f"Numbers with {what}, which are matched by name in a data frame: {listed(names, MAX_COLUMNS)}."]
    lines.append("A missing value or an infinite number is an error.")
    if subject.regression.has_offset_:
        lines.append("The fit had offsets of the logits, which predictions need as well.")
    return lines


def _unused(model: TableClassifier) -> list[str]:
    """Return the lines on columns of training that are no features."""
    reasons = {
        Kind.CONSTANT: "with one value in training",
        Kind.IDENTIFIER: "that look like identifiers",
        Kind.INDEX: "that are the index of a data frame",
        Kind.DROPPED: "that were left out on request",
    }
    offsets, lines = set(model.offset_.values()), list[str]()
    for kind, reason in reasons.items():
        names = [column.name for column in model.schema_.columns if column.kind is kind and column.name not in offsets]
        if names:
            lines.append(f"Columns of the training data {reason}, and are not used: {listed(names, MAX_LEVELS)}.")
    return lines


def _describe(encoder: ColumnEncoder) -> tuple[str, str, str, str]:
    """Return the values, the form in the model, and what is done with missing and with new values, as Markdown."""
    if isinstance(encoder, NumberEncoder):
        return _number(encoder)
    if isinstance(encoder, BooleanEncoder):
        words = f"{escape(encoder.words[0])} (0), {escape(encoder.words[1])} (1)"
        mean = f"the share {encoder.mean:.4g} of {escape(encoder.words[1])} in training"
        return words, "0 or 1", _with_indicator(mean, encoder.missing), "an error"
    if isinstance(encoder, CategoryEncoder):
        return _category(encoder)
    if isinstance(encoder, DateEncoder):
        return _date(encoder)
    if isinstance(encoder, TagsEncoder):
        form = "one feature of 0 or 1 for each" + (
            f"; {encoder.pooled:,} rare ones share one" if encoder.pooled else ""
        )
        new = "the feature of rare ones" if encoder.pooled else "ignored"
        return f"lists of {listed(encoder.levels, MAX_LEVELS)}", form, "no tags", new
    if isinstance(encoder, VectorEncoder):
        form = f"minus the mean of each position, divided by {format_value(encoder.scale)}"
        missing = _with_indicator("the mean vector of training", encoder.missing)
        return f"lists of {len(encoder.means):,} numbers", form, missing, "used as it is"
    assert isinstance(encoder, TextEncoder)
    return "text", f"TF-IDF of {encoder.remark}", "no terms", "terms that are not known are ignored"


def _number(encoder: NumberEncoder) -> tuple[str, str, str, str]:
    forms = {
        Form.LINEAR: f"(x − {format_value(encoder.mean)}) / {format_value(encoder.scale)}",
        Form.SCORES: "its normal score",
        Form.BOTH: f"(x − {format_value(encoder.mean)}) / {format_value(encoder.scale)}, and its normal score",
    }
    values = "numbers"
    if encoder.span:
        values = f"{format_value(encoder.span[0])} to {format_value(encoder.span[1])} in training"
    new = "used as it is"
    if encoder.span:
        new = "beyond the range: its nearest end"
    elif encoder.knots and not encoder.both:
        new = "beyond the range: the score of its nearest end"
    form = forms[encoder.form]
    if isinstance(encoder, CurveEncoder):
        form += f", and a {encoder.remark}"
        fill = "the training mean, and the mean of the curve"
        return values, form, _with_indicator(fill, encoder.missing), new
    fill = "the training mean" if not encoder.knots else "mean and score 0" if encoder.both else "the score 0"
    return values, form, _with_indicator(fill, encoder.missing), new


def _category(encoder: CategoryEncoder) -> tuple[str, str, str, str]:
    levels = listed(encoder.levels, MAX_LEVELS)
    count = len(encoder.levels) + encoder.pooled
    form = "one feature of 0 or 1 for each level" + (
        f"; {encoder.pooled:,} rare ones share one" if encoder.pooled else ""
    )
    new = "the feature of rare levels" if encoder.pooled else "no feature of this column"
    missing = "a level of its own" if encoder.missing else f"as a new level: {new}"
    return f"{count:,} levels: {levels}" if count != 1 else f"1 level: {levels}", form, missing, new


def _date(encoder: DateEncoder) -> tuple[str, str, str, str]:
    mean = np.datetime64(round(encoder.mean), "s").astype("datetime64[D]")
    parts = ["trend" if part == TREND else f"cycle of the {part}" for part in encoder.parts]
    order = "day" if encoder.day_first else "month"
    spread = f"standard deviation {format_value(encoder.scale / _DAY)} days"
    values = f"mean {mean}, {spread}; text such as 3/4/2020 has the {order} first"
    return (
        values,
        ", ".join(parts),
        _with_indicator("0 in each feature", encoder.missing),
        "the trend continues as a straight line",
    )


def _with_indicator(fill: str, indicator: bool) -> str:
    """Return what replaces a missing value, and whether a feature marks it."""
    return f"{fill}, and a feature that marks it" if indicator else f"{fill}; training had none"
