"""Known faults that the comparison of forms would find again and again, each with a switch.

An entry takes kinds of columns or targets out of the generated tables of some forms (all where `forms` is empty).
Delete an entry when its fault is mended: the comparison then covers it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """What is left out of the tables because of one fault."""

    fault: str
    """The number of the row, and what happens in a few words."""
    forms: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    """Kinds of columns that are left out where they have missing values."""
    asked: tuple[str, ...] = ()
    """Kinds of columns that are not asked for as categories."""
    targets: tuple[str, ...] = ()


KNOWN: dict[str, Known] = {}


def left_out(form: str, what: str) -> set[str]:
    """What the known faults take out of the tables of a form: "kinds", "gaps", "targets" or "asked"."""
    return {kind for one in KNOWN.values() if not one.forms or form in one.forms for kind in getattr(one, what)}
