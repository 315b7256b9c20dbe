"""Unclosed quotes in CSV: a parser would read the rows after one as a part of a field, or lose them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from softreg.files.formats import DataFile
from softreg.files.streams import open_bytes


class QuoteCounter:
    r"""Binary file object that counts the quotes of each line while Arrow reads the file.

    A line with an odd number of quotes is a part of a quoted field with a line break, or opens a quote that is never
    closed.

    Parameters
    ----------
    file : binary file
        Bytes of the file, decompressed; closed with the counter.

    Attributes
    ----------
    has_odd_line : bool
        Whether some line read so far has an odd number of quotes.

    Examples
    --------
    >>> counter = QuoteCounter(io.BytesIO())
    >>> counter.count(b'1,"a"\n2,"b\n'), counter.has_odd_line
    (None, True)
    >>> counter.close()
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.has_odd_line = False
        self._pending = 0
        """Quotes in the line that the latest bytes begin."""

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self.file.closed

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; at the end of the file, its last line counts as complete."""
        raw = self.file.read(size)
        if raw:
            self.count(raw)
        else:
            self.has_odd_line |= self._pending % 2 == 1
        return raw

    def count(self, raw: bytes) -> None:
        """Count the quotes of each line in these bytes."""
        if self.has_odd_line or (b'"' not in raw and not self._pending % 2):
            return
        codes = np.frombuffer(raw, np.uint8)
        line_ends = np.flatnonzero(codes == ord("\n"))
        line_of_quote = np.searchsorted(line_ends, np.flatnonzero(codes == ord('"')))
        counts = np.bincount(line_of_quote, minlength=len(line_ends) + 1)
        counts[0] += self._pending
        self.has_odd_line |= bool((counts[:-1] % 2).any())
        self._pending = int(counts[-1])


def check_quotes(file: DataFile, delimiter: str) -> None:
    r"""Parse a CSV file strictly, to find a quote that is not closed.

    Parameters
    ----------
    file : DataFile
        The file.
    delimiter : str
        The character between fields.

    Raises
    ------
    ValueError
        If a quote is not closed; the message names the line that opens it.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("open.csv").write_text('x,y\n1,a\n2,"b\n3,a\n')
    >>> check_quotes(DataFile(Path("open.csv"), "csv"), ",")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: The row in line 3 of 'open.csv' opens a quote that is not closed as CSV requires (unexpected end of ...
    """
    line = 1
    raw: Any = open_bytes(file)
    text = io.TextIOWrapper(raw, newline="", encoding="utf-8-sig", errors="surrogateescape")
    with text, unlimited_field_size():
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for _ in reader:
                line = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(
                f"The row in line {line:,} of {file.path.name!r} opens a quote that is not closed as CSV requires "
                f'({error}), so rows would be lost. Close it, or write a quote inside a quoted field twice ("").'
            ) from None


@contextmanager
def unlimited_field_size() -> Iterator[None]:
    """Lift the csv module's limit on the size of a field within the context."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
