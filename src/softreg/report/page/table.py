"""A table of texts that a template lays out, and names of classes and columns as the page shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softreg.report.evaluation.number_format import MAX_NAME_LENGTH, shorten_middle

MAX_HEADING_LENGTH = 28
"""Characters of a class name above its column."""
MAX_LINES = 25
"""Lines of a table from which it scrolls on its own."""


@dataclass(frozen=True)
class Table:
    """Rows of text under their headings.

    Attributes
    ----------
    head : sequence of str
        Headings of the columns.
    rows : sequence of sequence of str
        Cells of each row.
    right : sequence of bool
        Whether a column is aligned to the right, as numbers are.
    note : str
        A remark below the table, such as what is left out.
    stacked : bool
        Whether the last column moves below the others on a narrow page.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[bool]
    note: str = ""
    stacked: bool = False


def display_name(text: object) -> str:
    """Return the name of a class or column as the page shows it: never empty, never too long."""
    return shorten_middle(str(text), MAX_NAME_LENGTH) or "(empty)"


def heading(text: object) -> str:
    """Return the name of a class as the heading of a narrow column."""
    return shorten_middle(display_name(text), MAX_HEADING_LENGTH)


def left_out_note(total: int, shown: int, noun: str) -> str:
    """Return a remark on the entries that are not shown; empty where all are."""
    return f"{total - shown:,} more {noun} are left out." if total > shown else ""
