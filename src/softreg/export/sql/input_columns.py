"""The first stage: each column of the table as a number, text, array or tags, NULL where its value is missing."""

from __future__ import annotations

from dataclasses import dataclass

from softreg.export.export_errors import ExportError
from softreg.export.program import Input, InputKind, Program
from softreg.export.sql.expressions import Choice, balanced, search
from softreg.export.sql.syntax import LARGEST, Syntax, folded, identifier

EXACT_INTEGERS = 2.0**53
"""Integers below are exact in a float64."""


@dataclass(frozen=True)
class Columns:
    """The columns of the first stage.

    Attributes
    ----------
    columns : dict of str to str
        Their expressions.
    valid : str
        The condition that all values are valid, in terms of these columns.
    """

    columns: dict[str, str]
    valid: str


def value_name(place: int, element: int | None = None) -> str:
    """Return the column of an input in the stages, or that of an element of a vector of columns.

    Parameters
    ----------
    place : int
        Number of the input.
    element : int, optional
        Number of the element.

    Returns
    -------
    str
        Name.

    Examples
    --------
    >>> value_name(2), value_name(2, 0)
    ('x2', 'x2_0')
    """
    return f"x{place}" if element is None else f"x{place}_{element}"


def input_columns(program: Program, syntax: Syntax, row: str) -> Columns:
    """Return the columns of the first stage.

    Parameters
    ----------
    program : Program
        Program.
    syntax : Syntax
        Dialect.
    row : str
        Alias of the table, an identifier.

    Returns
    -------
    Columns
        Columns and the condition that they are valid.

    Raises
    ------
    ExportError
        For free text, and what the dialect does not have.
    """
    columns: dict[str, str] = {}
    conditions: list[str] = []
    for place, read in enumerate(program.inputs):
        name = value_name(place)
        if read.elements:
            for j, element in enumerate(read.elements):
                value = syntax.as_number(f"{row}.{identifier(element)}", read)
                columns[value_name(place, j)] = f"coalesce({value}, {syntax.infinity})"
                conditions.append(_finite(value_name(place, j), syntax))
            continue
        raw = f"{row}.{identifier(read.name)}"
        value = _value(read, raw, syntax)
        numeric = read.kind not in (InputKind.CATEGORY, InputKind.VECTOR, InputKind.TAGS)
        columns[name] = f"coalesce({value}, {syntax.infinity})" if read.required and numeric else value
        if numeric and read.kind is not InputKind.CODE:
            conditions.append(_finite(name, syntax))
        elif read.kind is InputKind.VECTOR:
            conditions.append(syntax.is_vector(name, read.length))
        elif read.kind is InputKind.TAGS and syntax.is_tags(name, "") != "TRUE":
            columns[f"t{place}"] = syntax.as_text(raw)
            conditions.append(syntax.is_tags(name, f"t{place}"))
        if read.required and not numeric:
            conditions.append(f"{name} IS NOT NULL")
    return Columns(columns, balanced(" AND ", conditions, "1 = 1"))


def _finite(name: str, syntax: Syntax) -> str:
    """Return the condition that a number is missing or finite."""
    return f"({name} IS NULL OR abs({name}) <= {syntax.number(LARGEST)})"


def _value(read: Input, raw: str, syntax: Syntax) -> str:
    """Return the value of a column."""
    match read.kind:
        case InputKind.NUMBER | InputKind.CODE:
            value = syntax.as_code(raw) if read.kind is InputKind.CODE else syntax.as_number(raw, read)
            for number in read.missing_numbers:
                value = f"nullif({value}, {syntax.exact(number)})"
            return value
        case InputKind.BOOLEAN:
            return _boolean(read, raw, syntax)
        case InputKind.CATEGORY:
            return _word(read, raw, syntax)
        case InputKind.DATE:
            return syntax.as_seconds(raw, read)
        case InputKind.VECTOR:
            return syntax.as_vector(read, raw)
        case InputKind.TAGS:
            return syntax.as_tags(read, raw)
        case InputKind.TEXT:
            raise ExportError(
                f"Column {read.name!r} is free text, whose words SQL cannot separate as training did. Leave the column "
                "out of the model, or export to a target that reads text."
            )


def _word(read: Input, raw: str, syntax: Syntax) -> str:
    """Return a category as text; a number, or text of a whole number, is the text of the level that it stands for."""
    word = syntax.as_word(raw)
    if not read.level_numbers:
        return word
    code = syntax.as_code(raw)
    level = sorted((one, text) for one, text in read.level_numbers.items() if text != f"{one:.0f}")
    found = [search(code, [Choice(syntax.exact(one), syntax.text(text)) for one, text in level])] if level else []
    whole = f"abs({code}) < {syntax.number(EXACT_INTEGERS)} AND {code} = floor({code})"
    digits = f"CASE WHEN {whole} THEN {syntax.whole_text(code)} END"
    number = f"CASE WHEN {code} IS NOT NULL THEN coalesce({', '.join([*found, digits, word])}) END"
    return f"CASE WHEN {syntax.is_number_type(raw)} THEN {number} ELSE coalesce({digits}, {word}) END"


def _boolean(read: Input, raw: str, syntax: Syntax) -> str:
    """Return 1 for true, 0 for false, NULL where missing, infinite for other words."""
    words = _boolean_words(read, syntax.as_text(raw), syntax)
    if "1" not in read.true_words:
        return words
    code = syntax.as_code(raw)
    zero, one = syntax.number(0), syntax.number(1)
    number = (
        f"CASE WHEN {code} = {zero} OR {code} = {one} THEN {code} WHEN {code} IS NOT NULL THEN {syntax.infinity} END"
    )
    return f"CASE WHEN {syntax.is_number_type(raw)} THEN {number} ELSE {words} END"


def _boolean_words(read: Input, text: str, syntax: Syntax) -> str:
    """Return a boolean of text."""
    trimmed = syntax.trimmed(text)
    values = [(words, syntax.number(value)) for words, value in ((read.true_words, 1), (read.false_words, 0))]
    plain = [f"WHEN {text} IN ({', '.join(map(syntax.text, words))}) THEN {value}" for words, value in values]
    whens = [
        f"WHEN {syntax.is_one_of(syntax.lower(trimmed), _spellings(words))} THEN {value}" for words, value in values
    ]
    missing = f"WHEN {syntax.is_one_of(trimmed, ('', *read.missing_words))} THEN NULL"
    first = [f"WHEN {text} IS NULL THEN NULL", *([] if read.missing_words else plain)]
    return f"CASE {' '.join([*first, missing, *whens])} ELSE {syntax.infinity} END"


def _spellings(words: tuple[str, ...]) -> list[str]:
    """Return words, and their forms that differ in the case of letters other than A to Z, whose case SQL may keep."""
    return list(dict.fromkeys(folded(form) for word in words for form in (word, word.upper(), word.capitalize())))
