"""The terms that the options of `softreg train` request, with the names of columns of a table."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.cli.console.command_errors import CommandError
from softreg.cli.options.column_arguments import resolve_column
from softreg.cli.options.terms.term_arguments import TermArguments
from softreg.tables.columns.table_errors import quote_list, unknown_column_error
from softreg.tables.fit.terms.term_options import PAIR, Terms
from softreg.tables.schema.feature_columns import split_column_names

COLON = ":"
"""Separator of the two columns of an interaction."""
QUOTE = '"'
"""Quote around the name of a column."""


def terms_of_columns(arguments: TermArguments, names: Sequence[str]) -> Terms:
    """Return the terms, with the names of columns of a table.

    Parameters
    ----------
    arguments : TermArguments
        Values of the options.
    names : sequence of str
        Columns of the table.

    Returns
    -------
    Terms
        In mode "linear" the terms that are named alone, which is the default where options name terms; in mode "auto"
        a search as well, the default where none do.

    Raises
    ------
    CommandError
        If an option needs `--terms auto`, or a text does not name two columns or a direction.
    """
    by_hand = arguments.smooth or arguments.interact or arguments.pool or arguments.monotone
    mode = arguments.terms or ("linear" if by_hand else "auto")
    for option, given in (("--linear", arguments.linear), ("--terms-seconds", arguments.terms_seconds)):
        if mode == "linear" and given:
            raise CommandError(f"{option} limits the search of --terms auto; add --terms auto, or omit it.")
    return Terms(
        mode,
        smooth=split_column_names(arguments.smooth, names),
        interactions=[columns_of_pair(text, names) for text in arguments.interact],
        pool=split_column_names(arguments.pool, names),
        linear=split_column_names(arguments.linear, names),
        monotone=dict(_direction(text, names) for text in arguments.monotone),
        seconds=arguments.terms_seconds,
    )


def columns_of_pair(text: str, names: Sequence[str]) -> tuple[str, str]:
    """Return the two columns that a text with a colon names; a name in double quotes may contain colons.

    Parameters
    ----------
    text : str
        Value of `--interact`.
    names : sequence of str
        Columns of the table.

    Returns
    -------
    tuple of str
        The columns.

    Raises
    ------
    CommandError
        If there is no colon, or several colons at which both parts are columns.
    TableError
        If there is no such column.

    Examples
    --------
    >>> columns_of_pair("age:job", ["age", "job"]), columns_of_pair("a:b:c", ["a:b", "c"])
    (('age', 'job'), ('a:b', 'c'))
    >>> columns_of_pair('"a:b":c', ["a", "a:b", "c", "b:c"])
    ('a:b', 'c')
    """  # noqa: DOC501
    parts = text.split(COLON)
    splits = [(COLON.join(parts[:k]), COLON.join(parts[k:])) for k in range(1, len(parts))]
    found = [(_known(left, names), _known(right, names)) for left, right in splits]
    known = sorted({(left, right) for left, right in found if left is not None and right is not None})
    if len(known) == 1:
        return known[0]
    if known:
        choices = quote_list([f"{QUOTE}{left}{QUOTE}{COLON}{QUOTE}{right}{QUOTE}" for left, right in known])
        raise CommandError(f"--interact: {text!r} can be read in {len(known)} ways; write one of {choices}.")
    if len(parts) != PAIR:
        raise CommandError(
            f"--interact: {text!r} does not name two columns of the table; write COLUMN:COLUMN, with names that "
            f"contain colons in double quotes, as '{QUOTE}a:b{QUOTE}:c'."
        )
    unknown = next(name for name in parts if _known(name, names) is None)
    raise unknown_column_error(unknown, list(names), "column of an interaction")


def _known(text: str, names: Sequence[str]) -> str | None:
    """Return the column that a text names, with or without double quotes; None for no column."""
    bare = text[1:-1] if len(text) > 1 and text[0] == text[-1] == QUOTE else None
    for name in (text, bare):
        column = None if name is None else resolve_column(name, names)
        if column in names:
            return column
    return None


def _direction(text: str, names: Sequence[str]) -> tuple[str, str]:
    """Return the column and the direction of `COLUMN=+` or `COLUMN=-`."""
    name, _, sign = text.rpartition("=")
    return resolve_column(name, names), sign
