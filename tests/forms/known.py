"""Known faults that the comparison of forms would find again and again, each with a switch.

An entry takes kinds of columns or targets out of the generated tables of some forms (all where `forms` is empty).
Delete an entry when its fault is mended: the comparison then covers it.
"""

from __future__ import annotations

from dataclasses import dataclass

from .tables import KINDS
from .writers import FORMS


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


TEXT = tuple(name for name, form in FORMS.items() if form.text)
CODED = ("category", "integers as categories")
KNOWN: dict[str, Known] = {
    "true": Known("C5: asked for as a category, a boolean column has the levels True or true by its form", TEXT,
                  asked=("bool",)),
    "1.0": Known("A10: as a category, 1.0 in a file of text is another level than the number 1", TEXT,
                 asked=("float", "whole", "decimal")),
    "1e10": Known("A10: integers that pandas makes floats of, because values are missing, are other levels",
                  tuple(name for name, form in FORMS.items() if form.no_gaps), asked=("int", "id")),
    "views": Known("B1, E3: string views in one of two files", ("two parquet files of other types",),
                   kinds=("words", "digits", "sentence"), targets=("words",)),
    "index": Known("A1: the index column of a filtered frame is a feature", ("parquet of a filtered frame",),
                   kinds=tuple(KINDS)),
    "objects": Known("E5: OverflowError of a library for Python integers beyond int64 in an object column",
                     ("pandas, objects",), kinds=("uint64",)),
    "null in a dictionary": Known("E3: ArrowInvalid, dictionaries with nulls cannot be unified",
                                  ("arrow, null in dictionaries",), kinds=CODED, targets=CODED),
    "labels": Known("C8: labels of all types are text after a fit; no form, for the test looks for this switch",
                    ("-",)),
}  # fmt: skip


def left_out(form: str, what: str) -> set[str]:
    """What the known faults take out of the tables of a form: "kinds", "gaps", "targets" or "asked"."""
    return {kind for one in KNOWN.values() if not one.forms or form in one.forms for kind in getattr(one, what)}
