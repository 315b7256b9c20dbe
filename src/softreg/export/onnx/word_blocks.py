"""Terms of texts: booleans, categories and tags.

Blanks, case and words are compared by regular expressions in the syntax of RE2, which `RegexFullMatch` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np

from softreg.export.export_errors import ExportError
from softreg.export.onnx.graph_builder import Block, GraphBuilder, Parts
from softreg.export.onnx.level_lookup import encode_texts, level_logits
from softreg.export.onnx.number_blocks import missing_blocks
from softreg.export.onnx.tensor_inputs import InputGroup, input_group
from softreg.export.program import BooleanTerm, Input, InputKind, LevelTerm, Program, TagsTerm

BLANKS = r"[\x09-\x0d\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]*"
"""Pattern of Unicode white space, as `str.strip` and Arrow's `utf8_trim_whitespace` define it."""


def word_parts(graph: GraphBuilder, program: Program) -> Parts:
    """Return the parts of all inputs of the kinds BOOLEAN, CATEGORY and TAGS.

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
    parts = Parts()
    for group in _alike(input_group(program, InputKind.BOOLEAN), _boolean_words):
        parts += _booleans(graph, program, group)
    for group in _alike(input_group(program, InputKind.CATEGORY), lambda read: (read.missing_words, read.required)):
        parts += _categories(graph, program, group)
    return parts + _tags(graph, program)


def pattern(words: Sequence[str], *, fold: bool = False) -> str:
    r"""Return the regular expression of one of some words between blanks; "" stands for blanks only.

    Parameters
    ----------
    words : sequence of str
        Words.
    fold : bool, default False
        Whether case is ignored.

    Returns
    -------
    str
        Expression that the whole text has to match.

    Examples
    --------
    >>> pattern(["a.b"]).replace(BLANKS, "_")
    '_(?:\\x{61}\\x{2e}\\x{62})_'
    """
    written = "|".join("".join(f"\\x{{{ord(character):x}}}" for character in word) for word in words)
    return f"{'(?i)' if fold else ''}{BLANKS}(?:{written}){BLANKS}"


def _boolean_words(read: Input) -> Hashable:
    """Return what decides how a boolean is read."""
    return read.false_words, read.true_words, read.missing_words, read.required


def _alike(group: InputGroup, key: Callable[[Input], Hashable]) -> Iterator[InputGroup]:
    """Yield the inputs that are read alike, in groups."""
    members: dict[Hashable, list[int]] = {}
    for k, read in enumerate(group.reads):
        members.setdefault(key(read), []).append(k)
    for some in members.values():
        yield group.part(some)


def _booleans(graph: GraphBuilder, program: Program, group: InputGroup) -> Parts:
    """Return the parts of booleans that have the same words."""
    read, width = group.reads[0], len(group.places)
    text = graph.concat(group.names)
    missing = graph.node("RegexFullMatch", text, pattern=pattern(("", *read.missing_words)))
    true = graph.node("RegexFullMatch", text, pattern=pattern(read.true_words, fold=True))
    false = graph.node("RegexFullMatch", text, pattern=pattern(read.false_words, fold=True))
    valid = graph.any_of([true, false] if read.required else [true, false, missing])
    terms = [term for term in program.terms if isinstance(term, BooleanTerm) and term.input in group.places]
    blocks = missing_blocks(graph, program, group, missing)
    if terms:
        columns = [group.places.index(term.input) for term in terms]
        value = graph.doubles(graph.take(true, columns, width))
        fill = graph.constant([term.fill for term in terms])
        value = graph.node("Where", graph.take(missing, columns, width), fill, value)
        blocks.append(Block(value, program.weights[[term.first for term in terms]]))
    return Parts(tuple(blocks), checks=(graph.not_valid(graph.node("Not", valid)),))


def _categories(graph: GraphBuilder, program: Program, group: InputGroup) -> Parts:
    """Return the parts of categories that have the same spellings of a missing value."""
    read = group.reads[0]
    text = graph.concat(group.names)
    missing = graph.node("RegexFullMatch", text, pattern=pattern(("", *read.missing_words)))
    terms = [term for term in program.terms if isinstance(term, LevelTerm) and term.input in group.places]
    columns = [group.places.index(term.input) for term in terms]
    logits = level_logits(
        graph,
        terms,
        [group.names[k] for k in columns],
        missing=graph.take(missing, columns, len(group.places)) if terms else "",
        weights=program.weights,
    )
    checks = (graph.not_valid(missing),) if read.required else ()
    return Parts(tuple(missing_blocks(graph, program, group, missing)), logits, checks)


def _tags(graph: GraphBuilder, program: Program) -> Parts:
    """Return the parts of tags: a column for each tag, which is 1 once however often the row has the tag."""
    from onnx import numpy_helper

    group = input_group(program, InputKind.TAGS)
    blocks = []
    for term in program.terms:
        if not isinstance(term, TagsTerm):
            continue
        k = group.places.index(term.input)
        if "" in term.tags:
            raise ExportError(
                f"Column {group.reads[k].name!r} has the empty text as a tag, which pads the lists of tags in ONNX. "
                "Train with another word for it."
            )
        width = term.width
        other = term.other if term.other >= 0 else width
        code = encode_texts(graph, group.names[k], {**term.tags, "": width}, other)  # the last column has no weight
        rows = graph.node("Shape", code, start=0, end=1)
        shape = graph.node("Concat", rows, graph.constant(np.array([width + 1])), axis=0)
        zeros = graph.node("ConstantOfShape", shape, value=numpy_helper.from_array(np.zeros(1)))
        ones = graph.node("ConstantOfShape", graph.node("Shape", code), value=numpy_helper.from_array(np.ones(1)))
        hot = graph.node("ScatterElements", zeros, code, ones, axis=1, reduction="max")
        weights = np.zeros((width + 1, len(program.classes)))
        weights[:width] = program.weights[term.first : term.first + width]
        blocks.append(Block(hot, weights))
    return Parts(tuple(blocks))
