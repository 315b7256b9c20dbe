"""Interactions in C: the place of a row on each side of a grid, and the features by interpolation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from softreg.export.c.c_inputs import (
    Reader,
    curve_value,
    declarations,
    find_level,
    function_source,
    linear_value,
    missing_condition,
    prefixed_lines,
)
from softreg.export.c.c_literals import comment_text, double_table
from softreg.export.program import (
    BOOLEAN_MISSING,
    BooleanTerm,
    GridSide,
    GridTerm,
    Input,
    KnotSide,
    LevelSide,
    LinearTerm,
    Program,
)


@dataclass(frozen=True)
class GridSource:
    """The source in C of the interactions.

    Attributes
    ----------
    source : str
        Constants and the functions `@_interaction_<number>(row, logits)`.
    functions : frozenset of str
        Keys of `c_functions.FUNCTIONS` that it uses.
    """

    source: str
    functions: frozenset[str]


def grid_source(program: Program, members: Sequence[str], prefix: str) -> GridSource:
    """Return the source of the interactions of a program.

    Parameters
    ----------
    program : Program
        Program.
    members : sequence of str
        The member of the row of each input.
    prefix : str
        Prefix of all names.

    Returns
    -------
    GridSource
        Source, and the functions that it uses; empty without interactions.

    Raises
    ------
    ExportError
        If a level cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> program = Program((), (), np.zeros((0, 2)), np.zeros(2), ("a", "b"))
    >>> grid_source(program, [], "churn").source
    ''
    """
    parts, functions = [], set[str]()
    sides: dict[str, tuple[GridSide, int]] = {}
    for number, term in enumerate(program.grids):
        for side in (term.left, term.right):
            if repr(side) not in sides:
                sides[repr(side)] = side, len(sides)
                reader = Reader()
                name = f"side_{len(sides) - 1}"
                read = program.inputs[side.input]
                parts.append(_side(reader, side, read, members[side.input], name))
                functions |= reader.functions
        parts.append(_interaction(number, term, sides))
        functions |= {"grid", "add"}
    return GridSource(prefixed_lines("".join(parts), prefix), frozenset(functions))


def _side(reader: Reader, side: GridSide, read: Input, member: str, name: str) -> str:
    """Return the function that sets place and share of a row; it returns 0 where the interaction adds nothing."""
    missing = missing_condition(reader, read, f"@_missing_{name}")
    if isinstance(side, KnotSide):
        lines = _knot_lines(reader, side, missing, name)
    else:
        lines = _level_lines(reader, side, read, missing, name)
    head = f"static inline int @_locate_{name}(const @_row *row, size_t *place, double *share)"
    written = function_source(head, [*declarations(read, member), *lines])
    return "".join(reader.tables) + f"/* {comment_text(read.name)} */\n" + written


def _knot_lines(reader: Reader, side: KnotSide, missing: str, name: str) -> list[str]:
    """Return the statements for a number."""
    if isinstance(side.value, LinearTerm):
        value = linear_value(reader, side.value)
    else:
        value = curve_value(reader, side.value, name)
    reader.tables.append(double_table(f"@_nodes_{name}", side.knots))
    reader.functions.add("locate")
    absent = "return 0;" if side.skips_missing else "x = 0.0;"
    return [
        f"if ({missing}) {absent}",
        f"{'' if side.skips_missing else 'else '}x = {value};",
        f"@_locate(x, @_nodes_{name}, {side.nodes}, place, share);",
        "return 1;",
    ]


def _level_lines(reader: Reader, side: LevelSide, read: Input, missing: str, name: str) -> list[str]:
    """Return the statements for a category or boolean."""
    term = side.levels
    if isinstance(term, BooleanTerm):
        value = f"{missing} ? {BOOLEAN_MISSING} : x != 0.0 ? 1 : 0"
        return [f"*place = {value};", "*share = 0.0;", "return 1;"]
    find = find_level(reader, term, read, name)
    lines = ["*share = 0.0;", f"if ({missing}) {{", *(f"  {line}" for line in _at(term.missing)), "}"]
    if find:
        levels = f"@_levels_{name}"
        lines += [
            f"*place = {find};",
            f"if (*place < sizeof {levels} / sizeof {levels}[0]) {{",
            f"  *place = @_places_{name}[*place];",
            "  return 1;",
            "}",
        ]
    return [*lines, *_at(term.other)]


def _at(place: int) -> list[str]:
    """Return the statements that set a place, or return 0 without one."""
    return [f"*place = {place};", "return 1;"] if place >= 0 else ["return 0;"]


def _interaction(number: int, term: GridTerm, sides: Mapping[str, tuple[GridSide, int]]) -> str:
    """Return the values of an interaction and the function that adds its features."""
    values = double_table(f"@_cells_{number}", [value for row in term.values for value in row])
    left, right = (sides[repr(side)][1] for side in (term.left, term.right))
    lines = [
        f"static const size_t nodes[2] = {{{term.left.nodes}, {term.right.nodes}}};",
        "size_t places[2] = {0, 0};",
        "double shares[2] = {0.0, 0.0};",
        f"if (!@_locate_side_{left}(row, &places[0], &shares[0])) return;",
        f"if (!@_locate_side_{right}(row, &places[1], &shares[1])) return;",
        f"@_grid(logits, {term.first}, {term.width}, @_cells_{number}, nodes, places, shares);",
    ]
    head = f"static inline void @_interaction_{number}(const @_row *row, double *logits)"
    return values + f"/* {comment_text(term.name)} */\n" + function_source(head, lines)
