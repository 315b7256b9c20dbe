"""Detection of the delimiter of a text file: the one that splits its first lines into rows of equal length."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from softreg.files.unclosed_quotes import unlimited_field_size
from softreg.tables.delimited.footnotes import is_footnote
from softreg.tables.delimited.header_detection import header_evidence, is_missing, is_value
from softreg.tables.delimited.line_filter import LineFilter, Record
from softreg.tables.read_options import BLANKS

DELIMITERS = (",", "\t", ";", "|")
MAX_TITLES = 20
"""Maximum number of title lines before the header."""
MIN_COMPARED = 3
"""Minimum number of rows to compare delimiters by their fields."""
MAX_COMPARED = 200
"""Maximum number of rows that are compared."""
MIN_EVEN_SHARE = 0.9
"""Minimum share of rows as long as the header, if lines before it are a title."""
MIN_SPLIT_SHARE = 0.5
"""Minimum share of rows that a delimiter must split into the same number of fields."""
_DECIMAL = re.compile(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*|\s*[-+]?\d{1,3}(,\d{3})*(\.\d+)?\s*")

_MISPLACED_QUOTE = re.compile(r'"[,;|\t]|[,;|\t]"')
_PADDED_QUOTE = re.compile(r'[ \t]+"')
_SEVERAL_NUMBERS = re.compile(r"\s*(?!\d{1,3}( \d{3})+([.,]\d+)?\s*$)[-+]?[.\d][^\s:]*(\s+[-+]?[.\d][^\s:]*){2,}\s*")
_RULED_LINE = re.compile(r"[-=+|:\s]*[-=]{2,}[-=+|:\s]*")


@dataclass(frozen=True)
class FieldGrid:
    """First lines of a text file split at one delimiter, with the position of the header.

    Attributes
    ----------
    delimiter : str
        Delimiter.
    records : list of Record
        Rows that are not blank.
    header : int
        Index of the header in `records`.
    width : int
        Number of fields of a row.
    share : float
        Share of the rows from the header on that have this width.
    row_names : bool
        True if the first column holds row names and has no field in the header.
    trailing : bool
        True if each row ends in a delimiter.
    quotes : bool
        True if quotes delimit fields.
    unpad : str
        Removal of blanks after a delimiter, see `LineFilter`.
    """

    delimiter: str
    records: list[Record]
    header: int = 0
    width: int = 1
    """The number of fields of a row."""
    share: float = 1.0
    """The share of rows below the header that have this width; the header counts as well."""
    row_names: bool = False
    trailing: bool = False
    quotes: bool = True
    unpad: str = ""
    """Whether blanks after a delimiter belong to it, as in `LineFilter`."""

    @property
    def even(self) -> bool:
        """Whether all rows have the same number of fields, more than one."""
        return self.share == 1.0 and self.width > 1

    @property
    def columns(self) -> int:
        """Number of columns, without the empty field after a trailing delimiter."""
        return self.width - self.trailing

    @property
    def sample(self) -> list[str]:
        """Fields of the first row below the header, or of the header."""
        rows = self.records[self.header :][:2]
        return rows[-1].fields if rows else []

    @property
    def quotes_misplaced(self) -> bool:
        """Whether quotes stand beside other delimiters within the fields of half of the rows."""
        rows = [fields for _, fields in self.records[:MAX_COMPARED]]
        return sum(any(map(_MISPLACED_QUOTE.search, fields)) for fields in rows) > MIN_SPLIT_SHARE * len(rows)

    @property
    def header_rank(self) -> int:
        """0 if the first line is the header, 1 if a line below a title is, 2 if that line reads like data."""
        if not self.header:
            return 0
        rows = [fields for _, fields in self.records[self.header + 1 :]]
        return 1 + header_evidence(self.records[self.header].fields, rows).is_data

    def split(self, line: str) -> list[str]:
        """Return the fields of a line."""
        lines = LineFilter("", self.delimiter == BLANKS, self.quotes, delimiter=self.delimiter, unpad=self.unpad)
        records = _records(line.encode(), lines)
        return records[0].fields if records else []


def split_grid(
    body: bytes, delimiter: str, *, comment: str, complete: bool, allow_titles: bool, allow_padding: bool = False
) -> FieldGrid:
    r"""Split the first lines of a text at a delimiter.

    In tab-separated text, quotes are ordinary characters if that gives rows of equal length and quoting does not. A
    quote after a delimiter and a blank quotes a field, too.

    Parameters
    ----------
    body : bytes
        First lines in UTF-8.
    delimiter : str
        Delimiter.
    comment : str
        Character that begins a comment; "" for none.
    complete : bool
        False if `body` may end within a row.
    allow_titles : bool
        Whether lines of fewer fields before the header are titles.
    allow_padding : bool, default=False
        Whether blanks after the delimiter belong to it if all rows have them.

    Returns
    -------
    FieldGrid

    Examples
    --------
    >>> split_grid(b"Title\n\na,b\n1,2\n", ",", comment="", complete=True, allow_titles=True).header
    1
    """

    def grid(quotes: bool = True, unpad: str = "") -> FieldGrid:
        return _build_grid(
            body,
            LineFilter(comment, delimiter == BLANKS, quotes, delimiter=delimiter, unpad=unpad),
            complete,
            allow_titles,
        )

    result = grid()
    if delimiter == "\t" and b'"' in body and not result.even:
        unquoted = grid(quotes=False)
        result = unquoted if unquoted.even else result
    if delimiter in (",", ";", "|"):
        if allow_padding and _all_padded(result):
            return grid(unpad="all")
        if b'"' in body and any(_PADDED_QUOTE.match(field) for _, fields in result.records for field in fields):
            return grid(unpad="quote")
    return result


def detect_delimiter(
    body: bytes, *, comment: str, complete: bool, allow_titles: bool, header: bool = True
) -> FieldGrid:
    r"""Return the split by the delimiter that gives rows of equal length.

    If several delimiters do, those with the header in the first line are preferred, then the one whose fields contain
    the other delimiters least, then the one with most fields. If none does, runs of blanks are tried, and then the
    delimiter that gives most rows the width of the header.

    Parameters
    ----------
    body : bytes
        First lines in UTF-8.
    comment : str
        Character that begins a comment; "" for none.
    complete : bool
        False if `body` may end within a row.
    allow_titles : bool
        Whether lines of fewer fields before the header are titles.
    header : bool, default=True
        False if the file has no header; the first row may then read like data.

    Returns
    -------
    FieldGrid

    Examples
    --------
    >>> detect_delimiter(b"1,5;2,5\n3,5;4,5\n0,1;0,2\n", comment="", complete=True, allow_titles=True).delimiter
    ';'
    """
    settings: dict[str, Any] = {
        "comment": comment,
        "complete": complete,
        "allow_titles": allow_titles,
        "allow_padding": True,
    }
    grids = [split_grid(body, delimiter, **settings) for delimiter in DELIMITERS if delimiter.encode() in body]
    well_quoted = [grid for grid in grids if not grid.quotes_misplaced]
    grids = well_quoted if any(grid.share >= MIN_SPLIT_SHARE and grid.width > 1 for grid in well_quoted) else grids
    even = [grid for grid in grids if grid.even]
    multi_column = [
        grid
        for grid in grids
        if grid.width > 1 and (grid.share >= MIN_SPLIT_SHARE or len(grid.records[grid.header].fields) > 1)
    ]
    if even:
        foreign = {grid.delimiter: _foreign_delimiter_share(grid, even) for grid in even}
        max_rank = 2 if header else 1
        best = min(
            even,
            key=lambda grid: (min(grid.header_rank, max_rank), foreign[grid.delimiter], grid.row_names, -grid.width),
        )
    else:
        best = max(multi_column, key=lambda grid: round(grid.share, 1), default=split_grid(body, ",", **settings))
    if any(" " in field.strip() for field in best.sample):
        blanks = split_grid(body, BLANKS, **settings)
        if _prefers_blanks(blanks, best):
            return blanks
    return best


def _prefers_blanks(blanks: FieldGrid, best: FieldGrid) -> bool:
    """Return True if runs of blanks separate the fields rather than the best delimiter."""
    rows = [fields for _, fields in blanks.records[blanks.header + 1 :] if len(fields) == blanks.width]
    quoted = any('" "' in field for field in best.sample)
    if blanks.share < (MIN_SPLIT_SHARE if quoted else MIN_EVEN_SHARE) or blanks.width < 2 or not rows:
        return False
    if best.width == 1 or not best.even:
        return (best.share < MIN_EVEN_SHARE or best.width == 1) and (quoted or _has_numbers(rows))
    if quoted or any(_SEVERAL_NUMBERS.fullmatch(field) for field in best.sample):
        return blanks.even and blanks.header_rank <= best.header_rank
    if (blanks.header_rank, blanks.row_names) < (best.header_rank, best.row_names):
        evidence = header_evidence(blanks.records[blanks.header].fields, rows)
        return blanks.even and (evidence.is_header or evidence.is_data)
    delimiter_fields = [field for fields in rows for field in fields if best.delimiter in field]
    return (
        blanks.even
        and blanks.width > best.width
        and bool(delimiter_fields)
        and all(map(_DECIMAL.fullmatch, delimiter_fields))
    )


def _build_grid(body: bytes, lines: LineFilter, complete: bool, allow_titles: bool) -> FieldGrid:
    """Return the grid of a text that `lines` filters and splits."""
    delimiter, quotes, unpad = lines.delimiter, lines.quotes, lines.unpad
    records = _records(body, lines)
    if not complete and len(records) > 1:
        records = records[:-1]
    records = [record for index, record in enumerate(records) if not (index and _is_ruled_line(record.fields))]
    counts = [len(fields) for _, fields in records]
    if len(counts) < 2:
        return FieldGrid(delimiter, records, width=max(counts, default=1), quotes=quotes, unpad=unpad)
    end = len(records)
    while (
        complete and end > 2 and is_footnote(records[end - 1].fields, _usual_width(counts), blanks=delimiter == BLANKS)
    ):
        end -= 1
    header = _find_header(records[:end], _usual_width(counts)) if allow_titles else 0
    whole = records[:header] + _drop_trailing_fields(records[header:], _usual_width(counts))
    trailing, records = whole != records, whole
    width = _usual_width(counts) - trailing
    rows, first = records[header + 1 :], records[header].fields
    row_names = len(first) == width - 1 and _are_row_names(rows, first, width)
    while complete and rows and is_footnote(rows[-1][1], width, blanks=delimiter == BLANKS):
        rows = rows[:-1]
    fitting = sum(len(fields) == width for _, fields in rows)
    header_fits = len(first) == width - row_names
    share = (fitting + header_fits) / (len(rows) + 1)
    return FieldGrid(delimiter, records, header, width + trailing, share, row_names, trailing, quotes, unpad)


def _records(body: bytes, lines: LineFilter) -> list[Record]:
    """Return the rows of some lines that are not blank."""
    text = io.StringIO(lines.apply(body).decode("utf-8", "surrogateescape").removeprefix("\ufeff"), newline="")
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if lines.quotes else csv.QUOTE_NONE
    reader = csv.reader(text, delimiter=lines.delimiter, quoting=quoting)
    records, line = [], 1
    with unlimited_field_size():
        for fields in reader:
            if fields:
                records.append(Record(line, fields))
            line = reader.line_num + 1
    return records


def _usual_width(counts: Sequence[int]) -> int:
    """Return the most frequent number of fields among rows of several fields; 1 if no row has several."""
    multi_column = Counter(count for count in counts[1:] if count > 1) or Counter(counts)
    return max(multi_column, key=lambda count: (multi_column[count], count))


def _drop_trailing_fields(records: list[Record], width: int) -> list[Record]:
    """Return the rows without the empty field after a trailing delimiter, if all rows below the header have one."""
    ends = [fields[-1].strip() for _, fields in records[1:] if len(fields) == width]
    header = records[0].fields
    open_end = len(header) == width - 1 or not header[-1].strip()
    if width < 2 or not ends or any(ends) or len(header) not in (width, width - 1) or not open_end:
        return records
    shorter = [Record(line, fields[:-1] if len(fields) == width else fields) for line, fields in records]
    first = header[:-1] if not header[-1].strip() else header
    return [Record(records[0].line, first), *shorter[1:]]


def _are_row_names(rows: Sequence[Record], header: Sequence[str], width: int) -> bool:
    """Return True if a first column without a name in the header holds row names.

    Row names are distinct texts that are not numbers, the numbers 1, 2, 3, ... or 0, 1, 2, ..., or, for some rows of
    a table, increasing integers.

    Returns
    -------
    bool
    """
    whole = [fields for _, fields in rows if len(fields) == width]
    names = [fields[0].strip() for fields in whole]
    if len(names) < 2 or header_evidence(whole[0][1:], [fields[1:] for fields in whole[1:]]).is_header:
        return False
    if any(names == [str(start + offset) for offset in range(len(names))] for start in (0, 1)):
        return True
    evidence = header_evidence(header, [fields[1:] for fields in whole])
    if all(name.isascii() and name.isdigit() for name in names):
        numbers = [int(name) for name in names]
        return evidence.is_header and all(low < high for low, high in pairwise(numbers))
    return len(set(names)) == len(names) and not any(map(is_value, names)) and evidence.is_header


def _find_header(records: Sequence[Record], width: int) -> int:
    """Return the index of the header below lines of fewer fields; 0 if these may be rows."""
    index = next(index for index, (_, fields) in enumerate(records) if len(fields) == width)
    if index == 0:
        return _header_below_padded_titles(records) if width > 2 else 0
    shorter = records[index - 1].fields
    ends = [fields[-1].strip() for _, fields in records[index:] if len(fields) == width]
    if len(shorter) == width - 1 and (not any(ends) or _are_row_names(records[index:], shorter, width)):
        index -= 1  # rows end in a delimiter, or begin with their names
    whole = [fields for _, fields in records[index + 1 :] if len(fields) == width]
    if index > MAX_TITLES or any(len(fields) > width for _, fields in records[:index]):
        return 0
    if not whole or len(whole) < MIN_EVEN_SHARE * (len(records) - index - 1):
        return 0
    blank = index > 0 and records[index].line - records[index - 1].line > 1
    evidence = header_evidence(records[index].fields, whole)
    max_title_fields = max(len(fields) for _, fields in records[:index]) if index else 0
    decided = max_title_fields == 1 and (evidence.is_header or evidence.is_data)
    return index if decided or (blank and 2 * max_title_fields <= width + 1) else 0


def _header_below_padded_titles(records: Sequence[Record]) -> int:
    """Return the index of the header below lines with few filled fields: one, or half of the fields above a header."""
    for index, (_, fields) in enumerate(records[: MAX_TITLES + 1]):
        filled = sum(bool(field.strip()) for field in fields)
        if index >= len(records) - 2:
            return 0
        if 2 * filled <= len(fields) and filled > 1:
            below = records[index + 1].fields
            rows = [row for _, row in records[index + 2 :] if sum(map(bool, row)) > 1]
            if all(field.strip() for field in below) and header_evidence(below, rows).is_header:
                return index + 1
        if filled > 1:
            return index
    return 0


def _is_ruled_line(fields: Sequence[str]) -> bool:
    """Return True if a row is the line that some programs draw below the header."""
    return any(fields) and all(_RULED_LINE.fullmatch(field) for field in fields)


def _all_padded(grid: FieldGrid) -> bool:
    """Return True if a blank follows each delimiter of the rows below the header, unless the field is empty."""
    fields = [field for _, row in grid.records[grid.header + 1 :] for field in row[1:] if field]
    return len(fields) > 1 and all(field[0] == " " for field in fields)


def _foreign_delimiter_share(grid: FieldGrid, others: Sequence[FieldGrid]) -> float:
    """Return the rounded share of fields that contain another delimiter and are not numbers; 0 for few rows."""
    rows = [fields for _, fields in grid.records[grid.header + 1 :]][:MAX_COMPARED]
    if len(rows) + 1 < MIN_COMPARED:
        return 0.0
    delimiters = [other.delimiter for other in others if other is not grid]
    fields = [field for row in rows for field in row]
    foreign = [
        field
        for field in fields
        if any(delimiter in field for delimiter in delimiters) and not _DECIMAL.fullmatch(field)
    ]
    return round(len(foreign) / len(fields), 1)


def _has_numbers(rows: Sequence[Sequence[str]]) -> bool:
    """Return True if some column has mostly numbers."""
    for column in zip(*rows, strict=True):
        given = [value for value in column if not is_missing(value)]
        if given and sum(map(is_value, given)) >= MIN_EVEN_SHARE * len(given):
            return True
    return False
