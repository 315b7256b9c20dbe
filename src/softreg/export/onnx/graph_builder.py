"""Nodes and constants of an ONNX graph, and the parts of which the logits are the sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from softreg.export.export_errors import ExportError
from softreg.typing import Array, Float64Array

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

ML_DOMAIN = "ai.onnx.ml"
"""Domain of LabelEncoder."""


class GraphBuilder:
    """The nodes and constants of a graph, in order; every method that adds a node returns the name of its output.

    Parameters
    ----------
    reserved : sequence of str
        Names of inputs and outputs, which no other tensor has.

    Examples
    --------
    >>> graph = GraphBuilder(["x"])
    >>> graph.node("Neg", "x")
    'softreg/0'
    """

    def __init__(self, reserved: Sequence[str]) -> None:
        self.prefix = "softreg"
        while any(name.startswith(self.prefix + "/") for name in reserved):
            self.prefix += "_"
        self.nodes: list[NodeProto] = []
        self.constants: dict[tuple[str, tuple[int, ...], bytes], TensorProto] = {}

    def _name(self) -> str:
        """Return a new name."""
        return f"{self.prefix}/{len(self.nodes) + len(self.constants)}"

    def node(
        self,
        operator: str,
        *inputs: str,
        output: str = "",
        domain: str = "",
        **attributes: int | str | list[str] | list[int] | TensorProto,
    ) -> str:
        """Add a node with one output, whose name is new by default, and return the name of the output."""
        from onnx import helper

        output = output or self._name()
        self.nodes.append(helper.make_node(operator, list(inputs), [output], domain=domain, **attributes))
        return output

    def constant(self, values: Array | float | Sequence[float]) -> str:
        """Return the name of a constant of double, integer or boolean numbers; equal ones are stored once."""
        from onnx import numpy_helper

        array = np.asarray(values)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(array, self._name())
        return str(self.constants[key].name)

    def texts(self, values: Sequence[str]) -> str:
        """Return the name of a constant of texts."""
        from onnx import TensorProto, helper

        encoded = [checked_text(value).encode() for value in values]
        tensor = helper.make_tensor(self._name(), TensorProto.STRING, [len(encoded)], encoded)
        self.constants["text", (len(encoded),), tensor.SerializeToString()] = tensor
        return str(tensor.name)

    def concat(self, parts: Sequence[str]) -> str:
        """Return the columns of several tensors side by side."""
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=1)

    def take(self, values: str, columns: Sequence[int], width: int) -> str:
        """Return some columns of a tensor of this width."""
        if list(columns) == list(range(width)):
            return values
        return self.node("Gather", values, self.constant(np.array(columns, np.int64)), axis=1)

    def row_sum(self, values: str) -> str:
        """Return the sum of each row, as a column."""
        return self.node("ReduceSum", values, self.constant(np.array([1])), keepdims=1)

    def softmax(self, logits: str) -> str:
        """Return the softmax of each row, which underflows to subnormal numbers and 0 in every version of ONNX Runtime.

        `Softmax` and `Exp` of older versions (1.17 to 1.19 were tried) return 5.6e-309 for all numbers below -709.
        """  # noqa: DOC201
        most = self.node("ReduceMax", logits, self.constant(np.array([1])), keepdims=1)
        root = self.node("Exp", self.node("Mul", self.node("Sub", logits, most), self.constant(0.5)))
        return self.shares(self.node("Mul", root, root))

    def shares(self, values: str) -> str:
        """Return values divided by the sum of their row."""
        return self.node("Div", values, self.row_sum(values))

    def any_of(self, masks: Sequence[str]) -> str:
        """Return where at least one mask is true."""
        found = masks[0]
        for mask in masks[1:]:
            found = self.node("Or", found, mask)
        return found

    def not_valid(self, invalid: str) -> str:
        """Return a column that is nan in rows where a cell of the mask is true, and 0 in others."""
        return self.row_sum(self.node("Where", invalid, self.constant(np.nan), self.constant(0.0)))

    def doubles(self, values: str) -> str:
        """Return booleans or integers as doubles."""
        from onnx import TensorProto

        return self.node("Cast", values, to=int(TensorProto.DOUBLE))

    def integers(self, values: str) -> str:
        """Return doubles that are whole numbers as integers."""
        from onnx import TensorProto

        return self.node("Cast", values, to=int(TensorProto.INT64))

    @property
    def operators(self) -> set[str]:
        """The operators that the graph has."""
        return {node.op_type for node in self.nodes}


@dataclass(frozen=True, eq=False)
class Block:
    """Columns (n, m) of the graph, and their weights (m, q)."""

    values: str
    weights: Float64Array


@dataclass(frozen=True)
class Parts:
    """What inputs of one kind contribute.

    Attributes
    ----------
    blocks : tuple of Block
        Features.
    logits : tuple of str
        Terms (n, q) of the logits.
    checks : tuple of str
        Columns (n, 1) that are 0 in valid rows and nan in others.
    """

    blocks: tuple[Block, ...] = ()
    logits: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()

    def __add__(self, other: Parts) -> Parts:
        """Return both."""
        return Parts(self.blocks + other.blocks, self.logits + other.logits, self.checks + other.checks)


def checked_text(text: str) -> str:
    """Return a text that UTF-8 can write.

    Parameters
    ----------
    text : str
        Name, level or label.

    Returns
    -------
    str
        The same text.

    Raises
    ------
    ExportError
        If it has half of a pair of UTF-16.

    Examples
    --------
    >>> checked_text("naïve")
    'naïve'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ExportError(
            f"{text!r} has half of a pair of UTF-16, which the UTF-8 text of an ONNX model cannot hold. Correct the "
            "text in the training data."
        ) from None
    return text
