"""How the lines of a delimited text file are laid out: titles and comments, header, delimiter, rows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from softreg.tables.columns.column_names import names_from_header
from softreg.tables.columns.errors import TableError, pluralize, quote, quote_list
from softreg.tables.delimited.delimiter_detection import FieldGrid, detect_delimiter, split_grid
from softreg.tables.delimited.header_detection import header_evidence
from softreg.tables.delimited.line_filter import count_line_ends, is_comment
from softreg.tables.read_options import ReadOptions

_ANNOUNCED = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=([,;\t|])"?(\r\n|\r|\n)', re.IGNORECASE)
_MARKS = (b"#", b"%")
"""Characters that comments begin with."""
MAX_LINES_QUOTED = 3
"""Lines that a note quotes, at most."""


@dataclass(frozen=True)
class TextLayout:
    """Where the rows of a delimited text file begin, what separates their fields, and what the columns are called."""

    delimiter: str
    names: tuple[str, ...]
    first_row: int
    """The number of the line of the first row, from 1."""
    comment: str = ""
    """The character that comments between the rows begin with; none where empty."""
    quotes: bool = True
    """Whether `"` quotes a field."""
    unpad: str = ""
    """Whether blanks behind a delimiter are removed, as in `LineFilter`."""
    row_names: bool = False
    """Whether the first column has no field in the header."""
    trailing: bool = False
    """Whether each row ends in a delimiter, so that an empty field follows the last column."""
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The number of fields of a row."""
        return len(self.names) + self.trailing


@dataclass(frozen=True)
class _Ahead:
    """Lines ahead of the header: how many, and the comments among them with their numbers from 0."""

    count: int
    mark: str = ""
    comments: tuple[tuple[int, str], ...] = ()


def find_layout(head: bytes, where: str, *, complete: bool, tabs: bool, options: ReadOptions) -> TextLayout:
    """The layout of a file that begins with the lines `head`, in UTF-8; `complete` says that these are all lines.

    A first line `sep=;` decides on the delimiter, and in files whose ending says so (`tabs`) it is a tab. Otherwise it
    is the one that gives all rows as many fields as the header. Comments (`#`, `%`) and lines of fewer fields ahead of
    the header are no rows. Raises `TableError` where the first row reads like data, and no option says what it is.

    Example:
        >>> layout = find_layout(b"# 2020\\na;b\\n1;2\\n", "a.csv", complete=True, tabs=False, options=ReadOptions())
        >>> layout.delimiter, layout.names, layout.first_row
        (';', ('a', 'b'), 3)
    """
    lines = head.splitlines(keepends=True)
    announced = _ANNOUNCED.match(head)
    ahead = _lines_ahead(lines, bool(announced), options)
    body = b"".join(lines[ahead.count :])
    given = options.delimiter or (announced[1].decode() if announced else "\t" if tabs else None)
    titles = options.skip_rows is None
    if given is None:
        headed = options.header is not False
        grid = detect_delimiter(body, mark=ahead.mark, complete=complete, titles=titles, header=headed)
    else:
        grid = split_grid(body, given, mark=ahead.mark, complete=complete, titles=titles)
    if named := _commented_header(grid, ahead, options):
        return _finished(grid, ahead, named, 0, where, options)
    if options.header is False or not grid.records:
        return _finished(grid, ahead, None, grid.header, where, options)
    return _finished(grid, ahead, grid.records[grid.header][1], grid.header + 1, where, options)


def _lines_ahead(lines: list[bytes], announced: bool, options: ReadOptions) -> _Ahead:
    """The lines to skip, then blank ones and comments, unless the option says how many to skip."""
    start = count = max(options.skip_rows or 0, int(announced))
    mark, comments = b"", []
    while count < len(lines):
        line = lines[count].removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            found = next((one for one in _MARKS if is_comment(line, one)), b"")
            if options.skip_rows is not None or not found or found != (mark or found):
                break
            mark = found
            comments.append((count, line.decode("utf-8", "replace").strip()))
        count += 1
    if count == len(lines):  # the only lines with text are comments
        return _Ahead(start)
    return _Ahead(count, mark.decode(), tuple(comments))


def _commented_header(grid: FieldGrid, ahead: _Ahead, options: ReadOptions) -> list[str] | None:
    """The names of the columns where they stand in the last comment ahead of the rows; None where they do not."""
    if options.header is not None or not ahead.comments or grid.header or len(grid.records) < 1 or grid.width < 2:
        return None
    if ahead.comments[-1][0] != ahead.count - 1:
        return None
    line = ahead.comments[-1][1]
    fields = grid.split(line)
    if fields[:1] != [ahead.mark] or len(fields) != grid.columns:
        fields = grid.split(line.lstrip(f"{ahead.mark} \t"))
    if len(fields) != grid.columns:
        return None
    rows = [row for _, row in grid.records]
    own, other = header_evidence(rows[0], rows[1:]), header_evidence(fields, rows)
    if other.is_data or not (own.is_data or (not own.is_header and other.is_header)):
        return None
    return fields


