"""Tables in containers (zip, xz, spreadsheets, databases): each is copied once to a temporary file."""

from __future__ import annotations

import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from shutil import copyfileobj
from typing import IO, Any

import pyarrow as pa

from softreg.files.formats import ENDINGS, PICTURE_ENDINGS
from softreg.files.temporary_copies import TemporaryCopy
from softreg.tables.columns.table_errors import TableError, pluralize
from softreg.tables.io.extracted_table import (
    ExtractedTable,
    damaged_message,
    error_reason,
    match_name,
    several_message,
    write_csv,
)
from softreg.tables.io.spreadsheets import sheet_rows
from softreg.tables.io.sqlite_database import from_database

EXTRA_ENDINGS = (".xlsx", ".xls", ".ods", ".db", ".sqlite", ".sqlite3")
"""Endings of members of an archive that are tables, besides `ENDINGS`."""
DOCUMENTS = (".txt",)
"""Endings of members that are tables only if no other member is."""


def copy_standard_input() -> TemporaryCopy:
    """Return a copy of standard input, whose first bytes determine its format."""

    def write(file: IO[bytes]) -> None:
        copyfileobj(sys.stdin.buffer, file)

    try:
        copy = TemporaryCopy("stdin", write)
    except OSError as error:
        raise TableError(f"Standard input cannot be copied to a temporary file: {error_reason(error)}.") from None
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
        raise TableError(damaged_message(path, "xz file", error)) from None


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
        raise TableError(damaged_message(path, "zip archive", error)) from None


def _member(path: Path, archive: zipfile.ZipFile, inner: str) -> tuple[str, list[str]]:
    """Return the name of the member to extract, and notes on the choice."""
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if inner:
        return match_name(path, names, inner, "member"), []
    shown = [name for name in names if not Path(name).name.startswith((".", "_")) and "__MACOSX" not in name]
    tables = [name for name in shown if Path(name).suffix.lower() in {*ENDINGS, *EXTRA_ENDINGS}]
    likely = [name for name in tables if Path(name).suffix.lower() not in DOCUMENTS] or tables or shown
    if not likely:
        raise TableError(f"{str(path)!r} is a zip archive without a file in it.")
    if any(Path(name).suffix.lower() in PICTURE_ENDINGS for name in likely):
        raise TableError(f"{str(path)!r} is a zip archive of pictures; unpack it, and name the folder of the pictures.")
    if len(likely) > 1:
        raise TableError(several_message(path, likely, "tables"))
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
    return ExtractedTable(TemporaryCopy("sheet.csv", lambda file: write_csv(file, sheet.rows)), sheet.name, sheet.notes)


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
        raise TableError(damaged_message(path, "Feather file", error)) from None


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
