"""The decimal mark of columns such as 1,234, inferred from other columns and the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from softreg.tables.columns.arrow_types import is_text
from softreg.tables.columns.column_values import Levels, decode_dictionary, read_column
from softreg.tables.formats.number_formats import DecimalEvidence, NumberParts
from softreg.tables.schema.kinds import Column, Kind


def decimal_comma_columns(columns: Sequence[Column], table: pa.Table, delimiter: str) -> dict[str, str]:
    """Return the columns of text that have a decimal comma although their values are ambiguous, and why.

    Where each value of a column may be read either way, as 1,234, the other columns decide; where these are ambiguous
    as well, a semicolon as the `delimiter` of the file means a decimal comma.

    Parameters
    ----------
    columns : sequence of Column
        Inferred columns.
    table : pyarrow.Table
        The table.
    delimiter : str
        Delimiter of the file.

    Returns
    -------
    dict of str to str
        Reason by column, of the columns whose kind has to be inferred again with a decimal comma.

    Examples
    --------
    >>> from softreg.tables.schema.infer_kind import infer_column
    >>> table = pa.table({"a": ["1,5", "2,25"], "b": ["1.234", "2.500"]})
    >>> decimal_comma_columns([infer_column(name, table[name]) for name in "ab"], table, ",")
    {'b': 'other columns have a decimal comma'}
    """
    numbers = [column for column in columns if column.kind is Kind.NUMBER and column.format is not None]
    if all(column.format.number.plain for column in numbers if column.format and column.format.number):
        return {}
    points = commas = 0
    unclear: list[tuple[str, bool]] = []
    for name, evidence in _decimal_evidence(numbers, table):
        point, comma = int(evidence.point.sum()), int(evidence.comma.sum())
        points, commas = points + (point > comma), commas + (comma > point)
        with_comma = bool(evidence.unclear_comma.any())
        if not point and not comma and (with_comma or evidence.unclear_point.any()):
            unclear.append((name, with_comma))
    if commas and not points:
        return {name: "other columns have a decimal comma" for name, _ in unclear}
    if delimiter == ";" and not points and any(with_comma for _, with_comma in unclear):
        return {name: "the fields are separated by semicolons" for name, _ in unclear}
    return {}


def _decimal_evidence(columns: Sequence[Column], table: pa.Table) -> Iterator[tuple[str, DecimalEvidence]]:
    """Yield the decimal marks that each column of text shows."""
    for column in columns:
        if not is_text(decode_dictionary(table.column(column.name)).type):
            continue
        cells = read_column(table.column(column.name), column.name)
        if isinstance(cells, Levels):
            yield column.name, DecimalEvidence.from_parts(NumberParts.from_text(cells.levels))
