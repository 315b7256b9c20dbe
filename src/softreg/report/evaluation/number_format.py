"""Numbers, percentages, p-values and names as a report writes them."""

from __future__ import annotations

import math
from decimal import Decimal

MAX_NAME_LENGTH = 60
"""Characters of the name of a class or column."""
MAX_CELL_LENGTH = 240
"""Characters of the text of a cell."""
ROUNDING = 1e-9
"""Absolute difference of losses, in nats, below which it is written as 0."""


def format_number(value: float, digits: int = 3) -> str:
    """Write a number with the given significant digits.

    Returns
    -------
    str
        The number; infinity as ∞ and nan as a dash.

    Examples
    --------
    >>> [format_number(value) for value in (0.11234, -2.5, 3.2e-7, math.inf, 123456.0, math.nan)]
    ['0.112', '−2.50', '3.20×10⁻⁷', '∞', '123,456', '–']
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


def format_value(value: float) -> str:
    """Write a value of a column with four significant digits, without trailing zeros.

    Returns
    -------
    str
        The value.

    Examples
    --------
    >>> format_value(20.0), format_value(12345.6), format_value(0.25), format_value(-1.5), format_value(3e-7)
    ('20', '12,346', '0.25', '−1.5', '3×10⁻⁷')
    """
    if 1000 <= abs(value) < 1e9:
        return f"{value:,.0f}".replace("-", "−")
    text, _, power = f"{value:.4g}".partition("e")
    return (text + (f"×10{superscript(int(power))}" if power else "")).replace("-", "−")


def format_gain(nats: float) -> str:
    """Write a difference of losses with two significant digits, below 0.0001 with one, so that its sign is visible.

    Returns
    -------
    str
        The difference.

    Examples
    --------
    >>> format_gain(0.00157), format_gain(0.00002), format_gain(-1e-7), format_gain(1e-17), format_gain(math.inf)
    ('0.0016', '0.00002', '−1×10⁻⁷', '0', '∞')
    """
    if abs(nats) >= 1e-4 or math.isnan(nats):
        return format_number(nats, 2)
    if abs(nats) >= 5e-6:
        return f"{nats:.5f}".replace("-", "−")
    return format_number(nats, 1) if abs(nats) > ROUNDING else "0"


def format_surprisal(nats: float) -> str:
    """Write a surprisal in nats; below 0.001 as an upper limit.

    Returns
    -------
    str
        The surprisal.

    Examples
    --------
    >>> format_surprisal(5.82), format_surprisal(3e-6), format_surprisal(0.0)
    ('5.82', '<0.001', '0')
    """
    return "<0.001" if 0 < nats < 0.001 else format_number(nats)


def superscript(power: int) -> str:
    """Write an integer in superscript digits.

    Returns
    -------
    str
        The digits.

    Examples
    --------
    >>> superscript(-12)
    '⁻¹²'
    """
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def format_percent(share: float | None, digits: int = 1) -> str:
    """Write a share in per cent; only 1 is written as 100%, and only 0 as 0%.

    Returns
    -------
    str
        The percentage; None and nan as a dash.

    Examples
    --------
    >>> [format_percent(share) for share in (0.9234, 0.99999, 1.0, 0.00001, None, -math.inf)]
    ['92.3%', '>99.9%', '100%', '<0.1%', '–', '−∞']
    """
    if share is None or math.isnan(share):
        return "–"
    if math.isinf(share):
        return format_number(share)
    least = 10.0**-digits
    shown = round(100 * share, digits)
    if share < 1 and shown >= 100:
        return f">{100 - least:.{digits}f}%"
    if share > 0 and shown < least:
        return f"<{least:.{digits}f}%"
    text = f"{shown:.{digits}f}" if shown not in (0, 100) else f"{abs(shown):.0f}"  # no -0%
    return text.replace("-", "−") + "%"


def shorten_middle(text: str, longest: int) -> str:
    """Replace the middle of a long text by an ellipsis, since names often differ at their ends.

    Returns
    -------
    str
        The text, `longest` characters at most.

    Examples
    --------
    >>> shorten_middle("education=professional.course", 15)
    'educati….course'
    """
    if len(text) <= longest:
        return text
    head = (longest - 1) // 2
    return f"{text[:head]}…{text[len(text) - (longest - 1 - head) :]}"


def truncate(text: str, longest: int = MAX_CELL_LENGTH) -> str:
    """Return the beginning of a text, with an ellipsis where more follows.

    Returns
    -------
    str
        The text, `longest` characters at most.

    Examples
    --------
    >>> truncate("Free entry in a competition", 11)
    'Free entry…'
    """
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def format_p_value(p: float, draws: int, equals: str = "") -> str:
    """Write a p-value of a test by simulation; the smallest possible one is an upper limit.

    Returns
    -------
    str
        The p-value, after `equals` or a sign of inequality.

    Examples
    --------
    >>> format_p_value(0.001, 999, "= "), format_p_value(0.25, 999, "= "), format_p_value(0.25, 999)
    ('≤ 0.001', '= 0.25', '0.25')
    """
    least = 1 / (draws + 1)
    if p <= least * 1.000001:
        return f"≤ {format_number(least, 1)}"
    return f"{equals}{format_number(p, _digits(p))}"


def _digits(p: float) -> int:
    """Return the number of significant digits of a p-value."""
    return 2 if p > 0.0095 else 1


def format_share_of_draws(p: float, draws: int) -> str:
    """Write a p-value as a share of draws in per cent, with the digits of `format_p_value`.

    Returns
    -------
    str
        The share.

    Examples
    --------
    >>> format_share_of_draws(0.002, 999), format_share_of_draws(0.001, 999), format_share_of_draws(0.715, 999)
    ('0.2%', 'at most 0.1%', '71%')
    """
    least = 1 / (draws + 1)
    limit = p <= least * 1.000001
    shown, digits = (least, 1) if limit else (p, _digits(p))
    share = f"{Decimal(f'{shown:.{digits - 1}e}').scaleb(2):f}%"
    return f"at most {share}" if limit else share


def p_value_sentence(p: float, draws: int) -> str:
    """State the definition of a p-value of the exact test of calibration.

    Returns
    -------
    str
        The sentence, without a full stop.

    Examples
    --------
    >>> p_value_sentence(0.002, 999)
    'p = 0.002: if the probabilities were right, labels at least this far off would occur in 0.2% of draws'
    """
    often = format_share_of_draws(p, draws)
    condition = "if the probabilities were right, labels at least this far off would occur in"
    return f"p {format_p_value(p, draws, '= ')}: {condition} {often} of draws"


def format_test_p_value(p: float) -> str:
    """Write a p-value of an analytic test, with the sign before it.

    Returns
    -------
    str
        The p-value after = or <.

    Examples
    --------
    >>> format_test_p_value(0.034), format_test_p_value(1e-9), format_test_p_value(0.0042)
    ('= 0.034', '< 0.001', '= 0.004')
    """
    return "< 0.001" if p < 0.001 else f"= {format_number(p, _digits(p))}"


def format_points(error: float) -> str:
    """Write an error of probabilities in percentage points.

    Returns
    -------
    str
        The error with its unit.

    Examples
    --------
    >>> format_points(0.02), format_points(0.0004), format_points(0.00001)
    ('2.0 percentage points', '0.04 percentage points', '<0.01 percentage points')
    """
    return f"{_points(error)} percentage points"


def format_points_range(low: float, high: float) -> str:
    """Write the ends of an interval in percentage points, without the unit.

    Returns
    -------
    str
        The ends.

    Examples
    --------
    >>> format_points_range(0.015, 0.03)
    '1.5 to 3.0'
    """
    return f"{_points(low)} to {_points(high)}"


def _points(error: float) -> str:
    """Return an error in percentage points, without the unit."""
    if 0 < error < 0.00005:
        return "<0.01"
    return f"{100 * error:.2f}" if 0 < error < 0.001 else f"{100 * error:.1f}"


def format_rows(count: int) -> str:
    """Write a number of rows.

    Returns
    -------
    str
        The number and the noun.

    Examples
    --------
    >>> format_rows(1), format_rows(2000)
    ('1 row', '2,000 rows')
    """
    return "1 row" if count == 1 else f"{count:,} rows"
