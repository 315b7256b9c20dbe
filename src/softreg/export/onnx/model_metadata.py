"""Metadata of an ONNX model: producer, classes, and how each input is to be passed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from softreg.export.onnx.tensor_inputs import description, tensor_names
from softreg.export.program import Program

if TYPE_CHECKING:
    from onnx import ModelProto

PRODUCER = "softreg"
"""Name of the producer."""


def add_metadata(model: ModelProto, program: Program) -> None:
    """Write the metadata of a program into its model.

    Parameters
    ----------
    model : ModelProto
        Model, which is changed.
    program : Program
        The program.
    """
    from onnx import helper

    model.producer_name, model.producer_version = PRODUCER, program.version
    target = f" of {program.target!r}" if program.target else ""
    model.doc_string = (
        f"Softmax regression: the probability{target} for each class, in double precision. Each input has one row for "
        "each row of data. A row with an invalid value (an infinite number, a word that is no boolean) has nan as its "
        "probabilities."
    )
    inputs = [
        {"name": name, "column": read.name, "kind": read.kind.value, "description": description(read)}
        for read, name in zip(program.inputs, tensor_names(program), strict=True)
    ]
    properties = {
        "classes": json.dumps(program.classes, ensure_ascii=False),
        "inputs": json.dumps(inputs, ensure_ascii=False),
        "softreg_version": program.version,
        "target": program.target,
    }
    helper.set_model_props(model, properties)
