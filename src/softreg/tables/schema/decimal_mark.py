"""Whether 1,234 is a thousand or one: decided for columns that do not show it by the other columns and the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from softreg.tables.columns.arrow_types import is_text
from softreg.tables.columns.column_values import Levels, decode_dictionary, read_column
from softreg.tables.formats.number_formats import DecimalEvidence, NumberParts
from softreg.tables.schema.kinds import Column, Kind


def decimal_comma_columns(columns: Sequence[Column], table: pa.Table, delimiter: str) -> dict[str, str]:
    """Return which columns of text have a decimal comma although they show neither comma nor point, and why.

    Columns of which each value may be read either way, as 1,234, have the decimal mark of the other columns; where
    these show none, a comma if the `delimiter` of the file is a semicolon. The result has the columns that are to be
    judged again because their decimal mark is a comma.

    Example:
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
    for name, found in _decimal_evidence(numbers, table):
        point, comma = int(found.point.sum()), int(found.comma.sum())
        points, commas = points + (point > comma), commas + (comma > point)
        with_comma = bool(found.unclear_comma.any())
        if not point and not comma and (with_comma or found.unclear_point.any()):
            unclear.append((name, with_comma))
    if commas and not points:
        return {name: "other columns have a decimal comma" for name, _ in unclear}
    if delimiter == ";" and not points and any(with_comma for _, with_comma in unclear):
        return {name: "the fields are separated by semicolons" for name, _ in unclear}
    return {}


def _decimal_evidence(columns: Sequence[Column], table: pa.Table) -> Iterator[tuple[str, DecimalEvidence]]:
    """What each column of text shows."""
    for column in columns:
        if not is_text(decode_dictionary(table.column(column.name)).type):
            continue
        cells = read_column(table.column(column.name), column.name)
        if isinstance(cells, Levels):
            yield column.name, DecimalEvidence.from_parts(NumberParts.from_text(cells.levels))
