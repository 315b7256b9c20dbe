"""One problem of the sweep: which contestant reaches the gap first, and how much memory it takes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import problems
import scipy.sparse as sp
import sweep_problems
from peers import Contestant, Facts, installed, peers

GAP = 1e-5
"""Nats above the minimum within which a fit has to end."""
OPTIMUM_TOLERANCES = (1e-9, 1e-7)
"""Nats to which the minimum is proved; the second where the first takes too long."""
OPTIMUM_LIMIT = 60.0
MOST_TIMES, LEAST_LIMIT = 12.0, 0.5
"""A peer's fit is ended after this multiple of softreg's seconds, but not before these seconds."""
PRUNED = 1.3
"""A fit that takes this multiple of the fastest peer's seconds cannot win any more."""
LONGER = 1.5
"""A number of iterations is tried if it is expected to take this multiple of the limit or less."""
BURST, ROUNDS, ROUND_SECONDS = 0.03, 10, 1.0
"""Seconds of a burst of fits; rounds of bursts, contestants in turn, at most; and seconds of all rounds, about."""
FINALISTS = 2
"""Peers in these rounds, if the second is within PRUNED of the first."""
REFINED = 1
"""Settings tried between the last rung that misses the gap and the first that reaches it."""
SMALL = 1 << 20
"""Bytes of X below which memory is not measured: what a fit needs is then lost among the pages of the allocator."""
EXCLUDED = ("bench_statsmodels", "bench_torch")


class Ended(Exception):
    """The process passed its limit, or crashed."""


