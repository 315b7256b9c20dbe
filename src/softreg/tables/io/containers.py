"""Tables in containers (zip, xz, spreadsheets, databases): each is copied once to a temporary file."""

from __future__ import annotations

import csv
import io
import lzma
import os
import sqlite3
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Any

import pyarrow as pa

from softreg.files.formats import ENDINGS
from softreg.files.temporary_copies import TemporaryCopy
from softreg.tables.columns.table_errors import TableError, pluralize, quote_list
from softreg.tables.io.spreadsheets import sheet_rows

EXTRA_ENDINGS = (".xlsx", ".xls", ".ods", ".db", ".sqlite", ".sqlite3")
"""Endings of members of an archive that are tables, besides `ENDINGS`."""
DOCUMENTS = (".txt",)
"""Endings of members that are tables only if no other member is."""
ROWS_PER_FETCH = 10_000
"""Rows of a database fetched at a time."""


@dataclass(frozen=True)
class ExtractedTable:
    """Temporary copy of a table in a container.

    Attributes
    ----------
    copy : TemporaryCopy
        The copy, which is deleted with this record.
    name : str
        Name of the member, sheet or table; "" if the container holds one file.
    notes : list of str
        Choices made.
    """

    copy: TemporaryCopy
    name: str = ""
    notes: list[str] = field(default_factory=list)


def copy_standard_input() -> TemporaryCopy:
    """Return a copy of standard input, whose first bytes determine its format."""

    def write(file: IO[bytes]) -> None:
        copyfileobj(sys.stdin.buffer, file)

    try:
        copy = TemporaryCopy("stdin", write)
    except OSError as error:
        raise TableError(f"Standard input cannot be copied to a temporary file: {_reason(error)}.") from None
    return copy


def from_xz(path: Path, inner: str) -> ExtractedTable:
    """Extract a file compressed with xz.

    Parameters
    ----------
    path : Path
        Compressed file.
    inner : str
        Must be empty.

    Returns
    -------
    ExtractedTable

    Raises
    ------
    TableError
        If the file is damaged, or `inner` is not empty.
    """
    if inner:
        raise TableError(f"{str(path)!r} is a single compressed file without members, so {inner!r} cannot be selected.")

    def write(file: IO[bytes]) -> None:
        with lzma.open(path) as source:
            copyfileobj(source, file)

    try:
        return ExtractedTable(TemporaryCopy(path.stem if path.suffix.lower() == ".xz" else path.name, write))
    except (lzma.LZMAError, EOFError, OSError) as error:
        raise TableError(_damaged_message(path, "xz file", error)) from None


