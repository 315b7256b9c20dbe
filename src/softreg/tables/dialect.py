"""Which character separates the fields of a text file, judged by its beginning."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass

DELIMITERS = (",", "\t", ";")
_ANNOUNCED = re.compile(r'"?sep=([,;\t|])"?(\r\n|\r|\n)', re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """The delimiter of a file, and whether its first line is the `sep=;` with which spreadsheets announce it."""

    delimiter: str
    announced: bool = False


def find_dialect(head: bytes, *, tabs: bool, complete: bool) -> Dialect:
    """The dialect of a file that begins with `head`; `complete` says that this is all of it.

    A first line `sep=;` decides. Otherwise it is a tab for files that are tab-separated by their ending (`tabs`), and
    for others, of the delimiters that stand in the header outside quotes, the one that gives all rows of `head` as many
    fields as the header; the one that gives most of them where several do. Where none does, it is a comma before a tab
    before a semicolon.

    Example:
        >>> find_dialect(b"a, b\\tc\\n1\\t2\\n", tabs=False, complete=True).delimiter
        '\\t'
        >>> find_dialect(b"sep=;\\na;b\\n", tabs=False, complete=True)
        Dialect(delimiter=';', announced=True)
    """
    text = head.decode("utf-8", "replace").removeprefix("\ufeff")
    if found := _ANNOUNCED.match(text):
        return Dialect(found[1], announced=True)
    if tabs:
        return Dialect("\t")
    counts = {delimiter: _field_counts(text, delimiter, complete) for delimiter in DELIMITERS}
    several = [delimiter for delimiter in DELIMITERS if counts[delimiter][0] > 1]
    even = [delimiter for delimiter in several if len(set(counts[delimiter])) == 1]
    if even:
        return Dialect(max(even, key=lambda delimiter: counts[delimiter][0]))
    return Dialect(several[0] if several else ",")


def _field_counts(text: str, delimiter: str, complete: bool) -> list[int]:
    """How many fields each row has; without the last row where the text may end within it."""
    try:
        counts = [len(row) for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error:  # a field longer than the module reads
        counts = []
    return (counts if complete else counts[:1] + counts[1:-1]) or [0]
