"""Parsing of dates and times in common formats to seconds since 1970, in local time without the UTC offset."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.arrow_numpy import to_bool
from softreg.tables.columns.table_errors import quote
from softreg.typing import BoolArray, Float64Array

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<name>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?(?: ?(?P<half>[ap])m)?"
_AFTER = rf"(?:[t ]+{_CLOCK}(?: ?(?:z|utc|[+-]\d{{2}}(?::?\d{{2}}(?::?\d{{2}}(?:\.\d+)?)?)?))?)?$"
_FORMS = (
    rf"^(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){_AFTER}",
    rf"^(?P<first>\d{{1,2}})[-/.](?P<other>\d{{1,2}})[-/.](?P<year>\d{{4}}|\d{{2}}){_AFTER}",
    rf"^(?P<day>\d{{1,2}})[ -]{_MONTH}[ -](?P<year>\d{{4}}|\d{{2}}){_AFTER}",
    rf"^{_MONTH} (?P<day>\d{{1,2}}),? (?P<year>\d{{4}}){_AFTER}",
    rf"^{_CLOCK}$",
)
_ZONE = r":\d{2}(?:[.,]\d+)?(?: ?[ap]m)? ?(?P<zone>z|utc|[+-]\d{2}(?::?\d{2})?)?$"  # UTC offset after a time
_DIGITS = (  # digits without separators: a date only if the user declares the column as dates
    r"^(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
    r"(?:[t ]?(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?(?P<half>))?(?:z|utc)?$"
)
_UNAMBIGUOUS_FORMS = (_FORMS[0], *_FORMS[2:4])  # formats with the year first, or with the name of the month
DAY = 86400.0
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def are_dates(levels: pa.Array) -> bool:
    """Return True if every text is a date or a time; the first text alone decides most columns.

    Returns
    -------
    bool

    Examples
    --------
    >>> are_dates(pa.array(["2020-02-30", "1 Mar 2020"])), are_dates(pa.array(["12:30", "late"]))
    (True, False)
    """
    if len(levels) == 0:
        return False
    first = str(levels[0]).strip().lower()
    if not any(re.match(form, first) for form in _FORMS):
        return False
    text = pc.utf8_lower(pc.utf8_trim_whitespace(levels))
    unmatched = np.ones(len(levels), dtype=bool)
    for form in _FORMS:
        unmatched &= ~np.asarray(pc.match_substring_regex(text, form), dtype=bool)
        if not unmatched.any():
            return True
    return False


def day_first(levels: pa.Array) -> bool | None:
    """Infer the order of day and month in dates such as 3/4/2020.

    Parameters
    ----------
    levels : pa.Array (k,)
        Distinct texts.

    Returns
    -------
    bool or None
        True if the day comes first, False if the month does: one of the two numbers exceeds 12 in some text. None if
        no text decides, or if texts contradict each other.

    Examples
    --------
    >>> day_first(pa.array(["03/04/2020", "31/12/2019"])), day_first(pa.array(["03/04/2020"]))
    (True, None)
    """
    matches = pc.extract_regex(pc.utf8_lower(pc.utf8_trim_whitespace(levels)), _FORMS[1]).drop_null()
    if len(matches) == 0:
        return None
    first, other = (np.asarray(pc.cast(pc.struct_field(matches, part), pa.int64())) for part in ("first", "other"))
    if (first > 12).any() == (other > 12).any():
        return None
    return bool((first > 12).any())


def invalid_date_tolerance(levels: pa.Array) -> Float64Array:
    """Return the share of rows up to which each invalid date is treated as a typing error.

    The share is 0.5 if the year comes first in four digits or the month is named, 0.01 if a year of four digits comes
    last, and 0 for times, years of two digits and zeros such as 0000-00-00, which may be versions, lap times or
    codes.

    Parameters
    ----------
    levels : pa.Array (k,)
        Texts in a date format that are not valid dates.

    Returns
    -------
    float64 array (k,)
        Share of rows, in [0, 1].

    Examples
    --------
    >>> invalid_date_tolerance(pa.array(["2020-02-30", "31/02/2020", "12-34-56", "45:30", "0000-00-00"])).tolist()
    [0.5, 0.01, 0.0, 0.0, 0.0]
    """
    text = pc.utf8_lower(pc.utf8_trim_whitespace(levels))

    def matches(form: str) -> BoolArray:
        return np.asarray(pc.match_substring_regex(text, form), dtype=bool)

    unambiguous = np.logical_or.reduce([matches(form) for form in _UNAMBIGUOUS_FORMS]) & ~matches(
        r"^0000|^\d{4}[-/.]00[-/.]00"
    )
    year_last = matches(_FORMS[1]) & matches(r"^\d{1,2}[-/.]\d{1,2}[-/.]\d{4}") & ~matches(r"^00[-/.]00")
    return np.where(unambiguous, 0.5, np.where(year_last, 0.01, 0.0))


def has_day_month_dates(levels: pa.Array) -> bool:
    """Return True if some text is a date whose first number may be the day or the month.

    Returns
    -------
    bool

    Examples
    --------
    >>> has_day_month_dates(pa.array(["2020-04-03", "3/4/2020"]))
    True
    """
    text = pc.utf8_lower(pc.utf8_trim_whitespace(levels))
    return bool(pc.any(pc.match_substring_regex(text, _FORMS[1])).as_py())


def day_month_ambiguous(levels: pa.Array) -> BoolArray:
    """Find dates whose day and month may be exchanged.

    Parameters
    ----------
    levels : pa.Array (k,)
        Distinct texts.

    Returns
    -------
    bool array (k,)
        True for two different numbers of at most 12, followed by the year.

    Examples
    --------
    >>> day_month_ambiguous(pa.array(["02/11/2023", "02/02/2023", "31/12/2023", "2023-02-11"])).tolist()
    [True, False, False, False]
    """
    matches = pc.extract_regex(pc.utf8_lower(pc.utf8_trim_whitespace(levels)), _FORMS[1])
    first, other = (
        np.asarray(pc.cast(pc.fill_null(pc.struct_field(matches, part), "0"), pa.int64()))
        for part in ("first", "other")
    )
    return np.asarray((first != other) & (first <= 12) & (other <= 12))


def utc_offsets(levels: pa.Array) -> list[str]:
    """Return the distinct UTC offsets of texts with a time.

    Returns
    -------
    list of str
        Offsets such as "+09:00"; "" for a time without an offset.

    Examples
    --------
    >>> utc_offsets(pa.array(["2024-03-05T20:00:00+0900", "2024-03-05 11:00 UTC", "2024-03-05 11:00"]))
    ['+09:00', '+00:00', '']
    """
    text = pc.utf8_lower(pc.utf8_trim_whitespace(levels))
    zone_texts = pc.struct_field(pc.extract_regex(text, _ZONE).drop_null(), "zone")
    zones = []
    for zone in pc.unique(zone_texts).to_pylist():
        digits = zone[1:].replace(":", "")
        zones.append("+00:00" if zone in ("z", "utc") else zone and f"{zone[0]}{digits[:2]}:{digits[2:] or '00'}")
    return list(dict.fromkeys("+00:00" if zone == "-00:00" else zone for zone in zones))


def mixed_zones_message(name: str, zones: list[str]) -> str:
    """Return the warning for a column whose times have several UTC offsets, or an offset in some rows only."""
    named = [zone for zone in zones if zone]
    listed = ", ".join(named[:3]) + (f" and {len(named) - 3:,} more" if len(named) > 3 else "")
    times = (
        f"without a time zone beside others with one ({listed})" if "" in zones else f"of several time zones ({listed})"
    )
    return (
        f"column {quote(name)} has times {times}; each is parsed as local time without its UTC offset, so that "
        "20:00+09:00 and 20:00Z are the same hour. To compare instants, convert all of them to UTC"
    )


def parse_dates(levels: pa.Array, day_is_first: bool) -> Float64Array:
    """Parse dates and times to seconds since 1970-01-01 00:00 in local time.

    The UTC offset is not subtracted, so that 08:00+09:00 and 08:00+01:00 are the same time of day. A time without a
    date is on 1970-01-01.

    Parameters
    ----------
    levels : pa.Array (k,)
        Texts.
    day_is_first : bool
        If True, 3/4/2020 is 3 April.

    Returns
    -------
    float64 array (k,)
        Seconds; NaN if the text is not a date or time.

    Examples
    --------
    >>> (parse_dates(pa.array(["1970-01-02T00:00:01Z", "3/1/70 1:00 pm", "30 Feb 2020"]), True) / 86400).tolist()
    [1.000011574074074, 2.5416666666666665, nan]
    """
    text = pc.utf8_lower(pc.utf8_trim_whitespace(levels))
    result = np.full(len(levels), np.nan)
    for form in (*_FORMS, _DIGITS):
        unparsed = np.flatnonzero(np.isnan(result))
        if not unparsed.size:
            break
        matches = pc.extract_regex(text.take(pa.array(unparsed)), form)
        matched = np.flatnonzero(np.asarray(matches.is_valid()))
        if matched.size:
            result[unparsed[matched]] = _seconds(matches.drop_null(), day_is_first)
    return result


def _seconds(matches: pa.StructArray, day_is_first: bool) -> Float64Array:
    """Return seconds from the parts of dates that one format extracted."""
    names = [field.name for field in matches.type]

    def part(name: str) -> Float64Array:
        text = pc.struct_field(matches, name)
        text = pc.replace_substring(text, ",", ".")
        empty = pc.equal(text, "")
        values = pc.cast(pc.if_else(empty, "0", text), pa.float64())
        return np.asarray(values, dtype=np.float64)

    n = len(matches)
    day_seconds = np.zeros(n)
    if "year" in names:
        year = part("year")
        two_digits = to_bool(pc.less_equal(pc.utf8_length(pc.struct_field(matches, "year")), 2))
        year = np.where(two_digits, year + np.where(year < 69, 2000, 1900), year)  # the POSIX rule
        if "name" in names:
            month = np.asarray(pc.index_in(pc.struct_field(matches, "name"), value_set=pa.array(MONTHS)), float) + 1
            day = part("day")
        elif "first" in names:
            day, month = (part("first"), part("other")) if day_is_first else (part("other"), part("first"))
        else:
            month, day = part("month"), part("day")
        day_seconds = _days(year, month, day) * DAY
    hour, minute, second = part("hour"), part("minute"), part("second")
    meridiem = np.asarray(pc.struct_field(matches, "half").to_pylist(), dtype=object)
    has_meridiem = (meridiem == "a") | (meridiem == "p")
    invalid = (hour > 23) | (minute > 59) | (second >= 61) | (has_meridiem & ((hour > 12) | (hour < 1)))
    hour = np.where(has_meridiem, hour % 12 + 12 * (meridiem == "p"), hour)
    return np.where(invalid, np.nan, day_seconds + 3600 * hour + 60 * minute + second)


def _days(year: Float64Array, month: Float64Array, day: Float64Array) -> Float64Array:
    """Return days since 1970-01-01; NaN if the calendar has no such day."""
    ok = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    month_number = np.where(ok, (year - 1970) * 12 + month - 1, 0).astype(np.int64)
    first = month_number.astype("datetime64[M]")
    days = first.astype("datetime64[D]").astype(np.int64)
    length = (first + 1).astype("datetime64[D]").astype(np.int64) - days
    return np.where(ok & (day <= length), days + day - 1, np.nan)


def arrow_to_seconds(column: pa.ChunkedArray) -> Float64Array:
    """Convert an Arrow column of dates, times or durations to seconds.

    Integer counts are divided by their unit in 64 bits, so that no date is out of the range of a calendar.

    Parameters
    ----------
    column : pa.ChunkedArray (n,)
        Dates, times, timestamps or durations of any unit.

    Returns
    -------
    float64 array (n,)
        Seconds since 1970-01-01 00:00 in local time, or seconds of the duration; NaN if missing.

    Examples
    --------
    >>> arrow_to_seconds(pa.chunked_array([pa.array([1, None], pa.date32())])).tolist()
    [86400.0, nan]
    """
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        column = pc.local_timestamp(column)
    if pa.types.is_date32(kind):
        counts = pc.cast(pc.cast(column, pa.int32()), pa.int64())
    else:
        counts = pc.cast(pc.cast(column, pa.int32()) if pa.types.is_time32(kind) else column, pa.int64())
    missing = to_bool(column.is_null())
    whole = np.asarray(pc.fill_null(counts, 0).to_numpy(), dtype=np.int64)
    if pa.types.is_date32(kind):
        seconds = whole * DAY
    else:
        unit = 1000 if pa.types.is_date64(kind) else _UNITS[kind.unit]
        quotient, rest = np.divmod(whole, unit)
        seconds = quotient + rest / unit
    return np.where(missing, np.nan, seconds)
