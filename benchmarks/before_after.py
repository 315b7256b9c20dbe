"""Two versions of softreg on the same work, in turn: seconds of processor and of clock time, median and least.

    python benchmarks/before_after.py BEFORE/src NOW/src [--rounds 7] [case ...]

Each version runs in a process of its own, with its folder on PYTHONPATH, and takes turns with the other on each case,
so that other programs on the machine disturb both alike. A case is warmed up once and then timed; the processor time
of a case that starts programs is that of the programs. Files that a case needs are made in `SOFTREG_BENCH_CACHE`, or
the system's temporary folder; data sets that are not on this machine are skipped.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import data
import numpy as np
import problems
from sklearn.datasets import load_digits, load_iris

Work = Callable[[], Any]
CACHE = Path(os.environ.get("SOFTREG_BENCH_CACHE", tempfile.gettempdir())) / "softreg-before-after"


def iris() -> Work:
    from softreg import SoftmaxRegression

    X, y = load_iris(return_X_y=True)
    return lambda: SoftmaxRegression().fit(X, y)


def digits() -> Work:
    from softreg import SoftmaxRegression

    X, y = load_digits(return_X_y=True)
    return lambda: SoftmaxRegression().fit(X, y)


def digits_cv() -> Work:
    from softreg import SoftmaxRegressionCV

    X, y = load_digits(return_X_y=True)
    return lambda: SoftmaxRegressionCV().fit(X, y)


def of_problem(name: str) -> Callable[[], Work]:
    """The default fit of one of the problems of problems.py at its strength."""

    def make() -> Work:
        from softreg import SoftmaxRegression

        problem = problems.PROBLEMS[name]
        X, y, _, _ = problems.load(problem)
        return lambda: SoftmaxRegression(problem.strength).fit(X, y)

    return make


def unpenalised() -> Work:
    from softreg import SoftmaxRegression

    X, y, _ = drawn(1500, 40, 5)
    return lambda: SoftmaxRegression(0.0).fit(X, y)


def one_row() -> Work:
    from softreg import SoftmaxRegression

    X, y = load_digits(return_X_y=True)
    model = SoftmaxRegression().fit(X, y)
    return lambda: [model.predict_proba(X[:1]) for _ in range(1000)]


def one_table_row() -> Work:
    from softreg import TableClassifier
    from softreg.tables import open_table

    table = open_table(bank()).read()
    model = TableClassifier("y", strength=1e-4).fit(table.slice(0, 2000))
    row = table.slice(0, 1)
    return lambda: [model.predict_proba(row) for _ in range(50)]


def table_fit() -> Work:
    from softreg import TableClassifier
    from softreg.tables import open_table

    table = open_table(bank()).read()
    return lambda: TableClassifier("y", strength=1e-4).fit(table)


def command(*words: str) -> Callable[[], Work]:
    """A call of the command line; `BANK`, `ROW`, `MODEL` and `REPORT` stand for files."""

    def make() -> Work:
        files = {"BANK": bank(), "ROW": one_line_file(), "REPORT": CACHE / f"report-{os.getpid()}.html"}
        if "MODEL" in words:
            files["MODEL"] = CACHE / f"model-{os.getpid()}.softreg"
        python = [sys.executable, "-m", "softreg"]
        if words[0] == "predict":
            train = [*python, "train", files["BANK"], "--target", "y", "--strength", "1e-4", "--model", files["MODEL"]]
            subprocess.run(train, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        call = [*python, *(files.get(word, word) for word in words)]
        return lambda: subprocess.run(call, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    return make


def read_file(name: str) -> Callable[[], Work]:
    """All batches of a large file that is made here."""

    def make() -> Work:
        from softreg.tables import open_table

        path = large_csv() if name == "csv" else json_lines()
        return lambda: sum(batch.num_rows for batch in open_table(path).batches())

    return make


def bootstrapped() -> Work:
    from softreg import SoftmaxRegression, bootstrap

    X, y = load_iris(return_X_y=True)
    model = SoftmaxRegression(1e-2).fit(X, y)
    return lambda: bootstrap(model, X, y, 200, random_state=0)


def audited_labels() -> Work:
    from softreg import label_audit

    _, y, P = drawn(10_000, 20, 10)
    return lambda: label_audit(P, y)


def information(words: bool) -> Callable[[], Work]:
    """Ten columns, of numbers or of text, on 20,000 rows."""

    def make() -> Work:
        from softreg.probability.feature_information import column_information

        X, y, _ = drawn(20_000, 10, 5)
        columns = [np.round(x * 20).astype(str) if words else x for x in X.T]
        return lambda: [column_information(x, y) for x in columns]

    return make


def audit_of(rows: int, everything: bool) -> Callable[[], Work]:
    """`report.audit` of ten classes; with its intervals and curves, which are computed when asked for, or without."""

    def make() -> Work:
        from softreg.report import audit

        _, y, P = drawn(rows, 20, 10)
        names = [f"class {k}" for k in range(10)]

        def work() -> Any:
            found = audit(P, y, names)
            return (found.calibration, found.ranking) if everything else found

        return work

    return make


def calibration(rows: int, bent: float) -> Callable[[], Work]:
    """The test of calibration of ten classes, of logits that are `bent` times as large as they should be."""

    def make() -> Work:
        from softreg.probability import softmax
        from softreg.probability.calibration import check_calibration

        _, y, P = drawn(rows, 20, 10)
        Q = softmax(bent * np.log(P))
        return lambda: check_calibration(Q, y)

    return make


def drawn(n: int, d: int, q: int) -> tuple[Any, Any, Any]:
    """X, labels drawn from a softmax model of it, and the probabilities of that model."""
    from softreg.probability import softmax

    random = np.random.default_rng(0)
    X = random.normal(size=(n, d))
    P = softmax(X @ random.normal(size=(d, q)) / np.sqrt(d) * 2)
    return X, np.minimum((P.cumsum(axis=1) < random.random((n, 1))).sum(axis=1), q - 1), P


def bank() -> Path:
    return Path(data.real("bank-full.csv"))


def one_line_file() -> Path:
    with bank().open() as lines:
        text = next(lines) + next(lines)
    return made("row.csv", lambda path: path.write_text(text))


def large_csv() -> Path:
    def write(path: Path) -> None:
        random = np.random.default_rng(0)
        with path.open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["place", "a", "b", "c", "word", "label"])
            while file.tell() < 200e6:
                X = random.normal(size=(20_000, 3))
                words = random.choice(["red", "green, light", "blue", ""], size=20_000)
                out.writerows([i, *x, word, i % 3] for i, (x, word) in enumerate(zip(X.tolist(), words, strict=True)))

    return made("large.csv", write)


def json_lines() -> Path:
    def write(path: Path) -> None:
        random = np.random.default_rng(0)
        X, whole = random.normal(size=(200_000, 3)), random.integers(1000, size=200_000)
        with path.open("w") as file:
            for x, k in zip(X.tolist(), whole.tolist(), strict=True):
                row = {
                    "a": x[0],
                    "b": x[1],
                    "c": x[2],
                    "k": k,
                    "word": f"word {k % 97}",
                    "label": ["no", "yes"][k % 2],
                }
                file.write(json.dumps(row) + "\n")

    return made("lines.jsonl", write)


def made(name: str, write: Callable[[Path], Any]) -> Path:
    """The file of that name in the cache, written where it is not there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / name
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}")
        write(part)
        part.replace(path)
    return path


