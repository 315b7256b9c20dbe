"""How a report writes numbers, and what it says about them in sentences."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from softreg.report.evaluation.reliability import Reliability

TOP = "the predicted label"  # the name of the curve of the most likely class
LONGEST_NAME = 60  # characters of a class or column name
LONGEST_CELL = 240  # characters of the text of a cell
ROUNDING = 1e-9  # differences of losses below it are 0


def number(value: float, digits: int = 3) -> str:
    """Write a number to so many significant digits, infinity as ∞ and what is not there (nan) as a dash.

    >>> number(0.11234), number(-2.5), number(3.2e-7), number(math.inf), number(123456.0), number(math.nan)
    ('0.112', '−2.50', '3.20×10⁻⁷', '∞', '123,456', '–')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if exponent < -4 or exponent > 8:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}×10{superscript(int(power))}".replace("-", "−")
    return f"{value:,.{max(0, digits - 1 - exponent)}f}".replace("-", "−")


def short(value: float) -> str:
    """Write a value of a column to four significant digits, without zeros at the end.

    >>> short(20.0), short(12345.6), short(0.25), short(-1.5), short(3e-7)
    ('20', '12,346', '0.25', '−1.5', '3×10⁻⁷')
    """
    if 1000 <= abs(value) < 1e9:
        return f"{value:,.0f}".replace("-", "−")
    text, _, power = f"{value:.4g}".partition("e")
    return (text + (f"×10{superscript(int(power))}" if power else "")).replace("-", "−")


def gain(nats: float) -> str:
    """Write a difference of losses to two significant digits, below 0.0001 to one, so that its sign is seen.

    >>> gain(0.00157), gain(0.00002), gain(-1e-7), gain(1e-17), gain(math.inf)
    ('0.0016', '0.00002', '−1×10⁻⁷', '0', '∞')
    """
    if abs(nats) >= 1e-4 or math.isnan(nats):
        return number(nats, 2)
    if abs(nats) >= 5e-6:
        return f"{nats:.5f}".replace("-", "−")
    return number(nats, 1) if abs(nats) > ROUNDING else "0"


def surprisal(nats: float) -> str:
    """Write a surprisal in nats; below a thousandth, without its digits.

    >>> surprisal(5.82), surprisal(3e-6), surprisal(0.0)
    ('5.82', '<0.001', '0')
    """
    return "<0.001" if 0 < nats < 0.001 else number(nats)


