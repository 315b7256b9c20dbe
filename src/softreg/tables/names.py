"""The names of the columns of a table: every column has one, and no two have the same."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from softreg.tables.errors import TableError, shown

SIGNS = ("=", ": ")
"""What stands between the name of a column and a level, a tag or a term in the name of a feature."""


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


def unique_names(features: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The names of features, given with the names of their columns; in those that are the same, parts are quoted.

    Example:
        >>> unique_names([("a", "a=b=c"), ("a=b", "a=b=c"), ("a=b=c", "a=b=c"), ("size", "size")])
        ("a='b=c'", "'a=b'=c", "'a=b=c'", 'size')
    """
    names = [name for _, name in features]
    if len(set(names)) == len(names):
        return tuple(names)
    counts = Counter(names)
    names = [_quoted(*feature) if counts[feature[1]] > 1 else feature[1] for feature in features]
    taken: set[str] = set()
    for place, name in enumerate(names):
        number = 1
        while names[place] in taken or (number > 1 and names[place] in counts):  # a column may be named like that, too
            number += 1
            names[place] = f"{name} ({number})"
        taken.add(names[place])
    return tuple(names)


def _quoted(column: str, feature: str) -> str:
    """The name of a feature, in which the column and what stands behind it are quoted where they hold a sign."""
    rest = feature.removeprefix(column)
    sign = next((sign for sign in SIGNS if rest.startswith(sign)), "")
    parts = (column, rest.removeprefix(sign))
    return sign.join(repr(part) if any(sign in part for sign in SIGNS) else part for part in parts if part)
