"""Terms of vectors."""

from __future__ import annotations

import numpy as np

from softreg.export.onnx.graph_builder import Block, GraphBuilder, Parts
from softreg.export.onnx.number_blocks import finite_check, missing_blocks
from softreg.export.onnx.tensor_inputs import InputGroup, input_group
from softreg.export.program import InputKind, Program, VectorTerm


def vector_parts(graph: GraphBuilder, program: Program) -> Parts:
    """Return the parts of all inputs of the kind VECTOR.

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
    group = input_group(program, InputKind.VECTOR)
    parts = Parts()
    for k in range(len(group.places)):
        parts += _vector(graph, program, group.part([k]))
    return parts


def _vector(graph: GraphBuilder, program: Program, group: InputGroup) -> Parts:
    """Return the parts of one vector, which is missing where all elements are nan."""
    (place,), (read,), (x,) = group.places, group.reads, group.names
    terms = [term for term in program.terms if isinstance(term, VectorTerm) and term.input == place]
    missing = ""
    blocks: list[Block] = []
    if not read.required:
        count = graph.row_sum(graph.doubles(graph.node("IsNaN", x)))
        missing = graph.node("Equal", count, graph.constant(float(read.length)))
        x = graph.node("Where", missing, graph.constant(0.0), x)
        blocks += missing_blocks(graph, program, group, missing)
    for term in terms:
        z = x
        if any(term.means):
            z = graph.node("Sub", z, graph.constant(term.means))
        if term.scale != 1:
            z = graph.node("Div", z, graph.constant(term.scale))
        if missing and any(term.means):
            z = graph.node("Where", missing, graph.constant(0.0), z)
        blocks.append(Block(z, program.weights[np.arange(read.length) + term.first]))
    return Parts(tuple(blocks), checks=(finite_check(graph, x),))
