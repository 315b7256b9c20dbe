"""Reader of JSON lines: one object in each line, with the same types in all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

import pyarrow as pa

from softreg.tables.columns.row_location import SkippedRow
from softreg.tables.columns.table_errors import MAX_ROW_TEXT, TableError, quote
from softreg.tables.delimited.chunked_stream import Opener
from softreg.tables.delimited.decoding import decoding_error
from softreg.tables.json_files.json_column_types import (
    MISSING,
    JsonType,
    TypeConflict,
    common_type,
    infer_type,
    to_arrow,
)
from softreg.tables.json_files.json_parser import UndecodableLine, parse_flat_object, parse_object

BLOCK_BYTES = 1 << 22
"""Bytes parsed at a time; more for a longer line."""
MAX_LINE_BYTES = 1 << 28
"""Maximum length of a line in bytes."""
MAX_CACHED_BYTES = 1 << 26
"""Bytes of parsed rows that are cached; smaller files are parsed once."""
MAX_BATCH_CELLS = 4_000_000
"""Maximum number of cells of a batch; rows with many keys come in smaller batches."""
MAX_COLUMNS = 50_000
"""Maximum number of distinct keys of a file."""


@dataclass(frozen=True)
class RowBlock:
    """Objects of consecutive lines, with their row numbers and line numbers from 1."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def append(self, number: int, line: int, value: dict[str, Any]) -> None:
        """Append an object."""
        self.objects.append(value)
        self.numbers.append(number)
        self.lines.append(line)


