"""Number formats: decimal comma, thousands separators, currency signs, percent signs, accounting notation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.models.serialization import fields
from softreg.tables.columns.arrow_numpy import boolean_array, string_array, to_bool, to_float64
from softreg.typing import BoolArray

_CODES = (
    "USD|EUR|GBP|JPY|CHF|CNY|RMB|INR|BRL|AUD|CAD|NZD|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|RUB|UAH|TRY|MXN|ARS|CLP|COP|"
    "ZAR|NGN|KES|EGP|ILS|AED|SAR|KRW|SGD|HKD|TWD|THB|IDR|MYR|PHP|VND|PKR|BDT|LKR"
)
_SIGN = r"(?i:US|R|A|AU|C|CA|NZ|HK|S|NT|MX)?\$|[€£¥₹₽₩₺₪₫฿₴₦₱₡₲₵₸₼₾￥￡円元]"
_BEFORE = rf"(?:{_SIGN}|(?i:{_CODES}|kr|zł|zl|kč|rs)(?:\.| )|(?i:USD|EUR|GBP|JPY|CHF))"  # rs123 is not an amount
_AFTER = rf"(?:{_SIGN}|(?i:{_CODES})|(?i:kr|zł|zl|kč)\.?)"
_BODY = r"[0-9][0-9.,' ]*(?:[eE][+-]?[0-9]+)?|[.,][0-9]+(?:[eE][+-]?[0-9]+)?"
_ANY = (
    rf"^(?P<open>\()? *(?P<sign>[+-])? *(?P<before>{_BEFORE}|%)? *(?P<inner>\()? *(?P<second>[+-])? *"
    rf"(?P<body>{_BODY}) *(?P<minus>-)?(?P<done>\))? *(?P<after>{_AFTER}|%)? *(?P<last>-)?(?P<close>\))?$"
)
_EMPTY = string_array([""])[0]
_SPACES = "[\u00a0\u2000-\u200a\u202f\u205f\u3000]"
_MINUS = "[\u2212\ufe63\uff0d\u2010\u2011]"
_NO_CENTS = "([0-9][.,])[-\u2013\u2014]{1,2}"  # 12,- is 12
_QUOTES = "[\u2019\u02bc\u00b4`]"


@dataclass(frozen=True)
class NumberFormat:
    """Notation of the numbers of a column.

    Attributes
    ----------
    decimal : {".", ","}
        Decimal mark.
    grouped : bool
        True if the other one of point and comma separates thousands in the training data.
    percent : bool
        True if values have a percent sign.
    currency : tuple of str
        Signs or codes of the currency.
    fraction : bool
        True if values of the training data have a decimal mark.

    Examples
    --------
    >>> NumberFormat(",", grouped=True).parse(pa.array(["1.234,5", "12", "x"]))
    (array([1234.5,   12. ,    nan]), array([ True,  True, False]))
    """

    decimal: str = "."
    grouped: bool = False
    percent: bool = False
    currency: tuple[str, ...] = ()
    fraction: bool = True

    @property
    def plain(self) -> bool:
        """Whether numbers are written as 1234.5, without other marks."""
        return self == NumberFormat()

    @property
    def other(self) -> str:
        """The one of point and comma that is not the decimal mark."""
        return "," if self.decimal == "." else "."

    def parse(self, levels: pa.Array) -> tuple[NDArray[np.float64], BoolArray]:
        """Parse texts as numbers of this format.

        Blanks and apostrophes between thousands are accepted in every format. "1,234" with a decimal point, or
        "1.234" with a decimal comma, is a number only if the format is `grouped`; "1.234" with a decimal point only
        if values of the training data have a `fraction`.

        Parameters
        ----------
        levels : pa.Array (k,)
            Distinct texts.

        Returns
        -------
        values : float64 array (k,)
            Numbers; NaN if the text is not a number of this format.
        ok : bool array (k,)
            True for numbers of this format.
        """
        return self.parse_parts(NumberParts.from_text(levels))

    def parse_parts(self, parts: NumberParts) -> tuple[NDArray[np.float64], BoolArray]:
        """Parse texts that were split by `NumberParts.from_text`; see `parse`."""
        ok = parts.ok & parts.body_matches(_body(self.decimal))
        if not self.grouped:
            ok &= ~parts.body_matches(ambiguous_pattern(self.other))
        if not self.fraction:
            ok &= ~parts.body_matches(ambiguous_pattern(self.decimal))
        if not self.percent:
            ok &= ~parts.percent
        if self.currency:
            ok &= ~parts.any_currency | parts.has_currency(self.currency)
        return parts.values(self.decimal, ok)

    def to_state(self) -> dict[str, Any]:
        """Return the format as strict JSON."""
        return {
            "decimal": self.decimal, "grouped": self.grouped, "percent": self.percent, "currency": list(self.currency),
            "fraction": self.fraction,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> NumberFormat:
        """Return the format that `to_state` wrote; raise `ValueError` for an invalid state."""
        decimal = fields.text(state, "decimal")
        if decimal not in (".", ","):
            raise ValueError(f"the decimal mark is {decimal!r}; expected a point or a comma")
        percent, grouped = fields.flag(state, "percent"), fields.flag(state, "grouped")
        return cls(decimal, grouped, percent, fields.texts(state, "currency", ()), fields.flag(state, "fraction"))


@dataclass(frozen=True)
class NumberParts:
    """Texts (k,) split into the parts of a number: digits with marks (`body`), signs, currency, parentheses.

    `ok` is True for texts that have the form of a number.
    """

    ok: BoolArray
    body: pa.Array
    negative: BoolArray
    percent: BoolArray
    currency: pa.Array
    parentheses: BoolArray
    trailing_minus: BoolArray
    plus: BoolArray

    @classmethod
    def from_text(cls, levels: pa.Array) -> NumberParts:
        """Split texts (k,) into the parts of a number."""
        text = pc.utf8_trim_whitespace(levels.cast(pa.large_string()))
        if not pc.all(pc.string_is_ascii(text)).as_py():
            for marks, plain in ((_SPACES, " "), (_MINUS, "-"), (_QUOTES, "'"), ("\uff05", "%")):
                text = pc.replace_substring_regex(text, marks, plain)
        matches = pc.extract_regex(pc.replace_substring_regex(text, _NO_CENTS, r"\1"), _ANY)

        def part(name: str) -> pa.Array:
            return pc.fill_null(pc.struct_field(matches, name), "")

        def has(name: str) -> BoolArray:
            return to_bool(pc.not_equal(part(name), ""))

        opened, closed = (has("open").astype(int) + has("inner"), has("close").astype(int) + has("done"))
        minus = has("minus").astype(int) + has("last")
        marks = pc.binary_join_element_wise(part("before"), part("after"), _EMPTY)
        signs = has("sign").astype(int) + has("second") + minus
        ok = to_bool(matches.is_valid()) & (opened == closed) & (opened <= 1) & (signs + opened <= 1)
        ok &= ~(has("before") & has("after"))
        negative = (
            (opened > 0) | (minus > 0) | to_bool(pc.equal(part("sign"), "-")) | to_bool(pc.equal(part("second"), "-"))
        )
        percent = to_bool(pc.equal(marks, "%"))
        plus = to_bool(pc.equal(part("sign"), "+"))
        currency = pc.if_else(pc.equal(marks, "%"), _EMPTY, pc.utf8_upper(pc.utf8_rtrim(marks, ". ")))
        return cls(ok, pc.utf8_rtrim_whitespace(part("body")), negative, percent, currency, opened > 0, minus > 0, plus)

    @property
    def any_currency(self) -> BoolArray:
        """Mask of texts with a currency sign or code."""
        return to_bool(pc.not_equal(self.currency, ""))

    def has_currency(self, signs: tuple[str, ...]) -> BoolArray:
        """Return a mask of texts with one of these currency signs or codes."""
        return to_bool(pc.is_in(self.currency, value_set=string_array(signs).cast(self.currency.type)))

    def body_matches(self, pattern: str) -> BoolArray:
        """Return a mask of texts whose digits and marks match a pattern."""
        return to_bool(pc.match_substring_regex(self.body, pattern))

    def values(self, decimal: str, ok: BoolArray) -> tuple[NDArray[np.float64], BoolArray]:
        """Return the numbers where `ok`, NaN elsewhere; and `ok`."""
        if not ok.any():
            return np.full(len(ok), np.nan), ok
        text = pc.replace_substring_regex(self.body, f"[{',' if decimal == '.' else '.'}' ]", "")
        text = pc.replace_substring(text, ",", ".")
        digits = pc.if_else(boolean_array(ok), text, pa.nulls(1, text.type)[0])
        numbers = to_float64(pc.cast(digits, pa.float64()))
        return np.where(self.negative, -numbers, numbers), ok


def _body(decimal: str) -> str:
    """Return the pattern of digits with this decimal mark and any thousands separator."""
    mark, group = (r"\.", ",") if decimal == "." else (",", r"\.")
    lakhs = r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}" if decimal == "." else ""  # Indian grouping: 12,34,567
    grouped = rf"[1-9][0-9]{{0,2}}(?:(?:{group}[0-9]{{3}})+|(?: [0-9]{{3}})+|(?:'[0-9]{{3}})+){lakhs}"
    power = r"(?:[eE][+-]?[0-9]+)?"
    return rf"^(?:[0-9]+(?:{mark}[0-9]*)?{power}|{mark}[0-9]+{power}|(?:{grouped})(?:{mark}[0-9]*)?)$"


def ambiguous_pattern(mark: str) -> str:
    """Return the pattern of digits such as 1,234, whose mark may be the decimal mark or a thousands separator.

    Returns
    -------
    str

    Examples
    --------
    >>> import re
    >>> [bool(re.search(ambiguous_pattern(","), text)) for text in ("1,234", "0,234", "1,23", "1,234,567")]
    [True, False, False, False]
    """
    return rf"^[1-9][0-9]{{0,2}}\{mark}[0-9]{{3}}$"


@dataclass(frozen=True)
class DecimalEvidence:
    """Masks (k,) of texts that show a decimal point, a decimal comma, or may be read either way."""

    point: BoolArray
    comma: BoolArray
    unclear_comma: BoolArray = field(repr=False)
    """Such as 1,234."""
    unclear_point: BoolArray = field(repr=False)
    """Such as 1.234."""

    @classmethod
    def from_parts(cls, parts: NumberParts) -> DecimalEvidence:
        """Return the evidence in texts that were split into parts.

        Returns
        -------
        DecimalEvidence

        Examples
        --------
        >>> evidence = DecimalEvidence.from_parts(NumberParts.from_text(pa.array(["1.5", "1.234,5", "1,234", "12"])))
        >>> evidence.point.tolist(), evidence.comma.tolist()
        ([True, False, False, False], [False, True, False, False])
        """
        marked = parts.ok & parts.body_matches("[.,]")
        point, comma = (marked & parts.body_matches(_body(decimal)) for decimal in ".,")
        return cls(
            point & ~comma,
            comma & ~point,
            parts.ok & parts.body_matches(ambiguous_pattern(",")),
            parts.ok & parts.body_matches(ambiguous_pattern(".")),
        )
