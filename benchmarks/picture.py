"""The picture of a problem: seconds against the gap to the minimum, on logarithmic axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import problems

matplotlib.use("svg")
import matplotlib.pyplot as plt

COLOURS = ("#d1495b", "#30638e", "#5b8e7d", "#edae49", "#7b5ea7", "#3d9be0", "#8c6d46", "#e27396", "#9a9a9a", "#444444")
FLOOR = 1e-12
"""Gaps below are drawn here: the optimum itself is not known better."""


def draw(problem: problems.Problem, records: list[Any], path: Path) -> bool:
    """Write the picture; False where no contestant has a point to show."""
    with plt.rc_context({"svg.hashsalt": problem.name, "svg.fonttype": "none", "font.size": 10}):
        figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
        shown = 0
        for record, colour in zip(records, COLOURS * 2, strict=False):
            points = frontier([(record.median(s), max(gap, FLOOR)) for s, gap in record.gaps.items() if gap < 1e3])
            if points:
                ours = record.name == "softreg"
                style = {"lw": 2.4, "zorder": 3} if ours else {"lw": 1.2}
                axes.plot(
                    *zip(*points, strict=True), "o-", ms=4 if ours else 3, color=colour, label=record.name, **style
                )
                shown += 1
        axes.set(xscale="log", yscale="log", xlabel="seconds of a complete fit", ylabel="F - F*, nats")
        axes.axhline(problem.gaps[-1], color="#bbbbbb", lw=0.8, ls=":")
        axes.grid(True, which="major", color="#eeeeee")
        axes.spines[["top", "right"]].set_visible(False)
        if shown:
            figure.legend(loc="outside right upper", frameon=False, fontsize=8)
            figure.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return bool(shown)


def frontier(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both time and gap, from left to right; the worst of the rest is noise."""
    best: list[tuple[float, float]] = []
    for seconds, gap in sorted(points):
        if not best or gap < best[-1][1]:
            best.append((seconds, gap))
    return best
