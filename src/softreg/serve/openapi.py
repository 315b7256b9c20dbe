"""The OpenAPI 3.1 document of the service, made from the columns of its models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from softreg.serve.inference_protocol import ARRAY_INPUT, DATATYPES, OUTPUTS
from softreg.serve.served_models.json_columns import BOUNDED_NUMBER
from softreg.serve.served_models.registry import ModelSlot
from softreg.serve.served_models.served_model import ServedModel
from softreg.serve.settings import ServeSettings
from softreg.version import __version__

Json = dict[str, Any]
ERRORS = {
    400: "The request is no valid HTTP.",
    401: "The token is missing or wrong.",
    404: "There is no such path or model.",
    405: "The path has another method.",
    408: "The body was not received in time.",
    413: "The body has too many bytes or rows.",
    415: "The content type is not application/json, or the body is compressed.",
    422: "The content is invalid; the sentence names column, row and value.",
    500: "A defect of the service.",
    503: "The service is busy, or the answer took too long.",
}
"""Every error, with its meaning."""
POSTED = (408, 413, 415, 422, 500, 503)
"""Errors of requests with a body."""
LEVEL: Json = {"type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": 1, "examples": [0.95]}


def openapi_document(slots: Sequence[ModelSlot], settings: ServeSettings, has_token: bool) -> Json:
    """Return the document of the service.

    Parameters
    ----------
    slots : sequence of ModelSlot
        Models.
    settings : ServeSettings
        Limits.
    has_token : bool
        Whether requests need a token.

    Returns
    -------
    dict
        OpenAPI 3.1.
    """
    paths: Json = _common_paths()
    schemas: Json = {"Error": _object({"error": {"type": "string"}})}
    for place, slot in enumerate(slots):
        key = f"Model{place + 1}"
        schemas |= _model_schemas(key, slot.model, settings)
        paths |= _model_paths(slot, key)
        if len(slots) == 1:
            paths["/predict"] = {"post": _predict(slot.name, key)}
    if has_token:
        for path, methods in paths.items():
            for operation in methods.values():
                if not path.startswith("/v2/health/"):
                    operation["responses"]["401"] = _error(401)
                    operation["security"] = [{"token": []}]
    components: Json = {"schemas": schemas}
    if has_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "softreg",
            "version": __version__,
            "description": "Class probabilities of softmax regression: rows as JSON, or tensors of the Open Inference "
            f"Protocol. A body has at most {settings.max_bytes:,} bytes and {settings.max_rows:,} rows.",
        },
        "paths": paths,
        "components": components,
    }


def _object(properties: Json, required: Sequence[str] | None = None, **others: Any) -> Json:
    """Return the schema of an object without further properties; all are required by default."""
    names = list(properties) if required is None else list(required)
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False, **others}


def _error(status: int) -> Json:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": ERRORS[status], "content": content}


def _get(summary: str, schema: Json | None, content_type: str = "application/json", *, missing: bool = False) -> Json:
    """Return an operation without a body."""
    content = {content_type: {"schema": schema or {"type": "string"}}}
    responses: Json = {"200": {"description": "Success.", "content": content}}
    errors = (404, 500) if missing else (500,)
    return {"summary": summary, "responses": responses | {str(status): _error(status) for status in errors}}


def _post(summary: str, request: Json, answer: Json, **others: Any) -> Json:
    """Return an operation with a body of JSON."""
    responses: Json = {"200": {"description": "Success.", "content": {"application/json": {"schema": answer}}}}
    responses |= {str(status): _error(status) for status in POSTED}
    body = {"required": True, "content": {"application/json": {"schema": request}}}
    return {"summary": summary, "requestBody": body, "responses": responses, **others}


def _common_paths() -> Json:
    """Return the paths of no model."""
    live = _object({"live": {"type": "boolean"}})
    ready = _object({"live": {"type": "boolean"}, "ready": {"type": "boolean"}})
    texts = {"type": "array", "items": {"type": "string"}}
    server = _object({"name": {"type": "string"}, "version": {"type": "string"}, "extensions": texts})
    return {
        "/": {"get": _get("The page of the models.", None, "text/html")},
        "/openapi.json": {"get": _get("This document.", {"type": "object"})},
        "/metrics": {"get": _get("Metrics of this process for Prometheus.", None, "text/plain")},
        "/v2": {"get": _get("Metadata of the server.", server)},
        "/v2/health/live": {"get": _get("Whether the server runs.", live)},
        "/v2/health/ready": {"get": _get("Whether all models are loaded.", ready)},
    }


def _predict(name: str, key: str) -> Json:
    reference = "#/components/schemas/" + key
    return _post(f"Probabilities of rows by {name}.", {"$ref": f"{reference}Rows"}, {"$ref": f"{reference}Predictions"})


def path_segment(name: str) -> str:
    """Return the name of a model as a part of an address.

    Parameters
    ----------
    name : str
        Name.

    Returns
    -------
    str
        Name with other characters than letters, digits and `-._~` as percent signs and bytes.

    Examples
    --------
    >>> path_segment("a b-1")
    'a%20b-1'
    """
    return "".join(c if c.isascii() and (c.isalnum() or c in "-._~") else _percent(c) for c in name)


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode())


def _model_paths(slot: ModelSlot, key: str) -> Json:
    """Return the paths of a model, with and without its version."""
    name, reference = slot.name, "#/components/schemas/" + key
    segment = path_segment(name)
    infer = _post(
        f"Inference on tensors by {name}.",
        {"$ref": f"{reference}Inputs"},
        {"$ref": f"{reference}Outputs"},
        description="Open Inference Protocol, version 2. " + (
            "There is one input a column, with the same number of rows in each."
            if slot.model.kind == "table"
            else "There is one input of shape [rows, features], or one a feature."
        ),
    )  # fmt: skip
    ready = _object({"name": {"const": name}, "ready": {"type": "boolean"}})
    tensor = _object(
        {
            "name": {"type": "string"},
            "datatype": {"enum": list(DATATYPES)},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "parameters": {"type": "object"},
        },
        ["name", "datatype", "shape"],
    )
    tensors = {"type": "array", "items": tensor}
    texts = {"type": "array", "items": {"type": "string"}}
    metadata = _object(
        {
            "name": {"const": name},
            "versions": texts,
            "platform": {"type": "string"},
            "inputs": tensors,
            "outputs": tensors,
        }
    )
    paths: Json = {
        f"/models/{segment}/predict": {"post": _predict(name, key)},
        f"/models/{segment}": {"get": _get(f"The page of {name}.", None, "text/html")},
    }
    base = f"/v2/models/{segment}"
    for prefix, missing in ((base, False), (f"{base}/versions/{slot.model.version}", True)):
        versioned = {**infer, "responses": infer["responses"] | ({"404": _error(404)} if missing else {})}
        paths[prefix] = {"get": _get(f"Metadata of {name}.", metadata, missing=missing)}
        paths[f"{prefix}/ready"] = {"get": _get(f"Whether {name} is loaded.", ready, missing=missing)}
        paths[f"{prefix}/infer"] = {"post": versioned}
    return paths


def _model_schemas(key: str, model: ServedModel, settings: ServeSettings) -> Json:
    """Return the schemas of the requests and responses of a model."""
    label: Json = {"enum": list(model.labels.values)}
    probability: Json = {"type": "number", "minimum": 0, "maximum": 1}
    texts = list(model.labels.texts)
    prediction: Json = {"probabilities": _object(dict.fromkeys(texts, probability)), "label": label}
    optional: Json = {"set": {"type": "array", "items": label, "minItems": 1}}
    request: Json = {
        "rows": {"type": "array", "items": _row(model), "description": f"At most {settings.max_rows:,} rows."},
        "prediction_set": {
            **LEVEL,
            "description": "Level of sets of the most probable labels.",
        },
        "threshold": _threshold(texts),
    }
    if model.kind == "table":
        sentences = {"type": "object", "additionalProperties": {"type": "string"}}
        optional["warnings"] = {**sentences, "description": "Cells unlike those of training, by column."}
    if model.has_intervals:
        request["level"] = {**LEVEL, "description": "Level of intervals of the probabilities."}
        pair = {"type": "array", "items": probability, "minItems": 2, "maxItems": 2}
        optional["interval"] = _object(dict.fromkeys(texts, pair))
    if model.has_contributions:
        request["contributions"] = {"type": "boolean", "description": "Contributions of the columns to the log-odds."}
        number = {"type": "number"}
        optional["contributions"] = _object(
            {
                "predicted": label,
                "against": label,
                "log_odds": number,
                "reference": number,
                "columns": {"type": "object", "additionalProperties": number},
            }
        )
    predictions = {"type": "array", "items": _object(prediction | optional, list(prediction))}
    return {
        f"{key}Rows": _object(request, ["rows"]),
        f"{key}Predictions": _object({"classes": {"type": "array", "items": label}, "predictions": predictions}),
        f"{key}Inputs": _inputs(model),
        f"{key}Outputs": _outputs(),
    }


def _row(model: ServedModel) -> Json:
    """Return the schema of a row."""
    cells = {name: column.schema for name, column in model.columns.items()}
    unused: Json = {name: {"description": "not used"} for name in sorted(model.ignored)}
    row = _object({**cells, **unused}, list(cells))
    if model.kind == "table":
        return row
    d = len(cells)
    numbers: Json = {"type": "array", "items": BOUNDED_NUMBER, "minItems": d, "maxItems": d}
    return numbers if not model.named else row


def _threshold(texts: list[str]) -> Json:
    """Return the schema of a threshold."""
    share: Json = {"type": "number", "minimum": 0, "maximum": 1}
    by_label = {"type": "object", "properties": dict.fromkeys(texts, share), "additionalProperties": False}
    alternatives: list[Json] = [{**by_label, "minProperties": 1, "maxProperties": 1}, {"type": "null"}]
    if len(texts) == 2:
        alternatives.insert(0, share)
    return {"anyOf": alternatives, "description": "Predict a label where its probability is at least this."}


def _inputs(model: ServedModel) -> Json:
    """Return the schema of an inference request."""
    named = [ARRAY_INPUT] if model.kind == "array" else list(model.columns)
    scalar: Json = {"type": ["number", "string", "boolean", "null"]}
    nested: Json = {"type": "array", "items": scalar}
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "examples": named},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 2},
            "datatype": {"enum": list(DATATYPES)},
            "parameters": {"type": "object"},
            "data": {"type": "array", "items": {"anyOf": [scalar, nested]}},
        },
        "required": ["name", "shape", "datatype", "data"],
    }
    output = {"type": "object", "properties": {"name": {"enum": list(OUTPUTS)}}, "required": ["name"]}
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": tensor, "minItems": 1},
            "outputs": {"type": ["array", "null"], "items": output},
        },
        "required": ["inputs"],
    }


def _outputs() -> Json:
    """Return the schema of an inference response."""
    tensor = _object(
        {
            "name": {"enum": list(OUTPUTS)},
            "datatype": {"enum": list(DATATYPES)},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "parameters": {"type": "object"},
            "data": {"type": "array"},
        },
        ["name", "datatype", "shape", "data"],
    )
    outputs = {"type": "array", "items": tensor}
    text = {"type": "string"}
    properties: Json = {"model_name": text, "model_version": text, "id": text, "outputs": outputs}
    return _object(properties, ["model_name", "model_version", "outputs"])
