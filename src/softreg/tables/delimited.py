"""CSV and TSV bytes to an Arrow table of text, with errors that name the line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from softreg.tables.errors import TableError, plural, shown

BLOCK = 1 << 22  # bytes parsed at a time; a longer row makes the reader fail, and then the whole file is one block


def parse_delimited(raw: bytes, where: str, *, tabs: bool = False) -> pa.Table:
    """The table of text that CSV or TSV bytes hold: first line the names, every value exactly as written.

    Raises `TableError` naming the line of a row with too many or too few fields, of a quote that is never
    closed, or of bytes that are not UTF-8; `where` is the name of the file in these messages.

    Example:
        >>> parse_delimited(b'name,note\\r\\n"Ann, B.",007\\r\\n', "small.csv").to_pylist()
        [{'name': 'Ann, B.', 'note': '007'}]
    """
    _check_utf8(raw, where)
    delimiter = "\t" if tabs else _delimiter(raw)
    try:
        return _parse(raw, where, delimiter, quotes=True)
    except TableError:
        if delimiter != "\t" or b'"' not in raw:
            raise
        try:  # tab-separated files are often written without quoting: then a quote is a plain character
            return _parse(raw, where, delimiter, quotes=False)
        except TableError:
            pass
        raise


def _parse(raw: bytes, where: str, delimiter: str, *, quotes: bool) -> pa.Table:
    """One reading of the bytes, with quotes as quotes or as plain characters."""
    header = next(_records(raw, where, delimiter, quotes), (1, []))[1]
    names = [f"f{i}" for i in range(len(header))]
    bad: list[pa_csv.InvalidRow] = []

    def refuse(row: pa_csv.InvalidRow) -> str:
        bad.append(row)
        return "error"

    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
    )
    parse = pa_csv.ParseOptions(
        delimiter=delimiter,
        quote_char='"' if quotes else False,
        newlines_in_values=quotes,
        invalid_row_handler=refuse,
    )
    for block in (BLOCK, len(raw) + 1):
        read = pa_csv.ReadOptions(autogenerate_column_names=True, block_size=min(block, 2**31 - 2))
        try:
            table = pa_csv.read_csv(io.BytesIO(raw), read, parse, convert)
            break
        except pa.ArrowInvalid as error:
            if bad or "straddl" not in str(error) or block > BLOCK:
                raise _wrong_shape(raw, where, delimiter, quotes, bad, error) from None
    table = table.slice(1).rename_columns(header)
    if quotes and any(pc.any(pc.match_substring(column, "\n")).as_py() for column in table.columns):
        for _ in _records(raw, where, delimiter, quotes, strict=True):  # a quote left open may have swallowed rows
            pass
    return table


def _delimiter(raw: bytes) -> str:
    """A comma, unless the header line has none but a tab or a semicolon."""
    line = re.split(rb"[\r\n]+", raw.lstrip(b"\xef\xbb\xbf\r\n"), maxsplit=1)[0]
    line = re.sub(rb'"[^"]*"', b"", line)  # a delimiter inside quotes separates nothing
    return next((sign.decode() for sign in (b",", b"\t", b";") if sign in line), ",")


def _check_utf8(raw: bytes, where: str) -> None:
    """Raise `TableError` with line and byte where the text is not UTF-8."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"{where!r} is not text in UTF-8: line {line:,} holds the byte 0x{raw[error.start]:02x}. Save it "
            "as UTF-8 (in a spreadsheet: 'CSV UTF-8'), or convert it, for instance with: "
            "iconv -f WINDOWS-1252 -t UTF-8 old.csv > new.csv"
        ) from None


@contextmanager
def _any_field_size() -> Iterator[None]:
    """Lift the csv module's limit on the size of a field for a while."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _records(
    raw: bytes, where: str, delimiter: str, quotes: bool, *, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """First line and fields of each record that is not a blank line, read by the csv module."""
    text = io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8-sig", newline="")
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    reader = csv.reader(text, delimiter=delimiter, quoting=quoting, strict=strict)
    line = 1
    with _any_field_size():
        try:
            for fields in reader:
                if fields:
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error as error:
            raise TableError(
                f"The row in line {line:,} of {where!r} opens a quote that is not closed as CSV asks "
                f"({error}), so rows would be swallowed. "
                'Close it, or write a quote inside a quoted field twice ("").'
            ) from None


def _wrong_shape(
    raw: bytes, where: str, delimiter: str, quotes: bool, bad: list[pa_csv.InvalidRow], error: Exception
) -> TableError:
    """The error for a row with too many or too few fields, with its line."""
    records = _records(raw, where, delimiter, quotes)
    expected = len(next(records, (1, []))[1])
    for row, (line, fields) in enumerate(records, start=1):
        if len(fields) != expected:
            text = shown(delimiter.join(fields), 80)
            much = "many" if len(fields) > expected else "few"
            hint = f"a field with {shown(delimiter)} in it must stand in double quotes."
            if much == "few":
                hint = "leave a field empty where its value is not known, but keep its delimiter."
            if "\n" in text or any("\n" in field for field in fields):
                hint = "is a quote opened there and never closed?"
            return TableError(
                f"Row {row:,} of {where!r} (line {line:,}) has too {much} fields: "
                f"{plural(len(fields), 'field')} where the header has {expected:,}. The row reads {text}; "
                f"{hint}"
            )
    seen = bad[0].text if bad else str(error)
    return TableError(f"{where!r} is not a table in CSV form: {shown(' '.join(seen.split()), 200)}.")
