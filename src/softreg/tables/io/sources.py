"""Files of a source: a path, a pattern, a folder of partitions or a list; and the format of each file."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from softreg.files import streams
from softreg.files.formats import FORMAT_NAMES, PARQUET_MAGIC, DataFile, detect_file
from softreg.files.temporary_copies import PipeCopy, is_pipe
from softreg.tables.columns.table_errors import TableError, pluralize, quote_list
from softreg.tables.delimited.chunked_stream import BinaryReader
from softreg.tables.delimited.decoding import DecodedStream
from softreg.tables.io.containers import COPY_OPTIONS, EXTRACTORS, copy_standard_input

_NULL = "__HIVE_DEFAULT_PARTITION__"
_MAGIC = {b"\x89PNG": "a PNG picture", b"%PDF": "a PDF document", b"\xff\xd8\xff": "a JPEG picture"}
STANDARD_INPUT = Path("-")
INNER_SEPARATOR = "::"
"""Separator of the path of a container and the name of a table in it."""
MAX_NESTING = 3
"""Maximum nesting depth of containers."""


@dataclass(frozen=True)
class SourceFile(DataFile):
    """One file of a source.

    Attributes
    ----------
    path : Path
        File that is read.
    format : str
        "csv", "tsv", "parquet", "arrow" or "json".
    compression : str or None
        "gzip", "zstd", "bz2" or None.
    keys : dict of str to str
        Values of its partition.
    origin : Path or None
        Pipe or container of which `path` is a copy; `copies` keep that copy alive.
    inner : str
        Member, sheet or table of the container.
    read_options : mapping
        Options of reading that are known, as softreg wrote the copy.
    notes : tuple of str
        Choices made in opening it.
    size : int or None
        Bytes of the values in memory, if they are not those of the file.
    """

    keys: dict[str, str | None] = field(default_factory=dict)
    origin: Path | None = None
    """The pipe or container of which `path` is a copy; `copies` keep that copy until no part needs it."""
    inner: str = ""
    """The member, sheet or table of the container."""
    read_options: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Options of reading that are known, as softreg wrote the copy."""
    copies: tuple[object, ...] = field(default=(), compare=False, repr=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    """Choices made in opening it, one sentence each."""
    size: int | None = None
    """Bytes of the values in memory, if they are not those of the file."""

    @property
    def file(self) -> Path:
        """The file that the caller named."""
        return self.path if self.origin is None else self.origin

    @property
    def display_name(self) -> str:
        """The name of the file for messages."""
        if self.file == STANDARD_INPUT:
            return "standard input"
        return f"{self.file}{INNER_SEPARATOR}{self.inner}" if self.inner else str(self.file)


def is_source(data: Any) -> bool:
    """Return True if data are the path of a file or folder, a pattern, or a list of paths.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_source("a.csv"), is_source(["a.csv", Path("b.csv")]), is_source([1, 2])
    (True, True, False)
    """
    if isinstance(data, list | tuple):
        return all(isinstance(path, str | os.PathLike) for path in data)
    return isinstance(data, str | os.PathLike)


def find_source_files(source: Any) -> list[SourceFile]:
    """Return the files of a source, sorted by name.

    A source is a file; a pattern with `*`, `?` or `[...]` (`**` for any depth) if no file has that exact name; a
    folder, with all files whose names do not begin with a dot or an underscore, and with columns from folders named
    `key=value`; or a list of files. `container::name` is one table of a database, one sheet of a workbook or one
    member of a zip archive. `-` is standard input. Containers, xz files, and pipes, which can be read only once, are
    copied to temporary files.

    Parameters
    ----------
    source : str, os.PathLike or list
        Source.

    Returns
    -------
    list of SourceFile

    Raises
    ------
    TableError
        If nothing is found, or the files do not match each other.
    """
    paths = named_paths(source)
    if isinstance(source, str | os.PathLike) and paths[0].is_dir():
        return _folder_sources(paths[0])
    return _check_consistent([_resolve(name) for name in paths])


def named_paths(source: Any) -> list[Path]:
    """Return the paths that a source names: a path, the files of a pattern, or a list.

    Parameters
    ----------
    source : str, os.PathLike or list
        Source.

    Returns
    -------
    list of Path

    Raises
    ------
    TableError
        If no file matches a pattern, or the list is empty.

    Examples
    --------
    >>> named_paths("a.csv"), named_paths(["a.png", "b.png"])
    ([PosixPath('a.csv')], [PosixPath('a.png'), PosixPath('b.png')])
    """
    if not isinstance(source, str | os.PathLike):
        paths = [Path(name) for name in source]
        if not paths:
            raise TableError("The list of files is empty; name at least one.")
        return paths
    path = Path(source)
    if path.exists() or path == STANDARD_INPUT or not glob.has_magic(str(path)) or split_inner(path)[1]:
        return [path]
    paths = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    paths = [name for name in paths if name.is_file()]
    if not paths:
        raise TableError(f"No file matches the pattern {str(path)!r}.")
    return paths


def _folder_sources(folder: Path) -> list[SourceFile]:
    """Return every file below a folder, with its partition."""
    sources = []
    try:
        paths = sorted(folder.rglob("*"))
    except FileNotFoundError as error:
        raise TableError(missing_file_message(str(error.filename))) from None
    for path in paths:
        inner = path.relative_to(folder).parts
        if not path.is_file() or any(name.startswith((".", "_")) for name in inner):
            continue
        keys: dict[str, str | None] = {}
        for name in inner[:-1]:
            key, sign, value = name.partition("=")
            if sign:
                keys[unquote(key)] = None if value == _NULL else unquote(value)
        sources.append(replace(_open_source(path), keys=keys))
    if not sources:
        raise TableError(
            f"{str(folder)!r} is a folder without data files (names that begin with a dot or an underscore do not "
            "count); name a file, a pattern such as 'logs/*.csv', or a folder of CSV, Parquet, Arrow or JSON files, or "
            "of pictures."
        )
    return _check_consistent(sources)


def _check_consistent(sources: Sequence[SourceFile]) -> list[SourceFile]:
    """Raise `TableError` if the files of a source differ in format or in the keys of their partition."""
    formats = {source.format for source in sources}
    if len(formats) > 1:
        examples = quote_list([next(s for s in sources if s.format == name).display_name for name in sorted(formats)])
        raise TableError(
            f"The {pluralize(len(sources), 'file')} have several formats ({', '.join(sorted(formats))}), such as "
            f"{examples}; files that are read as one table must have the same format."
        )
    keys = {tuple(source.keys) for source in sources}
    if len(keys) > 1:
        raise TableError(
            "The folders of the partitions differ in their keys: "
            f"{' and '.join(str(list(k)) for k in sorted(keys)[:3])}; all files must have the same keys."
        )
    return list(sources)


def _resolve(path: Path) -> SourceFile:
    """Return the file at a path, or the table in a container; raise `TableError` if it does not exist."""
    if path == STANDARD_INPUT and not path.exists():
        copy = copy_standard_input()
        return replace(_open_source(copy.path), origin=path, copies=(copy,))
    container, inner = split_inner(path)
    check_exists(container)
    source = _open_source(container, inner)
    if inner and source.origin is None:
        raise TableError(f"{str(container)!r} is a single table, so {inner!r} cannot be selected; omit it.")
    return source


def split_inner(path: Path) -> tuple[Path, str]:
    """Return the path of a container and the name of a table in it; the name is empty for a file."""
    container, sign, inner = str(path).partition(INNER_SEPARATOR)
    return (path, "") if path.exists() or not sign else (Path(container), inner)


def _open_source(path: Path, inner: str = "", depth: int = 0) -> SourceFile:
    """Return a file with its format and compression, or a copy of the table in a container."""
    if is_pipe(path):
        copy = _copy_pipe(path)
        return replace(_open_source(copy.path, inner), origin=path, copies=(copy,))
    file = detect_file(path)
    form = file.format
    if form not in EXTRACTORS:
        return SourceFile(path, form, file.compression)
    if depth == MAX_NESTING:
        raise TableError(f"{str(path)!r} holds containers more than {MAX_NESTING} deep; unpack it.")
    table = EXTRACTORS[form](path, inner)
    source = _open_source(table.copy.path, depth=depth + 1)
    inner = INNER_SEPARATOR.join(name for name in (table.name, source.inner) if name)
    copies, notes = (table.copy, *source.copies), (*table.notes, *source.notes)
    source = replace(source, origin=path, inner=inner, copies=copies, notes=notes)
    return replace(source, read_options=COPY_OPTIONS[form]) if form in COPY_OPTIONS else source


def _copy_pipe(pipe: Path) -> PipeCopy:
    """Return a copy of the data of a pipe, which can be read only once."""
    try:
        return PipeCopy(pipe)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        raise TableError(f"{str(pipe)!r} cannot be copied to a temporary file: {reason}.") from None


def check_exists(path: Path) -> None:
    """Raise `TableError` if there is no such file or folder, with files and folders of similar names."""
    if path.exists() or path.is_symlink():
        return
    from difflib import get_close_matches

    if not path.parent.is_dir():
        raise TableError(f"There is no file or folder {str(path)!r}: the folder {str(path.parent)!r} does not exist.")
    is_folder = {entry.name: entry.is_dir() for entry in path.parent.iterdir()}
    near = get_close_matches(path.name, list(is_folder), n=3)
    guess = f" Nearest by name: {quote_list(near)}." if near else ""
    folders = sum(is_folder.values())
    held = pluralize(len(is_folder) - folders, "file") + (f" and {pluralize(folders, 'folder')}" if folders else "")
    raise TableError(f"There is no file or folder {str(path)!r}; its folder holds {held}.{guess}")


def unquote(text: str) -> str:
    """Decode `%2F` and other escapes of characters that folder names cannot have.

    Returns
    -------
    str

    Examples
    --------
    >>> unquote("a%2Fb%20%C3%A9")
    'a/b é'
    """
    pieces = re.split(rb"%([0-9A-Fa-f]{2})", text.encode())
    return b"".join(bytes([int(p, 16)]) if i % 2 else p for i, p in enumerate(pieces)).decode("utf-8", "replace")


def open_bytes(source: SourceFile) -> pa.NativeFile:
    """Return the bytes of a file, decompressed; raise `TableError` if it cannot be opened."""
    try:
        return streams.open_bytes(source)
    except FileNotFoundError:
        raise TableError(missing_file_message(source.display_name)) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        raise TableError(f"{source.display_name!r} cannot be read: {reason}.") from None


def missing_file_message(path: str) -> str:
    """Return the message for a file or folder that was removed while it was read."""
    return (
        f"{path!r} no longer exists: it was removed while the files were read. Run it again; in a folder whose files "
        "change, select the permanent ones by a pattern such as 'logs/*.csv'."
    )


def open_text(source: SourceFile, encoding: str) -> BinaryReader:
    """Return the bytes of a text file in UTF-8, as a binary stream.

    Undecodable bytes become bytes that are not UTF-8.

    Parameters
    ----------
    source : SourceFile
        File.
    encoding : str
        Standard name, see `encoding_name`.

    Returns
    -------
    binary stream
    """
    raw = open_bytes(source)
    return raw if encoding == "utf-8" else DecodedStream(raw, encoding)


def read_head(source: SourceFile, size: int) -> bytes:
    """Return the first bytes of a file, decompressed."""
    try:
        with open_bytes(source) as file:
            return bytes(file.read(size))
    except OSError as error:
        raise TableError(damaged_file_message(source, error)) from None


def damaged_file_message(source: SourceFile, error: Exception) -> str:
    """Return the message for a file that is truncated or violates its format."""
    typed = source.format in ("parquet", "arrow")
    kind = FORMAT_NAMES[source.format] if typed else f"{source.compression or 'text'} file"
    reason = " ".join(str(error).split())
    return f"{source.display_name!r} is a damaged or truncated {kind} ({reason}); copy or write it again."


def check_text(source: SourceFile, head: bytes, *, wide: bool) -> None:
    """Raise `TableError` if the beginning of a file is not text that could be CSV or JSON.

    Parameters
    ----------
    source : SourceFile
        File.
    head : bytes
        Its first bytes, decompressed.
    wide : bool
        True if characters have several bytes, some of which may be zero.

    Raises
    ------
    TableError
        If the file has a binary format or contains zero bytes.
    """
    if head.startswith(PARQUET_MAGIC):
        raise TableError(f"{source.display_name!r} is a Parquet file within a compressed one; unpack it.")
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise TableError(f"{source.display_name!r} is not CSV: it is {what}.")
    zero = -1 if wide else head.find(b"\x00")
    if zero >= 0:
        raise TableError(
            f"{source.display_name!r} is not {'JSON' if source.format == 'json' else 'CSV'}: byte {zero + 1:,} is "
            "zero, which is not valid "
            "in text. Expected a text file in UTF-8, or a Parquet file that ends in .parquet. If it is UTF-16, "
            "specify it: --encoding utf-16-le (encoding='utf-16-le' in Python)."
        )
