"""Files that are not read where they lie: each is written, once, to a temporary file of text or of one member."""

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
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Any

import pyarrow as pa

from softreg.files import TemporaryCopy
from softreg.tables.columns.errors import TableError, pluralize, quote_list
from softreg.tables.io.file_formats import ENDINGS
from softreg.tables.io.spreadsheets import sheet_rows

EXTRA_ENDINGS = (".xlsx", ".xls", ".ods", ".db", ".sqlite", ".sqlite3")
"""Endings of members of an archive that are tables, besides `ENDINGS`."""
DOCUMENTS = (".txt",)
"""Endings of members that are tables only where no other member is."""
ROWS_PER_FETCH = 10_000
"""Rows of a database that are written at a time."""

Converted = tuple[TemporaryCopy, str, list[str]]
"""The copy, the name of the member, sheet or table that it holds, and notes on what was chosen."""


def from_standard_input() -> TemporaryCopy:
    """A copy of standard input, whose first bytes decide its format."""

    def write(file: IO[bytes]) -> None:
        copyfileobj(sys.stdin.buffer, file)

    try:
        copy = TemporaryCopy("stdin", write)
    except OSError as error:
        raise TableError(f"Standard input cannot be copied to a temporary file: {_reason(error)}.") from None
    return copy


def from_xz(path: Path, inner: str) -> Converted:
    """A copy of what a file compressed with xz holds; raises `TableError` where it is damaged."""
    if inner:
        raise TableError(f"{str(path)!r} is one compressed file, in which {inner!r} cannot be chosen; unpack it.")

    def write(file: IO[bytes]) -> None:
        with lzma.open(path) as source:
            copyfileobj(source, file)

    try:
        return TemporaryCopy(path.stem if path.suffix.lower() == ".xz" else path.name, write), "", []
    except (lzma.LZMAError, EOFError, OSError) as error:
        raise _damaged(path, "xz file", error) from None


