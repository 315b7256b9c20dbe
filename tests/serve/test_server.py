"""The service as a process: address, signals, reload, token, workers, slow clients, and its log."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from softreg.cli import main

from .service_process import ServiceProcess, save

ROW = {"age": 31.5, "loan": "no", 'job "x"': "cook"}


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_request_in_flight_is_finished_after_sigterm(small: Any, tmp_path: Path) -> None:
    body = json.dumps({"rows": [ROW] * 2000}).encode()
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    with ServiceProcess(save(small[0], tmp_path, "bank")) as service:
        at = ("127.0.0.1", service.port)
        with socket.create_connection(at) as connection:
            connection.settimeout(30)
            connection.sendall(head % len(body) + body[:5000])
            assert service.client.get("/v2").status_code == 200  # the service has read the head before
            service.process.terminate()

            def is_closed() -> bool:
                with socket.socket() as another:
                    return another.connect_ex(at) != 0

            wait_until(is_closed)
            connection.sendall(body[5000:])
            answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        service.process.wait(30)  # a second signal would meet the interpreter while it ends
        code, log = service.stop()
    assert code == 0
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]) == 2000
    assert log.rstrip().endswith("Stopped.")
    assert "Traceback" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_code_0(small: Any, tmp_path: Path, number: int) -> None:
    with ServiceProcess(save(small[0], tmp_path, "bank")) as service:
        assert service.address.startswith("http://127.0.0.1:")
        assert service.client.post("/predict", json={"rows": [ROW]}).status_code == 200  # an open connection remains
        assert service.stop(number)[0] == 0


def test_a_changed_file_is_loaded_and_a_damaged_one_is_not(small: Any, mixed: Any, tmp_path: Path) -> None:
    path = save(small[0], tmp_path, "bank")
    other = tmp_path / "other"
    other.mkdir()
    with ServiceProcess(path) as service:
        first = service.client.get("/v2/models/bank").json()["versions"]
        path.write_bytes(path.read_bytes()[:-100])
        service.wait_for("'bank': the changed file was not loaded; the model before answers: 'bank.softreg' is damaged")
        assert 'softreg_model_failing{model="bank"} 1' in service.client.get("/metrics").text
        assert service.client.post("/predict", json={"rows": [ROW]}).status_code == 200
        assert service.client.get("/v2/models/bank").json()["versions"] == first
        shutil.move(save(mixed[0], other, "new"), path)
        service.wait_for("'bank': version [0-9a-f]{12} loaded")
        assert service.client.get("/v2/models/bank").json()["versions"] != first
        assert service.client.post("/predict", json={"rows": [ROW]}).status_code == 422  # columns of the other model
        metrics = service.client.get("/metrics").text
        assert 'softreg_model_failing{model="bank"} 0' in metrics
        assert 'softreg_model_reloads_total{model="bank"} 1' in metrics
        path.unlink()
        service.wait_for("No such file")
        assert service.client.get("/v2/models/bank/ready").status_code == 200


def test_the_token_is_never_in_the_log(small: Any, tmp_path: Path) -> None:
    path = save(small[0], tmp_path, "bank")
    file = tmp_path / "token"
    file.write_text("sesame-from-file\n")
    variable = {"SOFTREG_TOKEN": "sesame-from-variable"}
    for arguments, token in ((["--token-file", file], "sesame-from-file"), ([], "sesame-from-variable")):
        with ServiceProcess(path, *arguments, environment=variable) as service:
            right = {"authorization": f"Bearer {token}"}
            wrong = {"authorization": "Bearer sesame-wrong"}
            assert service.client.post("/predict", json={"rows": [ROW]}, headers=right).status_code == 200
            assert service.client.post("/predict", json={"rows": [ROW]}, headers=wrong).status_code == 401
            secret = {**ROW, "loan": "a secret of a row"}
            assert service.client.post("/predict", json={"rows": [secret]}, headers=right).status_code == 422
            assert service.client.get("/v2/health/ready").status_code == 200
            log = service.stop()[1]
        assert "sesame" not in log
        assert "secret" not in log


def test_several_workers_share_the_port(small: Any, tmp_path: Path) -> None:
    path = save(small[0], tmp_path, "bank")
    with ServiceProcess(path, "--workers", 2, environment={"SOFTREG_TOKEN": "sesame"}) as service:
        headers = {"authorization": "Bearer sesame", "connection": "close"}
        processes: set[str] = set()

        def all_answered() -> bool:
            answer = service.client.get("/metrics", headers=headers)
            assert answer.status_code == 200
            processes.update(re.findall(r'process="(\d+)"', answer.text))
            return len(processes) == 2

        assert service.client.get("/v2").status_code == 401
        wait_until(all_answered, 60)
        code, log = service.stop()
    assert code == 0
    assert "Traceback" not in log


@pytest.mark.parametrize("seconds", [0.1, 0.5])
def test_ctrl_c_ends_workers_that_have_just_begun(small: Any, tmp_path: Path, seconds: float) -> None:
    with ServiceProcess(save(small[0], tmp_path, "bank"), "--workers", 2, own_group=True) as service:
        time.sleep(seconds)  # they import
        os.killpg(service.process.pid, signal.SIGINT)
        code, log = service.stop(signal.SIGCONT)
    assert code == 0
    assert "Traceback" not in log


@pytest.mark.slow
def test_connections_that_send_nothing_useful_are_closed(small: Any, tmp_path: Path) -> None:
    with ServiceProcess(save(small[0], tmp_path, "bank"), "--timeout", 1) as service:
        at = ("127.0.0.1", service.port)
        silent, slow_head = socket.create_connection(at), socket.create_connection(at)
        slow_head.sendall(b"GET /v2 HTTP/1.1\r\nhost:")
        slow_body = socket.create_connection(at)
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
        slow_body.sendall(head + b'{"rows"')
        garbage = socket.create_connection(at)
        garbage.sendall(b"\x16\x03\x01 no http\r\n\r\n")
        for connection in (silent, slow_head, slow_body, garbage):
            connection.settimeout(30)
        answer = b"".join(iter(lambda: garbage.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b'{"error":"The request is no valid HTTP."}')
        answer = b"".join(iter(lambda: slow_body.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert silent.recv(10) == b""
        assert slow_head.recv(10) == b""
        assert service.client.get("/v2").status_code == 200
        for connection in (silent, slow_head, slow_body, garbage):
            connection.close()


def test_a_body_that_is_too_large_is_answered(small: Any, tmp_path: Path) -> None:
    with ServiceProcess(save(small[0], tmp_path, "bank"), "--max-mb", 0.1) as service:
        headers = {"content-type": "application/json"}
        answer = service.client.post("/predict", content=b" " * (8 << 20), headers=headers)
        assert answer.status_code == 413
        chunks = (b" " * 65536 for _ in range(64))  # without content-length
        assert service.client.post("/predict", content=chunks, headers=headers).status_code == 413
        assert service.client.get("/v2").status_code == 200


def test_what_cannot_be_served_is_one_sentence(small: Any, tmp_path: Path) -> None:
    path = save(small[0], tmp_path, "bank")
    damaged, folder, empty = tmp_path / "damaged.softreg", tmp_path / "folder", tmp_path / "empty"
    damaged.write_bytes(path.read_bytes()[:-7])
    folder.mkdir()
    empty.write_text("\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cases = [
            ((path, "--port", taken.getsockname()[1]), "already in use; choose another one with --host and --port"),
            ((path, "--host", "no.such.host.invalid", "--port", 0), "cannot be used"),
            ((path, f"{folder}/../bank.softreg"), "would both be named 'bank'"),
            ((f"={path}",), "cannot be the name of a model"),
            ((f"a/b={path}",), "NAME="),
            ((tmp_path / "none.softreg",), "does not exist"),
            ((folder,), "is a folder"),
            ((damaged,), "'damaged.softreg' is damaged"),
            ((path, "--token-file", tmp_path / "none"), "No such file"),
            ((path, "--token-file", empty), "is empty"),
            ((path, "--port", 65536), "65536"),
            ((path, "--workers", 0), "0"),
        ]
        for arguments, part in cases:
            done = CliRunner().invoke(main, ["serve", *map(str, arguments)])
            assert done.exit_code == 2, (arguments, done.stderr)
            assert part in done.stderr
            assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("paths", ["tensors", "others"])
def test_requests_made_from_the_document_find_no_difference(
    mixed: Any, array_model: Any, tmp_path: Path, paths: str
) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    files = [save(mixed[0], tmp_path, "table"), save(array_model[0], tmp_path, "array")]
    # The names of tensors are those of the columns, and their elements as many as their shape says: a schema of JSON
    # cannot say so, and requests that break it are answered with 422.
    chosen = ["--include-path-regex", "infer$", "--exclude-checks", "positive_data_acceptance"]
    chosen = chosen if paths == "tensors" else ["--exclude-path-regex", "infer$"]
    with ServiceProcess(*files, environment={"SOFTREG_TOKEN": "sesame"}) as service:
        (tmp_path / "openapi.json").write_bytes(
            service.client.get("/openapi.json", headers={"authorization": "Bearer sesame"}).content
        )
        line = [
            sys.executable, "-m", "schemathesis.cli", "run", str(tmp_path / "openapi.json"), "--url", service.address,
            "--header", "Authorization: Bearer sesame", "--phases", "coverage,fuzzing", "--max-examples", "20",
            "--seed", "1", *chosen,
        ]  # fmt: skip
        done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300)
        log = service.stop()[1]
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) generated", done.stdout)[0]) > 100
    assert "defect" not in log
