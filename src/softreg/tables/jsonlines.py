"""JSON lines to batches: an object a line, the same types in all of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.json as pa_json

from softreg.tables.errors import TableError, shown

BLOCK = 1 << 24  # bytes parsed at a time, and more for a longer line


@dataclass
class JsonLines:
    """A file with a JSON object in each line; `open` gives its bytes in UTF-8, from the beginning.

    The types of the columns are those that hold every value: whole numbers become decimal where some are, a value that
    is absent or null is missing, text stays as written. A line that is no object, or whose value is of another type
    than those before, is an error with its line, or with `skip` left out and kept in `skipped` (line, text).

    Example:
        >>> raw = b'{"a": 1, "b": "007"}\\n{"a": 2.5}\\n'
        >>> [batch.to_pylist() for batch in JsonLines(lambda: pa.BufferReader(raw), "a.jsonl").batches()]
        [[{'a': 1.0, 'b': '007'}, {'a': 2.5, 'b': None}]]
    """

    open: Callable[[], pa.NativeFile]
    where: str
    skip: bool = False
    skipped: list[tuple[int, str]] = field(default_factory=list)
    schema: pa.Schema = field(init=False)

    def __post_init__(self) -> None:
        schema = pa.schema([])
        for first, raw in self._blocks():
            found = self._parsed(raw, first, None)
            try:
                schema = pa.unify_schemas([schema, found.schema], promote_options="permissive")
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                schema = self._clash(schema, found.schema, first)
        self.schema = schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in batches; from the beginning at each call."""
        self.skipped.clear()
        for first, raw in self._blocks():
            yield from self._parsed(raw, first, self.schema).combine_chunks().to_batches()

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """Whole lines of about `BLOCK` bytes together, and the number of the first of them."""
        stream, rest, line = self.open(), b"", 1
        try:
            while raw := stream.read(BLOCK):
                end = raw.rfind(b"\n") + 1
                if end == 0:
                    rest += raw
                    continue
                whole, rest = rest + raw[:end], raw[end:]
                yield line, whole
                line += whole.count(b"\n")
        except OSError as error:
            reason = " ".join(str(error).split())
            raise TableError(f"{self.where!r} is a damaged or truncated file ({reason}).") from None
        if rest.strip():
            yield line, rest

    def _parsed(self, raw: bytes, first: int, schema: pa.Schema | None) -> pa.Table:
        """The table of some lines; without a schema, text that looks like a time stays text all the same."""
        raw = raw.removeprefix(b"\xef\xbb\xbf")
        if not raw.strip():
            return pa.table({}) if schema is None else schema.empty_table()
        read = pa_json.ReadOptions(block_size=len(raw) + 1)
        parse = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore" if schema else "infer")
        try:
            table = pa_json.read_json(io.BytesIO(raw), read, parse)
        except pa.ArrowInvalid as error:
            good = self._without_bad(raw, first, schema, error)
            return self._parsed(good, first, schema)
        if schema is not None:
            return table.select(schema.names).cast(schema)
        plain = pa.schema([pa.field(f.name, _as_written(f.type)) for f in table.schema])
        return table if plain.equals(table.schema) else self._parsed(raw, first, plain)

    def _without_bad(self, raw: bytes, first: int, schema: pa.Schema | None, error: Exception) -> bytes:
        """The lines that can be read; `TableError` for the first that cannot, unless they are to be skipped."""
        good: list[bytes] = []
        known = schema or pa.schema([])
        for number, line in enumerate(raw.splitlines(keepends=True), start=first):
            if not line.strip():
                continue
            why = ""
            try:
                value = json.loads(line)
                if not isinstance(value, dict):
                    why = "it is no object"
                else:
                    parse = pa_json.ParseOptions(explicit_schema=schema)
                    one = pa_json.read_json(io.BytesIO(line), parse_options=parse).schema
                    one = pa.schema([pa.field(f.name, _as_written(f.type)) for f in one])
                    if schema is None:
                        known = pa.unify_schemas([known, one], promote_options="permissive")
            except (ValueError, RecursionError, pa.ArrowException) as told:
                why = " ".join(str(told).split())
            if not why:
                good.append(line)
            elif self.skip:
                self.skipped.append((number, line.decode("utf-8", "replace").strip()))
            else:
                raise TableError(
                    f"Line {number:,} of {self.where!r} cannot be read ({why}): "
                    f'{shown(line.decode("utf-8", "replace").strip(), 80)}. Expected an object like {{"a": 1}} in each '
                    "line, with values of the same type in all of them. Correct it, or leave such lines out with "
                    "--bad-rows skip (bad_rows='skip' in Python)."
                ) from None
        if len(good) == len([line for line in raw.splitlines() if line.strip()]):
            raise TableError(f"{self.where!r} is no JSON with an object in each line: {' '.join(str(error).split())}.")
        return b"".join(good)

    def _clash(self, before: pa.Schema, found: pa.Schema, first: int) -> pa.Schema:
        """The error for a column whose type is another than in the lines before."""
        for one in found:
            if one.name in before.names:
                kept = before.field(one.name)
                try:
                    pa.unify_schemas([pa.schema([kept]), pa.schema([one])], promote_options="permissive")
                except (pa.ArrowInvalid, pa.ArrowTypeError):
                    if self.skip:
                        return before
                    raise TableError(
                        f"Column {shown(one.name)} of {self.where!r} has the type {kept.type} up to line {first - 1:,} "
                        f"and {one.type} from there on. A column must have one type: write its values alike."
                    ) from None
        raise AssertionError("schemas clash in no column")


def _as_written(kind: pa.DataType) -> pa.DataType:
    """The type of a column, with text for what JSON writes as text."""
    if pa.types.is_temporal(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_as_written(kind.value_type))
    return kind
