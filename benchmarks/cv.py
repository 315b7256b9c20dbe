"""Cross-validation: every fold and strength of SoftmaxRegressionCV beside one default fit, and LogisticRegressionCV.

    python benchmarks/cv.py [--reference] [--check] [--rounds N] [digits] [mnist] [newsgroups]
    make bench PROBLEM=cv

`--reference` runs LogisticRegressionCV on the same grid as well, which takes minutes (on MNIST seven); `--check` fits
every fold alone to 1e-8 and prints the largest difference of its held-out log loss; without it two strengths of the
first fold are checked. The seconds of others move with the machine: compare ratios of one run.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass
from typing import Any

import data
import measure
import numpy as np
import problems
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold

from softreg import SoftmaxRegression, SoftmaxRegressionCV

FOLDS = 5


@dataclass(frozen=True)
class Task:
    """What is cross-validated; `strengths` None leaves them to the default of either side."""

    name: str
    strengths: Any
    goal: str


TASKS = {
    task.name: task
    for task in (
        Task("digits", None, ">= 100x faster than LogisticRegressionCV"),
        Task("mnist", np.logspace(-2, -6, 10), "less than one default fit, >= 50x faster than LogisticRegressionCV"),
        Task("newsgroups", np.logspace(-3, -7, 10), ">= 20x faster than LogisticRegressionCV"),
    )
}


def timed(work: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = work()
    return time.perf_counter() - start, result


def run(task: Task, rounds: int, reference: bool, check: bool) -> None:
    X, y = load_digits(return_X_y=True) if task.name == "digits" else problems.load(problems.PROBLEMS[task.name])[:2]
    n, q = X.shape[0], int(y.max()) + 1
    size = (X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if hasattr(X, "indptr") else X.nbytes) / 2**20
    chosen = "auto" if task.strengths is None else task.strengths
    timed(lambda: SoftmaxRegressionCV([1e-2], cv=3).fit(X[:500], y[:500]))  # loads libraries and starts threads
    ours, theirs = [], []
    measure.forget_peak()
    before = measure.peak_bytes()
    for _ in range(rounds):
        seconds, model = timed(lambda: SoftmaxRegressionCV(chosen, cv=FOLDS).fit(X, y))
        ours.append(seconds)
        extra = (measure.peak_bytes() - before) / 2**20
        theirs.append(timed(lambda: LogisticRegression().fit(X, y))[0])
    print(f"\n{task.name}: {n:,} x {X.shape[1]:,}, {q} classes, {len(model.path_)} strengths x {FOLDS} folds")
    best = model.path_.mean[model.path_.chosen]
    print(f"  goal                        {task.goal}")
    print(
        f"  SoftmaxRegressionCV         {np.median(ours):8.2f} s  strength {model.strength_:.3g}, log loss {best:.4f}"
    )
    print(
        f"  LogisticRegression().fit    {np.median(theirs):8.2f} s  {np.median(theirs) / np.median(ours):.2f} of ours"
    )
    models = (FOLDS + 1) * X.shape[1] * q * 8 / 2**20
    print(f"  memory beyond the data      {extra:8.0f} MB where X has {size:.0f} and the stack's weights {models:.1f}")
    print(f"  largest difference of a fold's log loss from the same fold alone: {largest(model, X, y, check):.1e} nats")
    if reference:
        C = 10 if task.strengths is None else [1 / (n * (1 - 1 / FOLDS) * s) for s in task.strengths]
        kind = {"Cs": C, "cv": FOLDS, "scoring": "neg_log_loss", "l1_ratios": (0.0,), "use_legacy_attributes": False}
        seconds, _ = timed(lambda: LogisticRegressionCV(**kind).fit(X, y))
        print(f"  LogisticRegressionCV        {seconds:8.1f} s  {seconds / np.median(ours):.0f} times ours", flush=True)


def largest(model: SoftmaxRegressionCV, X: Any, y: Any, everything: bool) -> float:
    """The largest difference of a fold's held-out log loss from that of the same fold fitted alone to 1e-8."""
    splits = list(enumerate(StratifiedKFold(FOLDS).split(np.zeros((len(y), 1)), y)))
    near = model.path_.chosen
    places = range(len(model.path_)) if everything else sorted({near, max(0, near - 3)})
    worst = 0.0
    for k, (train, test) in splits if everything else splits[:1]:
        rows, held, given = X[train], X[test], y[test]
        for place in places:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                alone = SoftmaxRegression(model.path_.strength[place], tol=1e-8).fit(rows, y[train])
            loss = measure.log_loss(held, given, alone.coef_.T, alone.intercept_)
            worst = max(worst, abs(loss - model.scores_[place, k]))
    return worst


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="task", help=", ".join(TASKS))
    parser.add_argument("--reference", action="store_true", help="run LogisticRegressionCV as well (minutes)")
    parser.add_argument("--check", action="store_true", help="check every fold and strength (minutes)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.tasks if name not in TASKS]
    if unknown:
        raise SystemExit(f"there is no task {unknown[0]!r}; there are {', '.join(TASKS)}")
    for name in options.tasks or TASKS:
        try:
            run(TASKS[name], options.rounds, options.reference, options.check)
        except data.Missing as missing:
            print(f"{name}: skipped: {missing}", flush=True)


if __name__ == "__main__":
    main()
