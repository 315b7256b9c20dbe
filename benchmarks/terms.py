"""Smooth terms and interactions on real tables beside boosting: `make bench PROBLEM=terms`.

    python benchmarks/terms.py [--only TABLE ...] [--contestants NAME ...] [--again NAME ...] [--limit SECONDS]
                               [--results FILE] [--page] [--known] [--further]

The tables are those of `terms_tables`, the contestants those of `terms_contestants`. A fifth of the rows is held out,
stratified, as `softreg train --seed` does it: 10 times below 1,000 rows, 5 times below 5,000, 3 times below 20,000, and
twice above (once where rows times classes exceed 250,000), with seeds 0, 1, ... A column of one value in the training
rows is left out for all. Losses are those of probabilities clipped at 1e-15. Seconds are those of the CPU, of all
threads and children, with one thread where that can be chosen; imports belong to no table. The calibration gap is
softreg's debiased squared calibration error, summed over the classes; the top-label and classwise "expected calibration
errors" of 15 bins are kept beside it.

Each result is a line of build/terms.jsonl, with the loss, its difference to softreg's linear model and the standard
error of that over the held-out rows; probabilities are kept in build/terms. A run goes on where it was stopped: what
was measured with the same versions and settings is not measured again, except for contestants named by `--again`. A
contestant that has used more than `--limit` seconds of CPU on a table (600) starts no other split of it (one fit of
EBM took 873 s, another split of that table 41 s); contestants are compared on the splits that both have. `--page`
measures nothing and writes docs/benchmarks-terms.md. `--known` keeps the results of other packages in
benchmarks/terms_known.jsonl, which are then not measured again with the same versions (EBM alone takes hours).
`--further` measures the tables that took no part in any choice of
the rules of terms, by softreg and LightGBM (build/terms_further.jsonl).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import terms_page
import terms_tables
from terms_contestants import LEAST, Contestant, Prediction, Split, registry
from threadpoolctl import threadpool_limits

from softreg.probability import Classes, check_calibration
from softreg.tables import split_rows

BUILD = Path(__file__).resolve().parents[1] / "build"
RESULTS, RESULTS_FURTHER = BUILD / "terms.jsonl", BUILD / "terms_further.jsonl"
KNOWN = Path(__file__).with_name("terms_known.jsonl")
"""Results of other packages, a line for each split; `note` says where a line is the mean of an earlier measurement."""
FURTHER_CONTESTANTS = ("softreg linear", "softreg terms", "lightgbm")
HELD_OUT = 0.2
REPEATS = ((1_000, 10), (5_000, 5), (20_000, 3), (terms_tables.MOST_ROWS + 1, 2))
"""Numbers of rows, and how many splits tables of fewer rows have."""
MOST_WORK = 250_000
"""From this number of rows times classes on, a table has one split."""
BINS = 15
LIMIT = 600.0
"""Seconds of CPU on a table after which a contestant starts no other split of it."""
DRAWS = 199
"""Of the calibration test, whose p-value is not used here."""
BASELINE = "softreg linear"


@dataclass
class Results:
    """Lines of measurements in a file, and the probabilities of each beside it."""

    path: Path

    def __post_init__(self) -> None:
        self.folder = self.path.with_suffix("")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lines = lines_of(self.path)

    def get(self, table: str, split: int, contestant: str) -> dict[str, Any] | None:
        """The last line of a measurement."""
        return self.lines.get((table, split, contestant))

    def add(self, record: dict[str, Any]) -> None:
        self.lines[record["table"], record["split"], record["contestant"]] = record
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def spent(self, table: str, contestant: str) -> float:
        """Seconds of CPU of all splits of a table."""
        return sum(
            line.get("seconds", 0.0) for key, line in self.lines.items() if (key[0], key[2]) == (table, contestant)
        )

    def file(self, table: str, split: int, contestant: str) -> Path:
        return self.folder / f"{table.replace('/', '+')}.{split}.{contestant.replace(' ', '-')}.npz"

    def prediction(self, table: str, split: int, contestant: str) -> Prediction | None:
        """What a contestant predicted, if it was measured without an error."""
        record, path = self.get(table, split, contestant), self.file(table, split, contestant)
        if record is None or "loss" not in record or not path.exists():
            return None
        with np.load(path) as arrays:
            return Prediction(arrays["P"], record["bytes"], record["seconds"])


def lines_of(path: Path) -> dict[terms_page.Key, dict[str, Any]]:
    """Lines of measurements; of the file of the collection those that are kept of other packages as well."""
    return (terms_page.read(KNOWN) if path == RESULTS else {}) | terms_page.read(path)


def keep_known(lines: dict[terms_page.Key, dict[str, Any]]) -> None:
    """Write the results of other packages to the file that keeps them."""
    ours = ("softreg linear", "softreg terms")
    kept = [line for key, line in sorted(lines.items()) if key[2] not in ours and "loss" in line]
    KNOWN.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")


def splits(n: int, q: int) -> range:
    """Seeds of the splits of a table of n rows and q classes."""
    return range(1 if n * q > MOST_WORK else next(count for most, count in REPEATS if n < most))


def run(
    results: Results,
    only: list[str],
    contestants: dict[str, Contestant],
    again: list[str],
    limit: float = LIMIT,
    names: Iterable[str] | None = None,
) -> None:
    """Measure what is missing, of all tables of `terms_tables` or of those named."""
    is_warm = False
    for name in terms_tables.TABLES if names is None else names:
        if only and not any(part in name for part in only):
            continue
        try:
            table = terms_tables.load(name)
        except (ModuleNotFoundError, FileNotFoundError) as error:
            print(f"{name} left out: {error}", flush=True)
            continue
        todo = list(missing(results, table, contestants, again))
        if todo and not is_warm:
            warm_up(contestants)
            is_warm = True
        codes = Classes(table.y).encode(table.y)
        spent = {one: 0.0 if one in again else results.spent(name, one) for one in contestants}
        for seed, contestant in todo:
            after = contestants[contestant].after
            if spent[contestant] > limit or (after and results.prediction(name, seed, after) is None):
                continue
            split = Split.of(table.frame, table.y, *split_rows(codes, HELD_OUT, seed))
            shape = {"table": name, "split": seed, "contestant": contestant}
            shape |= {"settings": contestants[contestant].settings, **dict(zip("ndq", table.size, strict=True))}
            record = shape | measured(results, split, contestants[contestant], shape)
            results.add(record)
            spent[contestant] += record.get("seconds", 0.0)
            told = f"loss {record['loss']:.4f}, {record['seconds']:.1f} s" if "loss" in record else record["error"]
            print(f"{name}, split {seed}, {contestant}: {told}", flush=True)


def missing(
    results: Results, table: terms_tables.Table, contestants: dict[str, Contestant], again: list[str]
) -> Iterator[tuple[int, str]]:
    """Splits and contestants that are to be measured."""
    n, _, q = table.size
    for seed in splits(n, q):
        for name, contestant in contestants.items():
            record = results.get(table.name, seed, name)
            is_new = record is None or record["settings"] != contestant.settings or name in again
            if is_new and contestant.takes(seed, q):
                yield seed, name


def measured(results: Results, split: Split, contestant: Contestant, shape: dict[str, Any]) -> dict[str, Any]:
    """Losses, seconds, size and calibration of one contestant; an error is kept as text."""
    key = shape["table"], shape["split"]
    if contestant.after and (full := results.prediction(*key, contestant.after)) is not None:
        split = replace(split, earlier={contestant.after: full})
    start, cpu = time.perf_counter(), cpu_seconds()
    try:
        prediction = contestant.fit(split)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    seconds, wall = cpu_seconds() - cpu + prediction.seconds, time.perf_counter() - start
    codes = np.searchsorted(split.classes, split.y_test)
    losses = losses_of(prediction.P, codes)
    np.savez_compressed(results.file(*key, shape["contestant"]), P=prediction.P, losses=losses)
    record = {"loss": float(losses.mean()), "seconds": seconds, "wall": wall, "bytes": prediction.size}
    record |= {"held_out": len(codes), "train": len(split.y)}
    linear = results.file(*key, BASELINE)
    if shape["contestant"] != BASELINE and linear.exists():
        with np.load(linear) as arrays:
            difference = losses - arrays["losses"]
        record["difference"] = float(difference.mean())
        record["se"] = float(difference.std(ddof=1) / np.sqrt(len(difference)))
    return record | calibration(prediction.P, codes)


def cpu_seconds() -> float:
    """Seconds of CPU of this process with all its threads, and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def losses_of(P: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return -np.log(np.clip(P[np.arange(len(codes)), codes], LEAST, 1.0))


def calibration(P: np.ndarray, codes: np.ndarray) -> dict[str, float]:
    """softreg's debiased squared errors, and the two usual errors of equally wide bins."""
    P = np.clip(P, 0.0, None) / P.sum(axis=1, keepdims=True)
    check = check_calibration(P, codes, draws=DRAWS)
    is_label = codes[:, None] == np.arange(P.shape[1])
    top = P.argmax(axis=1)
    rows = np.arange(len(P))
    classwise = [expected_error(P[:, k], is_label[:, k]) for k in range(P.shape[1])]
    return {
        "gap": check.error,
        "gap_se": check.error_sd,
        "top_gap": check.top_error,
        "ece_top": expected_error(P[rows, top], is_label[rows, top]),
        "ece_classwise": float(np.mean(classwise)),
    }


def expected_error(p: np.ndarray, hits: np.ndarray) -> float:
    """Mean over the rows of |mean probability - share| of their bin, of equally wide bins."""
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(bins, weights=p - hits, minlength=BINS)).sum() / len(p))


