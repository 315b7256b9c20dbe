"""Layout of printed results: aligned columns, labels, numbers and intervals."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from rich.cells import cell_len

if TYPE_CHECKING:
    from softreg.probability import Interval

MIN_SHOWN_GAP = 1e-12
"""Gap in nats below which digits are rounding error."""
MAX_LABEL_LENGTH = 40
"""Characters of a label in a line."""
LABELS_WIDTH = 60
"""Characters of a list of labels."""
ZERO = 1e-9
"""Absolute value up to which the end of an interval is written as 0."""
CONTROL_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of characters that would move the cursor or cannot be written."""


def align_columns(rows: Sequence[tuple[str, ...]], indent: str = "  ") -> str:
    """Lay out rows in columns, two blanks apart.

    Parameters
    ----------
    rows : sequence of tuple of str
        Cells of each row.
    indent : str
        Text before each line.

    Returns
    -------
    str
        The lines, without blanks at their ends.

    Examples
    --------
    >>> print(align_columns([("rows", "150", "30 held out"), ("columns", "4", "")], indent=""))
    rows     150  30 held out
    columns  4
    """
    cells = [[escape_controls(cell) for cell in row] for row in rows]
    widths = [max(cell_len(cell) for cell in column) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        for row in cells
    )
    return "\n".join(f"{indent}{line}".rstrip() for line in lines)


def escape_controls(text: str) -> str:
    r"""Replace control characters in text from a file by escape sequences, so that it cannot control the terminal.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        One line of text.

    Examples
    --------
    >>> print(escape_controls("two\nlines, \x1b[31mred"))
    two\nlines, \x1b[31mred
    """
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in CONTROL_CATEGORIES else c for c in text
    )


def truncate_label(label: str, longest: int = MAX_LABEL_LENGTH) -> str:
    """Return the beginning of a label, with an ellipsis where more follows.

    Parameters
    ----------
    label : str
        The label.
    longest : int
        Largest number of characters.

    Returns
    -------
    str
        The label or its beginning.

    Examples
    --------
    >>> truncate_label("Free entry in a competition", longest=11)
    'Free entry…'
    """
    return label if len(label) <= longest else label[: longest - 1].rstrip() + "…"


def format_labels(labels: Sequence[str], width: int = LABELS_WIDTH) -> str:
    """List labels in one line, as many as fit, at least one.

    Parameters
    ----------
    labels : sequence of str
        The labels; long ones are truncated.
    width : int
        Characters of the list.

    Returns
    -------
    str
        The labels, and the number of the others.

    Examples
    --------
    >>> format_labels(("cat", "dog")), format_labels(("cat", "chicken", "dog"), width=10)
    ('cat, dog', 'cat and 2 more')
    """
    labels = [truncate_label(label) for label in labels]
    lengths = accumulate(len(label) + 2 for label in labels)
    fit = max(1, sum(length <= width + 2 for length in lengths))
    more = f" and {len(labels) - fit:,} more" if len(labels) > fit else ""
    return ", ".join(labels[:fit]) + more


def format_nats(gap: float) -> str:
    """Write a gap with its unit.

    Parameters
    ----------
    gap : float
        Gap in nats.

    Returns
    -------
    str
        Two digits; `MIN_SHOWN_GAP` at least.

    Examples
    --------
    >>> format_nats(3.2e-7), format_nats(2e-19)
    ('3.2e-07 nats', '1.0e-12 nats')
    """
    return f"{max(gap, MIN_SHOWN_GAP):.1e} nats"


def format_loss(loss: float) -> str:
    """Write a log loss with its unit.

    Parameters
    ----------
    loss : float
        Log loss in nats.

    Returns
    -------
    str
        Four decimals, or "infinite".

    Examples
    --------
    >>> format_loss(0.25), format_loss(math.inf)
    ('0.2500 nats', 'infinite')
    """
    return f"{loss:.4f} nats" if math.isfinite(loss) else "infinite"


def format_interval(interval: Interval, decimals: int = 4) -> str:
    """Write a 95% interval.

    Parameters
    ----------
    interval : Interval
        The interval.
    decimals : int
        Decimals of its ends. An end that would be rounded to 0 has more, so that its sign is visible.

    Returns
    -------
    str
        The ends.

    Examples
    --------
    >>> from softreg.probability import Interval
    >>> format_interval(Interval(0.1, 0.05, 0.2)), format_interval(Interval(0.0, 0.0, math.inf))
    ('95% interval 0.0500 to 0.2000', '95% interval 0.0000 to infinity')
    """
    return f"95% interval {_format_end(interval.low, decimals)} to {_format_end(interval.high, decimals)}"


def _format_end(value: float, decimals: int) -> str:
    """Return an end of an interval."""
    if math.isinf(value):
        return "infinity" if value > 0 else "minus infinity"
    text = f"{value:.{decimals}f}"
    if text.strip("-0."):
        return text
    if abs(value) >= 0.5 * 10.0 ** -(decimals + 1):
        return f"{value:.{decimals + 1}f}"
    return f"{value:.0e}" if abs(value) > ZERO else f"{0:.{decimals}f}"
