"""Quotes of CSV that are opened and not closed: rows below one would be read as a part of a label, or be lost."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


class QuoteCounter:
    """The bytes of a file as Arrow reads them; `odd` says whether some line had an odd number of quotes.

    Such a line is a part of a quoted field with a line break, or opens a quote that is never closed.

    Example:
        >>> watch = QuoteCounter(Path(__file__))
        >>> watch.look(b'1,"a"\\n2,"b\\n'), watch.odd
        (None, True)
        >>> watch.close()
    """

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self.odd = False
        self.rest = 0
        """Quotes of the line that the latest bytes have begun."""

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self.file.closed

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def read(self, size: int = -1) -> bytes:
        """The next bytes; at the end of the file, its last line is complete."""
        raw = self.file.read(size)
        if raw:
            self.look(raw)
        else:
            self.odd |= self.rest % 2 == 1
        return raw

    def look(self, raw: bytes) -> None:
        """Count the quotes of each line in these bytes."""
        if self.odd or (b'"' not in raw and not self.rest % 2):
            return
        codes = np.frombuffer(raw, np.uint8)
        ends = np.flatnonzero(codes == ord("\n"))
        lines = np.searchsorted(ends, np.flatnonzero(codes == ord('"')))
        counts = np.bincount(lines, minlength=len(ends) + 1)
        counts[0] += self.rest
        self.odd |= bool((counts[:-1] % 2).any())
        self.rest = int(counts[-1])


def check_quotes(path: Path, delimiter: str) -> None:
    """Read a CSV file strictly; raises `ValueError` that names the line of a quote that is not closed.

    Example:
        >>> _ = Path("open.csv").write_text('x,y\\n1,a\\n2,"b\\n3,a\\n')
        >>> check_quotes(Path("open.csv"), ",")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: The row in line 3 of 'open.csv' opens a quote that is not closed as CSV asks (unexpected end of ...
    """
    line = 1
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as text, unlimited_field_size():
        reader: Any = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for _ in reader:
                line = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(
                f"The row in line {line:,} of {path.name!r} opens a quote that is not closed as CSV asks ({error}), so "
                'rows would be swallowed. Close it, or write a quote inside a quoted field twice ("").'
            ) from None


@contextmanager
def unlimited_field_size() -> Iterator[None]:
    """Lift the csv module's limit on the size of a field for a while."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
