"""The sweep: softreg against the fastest peer on problems whose shapes are drawn at random.

    python benchmarks/sweep.py [--count 200] [--seed 0] [--results FILE] [--only 3,17] [--page]
    make bench PROBLEM=sweep

Each problem is a function of the seed and its number (`sweep_problems.py`). A contestant's time is that of its fastest
complete fit that ends within 1e-5 nats of the minimum F*, over a ladder of tolerances or iterations; the minimum of
repetitions in which softreg and the fastest peers take turns. The ratio is the peer's time over softreg's.

Results are lines of JSON in FILE. A problem that was measured with the same source of softreg is not measured again, so
that a sweep that was stopped goes on where it ended; --only measures the given numbers in any case. Where softreg's
source alone has changed, the minimum and the settings of the peers are taken from the earlier line, or from
`sweep_known.jsonl`, which has those of the problems on the page.

At the end docs/benchmarks-sweep.md and its picture are written from the latest line of each problem.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.metadata
import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import sweep_contest
import sweep_page
import sweep_problems
from peers import version

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build" / "sweep.jsonl"
KNOWN = Path(__file__).with_name("sweep_known.jsonl")
KEPT = ("seed", "number", "peers", "optimum", "settings", "ended")
"""What `KNOWN` has of a line."""
ENGINE = ("kernels", "softreg/linalg.py", "softreg/rows", "softreg/optimize", "softreg/models", "softreg/probability")
"""What a fit runs, under `src`."""


def digest(paths: Iterator[Path]) -> str:
    """Return a short hash of the contents of files."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


def code_key() -> str:
    """Return what identifies the source of softreg: results of the same key are not measured again."""
    source = ROOT / "src"
    folders = [source / name for name in ENGINE]
    files = [path for folder in folders for path in ([folder] if folder.is_file() else folder.rglob("*"))]
    return digest(path for path in files if path.suffix in (".py", ".cpp", ".h", ".hpp"))


def peers_key() -> str:
    """Return what identifies problems and peers: with another one, peers have to find their settings anew."""
    names = [version(module) for module in sweep_contest.peer_modules() if module.PACKAGE != "softreg"]
    drawn = digest(iter([Path(sweep_problems.__file__)]))
    return " ".join([drawn, *sorted(set(names)), f"numpy {importlib.metadata.version('numpy')}"])


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of results; one that was cut while it was written is left out."""
    lines = []
    for text in path.read_text("utf-8").splitlines() if path.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(json.loads(text))
    return lines


def append(path: Path, line: dict[str, Any]) -> None:
    """Add a line to the file of results, on a line of its own even where the last one was cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(0, 2)
        if end := file.tell():
            file.seek(end - 1)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write((json.dumps(line) + "\n").encode())


def keep_known(lines: dict[int, dict[str, Any]]) -> None:
    """Write what a later sweep needs of these lines; what is kept of other problems stays."""
    before = {(line["seed"], line["number"]): line for line in read(KNOWN)}
    found = [{name: line[name] for name in KEPT} for line in lines.values() if "error" not in line]
    known = before | {(line["seed"], line["number"]): line for line in found}
    KNOWN.write_text("".join(json.dumps(line) + "\n" for _, line in sorted(known.items())), "utf-8")


def latest(lines: list[dict[str, Any]], seed: int) -> dict[int, dict[str, Any]]:
    """Return the last line of each number."""
    return {line["number"]: line for line in lines if line["seed"] == seed}


def todo(numbers: list[int], lines: list[dict[str, Any]], seed: int, code: str, again: bool = False) -> list[int]:
    """Return the numbers that have no line of this code, or all of them."""
    done = {line["number"] for line in lines if line["seed"] == seed and line["code"] == code}
    return [number for number in numbers if again or number not in done]


def reusable(lines: list[dict[str, Any]], seed: int, number: int, key: str) -> dict[str, Any] | None:
    """Return the last line of a problem whose minimum and settings hold, or None."""
    found = [
        line
        for line in lines
        if line["seed"] == seed and line["number"] == number and line["peers"] == key and "error" not in line
    ]
    return found[-1] if found else None


@contextlib.contextmanager
def locked(path: Path | None) -> Iterator[None]:
    """Hold the lock of a file, if one is given."""
    if path is None:
        yield
        return
    import fcntl

    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def numbers_of(text: str) -> list[int]:
    """Return the numbers of "3,17,20-25"."""
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def summary(line: dict[str, Any]) -> str:
    """Return the line that is printed for a problem."""
    shape = (
        f"{line['number']:>4d} {line['family']:<12s} {line['penalty']:<10s} {line['n']} x {line['d']}, q {line['q']}"
    )
    shape += f", {line['strength']:g}, {line['dtype']}"
    if "error" in line:
        return f"{shape}: {line['error']}"
    ours, peer = line["softreg"], line["peer"]
    if ours is None:
        return f"{shape}: softreg did not reach the gap"
    more = f"{line['peer_run']['seconds']:.4g} s {peer}" if peer else "no peer"
    sign = ">" if line["bounded"] else " "
    processor = "" if line["processor_ratio"] is None else f", {line['processor_ratio']:.3g} by processor time"
    return f"{shape}: {sign}{line['ratio']:.3g}{processor}  ({ours['seconds']:.4g} s {ours['plan']}, {more})"


def main(arguments: list[str] | None = None) -> None:
    """Measure the problems that are due and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="problems 0 ... COUNT - 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE", help="lines of JSON; they are resumed")
    parser.add_argument("--only", type=numbers_of, metavar="3,17,20-25", help="measure these, even if they are done")
    parser.add_argument("--limit", type=float, default=6.0, help="seconds of a fit of a contestant, at most")
    parser.add_argument("--lock", type=Path, metavar="FILE", help="hold its lock while the last rounds are timed")
    parser.add_argument("--page", action="store_true", help="only write the page from the results")
    options = parser.parse_args(arguments)
    code, key = code_key(), peers_key()
    pool = sweep_contest.Pool()
    lines, known = read(options.results), read(KNOWN)

    def lock() -> AbstractContextManager[None]:
        return locked(options.lock)

    again = options.only is not None
    due = todo(options.only or list(range(options.count)), lines, options.seed, code, again)
    for number in [] if options.page else due:
        start = time.perf_counter()
        problem = sweep_problems.draw(options.seed, number)
        before = reusable(known + lines, options.seed, number, key)
        line = sweep_contest.contest(problem, pool, options.limit, lock, before)
        line |= {"code": code, "peers": key, "took": time.perf_counter() - start}
        append(options.results, line)
        print(summary(line), flush=True)
    pool.close()
    found = latest(read(options.results), options.seed)
    if options.page or not again:
        sweep_page.write(found, options.seed)
        keep_known(found)


if __name__ == "__main__":
    main()
