"""Recalibration of usual classifiers, beside probmetrics: `make bench PROBLEM=calibrators`.

    python benchmarks/calibrators.py [--seed N ...] [--again CONTESTANT ...] [--page] [--pairs PART]

The pairs of a table and a model are those of `calibrator_pairs`. Each contestant is fitted to the probabilities and
labels of the rows for calibration, and predicts the rows for comparison; all of it with one thread. Losses are those of
probabilities clipped at 1e-15, those of the unchanged probabilities included; "zeros replaced" compares with unchanged
probabilities whose zeros share a mass, which is `Calibrator("none")`. Results are kept in
build/calibrators after each pair, so that a run goes on where it was stopped; `--again` measures a
contestant anew. `--page` measures nothing and writes the tables of docs/calibration.md.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import calibrator_pairs
import numpy as np
from page import processor
from threadpoolctl import threadpool_limits

from softreg import Calibrator

RESULTS = calibrator_pairs.KEPT / "results.json"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "calibration.md"
LEAST = 1e-15
TOLERANCE = 1e-3
"""Nats: a loss that is larger by more is called worse by more than 0.001."""
EQUAL = 1e-9
"""Nats up to which two losses are equal."""
BEYOND = 2.0
"""Standard errors of the change of the loss, beyond which a loss that is larger by more than 0.001 is called worse."""
PEER = "probmetrics logistic"


def softreg(method: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    def calibrated(P: np.ndarray, y: np.ndarray, P_new: np.ndarray) -> np.ndarray:
        return Calibrator(method).fit(P, y, classes=range(P.shape[1])).predict_proba(P_new)

    return calibrated


def probmetrics(name: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    def calibrated(P: np.ndarray, y: np.ndarray, P_new: np.ndarray) -> np.ndarray:
        return np.asarray(peer_module().get_calibrator(name).fit(P, y).predict_proba(P_new))

    return calibrated


CONTESTANTS = {
    "softreg": softreg("auto"),
    "softreg structured": softreg("structured"),
    "softreg curved": softreg("curved"),
    "softreg temperature": softreg("temperature"),
    PEER: probmetrics("logistic"),
    "probmetrics SMS": probmetrics("sms"),
    "probmetrics SVS": probmetrics("svs"),
    "probmetrics temperature": probmetrics("ts-mix"),
    "probmetrics isotonic": probmetrics("isotonic"),
}
"""Contestants by name; "logistic" is the default of probmetrics: quadratic for two classes, SMS for more."""


@cache
def peer_module() -> Any:
    """Import probmetrics without this folder on the path, whose coverage.py its dependencies would import."""
    here = str(Path(__file__).resolve().parent)
    path, sys.path = sys.path, [folder for folder in sys.path if str(Path(folder).resolve()) != here]
    try:
        return importlib.import_module("probmetrics.calibrators")
    finally:
        sys.path = path


def losses(P: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log(np.clip(P[np.arange(len(y)), y], LEAST, 1.0)))


def log_loss(P: np.ndarray, y: np.ndarray) -> float:
    return float(losses(P, y).mean())


def measured(name: str, pair: calibrator_pairs.Pair) -> dict[str, Any]:
    """Loss, standard error of its change, and seconds of one contestant; an error is kept as text."""
    start = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            P = CONTESTANTS[name](pair.P, pair.y, pair.P_new)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:200]}
    seconds, difference = time.process_time() - start, losses(P, pair.y_new) - losses(pair.P_new, pair.y_new)
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return {"seconds": seconds, "loss": log_loss(P, pair.y_new), "error": float(error)}


def run(seeds: list[int], again: list[str], part: str) -> None:
    """Measure what is missing."""
    logging.disable(logging.INFO)
    results = read()
    names = [name for name in CONTESTANTS if name.startswith("softreg") or importlib.util.find_spec("probmetrics")]
    warmed = False
    for seed in seeds:
        for table, model in calibrator_pairs.names():
            key = f"{table}, {model}, {seed}"
            record = results.setdefault(key, {})
            missing = [name for name in names if name not in record or name in again]
            if part not in key or not (missing or "unchanged" not in record):
                continue
            pair = calibrator_pairs.pair(table, model, seed)
            if not warmed:  # imports and compilation belong to no pair
                for name in names:
                    measured(name, pair)
                warmed = True
            shape = {"n": len(pair.y), "new": len(pair.y_new), "q": pair.q}
            record.update(shape, before=log_loss(pair.P_new, pair.y_new))
            record["unchanged"] = log_loss(softreg("none")(pair.P, pair.y, pair.P_new), pair.y_new)
            record.update({name: measured(name, pair) for name in missing})
            told = " ".join(f"{name}: {record[name].get('loss', np.nan):.4f}" for name in [*names[:1], PEER])
            print(f"{key}: before {record['before']:.4f} {told}", flush=True)
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=0, sort_keys=True) + "\n")


def read() -> dict[str, Any]:
    return dict(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}


def lines(results: dict[str, Any]) -> list[str]:
    """The tables of two classes, of more, of all, and of the last split, which the rule of "auto" was not chosen on."""
    told = []
    for title, chosen in (
        ("two classes", [r for r in results.values() if r["q"] == 2]),
        ("three classes and more", [r for r in results.values() if r["q"] > 2]),
        ("all", list(results.values())),
        ("third split", [r for key, r in results.items() if key.endswith(", 2")]),
    ):
        if not chosen:
            continue
        told += [
            f"{len(chosen)} pairs, {title}:",
            "",
            "| contestant | change of log loss: mean | median | not worse | not worse by more than 0.001 | "
            "not worse, zeros replaced | worse beyond noise | better than probmetrics' default | ms |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        told += [row(name, chosen) for name in CONTESTANTS if any("loss" in r.get(name, {}) for r in chosen)]
        told.append("")
    return told


def row(name: str, chosen: list[dict[str, Any]]) -> str:
    valid = [r for r in chosen if "loss" in r.get(name, {})]
    after, before = (np.array([get(r) for r in valid]) for get in (lambda r: r[name]["loss"], lambda r: r["before"]))
    peer = np.array([r.get(PEER, {}).get("loss", np.inf) for r in valid])
    unchanged = np.array([r["unchanged"] for r in valid])
    change, ms = after - before, 1e3 * np.mean([r[name]["seconds"] for r in valid])
    noise = np.array([r[name]["error"] for r in valid])
    won = "-" if name == PEER else f"{np.mean(after < peer - EQUAL):.0%}"
    failed = f" ({len(chosen) - len(valid)} failed)" if len(valid) < len(chosen) else ""
    return (
        f"| {name}{failed} | {change.mean():+.4f} | {np.median(change):+.4f} | {np.mean(change <= EQUAL):.1%} | "
        f"{np.mean(change <= TOLERANCE):.1%} | {np.mean(after <= unchanged + EQUAL):.1%} | "
        f"{np.mean((change > BEYOND * noise) & (change > TOLERANCE)):.1%} | {won} | {ms:.2f} |"
    )


def write_page(results: dict[str, Any]) -> None:
    """Replace the tables between the marks of the page."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("probmetrics", "scikit-learn", "numpy"))
    text = "\n".join([*lines(results), f"Measured with one thread on {processor()}; {packages}.", ""])
    marks = r"(<!-- calibrators -->\n).*?(<!-- end of calibrators -->)"
    page = PAGE.read_text()
    PAGE.write_text(re.sub(marks, lambda found: found[1] + "\n" + text + "\n" + found[2], page, flags=re.DOTALL))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, action="append", help="of the splits and models; 0, 1 and 2 by default")
    parser.add_argument("--again", action="append", default=[], help="a contestant that is measured anew")
    parser.add_argument("--pairs", default="", help="a part of the name of the pairs")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the tables of docs/calibration.md")
    options = parser.parse_args()
    if not options.page:
        with threadpool_limits(1):
            run(options.seed or [0, 1, 2], options.again, options.pairs)
    print("\n".join(lines(read())))
    write_page(read())


if __name__ == "__main__":
    main()
