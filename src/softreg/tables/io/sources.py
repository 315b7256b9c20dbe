"""Which files a source means: a file, a pattern, a folder of partitions; and what form each has."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from softreg.files import PipeCopy, is_pipe
from softreg.tables.columns.errors import TableError, pluralize, quote_list
from softreg.tables.delimited.decoding import DecodedStream
from softreg.tables.io.containers import COPY_OPTIONS, EXTRACTORS, from_standard_input
from softreg.tables.io.file_formats import ENDINGS, SIGNATURE_BYTES, detect_compression, file_format

_NULL = "__HIVE_DEFAULT_PARTITION__"
_MAGIC = {b"\x89PNG": "a PNG picture", b"%PDF": "a PDF document", b"\xff\xd8\xff": "a JPEG picture"}
STANDARD_INPUT = Path("-")
INNER_SEPARATOR = "::"
"""Stands between the path of a container and the name of a table in it."""
MAX_NESTING = 3
"""Containers in one another, at most."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a source: its form ("csv", "tsv", "parquet", "arrow" or "json"), how it is compressed, and the values
    of its partition."""

    path: Path
    format: str
    compression: str | None = None
    keys: dict[str, str | None] = field(default_factory=dict)
    origin: Path | None = None
    """The pipe or container of which `path` is a copy; `copies` keep that copy until no part needs it."""
    inner: str = ""
    """The member, sheet or table of the container."""
    read_options: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Options of reading that are known, as softreg wrote the copy."""
    copies: tuple[object, ...] = field(default=(), compare=False, repr=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was chosen in opening it, a sentence each."""

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
    """Whether data are the path of a file or folder, a pattern, or a list of paths.

    Example:
        >>> is_source("a.csv"), is_source(["a.csv", Path("b.csv")]), is_source([1, 2])
        (True, True, False)
    """
    if isinstance(data, list | tuple):
        return all(isinstance(path, str | os.PathLike) for path in data)
    return isinstance(data, str | os.PathLike)


def find_source_files(source: Any) -> list[SourceFile]:
    """The files that a source means, in the order of their names.

    A source is a file; a pattern with `*`, `?` or `[...]` (`**` for any depth) where no file has that very name; a
    folder, of which every file is taken whose name does not begin with a dot or an underscore, with columns from
    folders named `key=value`; or a list of files. `container::name` is one table of a database, one sheet of a workbook
    or one member of a zip archive. `-` is standard input. Containers, files of xz, and pipes, which can be read only
    once, are copied into temporary files.

    Raises `TableError`: nothing there, or files that do not belong together.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.is_dir():
            return _folder_sources(path)
        if path.exists() or path == STANDARD_INPUT or not glob.has_magic(str(path)) or _split_inner(path)[1]:
            return [_resolve(path)]
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
        found = [name for name in found if name.is_file()]
        if not found:
            raise TableError(f"No file matches the pattern {str(path)!r}.")
    else:
        found = [Path(name) for name in source]
        if not found:
            raise TableError("The list of files is empty; name at least one.")
    return _check_alike([_resolve(name) for name in found])


def _folder_sources(folder: Path) -> list[SourceFile]:
    """Every file below a folder, with its partition."""
    sources = []
    try:
        found = sorted(folder.rglob("*"))
    except FileNotFoundError as error:
        raise missing_file_error(str(error.filename)) from None
    for path in found:
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
            "count); name a file, a pattern such as 'logs/*.csv', or a folder of CSV, Parquet, Arrow or JSON files."
        )
    return _check_alike(sources)


def _check_alike(sources: Sequence[SourceFile]) -> list[SourceFile]:
    """Raise `TableError` where the files of a source differ in form or in the keys of their partition."""
    formats = {source.format for source in sources}
    if len(formats) > 1:
        some = quote_list([next(s for s in sources if s.format == name).display_name for name in sorted(formats)])
        raise TableError(
            f"The {pluralize(len(sources), 'file')} are of several forms ({', '.join(sorted(formats))}), such as "
            f"{some}; files that are read as one table must be of one form."
        )
    keys = {tuple(source.keys) for source in sources}
    if len(keys) > 1:
        raise TableError(
            "The folders of the partitions differ in their keys: "
            f"{' and '.join(str(list(k)) for k in sorted(keys)[:3])}; each file must lie below the same keys."
        )
    return list(sources)


def _resolve(path: Path) -> SourceFile:
    """The file that a path names, or the table in a container; raises `TableError` where it is not there."""
    if path == STANDARD_INPUT and not path.exists():
        copy = from_standard_input()
        return replace(_open_source(copy.path), origin=path, copies=(copy,))
    container, inner = _split_inner(path)
    _check_there(container)
    source = _open_source(container, inner)
    if inner and source.origin is None:
        raise TableError(f"{str(container)!r} is one table, in which {inner!r} cannot be chosen; name it without.")
    return source


def _split_inner(path: Path) -> tuple[Path, str]:
    """The path of a container and the name of a table in it, which is empty where the path is that of a file."""
    container, sign, inner = str(path).partition(INNER_SEPARATOR)
    return (path, "") if path.exists() or not sign else (Path(container), inner)