TRAIN = ("train", "BANK", "--target", "y", "--strength", "1e-4")
CASES: dict[str, Callable[[], Work]] = {
    "iris": iris,
    "digits": digits,
    "digits CV": digits_cv,
    "unpenalised": unpenalised,
    **{name: of_problem(name) for name in ("letter", "newsgroups", "mnist")},
    "1000 x predict_proba": one_row,
    "50 x table predict_proba": one_table_row,
    "table fit": table_fit,
    "train": command(*TRAIN),
    "train --report": command(*TRAIN, "--report", "REPORT"),
    "predict": command("predict", "MODEL", "ROW"),
    "help": command("--help"),
    "csv": read_file("csv"),
    "json lines": read_file("json"),
    "bootstrap": bootstrapped,
    "label_audit": audited_labels,
    "column_information": information(words=False),
    "column_information words": information(words=True),
    "audit 10,000": audit_of(10_000, everything=False),
    "audit 10,000 all": audit_of(10_000, everything=True),
    "audit 100,000": audit_of(100_000, everything=False),
    "audit 100,000 all": audit_of(100_000, everything=True),
    "calibration 10,000": calibration(10_000, 1.0),
    "calibration 10,000 bent": calibration(10_000, 1.1),
    "calibration 100,000": calibration(100_000, 1.0),
}
"""Makers of the work of each case; they import softreg when called."""


