"""The features of a row: numbers, and places of levels and tags, from the columns of the first stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from softreg.export.program import (
    BooleanTerm,
    CodeTerm,
    CurveTerm,
    Cycle,
    CycleTerm,
    InputKind,
    LevelTerm,
    LinearTerm,
    MissingTerm,
    OffsetTerm,
    Program,
    TagsTerm,
    Term,
    TextTerm,
    TrendTerm,
    VectorTerm,
)
from softreg.export.sql.calendar_phases import cycle_features
from softreg.export.sql.expressions import Choice, curve, search
from softreg.export.sql.input_columns import value_name
from softreg.export.sql.syntax import Syntax

MOST_LOGIT = 1e300
"""Bound of the absolute value of a sum of logits that cannot overflow."""


@dataclass
class Features:
    """The features of a row.

    Attributes
    ----------
    numbers : dict of int to str
        Expression of each feature that is a number, by its number.
    codes : dict of str to str
        Expression of each column of places.
    sums : list of CodeSum
        What is looked up by these places.
    offsets : list of (int, str)
        Class and number that is added to its logit.
    """

    numbers: dict[int, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    sums: list[CodeSum] = field(default_factory=list)
    offsets: list[OffsetSum] = field(default_factory=list)


@dataclass(frozen=True)
class CodeSum:
    """Weights that are looked up by the places in a column; `several` for the places of tags."""

    column: str
    first: int
    width: int
    several: bool = False


@dataclass(frozen=True)
class OffsetSum:
    """A number that is added to the logit of a class."""

    label: int
    value: str


def row_features(program: Program, syntax: Syntax) -> Features:
    """Return the features of a row.

    Parameters
    ----------
    program : Program
        Program.
    syntax : Syntax
        Dialect.

    Returns
    -------
    Features
        Expressions in terms of the first stage, and of the columns of dates.
    """
    found = Features()
    largest = float(np.abs(program.weights).max(initial=1.0))
    limit = MOST_LOGIT / max(1.0, largest) / max(1, len(program.terms) + len(program.weights))
    for k, term in enumerate(program.terms):
        _add_term(found, program, term, syntax=syntax, limit=limit, column=f"c{k}")
    return found


def _add_term(found: Features, program: Program, term: Term, *, syntax: Syntax, limit: float, column: str) -> None:
    """Add the features of a term."""
    x = value_name(term.input)
    match term:
        case LinearTerm():
            found.numbers[term.first] = _linear(term, x, syntax, limit)
        case CurveTerm():
            found.numbers[term.first] = _or_zero(x, curve(syntax, x, term.knots, term.values), syntax)
        case BooleanTerm():
            found.numbers[term.first] = f"coalesce({x}, {syntax.number(term.fill)})"
        case MissingTerm():
            found.numbers[term.first] = _indicator(program, term, syntax)
        case LevelTerm() | CodeTerm():
            found.codes[column] = _place(program, term, x, syntax)
            found.sums.append(CodeSum(column, term.first, term.width))
        case TrendTerm():
            trend = syntax.scaled(x, term.center, term.scale, bounded=False, limit=limit)
            found.numbers[term.first] = _or_zero(x, trend, syntax)
        case CycleTerm():
            sine, cosine = cycle_features(term.cycle, x, syntax)
            found.numbers[term.first] = _or_zero(x, sine, syntax)
            found.numbers[term.first + 1] = _or_zero(x, cosine, syntax)
        case VectorTerm():
            found.numbers |= _vector(program, term, syntax, limit)
        case TagsTerm():
            _add_tags(found, term, x, syntax=syntax, column=column)
        case OffsetTerm():
            found.offsets.append(OffsetSum(term.label, syntax.bounded(x, limit)))
        case TextTerm():
            raise TypeError("free text is refused by its input")


def _or_zero(x: str, value: str, syntax: Syntax) -> str:
    """Return a value, 0 where x is missing."""
    return f"CASE WHEN {x} IS NULL THEN {syntax.number(0)} ELSE {value} END"


def _linear(term: LinearTerm, x: str, syntax: Syntax, limit: float) -> str:
    """Return the scaled number, constant beyond the range of training."""
    whens = [f"WHEN {x} IS NULL THEN {syntax.number(0)}"]
    for sign, end in (("<", term.low), (">", term.high)):
        if math.isfinite(end):
            whens.append(f"WHEN {x} {sign} {syntax.exact(end)} THEN {syntax.number((end - term.center) / term.scale)}")
    is_bounded = math.isfinite(term.low) and math.isfinite(term.high)
    value = syntax.scaled(x, term.center, term.scale, bounded=is_bounded, limit=limit)
    return f"CASE {' '.join(whens)} ELSE {value} END"


def _indicator(program: Program, term: MissingTerm, syntax: Syntax) -> str:
    """Return 1 where a value is missing."""
    x, read = value_name(term.input), program.inputs[term.input]
    if read.elements:  # a missing number has no prediction
        return syntax.number(0)
    missing = f"{x} IS NULL"
    if read.kind is InputKind.CATEGORY:
        missing += f" OR {_is_missing_word(x, read.missing_words, syntax)}"
    return f"CASE WHEN {missing} THEN {syntax.number(1)} ELSE {syntax.number(0)} END"


def _is_missing_word(x: str, words: Sequence[str], syntax: Syntax) -> str:
    """Return the condition that a text is blank or stands for a missing value."""
    return syntax.is_one_of(syntax.trimmed(x), ("", *words))


def _place(program: Program, term: LevelTerm | CodeTerm, x: str, syntax: Syntax) -> str:
    """Return the place of a level."""
    if isinstance(term, LevelTerm):
        missing = f"{x} IS NULL OR {_is_missing_word(x, program.inputs[term.input].missing_words, syntax)}"
        empty = ("", *program.inputs[term.input].missing_words)
        place = syntax.place(x, {word: at for word, at in term.words.items() if word.strip() not in empty})
    else:
        missing = f"{x} IS NULL"
        choices = [Choice(syntax.exact(number), str(place)) for number, place in sorted(term.numbers.items())]
        place = search(x, choices) if choices else "NULL"
    other = f"CASE WHEN {missing} THEN {term.missing} ELSE {term.other} END"
    if term.missing == term.other:
        other = str(term.other)
    return f"coalesce({place}, {other})"


def _vector(program: Program, term: VectorTerm, syntax: Syntax, limit: float) -> dict[int, str]:
    """Return the features of a vector."""
    x, read = value_name(term.input), program.inputs[term.input]
    found = {}
    for j, mean in enumerate(term.means):
        element = value_name(term.input, j) if read.elements else f"{x}[{j + 1}]"
        value = syntax.scaled(element, mean, term.scale, bounded=False, limit=limit)
        found[term.first + j] = value if read.elements else _or_zero(x, value, syntax)
    return found


def _add_tags(found: Features, term: TagsTerm, x: str, *, syntax: Syntax, column: str) -> None:
    """Add the features of tags, or their places."""
    features = syntax.tag_features(x, term.tags, term.other)
    if features is not None:
        found.numbers |= {term.first + j: value for j, value in enumerate(features)}
        return
    found.codes[column] = syntax.tag_codes(x, term.tags, term.other)
    found.sums.append(CodeSum(column, term.first, term.width, several=True))


def dated_inputs(program: Program) -> list[str]:
    """Return the columns of dates whose year or month is needed.

    Parameters
    ----------
    program : Program
        Program.

    Returns
    -------
    list of str
        Columns of the first stage.
    """
    terms = [term for term in program.terms if isinstance(term, CycleTerm) and term.cycle in (Cycle.YEAR, Cycle.MONTH)]
    return list(dict.fromkeys(value_name(term.input) for term in terms))
