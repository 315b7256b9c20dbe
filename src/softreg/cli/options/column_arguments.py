"""Columns that are named on the command line, by options given several times or by lists with commas."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from softreg.cli.console.command_errors import CommandError
from softreg.tables.columns.errors import listed
from softreg.tables.schema.feature_columns import split_names


def select_columns(given: Sequence[str], names: Sequence[str], option: str) -> list[str]:
    """The columns that were given, each by its name or several with commas between; a name may hold commas itself.

    Raises `CommandError` for a name that the table does not have.

    >>> select_columns(["a,b", "x,y"], ["a", "b", "x,y"], "--keep")
    ['a', 'b', 'x,y']
    """
    found = []
    for text in given:
        for name in split_names((text,), names):
            if name not in names:
                near = get_close_matches(name, names, n=3)
                raise CommandError(
                    f"{option}: there is no column {name!r}. "
                    + (f"Nearest by name: {listed(near)}." if near else f"The columns are {listed(names, 20)}.")
                )
            found.append(name)
    return list(dict.fromkeys(found))


def resolve_column(name: str, names: Sequence[str]) -> str:
    """The column of this name, or the only one whose name differs by blanks at its ends alone; else the name itself.

    >>> resolve_column(" class", ["x", "class"]), resolve_column("y", ["x"])
    ('class', 'y')
    """
    near = [one for one in names if one.strip() == name.strip()]
    return near[0] if name not in names and len(near) == 1 else name
