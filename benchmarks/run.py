"""The benchmark: every problem, every contestant, several rounds; writes docs/benchmarks.md and its pictures.

    python benchmarks/run.py [--limit SECONDS] [--rounds N] [problem ...]

In the first round each contestant climbs its ladder of settings, within the limit; further rounds, contestants in turn,
repeat the settings that reached a gap soonest, and the defaults. What counts is the median over rounds.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv
import data
import numpy as np
import page
import problems
import stream
from measure import Neighbours
from peers import installed, peers
from worker import facts_of

HERE = Path(__file__).resolve().parent
REPEATED = 20.0
"""A contestant whose best settings take longer together, in seconds, is not run again."""


@dataclass
class Record:
    """What one contestant reached: settings with their gaps, and seconds of every round."""

    name: str
    peer: str
    gaps: dict[float | None, float] = field(default_factory=dict)
    seconds: dict[float | None, list[float]] = field(default_factory=dict)
    begun: set[float | None] = field(default_factory=set)
    extra: int = 0
    log_loss: float | None = None
    cut: bool = False
    error: str = ""

    def take(self, told: dict[str, Any]) -> None:
        if "error" in told:
            self.error = told["error"]
        if "started" in told:
            self.begun.add(told["started"])
        if "gap" not in told:
            return
        setting = told["setting"]
        self.gaps[setting] = told["gap"]
        self.seconds.setdefault(setting, []).append(told["seconds"])
        self.extra = max(self.extra, told["extra"])
        if setting is None or self.log_loss is None or None not in self.gaps:
            self.log_loss = told["log_loss"]

    def median(self, setting: float | None) -> float:
        return float(np.median(self.seconds[setting]))

    def best(self, gap: float) -> tuple[float, float | None] | None:
        """The fewest seconds to come within `gap`, and the setting; None if it never did."""
        reached = [(self.median(s), s) for s in self.gaps if self.gaps[s] <= gap]
        return min(reached, key=lambda pair: pair[0], default=None)

    def missed(self, gap: float) -> float:
        """The longest fit on the ladder that ended outside `gap`, in seconds: what reaching it takes at least."""
        return max((self.median(s) for s in self.gaps if s is not None and self.gaps[s] > gap), default=0.0)

    def winning(self, gaps: tuple[float, ...]) -> list[float | None]:
        """The settings worth repeating: the defaults, and the fastest to each gap."""
        found = [None] if None in self.gaps else []
        found += [best[1] for gap in gaps if (best := self.best(gap))]
        return list(dict.fromkeys(found))


def send(problem: problems.Problem, record: Record, limit: float, settings: list[float | None] | None = None) -> None:
    """Run one contestant in its own process and take down what it measured."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lines"
        order = {
            "problem": problem.name,
            "peer": record.peer,
            "contestant": record.name,
            "limit": limit,
            "out": str(out),
        }
        if settings is not None:
            order["settings"] = settings
        command = [sys.executable, str(HERE / "worker.py"), json.dumps(order)]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in out.read_text().splitlines() if out.exists() else []:
            record.take(json.loads(line))
    if done.returncode == -signal.SIGALRM:
        record.cut = True
    elif done.returncode:
        tail = done.stderr.strip().splitlines()[-1:] or ["no word"]
        record.error = f"ended with status {done.returncode}: {tail[0][:200]}"


def entered(problem: problems.Problem) -> tuple[list[Record], list[str]]:
    """Who takes part, softreg first; and the peers that are not installed."""
    X, y, _, _ = problems.load(problem)
    facts = facts_of(problem, X, y)
    records, absent = [], []
    for module in peers():
        if not installed(module):
            absent.append(module.PACKAGE)
            continue
        peer = module.__name__.rpartition(".")[2]
        names = [contestant.name for contestant in module.contestants(facts)]
        records += [Record(name, peer) for name in names if not problem.only or name.startswith(problem.only)]
    return records, absent


def contest(problem: problems.Problem, limit: float, rounds: int) -> tuple[list[Record], list[str]]:
    records, absent = entered(problem)
    for name in absent:
        print(f"{problem.name:<11s} {name} is not installed: skipped", flush=True)
    for turn in range(min(rounds, problem.rounds)):
        for record in records:
            settings = record.winning(problem.gaps) if turn else None
            cost = sum(record.median(s) for s in settings) if settings else 0.0
            if turn and (not settings or cost > REPEATED):
                continue
            send(problem, record, 3 * cost + 10 if turn else limit, settings)
            if not turn:
                print(f"{problem.name:<11s} {summary(record, problem)}", flush=True)
    return records, absent


def summary(record: Record, problem: problems.Problem) -> str:
    reached = [f"{gap:.0e}: {best[0]:.3g} s" if (best := record.best(gap)) else f"{gap:.0e}: -" for gap in problem.gaps]
    words = f"{record.name:<30s} {', '.join(reached)}"
    return words + (" (cut at the limit)" if record.cut else "") + (f" {record.error}" if record.error else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("problems", nargs="*", metavar="problem", help=", ".join([*problems.PROBLEMS, "cv", "stream"]))
    parser.add_argument("--limit", type=float, default=120, help="seconds of fitting a contestant has in round one")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if "cv" in options.problems:  # a task of its own: prints a table and writes no page
        cv.main(["--rounds", str(options.rounds)])
        options.problems.remove("cv")
        if not options.problems:
            return
    if "stream" in options.problems:  # likewise
        stream.main(["--rounds", str(options.rounds)])
        options.problems.remove("stream")
        if not options.problems:
            return
    for problem in problems.chosen(options.problems):
        try:
            best = problems.optimum(problem)
        except data.Missing as missing:
            print(f"{problem.name:<11s} skipped: {missing}", flush=True)
            continue
        neighbours = Neighbours()
        limit = min(problem.limit, options.limit)
        records, absent = contest(problem, limit, options.rounds)
        page.write(problem, best, records, absent, limit, neighbours.share())


if __name__ == "__main__":
    main()
