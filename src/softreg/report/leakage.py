"""A column that alone almost determines the label, which may be a consequence of it."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.report.words import LONGEST_NAME, percent, shortened

LEAKS = 0.9
"""Share of the entropy of the labels that a column alone explains from which it is pointed out."""
NAMED = 3
"""Columns that are named, at most."""


def leakage(information: Sequence[tuple[str, float]], label_entropy: float) -> str:
    """A warning of columns that alone explain 90% or more of the entropy of the labels; empty where there is none.

    `information` has (column, nats) pairs, of each column alone, and `label_entropy` is in nats.

    >>> print(leakage([("age", 0.1), ("alive", 0.66)], 0.668))
    “alive” alone explains 98.8% of the entropy of the labels. Check that it is known when predictions are made; a \
column that is filled in afterwards makes all figures better than those of new rows. --drop leaves it out.
    """
    if label_entropy <= 0:
        return ""
    found = sorted((nats / label_entropy, name) for name, nats in information if nats >= LEAKS * label_entropy)[::-1]
    if not found:
        return ""
    names = [f"“{shortened(name, LONGEST_NAME)}” alone explains {percent(min(share, 1.0))}" for share, name in found]
    more = f", and {len(names) - NAMED:,} more columns almost as much" if len(names) > NAMED else ""
    it, known = ("it", "it is") if len(found) == 1 else ("them", "they are")
    return (
        f"{'; '.join(names[:NAMED])}{more} of the entropy of the labels. Check that {known} known when predictions are "
        "made; a column that is filled in afterwards makes all figures better than those of new rows. --drop leaves "
        f"{it} out."
    )
