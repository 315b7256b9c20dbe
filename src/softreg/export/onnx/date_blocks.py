"""Terms of dates: trends, and cycles of the calendar.

Days are whole numbers in double precision. The quotient of whole numbers a and b below 2^53 differs from a whole number
by at least 1 / b if it is none, which is more than its rounding error, so that `Floor` of it is exact.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence

import numpy as np

from softreg.export.onnx.graph_builder import Block, GraphBuilder, Parts
from softreg.export.onnx.number_blocks import finite_check, missing_blocks, missing_numbers
from softreg.export.onnx.tensor_inputs import InputGroup, input_group
from softreg.export.program import Cycle, CycleTerm, InputKind, Program, TrendTerm
from softreg.typing import Float64Array

DAY = 86400.0
"""Seconds of a day."""
MOST_DAYS = 1e12
"""Days from 1970 beyond which a date counts as this one; seconds in double precision hold no day there."""
WEEK = 7
"""Days of a week."""
MONDAY_SHIFT = 3
"""Days from a Monday to 1970-01-01."""
MARCH_SHIFT = 719468
"""Days from the first of March of the year 0 to 1970-01-01."""
YEAR, LEAP_YEARS, CENTURY, ERA = 365, 1461, 36524, 146097
"""Days of a year, of 4 and of 100 years whose last has no leap day beyond those of 4, and of 400 years."""
LONGEST_YEAR = 366
"""Days of a leap year."""
MARCH = 59
"""Days before the first of March in a year that is not a leap year."""
FEBRUARY = 28
"""Days of February in a year that is not a leap year."""
PERIOD = 400
"""Years after which the calendar repeats."""
MONTHS_FROM_MARCH = (31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31)
"""Days of March to January."""


def date_parts(graph: GraphBuilder, program: Program) -> Parts:
    """Return the parts of all inputs of the kind DATE.

    Parameters
    ----------
    graph : GraphBuilder
        Graph.
    program : Program
        The program.

    Returns
    -------
    Parts
        Parts.
    """
    group = input_group(program, InputKind.DATE)
    if not group.places:
        return Parts()
    seconds = graph.concat(group.names)
    missing = missing_numbers(graph, seconds, group)
    known = graph.node("Where", missing, graph.constant(0.0), seconds)
    checks = [finite_check(graph, known)]
    required = [k for k, read in enumerate(group.reads) if read.required]
    if required:
        checks.append(graph.not_valid(graph.take(missing, required, len(group.places))))
    blocks = missing_blocks(graph, program, group, missing)
    trends = [term for term in program.terms if isinstance(term, TrendTerm)]
    if trends:
        columns = [group.places.index(term.input) for term in trends]
        center, scale = (graph.constant(v) for v in ([t.center for t in trends], [t.scale for t in trends]))
        values = graph.node("Div", graph.node("Sub", graph.take(known, columns, len(group.places)), center), scale)
        mask = graph.take(missing, columns, len(group.places))
        values = graph.node("Where", mask, graph.constant(0.0), values)
        blocks.append(Block(values, program.weights[[term.first for term in trends]]))
    blocks += _cycles(graph, program, group, known=known, missing=missing)
    return Parts(tuple(blocks), checks=tuple(checks))


def _cycles(graph: GraphBuilder, program: Program, group: InputGroup, *, known: str, missing: str) -> list[Block]:
    """Return the sines and cosines of the phases of all cycles."""
    cycles = [term for term in program.terms if isinstance(term, CycleTerm)]
    if not cycles:
        return []
    bounded = graph.node("Max", known, graph.constant(-MOST_DAYS * DAY))
    seconds = graph.node("Min", bounded, graph.constant(MOST_DAYS * DAY))
    days = graph.node("Floor", graph.node("Div", seconds, graph.constant(DAY)))
    blocks = []
    for cycle in Cycle:
        terms = [term for term in cycles if term.cycle is cycle]
        if not terms:
            continue
        columns = [group.places.index(term.input) for term in terms]
        mask, day, second = (graph.take(some, columns, len(group.places)) for some in (missing, days, seconds))
        firsts = [term.first for term in terms]
        if cycle is Cycle.DAY:
            blocks += _day_cycle(graph, program.weights, firsts, seconds=second, days=day, missing=mask)
            continue
        place = _week_day(graph, day) if cycle is Cycle.WEEK else _calendar_place(graph, day)
        table = circle(week_phases() if cycle is Cycle.WEEK else calendar_phases(cycle))
        place = graph.node("Where", mask, graph.constant(np.array(len(table) - 1)), graph.integers(place))
        found = graph.node("Gather", graph.constant(table), place)
        pairs = graph.node("Reshape", found, graph.constant(np.array([0, 2 * len(terms)])))
        features = [first + part for first in firsts for part in (0, 1)]
        blocks.append(Block(pairs, program.weights[features]))
    return blocks


def _day_cycle(
    graph: GraphBuilder, weights: Float64Array, firsts: Sequence[int], *, seconds: str, days: str, missing: str
) -> list[Block]:
    """Return sines and cosines of the time of day."""
    midnight = graph.node("Mul", days, graph.constant(DAY))
    phase = graph.node("Div", graph.node("Sub", seconds, midnight), graph.constant(DAY))
    angle = graph.node("Mul", phase, graph.constant(2 * np.pi))
    shifted = graph.node("Add", angle, graph.constant(np.pi / 2))  # older runtimes have no Cos in double precision
    blocks = []
    for part, one in enumerate((angle, shifted)):
        value = graph.node("Where", missing, graph.constant(0.0), graph.node("Sin", one))
        blocks.append(Block(value, weights[[first + part for first in firsts]]))
    return blocks


def _split(graph: GraphBuilder, days: str, length: int, most: int | None = None) -> tuple[str, str]:
    """Return how many times the length fits into the days, at most `most`, and the days that are left."""
    count = graph.node("Floor", graph.node("Div", days, graph.constant(float(length))))
    if most is not None:
        count = graph.node("Min", count, graph.constant(float(most)))
    return count, graph.node("Sub", days, graph.node("Mul", count, graph.constant(float(length))))


def _week_day(graph: GraphBuilder, days: str) -> str:
    """Return the day of the week, 0 for Monday."""
    return _split(graph, graph.node("Add", days, graph.constant(float(MONDAY_SHIFT))), WEEK)[1]


def _calendar_place(graph: GraphBuilder, days: str) -> str:
    """Return the place of a day in `calendar_phases`."""
    # years begin in March: the leap day is the last day of 4 and of 400 years, and the last of 100 years lacks it
    _, rest = _split(graph, graph.node("Add", days, graph.constant(float(MARCH_SHIFT))), ERA)
    century, rest = _split(graph, rest, CENTURY, 4 - 1)
    fours, rest = _split(graph, rest, LEAP_YEARS)
    years, day = _split(graph, rest, YEAR, 4 - 1)
    count = graph.node("Mul", century, graph.constant(100.0))
    count = graph.node("Add", count, graph.node("Mul", fours, graph.constant(4.0)))
    year = graph.integers(graph.node("Add", count, years))
    kind = graph.node("Gather", graph.constant(_first_places()), year)
    return graph.node("Add", day, kind)


def _first_places() -> Float64Array:
    """Return the place in `calendar_phases` of the first of March of each year of a period of 400 years."""
    is_leap = [calendar.isleap(year) for year in range(PERIOD + 1)]
    return np.array([LONGEST_YEAR * (is_leap[y] + 2 * is_leap[y + 1]) for y in range(PERIOD)], dtype=np.float64)


def week_phases() -> Float64Array:
    """Return the phase of each day of a week.

    Returns
    -------
    array of float64 (7,)
        Phases from Monday on.

    Examples
    --------
    >>> week_phases()[:2].round(3)
    array([0.   , 0.143])
    """
    return np.arange(WEEK) / WEEK


def calendar_phases(cycle: Cycle) -> Float64Array:
    """Return the phase of each day of a year that begins in March, for the four pairs of leap years and other ones.

    Parameters
    ----------
    cycle : Cycle
        YEAR or MONTH.

    Returns
    -------
    array of float64 (4 * 366,)
        Phases; the pair is the year of March, plus 2 times the next one, each 1 for a leap year.

    Examples
    --------
    >>> calendar_phases(Cycle.YEAR)[306]  # the first of January
    np.float64(0.0)
    """
    tables = []
    for this, following in ((0, 0), (1, 0), (0, 1), (1, 1)):
        months = (*MONTHS_FROM_MARCH, FEBRUARY + following)
        if cycle is Cycle.MONTH:
            phases = np.concatenate([np.arange(length) / length for length in months])
        else:
            rest = np.arange(MARCH + this, YEAR + this) / (YEAR + this)
            phases = np.concatenate([rest, np.arange(MARCH + following) / (YEAR + following)])
        tables.append(np.resize(phases, LONGEST_YEAR))
    return np.concatenate(tables)


def circle(phases: Float64Array) -> Float64Array:
    """Return sine and cosine of phases, and a last row of zeros for a missing date.

    Parameters
    ----------
    phases : array of float64 (m,)
        Shares of a cycle.

    Returns
    -------
    array of float64 (m + 1, 2)
        Sine and cosine.

    Examples
    --------
    >>> circle(np.array([0.0])).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    angle = 2 * np.pi * phases
    return np.concatenate([np.column_stack([np.sin(angle), np.cos(angle)]), np.zeros((1, 2))])
