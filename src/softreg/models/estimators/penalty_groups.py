"""Groups of columns of the group penalty, from labels of the columns or from lists of columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from softreg.models.parameters.parameter_checks import GROUPS_FORM
from softreg.optimize import ColumnGroups
from softreg.probability.label_arrays import spell
from softreg.typing import Array, IntArray

MAX_LISTED = 5
"""Columns that a message lists."""


def groups_of_columns(groups: Any, d: int, names: Sequence[Any] | Array | None) -> ColumnGroups | None:
    """Return the groups of d columns.

    Parameters
    ----------
    groups : array-like of shape (d,), list of lists, or None
        A label for each column; or lists of the numbers or names of columns, each column in one of them; or None.
    d : int
        Number of columns.
    names : array of shape (d,), optional
        Names of the columns.

    Returns
    -------
    ColumnGroups or None
        The groups; None if each column is one.

    Raises
    ------
    ValueError
        If a column is in no group or in two, a name or number is not that of a column, or labels are missing or of
        another number than the columns.

    Examples
    --------
    >>> groups_of_columns([["age"], ["job=a", "job=b"]], 3, np.array(["age", "job=a", "job=b"])).codes.tolist()
    [0, 1, 1]
    >>> groups_of_columns(["age", "job", "job"], 3, None).size.tolist()
    [1.0, 2.0, 2.0]
    """
    if groups is None:
        return None
    members = list(groups)
    if members and all(_is_list(member) for member in members):
        return ColumnGroups.of(_codes_of_lists(members, d, names))
    if any(_is_list(member) for member in members):
        raise ValueError(f"column_groups mixes lists with single values; {GROUPS_FORM}")
    if len(members) != d:
        raise ValueError(f"column_groups has {len(members):,} labels, and X has {d:,} columns; {GROUPS_FORM}")
    codes: dict[Any, int] = {}
    for j, label in enumerate(members):
        if label is None or label != label:  # nan
            raise ValueError(f"column_groups has no label for {_column(j, names)}: {spell(label)}.")
    return ColumnGroups.of(np.array([codes.setdefault(label, len(codes)) for label in members], dtype=np.intp))


def _is_list(member: Any) -> bool:
    """Return True for a collection of columns."""
    return isinstance(member, Iterable) and not isinstance(member, (str, bytes))


def _codes_of_lists(lists: Sequence[Iterable[Any]], d: int, names: Sequence[Any] | Array | None) -> IntArray:
    """Return the group (d,) of each column."""
    known = {} if names is None else {str(name): j for j, name in enumerate(names)}
    codes = np.full(d, -1, dtype=np.intp)
    for g, members in enumerate(lists):
        for member in members:
            j = _column_number(member, d, known)
            if codes[j] >= 0:
                where = "twice" if codes[j] == g else f"in two groups, number {codes[j]} and number {g}"
                raise ValueError(f"{_column(j, names)} is {where} of column_groups; each column is in one group.")
            codes[j] = g
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        listed = ", ".join(_column(int(j), names) for j in missing[:MAX_LISTED])
        more = f" and {len(missing) - MAX_LISTED:,} more" if len(missing) > MAX_LISTED else ""
        raise ValueError(f"column_groups leaves out {listed}{more}; give such a column a list of its own.")
    return codes


def _column_number(member: Any, d: int, known: dict[str, int]) -> int:
    """Return the number of a column that is given by number or name."""
    if isinstance(member, (str, np.str_)):
        if str(member) in known:
            return known[str(member)]
        such = f"the columns are {', '.join(map(repr, list(known)[:MAX_LISTED]))}" if known else "X has no names"
        more = ", ..." if len(known) > MAX_LISTED else ""
        raise ValueError(f"column_groups names {str(member)!r}, which is no column of X: {such}{more}.")
    if not isinstance(member, Integral) or isinstance(member, (bool, np.bool_)):
        raise ValueError(f"column_groups holds {spell(member)}; columns are given by number, from 0, or by name.")
    if not 0 <= int(member) < d:
        raise ValueError(f"column_groups holds column {int(member)}, and X has the columns 0 to {d - 1}.")
    return int(member)


def _column(j: int, names: Sequence[Any] | Array | None) -> str:
    """Return a column for a message."""
    return f"column {j}" if names is None else f"column {str(names[j])!r}"
