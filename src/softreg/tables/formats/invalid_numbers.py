"""Detection of rare invalid values in a numeric text column while an encoder is fitted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from softreg.tables.columns.arrow_numpy import boolean_array, number_array
from softreg.tables.columns.arrow_types import is_text
from softreg.tables.columns.column_values import decode_dictionary
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.table_errors import TableError, emit_warnings, pluralize, quote, quote_list
from softreg.tables.formats.column_formats import ColumnFormat

MAX_INVALID_SHARE = 0.01
"""Largest share of invalid values, among rows with a value, that are treated as typing errors."""
MAX_INVALID_VALUES = 1000
"""Distinct invalid values of a column that a model stores."""


@dataclass
class FormatReader:
    """Reader of batches of one column in the format inferred from a sample; collects values that are not numbers.

    Attributes
    ----------
    rows : int
        Number of rows with a value.
    invalid : dict of str to int
        Values that are not numbers, with their number of rows.
    error : TableError or None
        Error for the first of them.
    first : str
        Location of the first of them.

    Examples
    --------
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
    """Values that are not numbers, with their number of rows."""
    error: TableError | None = None
    """Error for the first of them."""
    first: str = ""

    def read(self, column: pa.ChunkedArray, location: RowLocation) -> pa.ChunkedArray:
        """Return one batch of the column with its text parsed.

        Parameters
        ----------
        column : pa.ChunkedArray (n,)
            Values of the batch.
        location : RowLocation
            Location of the batch, for errors.

        Returns
        -------
        pa.ChunkedArray (n,)

        Raises
        ------
        TableError
            If there are more than `MAX_INVALID_VALUES` different invalid values, or if the column was declared
            numeric.
        """
        if self.format is None or self.format.number is None or not is_text(decode_dictionary(column).type):
            return column if self.format is None else self.format.read(self.name, column, location)
        column = decode_dictionary(column)
        parsed = self.format.numbers(column)
        self.rows += int((~np.isnan(parsed.values)).sum())
        if not parsed.ok.all():
            invalid = ~parsed.ok
            self.rows += int(invalid.sum())
            row = int(np.argmax(invalid))
            if self.error is None:
                self.error, self.first = (
                    self.format.not_a_number_error(self.name, column, row, location),
                    location.row(row),
                )
            for entry in column.filter(boolean_array(invalid)).value_counts().to_pylist():
                self.invalid[entry["values"]] = self.invalid.get(entry["values"], 0) + entry["counts"]
            if len(self.invalid) > MAX_INVALID_VALUES or self.format.requested:
                raise self.error
            parsed.values[invalid] = np.nan
        return pa.chunked_array([number_array(parsed.values)])

    def merge(self, later: FormatReader) -> None:
        """Add the invalid values of the rows that follow; raise the error of `read` if these are too many."""
        self.rows += later.rows
        if self.error is None:
            self.error, self.first = later.error, later.first
        for text, rows in later.invalid.items():
            self.invalid[text] = self.invalid.get(text, 0) + rows
        if self.error is not None and len(self.invalid) > MAX_INVALID_VALUES:
            raise self.error

    def fitted_format(self) -> ColumnFormat | None:
        """Return the format, with the invalid values that are treated as missing; warn about them.

        Returns
        -------
        ColumnFormat or None

        Raises
        ------
        TableError
            If the invalid values are not rare (`MAX_INVALID_SHARE`).
        """
        if self.format is None or self.error is None:
            return self.format
        rows = sum(self.invalid.values())
        if rows > MAX_INVALID_SHARE * self.rows:
            raise self.error
        name = quote(self.name)
        emit_warnings(
            [
                f"column {name} holds numbers, but {pluralize(rows, 'row')} outside the sample from which its kind was "
                f"inferred, the first of them {self.first}, have {quote_list(self.invalid, 3)}, treated as missing; "
                f"correct it, or treat the column as text: --category {name} (category=[{name}] in Python)"
            ]
        )
        texts = (text.strip() for text in self.invalid)
        return replace(self.format, invalid=tuple(dict.fromkeys((*self.format.invalid, *texts))))
