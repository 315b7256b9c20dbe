"""The Open Inference Protocol, version 2: metadata, tensors of columns, selection of outputs, and errors."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

KINDS = {"age": "FP64", "in come": "FP64", "member": "BOOL", "loan": "BYTES", "vector": "FP64"}


def tensors(columns: dict[str, list[Any]], nested: bool = False) -> list[dict[str, Any]]:
    """Return columns as inputs: text as BYTES, lists padded with null to a matrix."""
    out = []
    for name, values in columns.items():
        if any(isinstance(value, list) for value in values):
            width = max(len(value) for value in values)
            rows = [value + [None] * (width - len(value)) for value in values]
            data: list[Any] = rows if nested else [item for row in rows for item in row]
            shape = [len(values), width]
        else:
            data, shape = ([[value] for value in values], [len(values), 1]) if nested else (values, [len(values)])
        out.append({"name": name, "shape": shape, "datatype": KINDS.get(name, "BYTES"), "data": data})
    return out


@pytest.mark.parametrize("nested", [False, True])
def test_tensors_of_columns_have_the_probabilities_of_the_table(mixed: Any, open_client: Any, nested: bool) -> None:
    model, table = mixed
    table = table.slice(0, 30).drop_columns(["buys", "id"])
    call = open_client(bank=model)
    body = {"id": "r 1", "inputs": tensors(table.to_pydict(), nested)}
    answer = call("POST", "/v2/models/bank/infer", json=body)
    assert answer.status_code == 200, answer.text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model.predict_proba(table)
    probabilities, label = answer.json()["outputs"]
    assert probabilities["data"] == expected.ravel().tolist()
    assert (probabilities["datatype"], probabilities["shape"]) == ("FP64", [30, 2])
    assert json.loads(probabilities["parameters"]["classes"]) == ["no", "yes"]
    assert (label["datatype"], label["shape"]) == ("BYTES", [30])
    assert label["data"] == model.predict(table).tolist()
    assert answer.json()["id"] == "r 1"
    assert answer.json()["model_name"] == "bank"


def test_metadata_and_versions(mixed: Any, open_client: Any) -> None:
    call = open_client(bank=mixed[0])
    metadata = call("GET", "/v2/models/bank").json()
    assert set(metadata) == {"name", "versions", "platform", "inputs", "outputs"}
    inputs = {tensor["name"]: (tensor["datatype"], tensor["shape"]) for tensor in metadata["inputs"]}
    assert inputs["age"] == ("FP64", [-1])
    assert inputs["vector"] == ("FP64", [-1, 3])
    assert inputs["note"] == ("BYTES", [-1])
    assert inputs["member"] == ("BOOL", [-1])
    version = metadata["versions"][0]
    assert call("GET", f"/v2/models/bank/versions/{version}").json() == metadata
    assert call("GET", f"/v2/models/bank/versions/{version}/ready").json() == {"name": "bank", "ready": True}
    assert call("GET", "/v2/models/bank/versions/0").status_code == 404
    assert call("GET", "/v2/models/none/ready").status_code == 404
    assert call("GET", "/v2").json()["name"] == "softreg"
    assert call("GET", "/v2/health/live").json()["live"] is True
    assert call("GET", "/v2/health/ready").status_code == 200


def small_inputs(n: int = 2) -> list[dict[str, Any]]:
    return [
        {"name": "age", "shape": [n], "datatype": "FP64", "data": [31.5] * n},
        {"name": "loan", "shape": [n], "datatype": "BYTES", "data": ["no"] * n},
        {"name": 'job "x"', "shape": [n], "datatype": "BYTES", "data": [None] * n},
    ]


def test_outputs_are_selected(small: Any, open_client: Any) -> None:
    call = open_client(bank=small[0])
    body = {"inputs": small_inputs(), "outputs": [{"name": "label", "parameters": {"binary_data": False}}]}
    answer = call("POST", "/v2/models/bank/infer", json=body).json()
    assert [output["name"] for output in answer["outputs"]] == ["label"]
    assert "id" not in answer


def test_numbers_have_the_precision_of_their_data_type(small: Any, open_client: Any) -> None:
    call = open_client(bank=small[0])

    def probability(kind: str, value: Any) -> Any:
        inputs = [{"name": "age", "shape": [1], "datatype": kind, "data": [value]}, *small_inputs(1)[1:]]
        return call("POST", "/v2/models/bank/infer", json={"inputs": inputs}).json()["outputs"][0]["data"]

    exact = float(np.float32(31.3))
    assert probability("FP32", 31.3) == probability("FP64", exact) != probability("FP64", 31.3)
    assert probability("INT64", 31) == probability("FP64", 31.0) == probability("UINT8", 31)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"shape": [3]}, ["'age'", "2 elements", "3"]),
        ({"shape": [1], "data": [1.0]}, ["1 rows", "have 2"]),
        ({"shape": [2, 2], "data": [[1, 2], [3, 4]]}, ["'age'", "one cell a row"]),
        ({"shape": [2, 2], "data": [[1, 2], [3]]}, ["nested"]),
        ({"shape": [-1]}, ["shape"]),
        ({"shape": [True, 2]}, ["shape"]),
        ({"shape": []}, ["shape"]),
        ({"shape": [2, 1, 1]}, ["shape"]),
        ({"shape": [2**70]}, ["2 elements"]),
        ({"datatype": "FP65"}, ["'FP65'", "'FP64'"]),
        ({"datatype": ["FP64"]}, ["a list"]),
        ({"datatype": "BYTES"}, ["31.5", "BYTES"]),
        ({"datatype": "INT64"}, ["31.5", "INT64"]),
        ({"datatype": "INT8", "data": [200, 1]}, ["200", "INT8"]),
        ({"datatype": "UINT8", "data": [-1, 1]}, ["-1", "UINT8"]),
        ({"datatype": "FP32", "data": [1e300, 1]}, ["1e+300", "FP32"]),
        ({"datatype": "BYTES", "data": ["a", "b"]}, ["'age'", "'a'", "a number"]),
        ({"data": None}, ["null"]),
        ({"data": [{}, 1]}, ["an object"]),
        ({"name": "agee"}, ["lack 'age'"]),
        ({"name": "loan"}, ["Two inputs", "'loan'"]),
        ({"name": 5}, ["5"]),
    ],
)
def test_an_invalid_tensor_is_told(small: Any, open_client: Any, change: dict[str, Any], parts: list[str]) -> None:
    inputs = small_inputs()
    body = {"inputs": [*inputs[1:], {**inputs[0], **change}]}
    answer = open_client(bank=small[0])("POST", "/v2/models/bank/infer", json=body)
    assert answer.status_code == 422, answer.text
    for part in parts:
        assert part in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({}, '"inputs"'),
        ({"inputs": []}, '"inputs"'),
        ({"inputs": {}}, "an object"),
        ({"inputs": [1]}, "Input 1 is 1"),
        ({"inputs": [{}]}, "no 'name'"),
        ([], "a list"),
        ({"inputs": small_inputs(), "id": 5}, '"id" is 5'),
        ({"inputs": small_inputs(), "outputs": [{"name": "proba"}]}, "'proba'"),
        ({"inputs": small_inputs(), "outputs": 1}, '"outputs" is 1'),
        ({"inputs": [*small_inputs(), {**small_inputs()[0], "name": "new"}]}, "'new'"),
        ({"inputs": small_inputs()[:2]}, "lack"),
    ],
)
def test_an_invalid_request_is_told(small: Any, open_client: Any, body: Any, part: str) -> None:
    answer = open_client(bank=small[0])("POST", "/v2/models/bank/infer", json=body)
    assert answer.status_code == 422
    assert part in answer.json()["error"]
