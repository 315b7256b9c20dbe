"""Tables: held-out quality and seconds of what `softreg train --terms linear` does, and the speed of `softreg predict`.

    python benchmarks/tables.py [newsgroups] [sms] [bank] [predict]

Each line has what was reached beside its target. Real data lie beside the project, or where SOFTREG_DATA says;
what is missing is left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from softreg.probability import Classes, accuracy, log_loss
from softreg.tables import TableClassifier, labels, open_table, read_table, split_rows

DATA = Path(os.environ.get("SOFTREG_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SEEDS = (0, 1, 2)
TRAINING = 15_000  # of newsgroups, the rows before are for training by convention
ROWS, COLUMNS, CLASSES = 2_000_000, 50, 5  # of what is predicted


def judged(model: TableClassifier, table: pa.Table, test: np.ndarray, target: str) -> tuple[float, float]:
    """Log loss in nats and accuracy of the rows held out."""
    P = model.predict_proba(table.take(pa.array(test)))
    codes = Classes.of(model.model_.classes_).encode(labels(table, target)[test])
    return float(log_loss(P, codes)), float(accuracy(P, codes))


def newsgroups() -> None:
    start = time.perf_counter()
    table = read_table(DATA / "newsgroups.parquet")
    read = time.perf_counter() - start
    model = TableClassifier("newsgroup", text="text", drop="id", strength="auto", terms="linear")
    model.fit(table, rows=np.arange(TRAINING))
    seconds = time.perf_counter() - start
    loss, share = judged(model, table, np.arange(TRAINING, table.num_rows), "newsgroup")
    print(f"newsgroups   log loss {loss:.4f} (aim 0.20)   accuracy {share:.4f} (aim 0.935)   "
          f"{seconds:.1f} s from file to model (aim 15), {read:.1f} of them reading; "
          f"strength {model.model_.strength:.3g}")  # fmt: skip


def sms() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sms.tsv"
        path.write_bytes(b"label\ttext\n" + (DATA / "sms-spam.tsv").read_bytes())
        several("sms-spam", read_table(path), "label", 0.042, 5)


def bank() -> None:
    several("bank", read_table(DATA / "bank-full.csv"), "y", 0.231, None)


def several(name: str, table: pa.Table, target: str, aim: float, most: float | None) -> None:
    """Mean of three seeds, as `softreg train --seed` holds out a stratified fifth."""
    y = labels(table, target)
    losses, seconds = [], []
    for seed in SEEDS:
        train, test = split_rows(Classes(y).encode(y), 0.2, seed)
        start = time.perf_counter()
        model = TableClassifier(target, strength="auto", terms="linear").fit(table, rows=train)
        seconds.append(time.perf_counter() - start)
        losses.append(judged(model, table, test, target)[0])
    each = ", ".join(f"{loss:.4f}" for loss in losses)
    limit = f" (aim {most})" if most else ""
    print(f"{name:<12} log loss {np.mean(losses):.4f} (aim {aim})   seeds {each}   {max(seconds):.1f} s{limit}")


def predict() -> None:
    with tempfile.TemporaryDirectory() as folder:
        numbers, model, small = (Path(folder) / name for name in ("t.parquet", "m.softreg", "small.parquet"))
        rng = np.random.default_rng(0)
        X = rng.normal(size=(COLUMNS, ROWS)).astype(np.float32)
        y = [f"class {k}" for k in X[:CLASSES].argmax(axis=0)]
        table = pa.table({**{f"x{i}": x for i, x in enumerate(X)}, "y": y})
        pq.write_table(table, numbers)
        pq.write_table(table.slice(0, 100), small)
        TableClassifier("y", terms="linear").fit(table.slice(0, 50_000)).save(model)
        start = time.perf_counter()
        for _ in open_table(numbers).batches():
            pass
        scan = time.perf_counter() - start
        seconds = min(run(model, numbers, Path(folder) / "out.parquet") for _ in range(3))
        first = min(run(model, small, Path(folder) / "out.csv") for _ in range(5))
        print(f"predict      {ROWS / seconds / 1e3:,.0f} thousand rows/s of {COLUMNS} numbers, Parquet to Parquet "
              f"(aim 500); {seconds:.1f} s in all, one reading {scan:.1f} s; "
              f"100 rows {first:.2f} s (aim 0.40)")  # fmt: skip


def run(model: Path, data: Path, output: Path) -> float:
    """Seconds of `softreg predict`, the start of Python among them."""
    command = [sys.executable, "-m", "softreg", "predict", str(model), str(data), "--output", str(output)]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


PARTS: dict[str, tuple[Callable[[], None], str | None]] = {
    "newsgroups": (newsgroups, "newsgroups.parquet"),
    "sms": (sms, "sms-spam.tsv"),
    "bank": (bank, "bank-full.csv"),
    "predict": (predict, None),
}


def main() -> None:
    warnings.simplefilter("ignore")
    for name in sys.argv[1:] or PARTS:
        part, needed = PARTS[name]
        if needed and not (DATA / needed).exists():
            print(f"{name:<12} left out: there is no {needed} in the folder of real data (SOFTREG_DATA)")
            continue
        part()


if __name__ == "__main__":
    main()
