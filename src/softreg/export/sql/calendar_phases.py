"""Phases of the calendar by arithmetic on days, for all years of the Gregorian calendar.

Years are counted from March on, so that the leap day is their last day, and in cycles of 400 years, which have 146,097
days each. All numbers are float64; quotients of whole numbers below 2**53 have the right floor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from softreg.export.program import Cycle
from softreg.export.sql.stages import Stages
from softreg.export.sql.syntax import Syntax

DAY = 86400
CYCLE_DAYS, CENTURY_DAYS, FOUR_YEARS_DAYS, YEAR_DAYS = 146097, 36524, 1461, 365
"""Days of 400 years, of a century without its last leap day, of four years with one, of a year without one."""
EPOCH = 719468
"""Days from 1 March of year 0 to 1970."""
MONTH_LENGTHS = (31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31)
"""Days of the months from March to January."""
BEFORE_JANUARY = sum(MONTH_LENGTHS[:-1])
"""Days from 1 March to 1 January."""
BEFORE_MARCH = 59
"""Days from 1 January to 1 March, without the leap day."""
MONDAY = 3
"""Days from Monday to the Thursday of 1 January 1970."""
WEEK = 7


def _remainder(a: str, divisor: int, syntax: Syntax) -> str:
    """Return the remainder of a division rounded down; `a` is an operand."""
    n = syntax.number(divisor)
    return f"({a} - floor({a} / {n}) * {n})"


def add_day_stages(stages: Stages, inputs: Sequence[str]) -> None:
    """Add the stages that find the day of the year.

    Each input x gets the columns `x_d`, the day of the cycle of 400 years, `x_y`, the year in it, and `x_n`, the day
    of the year, all counted from 0 and from March on.

    Parameters
    ----------
    stages : Stages
        Stages.
    inputs : sequence of str
        Columns of times in seconds.
    """
    syntax = stages.syntax
    number = syntax.number
    names = stages.names
    day = {f"{x}_d": _remainder(f"(floor({x} / {number(DAY)}) + {number(EPOCH)})", CYCLE_DAYS, syntax) for x in inputs}
    stages.add(day, keep=names)
    names = stages.names
    year = {}
    for x in inputs:
        d = f"{x}_d"
        # The last day of 400 years, and of four years, ends a year of 366 days: without it, years have 365 days.
        leap_days = (
            f"floor({d} / {number(FOUR_YEARS_DAYS - 1)}) - floor({d} / {number(CENTURY_DAYS)}) "
            f"+ floor({d} / {number(CYCLE_DAYS - 1)})"
        )
        year[f"{x}_y"] = f"floor(({d} - ({leap_days})) / {number(YEAR_DAYS)})"
    stages.add(year, keep=names)
    names = stages.names
    stages.add({f"{x}_n": f"{x}_d - {_days_before(f'{x}_y', syntax)}" for x in inputs}, keep=names)


def _days_before(y: str, syntax: Syntax) -> str:
    """Return the days before the year y of a cycle."""
    number = syntax.number
    return f"({number(YEAR_DAYS)} * {y} + floor({y} / {number(4)}) - floor({y} / {number(100)}))"


def cycle_features(cycle: Cycle, x: str, syntax: Syntax) -> tuple[str, str]:
    """Return sine and cosine of the phase of a time.

    Parameters
    ----------
    cycle : Cycle
        Cycle.
    x : str
        Column of seconds since 1970, for which there are the columns of `add_day_stages` if the cycle is the year or
        the month.
    syntax : Syntax
        Dialect.

    Returns
    -------
    sine, cosine : str
        Expressions.
    """
    phase = {Cycle.YEAR: _year, Cycle.MONTH: _month, Cycle.WEEK: _week, Cycle.DAY: _day}[cycle](x, syntax)
    angle = f"{syntax.number(2 * math.pi)} * ({phase})"
    return f"sin({angle})", f"cos({angle})"


def _day(x: str, syntax: Syntax) -> str:
    """Return the share of the day that has passed."""
    return f"{_remainder(x, DAY, syntax)} / {syntax.number(DAY)}"


def _week(x: str, syntax: Syntax) -> str:
    """Return the share of the week."""
    day = f"(floor({x} / {syntax.number(DAY)}) + {syntax.number(MONDAY)})"
    return f"{_remainder(day, WEEK, syntax)} / {syntax.number(WEEK)}"


def _leap(y: str, syntax: Syntax) -> str:
    """Return 1 for a leap year, 0 for another; y is a year of a cycle of 400 years."""
    zero = syntax.number(0)
    by = {n: f"{_remainder(y, n, syntax)} = {zero}" for n in (4, 100, 400)}
    return f"CASE WHEN {by[400]} OR ({by[4]} AND NOT {by[100]}) THEN {syntax.number(1)} ELSE {zero} END"


def _year(x: str, syntax: Syntax) -> str:
    """Return the share of the year: January and February belong to the next year of the cycle."""
    number, n, y = syntax.number, f"{x}_n", f"{x}_y"
    late = f"({n} - {number(BEFORE_JANUARY)}) / ({number(YEAR_DAYS)} + {_leap(f'({y} + {number(1)})', syntax)})"
    extra = _leap(y, syntax)
    early = f"({n} + {number(BEFORE_MARCH)} + {extra}) / ({number(YEAR_DAYS)} + {extra})"
    return f"CASE WHEN {n} >= {number(BEFORE_JANUARY)} THEN {late} ELSE {early} END"


def _month(x: str, syntax: Syntax) -> str:
    """Return the share of the month; February follows the other months."""
    number, n = syntax.number, f"{x}_n"
    whens, first = [], 0
    for length in MONTH_LENGTHS:
        whens.append(f"WHEN {n} < {number(first + length)} THEN ({n} - {number(first)}) / {number(length)}")
        first += length
    extra = _leap(f"({x}_y + {number(1)})", syntax)
    february = f"({n} - {number(first)}) / ({number(BEFORE_MARCH - MONTH_LENGTHS[0])} + {extra})"
    return f"CASE {' '.join(whens)} ELSE {february} END"
