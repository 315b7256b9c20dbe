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
from softreg.tables.io.file_formats import ENDINGS, SIGNATURE_BYTES, compression, file_format

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
    form: str
    packed: str | None = None
    keys: dict[str, str | None] = field(default_factory=dict)
    origin: Path | None = None
    """The pipe or container of which `path` is a copy; `copies` keep that copy until no part needs it."""
    inner: str = ""
    """The member, sheet or table of the container."""
    written: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Options of reading that are known, as softreg wrote the copy."""
    copies: tuple[object, ...] = field(default=(), compare=False, repr=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was chosen in opening it, a sentence each."""

    @property
    def file(self) -> Path:
        """The file that the caller named."""
        return self.path if self.origin is None else self.origin

    @property
    def where(self) -> str:
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
            return _folder(path)
        if path.exists() or path == STANDARD_INPUT or not glob.has_magic(str(path)) or _inner(path)[1]:
            return [_named(path)]
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
        found = [name for name in found if name.is_file()]
        if not found:
            raise TableError(f"No file matches the pattern {str(path)!r}.")
    else:
        found = [Path(name) for name in source]
        if not found:
            raise TableError("The list of files is empty; name at least one.")
    return _alike([_named(name) for name in found])


def _folder(folder: Path) -> list[SourceFile]:
    """Every file below a folder, with its partition."""
    parts = []
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
        parts.append(replace(_part(path), keys=keys))
    if not parts:
        raise TableError(
            f"{str(folder)!r} is a folder without data files (names that begin with a dot or an underscore do not "
            "count); name a file, a pattern such as 'logs/*.csv', or a folder of CSV, Parquet, Arrow or JSON files."
        )
    return _alike(parts)


def _alike(parts: Sequence[SourceFile]) -> list[SourceFile]:
    """Raise `TableError` where the files of a source differ in form or in the keys of their partition."""
    forms = {part.form for part in parts}
    if len(forms) > 1:
        some = quote_list([next(p for p in parts if p.form == form).where for form in sorted(forms)])
        raise TableError(
            f"The {pluralize(len(parts), 'file')} are of several forms ({', '.join(sorted(forms))}), such as {some}; "
            "files that are read as one table must be of one form."
        )
    keys = {tuple(part.keys) for part in parts}
    if len(keys) > 1:
        raise TableError(
            "The folders of the partitions differ in their keys: "
            f"{' and '.join(str(list(k)) for k in sorted(keys)[:3])}; each file must lie below the same keys."
        )
    return list(parts)


def _named(path: Path) -> SourceFile:
    """The file that a path names, or the table in a container; raises `TableError` where it is not there."""
    if path == STANDARD_INPUT and not path.exists():
        copy = from_standard_input()
        return replace(_part(copy.path), origin=path, copies=(copy,))
    container, inner = _inner(path)
    _check_there(container)
    part = _part(container, inner)
    if inner and part.origin is None:
        raise TableError(f"{str(container)!r} is one table, in which {inner!r} cannot be chosen; name it without.")
    return part


def _inner(path: Path) -> tuple[Path, str]:
    """The path of a container and the name of a table in it, which is empty where the path is that of a file."""
    container, sign, inner = str(path).partition(INNER_SEPARATOR)
    return (path, "") if path.exists() or not sign else (Path(container), inner)


def _part(path: Path, inner: str = "", depth: int = 0) -> SourceFile:
    """A file, opened as its first bytes and its ending say, or a copy of what it contains."""
    if is_pipe(path):
        copy = _copied(path)
        return replace(_part(copy.path, inner), origin=path, copies=(copy,))
    head = _head(path)
    packed = compression(path, head)
    form = file_format(path, head, packed)
    if form not in EXTRACTORS:
        return SourceFile(path, form, packed)
    if depth == MAX_NESTING:
        raise TableError(f"{str(path)!r} holds containers more than {MAX_NESTING} deep; unpack it.")
    held, name, notes = EXTRACTORS[form](path, inner)
    part = _part(held.path, depth=depth + 1)
    inner = name if not part.inner else f"{name}{INNER_SEPARATOR}{part.inner}" if name else part.inner
    part = replace(part, origin=path, inner=inner, copies=(held, *part.copies), notes=(*notes, *part.notes))
    return replace(part, written=COPY_OPTIONS[form]) if form in COPY_OPTIONS else part


def _head(path: Path) -> bytes:
    """The first bytes of a file, as they are stored; none where it cannot be read, which is said when it is opened."""
    try:
        with path.open("rb") as file:
            return file.read(SIGNATURE_BYTES)
    except OSError:
        return b""


def _copied(pipe: Path) -> PipeCopy:
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
    parts = re.split(rb"%([0-9A-Fa-f]{2})", text.encode())
    return b"".join(bytes([int(p, 16)]) if i % 2 else p for i, p in enumerate(parts)).decode("utf-8", "replace")


def open_bytes(part: SourceFile) -> pa.NativeFile:
    """The bytes of a file, unpacked; raises `TableError` where it cannot be opened."""
    try:
        if part.packed:
            return pa.input_stream(str(part.path), compression=part.packed)
        return pa.OSFile(str(part.path))
    except FileNotFoundError:
        raise missing_file_error(part.where) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        raise TableError(f"{part.where!r} cannot be read: {reason}.") from None


def missing_file_error(path: str) -> TableError:
    """The error for a file or folder that was there and is not there any more."""
    return TableError(
        f"{path!r} is no longer there: it was removed while the files were read. Run it again; in a folder where files "
        "come and go, name those that stay by a pattern such as 'logs/*.csv'."
    )


def open_text(part: SourceFile, encoding: str) -> Any:
    """The bytes of a text file in UTF-8, as a binary stream; `encoding` is a standard name of `encoding_name`.

    Bytes that the encoding does not have become bytes that are no UTF-8.
    """
    raw = open_bytes(part)
    return raw if encoding == "utf-8" else DecodedStream(raw, encoding)


def read_head(part: SourceFile, size: int) -> bytes:
    """The first bytes of a file, unpacked."""
    try:
        with open_bytes(part) as file:
            return bytes(file.read(size))
    except OSError as error:
        raise damaged_file_error(part, error) from None


def damaged_file_error(part: SourceFile, error: Exception) -> TableError:
    """The error for a file that ends too early or holds what its form does not allow."""
    kind = {"parquet": "Parquet file", "arrow": "Arrow file"}.get(part.form, f"{part.packed or 'text'} file")
    reason = " ".join(str(error).split())
    return TableError(f"{part.where!r} is a damaged or truncated {kind} ({reason}); copy or write it again.")


def check_text(part: SourceFile, head: bytes, *, wide: bool) -> None:
    """Raise `TableError` where the beginning of a file is no text that could be CSV or JSON.

    `wide` says that its characters have several bytes, some of which may be zero.
    """
    if head[:4] == b"PAR1":
        raise TableError(f"{part.where!r} is a Parquet file within a compressed one; unpack it.")
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            raise TableError(f"{part.where!r} is not CSV: it is {what}.")
    zero = -1 if wide else head.find(b"\x00")
    if zero >= 0:
        raise TableError(
            f"{part.where!r} is not {'JSON' if part.form == 'json' else 'CSV'}: byte {zero + 1:,} is zero, which text "
            "never holds. Expected a text file in UTF-8, or a Parquet file that ends in .parquet. If it is UTF-16, "
            "say so: --encoding utf-16-le (encoding='utf-16-le' in Python)."
        )
