"""How a table is read: the options that every reader of files and every command takes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

from softreg.tables.errors import TableError


class ReadKeywords(TypedDict, total=False):
    """The fields of `ReadOptions` as keyword arguments."""

    encoding: str | None
    bad_rows: Literal["error", "skip"]
    delimiter: str | None
    decimal: Literal[".", ","] | None
    skip_rows: int | None
    header: bool | None
    na: tuple[str, ...]


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
    """The character between the fields of a text file; "space" stands for runs of blanks, "tab" for a tab."""
    decimal: Literal[".", ","] | None = None
    """The decimal separator of numbers in text."""
    skip_rows: int | None = None
    """Lines of a text file ahead of its header that are not read."""
    header: bool | None = None
    """Whether the first line names the columns."""
    na: tuple[str, ...] = ()
    """Spellings, besides the empty field, that mean a missing value in every column."""

    def __post_init__(self) -> None:
        if self.bad_rows not in ("error", "skip"):
            raise TableError(f"bad_rows is {self.bad_rows!r}; expected 'error' or 'skip'.")
        if self.decimal not in (None, ".", ","):
            raise TableError(f"decimal is {self.decimal!r}; expected '.' or ','.")
        if self.skip_rows is not None and self.skip_rows < 0:
            raise TableError(f"skip_rows is {self.skip_rows}; expected a count of lines, 0 or more.")


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
