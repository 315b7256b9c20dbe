"""docs/benchmarks.md: one section a problem, each replaced alone, and an overview of all; and the pictures."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import peers
import picture
import problems
from many import results_table

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"
BUSY = 0.1
"""From this share of the machine on, other programs are mentioned."""
UNFAIR = "libraries whose threads wait for one another lose most by that, so the ratios may flatter softreg."
HEAD, AIMS, CAPABILITIES, MANY_CLASSES = (
    Path(__file__).with_name(name) for name in ("preface.md", "targets.md", "capabilities.md", "many_classes.md")
)


def write(
    problem: problems.Problem, best: problems.Optimum, records: list, absent: list[str], limit: float, others: float
) -> None:
    """Replace this problem's section and picture, and the overview."""
    drawn = picture.draw(problem, records, DOCS / f"benchmarks-{problem.name}.svg")
    sections = stored()
    sections[problem.name] = section(problem, best, records, absent, limit, others, drawn)
    assemble(sections)


def assemble(sections: dict[str, str]) -> None:
    """Write the page: how it is measured, the overview, the aims, cross-validation, and the sections."""
    body = [HEAD.read_text(), overview(sections), AIMS.read_text(), CAPABILITIES.read_text(), many_classes()]
    body += [
        f"<!-- {name} -->\n{sections[name]}<!-- end of {name} -->\n" for name in problems.PROBLEMS if name in sections
    ]
    PAGE.write_text("\n".join(body))


def many_classes() -> str:
    """Return the section of the fits with thousands of classes: its preface, and the tables of what was measured."""
    results = json.loads(MANY_CLASSES.with_suffix(".json").read_text())
    tables = [line for name, records in results.items() for line in results_table.section(name, records)]
    return MANY_CLASSES.read_text() + "\n" + "\n".join(tables)


def stored() -> dict[str, str]:
    """The sections that stand in the page."""
    text = PAGE.read_text() if PAGE.exists() else ""
    return {m[1]: m[2] for m in re.finditer(r"<!-- (\w+) -->\n(.*?)<!-- end of \1 -->\n", text, re.DOTALL)}


def section(
    problem: problems.Problem,
    best: problems.Optimum,
    records: list,
    absent: list[str],
    limit: float,
    others: float,
    drawn: bool,
) -> str:
    X, y, X_test, _ = problems.load(problem)
    kind = f"sparse, {X.nnz:,} non-zeros, " if hasattr(X, "nnz") else ""
    held_out = f"; {X_test.shape[0]:,} rows held out" if X_test is not None else ""
    lines = [
        f"## {problem.name}: {problem.says}",
        "",
        f"{X.shape[0]:,} x {X.shape[1]:,} {kind}{X.dtype}, q = {int(y.max()) + 1}, "
        f"strength {problem.strength:g}{held_out}. "
        f"F\\* = {best.value:.12f}, proved to {best.gap:.0e} ({best.bound}).",
        "",
        *table(problem, records, limit),
        "",
    ]
    lines += [f"![Seconds against the gap to the minimum](benchmarks-{problem.name}.svg)", ""] if drawn else []
    lines += [machine(limit, others)]
    lines += [f"Not installed, skipped: {', '.join(absent)}."] if absent else []
    return "\n".join([*lines, "", figures_comment(problem, records, limit), ""])


def table(problem: problems.Problem, records: list, limit: float) -> list[str]:
    names = ["contestant", "defaults: s (gap)", *(f"s to {gap:.0e}" for gap in problem.gaps)]
    names += ["times softreg", "memory, MB", "log loss", "rounds"]
    lines = ["| " + " | ".join(names) + " |", "| --- |" + " ---: |" * (len(names) - 1)]
    finest = problem.gaps[-1]
    ours = next((r.best(finest) for r in records if r.name == "softreg"), None)
    for record in records:
        default = f"not in {limit:g} s" if record.cut and None in record.begun else "-"
        if None in record.gaps:
            default = f"{seconds(record.median(None))} ({gap_word(record.gaps[None])})"
        cells = [record.name, default, *(reach(record, gap, limit) for gap in problem.gaps)]
        cells += [ratio(record, finest, ours), f"{record.extra / 1e6:,.0f}" if record.gaps else "-"]
        cells += ["-" if record.log_loss is None else f"{record.log_loss:.4f}"]
        cells += [str(max((len(s) for s in record.seconds.values()), default=0))]
        lines.append("| " + " | ".join(cells) + " |")
    errors = [f"{record.name}: {record.error}" for record in records if record.error]
    return [*lines, "", *(f"- {error}" for error in errors)] if errors else lines


