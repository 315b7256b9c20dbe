"""Names of columns on the command line: in repeated options, or in lists with commas."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from softreg.cli.console.command_errors import CommandError
from softreg.tables.columns.table_errors import quote_list
from softreg.tables.schema.feature_columns import split_column_names


def select_columns(given: Sequence[str], names: Sequence[str], option: str) -> list[str]:
    """Return the columns that an option names, each by itself or in a list with commas; a name may contain commas.

    Parameters
    ----------
    given : sequence of str
        Values of the option.
    names : sequence of str
        Columns of the table.
    option : str
        The option, for messages.

    Returns
    -------
    list of str
        The columns, without duplicates.

    Raises
    ------
    CommandError
        If the table has no such column.

    Examples
    --------
    >>> select_columns(["a,b", "x,y"], ["a", "b", "x,y"], "--keep")
    ['a', 'b', 'x,y']
    """
    columns = []
    for text in given:
        for name in split_column_names((text,), names):
            if name not in names:
                near = get_close_matches(name, names, n=3)
                raise CommandError(
                    f"{option}: there is no column {name!r}. "
                    + (f"Similar names: {quote_list(near)}." if near else f"The columns are {quote_list(names, 20)}.")
                )
            columns.append(name)
    return list(dict.fromkeys(columns))


def resolve_column(name: str, names: Sequence[str]) -> str:
    """Return the column with a name, or the only one whose name differs from it by blanks at the ends.

    Parameters
    ----------
    name : str
        Name on the command line.
    names : sequence of str
        Columns of the table.

    Returns
    -------
    str
        The name in the table; `name` where there is none.

    Examples
    --------
    >>> resolve_column(" class", ["x", "class"]), resolve_column("y", ["x"])
    ('class', 'y')
    """
    near = [column for column in names if column.strip() == name.strip()]
    return near[0] if name not in names and len(near) == 1 else name
