"""Reader of JSON lines: one object in each line, with the same types in all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

import pyarrow as pa

from softreg.tables.columns.errors import MAX_ROW_TEXT, TableError, quote
from softreg.tables.delimited.chunked_stream import Opener
from softreg.tables.delimited.decoding import decoding_error
from softreg.tables.json_files.json_parser import UndecodableLine, parse_flat_object, parse_object
from softreg.tables.json_files.json_types import (
    MISSING,
    JsonType,
    TypeConflict,
    common_type,
    infer_type,
    to_arrow,
)

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

Row = tuple[int, int, dict[str, Any]]
"""Row number, line number and object."""


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
    skipped: list[tuple[int, str]] = field(default_factory=list)
    _held: list[pa.RecordBatch] | None = field(init=False, default=None)
    """Cached rows of a small file."""
    _conflicts: bool = field(init=False, default=False)
    """Whether some rows hold values of other types than those before, and were left out."""
    types: dict[str, JsonType] = field(init=False)
    schema: pa.Schema = field(init=False)

    def __post_init__(self) -> None:
        self.types = {}
        held: list[pa.RecordBatch] = []
        for rows in self._blocks():
            good = self._usable(rows, self._learn)
            if sum(batch.nbytes for batch in held) < MAX_CACHED_BYTES:
                held += self._made(good)
        if not self.types:
            raise TableError(f"{self.display_name!r} holds no object with a key, so the table has no columns.")
        self.schema = self._schema()
        if sum(batch.nbytes for batch in held) < MAX_CACHED_BYTES and all(
            batch.schema == self.schema for batch in held
        ):
            self._held = held

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches, from the beginning at each call."""
        if self._held is not None:
            yield from self._held
            return
        self.skipped.clear()
        for rows in self._blocks():
            yield from self._made(self._usable(rows, self._check) if self._conflicts else rows)

    def _schema(self) -> pa.Schema:
        return pa.schema([pa.field(name, kind.arrow()) for name, kind in self.types.items()])

    @property
    def mixed(self) -> list[str]:
        """The columns in which numbers or booleans occur beside text; they are read as text."""
        return [name for name, kind in self.types.items() if kind.holds_mixed]

    def _made(self, rows: list[Row]) -> Iterator[pa.RecordBatch]:
        """Yield batches of rows with the columns found so far."""
        schema, most = self._schema(), max(1, MAX_BATCH_CELLS // max(1, len(self.types)))
        for start in range(0, len(rows), most):
            some = [row for _, _, row in rows[start : start + most]]
            values = _columns(some, self.types)
            columns = [to_arrow(own, kind) for own, kind in zip(values, self.types.values(), strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def _usable(self, rows: list[Row], take: Callable[[Sequence[dict[str, Any]]], None]) -> list[Row]:
        """Return the rows that `take` accepts; leave out the others, or raise the error for the first of them."""
        try:
            take([row for _, _, row in rows])
            return rows
        except TypeConflict:
            self._conflicts, good = True, []
            for number, line, row in rows:
                try:
                    take([row])
                    good.append((number, line, row))
                except TypeConflict as conflict:
                    self._leave_out(number, line, json.dumps(row, ensure_ascii=False), str(conflict))
            return good

    def _learn(self, rows: Sequence[dict[str, Any]]) -> None:
        """Widen the types of the columns by some rows; on a conflict, leave all types unchanged."""
        self.types |= self._with(rows)
        if len(self.types) > MAX_COLUMNS:
            raise TableError(
                f"{self.display_name!r} holds more than {MAX_COLUMNS:,} different keys; a table has few columns."
            )

    def _check(self, rows: Sequence[dict[str, Any]]) -> None:
        """Raise `TypeConflict` for rows of other types than those found."""
        if any(kind != self.types.get(name) for name, kind in self._with(rows).items()):
            raise TypeConflict("a value that was not there at the first reading")

    def _with(self, rows: Sequence[dict[str, Any]]) -> dict[str, JsonType]:
        """Return the types of the columns of some rows, widened to hold the rows before."""
        wider = {}
        for name, some in _by_key(rows):
            try:
                kind = common_type(infer_type(some), self.types.get(name, MISSING))
                if self.skip and kind.holds_mixed:
                    raise TypeConflict("text beside values of other types")
                wider[name] = kind
            except TypeConflict as conflict:
                raise TypeConflict(f"column {quote(name)} holds {conflict}") from None
        return wider

    def _blocks(self) -> Iterator[list[Row]]:
        """Yield the objects of about `BLOCK_BYTES` of lines at a time."""
        number = line = 0
        for raw in self._raw_blocks():
            rows: list[Row] = []
            try:
                lines: list[str] | list[bytes] = raw.removesuffix(b"\n").decode().split("\n")
            except UnicodeDecodeError:
                lines = list(raw.removesuffix(b"\n").split(b"\n"))
            quick = b"\\u" not in raw
            for text in lines:
                line += 1
                if not text or text.isspace():
                    continue
                number += 1
                try:
                    row = parse_flat_object(text) if quick else None
                    quick = row is not None
                    rows.append((number, line, parse_object(text) if row is None else row))
                except (ValueError, RecursionError) as error:
                    self._refuse(number, line, text, error)
            yield rows

    def _raw_blocks(self) -> Iterator[bytes]:
        """Yield complete lines of about `BLOCK_BYTES` at a time, without a byte-order mark."""
        held: list[bytes] = []
        size, begun = 0, False
        try:
            stream = self.open()
            while raw := bytes(stream.read(BLOCK_BYTES)):
                raw, begun = raw if begun else raw.removeprefix(b"\xef\xbb\xbf"), True
                end = raw.rfind(b"\n") + 1
                size += len(raw)
                if size > MAX_LINE_BYTES:
                    raise TableError(
                        f"{self.display_name!r} holds a line of more than {MAX_LINE_BYTES >> 20} MB, which is no row."
                    )
                if end:
                    yield b"".join([*held, raw[:end]])
                    held, size = [], len(raw) - end
                held.append(raw[end:])
        except OSError as error:
            reason = " ".join(str(error).split())
            raise TableError(f"{self.display_name!r} is a damaged or truncated file ({reason}).") from None
        if rest := b"".join(held):
            yield rest

    def _refuse(self, row: int, line: int, text: str | bytes, error: Exception) -> None:
        """Leave out a line that is not a JSON object, or raise the error for it."""
        if isinstance(error, UndecodableLine) and not self.skip:
            raise decoding_error(self.display_name, self.encoding, self.raw or self.open) from None
        why = str(error)
        if isinstance(error, json.JSONDecodeError):
            why = f"{error.msg.removesuffix(' at').lower()}, character {error.pos + 1}"
        elif "set_int_max_str_digits" in why:
            why = "a whole number of thousands of digits"
        plain = text if isinstance(text, str) else text.decode("utf-8", "replace")
        self._leave_out(row, line, plain.strip(), why)

    def _leave_out(self, row: int, line: int, text: str, why: str) -> None:
        if self.skip:
            self.skipped.append((row, text[:MAX_ROW_TEXT]))
            return
        raise TableError(
            f"{self.unit} {line:,} of {self.display_name!r} cannot be read ({why}): {quote(text, 80)}. Expected an "
            "object "
            f'like {{"a": 1}}, with values of the same type in all of them. Correct it, or leave such '
            f"{self.unit.lower()}s out with --bad-rows skip (bad_rows='skip' in Python)."
        ) from None


def _by_key(rows: Sequence[dict[str, Any]]) -> Iterable[tuple[str, Sequence[Any]]]:
    """Return the values of each key in some rows.

    Attributes
    ----------
    row without the key counts as None, or not at all if keys are rare.

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