def seconds(value: float) -> str:
    return f"{value:.3g}" if value >= 0.01 else f"{value * 1000:.2g}e-3"


def gap_word(gap: float) -> str:
    return "no number" if not gap < 1e200 else f"{max(gap, 0):.0e}" if gap > 1e-12 else "< 1e-12"


def reach(record: Any, gap: float, limit: float) -> str:
    best = record.best(gap)
    if best:
        return seconds(best[0])
    if not record.gaps:
        return f"no fit in {limit:g} s" if record.cut else "failed"
    if record.cut:
        return f"> {seconds(record.missed(gap))}" if record.missed(gap) else "not reached"
    return f"ends at {gap_word(min(record.gaps.values()))}"


def ratio(record: Any, gap: float, ours: Any) -> str:
    best = record.best(gap)
    if not ours or record.name == "softreg":
        return "1" if ours else "-"
    if best:
        return f"{best[0] / ours[0]:.2g}"
    if record.cut:
        return f"> {record.missed(gap) / ours[0]:.2g}" if record.missed(gap) else "-"
    return "never" if record.gaps else "-"


def machine(limit: float, others: float) -> str:
    names = sorted({peers.version(module) for module in peers.peers() if peers.installed(module)})
    names += [f"{name} {version(name)}" for name in ("numpy", "scipy")]
    busy = (
        f" **Other programs took {others:.0%} of the machine meanwhile:** provisional; {UNFAIR}"
        if others > BUSY
        else ""
    )
    return (
        f"Measured {datetime.date.today()} on {os.cpu_count()} cores ({processor()}), "
        f"Python {platform.python_version()}; limit {limit:g} s a contestant."
        f"{busy if others > BUSY else ''} {', '.join(names)}."
    )


def processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def figures_comment(problem: problems.Problem, records: list, limit: float) -> str:
    """What the overview needs, as a comment that the page does not show."""
    gap = problem.gaps[-1]
    ours = next((r.best(gap) for r in records if r.name == "softreg"), None)
    found = [(best[0], r.name) for r in records if r.name != "softreg" and (best := r.best(gap))]
    peer = min(found, default=None)
    return (
        "<!-- figures " + json.dumps({"gap": gap, "softreg": ours and ours[0], "peer": peer, "limit": limit}) + " -->"
    )


def overview(sections: dict[str, str]) -> str:
    lines = [
        "## Overview",
        "",
        "| problem | gap | softreg, s | best peer, s | times softreg |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name in problems.PROBLEMS:
        found = re.search(r"<!-- figures (.*) -->", sections.get(name, ""))
        if not found:
            continue
        row = json.loads(found[1])
        ours, peer = row["softreg"], row["peer"]
        best = f"{seconds(peer[0])} ({peer[1]})" if peer else f"none (limit {row['limit']:g} s)"
        times = f"{peer[0] / ours:.2g}" if peer and ours else "-"
        lines.append(
            f"| [{name}](#{anchor(name)}) | {row['gap']:.0e} | {seconds(ours) if ours else '-'} | {best} | {times} |"
        )
    lines += ["", "Above 1, softreg is faster than every peer; below 1, it is slower than the best."]
    absent = [name for name in problems.PROBLEMS if name not in sections]
    return "\n".join([*lines, *([f"Not measured yet: {', '.join(absent)}."] if absent else []), ""])


def anchor(name: str) -> str:
    """The address that a heading has on the usual hosts: lower case, words joined by hyphens, signs dropped."""
    heading = f"{name}: {problems.PROBLEMS[name].says}".lower()
    return re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")
