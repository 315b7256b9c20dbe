"""Inference of whether the text of a column is numeric, and of the format of its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.tables.columns.arrow_numpy import boolean_array, number_array, to_bool
from softreg.tables.columns.column_values import parse_numbers
from softreg.tables.columns.missing_values import MISSING_SPELLINGS
from softreg.tables.columns.table_errors import quote
from softreg.tables.formats.number_formats import DecimalEvidence, NumberFormat, NumberParts
from softreg.typing import BoolArray

MAX_LEVELS_INSPECTED = 1000
"""Distinct values examined to decide whether a column may be numeric."""
MIN_PHONE_DIGITS = 9
"""Values of one length with blanks are telephone numbers or codes from this number of digits on."""
MIN_PAIRS = 3
"""Increasing pairs are lists of integers from this number of distinct values on."""
_ADDRESS = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$"


@dataclass(frozen=True)
class InferredNumbers:
    """Levels (k,) of text interpreted as numbers.

    Attributes
    ----------
    values : float64 array (k,)
        Numbers; NaN if missing or not a number.
    ok : bool array (k,)
        True for numbers and missing values.
    format : NumberFormat
        Format of the numbers.
    ambiguous : bool
        True if point and comma could be exchanged in every value.
    marks : str
        Marks of the format, in words.
    example : (str, float) or None
        A value that contains such marks, and its number.
    conflict : str
        Reason why values that look numeric have no common format; "" if they have one.
    """

    values: NDArray[np.float64]
    ok: BoolArray
    format: NumberFormat
    ambiguous: bool = False
    marks: str = ""
    example: tuple[str, float] | None = None
    conflict: str = ""

    @property
    def known(self) -> BoolArray:
        """Mask (k,) of the levels that are numbers."""
        return self.ok & ~np.isnan(self.values)


def infer_numbers(levels: pa.Array, decimal: str | None = None, *, requested: bool = False) -> InferredNumbers:
    """Parse distinct texts with the number format that fits most of them.

    Parameters
    ----------
    levels : pa.Array (k,)
        Distinct texts.
    decimal : {".", ","}, optional
        Decimal mark, if known.
    requested : bool, default=False
        True if the user declares the column numeric. Values in several currencies, or with and without a percent
        sign, are then numbers too.

    Returns
    -------
    InferredNumbers

    Examples
    --------
    >>> inferred = infer_numbers(pa.array(["$1,234.50", "$12.00", "?"]))
    >>> inferred.values, inferred.format.currency, inferred.marks
    (array([1234.5,   12. ,    nan]), ('$',), "',' between thousands and '$'")
    """
    values, ok = parse_numbers(levels, MISSING_SPELLINGS)
    plain = InferredNumbers(values, ok, NumberFormat())
    if (ok.all() and decimal != ",") or not _looks_numeric(levels, ok, decimal):
        return plain
    missing = ok & np.isnan(values)
    parts = NumberParts.from_text(levels)
    evidence = DecimalEvidence.from_parts(parts)
    point, comma = int(evidence.point.sum()), int(evidence.comma.sum())
    ambiguous = bool(evidence.unclear_comma.any() or evidence.unclear_point.any())
    if decimal is None and not point and not comma and evidence.unclear_comma.any() and evidence.unclear_point.any():
        return _conflicting(plain, "the comma and the point may each be the decimal mark")
    mark = decimal or ("," if comma > point else ".")
    if not requested and (reason := _non_amount_reason(parts)):
        return _conflicting(plain, reason)
    form = _infer_format(parts, mark)
    if not requested and (reason := _mixed_unit_reason(parts, form, levels, missing)):
        return _conflicting(plain, reason)
    if len(form.currency) > 1:
        form = replace(form, currency=())
    values, ok = form.parse_parts(parts)
    if (plain.ok & ~missing & ~ok).any() and decimal is not None:  # 1.5 is not a number with a decimal comma
        return plain
    values[missing] = np.nan
    undecided = ambiguous and not point and not comma and decimal is None
    marks = _describe_marks(parts, form, ok, ambiguous and mark == ".")
    special = ok & ~missing & (~plain.ok | (values != plain.values))
    example = None
    if special.any():
        index = int(np.argmax(special))
        example = (str(levels[index]), float(values[index]))
    return InferredNumbers(values, ok | missing, form, undecided, marks, example)


def _looks_numeric(levels: pa.Array, ok: BoolArray, decimal: str | None) -> bool:
    """Return True if most of the first values that are not plain numbers look like numbers in another format."""
    if ok.all():
        return decimal == ","
    others = levels.take(number_array(np.flatnonzero(~ok)[:MAX_LEVELS_INSPECTED]))
    digits = to_bool(pc.match_substring_regex(others, "[0-9]"))
    return bool(2 * digits.sum() >= len(digits) and 2 * NumberParts.from_text(others).ok.sum() >= len(digits))


def _conflicting(plain: InferredNumbers, reason: str) -> InferredNumbers:
    return InferredNumbers(plain.values, plain.ok, plain.format, conflict=reason)


def _infer_format(parts: NumberParts, decimal: str) -> NumberFormat:
    """Return the format of the numbers with this decimal mark: grouping mark, currency, percent sign."""
    other = r"\." if decimal == "," else ","
    grouped = bool((parts.ok & parts.body_matches(other)).any())
    signs = sorted(sign for sign in pc.unique(parts.currency).to_pylist() if sign)
    percent = bool((parts.ok & parts.percent).any())
    fraction = not grouped or bool((parts.ok & parts.body_matches(rf"\{decimal}")).any())
    return NumberFormat(decimal, grouped, percent, tuple(signs), fraction)


def _non_amount_reason(parts: NumberParts) -> str:
    """Return why values in the form of numbers are telephone numbers, addresses or codes; "" if they are amounts.

    Parentheses and trailing minus signs are accounting notation only beside values without them.

    Returns
    -------
    str
    """
    ok = parts.ok
    count = int(ok.sum())
    if not count:
        return ""
    if (parts.body_matches(_ADDRESS) & ok).sum() == count:
        return "they look like network addresses"
    spaced = ok & parts.body_matches("^[0-9]+( [0-9]+)+$")
    if spaced.sum() == count:
        lengths = np.asarray(pc.binary_length(pc.replace_substring(parts.body, " ", "")))[ok]
        if parts.plus[ok].all() or (count > 1 and lengths.min() == lengths.max() >= MIN_PHONE_DIGITS):
            return "they look like telephone numbers or codes"
    if _are_pairs(parts):
        return "they look like lists of whole numbers"
    if parts.parentheses[ok].all():
        return "all of them are in parentheses"
    trailing = ok & parts.trailing_minus
    if trailing.any() and not (trailing & parts.body_matches(r"[.,]|[0-9]{3}")).any():
        return "the minus signs follow single digits"
    return ""


def _are_pairs(parts: NumberParts) -> bool:
    """Return True if values with a comma are pairs of increasing integers, such as 1,3 of a multiple choice."""
    pairs = pc.extract_regex(parts.body, "^(?P<low>[1-9][0-9]?),(?P<high>[1-9][0-9]?)$")
    marked = parts.ok & parts.body_matches("[.,]")
    if marked.sum() < MIN_PAIRS or not to_bool(pairs.is_valid())[marked].all():
        return False
    marked_pairs = pairs.filter(boolean_array(marked))
    low, high = (pc.cast(pc.struct_field(marked_pairs, part), pa.int64()) for part in ("low", "high"))
    return bool(pc.all(pc.less(low, high)).as_py())


def _mixed_unit_reason(parts: NumberParts, form: NumberFormat, levels: pa.Array, missing: BoolArray) -> str:
    """Return why numbers with signs have different units; "" if they have one unit."""
    if len(form.currency) > 1:
        return f"they are amounts in several currencies ({', '.join(form.currency[:4])})"
    without = parts.ok & ~missing & ~parts.percent & parts.body_matches("[1-9]")
    if form.percent and without.any():
        return f"some have a percent sign, and {quote(levels[int(np.argmax(without))])} has none"
    return ""


def _describe_marks(parts: NumberParts, form: NumberFormat, ok: BoolArray, ambiguous: bool) -> str:
    """Return the marks of a format in words."""
    descriptions = []
    if form.decimal == "," and (ok & parts.body_matches(",")).any():
        descriptions.append("a decimal comma")
    groups = [(repr(form.other), rf"\{form.other}", form.grouped), ("blanks", " ", True), ("apostrophes", "'", True)]
    for mark, pattern, used in groups:
        if used and (ok & parts.body_matches(pattern)).any():
            descriptions.append(f"{mark} between thousands")
    descriptions += [repr(sign) for sign in form.currency]
    descriptions += ["percent signs"] if form.percent else []
    descriptions += ["negative numbers in parentheses"] if (ok & parts.parentheses).any() else []
    descriptions += ["minus signs after the digits"] if (ok & parts.trailing_minus).any() else []
    return f"{', '.join(descriptions[:-1])} and {descriptions[-1]}" if len(descriptions) > 1 else "".join(descriptions)