class Pool:
    """One process for each peer, which lives until a fit passes its limit."""

    def __init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def ask(self, worker: str, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer."""
        process = self.processes.get(worker)
        if process is None:
            process = self.processes[worker] = start_worker()
        return ask(process, request, lambda: self.processes.pop(worker))

    def close(self) -> None:
        """End all processes."""
        for process in self.processes.values():
            process.stdin.close()
            process.wait()
        self.processes = {}


def start_worker() -> subprocess.Popen[str]:
    """Start a process of `sweep_worker.py`."""
    command = [sys.executable, str(Path(__file__).with_name("sweep_worker.py"))]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def ask(process: subprocess.Popen[str], request: dict[str, Any], ended: Callable[[], Any]) -> dict[str, Any]:
    """Send a request to a process and return its answer; raises `Ended` after calling `ended` if it has none."""
    try:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = ""
    if not line:
        process.wait()
        ended()
        raise Ended(f"ended with status {process.returncode}")
    return json.loads(line)


@dataclass
class Entry:
    """A contestant and the fits that it has made: seconds, processor seconds and value of each setting."""

    name: str
    peer: str
    ladder: tuple[float, ...]
    whole: bool
    runs: dict[float, dict[str, Any]] = field(default_factory=dict)
    longest_miss: float = 0.0
    """Seconds after which a fit was ended, or of the longest that missed the gap."""
    error: str = ""

    def best(self) -> tuple[float, float] | None:
        """Return the seconds and the setting of the fastest fit that reached the gap."""
        reached = [(run["seconds"], setting) for setting, run in self.runs.items() if run["gap"] <= GAP]
        return min(reached, default=None)


class Contest:
    """All contestants on one problem, whose minimum is `optimum`."""

    def __init__(self, pool: Pool, folder: str, facts: dict[str, Any], optimum: float, limit: float) -> None:
        self.pool, self.folder, self.facts = pool, folder, facts
        self.optimum, self.limit = optimum, limit
        self.opened: dict[str, subprocess.Popen[str]] = {}
        self.entered: set[tuple[int, str]] = set()

    def ready(self, entry: Entry) -> None:
        """Let the entry's process load the problem and warm up, where it has not."""
        process = self.pool.processes.get(entry.peer)
        if process is None or self.opened.get(entry.peer) is not process:
            self.pool.ask(entry.peer, do="open", folder=self.folder, peer=entry.peer, facts=self.facts)
            process = self.opened[entry.peer] = self.pool.processes[entry.peer]
        if (process.pid, entry.name) not in self.entered:
            self.pool.ask(entry.peer, do="enter", name=entry.name)
            self.entered.add((process.pid, entry.name))

    def run(self, entry: Entry, setting: float, limit: float, budget: float = BURST) -> dict[str, Any] | None:
        """Fit with a setting and keep what was measured; None if there is no fit."""
        limit = max(limit, LEAST_LIMIT)
        try:
            self.ready(entry)
            told = self.pool.ask(entry.peer, do="fit", name=entry.name, setting=setting, limit=limit, budget=budget)
        except Ended as error:
            entry.longest_miss = max(entry.longest_miss, limit)
            entry.error = str(error)
            return None
        if "error" in told:
            entry.error = told["error"]
            return None
        told["gap"] = told["value"] - self.optimum if math.isfinite(told["value"]) else math.inf
        before = entry.runs.setdefault(setting, told)
        before["seconds"] = min(before["seconds"], told["seconds"])
        before["cpu"] = min(before["cpu"], told["cpu"])
        if told["gap"] > GAP:
            entry.longest_miss = max(entry.longest_miss, told["seconds"])
        return told

    def climb(self, entry: Entry, limit: float) -> None:
        """Try settings from coarse to fine until one reaches the gap, then settings in between.

        A number of iterations that is expected to take longer than the limit is left out.
        """
        same, last, patience = 0, math.inf, 2 if entry.whole else 4  # tolerances are often passed by several at once
        previous = None
        for setting in entry.ladder:
            if previous and entry.whole and previous[1] * setting / previous[0] > LONGER * limit:
                return
            told = self.run(entry, setting, limit)
            if told is None or (told["seconds"] > limit and told["gap"] > GAP):
                return
            same = same + 1 if abs(told["gap"] - last) <= 1e-3 * abs(last) else 0
            previous, last = (setting, told["seconds"]), told["gap"]
            if told["gap"] <= GAP or same == patience:
                break
        for _ in range(REFINED):
            setting = between(entry)
            if setting is None or self.run(entry, setting, limit) is None:
                return

    def first_round(self, entries: list[Entry], known: dict[str, float] | None) -> None:
        """Let softreg and then each peer find its setting; `known` are the settings of an earlier contest."""
        ours = entries[0]
        self.climb(ours, self.limit)
        best = ours.best()
        limit = self.limit if best is None else min(self.limit, max(LEAST_LIMIT, MOST_TIMES * best[0]))
        for entry in entries[1:]:
            if known is not None and entry.name not in known:
                continue
            told = None if known is None else self.run(entry, known[entry.name], limit)
            if told is None or told["gap"] > GAP:
                self.climb(entry, limit)
            if (found := entry.best()) is not None:
                limit = min(limit, PRUNED * found[0])

    def later_rounds(self, entries: list[Entry]) -> None:
        """Repeat the fastest settings of softreg and of the fastest peers in turn."""
        finalists = [(entries[0].best(), entries[0])]
        peers_found = sorted(((entry.best(), entry) for entry in entries[1:] if entry.best()), key=lambda pair: pair[0])
        finalists += [pair for pair in peers_found[:FINALISTS] if pair[0][0] <= PRUNED * peers_found[0][0][0]]
        finalists = [(best, entry) for best, entry in finalists if best is not None]
        total = sum(max(best[0], BURST) for best, _ in finalists)
        for _ in range(min(ROUNDS, max(1, round(ROUND_SECONDS / max(total, 1e-9))))):
            for best, entry in finalists:
                self.run(entry, best[1], 4 * best[0])


def between(entry: Entry) -> float | None:
    """Return a setting between the first that reaches the gap and the one before it; None if they are near."""
    order = sorted(entry.runs, reverse=not entry.whole)
    hits = [k for k, setting in enumerate(order) if entry.runs[setting]["gap"] <= GAP]
    if not hits or hits[0] == 0:
        return None
    miss, hit = order[hits[0] - 1], order[hits[0]]
    high, low = entry.runs[miss]["gap"], max(entry.runs[hit]["gap"], GAP / 100)
    share = math.log(high / (GAP * 0.8)) / math.log(high / low) if high < 1e3 else 0.5
    setting = miss * (hit / miss) ** min(max(share, 0.2), 0.8)
    setting = float(math.ceil(setting)) if entry.whole else setting
    near = max(hit, miss) / min(hit, miss) < 1.12
    return None if near or setting in entry.runs else setting


def peer_modules() -> list[Any]:
    """Return the modules of the packages that take part."""
    return [m for m in peers() if m.__name__.rpartition(".")[2] not in EXCLUDED and installed(m)]


def contestants_of(X: Any, facts: dict[str, Any]) -> list[Entry]:
    """Return who takes part, softreg first."""
    known = Facts(*X.shape, facts["q"], facts["strength"], sp.issparse(X), X.dtype, facts["l1_ratio"])
    entries = []
    for module in peer_modules():
        peer = module.__name__.rpartition(".")[2]
        found: list[Contestant] = module.contestants(known)
        entries += [Entry(contestant.name, peer, contestant.ladder, contestant.whole) for contestant in found]
    return entries


@contextmanager
def stored(problem: sweep_problems.SweepProblem) -> Iterator[tuple[str, Any]]:
    """Write X and y into a folder of their own for as long as the contest lasts."""
    with tempfile.TemporaryDirectory() as folder:
        X, y = sweep_problems.make(problem)
        problems.keep(Path(folder) / "X", X)
        problems.keep(Path(folder) / "y", y)
        yield folder, X


def optimum_of(pool: Pool, folder: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the minimum with its proof."""
    told: dict[str, Any] = {}
    for tol in OPTIMUM_TOLERANCES:
        pool.ask("bench_softreg", do="open", folder=folder, peer="bench_softreg", facts=facts)
        try:
            told = pool.ask("bench_softreg", do="optimum", tol=tol, limit=OPTIMUM_LIMIT)
        except Ended as error:
            told = {"error": str(error)}
        if "error" not in told and told["gap"] <= GAP / 10:
            break
    return told


def peak_of(folder: str, facts: dict[str, Any], entry: Entry, setting: float) -> int | None:
    """Return the bytes that a fit in a process of its own needs at its peak."""
    process = start_worker()
    try:
        ask(process, {"do": "open", "folder": folder, "peer": entry.peer, "facts": facts}, bool)
        ask(process, {"do": "enter", "name": entry.name}, bool)
        told = ask(process, {"do": "memory", "name": entry.name, "setting": setting, "limit": OPTIMUM_LIMIT}, bool)
        return told.get("bytes")
    except Ended:
        return None
    finally:
        process.stdin.close()
        process.wait()


def contest(
    problem: sweep_problems.SweepProblem,
    pool: Pool,
    limit: float,
    lock: Callable[[], AbstractContextManager[Any]],
    before: dict[str, Any] | None,
) -> dict[str, Any]:
    """Measure a problem and return its line of the results.

    Parameters
    ----------
    problem : SweepProblem
    pool : Pool
    limit : float
        Seconds of a fit at most.
    lock : callable
        Gives the context in which other programs are asked not to measure.
    before : dict or None
        The line of an earlier contest on the same problem: its minimum and the settings of the peers are taken over.

    Returns
    -------
    dict
    """
    facts = problem.facts
    with stored(problem) as (folder, X):
        size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if sp.issparse(X) else X.nbytes
        facts |= {"n": X.shape[0], "d": X.shape[1], "sparse": sp.issparse(X), "bytes": size}
        best = before["optimum"] if before else optimum_of(pool, folder, facts)
        line = {**facts, "optimum": best}
        if "error" in best or best["gap"] > GAP / 10:
            return {**line, "error": f"the minimum is not proved: {best.get('error', best.get('gap'))}"}
        entries = contestants_of(X, facts)
        course = Contest(pool, folder, facts, best["value"], limit)
        course.first_round(entries, before["settings"] if before else None)
        with lock():
            course.later_rounds(entries)
        line |= outcome(entries, best, missed_before(before))
        winners = [entry for entry in entries if entry.best() and entry.name in ("softreg", line["peer"])]
        if size >= SMALL:
            line["memory"] = {entry.name: peak_of(folder, facts, entry, entry.best()[1]) for entry in winners}
    return line


def missed_before(before: dict[str, Any] | None) -> float:
    """Return the seconds of the longest fit of a peer that missed the gap in an earlier contest."""
    ended = before["ended"] if before else {}
    return max([seconds for name, (seconds, _) in ended.items() if name != "softreg"], default=0.0)


def outcome(entries: list[Entry], optimum: dict[str, Any], missed: float = 0.0) -> dict[str, Any]:
    """Return what the fits of a contest come to; a peer of an earlier one missed the gap in `missed` seconds."""
    ours, others = entries[0], entries[1:]
    found = [(entry.best(), entry) for entry in others if entry.best()]
    fastest = min(found, key=lambda pair: pair[0][0], default=None)
    lowest = min((run["value"] for entry in entries for run in entry.runs.values()), default=math.inf)
    line: dict[str, Any] = {
        "records": {entry.name: {str(s): run for s, run in entry.runs.items()} for entry in entries},
        "ended": {
            entry.name: [max(entry.longest_miss, missed if entry is others[0] else 0.0), entry.error]
            for entry in entries
            if not entry.best()
        },
        "settings": {entry.name: best[1] for best, entry in found},
        "below": optimum["value"] - lowest,
        "softreg": None,
        "peer": None,
        "ratio": None,
        "bounded": fastest is None,
        "processor_ratio": processor_ratio(ours, others),
        "load": os.getloadavg()[0],
    }
    best = ours.best()
    if best is not None:
        line["softreg"] = {"setting": best[1], **ours.runs[best[1]]}
    if fastest is not None:
        (seconds, setting), entry = fastest
        line |= {"peer": entry.name, "peer_run": {"setting": setting, **entry.runs[setting]}}
    else:
        seconds = max([entry.longest_miss for entry in others], default=0.0)
        seconds = max(seconds, missed)
    if best is not None:
        line["ratio"] = seconds / best[0]
    return line


def processor_ratio(ours: Entry, others: list[Entry]) -> float | None:
    """Return the least processor seconds of a peer that reached the gap over softreg's, or None."""

    def least(entry: Entry) -> float:
        return min((run["cpu"] for run in entry.runs.values() if run["gap"] <= GAP), default=math.inf)

    mine, theirs = least(ours), min((least(entry) for entry in others), default=math.inf)
    return theirs / mine if math.isfinite(theirs) and math.isfinite(mine) else None
