"""Names of the columns of a table: every column has a name, and names are unique."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from softreg.tables.columns.dataframe_index import name_index_fields
from softreg.tables.columns.table_errors import TableError, quote, quote_list

FEATURE_SEPARATORS = ("=", ": ")
"""Separators of the column and a level, tag or term in the name of a feature."""


def check_names(names: list[str], source: str) -> None:
    """Check that every column has a unique name of valid text.

    Parameters
    ----------
    names : list of str
        Names of the columns.
    source : str
        Name of the file or table, for errors.

    Raises
    ------
    TableError
        If a name is blank, is not valid Unicode, or occurs twice.

    Examples
    --------
    >>> check_names(["a", "b", "a"], "small.csv")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    softreg.tables.columns.table_errors.TableError: small.csv has several columns named 'a' (columns 1 and 3); ...
    """
    for position, name in enumerate(names, start=1):
        surrogate = re.search("[\ud800-\udfff]", name)
        if surrogate:
            raise TableError(
                f"Column {position} of {source} has a name that is not valid text: {quote(name)} contains the lone "
                f"surrogate U+{ord(surrogate[0]):04X}, which no file can store. Rename the column."
            )
        if not name.strip():
            raise TableError(
                f"Column {position} of {source} has no name: the header's field is blank. Give it a name; if "
                "it is a row index written by pandas, write the file again with index=False; if the header "
                "line ends in a delimiter, remove that."
            )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        duplicates = [
            f"{quote(name)} (columns {' and '.join(str(i) for i, n in enumerate(names, 1) if n == name)})"
            for name in repeated
        ]
        raise TableError(
            f"{source} has several columns named {', '.join(duplicates[:6])}; columns are matched by name, so "
            "each needs its own: rename them."
        )


def names_from_header(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the column names of a text file from the fields of its header.

    Blanks around a name are removed. A column without a name is named by its position, such as `column_3`; unnamed
    columns at the beginning, which may be the index of a data frame, are named as pandas names them. A repeated name
    gets a number.

    Parameters
    ----------
    header : sequence of str
        Fields of the header line.

    Returns
    -------
    names : list of str
        Unique names.
    notes : list of str
        One sentence for each kind of change.

    Examples
    --------
    >>> names_from_header(["", " x", "x", ""])[0]
    ['Unnamed: 0', 'x', 'x_2', 'column_4']
    """
    names = [name.strip() for name in name_index_fields(list(header))]
    notes = []
    padded = [name for name in header if name.strip() and name != name.strip()]
    if padded:
        notes.append(f"Blanks around the names of columns were removed ({quote_list(padded, 3)}).")
    taken = {name for name in names if name}
    empty = [position for position, name in enumerate(names) if not name]
    for position in empty:
        names[position] = _free_name(f"column_{position + 1}", taken)
        taken.add(names[position])
    if empty:
        named = quote_list([names[position] for position in empty], 3)
        notes.append(f"Columns without a name in the header are named by position: {named}.")
    seen: set[str] = set()
    renamed = []
    for position, name in enumerate(names):
        if name in seen:
            names[position] = _free_name(name, taken)
            taken.add(names[position])
            renamed.append(f"{quote(name)} in column {position + 1:,} is called {quote(names[position])}")
        seen.add(names[position])
    if renamed:
        more = f", and {len(renamed) - 3:,} more" if len(renamed) > 3 else ""
        notes.append(f"Several columns have the same name: {', '.join(renamed[:3])}{more}.")
    return names, notes


def _free_name(name: str, taken: set[str]) -> str:
    """Return the name, followed by the first free number from 2 on if it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def unique_feature_names(features: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return unique names of features; the parts of names that coincide are quoted.

    Parameters
    ----------
    features : sequence of (str, str)
        Name of the column and name of the feature.

    Returns
    -------
    tuple of str
        Unique names, in the order of `features`.

    Examples
    --------
    >>> unique_feature_names([("a", "a=b=c"), ("a=b", "a=b=c"), ("a=b=c", "a=b=c"), ("size", "size")])
    ("a='b=c'", "'a=b'=c", "'a=b=c'", 'size')
    """
    names = [name for _, name in features]
    if len(set(names)) == len(names):
        return tuple(names)
    counts = Counter(names)
    names = [_quoted(*feature) if counts[feature[1]] > 1 else feature[1] for feature in features]
    taken: set[str] = set()
    for position, name in enumerate(names):
        number = 1
        while names[position] in taken or (number > 1 and names[position] in counts):  # a column may have that name
            number += 1
            names[position] = f"{name} ({number})"
        taken.add(names[position])
    return tuple(names)


def _quoted(column: str, feature: str) -> str:
    """Return the name of a feature with the column and the level quoted if they contain a separator."""
    rest = feature.removeprefix(column)
    separator = next((separator for separator in FEATURE_SEPARATORS if rest.startswith(separator)), "")
    parts = (column, rest.removeprefix(separator))
    return separator.join(
        repr(part) if any(separator in part for separator in FEATURE_SEPARATORS) else part for part in parts if part
    )