def from_zip(path: Path, inner: str) -> ExtractedTable:
    """Extract a member of a zip archive.

    Parameters
    ----------
    path : Path
        Archive.
    inner : str
        Name of the member; "" for its only table.

    Returns
    -------
    ExtractedTable

    Raises
    ------
    TableError
        If there is no such member, there are several tables, a password is needed, or the archive is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name, notes = _member(path, archive, inner)

            def write(file: IO[bytes]) -> None:
                with archive.open(name) as source:
                    copyfileobj(source, file)

            return ExtractedTable(TemporaryCopy(Path(name).name, write), name, notes)
    except RuntimeError:  # raised by zipfile for an encrypted member
        raise TableError(
            f"{str(path)!r} is protected by a password; unpack it, and use the file that it holds."
        ) from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError) as error:
        raise TableError(_damaged_message(path, "zip archive", error)) from None


def _member(path: Path, archive: zipfile.ZipFile, inner: str) -> tuple[str, list[str]]:
    """Return the name of the member to extract, and notes on the choice."""
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if inner:
        return _match_name(path, names, inner, "member"), []
    shown = [name for name in names if not Path(name).name.startswith((".", "_")) and "__MACOSX" not in name]
    tables = [name for name in shown if Path(name).suffix.lower() in {*ENDINGS, *EXTRA_ENDINGS}]
    likely = [name for name in tables if Path(name).suffix.lower() not in DOCUMENTS] or tables or shown
    if not likely:
        raise TableError(f"{str(path)!r} is a zip archive without a file in it.")
    if len(likely) > 1:
        raise TableError(_several_message(path, likely, "tables"))
    rest = [name for name in tables if name != likely[0]]
    if not rest:
        return likely[0], []
    return likely[0], [
        f"{str(path)!r} is read as the table {likely[0]!r}, of {pluralize(len(tables), 'file')} of tables in it; "
        f"another is named as {f'{path}::{rest[0]}'!r}."
    ]


def from_spreadsheet(path: Path, inner: str) -> ExtractedTable:
    """Extract a sheet of a workbook as CSV: the sheet `inner`, or the first with cells if `inner` is empty."""
    sheet = sheet_rows(path, inner)
    return ExtractedTable(
        TemporaryCopy("sheet.csv", lambda file: _write_csv(file, sheet.rows)), sheet.name, sheet.notes
    )


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
                raise TableError(_several_message(path, names, "tables"))
            name = _match_name(path, names, inner, "table") if inner else names[0]
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

            copy = TemporaryCopy("table.csv", lambda file: _write_csv(file, rows()))
            notes = [
                f"Column {columns[index]!r} of {str(path)!r} holds bytes, which are read as missing values."
                for index in sorted(binary)
            ]
            return ExtractedTable(copy, name, notes)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise TableError(_damaged_message(path, "SQLite database", error)) from None


def _check_pages(path: Path) -> None:
    """Raise `TableError` if a database has fewer pages than its header states, whose rows SQLite may leave out."""
    with path.open("rb") as file:
        header = file.read(100)
    size = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    has_page_count = header[24:28] == header[92:96]  # older versions of SQLite do not update the number of pages
    if has_page_count and path.stat().st_size < pages * (65536 if size == 1 else size):
        raise TableError(f"{str(path)!r} is a damaged or truncated SQLite database; copy or write it again.")


def from_feather(path: Path, inner: str) -> ExtractedTable:
    """Extract a Feather file of version 1 as an Arrow file; raise `TableError` if it is damaged."""
    from pyarrow import feather, ipc

    try:
        table = feather.read_table(str(path), memory_map=False)

        def write(file: IO[bytes]) -> None:
            with ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)

        return ExtractedTable(TemporaryCopy("table.arrow", write))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise TableError(_damaged_message(path, "Feather file", error)) from None


def _write_csv(file: IO[bytes], rows: Iterable[Sequence[object]]) -> None:
    """Write rows of values as CSV in UTF-8: empty for None, and every number so that it is read back exactly."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        values = [_plain(value) for value in row]
        if len(values) == 1 and not values[0]:
            text.write('""\n')  # not a blank line
        else:
            writer.writerow(values)
    text.detach()


def _plain(value: object) -> str:
    """Return a cell as text."""
    if value is None or isinstance(value, bytes):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).replace("\x00", "")


def _match_name(path: Path, names: Sequence[str], inner: str, what: str) -> str:
    """Return the requested name, exact or in another case; raise `TableError` if there is none."""
    matches = [name for name in names if name == inner] or [name for name in names if name.lower() == inner.lower()]
    if len(matches) == 1:
        return matches[0]
    raise TableError(f"{str(path)!r} has no {what} {inner!r}; it has {quote_list(names, 12)}.")


def _several_message(path: Path, names: Sequence[str], what: str) -> str:
    return (
        f"{str(path)!r} holds several {what}: {quote_list(names, 12)}. Name one of them as {f'{path}::{names[0]}'!r}."
    )


def _damaged_message(path: Path, what: str, error: Exception) -> str:
    return f"{str(path)!r} is a damaged or truncated {what} ({_reason(error)}); copy or write it again."


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return " ".join(str(error).split()) or type(error).__name__


EXTRACTORS: dict[str, Callable[[Path, str], ExtractedTable]] = {
    "excel": from_spreadsheet,
    "feather": from_feather,
    "sqlite": from_database,
    "xz": from_xz,
    "zip": from_zip,
}
"""Function that extracts a table from a container, by format."""
COPY_OPTIONS: dict[str, dict[str, Any]] = {
    "excel": {"encoding": None, "delimiter": ","},
    "sqlite": {"encoding": None, "delimiter": ",", "header": True, "skip_rows": 0},
}
"""Options of reading for the copies that are written as CSV."""
