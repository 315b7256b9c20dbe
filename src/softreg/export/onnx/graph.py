"""The ONNX model of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from softreg.export.export_errors import ExportError
from softreg.export.onnx.date_blocks import date_parts
from softreg.export.onnx.graph_builder import ML_DOMAIN, GraphBuilder, Parts
from softreg.export.onnx.grid_blocks import grid_parts
from softreg.export.onnx.label_output import label_output
from softreg.export.onnx.model_metadata import add_metadata
from softreg.export.onnx.number_blocks import number_parts
from softreg.export.onnx.probability_steps import apply_step
from softreg.export.onnx.tensor_inputs import OUTPUTS, ROWS, input_tensors, tensor_names
from softreg.export.onnx.vector_blocks import vector_parts
from softreg.export.onnx.word_blocks import word_parts
from softreg.export.program import Program

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

OPSET, WORDS_OPSET = 18, 20
"""Version of the standard operators, and the one with RegexFullMatch, which booleans and categories need."""
IR_VERSIONS = {OPSET: 8, WORDS_OPSET: 9}
"""Version of the file format that came with each."""
ML_OPSET, NUMBERS_ML_OPSET = 2, 4
"""Version of LabelEncoder for text, and for doubles."""


def onnx_model(program: Program) -> bytes:
    """Return a program as a serialized ONNX model in double precision.

    The model has an input for each column, (N, 1) for most kinds, and the outputs `probabilities` (N, q) and `label`
    (N,). A row with an invalid value has nan as its probabilities.

    ========  =======================================================================================
    kind      input
    ========  =======================================================================================
    NUMBER    double (N, 1), nan where missing
    CODE      double (N, 1), nan where missing
    BOOLEAN   text (N, 1): "true", "no" or another word of the column in any case, "" where missing
    CATEGORY  text (N, 1), "" where missing
    DATE      double (N, 1), seconds from 1970-01-01T00:00 to the wall-clock time, nan where missing
    VECTOR    double (N, length), all nan where missing
    TAGS      text (N, K), padded with "" to the greatest number K of tags of a row, which may be 0
    ========  =======================================================================================

    Parameters
    ----------
    program : Program
        The program, by `softreg.export.build_program`.

    Returns
    -------
    bytes
        The model, of the operator set 18, or 20 where there are booleans or categories.

    Raises
    ------
    ExportError
        If the package onnx is not installed, or a column is free text, for which ONNX has no exact operator.

    References
    ----------
    ONNX, "Open Neural Network Exchange: operator schemas", https://onnx.ai/onnx/operators/.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> from softreg.export import build_program
    >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])
    >>> isinstance(onnx_model(build_program(model)), bytes)
    True
    """
    try:
        from onnx import helper
    except ImportError:
        raise ExportError(
            "An ONNX model needs the package onnx, which is not installed: pip install 'softreg[onnx]'."
        ) from None
    inputs = input_tensors(program)
    graph = GraphBuilder([*tensor_names(program), *OUTPUTS])
    outputs = _add_nodes(graph, program)
    built = helper.make_graph(graph.nodes, "softreg", inputs, outputs, list(graph.constants.values()))
    model = _versioned(graph, helper.make_model(built))
    add_metadata(model, program)
    return bytes(model.SerializeToString(deterministic=True))


def _versioned(graph: GraphBuilder, model: ModelProto) -> ModelProto:
    """Return the model with the lowest versions of the operators that have all of its nodes."""
    from onnx import helper

    version = WORDS_OPSET if "RegexFullMatch" in graph.operators else OPSET
    versions = {"": version}
    encoders = [node for node in graph.nodes if node.op_type == "LabelEncoder"]
    if encoders:
        numbers = any(attribute.name == "keys_tensor" for node in encoders for attribute in node.attribute)
        versions[ML_DOMAIN] = NUMBERS_ML_OPSET if numbers else ML_OPSET
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, number) for domain, number in versions.items())
    model.ir_version = IR_VERSIONS[version]
    return model


def _add_nodes(graph: GraphBuilder, program: Program) -> list[ValueInfoProto]:
    """Add the nodes from the inputs to the outputs, and return the declarations of the outputs."""
    from onnx import TensorProto, helper

    kinds = (number_parts, word_parts, date_parts, vector_parts, grid_parts)
    parts = sum((kind(graph, program) for kind in kinds), Parts())
    P = graph.softmax(_logits(graph, program, parts))
    for step in program.steps:
        P = apply_step(graph, P, step)
    checks = [P, *parts.checks]
    P = graph.node("Sum", *checks, output=OUTPUTS[0]) if parts.checks else graph.node("Identity", P, output=OUTPUTS[0])
    text = "Probability of each class, in the order of `classes` in the metadata."
    shape = [ROWS, len(program.classes)]
    return [
        helper.make_tensor_value_info(OUTPUTS[0], TensorProto.DOUBLE, shape, text),
        label_output(graph, program, P),
    ]


def _logits(graph: GraphBuilder, program: Program, parts: Parts) -> str:
    """Return the logits (n, q)."""
    terms = [graph.constant(np.asarray(program.bias, dtype=np.float64)), *parts.logits]
    if parts.blocks:
        features = graph.concat([block.values for block in parts.blocks])
        weights = np.concatenate([block.weights for block in parts.blocks])
        terms.append(graph.node("MatMul", features, graph.constant(weights)))
    if len(terms) == 1:  # columns without a weight give the number of rows
        terms += [_zeros(graph, program)]
    return graph.node("Sum", *terms)


def _zeros(graph: GraphBuilder, program: Program) -> str:
    """Return a column of zeros for each row of the inputs."""
    from onnx import numpy_helper

    rows = graph.node("Shape", tensor_names(program)[0], start=0, end=1)
    shape = graph.node("Concat", rows, graph.constant(np.array([1])), axis=0)
    return graph.node("ConstantOfShape", shape, value=numpy_helper.from_array(np.zeros(1)))
