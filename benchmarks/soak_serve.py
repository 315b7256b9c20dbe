"""The service under bad clients and reloads: its memory, file descriptors and threads must not grow.

    python benchmarks/soak_serve.py [--minutes 10] [--workers 1]

Clients send valid requests, truncated bodies, one byte at a time, bodies that are too large, wrong tokens, other
content types, text that is no HTTP, and disconnect before the answer. Every two seconds the model file is replaced,
every fifth time by a damaged one. Every ten seconds a line says what the process holds. The script fails if the memory
of the last third is more than 10% and 20 MB above that of the second, or if descriptors or threads remain when the
clients have left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

TOKEN = "soak-token"
ROW = {"x": 0.5, "job": "cook", "note": "late order"}
ALLOWED_GROWTH = 20.0
"""Megabytes above which a growth of memory is one."""


def save_models(folder: Path) -> list[Path]:
    """Fit and save two models of the same columns."""
    import numpy as np
    import pyarrow as pa

    from softreg import TableClassifier

    paths = []
    for seed in range(2):
        draw = np.random.default_rng(seed)
        n = 2000
        x = draw.normal(size=n)
        jobs = draw.choice(["cook", "maid", "none"], n)
        notes = [" ".join(draw.choice(["late", "order", "thanks", "broken"], 8)) for _ in range(n)]
        y = np.where(draw.random(n) < 1 / (1 + np.exp(-x)), "yes", "no")
        table = pa.table({"x": x, "job": jobs, "note": notes, "buys": y})
        path = folder / f"model{seed}.softreg"
        TableClassifier("buys", strength=1e-3, text="note").fit(table).save(path)
        paths.append(path)
    return paths


def head(length: int, token: str = TOKEN, kind: str = "application/json") -> bytes:
    lines = ["POST /predict HTTP/1.1", "host: x", f"content-type: {kind}", f"content-length: {length}"]
    return "\r\n".join([*lines, f"authorization: Bearer {token}", "", ""]).encode()


def one_request(port: int, draw: random.Random) -> str:
    """Be one client, and return the status that it saw."""
    rows = [
        {**ROW, "x": draw.gauss(0, 1), "job": f"job {draw.randrange(10**6)}"}
        for _ in range(draw.choice([1, 1, 1, 300]))
    ]
    body = json.dumps({"rows": rows, "contributions": draw.random() < 0.3}).encode()
    kind = draw.choice(["valid"] * 6 + ["cut", "slow", "large", "token", "type", "garbage", "leave", "nan"])
    with socket.create_connection(("127.0.0.1", port), timeout=40) as connection:
        match kind:
            case "cut":
                connection.sendall(head(len(body)) + body[: len(body) // 2])
                return "cut"
            case "slow":
                for byte in (head(len(body)) + body)[:40]:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.05)
                return "slow"
            case "large":
                connection.sendall(head(3 << 20) + b" " * (3 << 20))
            case "token":
                connection.sendall(head(len(body), "wrong") + body)
            case "type":
                connection.sendall(head(len(body), kind="text/plain") + body)
            case "garbage":
                connection.sendall(os.urandom(200) + b"\r\n\r\n")
            case "leave":
                connection.sendall(head(len(body)) + body)
                return "leave"
            case "nan":
                connection.sendall(head(14) + b'{"rows":[NaN]}')
            case _:
                connection.sendall(head(len(body)) + body)
        answer = connection.recv(65536)
        return f"{kind} {answer[9:12].decode('ascii', 'replace')}"


def client(port: int, stop: threading.Event, seen: Counter[str], seed: int) -> None:
    draw = random.Random(seed)
    while not stop.is_set():
        try:
            seen[one_request(port, draw)] += 1
        except OSError as error:
            seen[type(error).__name__] += 1


def replace_model(path: Path, models: list[Path], stop: threading.Event) -> None:
    """Replace the model file again and again; every fifth one is damaged."""
    turn = 0
    while not stop.wait(2):
        turn += 1
        draft = path.with_suffix(".new")
        shutil.copy(models[turn % 2], draft)
        if turn % 5 == 0:
            draft.write_bytes(draft.read_bytes()[:-50])
        draft.replace(path)


def held(process: int) -> tuple[float, int, int]:
    """Return resident megabytes, descriptors and threads of a process and its children."""
    import psutil

    family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    return (
        sum(one.memory_info().rss for one in family) / 2**20,
        sum(one.num_fds() for one in family),
        sum(one.num_threads() for one in family),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = save_models(folder)
        path = folder / "served.softreg"
        shutil.copy(models[0], path)
        line = [
            sys.executable,
            "-m",
            "softreg",
            "serve",
            str(path),
            "--port",
            "8751",
            "--max-mb",
            "1",
            "--timeout",
            "5",
        ]
        line += ["--workers", str(options.workers)]
        log = (folder / "log").open("w")
        service = subprocess.Popen(line, env={**os.environ, "SOFTREG_TOKEN": TOKEN}, stderr=log)
        try:
            grown = soak(service, path, models, options)
        finally:
            service.terminate()
            code = service.wait(60)
        text = (folder / "log").read_text()
        print(f"exit code {code}; {text.count('loaded in')} reloads, {text.count('not loaded')} damaged files")
        if TOKEN in text or "cook" in text or "Traceback" in text:
            sys.exit("the log holds a token, a value or a traceback")
        if code or grown:
            sys.exit(grown or "the exit code is not 0")


def soak(service: subprocess.Popen[bytes], path: Path, models: list[Path], options: argparse.Namespace) -> str:
    """Run the clients, and return what grew."""
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 8751)) == 0:
                break
        time.sleep(0.1)
    time.sleep(2)
    stop, seen = threading.Event(), Counter[str]()
    before = held(service.pid)
    threads = [
        threading.Thread(target=client, args=(8751, stop, seen, seed), daemon=True) for seed in range(options.clients)
    ]
    threads.append(threading.Thread(target=replace_model, args=(path, models, stop), daemon=True))
    for thread in threads:
        thread.start()
    start, memory = time.monotonic(), []
    while time.monotonic() - start < 60 * options.minutes:
        time.sleep(10)
        megabytes, files, count = held(service.pid)
        memory.append(megabytes)
        print(
            f"{time.monotonic() - start:6.0f} s {megabytes:8.1f} MB {files:5} descriptors {count:4} threads", flush=True
        )
    stop.set()
    for thread in threads:
        thread.join(60)
    time.sleep(25)  # the time of heads, bodies and idle connections
    after = held(service.pid)
    print(dict(sorted(seen.items())))
    print(f"before {before[0]:.1f} MB, {before[1:]}; after {after[0]:.1f} MB, {after[1:]}")
    third = len(memory) // 3
    second, last = statistics.median(memory[third : 2 * third]), statistics.median(memory[2 * third :])
    if last - second > max(ALLOWED_GROWTH, 0.1 * second):
        return f"memory grew from {second:.1f} to {last:.1f} MB"
    if after[1] > before[1] + 2 or after[2] > before[2] + 12:  # threads of pools are made at their first use
        return f"descriptors and threads grew from {before[1:]} to {after[1:]}"
    return ""


if __name__ == "__main__":
    main()
