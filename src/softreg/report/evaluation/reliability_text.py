"""Sentences on reliability curves."""

from __future__ import annotations

import numpy as np

from softreg.report.evaluation.number_format import MAX_NAME_LENGTH, format_percent, shorten_middle
from softreg.report.evaluation.reliability import MOST_LIKELY, Reliability


def reliability_sentence(curve: Reliability) -> str:
    """State how many bins of a curve are within their bands, and the deviation outside that concerns most rows.

    Returns
    -------
    str
        One to three sentences.

    Examples
    --------
    >>> from softreg.report.evaluation.reliability import reliability_curve
    >>> print(reliability_sentence(reliability_curve([0.25, 0.75, 0.75], [1, 1, 1], bins=2)))
    2 of 2 bins lie within their bands. If the probabilities are right, on average at most 1 bin in 20 lies outside.
    """
    outside, filled = int(curve.outside.sum()), int(curve.filled.sum())
    of = "bins lie within their bands" if filled > 1 else "bin lies within its band"
    by_chance = "If the probabilities are right, on average at most 1 bin in 20 lies outside."
    return f"{filled - outside} of {filled} {of}. {by_chance} {largest_deviation_sentence(curve)}".rstrip()


def largest_deviation_sentence(curve: Reliability) -> str:
    """Return a sentence on the deviation that concerns most rows; empty where no bin lies outside its band."""
    if not curve.outside.any():
        return ""
    rows_off = np.where(curve.outside, curve.count * np.abs(curve.observed - curve.predicted), 0.0)
    worst = int(np.argmax(rows_off))
    between = f"between {format_percent(curve.edges[worst], 0)} and {format_percent(curve.edges[worst + 1], 0)}"
    of = f" for {quote_name(curve.name)}" if curve.name else ""
    return (
        f"The deviation that concerns most rows is {between}: the mean probability{of} is "
        f"{format_percent(curve.predicted[worst])}, the observed frequency {format_percent(curve.observed[worst])}."
    )


def quote_name(text: str) -> str:
    """Return the name of a class in quotes, and `MOST_LIKELY`, which is no class, without."""
    return text if text == MOST_LIKELY else f"“{shorten_middle(text, MAX_NAME_LENGTH)}”"
