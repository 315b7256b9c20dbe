"""How a table is read: the options that every reader of files and every command takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

from softreg.tables.columns.errors import TableError, quote

BLANKS = " "
"""The delimiter that stands for runs of blanks."""
_DELIMITERS = {"tab": "\t", "\\t": "\t", "space": BLANKS, "spaces": BLANKS, "comma": ",", "semicolon": ";", "pipe": "|"}


class ReadKeywords(TypedDict, total=False):
    """The fields of `ReadOptions` as keyword arguments."""

    encoding: str | None
    bad_rows: Literal["error", "skip"]
    delimiter: str | None
    decimal: Literal[".", ","] | None
    skip_rows: int | None
    header: bool | None
    na: str | Sequence[str]


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading a table; None leaves a choice to what the file shows.

    Raises `TableError` for a value that an option does not take.

    Example:
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
    """Lines of a text file ahead of its header that are not read."""
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
    """The character that a delimiter is given by; raises `TableError` where it is none."""
    character = None if given is None else _DELIMITERS.get(given.casefold(), given)
    if character is not None and (
        len(character) != 1 or character in '"\r\n\0' or character.isalnum() or not character.isascii()
    ):
        raise TableError(
            f"The delimiter {quote(given)} is not one character that can separate fields; expected one such as ',', "
            "';' or '|', or the word tab or space."
        )
    return character


def read_options(options: ReadOptions | None, keywords: Any) -> ReadOptions:
    """The options given as a record, or else as keywords; raises `TypeError` for unknown keywords and for both at once.

    Example:
        >>> read_options(None, {"delimiter": "|"}).delimiter
        '|'
    """
    unknown = sorted(set(keywords) - {field.name for field in fields(ReadOptions)})
    if unknown:
        raise TypeError(f"There is no option {unknown[0]!r} of reading a table.")
    if options is not None and keywords:
        raise TypeError(f"Give either options= or {sorted(keywords)[0]}=, not both.")
    return ReadOptions(**keywords) if options is None else options
