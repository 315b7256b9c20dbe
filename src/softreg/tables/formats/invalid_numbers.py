"""Reading a column by its format while an encoder learns: rare values that are no numbers are missing, and noted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from softreg.tables.columns.arrow_numpy import boolean_array
from softreg.tables.columns.arrow_numpy import number_array as number_array
from softreg.tables.columns.arrow_types import is_text
from softreg.tables.columns.column_values import decode_dictionary
from softreg.tables.columns.errors import TableError, emit_warnings, pluralize, quote, quote_list
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.formats.column_formats import ColumnFormat

MAX_INVALID_SHARE = 0.01
"""Share of the rows with a value up to which values that are no numbers are slips among numbers."""
MAX_INVALID_VALUES = 1000
"""Different values of a column that are no numbers which a model keeps."""


@dataclass
class FormatReader:
    """Reads batches of one column by the format that a sample of its rows has, and finds values that are no numbers.

    Example:
        >>> from softreg.tables.formats.number_formats import NumberFormat
        >>> reader = FormatReader("age", ColumnFormat(NumberFormat()))
        >>> reader.read(pa.chunked_array([[str(i) for i in range(200)] + ["12o"]]), RowLocation())[-1].as_py()
        nan
        >>> reader.rows, list(reader.invalid)
        (201, ['12o'])
    """

    name: str
    format: ColumnFormat | None
    rows: int = 0
    invalid: dict[str, int] = field(default_factory=dict)
    """Values that are no numbers, and their rows."""
    error: TableError | None = None
    """The error for the first of them."""
    first: str = ""

    def read(self, column: pa.ChunkedArray, where: RowLocation) -> pa.ChunkedArray:
        """One batch of the column, whose text is read by the format."""
        if self.format is None or self.format.number is None or not is_text(decode_dictionary(column).type):
            return column if self.format is None else self.format.read(self.name, column, where)
        column = decode_dictionary(column)
        found = self.format.numbers(column)
        self.rows += int((~np.isnan(found.values)).sum())
        if not found.ok.all():
            bad = ~found.ok
            self.rows += int(bad.sum())
            row = int(np.argmax(bad))
            if self.error is None:
                self.error, self.first = self.format.no_number(self.name, column, row, where), where.row(row)
            for entry in column.filter(boolean_array(bad)).value_counts().to_pylist():
                self.invalid[entry["values"]] = self.invalid.get(entry["values"], 0) + entry["counts"]
            if len(self.invalid) > MAX_INVALID_VALUES or self.format.asked:
                raise self.error
            found.values[bad] = np.nan
        return pa.chunked_array([number_array(found.values)])

    def learned(self) -> ColumnFormat | None:
        """The format with the values that are read as missing.

        Gives a `TableWarning` that names them; raises `TableError` where they are not rare.
        """
        if self.format is None or self.error is None:
            return self.format
        rows = sum(self.invalid.values())
        if rows > MAX_INVALID_SHARE * self.rows:
            raise self.error
        name = quote(self.name)
        emit_warnings(
            [
                f"column {name} holds numbers, but {pluralize(rows, 'row')} beyond the sample that judges columns, the "
                f"first of them {self.first}, have {quote_list(self.invalid, 3)}, read as missing; correct it, or take "
                f"the column for words: --category {name} (category=[{name}] in Python)"
            ]
        )
        spelled = (text.strip() for text in self.invalid)
        return replace(self.format, invalid=tuple(dict.fromkeys((*self.format.invalid, *spelled))))
