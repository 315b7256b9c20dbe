"""A program as an ES module of JavaScript without dependencies, for browsers and Node."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import numpy as np

from softreg.export.probability_maps import Step
from softreg.export.program import (
    CodeTerm,
    Covariance,
    GridSide,
    GridTerm,
    Input,
    KnotSide,
    LevelTerm,
    Program,
    TagsTerm,
    Term,
    TermGroup,
    TextTerm,
    VectorTerm,
)

MAX_COVARIANCE = 200_000
"""Most numbers of a covariance that is printed, about 4 MB; with more, the module has no intervals."""


def javascript_module(program: Program) -> str:
    """Return a program as an ES module, with its types in JSDoc.

    The module exports `predict`, `logits`, `contributions`, `intervals`, `classes`, `inputs`, `interactions`, `model`
    and `InputError`.

    Parameters
    ----------
    program : Program
        A program.

    Returns
    -------
    str
        The module; its text is ASCII.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> from softreg.export import build_program
    >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])
    >>> "export function predict(row)" in javascript_module(build_program(model))
    True
    """
    data = javascript_literal(program_data(program))
    runtime = files(__package__).joinpath("runtime.js").read_text(encoding="ascii")
    target = f" of {javascript_literal(program.target)}" if program.target else ""
    head = f"// Class probabilities{target}, from a model of softreg {program.version}. Import predict from this file."
    return f"{head}\n\nconst PROGRAM = {data};\n\n{runtime}"


def program_data(program: Program) -> dict[str, Any]:
    """Return a program as strict JSON, with the names that `runtime.js` reads; infinite and unknown numbers are null.

    Parameters
    ----------
    program : Program
        A program.

    Returns
    -------
    dict
        Strict JSON.
    """
    return {
        "target": program.target,
        "version": program.version,
        "classes": list(program.classes),
        "features": list(program.feature_names),
        "inputs": [_input(read) for read in program.inputs],
        "terms": [_term(term) for term in program.terms],
        "weights": program.weights.ravel().tolist(),
        "bias": program.bias.tolist(),
        "steps": [_step(step) for step in program.steps],
        "covariance": _covariance(program.covariance),
        "reliability": _reliability(program),
    }


def _input(read: Input) -> dict[str, Any]:
    """Return an input as strict JSON."""
    record = {_camel(name): value for name, value in asdict(read).items()}
    return _finite(record | {"levelNumbers": _pairs(read.level_numbers)})


def _term(term: Term) -> dict[str, Any]:
    """Return a term as strict JSON."""
    record: dict[str, Any] = {_camel(name): value for name, value in asdict(term).items()}
    record["kind"] = type(term).__name__.removesuffix("Term").lower()
    match term:
        case LevelTerm():
            record["places"] = _pairs(record.pop("words"))
        case CodeTerm():
            record |= {"kind": "level", "places": _pairs(record.pop("numbers"))}
        case TagsTerm():
            record["places"] = _pairs(record.pop("tags"))
        case TextTerm():
            record |= {"words": _group(term.words), "runs": _group(term.runs)}
        case GridTerm():
            record |= {"input": term.input, "left": _side(term.left), "right": _side(term.right)}
        case VectorTerm():
            if not any(term.means):
                record["means"] = None
    return _finite(record)


def _side(side: GridSide) -> dict[str, Any]:
    """Return a side of a grid as strict JSON."""
    if isinstance(side, KnotSide):
        value = _term(side.value)
        return {
            "kind": "knots", "input": side.input, "nodes": side.nodes, "knots": list(side.knots), "value": value,
            "skipsMissing": side.skips_missing,
        }  # fmt: skip
    return {**_term(side.levels), "nodes": side.nodes}


def _group(group: TermGroup | None) -> dict[str, Any] | None:
    """Return a group of terms of a text as strict JSON."""
    return None if group is None else {"places": _pairs(group.places), "idf": list(group.idf), "start": group.start}


def _pairs(places: Mapping[Any, Any]) -> list[list[Any]]:
    """Return a mapping as a list of pairs, as keys of an object would include names such as __proto__."""
    return [[key, place] for key, place in places.items()]


def _step(step: Step) -> dict[str, Any]:
    """Return a step as strict JSON."""
    name = type(step).__name__
    return {"kind": name[0].lower() + name[1:], **asdict(step)}


def _covariance(covariance: Covariance | None) -> dict[str, Any] | None:
    """Return a covariance as strict JSON, with the lower triangle of its factor by rows; None if it is too large."""
    if covariance is None:
        return None
    factor = covariance.factor
    triangle = factor[np.tril_indices(len(factor))]
    if len(triangle) > MAX_COVARIANCE:
        return None
    return {"shift": covariance.shift.tolist(), "scale": covariance.scale.tolist(), "factor": triangle.tolist()}


def _reliability(program: Program) -> dict[str, Any] | None:
    """Return the bins of each class as strict JSON; None where steps follow, as the bins are of the softmax."""
    if program.reliability is None or program.steps:
        return None
    bins = [[asdict(one) for one in of_class] for of_class in program.reliability.bins]
    return {"rows": program.reliability.rows, "bins": bins}


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with None for numbers that are not finite."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in record.items()
    }


def _camel(name: str) -> str:
    """Return a name of Python as one of JavaScript: missing_words as missingWords."""
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)


def javascript_literal(value: Any) -> str:
    """Return strict JSON as a literal in ASCII on one line, which cannot end a comment line or a script element."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