@dataclass
class JsonLines:
    r"""File of JSON lines; `open` returns its bytes in UTF-8 from the beginning.

    The type of a column is the one that holds all its values exactly: integers become float64 beside decimals unless
    that would round them; beyond 64 bits they are Arrow decimals; an absent key or null is missing; text is kept as
    written, and numbers or booleans beside text become text. A line raises an error, or with `skip` is left out and
    kept in `skipped` as (row, text), if it is not an object, repeats a key, holds NaN or Infinity, or holds a value
    of a conflicting type; with `skip`, text beside other types is such a conflict. Rows are the lines that are not
    blank.

    Notes
    -----
    Lines are parsed by the `json` module, not by Arrow: no malformed line can end the process.

    Examples
    --------
    >>> raw = b'{"a": 1, "b": "007"}\n{"a": 2.5}\n'
    >>> [batch.to_pylist() for batch in JsonLines(lambda: pa.BufferReader(raw), "a.jsonl").batches()]
    [[{'a': 1.0, 'b': '007'}, {'a': 2.5, 'b': None}]]
    """

    open: Opener
    display_name: str
    skip: bool = False
    encoding: str = "utf-8"
    raw: Opener | None = None
    """The bytes in the encoding of the file, where that is not UTF-8."""
    unit: str = "Line"
    """Noun for an object in messages."""
    skipped: list[SkippedRow] = field(default_factory=list)
    _cached: list[pa.RecordBatch] | None = field(init=False, default=None)
    """Cached rows of a small file."""
    _conflicts: bool = field(init=False, default=False)
    """Whether some rows hold values of other types than those before, and were left out."""
    types: dict[str, JsonType] = field(init=False)
    schema: pa.Schema = field(init=False)

    def __post_init__(self) -> None:
        self.types = {}
        cached: list[pa.RecordBatch] = []
        for block in self._blocks():
            accepted = self._accepted(block, self._widen_types)
            if sum(batch.nbytes for batch in cached) < MAX_CACHED_BYTES:
                cached += self._to_batches(accepted)
        if not self.types:
            raise TableError(f"{self.display_name!r} holds no object with a key, so the table has no columns.")
        self.schema = self._schema()
        if sum(batch.nbytes for batch in cached) < MAX_CACHED_BYTES and all(
            batch.schema == self.schema for batch in cached
        ):
            self._cached = cached

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches, from the beginning at each call."""
        if self._cached is not None:
            yield from self._cached
            return
        self.skipped.clear()
        for block in self._blocks():
            yield from self._to_batches(self._accepted(block, self._check) if self._conflicts else block)

    def _schema(self) -> pa.Schema:
        return pa.schema([pa.field(name, kind.arrow()) for name, kind in self.types.items()])

    @property
    def mixed(self) -> list[str]:
        """The columns in which numbers or booleans occur beside text; they are read as text."""
        return [name for name, kind in self.types.items() if kind.holds_mixed]

    def _to_batches(self, block: RowBlock) -> Iterator[pa.RecordBatch]:
        """Yield batches of rows with the columns found so far."""
        schema, max_rows = self._schema(), max(1, MAX_BATCH_CELLS // max(1, len(self.types)))
        for start in range(0, len(block.objects), max_rows):
            columns = [
                to_arrow(values, kind)
                for values, kind in zip(
                    _columns(block.objects[start : start + max_rows], self.types), self.types.values(), strict=True
                )
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def _accepted(self, block: RowBlock, check: Callable[[Sequence[dict[str, Any]]], None]) -> RowBlock:
        """Return the rows that `check` accepts; skip the others, or raise the error for the first of them."""
        try:
            check(block.objects)
            return block
        except TypeConflict:
            self._conflicts, accepted = True, RowBlock()
            for number, line, value in zip(block.numbers, block.lines, block.objects, strict=True):
                try:
                    check([value])
                    accepted.append(number, line, value)
                except TypeConflict as conflict:
                    self._skip_row(number, line, json.dumps(value, ensure_ascii=False), str(conflict))
            return accepted

    def _widen_types(self, rows: Sequence[dict[str, Any]]) -> None:
        """Widen the types of the columns by some rows; on a conflict, leave all types unchanged."""
        self.types |= self._widened(rows)
        if len(self.types) > MAX_COLUMNS:
            raise TableError(
                f"{self.display_name!r} holds more than {MAX_COLUMNS:,} different keys, the limit for columns."
            )

    def _check(self, rows: Sequence[dict[str, Any]]) -> None:
        """Raise `TypeConflict` for rows of other types than those found."""
        if any(kind != self.types.get(name) for name, kind in self._widened(rows).items()):
            raise TypeConflict("a value that the file did not contain in the first pass")

    def _widened(self, rows: Sequence[dict[str, Any]]) -> dict[str, JsonType]:
        """Return the types of the columns of some rows, widened to hold the rows before."""
        widened = {}
        for name, values in _by_key(rows):
            try:
                kind = common_type(infer_type(values), self.types.get(name, MISSING))
                if self.skip and kind.holds_mixed:
                    raise TypeConflict("text beside values of other types")
                widened[name] = kind
            except TypeConflict as conflict:
                raise TypeConflict(f"column {quote(name)} holds {conflict}") from None
        return widened

    def _blocks(self) -> Iterator[RowBlock]:
        """Yield the objects of about `BLOCK_BYTES` of lines at a time."""
        number = line = 0
        for raw in self._raw_blocks():
            block = RowBlock()
            try:
                lines: list[str] | list[bytes] = raw.removesuffix(b"\n").decode().split("\n")
            except UnicodeDecodeError:
                lines = list(raw.removesuffix(b"\n").split(b"\n"))
            flat = b"\\u" not in raw
            for text in lines:
                line += 1
                if not text or text.isspace():
                    continue
                number += 1
                try:
                    value = parse_flat_object(text) if flat else None
                    flat = value is not None
                    block.append(number, line, parse_object(text) if value is None else value)
                except (ValueError, RecursionError) as error:
                    self._reject_line(number, line, text, error)
            yield block

    def _raw_blocks(self) -> Iterator[bytes]:
        """Yield complete lines of about `BLOCK_BYTES` at a time, without a byte-order mark."""
        parts: list[bytes] = []
        size, started = 0, False
        try:
            stream = self.open()
            while raw := bytes(stream.read(BLOCK_BYTES)):
                raw, started = raw if started else raw.removeprefix(b"\xef\xbb\xbf"), True
                end = raw.rfind(b"\n") + 1
                size += len(raw)
                if size > MAX_LINE_BYTES:
                    raise TableError(
                        f"{self.display_name!r} holds a line of more than {MAX_LINE_BYTES >> 20} MB, the limit."
                    )
                if end:
                    yield b"".join([*parts, raw[:end]])
                    parts, size = [], len(raw) - end
                parts.append(raw[end:])
        except OSError as error:
            reason = " ".join(str(error).split())
            raise TableError(f"{self.display_name!r} is a damaged or truncated file ({reason}).") from None
        if rest := b"".join(parts):
            yield rest

    def _reject_line(self, row: int, line: int, text: str | bytes, error: Exception) -> None:
        """Skip a line that is not a JSON object, or raise the error for it."""
        if isinstance(error, UndecodableLine) and not self.skip:
            raise decoding_error(self.display_name, self.encoding, self.raw or self.open) from None
        reason = str(error)
        if isinstance(error, json.JSONDecodeError):
            reason = f"{error.msg.removesuffix(' at').lower()}, character {error.pos + 1}"
        elif "set_int_max_str_digits" in reason:
            reason = "a whole number of thousands of digits"
        plain = text if isinstance(text, str) else text.decode("utf-8", "replace")
        self._skip_row(row, line, plain.strip(), reason)

    def _skip_row(self, row: int, line: int, text: str, reason: str) -> None:
        if self.skip:
            self.skipped.append(SkippedRow(row, text[:MAX_ROW_TEXT]))
            return
        raise TableError(
            f"{self.unit} {line:,} of {self.display_name!r} cannot be read ({reason}): {quote(text, 80)}. Expected an "
            "object "
            f'like {{"a": 1}}, with values of the same type in all of them. Correct it, or leave such '
            f"{self.unit.lower()}s out with --bad-rows skip (bad_rows='skip' in Python)."
        ) from None


def _by_key(rows: Sequence[dict[str, Any]]) -> Iterable[tuple[str, Sequence[Any]]]:
    """Return the values of each key in some rows; a row without the key gives None, or no value if keys are rare.

    Returns
    -------
    iterable of (str, sequence)
    """
    names = dict.fromkeys(chain.from_iterable(rows))
    if len(names) * len(rows) <= 2 * sum(map(len, rows)):
        return zip(names, _columns(rows, names), strict=True)
    values: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows:
        for name, value in row.items():
            values[name].append(value)
    return values.items()


def _columns(rows: Sequence[dict[str, Any]], names: Iterable[str]) -> Iterator[list[Any]]:
    """Yield the values of each name in all rows; None if a row lacks it."""
    for name in names:
        try:
            yield list(map(itemgetter(name), rows))
        except KeyError:
            yield [row.get(name) for row in rows]