def processor_seconds() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def serve() -> None:
    """Run the work that lines on stdin name, and answer each with its seconds, on a line of JSON."""
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the work prints is no answer
    name, work = "", lambda: None
    for line in sys.stdin:
        try:
            if line.strip() != name:
                name = line.strip()
                work = CASES[name]()
                work()
            cpu, wall = processor_seconds(), time.perf_counter()
            repeats = 0
            while repeats == 0 or (time.perf_counter() - wall < 0.2 and repeats < 50):
                work()
                repeats += 1
            told: Any = [(processor_seconds() - cpu) / repeats, (time.perf_counter() - wall) / repeats]
        except Exception as error:
            told = f"{type(error).__name__}: {str(error)[:150]}"
        answers.write(json.dumps(told) + "\n")


def compare(folders: list[str], names: list[str], rounds: int) -> None:
    """One line for each case: milliseconds of each version, and the ratio of the least processor times."""
    versions = []
    for folder in folders:
        environment = os.environ | {"PYTHONPATH": str(Path(folder).resolve())}
        call = [sys.executable, __file__, "--serve"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        versions.append(subprocess.Popen(call, env=environment, **pipes))
    print(f"{'ms: CPU median (least), wall median (least)':44}{'before':>36}{'now':>36}   CPU least, median")
    for name in names:
        told: list[list[Any]] = [[], []]
        for k in range(rounds):
            for version in (0, 1) if k % 2 == 0 else (1, 0):
                told[version].append(ask(versions[version], name))
        failures = [t for of_version in told for t in of_version if isinstance(t, str)]
        print(f"{name:28}{failures[0]}" if failures else line_of(name, told), flush=True)
    for version in versions:
        version.stdin.close()
        version.wait()


def ask(version: Any, name: str) -> Any:
    version.stdin.write(name + "\n")
    return json.loads(version.stdout.readline())


def line_of(name: str, told: list[list[Any]]) -> str:
    parts, least, middle = [], [], []
    for of_version in told:
        cpu, wall = np.array(of_version).T * 1e3
        parts.append(f"{np.median(cpu):10.2f} ({cpu.min():.2f}) {np.median(wall):9.2f} ({wall.min():.2f})")
        least.append(cpu.min())
        middle.append(statistics.median(cpu))
    return f"{name:28}{parts[0]:>46}{parts[1]:>46}   {least[1] / least[0]:.3f}, {middle[1] / middle[0]:.3f}"


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("words", nargs="*", help="two source folders, then names of cases (all without any)")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    told = options.parse_intermixed_args()
    if told.serve:
        with contextlib.suppress(KeyboardInterrupt):
            serve()
        return
    unknown = [word for word in told.words[2:] if word not in CASES]
    if len(told.words) < 2 or unknown:
        options.error(f"two source folders, then cases among: {', '.join(CASES)}")
    compare(told.words[:2], told.words[2:] or list(CASES), told.rounds)


if __name__ == "__main__":
    main()
