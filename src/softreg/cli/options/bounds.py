"""`--bound COLUMN=+` and `--bound COLUMN:CLASS=LOW..HIGH`: parsing, and the columns that the names stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import click

from softreg.cli.console.command_errors import CommandError
from softreg.cli.options.column_arguments import resolve_column
from softreg.tables.columns.table_errors import unknown_column_error

Bound = tuple[str, Any]
"""Text before the last equals sign, and the bound: "+", "-" or (least, largest)."""
RANGE = ".."
"""Separator of the least and the largest value."""
CLASS = ":"
"""Separator of column and class."""
QUOTE = '"'
"""Quote around the name of a column."""


def bounds(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[Bound, ...]:
    """Parse `COLUMN=+`, `COLUMN=-` and `COLUMN=LOW..HIGH`, with or without a class after the column."""
    return tuple(_parsed(text) for text in value)


def _parsed(text: str) -> Bound:
    """Return one bound; raise `click.BadParameter` for another form."""
    name, _, limits = text.rpartition("=")
    if name and limits in ("+", "-"):
        return name, limits
    low, separator, high = limits.partition(RANGE)
    try:
        ends = (float(low) if low else None, float(high) if high else None)
    except ValueError:
        ends = (math.nan, math.nan)
    least, largest = (-math.inf if ends[0] is None else ends[0]), (math.inf if ends[1] is None else ends[1])
    if not name or not separator or ends == (None, None) or not least <= largest or math.inf in (least, -largest):
        raise click.BadParameter(
            f"{text!r} is not COLUMN=+, COLUMN=- or COLUMN=LOW..HIGH (LOW or HIGH may be left out, LOW is at most "
            "HIGH), nor one of these with COLUMN:CLASS."
        )
    return name, ends


def bounds_by_column(given: Sequence[Bound], names: Sequence[str]) -> dict[str, Any]:
    """Return the bounds by column, or by column and class.

    A text that is the name of a column stands for this column. Of another text, the longest name of a column before a
    colon is the column, and the rest the class. A name in double quotes ends at the second quote.

    Parameters
    ----------
    given : sequence of (str, bound)
        Parsed options.
    names : sequence of str
        Columns of the table.

    Returns
    -------
    dict
        Bounds.

    Raises
    ------
    CommandError
        If a column has several bounds.
    TableError
        If there is no such column.

    Examples
    --------
    >>> bounds_by_column([("age:yes", "+"), ("a:b", "-"), ('"a":b', "+")], ["age", "a", "a:b"])
    {'age': {'yes': '+'}, 'a:b': '-', 'a': {'b': '+'}}
    """
    found: dict[str, Any] = {}
    for text, bound in given:
        column, label = _column_and_class(text, names)
        before = found.get(column)
        if label is None and before is None:
            found[column] = bound
        elif label is not None and (before is None or (isinstance(before, dict) and label not in before)):
            found[column] = {**(before or {}), label: bound}
        else:
            raise CommandError(f"--bound names column {column!r} twice; give one bound, as {column}=LOW..HIGH.")
    return found


def _column_and_class(text: str, names: Sequence[str]) -> tuple[str, str | None]:
    """Return the column, and the class or None, that a text stands for."""
    column = resolve_column(text, names)
    if column in names:
        return column, None
    if text.startswith(QUOTE) and QUOTE in text[1:]:
        column, _, rest = text[1:].partition(QUOTE)
        if not rest or rest.startswith(CLASS):
            if column not in names:
                raise unknown_column_error(column, list(names), "column with a bound")
            return column, rest.removeprefix(CLASS) if rest else None
    parts = text.split(CLASS)
    for end in range(len(parts) - 1, 0, -1):
        column = resolve_column(CLASS.join(parts[:end]), names)
        if column in names:
            return column, CLASS.join(parts[end:])
    raise unknown_column_error(text, list(names), "column with a bound")
