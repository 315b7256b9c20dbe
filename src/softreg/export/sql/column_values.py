"""The value of one column as a feature: scaled numbers, and places of levels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from softreg.export.program import CodeTerm, LevelTerm, LinearTerm, Program
from softreg.export.sql.expressions import Choice, search
from softreg.export.sql.syntax import Syntax


def or_zero(x: str, value: str, syntax: Syntax) -> str:
    """Return a value, 0 where x is missing.

    Parameters
    ----------
    x : str
        Column.
    value : str
        Expression.
    syntax : Syntax
        Dialect.

    Returns
    -------
    str
        Expression.
    """
    return f"CASE WHEN {x} IS NULL THEN {syntax.number(0)} ELSE {value} END"


def linear(term: LinearTerm, x: str, syntax: Syntax, limit: float) -> str:
    """Return the scaled number, constant beyond the range of training.

    Parameters
    ----------
    term : LinearTerm
        Term.
    x : str
        Column.
    syntax : Syntax
        Dialect.
    limit : float
        Bound of the absolute value of the result, which may be NULL beyond.

    Returns
    -------
    str
        Expression, 0 where x is missing.
    """
    whens = [f"WHEN {x} IS NULL THEN {syntax.number(0)}"]
    for sign, end in (("<", term.low), (">", term.high)):
        if math.isfinite(end):
            whens.append(f"WHEN {x} {sign} {syntax.exact(end)} THEN {syntax.number((end - term.center) / term.scale)}")
    is_bounded = math.isfinite(term.low) and math.isfinite(term.high)
    value = syntax.scaled(x, term.center, term.scale, bounded=is_bounded, limit=limit)
    return f"CASE {' '.join(whens)} ELSE {value} END"


def is_missing_word(x: str, words: Sequence[str], syntax: Syntax) -> str:
    """Return the condition that a text is blank or stands for a missing value.

    Parameters
    ----------
    x : str
        Column.
    words : sequence of str
        Spellings of a missing value.
    syntax : Syntax
        Dialect.

    Returns
    -------
    str
        Condition.
    """
    return syntax.is_one_of(syntax.trimmed(x), ("", *words))


def level_place(program: Program, term: LevelTerm | CodeTerm, x: str, syntax: Syntax) -> str:
    """Return the place of a level.

    Parameters
    ----------
    program : Program
        Program.
    term : LevelTerm or CodeTerm
        Term.
    x : str
        Column.
    syntax : Syntax
        Dialect.

    Returns
    -------
    str
        Expression, -1 for a level without a feature.
    """
    if isinstance(term, LevelTerm):
        missing = f"{x} IS NULL OR {is_missing_word(x, program.inputs[term.input].missing_words, syntax)}"
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