def superscript(power: int) -> str:
    """Write an integer in raised digits.

    >>> superscript(-12)
    '⁻¹²'
    """
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share in per cent; only 1 is written as 100%, and only 0 as 0%.

    >>> percent(0.9234), percent(0.99999), percent(1.0), percent(0.00001), percent(None), percent(-math.inf)
    ('92.3%', '>99.9%', '100%', '<0.1%', '–', '−∞')
    """
    if share is None or math.isnan(share):
        return "–"
    if math.isinf(share):
        return number(share)
    least = 10.0**-digits
    shown = round(100 * share, digits)
    if share < 1 and shown >= 100:
        return f">{100 - least:.{digits}f}%"
    if share > 0 and shown < least:
        return f"<{least:.{digits}f}%"
    text = f"{shown:.{digits}f}" if shown not in (0, 100) else f"{abs(shown):.0f}"  # no -0%
    return text.replace("-", "−") + "%"


def shortened(text: str, longest: int) -> str:
    """Cut the middle out of a text that is too long, since names often differ at their ends.

    >>> shortened("education=professional.course", 15)
    'educati….course'
    """
    if len(text) <= longest:
        return text
    head = (longest - 1) // 2
    return f"{text[:head]}…{text[len(text) - (longest - 1 - head) :]}"


def cut(text: str, longest: int = LONGEST_CELL) -> str:
    """Give the beginning of a text, with an ellipsis where more follows.

    >>> cut("Free entry in a competition", 11)
    'Free entry…'
    """
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def p_value(p: float, draws: int, equals: str = "") -> str:
    """Write a p-value; the smallest that so many draws can give is an upper limit.

    >>> p_value(0.001, 999, "= "), p_value(0.25, 999, "= "), p_value(0.25, 999)
    ('≤ 0.001', '= 0.25', '0.25')
    """
    least = 1 / (draws + 1)
    if p <= least * 1.000001:
        return f"≤ {number(least, 1)}"
    return f"{equals}{number(p, _digits(p))}"


def _digits(p: float) -> int:
    """Significant digits of a p-value."""
    return 2 if p > 0.0095 else 1


def share_of_draws(p: float, draws: int) -> str:
    """Write a p-value as a share of draws, in per cent: the digits of `p_value`, not rounded anew.

    >>> share_of_draws(0.002, 999), share_of_draws(0.001, 999), share_of_draws(0.715, 999)
    ('0.2%', 'at most 0.1%', '71%')
    """
    least = 1 / (draws + 1)
    limit = p <= least * 1.000001
    shown, digits = (least, 1) if limit else (p, _digits(p))
    share = f"{Decimal(f'{shown:.{digits - 1}e}').scaleb(2):f}%"
    return f"at most {share}" if limit else share


def p_value_sentence(p: float, draws: int) -> str:
    """Say a p-value of the exact test by its definition.

    >>> p_value_sentence(0.002, 999)
    'p = 0.002: if the probabilities were right, labels at least this far off would occur in 0.2% of draws'
    """
    often = share_of_draws(p, draws)
    condition = "if the probabilities were right, labels at least this far off would occur in"
    return f"p {p_value(p, draws, '= ')}: {condition} {often} of draws"


def points(error: float) -> str:
    """An error of probabilities in percentage points.

    >>> points(0.02), points(0.0004), points(0.00001)
    ('2.0 percentage points', '0.04 percentage points', '<0.01 percentage points')
    """
    return f"{_points(error)} percentage points"


def points_between(low: float, high: float) -> str:
    """The ends of an interval in percentage points.

    >>> points_between(0.015, 0.03)
    '1.5 to 3.0'
    """
    return f"{_points(low)} to {_points(high)}"


def _points(error: float) -> str:
    if 0 < error < 0.00005:
        return "<0.01"
    return f"{100 * error:.2f}" if 0 < error < 0.001 else f"{100 * error:.1f}"


def bins_within(curve: Reliability) -> str:
    """Say how many bins of a curve lie within their bands, and the deviation outside that concerns most rows.

    >>> from softreg.report.evaluation.reliability import reliability_curve
    >>> bins_within(reliability_curve([0.25, 0.75, 0.75], [1, 1, 1], bins=2))
    '2 of 2 bins lie within their bands. If the probabilities are right, on average at most 1 bin in 20 lies outside.'
    """
    outside, filled = int(curve.outside.sum()), int(curve.filled.sum())
    of = "bins lie within their bands" if filled > 1 else "bin lies within its band"
    by_chance = "If the probabilities are right, on average at most 1 bin in 20 lies outside."
    return f"{filled - outside} of {filled} {of}. {by_chance} {departure(curve)}".rstrip()


def departure(curve: Reliability) -> str:
    """The deviation that concerns most rows, in a sentence; empty where no bin lies outside its band."""
    if not curve.outside.any():
        return ""
    rows_off = np.where(curve.outside, curve.count * np.abs(curve.observed - curve.predicted), 0.0)
    worst = int(np.argmax(rows_off))
    between = f"between {percent(curve.edges[worst], 0)} and {percent(curve.edges[worst + 1], 0)}"
    of = f" for {quoted(curve.name)}" if curve.name else ""
    return (
        f"The deviation that concerns most rows is {between}: the mean probability{of} is "
        f"{percent(curve.predicted[worst])}, the observed frequency {percent(curve.observed[worst])}."
    )


def p_value_of(p: float) -> str:
    """Write a p-value that a distribution gives, with the sign before it.

    >>> p_value_of(0.034), p_value_of(1e-9), p_value_of(0.0042)
    ('= 0.034', '< 0.001', '= 0.004')
    """
    return "< 0.001" if p < 0.001 else f"= {number(p, _digits(p))}"


def quoted(text: str) -> str:
    """The name of a class in quotes; "the predicted label", which is no class, without."""
    return text if text == TOP else f"“{shortened(text, LONGEST_NAME)}”"


def rows_of(count: int) -> str:
    """So many rows, in words.

    >>> rows_of(1), rows_of(2000)
    ('1 row', '2,000 rows')
    """
    return "1 row" if count == 1 else f"{count:,} rows"
