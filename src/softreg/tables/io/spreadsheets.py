"""Sheets of Excel and OpenDocument workbooks as rows of plain values, read with python-calamine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from pathlib import Path
from typing import Any

from softreg.tables.columns.table_errors import TableError, quote_list

MAX_NARROW_COLUMNS = 2
"""Maximum number of columns of a sheet in which a row of one cell is not a title."""


@dataclass(frozen=True)
class Sheet:
    """Rows of a sheet, its name, and notes on what was chosen and left out."""

    rows: list[list[object]]
    name: str
    notes: list[str]


def sheet_rows(path: Path, inner: str) -> Sheet:
    """Read the rows of a sheet, including the header.

    Lines of a single cell above and below a table of more columns are titles and footnotes, and are left out. A
    formula cell holds its last value; a cell with an error is empty.

    Parameters
    ----------
    path : Path
        Workbook.
    inner : str
        Name of the sheet; "" for the first with cells.

    Returns
    -------
    Sheet

    Raises
    ------
    TableError
        If python-calamine is not installed, the file is damaged or protected, or there is no such sheet or no sheet
        with cells.
    """
    try:
        import python_calamine
    except ImportError:
        raise TableError(
            f"{str(path)!r} is a spreadsheet, which needs the package python-calamine: pip install 'softreg[excel]'. "
            "Or save the sheet as 'CSV UTF-8' and use that file."
        ) from None
    try:
        with python_calamine.load_workbook(str(path)) as book:
            names = list(book.sheet_names)
            if inner and inner not in names:
                raise TableError(f"{str(path)!r} has no sheet {inner!r}; it has {quote_list(names, 12)}.")
            sheets = {name: _cells(book, name) for name in ([inner] if inner else names)}
    except TableError:
        raise
    except python_calamine.PasswordError:
        raise TableError(f"{str(path)!r} is protected by a password; save it without, or as CSV.") from None
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise TableError(f"{str(path)!r} is a damaged or truncated spreadsheet ({reason}); save it again.") from None
    full = [name for name, rows in sheets.items() if rows]
    if not full:
        raise TableError(f"{str(path)!r} has no cells{f' in the sheet {inner!r}' if inner else ''}.")
    name, notes = full[0], []
    if not inner and len(full) > 1:
        notes.append(
            f"{str(path)!r} is read as its sheet {name!r}, of {quote_list(full, 12)}; another is named as "
            f"{f'{path}::{full[1]}'!r}."
        )
    rows, more = _table(sheets[name], name)
    return Sheet([[_value(cell) for cell in row] for row in rows], name, notes + more)


def _cells(book: Any, name: str) -> list[list[object]]:
    """Return the rows that have cells, all of one length."""
    try:
        rows = book.get_sheet_by_name(name).to_python(skip_empty_area=True)
    except ValueError:  # a chart sheet has no cells
        return []
    return [row for row in rows if any(cell != "" for cell in row)]


def _table(rows: list[list[object]], sheet: str) -> tuple[list[list[object]], list[str]]:
    """Return the rows without titles, footnotes and empty columns; and notes on them."""
    used = [index for index in range(len(rows[0])) if any(row[index] != "" for row in rows)]
    rows = [[row[index] for index in used] for row in rows]
    begin, end = 0, len(rows)
    if len(used) > MAX_NARROW_COLUMNS:
        while begin < end - 1 and _count(rows[begin]) == 1:
            begin += 1
        while end > begin + 1 and _count(rows[end - 1]) == 1:
            end -= 1
    notes = []
    for what, omitted in (("above the header", rows[:begin]), ("below the table", rows[end:])):
        if omitted:
            first_cells = quote_list([next(str(cell) for cell in row if cell != "") for row in omitted], 3)
            notes.append(f"In the sheet {sheet!r}, lines of one cell {what} are left out: {first_cells}.")
    rows = rows[begin:end]
    kept = [index for index in range(len(used)) if any(row[index] != "" for row in rows)]
    return [[row[index] for index in kept] for row in rows], notes


def _count(row: Sequence[object]) -> int:
    return sum(cell != "" for cell in row)


def _value(cell: object) -> object:
    """Return a cell for a text file; a datetime at midnight is a date."""
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ")
    return cell
