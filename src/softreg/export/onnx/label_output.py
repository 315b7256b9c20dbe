"""The label of each row: the class of the greatest probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from softreg.export.onnx.graph_builder import GraphBuilder
from softreg.export.onnx.tensor_inputs import OUTPUTS, ROWS
from softreg.export.program import Label, Program

if TYPE_CHECKING:
    from onnx import ValueInfoProto

INVALID_INTEGER = int(np.iinfo(np.int64).min)
"""Label of rows without a prediction where labels are integers."""


def label_output(graph: GraphBuilder, program: Program, P: str) -> ValueInfoProto:
    """Add the output `label` (n,): text, int64, double or boolean, as the class labels are.

    Labels of several types, and integers beyond 64 bits, are text. Rows without a prediction have the label "", the
    least integer, nan or False.

    Parameters
    ----------
    graph : GraphBuilder
        Graph.
    program : Program
        The program.
    P : str
        Probabilities (n, q), nan in rows without a prediction.

    Returns
    -------
    ValueInfoProto
        Declaration of the output.
    """
    from onnx import TensorProto, helper

    total = graph.node("ReduceSum", P, graph.constant(np.array([1])), keepdims=0)
    best = graph.node("ArgMax", P, axis=1, keepdims=0)
    place = graph.node("Where", graph.node("IsNaN", total), graph.constant(np.array(len(program.classes))), best)
    labels = program.classes
    kind = label_type(labels)
    if kind is str:
        element, table = TensorProto.STRING, graph.texts([*program.label_texts, ""])
    elif kind is bool:
        element, table = TensorProto.BOOL, graph.constant(np.array([*labels, False], dtype=bool))
    elif kind is int:
        element, table = TensorProto.INT64, graph.constant(np.array([*labels, INVALID_INTEGER], dtype=np.int64))
    else:
        element, table = TensorProto.DOUBLE, graph.constant(np.array([*labels, np.nan], dtype=np.float64))
    graph.node("Gather", table, place, output=OUTPUTS[1])
    text = "Class of the greatest probability; no class where the probabilities are nan."
    return helper.make_tensor_value_info(OUTPUTS[1], element, [ROWS], text)


def label_type(labels: tuple[Label, ...]) -> type:
    """Return the type of the output of these labels.

    Parameters
    ----------
    labels : tuple of label
        Classes.

    Returns
    -------
    type
        str, int, float or bool.

    Examples
    --------
    >>> label_type((1, 2)), label_type((1, "a")), label_type((2**70, 1))
    (<class 'int'>, <class 'str'>, <class 'str'>)
    """
    types = {type(label) for label in labels}
    if types == {int}:
        bounds = np.iinfo(np.int64)
        return int if all(isinstance(k, int) and bounds.min < k <= bounds.max for k in labels) else str
    return next(iter(types)) if len(types) == 1 else str
