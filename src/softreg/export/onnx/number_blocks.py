"""Terms of numbers, offsets and categories of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softreg.export.onnx.curve_lookup import interpolate
from softreg.export.onnx.graph_builder import Block, GraphBuilder, Parts
from softreg.export.onnx.level_lookup import level_logits
from softreg.export.onnx.tensor_inputs import InputGroup, input_group
from softreg.export.program import CodeTerm, CurveTerm, InputKind, LinearTerm, MissingTerm, OffsetTerm, Program
from softreg.typing import Float64Array


def number_parts(graph: GraphBuilder, program: Program) -> Parts:
    """Return the parts of all inputs of the kinds NUMBER and CODE.

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
    group = input_group(program, InputKind.NUMBER, InputKind.CODE)
    if not group.places:
        return Parts()
    x = graph.concat(group.names)
    missing = missing_numbers(graph, x, group)
    fill = np.where([read.required for read in group.reads], np.nan, 0.0)
    known = graph.node("Where", missing, graph.constant(fill), x)
    columns = _Columns(graph, program, group, known=known, missing=missing)
    blocks = [*columns.linear(), *columns.curves(), *columns.missing_values(), *columns.offsets()]
    numbers = [k for k, read in enumerate(group.reads) if read.kind is InputKind.NUMBER]
    checks = (finite_check(graph, graph.take(known, numbers, len(group.reads))),) if numbers else ()
    return Parts(tuple(blocks), columns.codes(), checks)


def missing_numbers(graph: GraphBuilder, x: str, group: InputGroup) -> str:
    """Return where numbers (n, m) are missing: nan, or a number that stands for a missing value.

    Parameters
    ----------
    graph : GraphBuilder
        Graph.
    x : str
        Numbers, one column an input.
    group : InputGroup
        Inputs.

    Returns
    -------
    str
        Mask (n, m).
    """
    masks = [graph.node("IsNaN", x)]
    for k in range(max(len(read.missing_numbers) for read in group.reads)):
        numbers = [(*read.missing_numbers, *[np.nan] * (k + 1))[k] for read in group.reads]
        masks.append(graph.node("Equal", x, graph.constant(numbers)))
    return graph.any_of(masks)


def finite_check(graph: GraphBuilder, x: str) -> str:
    """Return a column that is 0 where all numbers of the row are finite, and nan in other rows.

    Parameters
    ----------
    graph : GraphBuilder
        Graph.
    x : str
        Numbers (n, m).

    Returns
    -------
    str
        Column (n, 1).
    """
    return graph.row_sum(graph.node("Sub", x, x))


class _Columns:
    """The terms of numbers, each kind of which is computed for all inputs at once."""

    def __init__(self, graph: GraphBuilder, program: Program, group: InputGroup, *, known: str, missing: str) -> None:
        self.graph, self.program, self.group = graph, program, group
        self.known, self.missing = known, missing
        self.column = {place: k for k, place in enumerate(group.places)}

    def _take(self, values: str, inputs: Sequence[int]) -> str:
        """Return the columns of some inputs."""
        return self.graph.take(values, [self.column[place] for place in inputs], len(self.column))

    def _block(self, values: str, terms: Sequence[LinearTerm | CurveTerm]) -> Block:
        """Return the features of terms that are 0 for missing values."""
        missing = self._take(self.missing, [term.input for term in terms])
        values = self.graph.node("Where", missing, self.graph.constant(0.0), values)
        return Block(values, self.program.weights[[term.first for term in terms]])

    def linear(self) -> list[Block]:
        """Return the features of the terms that are linear between their bounds."""
        graph = self.graph
        terms = [term for term in self.program.terms if isinstance(term, LinearTerm)]
        if not terms:
            return []
        x = self._take(self.known, [term.input for term in terms])
        low, high, center, scale = (
            np.array(values) for values in zip(*((t.low, t.high, t.center, t.scale) for t in terms), strict=True)
        )
        if np.isfinite(low).any():
            x = graph.node("Max", x, graph.constant(low))
        if np.isfinite(high).any():
            x = graph.node("Min", x, graph.constant(high))
        z = graph.node("Div", graph.node("Sub", x, graph.constant(center)), graph.constant(scale))
        return [self._block(z, terms)]

    def curves(self) -> list[Block]:
        """Return the features of the curves."""
        terms = [term for term in self.program.terms if isinstance(term, CurveTerm)]
        if not terms:
            return []
        x = self._take(self.known, [term.input for term in terms])
        return [self._block(interpolate(self.graph, x, terms), terms)]

    def missing_values(self) -> list[Block]:
        """Return the indicators of missing values."""
        return missing_blocks(self.graph, self.program, self.group, self.missing)

    def offsets(self) -> list[Block]:
        """Return the offsets, whose weights are 1 for their classes."""
        terms = [term for term in self.program.terms if isinstance(term, OffsetTerm)]
        inputs = list(dict.fromkeys(term.input for term in terms))
        if not inputs:
            return []
        weights: Float64Array = np.zeros((len(inputs), len(self.program.classes)))
        for term in terms:
            weights[inputs.index(term.input), term.label] += 1.0
        return [Block(self._take(self.known, inputs), weights)]

    def codes(self) -> tuple[str, ...]:
        """Return the terms of the logits of categories of numbers."""
        terms = [term for term in self.program.terms if isinstance(term, CodeTerm)]
        inputs = [term.input for term in terms]
        return level_logits(
            self.graph,
            terms,
            [self.group.names[self.column[place]] for place in inputs],
            missing=self._take(self.missing, inputs) if inputs else "",
            weights=self.program.weights,
        )


def missing_blocks(graph: GraphBuilder, program: Program, group: InputGroup, missing: str) -> list[Block]:
    """Return the indicators of missing values of a group of inputs.

    Parameters
    ----------
    graph : GraphBuilder
        Graph.
    program : Program
        The program.
    group : InputGroup
        Inputs.
    missing : str
        Where each of them is missing (n, m).

    Returns
    -------
    list of Block
        One block, or none.
    """
    terms = [term for term in program.terms if isinstance(term, MissingTerm) and term.input in group.places]
    if not terms:
        return []
    mask = graph.take(missing, [group.places.index(term.input) for term in terms], len(group.places))
    return [Block(graph.doubles(mask), program.weights[[term.first for term in terms]])]
