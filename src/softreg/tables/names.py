"""The names of the columns of a table: every column has one, and no two have the same."""

from __future__ import annotations

import re
from collections import Counter

from softreg.tables.errors import TableError, shown


def check_names(names: list[str], where: str) -> None:
    """Raise `TableError` where a column has no name, one that is no text, or one that it shares with another.

    Example:
        >>> check_names(["a", "b", "a"], "small.csv")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        softreg.tables.errors.TableError: small.csv has several columns named 'a' (columns 1 and 3); ...
    """
    for position, name in enumerate(names, start=1):
        half = re.search("[\ud800-\udfff]", name)
        if half:
            raise TableError(
                f"Column {position} of {where} has a name that is no text: {shown(name)} holds U+{ord(half[0]):04X}, "
                "one half of a pair of characters, which no file can store. Rename the column."
            )
        if not name.strip():
            raise TableError(
                f"Column {position} of {where} has no name: the header's field is blank. Give it a name; if "
                "it is a row index written by pandas, write the file again with index=False; if the header "
                "line ends in a delimiter, remove that."
            )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        places = [
            f"{shown(name)} (columns {' and '.join(str(i) for i, n in enumerate(names, 1) if n == name)})"
            for name in repeated
        ]
        raise TableError(
            f"{where} has several columns named {', '.join(places[:6])}; columns are matched by name, so "
            "each needs its own: rename them."
        )
