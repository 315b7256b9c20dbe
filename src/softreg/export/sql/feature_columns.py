"""The features of a row: numbers, and places of levels and tags, from the columns of the first stage."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from softreg.export.program import (
    BooleanTerm,
    CodeTerm,
    CurveTerm,
    Cycle,
    CycleTerm,
    GridTerm,
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
from softreg.export.sql.column_values import is_missing_word, level_place, linear, or_zero
from softreg.export.sql.expressions import curve
from softreg.export.sql.grid_stages import grid_features
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
    found, limit = Features(), feature_limit(program)
    for k, term in enumerate(program.terms):
        _add_term(found, program, term, syntax=syntax, limit=limit, column=f"c{k}")
    return found


def feature_limit(program: Program) -> float:
    """Return the bound of the absolute value of a feature with which sums of logits cannot overflow.

    Parameters
    ----------
    program : Program
        Program.

    Returns
    -------
    float
        Bound.
    """
    largest = float(np.abs(program.weights).max(initial=1.0))
    return MOST_LOGIT / max(1.0, largest) / max(1, len(program.terms) + len(program.weights))


def _add_term(found: Features, program: Program, term: Term, *, syntax: Syntax, limit: float, column: str) -> None:
    """Add the features of a term."""
    x = value_name(term.input)
    match term:
        case LinearTerm():
            found.numbers[term.first] = linear(term, x, syntax, limit)
        case CurveTerm():
            found.numbers[term.first] = or_zero(x, curve(syntax, x, term.knots, term.values), syntax)
        case BooleanTerm():
            found.numbers[term.first] = f"coalesce({x}, {syntax.number(term.fill)})"
        case MissingTerm():
            found.numbers[term.first] = _indicator(program, term, syntax)
        case LevelTerm() | CodeTerm():
            found.codes[column] = level_place(program, term, x, syntax)
            found.sums.append(CodeSum(column, term.first, term.width))
        case TrendTerm():
            trend = syntax.scaled(x, term.center, term.scale, bounded=False, limit=limit)
            found.numbers[term.first] = or_zero(x, trend, syntax)
        case CycleTerm():
            sine, cosine = cycle_features(term.cycle, x, syntax)
            found.numbers[term.first] = or_zero(x, sine, syntax)
            found.numbers[term.first + 1] = or_zero(x, cosine, syntax)
        case VectorTerm():
            found.numbers |= _vector(program, term, syntax, limit)
        case TagsTerm():
            _add_tags(found, term, x, syntax=syntax, column=column)
        case GridTerm():
            cell = program.grids.index(term)
            found.numbers |= {term.first + j: value for j, value in enumerate(grid_features(term, cell, syntax))}
        case OffsetTerm():
            found.offsets.append(OffsetSum(term.label, syntax.bounded(x, limit)))
        case TextTerm():
            raise TypeError("free text is refused by its input")


def _indicator(program: Program, term: MissingTerm, syntax: Syntax) -> str:
    """Return 1 where a value is missing."""
    x, read = value_name(term.input), program.inputs[term.input]
    if read.elements:  # a missing number has no prediction
        return syntax.number(0)
    missing = f"{x} IS NULL"
    if read.kind is InputKind.CATEGORY:
        missing += f" OR {is_missing_word(x, read.missing_words, syntax)}"
    return f"CASE WHEN {missing} THEN {syntax.number(1)} ELSE {syntax.number(0)} END"


def _vector(program: Program, term: VectorTerm, syntax: Syntax, limit: float) -> dict[int, str]:
    """Return the features of a vector."""
    x, read = value_name(term.input), program.inputs[term.input]
    found = {}
    for j, mean in enumerate(term.means):
        element = value_name(term.input, j) if read.elements else f"{x}[{j + 1}]"
        value = syntax.scaled(element, mean, term.scale, bounded=False, limit=limit)
        found[term.first + j] = value if read.elements else or_zero(x, value, syntax)
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
