"""docs/benchmarks-sweep.md and its picture: the ratios of the sweep."""

from __future__ import annotations

import datetime
import os
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import page
import picture
import sweep_causes
import sweep_problems

matplotlib.use("svg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).resolve().parents[1] / "docs"
PENALTIES = {"l2": "l2", "l1": "l1 and elastic net", "elasticnet": "l1 and elastic net"}
MARKERS = {"l2": "o", "l1": "v", "elasticnet": "D"}
BUSY_LOAD = 1.5
"""Load average a core from which other programs are mentioned."""
MOST_MEMORY = 1.5
"""The target of the ratio of softreg's memory to the peer's."""

PREFACE = """# Shapes drawn at random

Is there a shape on which another package is faster? The sweep draws problems at random: the kind of the columns, rows,
columns, classes (2 to 100), the strength of the penalty (1e-6 to 1e-2), and the precision. Each problem is a function
of a seed and a number.

```
make bench PROBLEM=sweep            # an hour; goes on where it was stopped
python benchmarks/sweep.py --only 3,17 --results FILE
```

- **Seconds** are those of the fastest complete fit that ends within 1e-5 nats of the minimum F\\*, over a ladder of
  tolerances or iteration limits of each contestant; the least of repetitions in which softreg and the fastest peers
  take turns, each in a process of its own that has fitted a few rows before. softreg's include its proof of the gap.
- **The minimum F\\*** is softreg's in float64, proved to 1e-9 nats (1e-7 where that takes more than a minute). No
  contestant's objective, which is evaluated in float64 outside the clock, is below it by more than the proof allows.
- **The peers** are scikit-learn's lbfgs, newton-cg, newton-cholesky and saga, LIBLINEAR for two classes,
  scikit-learn-intelex for dense rows, cyanure, and skglm for two classes with an l1 part. With an l1 part, those that
  have one: saga, LIBLINEAR (l1 alone), cyanure, skglm.
- **The ratio** is the fastest peer's seconds over softreg's: above 1, softreg is faster. *>* marks problems on which no
  peer reached the gap within twelve times softreg's seconds, or six seconds; the ratio is then a lower bound, that of
  the longest fit that missed the gap. Where a pass has fewer than four million multiplications, all have one thread.
- **Memory** is what a fit adds to the peak of a process of its own, of problems whose rows take 1 MB or more; the ratio
  is softreg's to that of the peer that is fastest, of the fits alone and together with the rows, X.
"""
NO_FIT = "softreg did not reach the gap within six seconds; nor did a peer"
MEMORY = """The peers keep little but the weights, in the precision of the rows. softreg keeps the logits of all rows in
float64, twice with an l1 part, from which line searches and the proof are computed without a pass; L-BFGS keeps
pairs of steps and changes of the gradient, each as large as the weights; small problems are copied in float64 for
compiled steps, and `truncated-newton` copies the rows in float32. All of this is bounded: above the limits of
[the plans](solvers.md) logits are computed anew and nothing is copied.
"""


def write(lines: dict[int, dict[str, Any]], seed: int) -> None:
    """Write the page and the picture of the latest lines of each problem."""
    good = {number: line for number, line in sorted(lines.items()) if line.get("ratio") is not None}
    if not good:
        return
    draw(list(good.values()), DOCS / "benchmarks-sweep.svg")
    measured = f"Measured on {datetime.date.today()}: {machine()}. Seed {seed}, {len(good)} problems."
    parts = [PREFACE, f"{measured}{busy(list(good.values()))}\n"]
    parts += [
        "## Ratios\n",
        overview(list(good.values())),
        "![Sorted ratios by kind of columns](benchmarks-sweep.svg)\n",
    ]
    parts += ["## Ratios below 1\n", sweep_causes.section(list(good.values()))]
    parts += ["## Memory\n", memory(list(good.values()))]
    failed = [line for number, line in sorted(lines.items()) if line.get("ratio") is None]
    if failed:
        parts += ["## Not measured\n", *[f"- {line['number']}: {line.get('error', NO_FIT)}" for line in failed], ""]
    parts += ["## All problems\n", table(list(good.values()))]
    (DOCS / "benchmarks-sweep.md").write_text("\n".join(parts), "utf-8")


def machine() -> str:
    """Return the processor and the versions."""
    found = []
    for name in ("softreg", "scikit-learn", "scikit-learn-intelex", "cyanure", "skglm", "numpy"):
        with suppress(PackageNotFoundError):  # not every peer is offered for every processor
            found.append(f"{name} {version(name)}")
    return f"{page.processor()}, {os.cpu_count()} cores; {', '.join(found)}"


def busy(lines: list[dict[str, Any]]) -> str:
    """Return a sentence where other programs ran; the ratio of processor seconds depends less on these."""
    load = float(np.median([line["load"] for line in lines]))
    if load <= BUSY_LOAD * (os.cpu_count() or 1):
        return ""
    ratios = [line["processor_ratio"] for line in lines if line["processor_ratio"] is not None]
    return (
        f" Other programs ran (median load {load:.1f}); by processor seconds, the median of {len(ratios)} ratios is "
        f"{np.median(ratios):.2g}, the least {min(ratios):.2g}, and {sum(ratio < 1 for ratio in ratios)} are below 1."
    )


def overview(lines: list[dict[str, Any]]) -> str:
    """Return the table of worst and median ratios by penalty and kind of columns."""
    rows = ["| penalty | columns | problems | worst | median | below 1 |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    for penalty in dict.fromkeys(PENALTIES.values()):
        mine = [line for line in lines if PENALTIES[line["penalty"]] == penalty]
        for family in ("all", *sweep_problems.FAMILIES):
            ratios = [line["ratio"] for line in mine if family in ("all", line["family"])]
            if ratios:
                below = sum(ratio < 1 for ratio in ratios)
                rows.append(
                    f"| {penalty} | {family} | {len(ratios)} | {min(ratios):.2g} | {np.median(ratios):.3g} | {below} |"
                )
    return "\n".join([*rows, ""])


def memory_ratios(line: dict[str, Any]) -> tuple[float, float] | None:
    """Return softreg's memory over that of the fastest peer: of the fits, and with the rows; or None."""
    both = line.get("memory") or {}
    ours, peer, rows = both.get("softreg"), both.get(line["peer"] or ""), line["bytes"]
    if ours is None or peer is None:
        return None
    return (rows + ours) / (rows + peer), ours / max(peer, 1)


def memory(lines: list[dict[str, Any]]) -> str:
    """Return what there is to say of memory, with the problems beyond the target."""
    found = [(ratios, line) for line in lines if (ratios := memory_ratios(line)) is not None]
    if not found:
        return "No problem was large enough.\n"
    whole, alone = np.array([ratios for ratios, _ in found]).T
    beyond = sorted((pair for pair in found if max(pair[0]) > MOST_MEMORY), key=lambda pair: pair[0], reverse=True)
    text = [
        f"{len(found)} problems. With the rows the median ratio is {np.median(whole):.2g}, the largest "
        f"{max(whole):.2g}, and {(whole > MOST_MEMORY).sum()} are above {MOST_MEMORY}. Of the fits alone the median is "
        f"{np.median(alone):.2g}, the largest {max(alone):.2g}, and {(alone > MOST_MEMORY).sum()} are above it.",
        "",
        MEMORY,
    ]
    if beyond:
        text += [
            "| number | X, MB | softreg, MB | plan | peer, MB | ratio with X | of the fit |",
            "| ---: | ---: | ---: | --- | --- | ---: | ---: |",
        ]
    for (with_rows, fit), line in beyond:
        ours, peer = line["memory"]["softreg"] / 1e6, line["memory"][line["peer"]] / 1e6
        cells = f"{line['bytes'] / 1e6:.1f} | {ours:.1f} | {line['softreg']['plan']} | {peer:.1f} ({line['peer']})"
        text.append(f"| {line['number']} | {cells} | {with_rows:.2g} | {fit:.2g} |")
    return "\n".join([*text, ""])


def table(lines: list[dict[str, Any]]) -> str:
    """Return the table of all problems, the smallest ratio first."""
    rows = [
        "| number | columns | n | d | q | strength | penalty | numbers | softreg, s | plan | peer, s | ratio |",
        "| ---: | --- | ---: | ---: | ---: | ---: | --- | --- | ---: | --- | --- | ---: |",
    ]
    for line in sorted(lines, key=lambda line: line["ratio"]):
        ours = line["softreg"]
        peer = f"{line['peer_run']['seconds']:.3g} ({line['peer']})" if line["peer"] else "none"
        penalty = line["penalty"] + (f" {line['l1_ratio']:g}" if line["penalty"] == "elasticnet" else "")
        shape = f"{line['n']:,} | {line['d']:,} | {line['q']} | {line['strength']:g} | {penalty} | {line['dtype']}"
        ratio = f"{'>' if line['bounded'] else ''}{line['ratio']:.2g}"
        cells = f"{shape} | {ours['seconds']:.3g} | {ours['plan']} | {peer} | {ratio}"
        rows.append(f"| {line['number']} | {line['family']} | {cells} |")
    return "\n".join([*rows, ""])


def draw(lines: list[dict[str, Any]], path: Path) -> None:
    """Draw the sorted ratios, coloured by kind of columns; the shape of a point is the penalty."""
    with plt.rc_context({"svg.hashsalt": "sweep", "svg.fonttype": "none", "font.size": 10}):
        figure, axes = plt.subplots(figsize=(7.6, 4.6), layout="constrained")
        order = sorted(lines, key=lambda line: line["ratio"])
        colours = dict(zip(sweep_problems.FAMILIES, picture.COLOURS, strict=False))
        for family, colour in colours.items():
            for penalty, marker in MARKERS.items():
                points = [
                    (k, line["ratio"])
                    for k, line in enumerate(order)
                    if (line["family"], line["penalty"]) == (family, penalty)
                ]
                if points:
                    label = family if penalty == "l2" else None
                    axes.plot(*zip(*points, strict=True), marker, ms=4, color=colour, ls="", label=label)
        for penalty, marker in MARKERS.items():
            name = "elastic net" if penalty == "elasticnet" else penalty
            axes.plot([], [], marker, ms=4, color="#444444", ls="", label=name)
        axes.axhline(1.0, color="#444444", lw=0.8)
        axes.set(yscale="log", xlabel="problems, sorted", ylabel="fastest peer's seconds / softreg's")
        axes.grid(True, axis="y", which="major", color="#eeeeee")
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(figure)
