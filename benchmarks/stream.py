"""A file larger than the memory that is allowed: seconds and peak memory of a fit, beside one plain scan of the file.

    python benchmarks/stream.py [--rows N] [--format parquet|csv ...] [--no-check] [--rounds N]
    make bench PROBLEM=stream

Rows of 50 standard normal float32 numbers with labels of five classes, drawn from a softmax model. The files (2.3 GB as
Parquet and 5 GB as CSV for ten million rows) are made once, in the cache folder of problems.py. Every measurement is a
process of its own; its memory is the peak of what is resident (VmHWM), less what was after the imports. With the check,
the same rows are fitted in memory, and the probabilities of all rows are compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import problems
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet as pq
from measure import Neighbours

D, Q, STRENGTH, PIECE = 50, 5, 1e-4, 500_000


def pieces(rows: int) -> Iterator[pa.Table]:
    """The rows, PIECE at a time: the same ones whatever the format."""
    W = np.random.default_rng(1).normal(scale=0.3, size=(D, Q)).astype(np.float32)
    for k, start in enumerate(range(0, rows, PIECE)):
        random = np.random.default_rng([2, k])
        X = random.standard_normal((min(PIECE, rows - start), D), dtype=np.float32)
        labels = (X @ W + random.gumbel(size=(len(X), Q)).astype(np.float32)).argmax(axis=1)
        columns = {f"x{j}": np.ascontiguousarray(X[:, j]) for j in range(D)}
        yield pa.table({**columns, "label": pa.array(np.array(list("abcde"))[labels])})


def file_of(rows: int, kind: str) -> Path:
    """The file of so many rows, made where it is not there."""
    path = problems.cache() / f"stream-{rows}.{kind}"
    if path.exists():
        return path
    draft = path.with_name(f"draft-{path.name}")
    writer: Any = None
    for table in pieces(rows):
        make = pq.ParquetWriter if kind == "parquet" else pyarrow.csv.CSVWriter
        writer = writer or make(draft, table.schema)
        writer.write_table(table)
    writer.close()
    draft.rename(path)
    return path


# --- one measurement, in a process of its own ------------------------------------------------------------------------


def resident(name: str) -> float:
    """MB of this process: VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def scan(path: Path) -> dict[str, Any]:
    """One plain scan: every column of every row, and nothing done with it."""
    began = time.perf_counter()
    n = sum(batch.num_rows for batch in pyarrow.dataset.dataset(path, format=path.suffix[1:]).to_batches())
    return {"rows": n, "seconds": time.perf_counter() - began}


def fit(path: Path) -> dict[str, Any]:
    """The fit from the file."""
    import softreg.models.inputs.matrix_files  # noqa: F401  imports count as the interpreter's
    from softreg import SoftmaxRegression, open_rows

    before, seen = resident("VmRSS"), []
    began = time.perf_counter()
    model = SoftmaxRegression(STRENGTH, verbose=seen.append).fit(open_rows(path, target="label"))
    seconds = time.perf_counter() - began
    np.savez(path.with_suffix(".weights.npz"), coef=model.coef_, intercept=model.intercept_)
    return {
        "seconds": seconds,
        "reading": max(p.seconds for p in seen if p.passes == 0),
        "passes": model.solution_.passes,
        "gap": model.solution_.gap,
        "bound": model.solution_.bound,
        "status": model.solution_.status.value,
        "MB": resident("VmHWM") - before,
    }


def check(path: Path) -> dict[str, Any]:
    """The largest difference of a probability to those of the fit in memory, over all rows."""
    from softreg import SoftmaxRegression

    count = int(path.stem.split("-")[1])
    X, y, done = np.empty((count, D), np.float32), np.empty(count, "U1"), 0
    for table in pieces(count):
        for j in range(D):
            X[done : done + len(table), j] = table.column(j)
        y[done : done + len(table)] = table.column("label").to_numpy()
        done += len(table)
    began = time.perf_counter()
    model = SoftmaxRegression(STRENGTH).fit(X, y)
    seconds = time.perf_counter() - began
    kept = np.load(path.with_suffix(".weights.npz"))
    other = SoftmaxRegression().fit(np.eye(Q, D), model.classes_)
    other.coef_, other.intercept_ = kept["coef"], kept["intercept"]
    worst = 0.0
    for a in range(0, count, PIECE):
        part = X[a : a + PIECE]
        worst = max(worst, float(np.abs(model.predict_proba(part) - other.predict_proba(part)).max()))
    return {"seconds in memory": seconds, "gap in memory": model.solution_.gap, "difference": worst}


def measured(what: str, path: Path) -> dict[str, Any]:
    """What a process of its own finds."""
    command = [sys.executable, __file__, "--measure", what, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def told(kind: str, rows: int, rounds: int, checked: bool) -> None:
    path = file_of(rows, kind)
    neighbours = Neighbours()
    scans = [measured("scan", path)["seconds"] for _ in range(rounds)]
    fits = [measured("fit", path) for _ in range(rounds)]
    best, first = min(scans), min(fits, key=lambda f: f["seconds"])
    print(f"{kind}, {rows:,} x {D}, {path.stat().st_size / 1e9:.1f} GB, least of {rounds}")
    print(f"  one plain scan    {best:.1f} s")
    print(f"  whole fit         {first['seconds']:.1f} s, {first['seconds'] / best:.1f} scans; into the cache ", end="")
    print(f"{first['reading']:.1f} s, then {first['passes']} passes")
    print(f"  peak memory       {max(f['MB'] for f in fits):.0f} MB above the interpreter with imports")
    print(f"  certified gap     {first['gap']:.1e} nats ({first['bound']}, {first['status']})")
    if checked:
        against = measured("check", path)
        print(f"  in memory         {against['seconds in memory']:.1f} s; no probability differs by more than ", end="")
        print(f"{against['difference']:.1e}")
    print(f"  others on the machine took {neighbours.share():.0%} of its cores meanwhile", flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--format", nargs="+", default=["parquet", "csv"], choices=["parquet", "csv"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-check", action="store_true")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        what, path = options.measure
        print(json.dumps({"scan": scan, "fit": fit, "check": check}[what](Path(path))))
        return
    for kind in options.format:
        told(kind, options.rows, options.rounds, not options.no_check)


if __name__ == "__main__":
    main()
