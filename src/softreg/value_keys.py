"""The value that a text stands for, as a key: a number, a boolean, or a date or timestamp; and the text of numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

import numpy as np

BOOLEAN_TEXTS = ("false", "true")
"""The spelling of booleans."""
MAX_DIGITS = 400
"""Digits that text may have to be read as a number; float64 ends at 1e308, and 1e999999999 is not written out."""
LOWEST_EXPONENT = -4
"""Numbers below 1e-4 are written with an exponent, as Python writes floats."""

_EXACT = Context(prec=2 * MAX_DIGITS)
_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,4})?")
MIDNIGHT = " 00:00:00"


def float_text(value: Any) -> str | None:
    """The text of a float in its own precision; None for nan."""
    if np.isnan(value):
        return None
    return f"{int(value)}" if np.isfinite(value) and value == np.floor(value) else str(value)


def decimal_text(value: Decimal) -> str:
    """The exact digits, without trailing zeros behind the point; tiny numbers as Python writes floats."""
    if not value.is_finite():
        return str(value).lower()
    value = value.normalize(_EXACT)
    if not value:
        return "0"  # without a sign
    if value.adjusted() >= LOWEST_EXPONENT:
        return f"{value:f}"
    digits, exponent = f"{value:e}".split("e")
    return f"{digits}e-{-int(exponent):02d}"


def number_key(text: str, every: bool) -> str | None:
    """The spelling of the number that a text stands for; None where it is none, or, unless `every`, is not whole."""
    text = text.strip()
    if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    if value and abs(value.adjusted()) > MAX_DIGITS:
        return None
    key = decimal_text(value)
    return key if every or ("." not in key and "e" not in key) else None


def boolean_key(text: str, every: bool) -> str | None:
    """The spelling of the boolean that a text stands for, in any case; None where it is none."""
    folded = text.strip().lower()
    return folded if folded in BOOLEAN_TEXTS else None


def time_key(text: str, every: bool) -> str | None:
    """A date or timestamp without a fraction of zeros and without midnight: earlier versions wrote both."""
    if not re.fullmatch(r"[0-9]{4,}-[0-9]{2}-[0-9]{2}( [0-9:]{8}(\.[0-9]*)?)?", text):
        return None
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.removesuffix(MIDNIGHT)


KEY_FUNCTIONS = (number_key, boolean_key, time_key)
"""How a text is read as a value, for each kind of values."""


def names_by_kind(names: Sequence[str]) -> list[list[str]]:
    """Return those of some texts that are numbers, those that are booleans, and those that are dates or timestamps.

    In each list, `Known` looks texts up by value, which it does not do among texts of several kinds.

    Example:
        >>> names_by_kind(["row", "1", "true", "2.5"])
        [['1', '2.5'], ['true']]
    """
    found = [[name for name in names if key_of(name, True) is not None] for key_of in KEY_FUNCTIONS]
    return [some for some in found if some]