def _open_source(path: Path, inner: str = "", depth: int = 0) -> SourceFile:
    """A file, opened as its first bytes and its ending say, or a copy of what it contains."""
    if is_pipe(path):
        copy = _copy_pipe(path)
        return replace(_open_source(copy.path, inner), origin=path, copies=(copy,))
    head = _first_bytes(path)
    compression = detect_compression(path, head)
    form = file_format(path, head, compression)
    if form not in EXTRACTORS:
        return SourceFile(path, form, compression)
    if depth == MAX_NESTING:
        raise TableError(f"{str(path)!r} holds containers more than {MAX_NESTING} deep; unpack it.")
    held, name, notes = EXTRACTORS[form](path, inner)
    source = _open_source(held.path, depth=depth + 1)
    inner = name if not source.inner else f"{name}{INNER_SEPARATOR}{source.inner}" if name else source.inner
    source = replace(source, origin=path, inner=inner, copies=(held, *source.copies), notes=(*notes, *source.notes))
    return replace(source, read_options=COPY_OPTIONS[form]) if form in COPY_OPTIONS else source


def _first_bytes(path: Path) -> bytes:
    """The first bytes of a file, as they are stored; none where it cannot be read, which is said when it is opened."""
    try:
        with path.open("rb") as file:
            return file.read(SIGNATURE_BYTES)
    except OSError:
        return b""


def _copy_pipe(pipe: Path) -> PipeCopy:
    """A copy of what comes through a pipe, which can be read only once."""
    try:
        return PipeCopy(pipe, ENDINGS)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        raise TableError(f"{str(pipe)!r} cannot be copied to a temporary file: {reason}.") from None


def _check_there(path: Path) -> None:
    """Raise `TableError` where there is no such file, with files of nearly that name beside it."""
    if path.exists():
        return
    from difflib import get_close_matches

    if not path.parent.is_dir():
        raise TableError(f"There is no file {str(path)!r}: the folder {str(path.parent)!r} does not exist.")
    beside = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    near = get_close_matches(path.name, beside, n=3)
    guess = f" Nearest by name: {quote_list(near)}." if near else ""
    raise TableError(f"There is no file {str(path)!r}; its folder holds {pluralize(len(beside), 'file')}.{guess}")


def unquote(text: str) -> str:
    """Text in which `%2F` and the like stand for characters that no folder can have.

    Example:
        >>> unquote("a%2Fb%20%C3%A9")
        'a/b é'
    """
    pieces = re.split(rb"%([0-9A-Fa-f]{2})", text.encode())
    return b"".join(bytes([int(p, 16)]) if i % 2 else p for i, p in enumerate(pieces)).decode("utf-8", "replace")


def open_bytes(source: SourceFile) -> pa.NativeFile:
    """The bytes of a file, unpacked; raises `TableError` where it cannot be opened."""
    try:
        if source.compression:
            return pa.input_stream(str(source.path), compression=source.compression)
        return pa.OSFile(str(source.path))
    except FileNotFoundError:
        raise missing_file_error(source.display_name) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        raise TableError(f"{source.display_name!r} cannot be read: {reason}.") from None


def missing_file_error(path: str) -> TableError:
    """The error for a file or folder that was there and is not there any more."""
    return TableError(
        f"{path!r} is no longer there: it was removed while the files were read. Run it again; in a folder where files "
        "come and go, name those that stay by a pattern such as 'logs/*.csv'."
    )


def open_text(source: SourceFile, encoding: str) -> Any:
    """The bytes of a text file in UTF-8, as a binary stream; `encoding` is a standard name of `encoding_name`.

    Bytes that the encoding does not have become bytes that are no UTF-8.
    """
    raw = open_bytes(source)
    return raw if encoding == "utf-8" else DecodedStream(raw, encoding)


def read_head(source: SourceFile, size: int) -> bytes:
    """The first bytes of a file, unpacked."""
    try:
        with open_bytes(source) as file:
            return bytes(file.read(size))
    except OSError as error:
        raise damaged_file_error(source, error) from None


def damaged_file_error(source: SourceFile, error: Exception) -> TableError:
    """The error for a file that ends too early or holds what its form does not allow."""
    kind = {"parquet": "Parquet file", "arrow": "Arrow file"}.get(source.format, f"{source.compression or 'text'} file")
    reason = " ".join(str(error).split())
    return TableError(f"{source.display_name!r} is a damaged or truncated {kind} ({reason}); copy or write it again.")


def check_text(source: SourceFile, head: bytes, *, wide: bool) -> None:
    """Raise `TableError` where the beginning of a file is no text that could be CSV or JSON.

    `wide` says that its characters have several bytes, some of which may be zero.
    """
    if head[:4] == b"PAR1":
        raise TableError(f"{source.display_name!r} is a Parquet file within a compressed one; unpack it.")
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise TableError(f"{source.display_name!r} is not CSV: it is {what}.")
    zero = -1 if wide else head.find(b"\x00")
    if zero >= 0:
        raise TableError(
            f"{source.display_name!r} is not {'JSON' if source.format == 'json' else 'CSV'}: byte {zero + 1:,} is "
            "zero, which text "
            "never holds. Expected a text file in UTF-8, or a Parquet file that ends in .parquet. If it is UTF-16, "
            "say so: --encoding utf-16-le (encoding='utf-16-le' in Python)."
        )
