"""Decision whether the first line of a text file names the columns or is a row of data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MIN_INCREASING = 5
"""Names that are numbers in increasing order, at least, where they stand at unequal distances."""
MIN_EQUIDISTANT = 3
"""Names that are numbers at equal distances, as years are, at least; one less where other names are words."""
MIN_VALUE_SHARE = 0.9
"""Share of numbers and dates in a column of them, at least."""
MIN_REPEATED = 3
"""Columns of words with the first field among them, from which on a single word above numbers counts less."""
MAX_CELLS = 5000
"""Fields that the first line is compared with, about."""
MIN_ROWS = 20
"""Rows that it is compared with, at least."""
_NUMBER = re.compile(r"[-+]?[$€£]?\s?(\d[\d.,' \u00a0\u202f]*|[.,]\d+)(e[-+]?\d+)?\s?[%€$]?", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}\S*)?|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_MISSING = frozenset(("", "?", "-", ".", "--", "na", "n/a", "#n/a", "nan", "null", "none", "<na>", "\\n"))


@dataclass(frozen=True)
class HeaderEvidence:
    """Numbers of columns that indicate that the first line is a header, or a row of data.

    Attributes
    ----------
    words : int
        Columns of numbers or dates below a word.
    values : int
        Columns of numbers or dates below a number or date.
    new : int
        Columns of repeated words below a word that does not occur in them.
    repeated : int
        Columns of words below one of these words.
    numbers : bool
        True if some fields of the first line are numbers.

    Examples
    --------
    >>> header_evidence(["age", "job"], [["31", "cook"], ["45", "cook"]]).is_data
    False
    >>> header_evidence(["31", "cook"], [["31", "cook"], ["45", "cook"]]).is_data
    True
    """

    words: int
    """Columns of numbers or dates below a word."""
    values: int
    """Columns of numbers or dates below one of them."""
    new: int
    """Columns of words, most of which occur several times, below one that does not occur in them."""
    repeated: int
    """Columns of words below one of them."""
    numbers: bool
    """Whether some names are numbers."""

    @property
    def is_data(self) -> bool:
        """Whether the first line reads like a row of data."""
        if self.words != self.values:
            unlike = self.words == 1 and self.new == 0 and self.repeated >= MIN_REPEATED  # a word for "missing"
            return self.values > self.words or unlike
        return self.repeated > self.new

    @property
    def is_header(self) -> bool:
        """Whether the first line reads like names."""
        return not self.is_data and self.words + self.new > 0


def header_evidence(first: Sequence[str], rows: Sequence[Sequence[str]]) -> HeaderEvidence:
    """Compare the fields of the first line with the columns below them.

    A column of numbers or dates indicates data if the first field is one too, and a header if it is a word; such
    columns decide. Otherwise a column of words indicates data if the first field occurs among them, and a header if
    it does not although most of them occur several times. Numbers of the first line that increase in equal steps,
    such as years, are names.

    Parameters
    ----------
    first : sequence of str
        Fields of the first line.
    rows : sequence of sequence of str
        Fields of the rows below.

    Returns
    -------
    HeaderEvidence

    Examples
    --------
    >>> header_evidence(["country", "2000", "2001", "2002"], [["Peru", "1.5", "1.6", "1.9"]]).is_data
    False
    """
    rows = rows[: max(MIN_ROWS, MAX_CELLS // max(1, len(first)))]
    votes = []
    for index, field in enumerate(first):
        values = [row[index] for row in rows if index < len(row)]
        votes.append(_vote(field.strip(), [value.strip() for value in values]))
    fewest = MIN_EQUIDISTANT - ("words" in votes or "new" in votes)
    if _is_sequence(first, fewest) and (_is_apart(first, rows) or not all(_is_sequence(r, fewest) for r in rows[:3])):
        votes = ["" if _is_number(field) else vote for field, vote in zip(first, votes, strict=True)]
    counts = {kind: votes.count(kind) for kind in ("words", "values", "new", "repeated")}
    return HeaderEvidence(**counts, numbers=any(map(_is_number, first)))


def _vote(field: str, values: list[str]) -> str:
    """Return the `HeaderEvidence` count that a column increases; "" if it decides nothing."""
    present = [value for value in values if not is_missing(value)]
    if not present:
        return ""
    if not field:
        return "words" if _counts(values) else ""
    if sum(map(is_value, present)) >= MIN_VALUE_SHARE * len(present):
        if is_value(field):
            return "values"
        return "" if is_missing(field) else "words"
    levels = set(present)
    if field in levels:
        return "repeated"
    return "new" if 2 * len(levels) <= len(present) else ""


def is_value(text: str) -> bool:
    """Return True if text is a number or a date.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_value("1,5"), is_value("2020-02-03"), is_value("a1")
    (True, True, False)
    """
    return bool(_NUMBER.fullmatch(text) or _DATE.fullmatch(text))


def is_missing(text: str) -> bool:
    """Return True if text is a usual spelling of a missing value.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_missing(""), is_missing("N/A"), is_missing("0")
    (True, True, False)
    """
    return text.strip().casefold() in _MISSING


def _is_number(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text.strip()))


def _counts(values: list[str]) -> bool:
    """Return True if values are 0, 1, 2, ... or 1, 2, 3, ..."""
    return any(values == [str(start + i) for i in range(len(values))] for start in (0, 1))


def _is_apart(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return True if the numbers of the first line lie outside the range of those of the rows."""
    header_numbers = _numbers(first)
    row_numbers = [number for row in rows for number in _numbers(row)]
    return bool(header_numbers and row_numbers) and (
        min(header_numbers) > max(row_numbers) or max(header_numbers) < min(row_numbers)
    )


def _numbers(fields: Sequence[str]) -> list[float]:
    """Return the fields that Python parses as numbers."""
    numbers = []
    for field in fields:
        try:
            numbers.append(float(field))
        except ValueError:
            continue
    return numbers


def _is_sequence(fields: Sequence[str], fewest: int) -> bool:
    """Return True if the numbers among the fields increase: `fewest` of them in equal steps, or more in any steps."""
    numbers = _numbers(fields)
    steps = [later - earlier for earlier, later in pairwise(numbers)]
    if not steps or min(steps) <= 0:
        return False
    equal = max(steps) - min(steps) <= 1e-9 * abs(max(numbers))
    return len(numbers) >= (fewest if equal else MIN_INCREASING)