def _finished(
    grid: FieldGrid, ahead: _Ahead, header: list[str] | None, first: int, where: str, options: ReadOptions
) -> TextLayout:
    """The layout of a grid whose row `first` is the first of the table; without `header`, columns get numbers."""
    rows = [row for _, row in grid.records[first:] if len(row) == grid.columns]
    mark, notes = _notes_ahead(grid, ahead, header if first == 0 else None)
    if header is None:
        if rows and header_evidence(rows[0], rows[1:]).is_header:
            notes.append(
                f"The first row reads like names ({quote_list(rows[0], MAX_LINES_QUOTED)}), but is read as a row."
            )
        names = [f"column_{place}" for place in range(1, grid.columns + 1)]
    else:
        if options.header is None and first > 0:
            notes += _checked_header(header, rows, grid, where)
        names, said = names_from_header([""] * grid.row_names + header[: grid.columns])
        notes += said
    return TextLayout(
        grid.delimiter,
        tuple(names),
        ahead.count + _first_line(grid, first),
        mark,
        grid.quotes,
        grid.unpad,
        grid.row_names,
        grid.trailing,
        tuple(notes + _notes_on_rows(grid, options)),
    )


def _notes_ahead(grid: FieldGrid, ahead: _Ahead, commented: list[str] | None) -> tuple[str, list[str]]:
    """The character of comments, and notes on the lines ahead of the rows; `commented` are names in a comment."""
    titles = [" ".join(row).strip() for _, row in grid.records[: grid.header]]
    skipped = [text for _, text in ahead.comments] + [title for title in titles if title]
    mark, notes = ahead.mark, []
    if commented is not None:
        named = quote(skipped.pop())
        notes.append(f"The columns are named by the line {named}; --header (header=True) takes the next one.")
        mark = "" if commented[0].strip() == mark and not skipped else mark
    if skipped:
        notes.append(_skipped_note(skipped, mark))
    return mark, notes


def _notes_on_rows(grid: FieldGrid, options: ReadOptions) -> list[str]:
    """Notes on what separates the fields of the rows."""
    notes = []
    if grid.trailing:
        notes.append("Each row ends in a delimiter; the empty field behind it is not a column.")
    if grid.row_names:
        notes.append(
            "The header has one field fewer than the rows, so the first column has the names of the rows and is not "
            "a feature."
        )
    if grid.delimiter == " " and options.delimiter is None:
        notes.append("Runs of blanks separate the fields; --delimiter (delimiter=) names another character.")
    if grid.unpad == "all":
        notes.append("A blank follows each delimiter and is not part of the values; --delimiter (delimiter=) keeps it.")
    return notes


def _first_line(grid: FieldGrid, first: int) -> int:
    """The number of the line of a row, or of the one behind the header."""
    if first < len(grid.records):
        return grid.records[first][0]
    if not first:
        return 1
    line, fields = grid.records[first - 1]
    return line + 1 + sum(count_line_ends(field.encode("utf-8", "replace")) for field in fields)


def _skipped_note(lines: list[str], mark: str) -> str:
    """The note on lines ahead of the header."""
    more = f" Later lines that begin with {mark!r} are comments, too." if mark else ""
    return (
        f"{pluralize(len(lines), 'line')} ahead of the header {'is' if len(lines) == 1 else 'are'} not read "
        f"({quote_list(lines, MAX_LINES_QUOTED)}).{more} With --skip-rows 0 (skip_rows=0), all lines are read."
    )


def _checked_header(header: list[str], rows: list[list[str]], grid: FieldGrid, where: str) -> list[str]:
    """A note where names are numbers; raises `TableError` where the header reads like a row of data."""
    fields, width = header, grid.columns
    evidence = header_evidence(fields, [row[grid.row_names :] for row in rows])
    if evidence.is_data:
        raise TableError(
            f"The first row of {where!r} reads like data, not like the names of the columns: {quote_list(fields)}. "
            f"With --no-header (header=False in Python) it is a row and the columns are called "
            f"{'column_1' if width == 1 else f'column_1 to column_{width}'}, as in --target column_{width}; with "
            "--header (header=True) it names the columns."
        )
    if evidence.numbers:
        numbers = [field for field in fields if field.strip()[:1].isdigit()]
        return [
            f"The first row names the columns, some of them by numbers ({quote_list(numbers, MAX_LINES_QUOTED)}); with "
            "--no-header (header=False) it is a row."
        ]
    return []
