"""Interactions: the place of each row on both sides of a grid, and the values at the corners of its cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.export.onnx.curve_lookup import interpolate, last_at_most
from softreg.export.onnx.graph_builder import Block, GraphBuilder, Parts
from softreg.export.onnx.level_lookup import encode_numbers, encode_texts
from softreg.export.onnx.number_blocks import missing_numbers
from softreg.export.onnx.tensor_inputs import InputGroup, tensor_names
from softreg.export.onnx.word_blocks import pattern
from softreg.export.program import (
    BOOLEAN_MISSING,
    BooleanTerm,
    CurveTerm,
    GridSide,
    GridTerm,
    InputKind,
    KnotSide,
    LevelSide,
    LevelTerm,
    Program,
)
from softreg.typing import Float64Array


@dataclass(frozen=True)
class _Corner:
    """Places (n, 1) on a side, and their shares (n, 1); empty for shares of 1."""

    place: str
    share: str


def grid_parts(graph: GraphBuilder, program: Program) -> Parts:
    """Return the parts of all interactions.

    Parameters
    ----------
    graph : GraphBuilder
        Graph.
    program : Program
        The program.

    Returns
    -------
    Parts
        Parts, none without interactions.
    """
    sides: dict[str, list[_Corner]] = {}
    blocks = []
    for term in program.grids:
        for side in (term.left, term.right):
            if repr(side) not in sides:
                sides[repr(side)] = _corners(graph, program, side)
        values = _interpolated(graph, term, sides[repr(term.left)], sides[repr(term.right)])
        blocks.append(Block(values, program.weights[term.first : term.first + term.width]))
    return Parts(tuple(blocks))


def _interpolated(graph: GraphBuilder, term: GridTerm, left: list[_Corner], right: list[_Corner]) -> str:
    """Return the features (n, f) of an interaction."""
    table = _table(term)
    rows, width = graph.constant(table.reshape(-1, term.width)), graph.constant(np.array(table.shape[1], np.int64))
    places, shares = [], []
    for a in left:
        for b in right:
            places.append(graph.node("Add", graph.node("Mul", a.place, width), b.place))
            both = [corner.share for corner in (a, b) if corner.share]
            shares.append(graph.node("Mul", *both) if len(both) > 1 else both[0] if both else "")
    found = graph.node("Gather", rows, graph.concat(places))
    if shares[0]:
        share = graph.node("Unsqueeze", graph.concat(shares), graph.constant(np.array([2])))
        found = graph.node("Mul", found, share)
    return graph.node("ReduceSum", found, graph.constant(np.array([1])), keepdims=0)


def _table(term: GridTerm) -> Float64Array:
    """Return the values (nodes, nodes, f), with zeros at the place after the last one for rows without a place."""
    table = np.zeros((term.left.nodes + 1, term.right.nodes + 1, term.width))
    table[:-1, :-1] = np.moveaxis(np.array(term.values).reshape(-1, term.left.nodes, term.right.nodes), 0, 2)
    return table


def _corners(graph: GraphBuilder, program: Program, side: GridSide) -> list[_Corner]:
    """Return the places of rows on a side: two for a number, one for a level."""
    read, name = program.inputs[side.input], tensor_names(program)[side.input]
    group = InputGroup((side.input,), (read,), (name,))
    if isinstance(side, KnotSide):
        return _knot_corners(graph, side, name, missing_numbers(graph, name, group))
    if read.kind is InputKind.CODE:
        missing = missing_numbers(graph, name, group)
    else:
        missing = graph.node("RegexFullMatch", name, pattern=pattern(("", *read.missing_words)))
    return [_Corner(_level_place(graph, program, side, name, missing), "")]


def _level_place(graph: GraphBuilder, program: Program, side: LevelSide, name: str, missing: str) -> str:
    """Return the place of a level, that of zeros where it has none."""
    term = side.levels
    if isinstance(term, BooleanTerm):
        true = graph.node("RegexFullMatch", name, pattern=pattern(program.inputs[side.input].true_words, fold=True))
        absent, found = BOOLEAN_MISSING, graph.integers(true)
    else:
        other = term.other if term.other >= 0 else side.nodes
        absent = term.missing if term.missing >= 0 else side.nodes
        if isinstance(term, LevelTerm):
            found = encode_texts(graph, name, term.words, other)
        else:
            found = encode_numbers(graph, name, term.numbers, other)
    return graph.node("Where", missing, graph.constant(np.array(absent, np.int64)), found)


def _knot_corners(graph: GraphBuilder, side: KnotSide, name: str, missing: str) -> list[_Corner]:
    """Return the knots around a number, and their shares, which are 0 where the interaction adds nothing."""
    zero, one = graph.constant(0.0), graph.constant(1.0)
    known = graph.node("Where", missing, zero, name)
    if isinstance(side.value, CurveTerm):
        value = interpolate(graph, known, [side.value])
    else:
        term = side.value
        inside = graph.node("Min", graph.node("Max", known, graph.constant(term.low)), graph.constant(term.high))
        value = graph.node("Div", graph.node("Sub", inside, graph.constant(term.center)), graph.constant(term.scale))
    u = graph.node("Where", missing, zero, value)
    knots = np.array(side.knots)
    u = graph.node("Min", graph.node("Max", u, graph.constant(knots[0])), graph.constant(knots[-1]))
    size = 1 << (len(knots) - 1).bit_length()
    padded = np.full((1, size), np.inf)
    padded[0, : len(knots)] = knots
    last = graph.constant(np.array(len(knots) - 2, np.int64))
    place = graph.node("Min", last_at_most(graph, u, padded), last)
    start = graph.node("Gather", graph.constant(knots[:-1]), place)
    width = graph.node("Gather", graph.constant(np.diff(knots)), place)
    share = graph.node("Div", graph.node("Sub", u, start), width)
    rest = graph.node("Sub", one, share)
    if side.skips_missing:
        share, rest = (graph.node("Where", missing, zero, part) for part in (share, rest))
    after = graph.node("Add", place, graph.constant(np.array(1, np.int64)))
    return [_Corner(place, rest), _Corner(after, share)]
