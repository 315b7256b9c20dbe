"""Requests of one row per second and their latency: `softreg serve` beside FastAPI with a scikit-learn pipeline.

    python benchmarks/serve.py [--seconds 5] [--data bank-full.csv]

Both services run on uvicorn, one process each, one after the other on the same machine, with the same columns and rows.
FastAPI's endpoint does what tutorials do: a pydantic model of the row, a pandas frame of one row, and the probabilities
of a pipeline of `ColumnTransformer` (standardized numbers, one-hot categories) and `LogisticRegression`. The client is
a process of its own with one connection that is kept open, and sends one request after the other. `CPU ms` is the
processor time of the service for one request, which other programs on the machine change little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PEER = "FastAPI + scikit-learn"
FASTAPI = """
import json, sys, joblib, pandas as pd, uvicorn
from fastapi import FastAPI
from pydantic import create_model

model = joblib.load(sys.argv[1])
kinds = json.loads(sys.argv[2])
Row = create_model("Row", **{name: (float if kind == "number" else str, ...) for name, kind in kinds.items()})
app = FastAPI()

@app.post("/predict")
ASYNC def predict(row: Row):
    frame = pd.DataFrame([row.model_dump()])
    P = model.predict_proba(frame)[0]
    return {"probabilities": dict(zip(model.classes_.tolist(), P.tolist())), "label": model.classes_[P.argmax()]}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="critical", access_log=False)
"""

CLIENT = """
import asyncio, json, sys, time
host, port, seconds, connections = "127.0.0.1", int(sys.argv[1]), float(sys.argv[3]), int(sys.argv[4])
bodies = [body.encode() for body in json.load(open(sys.argv[2]))]
lines = ["POST /predict HTTP/1.1", "host: x", "content-type: application/json", "content-length: "]
heads = ["\\r\\n".join(lines).encode() + b"%d\\r\\n\\r\\n" % len(body) + body for body in bodies]
times = []

async def one(end, first):
    reader, writer = await asyncio.open_connection(host, port)
    k = first
    while time.perf_counter() < end:
        start = time.perf_counter()
        writer.write(heads[k % len(heads)])
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        assert b" 200 " in head.split(b"\\r\\n")[0], head
        size = int(next(l for l in head.lower().split(b"\\r\\n") if l.startswith(b"content-length")).split(b":")[1])
        await reader.readexactly(size)
        times.append(time.perf_counter() - start)
        k += 1
    writer.close()

async def main():
    await asyncio.gather(*(one(time.perf_counter() + 1, 7 * c) for c in range(connections)))  # warm
    warm = len(times)
    times.clear()
    start = time.perf_counter()
    await asyncio.gather(*(one(start + seconds, 7 * c) for c in range(connections)))
    took = time.perf_counter() - start
    times.sort()
    n = len(times)
    print(json.dumps({"rps": n / took, "p50": times[n // 2], "p99": times[int(n * 0.99)], "all": n + warm}))

asyncio.run(main())
"""


def data(path: Path | None) -> tuple[dict[str, list], list, dict[str, str]]:
    """Return columns, labels and the kind of each column: the bank's customers, or made up."""
    import numpy as np

    if path is not None and path.exists():
        import pandas as pd

        frame = pd.read_csv(path, sep=None, engine="python")
        target = frame.columns[-1]
        y = frame.pop(target).tolist()
        kinds = {name: "number" if kind.kind in "if" else "text" for name, kind in frame.dtypes.items()}
        return {name: frame[name].tolist() for name in frame}, y, kinds
    draw = np.random.default_rng(0)
    numbers = {f"x{k}": draw.normal(size=4000).tolist() for k in range(7)}
    texts = {f"c{k}": [f"level {j}" for j in draw.integers(0, 5, 4000)] for k in range(9)}
    y = ["yes" if x > 0 else "no" for x in np.array(numbers["x0"]) + draw.normal(size=4000)]
    return numbers | texts, y, dict.fromkeys(numbers, "number") | dict.fromkeys(texts, "text")


def models(folder: Path, columns: dict[str, list], y: list, kinds: dict[str, str]) -> None:
    """Fit and save both models."""
    import joblib
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from softreg import TableClassifier

    frame = pd.DataFrame(columns)
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    others = [name for name in kinds if name not in numbers]
    encode = ColumnTransformer(
        [("numbers", StandardScaler(), numbers), ("categories", OneHotEncoder(handle_unknown="ignore"), others)]
    )
    joblib.dump(make_pipeline(encode, LogisticRegression(max_iter=1000)).fit(frame, y), folder / "pipeline.joblib")
    TableClassifier(strength=1e-4).fit(frame, y).save(folder / "model.softreg")


def measure(command: list[str], port: int, bodies: Path, seconds: float, connections: int) -> dict[str, float]:
    """Start a service, wait for it, and return what the client measured."""
    import socket

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as service:
        try:
            for _ in range(300):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            import psutil

            started = psutil.Process(service.pid).cpu_times()
            client = [sys.executable, "-c", CLIENT, str(port), str(bodies), str(seconds), str(connections)]
            done = subprocess.run(client, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            ended = psutil.Process(service.pid).cpu_times()
            found = json.loads(done.stdout)
            return {**found, "cpu": (ended.user + ended.system - started.user - started.system) / found["all"]}
        finally:
            service.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=[1])
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    columns, y, kinds = data(options.data)
    n = len(y)
    rows = [{name: columns[name][k] for name in columns} for k in range(0, n, max(1, n // 500))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models(folder, columns, y, kinds)
        flat, nested = folder / "flat.json", folder / "rows.json"
        flat.write_text(json.dumps([json.dumps(row) for row in rows]), "utf-8")
        nested.write_text(json.dumps([json.dumps({"rows": [row]}) for row in rows]), "utf-8")
        peer = [sys.executable, "-c"]
        arguments = [str(folder / "pipeline.joblib"), json.dumps(kinds)]
        serve = [sys.executable, "-m", "softreg", "serve", str(folder / "model.softreg"), "--port", "8731"]
        print(f"{'':34} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8}")
        for connections in options.connections:
            results = {}
            for what, command, port, bodies in (
                ("softreg serve", serve, 8731, nested),
                (f"{PEER}, def", [*peer, FASTAPI.replace("ASYNC ", ""), *arguments, "8732"], 8732, flat),
                (f"{PEER}, async def", [*peer, FASTAPI.replace("ASYNC", "async"), *arguments, "8733"], 8733, flat),
            ):
                found = results[what] = measure(command, port, bodies, options.seconds, connections)
                p50, p99, cpu = (1e3 * found[name] for name in ("p50", "p99", "cpu"))
                print(f"{what:34} {found['rps']:10,.0f} {p50:8.2f} {p99:8.2f} {cpu:8.2f}", flush=True)
            own, *others = (found["rps"] for found in results.values())
            print(
                f"{connections} connections: {own / max(others):.1f} times the requests of the faster FastAPI service"
            )


if __name__ == "__main__":
    main()
