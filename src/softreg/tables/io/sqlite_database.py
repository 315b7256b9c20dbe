"""Tables and views of SQLite databases, copied as CSV."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from softreg.files.temporary_copies import TemporaryCopy
from softreg.tables.columns.table_errors import TableError
from softreg.tables.io.extracted_table import ExtractedTable, damaged_message, match_name, several_message, write_csv

ROWS_PER_FETCH = 10_000
"""Rows of a database fetched at a time."""


def from_database(path: Path, inner: str) -> ExtractedTable:
    """Extract a table or view of an SQLite database as CSV; binary values are read as missing.

    Parameters
    ----------
    path : Path
        Database.
    inner : str
        Name of the table or view; "" for its only one.

    Returns
    -------
    ExtractedTable

    Raises
    ------
    TableError
        If there is no such table, there are several, or the database is damaged.
    """
    _check_pages(path)
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            entries = connection.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY type, name"
            )
            names = [str(name) for (name,) in entries if not str(name).startswith("sqlite_")]
            if not names:
                raise TableError(f"{str(path)!r} is an SQLite database without a table.")
            if not inner and len(names) > 1:
                raise TableError(several_message(path, names, "tables"))
            name = match_name(path, names, inner, "table") if inner else names[0]
            quoted = '"' + name.replace('"', '""') + '"'
            cursor = connection.execute(f"SELECT * FROM {quoted}")  # the name comes from the database
            columns = [str(column[0]) for column in cursor.description]

            binary: set[int] = set()

            def rows() -> Iterable[Sequence[object]]:
                yield columns
                while fetched := cursor.fetchmany(ROWS_PER_FETCH):
                    for row in fetched:
                        binary.update(index for index, value in enumerate(row) if isinstance(value, bytes))
                        yield row

            copy = TemporaryCopy("table.csv", lambda file: write_csv(file, rows()))
            notes = [
                f"Column {columns[index]!r} of {str(path)!r} holds bytes, which are read as missing values."
                for index in sorted(binary)
            ]
            return ExtractedTable(copy, name, notes)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise TableError(damaged_message(path, "SQLite database", error)) from None


def _check_pages(path: Path) -> None:
    """Raise `TableError` if a database has fewer pages than its header states, whose rows SQLite may leave out."""
    with path.open("rb") as file:
        header = file.read(100)
    size = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    has_page_count = header[24:28] == header[92:96]  # older versions of SQLite do not update the number of pages
    if has_page_count and path.stat().st_size < pages * (65536 if size == 1 else size):
        raise TableError(f"{str(path)!r} is a damaged or truncated SQLite database; copy or write it again.")