def from_zip(path: Path, inner: str) -> Converted:
    """A copy of the member `inner` of a zip archive, of its only table where the name is empty.

    Raises `TableError` for no such member, several tables, a password, or a damaged archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name, notes = _member(path, archive, inner)

            def write(file: IO[bytes]) -> None:
                with archive.open(name) as source:
                    copyfileobj(source, file)

            return TemporaryCopy(Path(name).name, write), name, notes
    except RuntimeError:  # what zipfile raises for a member that is encrypted
        raise TableError(
            f"{str(path)!r} is protected by a password; unpack it, and use the file that it holds."
        ) from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError) as error:
        raise _damaged(path, "zip archive", error) from None


def _member(path: Path, archive: zipfile.ZipFile, inner: str) -> tuple[str, list[str]]:
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if inner:
        return _chosen(path, names, inner, "member"), []
    shown = [name for name in names if not Path(name).name.startswith((".", "_")) and "__MACOSX" not in name]
    tables = [name for name in shown if Path(name).suffix.lower() in {*ENDINGS, *EXTRA_ENDINGS}]
    likely = [name for name in tables if Path(name).suffix.lower() not in DOCUMENTS] or tables or shown
    if not likely:
        raise TableError(f"{str(path)!r} is a zip archive without a file in it.")
    if len(likely) > 1:
        raise _several(path, likely, "tables")
    rest = [name for name in tables if name != likely[0]]
    if not rest:
        return likely[0], []
    return likely[0], [
        f"{str(path)!r} is read as the table {likely[0]!r}, of {pluralize(len(tables), 'file')} of tables in it; "
        f"another is named as {f'{path}::{rest[0]}'!r}."
    ]


def from_spreadsheet(path: Path, inner: str) -> Converted:
    """A copy, as CSV, of the sheet `inner` of a workbook, of the first that has cells where the name is empty."""
    rows, sheet, notes = sheet_rows(path, inner)
    return TemporaryCopy("sheet.csv", lambda file: _write_csv(file, rows)), sheet, notes


def from_database(path: Path, inner: str) -> Converted:
    """A copy, as CSV, of the table or view `inner` of an SQLite database, of its only one where the name is empty.

    Raises `TableError` for no such table, several of them, or a damaged database. Bytes are read as
    missing values.
    """
    _check_pages(path)
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            found = connection.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY type, name"
            )
            names = [str(name) for (name,) in found if not str(name).startswith("sqlite_")]
            if not names:
                raise TableError(f"{str(path)!r} is an SQLite database without a table.")
            if not inner and len(names) > 1:
                raise _several(path, names, "tables")
            name = _chosen(path, names, inner, "table") if inner else names[0]
            quoted = '"' + name.replace('"', '""') + '"'
            cursor = connection.execute(f"SELECT * FROM {quoted}")  # a name that the database itself gave
            columns = [str(column[0]) for column in cursor.description]

            binary: set[int] = set()

            def rows() -> Iterable[Sequence[Any]]:
                yield columns
                while some := cursor.fetchmany(ROWS_PER_FETCH):
                    for row in some:
                        binary.update(place for place, value in enumerate(row) if isinstance(value, bytes))
                        yield row

            copy = TemporaryCopy("table.csv", lambda file: _write_csv(file, rows()))
            notes = [
                f"Column {columns[place]!r} of {str(path)!r} holds bytes, which are read as missing values."
                for place in sorted(binary)
            ]
            return copy, name, notes
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _damaged(path, "SQLite database", error) from None


def _check_pages(path: Path) -> None:
    """Raise `TableError` where a database has fewer pages than its header says, whose rows SQLite may leave out."""
    with path.open("rb") as file:
        header = file.read(100)
    size = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    known = header[24:28] == header[92:96]  # otherwise an old program wrote the file, and not the number of pages
    if known and path.stat().st_size < pages * (65536 if size == 1 else size):
        raise TableError(f"{str(path)!r} is a damaged or truncated SQLite database; copy or write it again.")


def from_feather(path: Path, inner: str) -> Converted:
    """A copy, as an Arrow file, of a Feather file of the first version; raises `TableError` where it is damaged."""
    from pyarrow import feather, ipc

    try:
        table = feather.read_table(str(path), memory_map=False)

        def write(file: IO[bytes]) -> None:
            with ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)

        return TemporaryCopy("table.arrow", write), "", []
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, "Feather file", error) from None


def _write_csv(file: IO[bytes], rows: Iterable[Sequence[Any]]) -> None:
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


def _plain(value: Any) -> str:
    """A cell as text."""
    if value is None or isinstance(value, bytes):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).replace("\x00", "")


def _chosen(path: Path, names: Sequence[str], inner: str, what: str) -> str:
    """The name that was asked for, exactly or in another case; raises `TableError` where there is none."""
    same = [name for name in names if name == inner] or [name for name in names if name.lower() == inner.lower()]
    if len(same) == 1:
        return same[0]
    raise TableError(f"{str(path)!r} has no {what} {inner!r}; it has {quote_list(names, 12)}.")


def _several(path: Path, names: Sequence[str], what: str) -> TableError:
    return TableError(
        f"{str(path)!r} holds several {what}: {quote_list(names, 12)}. Name one of them as {f'{path}::{names[0]}'!r}."
    )


def _damaged(path: Path, what: str, error: Exception) -> TableError:
    return TableError(f"{str(path)!r} is a damaged or truncated {what} ({_reason(error)}); copy or write it again.")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return " ".join(str(error).split()) or type(error).__name__


EXTRACTORS: dict[str, Callable[[Path, str], Converted]] = {
    "excel": from_spreadsheet,
    "feather": from_feather,
    "sqlite": from_database,
    "xz": from_xz,
    "zip": from_zip,
}
"""What copies a table out of a container of each format."""
COPY_OPTIONS: dict[str, dict[str, Any]] = {
    "excel": {"encoding": None, "delimiter": ","},
    "sqlite": {"encoding": None, "delimiter": ",", "header": True, "skip_rows": 0},
}
"""Options of reading the copies that are written as CSV."""
