"""Options of reading a table, shared by every reader of files and every command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

from softreg.tables.columns.table_errors import TableError, quote

BLANKS = " "
"""The delimiter that stands for runs of blanks."""
_DELIMITERS = {"tab": "\t", "\\t": "\t", "space": BLANKS, "spaces": BLANKS, "comma": ",", "semicolon": ";", "pipe": "|"}


class ReadKeywords(TypedDict, total=False):
    """Fields of `ReadOptions` as keyword arguments."""

    encoding: str | None
    bad_rows: Literal["error", "skip"]
    delimiter: str | None
    decimal: Literal[".", ","] | None
    skip_rows: int | None
    header: bool | None
    na: str | Sequence[str]


@dataclass(frozen=True)
class ReadOptions:
    """Options of reading a table. None lets the reader infer the value from the file.

    Parameters
    ----------
    encoding : str, optional
        Encoding of text files.
    bad_rows : {"error", "skip"}, default="error"
        Whether a row that cannot be read raises an error or is left out.
    delimiter : str, optional
        Character between the fields of a text file. "tab" is a tab; "space" and " " are runs of blanks.
    decimal : {".", ","}, optional
        Decimal separator of numbers in text.
    skip_rows : int, optional
        Number of lines before the header that are skipped.
    header : bool, optional
        Whether the first line names the columns. Without a header they are named `column_1`, `column_2`, ...
    na : str or sequence of str, default=()
        Spellings of a missing value in every column, in addition to the empty field.

    Raises
    ------
    TableError
        If an option has an invalid value.

    Examples
    --------
    >>> ReadOptions(encoding="latin-1").bad_rows
    'error'
    """

    encoding: str | None = None
    """Encoding of text files."""
    bad_rows: Literal["error", "skip"] = "error"
    """Whether a row that cannot be read is an error or is left out."""
    delimiter: str | None = None
    """The character between the fields of a text file; "tab" stands for a tab, "space" and " " for runs of blanks."""
    decimal: Literal[".", ","] | None = None
    """The decimal separator of numbers in text."""
    skip_rows: int | None = None
    """Number of lines of a text file before its header that are skipped."""
    header: bool | None = None
    """Whether the first line names the columns; without a header they are named `column_1`, `column_2` and so on."""
    na: tuple[str, ...] = ()
    """Spellings, besides the empty field, that mean a missing value in every column."""

    def __post_init__(self) -> None:
        if self.bad_rows not in ("error", "skip"):
            raise TableError(f"bad_rows is {self.bad_rows!r}; expected 'error' or 'skip'.")
        if self.decimal not in (None, ".", ","):
            raise TableError(f"decimal is {self.decimal!r}; expected '.' or ','.")
        if self.skip_rows is not None and self.skip_rows < 0:
            raise TableError(f"skip_rows is {self.skip_rows}; expected a count of lines, 0 or more.")
        if self.header not in (None, True, False):
            raise TableError(f"header is {self.header!r}; expected True, False or None.")
        object.__setattr__(self, "delimiter", _delimiter(self.delimiter))
        object.__setattr__(self, "na", (self.na,) if isinstance(self.na, str) else tuple(self.na))


def _delimiter(given: str | None) -> str | None:
    """Return the character that names a delimiter, such as "tab"; raise `TableError` if it is not a valid delimiter."""
    character = None if given is None else _DELIMITERS.get(given.casefold(), given)
    if character is not None and (
        len(character) != 1 or character in '"\r\n\0' or character.isalnum() or not character.isascii()
    ):
        raise TableError(
            f"The delimiter {quote(given)} is not one character that can separate fields; expected one such as ',', "
            "';' or '|', or the word tab or space."
        )
    return character


def read_options(options: ReadOptions | None, keywords: Mapping[str, Any]) -> ReadOptions:
    """Return the options, given as a record or as keywords.

    Parameters
    ----------
    options : ReadOptions or None
        Options as a record.
    keywords : dict
        Fields of `ReadOptions`; empty if `options` is given.

    Returns
    -------
    ReadOptions

    Raises
    ------
    TypeError
        If a keyword is unknown, or if options and keywords are both given.

    Examples
    --------
    >>> read_options(None, {"delimiter": "|"}).delimiter
    '|'
    """
    unknown = sorted(set(keywords) - {field.name for field in fields(ReadOptions)})
    if unknown:
        raise TypeError(f"There is no option {unknown[0]!r} of reading a table.")
    if options is not None and keywords:
        raise TypeError(f"Give either options= or {sorted(keywords)[0]}=, not both.")
    return ReadOptions(**keywords) if options is None else options
