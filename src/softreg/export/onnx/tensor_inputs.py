"""Names, types and shapes of the inputs of an ONNX model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from softreg.export.export_errors import ExportError
from softreg.export.onnx.graph_builder import checked_text
from softreg.export.program import Input, InputKind, Program

if TYPE_CHECKING:
    from onnx import ValueInfoProto

OUTPUTS = ("probabilities", "label")
"""Names of the outputs."""
ROWS = "N"
"""Name of the number of rows."""
DESCRIBED_LEVELS = 20
"""Number of levels that the documentation of an input lists."""
TEXT_KINDS = (InputKind.BOOLEAN, InputKind.CATEGORY, InputKind.TAGS)
"""Kinds of inputs that are tensors of text."""


@dataclass(frozen=True)
class InputGroup:
    """Inputs of one or two kinds.

    Attributes
    ----------
    places : tuple of int
        Places of the inputs in the program.
    reads : tuple of Input
        The inputs.
    names : tuple of str
        Their tensors.
    """

    places: tuple[int, ...]
    reads: tuple[Input, ...]
    names: tuple[str, ...]

    def part(self, members: Sequence[int]) -> InputGroup:
        """Return the group of the members with these numbers."""
        return InputGroup(
            tuple(self.places[k] for k in members),
            tuple(self.reads[k] for k in members),
            tuple(self.names[k] for k in members),
        )


def tensor_names(program: Program) -> tuple[str, ...]:
    """Return the name of the tensor of each input.

    It is the name of the column. A column named "probabilities" or "label", as the outputs are, or without a name, has
    "_" appended until no other tensor has the name.

    Parameters
    ----------
    program : Program
        The program.

    Returns
    -------
    tuple of str
        A unique name for each input.

    Examples
    --------
    >>> import numpy as np
    >>> reads = (Input("label", InputKind.NUMBER), Input("a b", InputKind.NUMBER))
    >>> tensor_names(Program(reads, (), np.zeros((0, 2)), np.zeros(2), ("u", "v")))
    ('label_', 'a b')
    """
    columns = {read.name for read in program.inputs}
    names: list[str] = []
    for read in program.inputs:
        name = checked_text(read.name)
        while not name or name in OUTPUTS or name in names or (name != read.name and name in columns):
            name += "_"
        names.append(name)
    return tuple(names)


def input_group(program: Program, *kinds: InputKind) -> InputGroup:
    """Return the inputs of some kinds.

    Parameters
    ----------
    program : Program
        The program.
    *kinds : InputKind
        Kinds.

    Returns
    -------
    InputGroup
        Inputs in order.

    Examples
    --------
    >>> import numpy as np
    >>> program = Program((Input("a", InputKind.DATE),), (), np.zeros((0, 2)), np.zeros(2), ("u", "v"))
    >>> input_group(program, InputKind.DATE).names
    ('a',)
    """
    names = tensor_names(program)
    chosen = tuple(k for k, read in enumerate(program.inputs) if read.kind in kinds)
    return InputGroup(chosen, tuple(program.inputs[k] for k in chosen), tuple(names[k] for k in chosen))


def input_tensors(program: Program) -> list[ValueInfoProto]:
    """Return the declaration of each input: doubles or texts of shape (N, 1), (N, length) or (N, number of tags).

    Parameters
    ----------
    program : Program
        The program.

    Returns
    -------
    list of ValueInfoProto
        Declarations with documentation.

    Raises
    ------
    ExportError
        If the program has no inputs, or one is free text.
    """
    from onnx import TensorProto, helper

    if not program.inputs:
        raise ExportError("The model reads no column; an ONNX model has as many rows as its inputs and needs one.")
    declared = []
    for place, (read, name) in enumerate(zip(program.inputs, tensor_names(program), strict=True)):
        if read.kind is InputKind.TEXT:
            raise ExportError(
                f"Column {read.name!r} is free text, and the standard operators of ONNX have no tokenizer that splits "
                "it into words as training did. Export to another target, or train without the column."
            )
        widths: dict[InputKind, int | str] = {InputKind.VECTOR: read.length, InputKind.TAGS: f"K{place}"}
        element = TensorProto.STRING if read.kind in TEXT_KINDS else TensorProto.DOUBLE
        declared.append(
            helper.make_tensor_value_info(name, element, [ROWS, widths.get(read.kind, 1)], description(read))
        )
    return declared


def description(read: Input) -> str:
    """Return how an input is to be passed, in a few sentences.

    Parameters
    ----------
    read : Input
        Input.

    Returns
    -------
    str
        Type, missing values, levels and note.

    Examples
    --------
    >>> description(Input("age", InputKind.NUMBER))
    'number as double; nan if missing.'
    """
    sentences = {
        InputKind.NUMBER: "number as double; {nan}.",
        InputKind.CODE: "number of a level as double; {nan}.",
        InputKind.BOOLEAN: f"one of the words {_listing((*read.false_words, *read.true_words))}; {{empty}}.",
        InputKind.CATEGORY: "word as text; {empty}.",
        InputKind.DATE: "seconds from 1970-01-01T00:00 to the wall-clock time, as double; {nan}.",
        InputKind.VECTOR: f"vector of {read.length} doubles; {{all_nan}}.",
        InputKind.TAGS: 'tags of each row, padded with ""; none if missing.',
        InputKind.TEXT: "free text.",
    }
    absent = "not missing" if read.required else ""
    text = sentences[read.kind].format(
        nan=absent or "nan if missing", empty=absent or '"" if missing', all_nan=absent or "all nan if missing"
    )
    if read.levels and read.kind is not InputKind.BOOLEAN:
        text += f" Known levels: {_listing(read.levels)}."
    if read.elements:
        text += f" Elements: {_listing(read.elements)}."
    return f"{text} {read.note}" if read.note else text


def _listing(texts: Sequence[str]) -> str:
    """Return the first texts, separated by commas."""
    more = f" and {len(texts) - DESCRIBED_LEVELS:,} more" if len(texts) > DESCRIBED_LEVELS else ""
    return ", ".join(repr(checked_text(text)) for text in texts[:DESCRIBED_LEVELS]) + more
