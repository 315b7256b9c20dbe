"""The option `--offset CLASS=COLUMN` of `softreg train`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from softreg.cli.console.command_errors import CommandError
from softreg.cli.options.column_arguments import resolve_column

UNSPLIT = ""
"""In place of the column of an offset whose text has several equality signs."""


def offset(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Parse `CLASS=COLUMN`, for each class that is named; a text with several signs is split when columns are known."""
    found: dict[str, str] = {}
    for text in value:
        label, _, column = text.partition("=")
        if not label or not column:
            raise click.BadParameter(f"{text!r} is not CLASS=COLUMN.")
        label, column = (text, UNSPLIT) if "=" in column else (label, column)
        if label in found:
            raise click.BadParameter(
                f"the class {label!r} has two columns of offsets, {found[label]!r} and {column!r}."
            )
        found[label] = column
    return found


def offset_by_class(given: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return the column of offsets by class; of several equality signs, the one after which a column follows splits.

    Parameters
    ----------
    given : mapping of str to str
        Parsed options.
    names : sequence of str
        Columns of the table.

    Returns
    -------
    dict
        Column by class.

    Raises
    ------
    CommandError
        If a class has two columns.

    Examples
    --------
    >>> offset_by_class({"yes": "score", "a=1=score": ""}, ["score", "x"])
    {'yes': 'score', 'a=1': 'score'}
    """
    found: dict[str, str] = {}
    for text, column in given.items():
        label = text
        if column == UNSPLIT:
            parts = text.split("=")
            splits = [("=".join(parts[:k]), "=".join(parts[k:])) for k in range(1, len(parts))]
            known = [pair for pair in splits if pair[0] and resolve_column(pair[1], names) in names]
            label, column = known[0] if known else splits[0]
        if label in found:
            raise CommandError(f"--offset names the class {label!r} twice; give one column.")
        found[label] = resolve_column(column, names)
    return found
