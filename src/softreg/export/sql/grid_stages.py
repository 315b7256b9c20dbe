"""Interactions in SQL: places on the sides of grids, as columns of stages of their own, and values between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

from softreg.export.program import (
    BOOLEAN_MISSING,
    BooleanTerm,
    CodeTerm,
    GridSide,
    GridTerm,
    KnotSide,
    LevelTerm,
    LinearTerm,
    Program,
)
from softreg.export.sql.column_values import level_place, linear, or_zero
from softreg.export.sql.expressions import curve
from softreg.export.sql.input_columns import value_name
from softreg.export.sql.stages import Stages
from softreg.export.sql.syntax import Syntax

NEGLIGIBLE_SHARE = 1e-30
"""Shares of the next node below are 0, so that products with values do not underflow."""
NEGLIGIBLE_VALUE = 1e-100
"""Absolute values of a grid below are 0, for the same reason."""


def add_grid_stages(stages: Stages, program: Program, limit: float) -> None:
    """Add the stages of the sides of all interactions, and of the cells of their grids.

    Parameters
    ----------
    stages : Stages
        Stages, the last of which has the columns of the inputs.
    program : Program
        Program.
    limit : float
        Bound of the absolute value of a feature.
    """
    sides: dict[str, GridSide] = {}
    for term in program.grids:
        sides |= {repr(side): side for side in (term.left, term.right)}
    if not sides:
        return
    syntax = stages.syntax
    numbered = {key: (k, side) for k, (key, side) in enumerate(sides.items())}
    found = {f"u{k}": _compared(side, syntax, limit) for k, side in numbered.values() if isinstance(side, KnotSide)}
    if found:
        stages.add(found, keep=stages.names)
    located: dict[str, str] = {}
    for k, side in numbered.values():
        if isinstance(side, KnotSide):
            located |= _located(side, k, syntax)
        else:
            located[f"g{k}"] = _level(program, side.levels, syntax)
    stages.add(located, keep=[name for name in stages.names if name not in found])
    stages.add(_cells(program, numbered), keep=stages.names)


def _compared(side: KnotSide, syntax: Syntax, limit: float) -> str:
    """Return the feature of a number that is compared with knots; NULL where the interaction adds nothing."""
    x, term = value_name(side.input), side.value
    if isinstance(term, LinearTerm):
        value = linear(term, x, syntax, limit)
    else:
        value = or_zero(x, curve(syntax, x, term.knots, term.values), syntax)
    return f"CASE WHEN {x} IS NOT NULL THEN {value} END" if side.skips_missing else value


def _located(side: KnotSide, number: int, syntax: Syntax) -> dict[str, str]:
    """Return the place of a number among knots, and the share of the next one."""
    u, knots = f"u{number}", side.knots
    places = [f"WHEN {u} < {syntax.exact(knot)} THEN {k}" for k, knot in enumerate(knots[1:-1])]
    places.append(f"WHEN {u} IS NOT NULL THEN {len(knots) - 2}")
    zero = syntax.number(0)
    shares = [f"WHEN {u} <= {syntax.exact(knots[0])} THEN {zero}"]
    for low, high in pairwise(knots):
        start = low + NEGLIGIBLE_SHARE * (high - low)
        if start > low:
            shares.append(f"WHEN {u} < {syntax.exact(start)} THEN {zero}")
        share = syntax.scaled(u, low, high - low, bounded=True, limit=1.0)
        shares.append(f"WHEN {u} < {syntax.exact(high)} THEN {share}")
    shares.append(f"WHEN {u} IS NOT NULL THEN {syntax.number(1)}")
    return {f"g{number}": f"CASE {' '.join(places)} END", f"h{number}": f"CASE {' '.join(shares)} END"}


def _level(program: Program, term: LevelTerm | CodeTerm | BooleanTerm, syntax: Syntax) -> str:
    """Return the place of a category or boolean; NULL for a level without a place."""
    if isinstance(term, BooleanTerm):
        x = value_name(term.input)
        return f"CASE WHEN {x} IS NULL THEN {BOOLEAN_MISSING} WHEN {x} > {syntax.number(0)} THEN 1 ELSE 0 END"
    return f"nullif({level_place(program, term, value_name(term.input), syntax)}, -1)"


def _cells(program: Program, numbered: Mapping[str, tuple[int, GridSide]]) -> dict[str, str]:
    """Return the place of each row in each grid, and the shares of its sides under the number of the grid."""
    found = {}
    for number, term in enumerate(program.grids):
        a, b = (numbered[repr(side)][0] for side in (term.left, term.right))
        found[f"q{number}"] = f"g{a} * {term.right.nodes} + g{b}"
        for name, k, side in (("s", a, term.left), ("t", b, term.right)):
            if isinstance(side, KnotSide):
                found[f"q{number}{name}"] = f"h{k}"
    return found


def grid_features(term: GridTerm, number: int, syntax: Syntax) -> list[str]:
    """Return the features of an interaction.

    Parameters
    ----------
    term : GridTerm
        Term.
    number : int
        Its number among the interactions.
    syntax : Syntax
        Dialect.

    Returns
    -------
    list of str
        Expressions in terms of the columns of `add_grid_stages`.
    """
    one, cell = syntax.number(1), f"q{number}"
    left, right = (isinstance(side, KnotSide) for side in (term.left, term.right))
    down = term.right.nodes
    features = []
    for row in term.values:
        values = [0.0 if abs(value) < NEGLIGIBLE_VALUE else value for value in row]

        def at(step: int, values: list[float] = values) -> str:
            return syntax.lookup(f"({cell} + {step})" if step else cell, values)

        def across(step: int, at: Callable[[int], str] = at) -> str:
            near = at(step)
            return f"(({one} - {cell}t) * {near} + {cell}t * {at(step + 1)})" if right else near

        value = f"({one} - {cell}s) * {across(0)} + {cell}s * {across(down)}" if left else across(0)
        features.append(f"coalesce({value}, {syntax.number(0)})")
    return features
