"""Which files a source means: a file, a pattern, a folder of partitions; and what form each has."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from softreg.files import PipeCopy, is_pipe
from softreg.tables.decoding import DecodedStream
from softreg.tables.errors import TableError, listed, plural

PARQUET_ENDINGS = (".parquet", ".pq", ".parq")
ARROW_ENDINGS = (".arrow", ".feather", ".ipc", ".arrows")
JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".tab", ".dat", ".data", ".psv")
PACKED = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2"}
ENDINGS = frozenset((*PARQUET_ENDINGS, *ARROW_ENDINGS, *JSON_ENDINGS, *TEXT_ENDINGS, *PACKED))
_NULL = "__HIVE_DEFAULT_PARTITION__"
_MAGIC = {
    b"PK\x03\x04": "a zip archive or a spreadsheet; save the sheet as 'CSV UTF-8' and use that file",
    b"\x1f\x8b": "compressed with gzip; give it the ending .csv.gz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; give it the ending .csv.zst",
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF document",
}


@dataclass(frozen=True)
class Part:
    """One file of a source: its form ("csv", "tsv", "parquet", "arrow" or "json"), how it is packed, and the values of
    its partition."""

    path: Path
    form: str
    packed: str | None = None
    keys: dict[str, str | None] = field(default_factory=dict)
    pipe: Path | None = None
    """The pipe of which `path` is a copy; `copy` keeps that copy until no part needs it."""
    copy: PipeCopy | None = field(default=None, compare=False, repr=False)

    @property
    def where(self) -> str:
        """The name of the file for messages."""
        return str(self.path if self.pipe is None else self.pipe)


def is_source(data: Any) -> bool:
    """Whether data are the path of a file or folder, a pattern, or a list of paths.

    Example:
        >>> is_source("a.csv"), is_source(["a.csv", Path("b.csv")]), is_source([1, 2])
        (True, True, False)
    """
    if isinstance(data, list | tuple):
        return all(isinstance(path, str | os.PathLike) for path in data)
    return isinstance(data, str | os.PathLike)


def find_parts(source: Any) -> list[Part]:
    """The files that a source means, in the order of their names.

    A source is a file; a pattern with `*`, `?` or `[...]` (`**` for any depth) where no file has that very name; a
    folder, of which every file is taken whose name does not begin with a dot or an underscore, with columns from
    folders named `key=value`; or a list of files. A pipe, which can be read only once, is copied into a temporary file.

    Raises `TableError`: nothing there, or files that do not belong together.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.is_dir():
            return _folder(path)
        if path.exists() or not glob.has_magic(str(path)):
            _check_there(path)
            return [_part(path)]
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
        found = [name for name in found if name.is_file()]
        if not found:
            raise TableError(f"No file matches the pattern {str(path)!r}.")
    else:
        found = [Path(name) for name in source]
        if not found:
            raise TableError("The list of files is empty; name at least one.")
        for name in found:
            _check_there(name)
    return _alike([_part(name) for name in found])


def _folder(folder: Path) -> list[Part]:
    """Every file below a folder, with its partition."""
    parts = []
    try:
        found = sorted(folder.rglob("*"))
    except FileNotFoundError as error:
        raise gone(str(error.filename)) from None
    for path in found:
        inner = path.relative_to(folder).parts
        if not path.is_file() or any(name.startswith((".", "_")) for name in inner):
            continue
        keys: dict[str, str | None] = {}
        for name in inner[:-1]:
            key, sign, value = name.partition("=")
            if sign:
                keys[unquote(key)] = None if value == _NULL else unquote(value)
        part = _part(path)
        parts.append(Part(part.path, part.form, part.packed, keys))
    if not parts:
        raise TableError(
            f"{str(folder)!r} is a folder without data files (names that begin with a dot or an underscore do not "
            "count); name a file, a pattern such as 'logs/*.csv', or a folder of CSV, Parquet, Arrow or JSON files."
        )
    return _alike(parts)


