"""The Open Inference Protocol, version 2, over REST: metadata of models, and inference on tensors.

A model of a table has one input a column: n cells of shape [n] or [n, 1]; columns of lists have the shape [n, k]. A
model of arrays has one input of shape [n, d] of any name, or one a feature. Text is BYTES, written as strings of JSON.
A missing value is null in the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from softreg.serve.requests.request_errors import InvalidContent, RequestError, shown
from softreg.serve.served_models.json_columns import JsonColumn
from softreg.serve.served_models.served_model import Answer, Columns, ServedModel
from softreg.tables.columns.table_errors import quote, quote_list

INTEGERS = {f"{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}
FLOATS: dict[str, type[np.floating[Any]]] = {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
DATATYPES = ("BOOL", *INTEGERS, *FLOATS, "BYTES")
OUTPUTS = ("probabilities", "label")
ARRAY_INPUT = "X"
"""Name of the input of a model of arrays in its metadata."""
LIMIT_DIMENSIONS = 2


def model_metadata(name: str, model: ServedModel) -> dict[str, Any]:
    """Return the metadata of a model.

    Parameters
    ----------
    name : str
        Name of the model.
    model : ServedModel
        The model.

    Returns
    -------
    dict
        Value for JSON.
    """
    if model.kind == "array":
        inputs = [{"name": ARRAY_INPUT, "datatype": "FP64", "shape": [-1, len(model.columns)]}]
    else:
        inputs = [
            {"name": column.name, "datatype": _datatype(column), "shape": _shape(column)}
            for column in model.columns.values()
        ]
    classes = {"classes": json.dumps(list(model.labels.values), ensure_ascii=False)}
    outputs = [
        {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(model.labels.texts)], "parameters": classes},
        {"name": "label", "datatype": model.labels.datatype, "shape": [-1]},
    ]
    return {"name": name, "versions": [model.version], "platform": "softreg", "inputs": inputs, "outputs": outputs}


def _datatype(column: JsonColumn) -> str:
    """Return the data type of a column in the metadata; others that hold its values are accepted as well."""
    types = column.items or column.types
    return "FP64" if float in types else "BOOL" if bool in types else "BYTES"


def _shape(column: JsonColumn) -> list[int]:
    return [-1, column.length or -1] if list in column.types else [-1]


def read_inputs(model: ServedModel, body: Any, max_rows: int) -> tuple[Columns, int]:
    """Check the body of an inference request.

    Parameters
    ----------
    model : ServedModel
        The model.
    body : object
        Parsed JSON.
    max_rows : int
        Most rows.

    Returns
    -------
    columns : mapping of str to list
        Cells of each column.
    n : int
        Number of rows.

    Raises
    ------
    InvalidContent
        If the body is invalid.
    RequestError
        With status 413, if it has too many rows.
    """
    if not isinstance(body, dict):
        raise InvalidContent(f'The body is {shown(body)}; expected an object with "inputs".')
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise InvalidContent(f'"inputs" is {shown(inputs)}; expected a list of tensors, one a column.')
    if "id" in body and not isinstance(body["id"], str):
        raise InvalidContent(f'"id" is {shown(body["id"])}; expected text.')
    tensors: dict[str, list[Any]] = {}
    n = -1
    for place, tensor in enumerate(inputs):
        name, shape, data = _tensor(tensor, place)
        if n not in (-1, shape[0]):
            raise InvalidContent(f"The input {quote(name)} has {shape[0]:,} rows, but the inputs before have {n:,}.")
        n = shape[0]
        if n > max_rows:
            raise RequestError(413, f"The request has {n:,} rows, more than {max_rows:,}; send several requests.")
        if name in tensors:
            raise InvalidContent(f"Two inputs have the name {quote(name)}.")
        if model.kind == "array" and name not in model.columns:
            return _matrix_columns(model, inputs, shape, data), n
        tensors[name] = _cells(model, name, shape, data)
    missing = [name for name in model.columns if name not in tensors]
    if missing:
        raise InvalidContent(f"The inputs lack {quote_list(missing)}; where a value is not known, write null.")
    unknown = [name for name in tensors if name not in model.columns and name not in model.ignored]
    if unknown:
        raise InvalidContent(f"There is an input {quote(unknown[0])}, which the model does not know; leave it out.")
    return tensors, n


def _tensor(tensor: Any, place: int) -> tuple[str, list[int], list[Any]]:
    """Return name, shape and flat data of an input."""
    if not isinstance(tensor, dict):
        raise InvalidContent(
            f"Input {place + 1:,} is {shown(tensor)}; expected an object with name, shape, datatype and data."
        )
    for key in ("name", "shape", "datatype", "data"):
        if key not in tensor:
            raise InvalidContent(f"Input {place + 1:,} has no {quote(key)}; expected name, shape, datatype and data.")
    name, shape, kind = tensor["name"], tensor["shape"], tensor["datatype"]
    if not isinstance(name, str):
        raise InvalidContent(f"The name of input {place + 1:,} is {shown(name)}; expected text.")
    if kind not in DATATYPES:
        raise InvalidContent(
            f"The datatype of {quote(name)} is {shown(kind)}; supported are {quote_list(DATATYPES, 12)}."
        )
    sizes = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not sizes or not 1 <= len(shape) <= LIMIT_DIMENSIONS:
        raise InvalidContent(
            f"The shape of {quote(name)} is {json.dumps(shape)[:80]}; expected [rows] or [rows, length]."
        )
    data = _flat(tensor["data"], shape, name)
    return name, shape, [_element(value, kind, name, place=at) for at, value in enumerate(data, 1)]


def _flat(data: Any, shape: list[int], name: str) -> list[Any]:
    """Return the elements of flat or nested data in the order of rows."""
    if not isinstance(data, list):
        raise InvalidContent(f"The data of {quote(name)} are {shown(data)}; expected a list.")
    count = shape[0] * (shape[1] if len(shape) > 1 else 1)
    if len(shape) > 1 and len(data) == shape[0] and any(isinstance(item, list) for item in data):
        if not all(isinstance(item, list) and len(item) == shape[1] for item in data):
            raise InvalidContent(f"The data of {quote(name)} are nested, but not as its shape {shape}.")
        return [item for part in data for item in part]
    if len(data) != count:
        raise InvalidContent(
            f"The input {quote(name)} has {len(data):,} elements, but its shape {shape} has {count:,}."
        )
    return list(data)


def _element(value: Any, kind: str, name: str, *, place: int) -> Any:
    """Return an element of a tensor in its data type; null stays None."""
    if value is None:
        return None
    if kind == "BOOL" and type(value) is bool:
        return value
    if kind == "BYTES" and type(value) is str:
        return value
    if kind in FLOATS and type(value) in (int, float):
        with np.errstate(over="ignore"):
            try:
                number = float(FLOATS[kind](value))
            except OverflowError:
                number = float("inf")
        if np.isfinite(number):
            return number
    if kind in INTEGERS and type(value) is int:
        sign, bits = INTEGERS[kind]
        low, high = (0, 2**bits) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1))
        if low <= value < high:
            return value
    raise InvalidContent(f"The input {quote(name)} has {shown(value)} as its element {place:,}, which is no {kind}.")


def _cells(model: ServedModel, name: str, shape: list[int], data: list[Any]) -> list[Any]:
    """Return the cells of a column from a tensor; the rows of a matrix are lists where the column has such."""
    column = model.columns.get(name)
    if column is not None and list in column.types:
        k = shape[1] if len(shape) > 1 else 1
        rows = [data[row * k : (row + 1) * k] for row in range(shape[0])]
        return [None if all(item is None for item in row) else [i for i in row if i is not None] for row in rows]
    if len(shape) > 1 and shape[1] != 1:
        raise InvalidContent(f"The shape of {quote(name)} is {shape}; expected one cell a row, [{shape[0]}].")
    if column is not None and float not in column.types and str in column.types:
        data = [str(value).lower() if type(value) is bool and bool not in column.types else value for value in data]
    return data


def _matrix_columns(model: ServedModel, inputs: list[Any], shape: list[int], data: list[Any]) -> Columns:
    """Return the columns of the matrix of a model of arrays."""
    d = len(model.columns)
    if len(inputs) > 1 or len(shape) != LIMIT_DIMENSIONS or shape[1] != d:
        raise InvalidContent(f"A model of arrays needs one input of shape [rows, {d}], or one named as each feature.")
    return {name: data[place::d] for place, name in enumerate(model.columns)}


def requested_outputs(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the outputs that a request asks for, all without a selection.

    Parameters
    ----------
    body : mapping
        Body of the request.

    Returns
    -------
    tuple of str
        Names.

    Raises
    ------
    InvalidContent
        If the selection is invalid.
    """
    given = body.get("outputs")
    if given is None or given == []:
        return OUTPUTS
    if not isinstance(given, list):
        raise InvalidContent(f'"outputs" is {shown(given)}; expected a list of objects with a name.')
    names = []
    for item in given:
        name = item.get("name") if isinstance(item, dict) else None
        if name not in OUTPUTS:
            raise InvalidContent(
                f'"outputs" has {shown(item if name is None else name)}; the outputs are {quote_list(OUTPUTS)}.'
            )
        names.append(str(name))
    return tuple(dict.fromkeys(names))


