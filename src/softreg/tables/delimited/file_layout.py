"""Layout of a delimited text file: titles and comments, header, delimiter, rows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from softreg.tables.columns.column_names import names_from_header
from softreg.tables.columns.table_errors import TableError, pluralize, quote, quote_list
from softreg.tables.delimited.dialect_detection import FieldGrid, detect_delimiter, split_grid
from softreg.tables.delimited.header_detection import header_evidence
from softreg.tables.delimited.line_filter import NumberedLine, count_line_ends, is_comment
from softreg.tables.read_options import ReadOptions

_SEP_LINE = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=([,;\t|])"?(\r\n|\r|\n)', re.IGNORECASE)
_MARKS = (b"#", b"%")
"""Characters that comments begin with."""
MAX_LINES_QUOTED = 3
"""Lines that a note lists."""


@dataclass(frozen=True)
class TextLayout:
    """Layout of a delimited text file: first row, delimiter and column names."""

    delimiter: str
    names: tuple[str, ...]
    first_row: int
    """The number of the line of the first row, from 1."""
    comment: str = ""
    """The character that comments between the rows begin with; none where empty."""
    quotes: bool = True
    """Whether `"` quotes a field."""
    unpad: str = ""
    """Which blanks after a delimiter are removed, as in `LineFilter`."""
    row_names: bool = False
    """Whether the first column has no field in the header."""
    trailing: bool = False
    """Whether each row ends in a delimiter, so that an empty field follows the last column."""
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Number of fields of a row."""
        return len(self.names) + self.trailing


@dataclass(frozen=True)
class _Preamble:
    """Lines before the header: their number, the comment character, and the comments with their line numbers from 0."""

    count: int
    comment: str = ""
    comments: tuple[NumberedLine, ...] = ()


def find_layout(head: bytes, display_name: str, *, complete: bool, tabs: bool, options: ReadOptions) -> TextLayout:
    r"""Infer the layout of a text file from its first lines.

    A first line such as `sep=;` sets the delimiter, and in files with the ending .tsv (`tabs`) it is a tab. Otherwise
    it is the one that gives all rows as many fields as the header. Comments (`#`, `%`) and lines of fewer fields
    before the header are not rows.

    Parameters
    ----------
    head : bytes
        First lines in UTF-8.
    display_name : str
        Name of the file, for errors.
    complete : bool
        True if these are all lines.
    tabs : bool
        True if the ending of the file states that tabs separate the fields.
    options : ReadOptions
        Options that override the inference.

    Returns
    -------
    TextLayout

    Raises
    ------
    TableError
        If the first row reads like data and no option states whether it is a header.

    Examples
    --------
    >>> layout = find_layout(b"# 2020\na;b\n1;2\n", "a.csv", complete=True, tabs=False, options=ReadOptions())
    >>> layout.delimiter, layout.names, layout.first_row
    (';', ('a', 'b'), 3)
    """
    lines = head.splitlines(keepends=True)
    sep_line = _SEP_LINE.match(head)
    preamble = _read_preamble(lines, bool(sep_line), options)
    body = b"".join(lines[preamble.count :])
    given = options.delimiter or (sep_line[1].decode() if sep_line else "\t" if tabs else None)
    allow_titles = options.skip_rows is None
    if given is None:
        headed = options.header is not False
        grid = detect_delimiter(
            body, comment=preamble.comment, complete=complete, allow_titles=allow_titles, header=headed
        )
    else:
        grid = split_grid(body, given, comment=preamble.comment, complete=complete, allow_titles=allow_titles)
    if names := _commented_header(grid, preamble, options):
        return _build_layout(grid, preamble, names, 0, display_name, options)
    if options.header is False or not grid.records:
        return _build_layout(grid, preamble, None, grid.header, display_name, options)
    return _build_layout(grid, preamble, grid.records[grid.header].fields, grid.header + 1, display_name, options)


def _read_preamble(lines: list[bytes], sep_line: bool, options: ReadOptions) -> _Preamble:
    """Return the lines to skip, blank lines and comments before the header; only the former if `skip_rows` is given."""
    start = count = max(options.skip_rows or 0, int(sep_line))
    comment, comments = b"", []
    while count < len(lines):
        line = lines[count].removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            line_mark = next((mark for mark in _MARKS if is_comment(line, mark)), b"")
            if options.skip_rows is not None or not line_mark or line_mark != (comment or line_mark):
                break
            comment = line_mark
            comments.append(NumberedLine(count, line.decode("utf-8", "replace").strip()))
        count += 1
    if count == len(lines):  # the only lines with text are comments
        return _Preamble(start)
    return _Preamble(count, comment.decode(), tuple(comments))