def _alike(parts: Sequence[Part]) -> list[Part]:
    """Raise `TableError` where the files of a source differ in form or in the keys of their partition."""
    forms = {part.form for part in parts}
    if len(forms) > 1:
        some = listed([next(p for p in parts if p.form == form).where for form in sorted(forms)])
        raise TableError(
            f"The {plural(len(parts), 'file')} are of several forms ({', '.join(sorted(forms))}), such as {some}; "
            "files that are read as one table must be of one form."
        )
    keys = {tuple(part.keys) for part in parts}
    if len(keys) > 1:
        raise TableError(
            "The folders of the partitions differ in their keys: "
            f"{' and '.join(str(list(k)) for k in sorted(keys)[:3])}; each file must lie below the same keys."
        )
    return list(parts)


def _part(path: Path) -> Part:
    if is_pipe(path):
        copy = _copied(path)
        return replace(_part(copy.path), pipe=path, copy=copy)
    name = path.name.lower()
    packed = PACKED.get(Path(name).suffix)
    ending = Path(name).suffixes[-2] if packed and len(Path(name).suffixes) > 1 else Path(name).suffix
    if ending in PARQUET_ENDINGS:
        return Part(path, "parquet", packed)
    if ending in ARROW_ENDINGS:
        return Part(path, "arrow", packed)
    if ending in JSON_ENDINGS:
        return Part(path, "json", packed)
    return Part(path, "tsv" if ending in (".tsv", ".tab") else "csv", packed)


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
    guess = f" Nearest by name: {listed(near)}." if near else ""
    raise TableError(f"There is no file {str(path)!r}; its folder holds {plural(len(beside), 'file')}.{guess}")


def unquote(text: str) -> str:
    """Text in which `%2F` and the like stand for characters that no folder can have.

    Example:
        >>> unquote("a%2Fb%20%C3%A9")
        'a/b é'
    """
    parts = re.split(rb"%([0-9A-Fa-f]{2})", text.encode())
    return b"".join(bytes([int(p, 16)]) if i % 2 else p for i, p in enumerate(parts)).decode("utf-8", "replace")


def open_bytes(part: Part) -> pa.NativeFile:
    """The bytes of a file, unpacked; raises `TableError` where it cannot be opened."""
    try:
        if part.packed:
            return pa.input_stream(str(part.path), compression=part.packed)
        return pa.OSFile(str(part.path))
    except FileNotFoundError:
        raise gone(part.where) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        raise TableError(f"{part.where!r} cannot be read: {reason}.") from None


def gone(path: str) -> TableError:
    """The error for a file or folder that was there and is not there any more."""
    return TableError(
        f"{path!r} is no longer there: it was removed while the files were read. Run it again; in a folder where files "
        "come and go, name those that stay by a pattern such as 'logs/*.csv'."
    )


def open_text(part: Part, encoding: str) -> Any:
    """The bytes of a text file in UTF-8, as a binary stream; `encoding` is a standard name of `encoding_name`.

    Bytes that the encoding does not have become bytes that are no UTF-8.
    """
    raw = open_bytes(part)
    return raw if encoding == "utf-8" else DecodedStream(raw, encoding)


def read_head(part: Part, size: int) -> bytes:
    """The first bytes of a file, unpacked."""
    try:
        with open_bytes(part) as file:
            return bytes(file.read(size))
    except OSError as error:
        raise damaged(part, error) from None


def damaged(part: Part, error: Exception) -> TableError:
    """The error for a file that ends too early or holds what its form does not allow."""
    kind = {"parquet": "Parquet file", "arrow": "Arrow file"}.get(part.form, f"{part.packed or 'text'} file")
    reason = " ".join(str(error).split())
    return TableError(f"{part.where!r} is a damaged or truncated {kind} ({reason}); copy or write it again.")


def check_text(part: Part, head: bytes, *, wide: bool) -> None:
    """Raise `TableError` where the beginning of a file is no text that could be CSV or JSON.

    `wide` says that its characters have several bytes, some of which may be zero.
    """
    if head[:4] == b"PAR1":
        raise TableError(f"{part.where!r} is a Parquet file; rename it to {part.path.with_suffix('.parquet').name!r}.")
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