def inference_response(
    name: str, model: ServedModel, body: Mapping[str, Any], answer: Answer, *, outputs: tuple[str, ...]
) -> dict[str, Any]:
    """Return the response to an inference request.

    Parameters
    ----------
    name : str
        Name of the model.
    model : ServedModel
        The model.
    body : mapping
        Body of the request.
    answer : Answer
        What the model returned.
    outputs : tuple of str
        Outputs asked for.

    Returns
    -------
    dict
        Value for JSON.
    """
    P = answer.probabilities
    n, q = P.shape
    made: dict[str, dict[str, Any]] = {}
    made["probabilities"] = {
        "name": "probabilities",
        "datatype": "FP64",
        "shape": [n, q],
        "parameters": {"classes": json.dumps(list(model.labels.values), ensure_ascii=False)},
        "data": P.ravel().tolist(),
    }
    labels = [model.labels.values[code] for code in P.argmax(axis=1).tolist()]
    made["label"] = {"name": "label", "datatype": model.labels.datatype, "shape": [n], "data": labels}
    if model.labels.datatype == "BYTES":
        made["label"]["data"] = [label if isinstance(label, str) else json.dumps(label) for label in labels]
        made["label"]["parameters"] = {"content_type": "str"}
    identity = {"id": body["id"]} if "id" in body else {}
    return {
        "model_name": name,
        "model_version": model.version,
        **identity,
        "outputs": [made[output] for output in outputs],
    }
