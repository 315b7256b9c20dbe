"""The section of a card on the weights: the largest of each column."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from softreg.cards.card_subject import CardSubject
from softreg.cards.markdown import escape, table
from softreg.cards.term_section import has_terms
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.date_encoder import TREND, DateEncoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.typing import Array

MAX_COLUMNS = 20
"""Columns that the table lists."""
RUN_WEIGHTS = 1 << 21
"""Weights that are read at a time: 16 MB."""


def weight_section(subject: CardSubject) -> list[str]:
    """Return the lines of the section."""
    W = subject.regression.coef_
    binary = len(W) == 2
    largest = [_largest_effect(W, features) for _, features in _features_of_columns(subject)]
    largest.sort(key=lambda one: -abs(one.effect))
    names = subject.feature_names or tuple(f"number {j}, from 0" for j in range(W.shape[1]))
    rows = [
        [
            escape(names[one.feature]),
            *([] if binary else [escape(subject.classes[one.label])]),
            f"{one.effect:+.4g}",
            _unit(subject, one.feature),
        ]
        for one in largest[:MAX_COLUMNS]
    ]
    if binary:
        what = f"change of the log-odds of the class {escape(subject.classes[1])} against {escape(subject.classes[0])}"
        header = ["feature", "change", "per"]
    else:
        what = "change of the logit of a class relative to the mean over the classes"
        header = ["feature", "class", "change", "per"]
    of = "feature" if subject.table_model is None else "column its feature"
    intro = (
        f"For each {of} with the largest weight, the {what}, for the stated change of the feature with the others "
        "fixed. They describe associations in the training rows, and not effects of interventions."
    )
    if subject.regression.penalty is not None or subject.regression.prior is not None:
        intro += " The penalty or prior makes them smaller, and features that vary together share theirs."
    if has_terms(subject):
        intro += (
            " Columns with a curve, and interactions, have no single weight; their section states their ranges. The "
            "weights of other columns do not include their interactions."
        )
    lines = [intro, *table(header, rows)]
    if len(largest) > MAX_COLUMNS:
        more = "features" if subject.table_model is None else "columns"
        lines.append(f"{len(largest) - MAX_COLUMNS:,} more {more} have smaller weights.")
    return lines


@dataclass(frozen=True)
class _Effect:
    """An effect of a feature: its weight for a class relative to the mean of the classes, or to the other of two."""

    effect: float
    feature: int
    label: int


def _largest_effect(W: Array, features: list[int]) -> _Effect:
    """Return the effect of largest size of some features, whose weights (q, d) are read some features at a time."""
    run, largest = max(1, RUN_WEIGHTS // len(W)), None
    for start in range(0, len(features), run):
        some = features[start : start + run]
        part = np.asarray(W[:, some], dtype=np.float64)
        effects = (part[1] - part[0])[None] if len(W) == 2 else part - part.mean(axis=0)
        k, j = np.unravel_index(int(np.abs(effects).argmax()), effects.shape)
        found = _Effect(float(effects[k, j]), some[int(j)], int(k))
        if largest is None or abs(found.effect) > abs(largest.effect):
            largest = found
    assert largest is not None
    return largest


def _features_of_columns(subject: CardSubject) -> list[tuple[str, list[int]]]:
    """Return the features of each column without a curve; each feature by itself for a regression."""
    if subject.table_model is None:
        return [("", [j]) for j in range(subject.regression.n_features_in_)]
    encoders = subject.table_model.encoder_.column_encoders
    ends = np.cumsum([0, *(encoder.width for encoder in encoders)]).tolist()
    return [
        (one.name, list(range(a, b)))
        for one, (a, b) in zip(encoders, pairwise(ends), strict=True)
        if b > a and not isinstance(one, CurveEncoder)
    ]


def _unit(subject: CardSubject, feature: int) -> str:
    """Return the change of a feature to which a weight refers."""
    if subject.table_model is None:
        return "1 unit of the feature"
    first = 0
    for encoder in subject.table_model.encoder_.column_encoders:
        if feature < first + encoder.width:
            at = feature - first
            if isinstance(encoder, NumberEncoder) and at == 0 and (encoder.both or not encoder.knots):
                return f"one standard deviation, {encoder.scale:.4g}"
            if isinstance(encoder, DateEncoder) and at == 0 and encoder.parts[:1] == (TREND,):
                return f"one standard deviation, {np.timedelta64(round(encoder.scale), 's').astype(object)}"
            if isinstance(encoder, BooleanEncoder) and at == 0:
                return "this value instead of the other"
            if isinstance(encoder, CategoryEncoder):
                return "this level instead of no feature of the column"
            return "1 unit of the feature"
        first += encoder.width
    raise IndexError(feature)
