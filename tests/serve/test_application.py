"""Routes, limits, token and metrics of the application."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from softreg.export import build_program
from softreg.export.page.page import page_html

ROW = {"age": 31.5, "loan": "no", 'job "x"': "cook"}
OPEN = ["/v2/health/live", "/v2/health/ready"]
PATHS = ["/", "/models/bank", "/openapi.json", "/metrics", "/v2", "/v2/models/bank", "/v2/models/bank/ready"]


@pytest.mark.parametrize("path", OPEN + PATHS)
def test_paths_answer_get_and_head_only(small: Any, open_client: Any, path: str) -> None:
    call = open_client(bank=small[0])
    answer = call("GET", path)
    assert answer.status_code == 200
    head = call("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    for method in ("POST", "DELETE", "PUT", "PATCH", "OPTIONS"):
        refused = call(method, path)
        assert refused.status_code == 405
        assert refused.headers["allow"] == "GET, HEAD"
        assert "error" in refused.json()


@pytest.mark.parametrize("path", ["/predict", "/models/bank/predict", "/v2/models/bank/infer"])
def test_predictions_answer_post_only(small: Any, open_client: Any, path: str) -> None:
    refused = open_client(bank=small[0])("GET", path)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert "error" in refused.json()


@pytest.mark.parametrize(
    "path",
    ["/x", "/predict/", "/models", "/models/none/predict", "/v2/models", "/v2/models/bank/x", "/é", "/%00"],
)
def test_an_unknown_path_is_json(small: Any, open_client: Any, path: str) -> None:
    for method in ("GET", "POST"):
        answer = open_client(bank=small[0])(method, path)
        assert answer.status_code == 404
        assert list(answer.json()) == ["error"]


def test_several_models_have_a_path_each(small: Any, array_model: Any, open_client: Any) -> None:
    call = open_client(**{"a b": small[0], "é": array_model[0]})
    assert call.rows([ROW], "/models/a b/predict").status_code == 200
    assert call.rows([[1, 2, 3]], "/models/é/predict").status_code == 200
    assert "'a b', 'é'" in call.rows([ROW]).json()["error"]
    assert call.rows([ROW]).status_code == 404
    assert "'a b', 'é'" in call("GET", "/v2/models/none").json()["error"]


def test_everything_but_health_needs_the_token(small: Any, open_client: Any) -> None:
    call = open_client(token=b"sesame", bank=small[0])
    for path in OPEN:
        assert call("GET", path).status_code == 200
    wrong = ["", "Bearer", "Bearer ", "Bearer sesam", "Bearer sesamee", "Basic sesame", "sesame", "Bearer s\xe9same"]
    for path in [*PATHS, "/predict", "/nothing"]:
        for given in wrong:
            answer = call("GET", path, headers={"authorization": given.encode("latin-1")})
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        assert call("GET", path).status_code == 401
    for given in ("Bearer sesame", "bearer  sesame "):
        assert call("GET", "/v2", headers={"authorization": given}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-type": "Application/JSON"}, 200),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "application/json", "content-encoding": "identity"}, 200),
    ],
)
def test_other_content_types_are_refused(small: Any, open_client: Any, headers: Any, status: int) -> None:
    answer = open_client(bank=small[0])("POST", "/predict", content=b'{"rows": []}', headers=headers)
    assert answer.status_code == status
    assert status == 200 or list(answer.json()) == ["error"]


def test_large_bodies_and_many_rows_are_refused(small: Any, open_client: Any) -> None:
    call = open_client(settings={"max_bytes": 2000, "max_rows": 5}, bank=small[0])
    assert call.rows([ROW] * 5).status_code == 200
    refused = call.rows([ROW] * 6)
    assert (refused.status_code, refused.json()["error"]) == (
        413, "The request has 6 rows, more than 5; send several requests."
    )  # fmt: skip
    inputs = [{"name": "age", "shape": [6], "datatype": "FP64", "data": [1] * 6}]
    assert call("POST", "/v2/models/bank/infer", json={"inputs": inputs}).status_code == 413
    refused = call.body(b" " * 2001)
    assert refused.status_code == 413
    assert refused.headers["connection"] == "close"
    assert "2,000 bytes" in refused.json()["error"]


def test_a_body_that_does_not_arrive_is_408(small: Any, open_client: Any) -> None:
    application = open_client(settings={"seconds": 0.1}, bank=small[0]).application
    sent: list[dict[str, Any]] = []

    async def talk() -> None:
        async def receive() -> dict[str, Any]:
            if sent or receive.calls:  # type: ignore[attr-defined]
                await asyncio.sleep(60)
            receive.calls = 1  # type: ignore[attr-defined]
            return {"type": "http.request", "body": b'{"rows"', "more_body": True}

        receive.calls = 0  # type: ignore[attr-defined]

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "headers": [(b"content-type", b"application/json")],
        }
        await application(scope, receive, send)

    asyncio.run(talk())
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_request_that_takes_too_long_is_503(small: Any, open_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    call = open_client(settings={"seconds": 0.2}, bank=small[0])
    slot = call.application.registry.get("bank")
    release = threading.Event()
    answer = slot.model.answer

    def slow(*arguments: Any, **options: Any) -> Any:
        release.wait(30)
        return answer(*arguments, **options)

    monkeypatch.setattr(slot.model, "answer", slow)
    refused = call.rows([ROW] * 1000)
    release.set()
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert "0.2 seconds" in refused.json()["error"]
    monkeypatch.undo()
    assert call.rows([ROW] * 1000).status_code == 200


def test_a_defect_is_500_and_its_values_are_not_logged(
    small: Any, open_client: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    call = open_client(bank=small[0])

    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("secret of a row")

    monkeypatch.setattr(call.application.registry.get("bank").model, "answer", broken)
    with caplog.at_level(logging.ERROR, "softreg.serve"):
        answer = call.rows([ROW])
    assert answer.status_code == 500
    assert "KeyError in" in caplog.text
    assert "broken" in caplog.text
    assert "secret" not in caplog.text + answer.text


SAMPLE = re.compile(r'[a-z_]+(\{([a-z]+="(\\\\|\\"|\\n|[^"\\\n])*",?)*\})? [0-9.e+-]+')


def test_metrics_count_requests_rows_and_latency(small: Any, open_client: Any) -> None:
    name = 'b"a\\n'
    call = open_client(**{name: small[0]})
    model_label = f'model="{name}"'.replace("\\", "\\\\").replace('b"a', 'b\\"a')
    for rows in ([ROW], [ROW] * 3, [{}]):
        call.rows(rows)
    call("GET", "/nothing")
    answer = call("GET", "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert answer.text.endswith("\n")
    assert all(line.startswith("#") or SAMPLE.fullmatch(line) for line in lines)
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert samples[f'softreg_requests_total{{{model_label},status="200"}}'] == "2"
    assert samples[f'softreg_requests_total{{{model_label},status="422"}}'] == "1"
    assert samples['softreg_requests_total{model="",status="404"}'] == "1"
    assert samples[f"softreg_rows_total{{{model_label}}}"] == "4"
    assert samples[f'softreg_request_seconds_bucket{{{model_label},le="+Inf"}}'] == "3"
    assert samples[f"softreg_request_seconds_count{{{model_label}}}"] == "3"
    assert float(samples[f"softreg_request_seconds_sum{{{model_label}}}"]) > 0
    assert samples[f"softreg_model_failing{{{model_label}}}"] == "0"
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(set(names)) == len(names)


def test_the_page_is_that_of_the_export_and_the_list_escapes_names(
    open_client: Any, small: Any, array_model: Any
) -> None:
    for model in (small[0], array_model[0]):
        page = open_client(bank=model)("GET", "/")
        assert page.headers["content-type"].startswith("text/html")
        assert page.text == page_html(build_program(model))
    index = open_client(**{"a<b": small[0], "c d": small[0]})("GET", "/")
    assert index.text.count("<!doctype html>") == 1
    assert '<a href="/models/c%20d">c d</a>' in index.text
    assert "a&lt;b" in index.text


def test_a_request_keeps_the_model_with_which_it_began(
    small: Any, array_model: Any, open_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = open_client(bank=small[0])
    registry = call.application.registry
    before = registry.get("bank").model
    answer = before.answer

    def replaced_meanwhile(*arguments: Any, **options: Any) -> Any:
        array_model[0].save(tmp_path / "bank.softreg")
        registry.check()
        return answer(*arguments, **options)

    monkeypatch.setattr(before, "answer", replaced_meanwhile)
    assert call.rows([ROW]).json()["classes"] == ["no", "yes"]
    assert registry.get("bank").model is not before
    assert call.rows([[1, 2, 3]]).json()["classes"] == array_model[0].classes_.tolist()


def test_a_file_that_does_not_change_is_not_read(small: Any, open_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = open_client(bank=small[0]).application.registry

    def fail(path: str) -> None:
        raise AssertionError(path)

    monkeypatch.setattr("softreg.serve.served_models.registry.load_served_model", fail)
    registry.check()
    assert registry.changes == 0


def test_a_damaged_file_is_read_once_and_replaced_by_the_next_good_one(
    small: Any, open_client: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = open_client(bank=small[0]).application.registry
    slot = registry.get("bank")
    before, path = slot.model, tmp_path / "bank.softreg"
    path.write_bytes(b"no model")
    for _ in range(3):
        registry.check()
    assert (slot.failures, slot.failing, slot.model) == (1, True, before)
    assert caplog.text.count("was not loaded") == 1
    small[0].save(path)
    registry.check()
    assert (slot.failures, slot.failing, slot.reloads) == (1, False, 1)
    assert slot.model.version == before.version
