"""Errors and warnings about tables, and the phrases that their messages share."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_ROW_TEXT = 1000
"""Characters stored of a row that was left out."""
MAX_COLUMN_NAME = 60
"""Characters; a longer column name is probably a value."""


class TableError(ValueError):
    """Error about a file or a table: names the column, the row, the value and a remedy.

    Rows are numbered from 1 without the header: "row 1" is the first row of data.

    Parameters
    ----------
    message : str
        One paragraph.
    rows : int64 array, optional
        Positions from 0 of the invalid rows, if the other rows could be used without them.

    Attributes
    ----------
    rows : int64 array or None
        The positions given.

    Examples
    --------
    >>> issubclass(TableError, ValueError)
    True
    """

    def __init__(self, message: str, rows: NDArray[np.int64] | None = None) -> None:
        super().__init__(message)
        self.rows = rows


class TableWarning(UserWarning):
    """Warning that a table is used in a way that the user may not expect, such as a column left out.

    Examples
    --------
    >>> import warnings
    >>> warnings.simplefilter("ignore", TableWarning)
    """


class TableNote(TableWarning):
    """Warning that states which of several interpretations of a file was chosen, and the option for another one.

    Examples
    --------
    >>> issubclass(TableNote, TableWarning)
    True
    """


def emit_notes(notes: Iterable[str]) -> None:
    """Issue each sentence as a `TableNote` at the caller's line outside softreg; see `emit_warnings`."""
    emit_warnings(notes, TableNote)


_SKIPPED = ("softreg", "sklearn", "joblib")
"""Packages whose frames are skipped to find the line of a warning."""
_MANY_FITS = ("sklearn.model_selection", "joblib")
_VARIES = re.compile(r"('[^']*')|, such as .*|\(.*?\)|\d[\d,.]*|\bholds?\b|; (?:the model|such rows) .*")
_issued: set[tuple[str, int, str]] = set()
"""File, line and kind of the warnings issued during searches and cross-validations."""


def emit_warnings(messages: Iterable[str], category: type[TableWarning] = TableWarning) -> None:
    """Issue each message as a warning at the line that called softreg, or scikit-learn with an estimator of softreg.

    Cross-validation and searches of scikit-learn fit and predict many times. Messages that differ only in numbers,
    examples and reasons are issued once for each calling line.

    Parameters
    ----------
    messages : iterable of str
        Texts of the warnings.
    category : type, default=TableWarning
        Class of the warnings.
    """
    frame, level, many = sys._getframe(1), 2, False
    while frame.f_back is not None and (name := str(frame.f_globals.get("__name__", ""))).split(".")[0] in _SKIPPED:
        frame, level, many = frame.f_back, level + 1, many or name.startswith(_MANY_FITS)
    for message in messages:
        kind = _VARIES.sub(lambda match: match[1] or "", message)
        key = (frame.f_code.co_filename, frame.f_lineno, kind)
        if many and key in _issued:
            continue
        warnings.warn(message, category, stacklevel=level)
        if many:  # after the warning, which may raise
            _issued.add(key)


def quote(value: object, limit: int = 60) -> str:
    """Return a value in quotes, truncated after `limit` characters.

    Returns
    -------
    str

    Examples
    --------
    >>> quote("a" * 99, limit=5)
    "'aaaaa…'"
    """
    text = str(value)
    return repr(text) if len(text) <= limit else repr(f"{text[:limit]}…")


def quote_list(values: Iterable[object], limit: int = 6) -> str:
    """Return values in quotes, separated by commas; after `limit` values, the number of further ones.

    Returns
    -------
    str

    Examples
    --------
    >>> quote_list(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    listed = list(values)
    head = ", ".join(quote(v) for v in listed[:limit])
    return head if len(listed) <= limit else f"{head} and {len(listed) - limit:,} more"


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun in singular or plural.

    Returns
    -------
    str

    Examples
    --------
    >>> pluralize(1, "row"), pluralize(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def column_name(given: object, what: str) -> str:
    """Return the name of a column as text; data frames may name columns by numbers.

    Parameters
    ----------
    given : object
        Name, or None.
    what : str
        What the name stands for, for the error.

    Returns
    -------
    str

    Raises
    ------
    TableError
        If the name is None.

    Examples
    --------
    >>> column_name(1, "target"), column_name("age", "target")
    ('1', 'age')
    """
    if given is None:
        raise TableError(f"{what} is None; expected the name of a column.")
    return str(given)


Names = Sequence[str | int] | str | int | None
"""Names of columns, or a single one."""


def column_names(given: Names) -> tuple[str, ...]:
    """Return names of columns as text.

    Parameters
    ----------
    given : Names
        A sequence of names, a single name, or None for no names.

    Returns
    -------
    tuple of str

    Raises
    ------
    TableError
        If a name is None.

    Examples
    --------
    >>> column_names(0), column_names(["age", 1]), column_names(None)
    (('0',), ('age', '1'), ())
    """
    if given is None:
        return ()
    several = [given] if isinstance(given, str) or not isinstance(given, Iterable) else given
    return tuple(column_name(name, "the name of a column") for name in several)


def unknown_column_error(name: str, names: Sequence[str], what: str = "column") -> TableError:
    """Return the error for a column that the table does not have, with the most similar names.

    Returns
    -------
    TableError

    Examples
    --------
    >>> print(unknown_column_error("agee", ["age", "job"]))
    There is no column 'agee'. Did you mean 'age'? The table has 2 columns: 'age', 'job'.
    """
    folded = {other.casefold().strip(): other for other in names}
    numbered = f"column_{name.strip()}"
    near = [folded[key] for key in get_close_matches(name.casefold().strip(), folded, n=3, cutoff=0.5)]
    near = [numbered] if numbered in names else near
    guess = f" Did you mean {' or '.join(quote(n) for n in near)}?" if near else ""
    listing = f"{pluralize(len(names), 'column')}: {quote_list(names, 20)}"
    numbers = sum(n.strip().lstrip("+-").replace(".", "", 1).isdecimal() for n in names)
    hint = ""
    if 2 * numbers >= len(names) or any(len(n) > MAX_COLUMN_NAME for n in names):
        hint = " These look like a row of data; the first line of a CSV or TSV file must name the columns."
    return TableError(f"There is no {what} {quote(name)}.{guess} The table has {listing}.{hint}")
