"""What the options of reading say of the text in a table's cells: kept in the metadata of its schema."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import pyarrow as pa

from softreg.tables.read_options import ReadOptions

_KEY = b"softreg.text"


@dataclass(frozen=True)
class TextMetadata:
    """Spellings `na` of a missing value, which are null already; the `decimal` mark, if named; the file's `delimiter`.

    Example:
        >>> hints = TextMetadata(na=("-9",), delimiter=";")
        >>> TextHints.of(hints.noted(pa.schema([("age", pa.string())]))) == hints
        True
    """

    na: tuple[str, ...] = ()
    decimal: str | None = None
    delimiter: str = ""

    @classmethod
    def from_options(cls, options: ReadOptions, delimiter: str = "") -> TextMetadata:
        """The hints of options by which a table is read."""
        return cls(tuple(options.na), options.decimal, delimiter)

    def noted(self, schema: pa.Schema) -> pa.Schema:
        """The schema whose metadata say what is known; the same where nothing is."""
        if self in (TextMetadata(), TextMetadata(delimiter=self.delimiter)) and self.delimiter != ";":
            return schema
        return schema.with_metadata({**(schema.metadata or {}), _KEY: json.dumps(asdict(self)).encode()})

    @classmethod
    def of(cls, schema: pa.Schema) -> TextMetadata:
        """What the metadata of a schema say."""
        state = json.loads((schema.metadata or {}).get(_KEY, b"{}"))
        return cls(tuple(state.get("na", ())), state.get("decimal"), state.get("delimiter", ""))
