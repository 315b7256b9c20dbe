"""Options of reading a table, shared by every reader of files and every command."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

from softreg.tables.columns.table_errors import TableError, quote

BLANKS = " "
"""The delimiter that stands for runs of blanks."""
MAX_SIDE = 4096
"""Largest side of the images of a table, in pixels."""
MAX_PIXELS = 100_000_000
"""Default limit of the pixels that a picture file declares; decoded in colour it takes 300 MB."""
_SIZE = re.compile(r"\s*(\d+)\s*(?:[xX×]\s*(\d+)\s*)?")
_COLOURS = {"grey": "grey", "gray": "grey", "colour": "colour", "color": "colour"}
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
    image_size: str | tuple[int, int] | None
    image_color: str | None
    max_pixels: int
    labels: str | os.PathLike[str] | None
    note_other_sizes: bool


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
    image_size : str or (int, int), optional
        Width and height of images in pixels, as "28x28". A model uses the size of its training.
    image_color : {"grey", "colour"}, optional
        Whether a pixel has one number or three. A model uses the colours of its training.
    max_pixels : int
        Picture files that declare more pixels are refused before they are decoded.
    labels : path, optional
        File of the labels of images in an IDX or `.npy` file.
    note_other_sizes : bool, default=False
        Whether a note counts the images of another size than `image_size`. A model sets it.

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
    image_size: tuple[int, int] | None = None
    """Width and height of images in pixels."""
    image_color: str | None = None
    """Whether pixels are "grey" or in "colour"."""
    max_pixels: int = MAX_PIXELS
    """The most pixels that a picture file may declare."""
    labels: str | None = None
    """The file of the labels of images in an IDX or `.npy` file."""
    note_other_sizes: bool = False
    """Whether a note counts the images of another size than `image_size`."""

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
        if not isinstance(self.max_pixels, int) or self.max_pixels < 1:
            raise TableError(f"max_pixels is {self.max_pixels}; expected a number of pixels, 1 or more.")
        object.__setattr__(self, "image_size", _image_size(self.image_size))
        object.__setattr__(self, "image_color", _image_color(self.image_color))
        object.__setattr__(self, "labels", None if self.labels is None else os.fspath(self.labels))
        object.__setattr__(self, "na", (self.na,) if isinstance(self.na, str) else tuple(self.na))


def _image_size(given: Any) -> tuple[int, int] | None:
    """Return width and height, given as "28x28", "28" or a pair; raise `TableError` for others."""
    if given is None:
        return None
    match = _SIZE.fullmatch(given) if isinstance(given, str) else None
    sides = [match[1], match[2] or match[1]] if match else given
    try:
        width, height = (int(side) for side in sides)
    except (TypeError, ValueError):
        width = height = 0
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise TableError(
            f"The size of images is {quote(str(given))}; expected width and height in pixels from 1 to {MAX_SIDE:,}, "
            "such as 28x28."
        )
    return width, height


def _image_color(given: str | None) -> str | None:
    """Return "grey" or "colour" in one spelling; raise `TableError` for another word."""
    if given is None:
        return None
    if str(given).casefold() not in _COLOURS:
        raise TableError(f"The colours of images are {quote(str(given))}; expected grey or colour.")
    return _COLOURS[str(given).casefold()]


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
