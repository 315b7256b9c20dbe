"""Options of reading that concern the text of a table, stored in the metadata of its schema."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import pyarrow as pa

from softreg.tables.read_options import ReadOptions

_KEY = b"softreg.text"


@dataclass(frozen=True)
class TextMetadata:
    """Options of reading that affect later steps.

    Attributes
    ----------
    na : tuple of str
        Spellings of a missing value; they are null already.
    decimal : str or None
        Decimal mark, if the user gave it.
    delimiter : str
        Delimiter of the file.

    Examples
    --------
    >>> hints = TextMetadata(na=("-9",), delimiter=";")
    >>> TextMetadata.from_schema(hints.add_to(pa.schema([("age", pa.string())]))) == hints
    True
    """

    na: tuple[str, ...] = ()
    decimal: str | None = None
    delimiter: str = ""

    @classmethod
    def from_options(cls, options: ReadOptions, delimiter: str = "") -> TextMetadata:
        """Return the metadata for the options by which a table is read."""
        return cls(tuple(options.na), options.decimal, delimiter)

    def add_to(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema with the metadata added; the same schema if there are none."""
        if self in (TextMetadata(), TextMetadata(delimiter=self.delimiter)) and self.delimiter != ";":
            return schema
        return schema.with_metadata({**(schema.metadata or {}), _KEY: json.dumps(asdict(self)).encode()})

    @classmethod
    def from_schema(cls, schema: pa.Schema) -> TextMetadata:
        """Return the metadata of a schema."""
        state = json.loads((schema.metadata or {}).get(_KEY, b"{}"))
        return cls(tuple(state.get("na", ())), state.get("decimal"), state.get("delimiter", ""))