def _commented_header(grid: FieldGrid, preamble: _Preamble, options: ReadOptions) -> list[str] | None:
    """Return the column names if the last comment before the rows holds them; else None."""
    if options.header is not None or not preamble.comments or grid.header or len(grid.records) < 1 or grid.width < 2:
        return None
    if preamble.comments[-1].number != preamble.count - 1:
        return None
    line = preamble.comments[-1].text
    fields = grid.split(line)
    if fields[:1] != [preamble.comment] or len(fields) != grid.columns:
        fields = grid.split(line.lstrip(f"{preamble.comment} \t"))
    if len(fields) != grid.columns:
        return None
    rows = [row for _, row in grid.records]
    row_evidence, comment_evidence = header_evidence(rows[0], rows[1:]), header_evidence(fields, rows)
    if comment_evidence.is_data or not (
        row_evidence.is_data or (not row_evidence.is_header and comment_evidence.is_header)
    ):
        return None
    return fields


def _build_layout(
    grid: FieldGrid, preamble: _Preamble, header: list[str] | None, first: int, display_name: str, options: ReadOptions
) -> TextLayout:
    """Return the layout of a grid whose row `first` is the first one; without `header`, columns are numbered."""
    rows = [row for _, row in grid.records[first:] if len(row) == grid.columns]
    comment, notes = _preamble_notes(grid, preamble, header if first == 0 else None)
    if header is None:
        if rows and header_evidence(rows[0], rows[1:]).is_header:
            notes.append(
                f"The first row reads like names ({quote_list(rows[0], MAX_LINES_QUOTED)}), but is read as a row."
            )
        names = [f"column_{position}" for position in range(1, grid.columns + 1)]
    else:
        if options.header is None and first > 0:
            notes += _checked_header(header, rows, grid, display_name)
        names, name_notes = names_from_header([""] * grid.row_names + header[: grid.columns])
        notes += name_notes
    return TextLayout(
        grid.delimiter,
        tuple(names),
        preamble.count + _first_line(grid, first),
        comment,
        grid.quotes,
        grid.unpad,
        grid.row_names,
        grid.trailing,
        tuple(notes + _row_notes(grid, options)),
    )


def _preamble_notes(grid: FieldGrid, preamble: _Preamble, commented: list[str] | None) -> tuple[str, list[str]]:
    """Return the comment character and notes on the lines before the rows; `commented` are names in a comment."""
    titles = [" ".join(row).strip() for _, row in grid.records[: grid.header]]
    skipped = [text for _, text in preamble.comments] + [title for title in titles if title]
    comment, notes = preamble.comment, []
    if commented is not None:
        named = quote(skipped.pop())
        notes.append(f"The columns are named by the line {named}; --header (header=True) takes the next one.")
        comment = "" if commented[0].strip() == comment and not skipped else comment
    if skipped:
        notes.append(_skipped_note(skipped, comment))
    return comment, notes


def _row_notes(grid: FieldGrid, options: ReadOptions) -> list[str]:
    """Return notes on the separators of the rows."""
    notes = []
    if grid.trailing:
        notes.append("Each row ends in a delimiter; the empty field after it is not a column.")
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
    """Return the line number of a row, or of the one after the header."""
    if first < len(grid.records):
        return grid.records[first].line
    if not first:
        return 1
    line, fields = grid.records[first - 1]
    return line + 1 + sum(count_line_ends(field.encode("utf-8", "replace")) for field in fields)


def _skipped_note(lines: list[str], comment: str) -> str:
    """Return the note on lines before the header."""
    more = f" Later lines that begin with {comment!r} are comments, too." if comment else ""
    return (
        f"{pluralize(len(lines), 'line')} before the header {'is' if len(lines) == 1 else 'are'} not read "
        f"({quote_list(lines, MAX_LINES_QUOTED)}).{more} With --skip-rows 0 (skip_rows=0), all lines are read."
    )


def _checked_header(header: list[str], rows: list[list[str]], grid: FieldGrid, display_name: str) -> list[str]:
    """Return a note if names are numbers; raise `TableError` if the header reads like a row of data."""
    fields, width = header, grid.columns
    evidence = header_evidence(fields, [row[grid.row_names :] for row in rows])
    if evidence.is_data:
        raise TableError(
            f"The first row of {display_name!r} reads like data, not like the names of the columns: "
            f"{quote_list(fields)}. With --no-header (header=False in Python) it is a row and the columns are called "
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
