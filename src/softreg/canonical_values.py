"""Keys of the values that texts stand for (numbers, booleans, dates, timestamps), and the text of numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from typing import TypeAlias

import numpy as np

BOOLEAN_TEXTS = ("false", "true")
"""Text of False and True."""
MAX_DIGITS = 400
"""Longest text that is read as a number; float64 ends at 1e308, and 1e999999999 is not written out."""
LOWEST_EXPONENT = -4
"""Smaller numbers are written with an exponent, as Python writes floats below 1e-4."""

_EXACT = Context(prec=2 * MAX_DIGITS)
_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,4})?")
MIDNIGHT = " 00:00:00"
"""End of a timestamp that is written as a date."""

KeyFunction: TypeAlias = Callable[[str, bool], str | None]
"""Returns the key of the value that a text stands for, or None; the flag says whether numbers may have a fraction."""


def float_text(value: float | np.floating) -> str | None:
    """Return the text of a float in its own precision; None for nan."""
    if np.isnan(value):
        return None
    return f"{int(value)}" if np.isfinite(value) and value == np.floor(value) else str(value)


def decimal_text(value: Decimal) -> str:
    """Return the exact digits without trailing zeros after the decimal point; tiny numbers as Python writes floats."""
    if not value.is_finite():
        return str(value).lower()
    value = value.normalize(_EXACT)
    if not value:
        return "0"  # -0 has no sign
    if value.adjusted() >= LOWEST_EXPONENT:
        return f"{value:f}"
    digits, exponent = f"{value:e}".split("e")
    return f"{digits}e-{-int(exponent):02d}"


def number_key(text: str, fractions: bool) -> str | None:
    """Return the spelling of a number; None for other text and, unless `fractions`, for a number that is not whole."""
    text = text.strip()
    if len(text) > MAX_DIGITS or not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    if value and abs(value.adjusted()) > MAX_DIGITS:
        return None
    key = decimal_text(value)
    return key if fractions or ("." not in key and "e" not in key) else None


def boolean_key(text: str, fractions: bool) -> str | None:
    """Return "true" or "false" for these words in any case; None for other text."""
    word = text.strip().lower()
    return word if word in BOOLEAN_TEXTS else None


def time_key(text: str, fractions: bool) -> str | None:
    """Return a date or timestamp without a fraction of zeros and without midnight, which earlier versions wrote."""
    if not re.fullmatch(r"[0-9]{4,}-[0-9]{2}-[0-9]{2}( [0-9:]{8}(\.[0-9]*)?)?", text):
        return None
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.removesuffix(MIDNIGHT)


KEY_FUNCTIONS: tuple[KeyFunction, ...] = (number_key, boolean_key, time_key)
"""Key function of each kind of values."""


def names_by_kind(names: Sequence[str]) -> list[list[str]]:
    """Return the texts that are numbers, those that are booleans, and those that are dates or timestamps.

    `softreg.value_text.TextIndex` looks texts up by value within each list, but not among texts of several kinds.

    Parameters
    ----------
    names : sequence of str
        Texts.

    Returns
    -------
    list of list of str
        The texts of each kind that occurs.

    Examples
    --------
    >>> names_by_kind(["row", "1", "true", "2.5"])
    [['1', '2.5'], ['true']]
    """
    kinds = [[name for name in names if key_of(name, True) is not None] for key_of in KEY_FUNCTIONS]
    return [kind for kind in kinds if kind]
