"""The OpenAPI document describes what the service does: requests made from it find no difference."""

from __future__ import annotations

from typing import Any


def test_every_path_of_the_document_answers(mixed: Any, array_model: Any, open_client: Any) -> None:
    call = open_client(**{"a b": mixed[0], "é": array_model[0]})
    document = call("GET", "/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert "/predict" not in document["paths"]
    assert "/models/a%20b/predict" in document["paths"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answer = call(method.upper(), path)
            assert answer.status_code == (200 if method == "get" else 415), path
            assert str(answer.status_code) in operation["responses"]
            assert operation["summary"]


def test_a_row_has_the_types_of_its_columns(mixed: Any, open_client: Any) -> None:
    document = open_client(bank=mixed[0])("GET", "/openapi.json").json()
    row = document["components"]["schemas"]["Model1Rows"]["properties"]["rows"]["items"]
    cells = row["properties"]
    assert cells["age"]["type"] == ["number", "null"]
    assert cells["zip"]["type"] == ["string", "number", "null"]
    assert cells["zip"]["examples"] == ["10115", "20095", "80331"]
    assert "enum" not in cells['job "x"']
    assert cells["vector"]["maxItems"] == 3
    assert set(row["required"]) == set(cells) - {"id", "buys"}
    assert row["additionalProperties"] is False


def test_the_document_follows_the_model(small: Any, mixed: Any, open_client: Any, tmp_path: Any) -> None:
    call = open_client(bank=small[0])
    before = call("GET", "/openapi.json").json()
    mixed[0].save(tmp_path / "bank.softreg")
    call.application.registry.check()
    after = call("GET", "/openapi.json").json()
    assert before != after
    assert "level" in after["components"]["schemas"]["Model1Rows"]["properties"]
