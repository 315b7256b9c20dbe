"""Fits with thousands of classes, beside peers that reduce the softmax: `make bench PROBLEM=many_classes`.

    python benchmarks/many_classes.py films-1297                     # next film, the films of 20 ratings or more
    python benchmarks/many_classes.py films-9742                     # next film, all films
    python benchmarks/many_classes.py drawn                          # 200,000 x 500 dense rows, 100,000 classes
    python benchmarks/many_classes.py drawn --scale 0.1              # 20,000 x 500 dense rows, 10,000 classes
    python benchmarks/many_classes.py films-1297 --only softreg      # one contestant; the others stay as they are
    python benchmarks/many_classes.py --page                         # measure nothing, write docs/benchmarks.md

Each fit runs in a process of its own. A contestant without a setting in the file of results chooses it first on
validation rows, in a process of its own as well; `--tune` makes it choose again. softreg is measured on all rows, which
have a target of seconds and memory, and on the training rows like the others. The results are in
benchmarks/many_classes.json. A fit that fails, or takes more than `--limit` seconds or `--memory` GB, is named and
leaves the file as it is.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import gc
import importlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import data
import measure
import scipy.sparse as sp
from many import all_contestants, results_table
from many.contestant_protocol import best
from many.drawn_problem import drawn_problem
from many.film_problems import film_problem
from many.scoring import score
from many.task import Problem, task

RESULTS = Path(__file__).with_suffix(".json")
FILMS = ("films-1297", "films-9742")
PROBLEMS = (*FILMS, "drawn")
SMALL_SCALE = 0.1
"""The share of the drawn problem that is measured where no problem is named."""
LIMIT, MEMORY = 1800, 8
GIGABYTE = 1 << 30


def main() -> None:
    options = parse_arguments()
    if options.worker:
        return work(json.loads(options.worker))
    if options.page:
        import page

        return page.assemble(page.stored())
    named = options.problem or PROBLEMS
    if unknown := set(named) - set(PROBLEMS):
        raise SystemExit(f"There is no problem {sorted(unknown)[0]!r}; there are {', '.join(PROBLEMS)}.")
    scale = options.scale or (1.0 if options.problem else SMALL_SCALE)
    for name in named:
        run_problem(name, scale if name == "drawn" else 1.0, options)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("problem", nargs="*", help=f"{', '.join(PROBLEMS)}; by default all, drawn at a tenth")
    parser.add_argument("--scale", type=float, help="share of the classes and rows of the drawn problem")
    parser.add_argument("--only", action="append", help="a contestant; may be given several times")
    parser.add_argument("--rows", choices=["whole", "train"], help="only the fits to all rows, or to the training rows")
    parser.add_argument("--strength", type=float, help="of softreg, instead of the problem's")
    parser.add_argument("--tol", type=float, help="of softreg, instead of the problem's")
    parser.add_argument("--tune", action="store_true", help="choose settings again, and only that")
    parser.add_argument("--like", help="take the settings of this problem instead of choosing them")
    parser.add_argument("--setting", type=json.loads, help="take this setting, as JSON, instead of choosing one")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds of a process ({LIMIT})")
    parser.add_argument("--memory", type=float, default=MEMORY, help=f"GB of address space of a process ({MEMORY})")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of results")
    parser.add_argument("--page", action="store_true", help="write the section of docs/benchmarks.md, measure nothing")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def load(name: str, scale: float) -> Problem:
    return drawn_problem(scale) if name == "drawn" else film_problem(name == FILMS[0])


def run_problem(name: str, scale: float, options: argparse.Namespace) -> None:
    """Measure the contestants of a problem, and print its tables."""
    key = name if scale == 1 else f"{name}-{scale:g}"
    for contestant in all_contestants.contestants():
        if options.only and contestant.name not in options.only:
            continue
        if contestant.missing():
            print(f"{contestant.name}: {contestant.package} is not installed; skipped", file=sys.stderr)
            continue
        if contestant.sparse_only and name not in FILMS:
            continue
        order = {"problem": name, "scale": scale, "contestant": contestant.name, "memory": options.memory}
        record = read(options.out).get(key, {}).get(contestant.name, {})
        setting = setting_of(record, key, contestant.name, options)
        if setting is None or options.tune:
            found = process({**order, "rows": "part"}, options.limit)
            if found is None:
                continue
            setting = found["setting"]
            store(options.out, key, contestant.name, found)
        setting = overridden(setting, options) if contestant.module == "softreg" else setting
        for rows in () if options.tune else parts_of(contestant.name, name, options.rows):
            found = process({**order, "rows": rows, "setting": setting}, options.limit)
            if found:
                store(options.out, key, contestant.name, {rows: found, "version": contestant.version()})
    print("\n".join(results_table.section(key, read(options.out).get(key, {}))), flush=True)


def parts_of(contestant: str, problem: str, only: str | None) -> list[str]:
    """The rows of the fits: `whole` is for softreg, and is `train` where the problem is drawn."""
    wanted = ["whole"] if contestant == "softreg" and problem in FILMS else []
    return [rows for rows in [*wanted, "train"] if only in (None, rows)]


def setting_of(record: dict[str, Any], key: str, name: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """Return the setting that was given or chosen before; None if it is still to be chosen."""
    found = options.setting or (read(options.out)[options.like][name]["setting"] if options.like else None)
    if found is not None:
        store(options.out, key, name, {"setting": found, "chosen": options.like or "given"})
        return dict(found)
    return record.get("setting")


def overridden(setting: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    given = {"strength": options.strength, "tol": options.tol}
    return {**setting, **{name: value for name, value in given.items() if value is not None}}


def process(order: dict[str, Any], limit: float) -> dict[str, Any] | None:
    """Return what a process of its own measured; None, with a message, where it failed."""
    command = [sys.executable, __file__, "--worker", json.dumps(order)]
    what = f"{order['problem']}, {order['contestant']}, {order['rows']} rows"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        print(f"{what}: not done in {limit:g} seconds", file=sys.stderr, flush=True)
        return None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        print(f"{what}: failed: {lines[-1] if lines else done.returncode}", file=sys.stderr, flush=True)
        return None
    print(f"{what}: {done.stdout.strip().splitlines()[-1][:300]}", file=sys.stderr, flush=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def work(order: dict[str, Any]) -> None:
    """Choose a setting, or fit and score with one, and print what was found as JSON."""
    limit = int(order["memory"] * GIGABYTE)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    contestant = next(c for c in all_contestants.contestants() if c.name == order["contestant"])
    importlib.import_module(contestant.module)
    problem = load(order["problem"], order["scale"])
    if order["rows"] == "part":
        trials = contestant.trials(problem)
        print(json.dumps({"setting": best(trials), "trials": [dataclasses.asdict(trial) for trial in trials]}))
        return
    whole = order["rows"] == "whole"
    chosen = task(problem.whole if whole else problem.train, problem.test)
    del problem
    gc.collect()
    measure.forget_peak()
    before, neighbours = measure.peak_bytes(), measure.Neighbours()
    start, used = time.perf_counter(), time.process_time()
    fitted = contestant.fit(chosen, order["setting"])
    found: dict[str, Any] = {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - used,
        "others": neighbours.share(),
        "peak": measure.peak_bytes(),
        "before": before,
        "X": nbytes(chosen.X),
        "held_out": nbytes(chosen.X_new) + nbytes(chosen.excluded_new),
        "W": fitted.weights_bytes,
        "shape": [*chosen.X.shape, chosen.q],
        "setting": order["setting"],
        "date": datetime.date.today().isoformat(),
        **fitted.figures,
    }
    if not whole:
        found["scores"] = score(fitted.log_probabilities, chosen).as_dict()
    print(json.dumps(found))


def nbytes(X: Any) -> int:
    """Bytes of an array, a sparse array or None."""
    if X is None:
        return 0
    return int(X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if sp.issparse(X) else X.nbytes)


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def store(path: Path, problem: str, contestant: str, found: dict[str, Any]) -> None:
    """Put what was found among the results; a setting that is chosen anew takes the place of its old fits."""
    results = read(path)
    record = results.setdefault(problem, {}).setdefault(contestant, {})
    record.update(found)
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except data.Missing as error:
        raise SystemExit(str(error)) from None