def warm_up(contestants: dict[str, Contestant]) -> None:
    """Fit a small table with each contestant, so that imports and compilation belong to no table."""
    table = terms_tables.load("sklearn/breast_cancer")
    rows = np.arange(len(table.y))
    split = Split.of(table.frame.iloc[:, :2], table.y, rows[:200], rows[200:])
    split = replace(split, earlier={"ebm": Prediction(np.full((len(split.y_test), 2), 0.5), 0)})
    for contestant in contestants.values():
        if not contestant.is_costly:
            contestant.fit(split)


def available(names: list[str]) -> dict[str, Contestant]:
    """The contestants of these names, or all, without those that cannot run here, which are printed."""
    known = registry()
    if unknown := set(names) - set(known):
        raise SystemExit(f"no contestant is called {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    chosen = {name: one for name, one in known.items() if name in names or not (names or one.is_costly)}
    for name, contestant in chosen.items():
        if reason := contestant.absent():
            print(f"{name} left out: {reason}", flush=True)
    return {name: contestant for name, contestant in chosen.items() if not contestant.absent()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", default=[], metavar="TABLE", help="a part of a table's name")
    parser.add_argument("--contestants", nargs="+", default=[], metavar="NAME", help="all but ebm pairs by default")
    parser.add_argument("--again", action="append", default=[], metavar="NAME", help="a contestant measured anew")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of CPU of a contestant on a table (600)")
    parser.add_argument("--results", type=Path, help="lines of results; build/terms.jsonl by default")
    parser.add_argument("--further", action="store_true", help="the tables on which no rule was chosen")
    parser.add_argument("--known", action="store_true", help="keep the results of other packages in the repository")
    parser.add_argument("--page", action="store_true", help="measure nothing, write docs/benchmarks-terms.md")
    options = parser.parse_args()
    if not options.page:
        warnings.simplefilter("ignore")
        names = list(FURTHER_CONTESTANTS) if options.further else []
        path = options.results or (RESULTS_FURTHER if options.further else RESULTS)
        tables = terms_tables.FURTHER if options.further else terms_tables.TABLES
        with threadpool_limits(1):
            chosen = available(options.contestants or names)
            run(Results(path), options.only, chosen, options.again, options.limit, tables)
    lines = lines_of(RESULTS if options.further else options.results or RESULTS)
    if options.known:
        keep_known(lines)
    text = terms_page.page(lines, list(registry()), terms_page.read(RESULTS_FURTHER))
    if options.page or not options.only:
        terms_page.PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
