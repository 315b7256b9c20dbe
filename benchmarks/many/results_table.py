"""The tables of the results: the fit that has a target, and held-out scores beside the peers."""

from __future__ import annotations

from typing import Any

from many.all_contestants import contestants

MEGABYTE = 1e6
BUSY = 0.1
"""The share of the machine that other programs took, above which seconds by the clock are in parentheses."""
SHORT = 0.1
"""Seconds up to which that share is not known."""
SAYS = {
    "films-1297": "Next film, the films of 20 ratings or more",
    "films-9742": "Next film, all films",
    "drawn": "Dense rows around a centre for each class",
}


def section(problem: str, records: dict[str, Any]) -> list[str]:
    """Return the lines of the section of a problem; nothing is printed of what was not measured."""
    lines = [f"### {problem}: {title(problem)}", ""]
    lines += fit_table(problem, records)
    return lines + score_table(records)


def title(problem: str) -> str:
    name, _, scale = problem.partition("-") if problem.startswith("drawn") else (problem, "", "")
    return SAYS[name] + (f", at a scale of {scale}" if scale else "")


def fit_table(problem: str, records: dict[str, Any]) -> list[str]:
    """Return the table of softreg's fit to all rows."""
    record = records.get("softreg", {})
    found = record.get("whole") or (record.get("train") if problem.startswith("drawn") else None)
    if not found:
        return []
    n, d, q = found["shape"]
    beyond = found["peak"] - found["X"] - found["W"] - found["held_out"]
    cells = [
        f"{n:,} x {d:,}, {q:,} classes", f"{found['setting']['strength']:g}", f"{found['setting']['tol']:g}",
        f"{found['gap']:.1e}", str(found["passes"]), clock(found), seconds(found["processor_seconds"]),
        megabytes(found["peak"]), megabytes(found["X"]), megabytes(found["W"]), megabytes(beyond),
    ]  # fmt: skip
    names = [
        "softreg, all rows", "strength", "tol", "certified gap", "passes", "s", "processor s", "peak, MB", "X, MB",
        "W, MB", "beyond X and W, MB",
    ]  # fmt: skip
    return [*table(names, [cells]), ""]


def score_table(records: dict[str, Any]) -> list[str]:
    """Return the table of the fits to the training rows and their scores on the rows held out."""
    measured = [(c.name, records[c.name]) for c in contestants() if "train" in records.get(c.name, {})]
    if not measured:
        return []
    first = measured[0][1]["train"]
    n, _, q = first["shape"]
    allowed = first["scores"]["log_loss_allowed"] is not None
    names = ["trained on the training rows", "setting", "s", "processor s", "memory of the fit, MB", "log loss"]
    names += ["log loss, unseen films"] if allowed else []
    rows = []
    for name, record in measured:
        found = record["train"]
        scores = found["scores"]
        cells = [name, setting(found["setting"]), clock(found), seconds(found["processor_seconds"])]
        cells += [megabytes(found["peak"] - found["before"]), nats(scores["log_loss"])]
        cells += [nats(scores["log_loss_allowed"])] if allowed else []
        rows.append([*cells, share(scores["top"])])
    known = first["scores"]["known"]
    note = f"{n:,} training rows, {q:,} classes"
    if known < 1:
        note += f"; {known:.1%} of the rows held out have a class of the training rows, and the log losses are theirs"
    return [note + ".", "", *table([*names, "top 10"], rows), ""]


def table(names: list[str], rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(names) + " |", "| --- |" + " ---: |" * (len(names) - 1)]
    return lines + ["| " + " | ".join(cells) + " |" for cells in rows]


def setting(found: dict[str, Any]) -> str:
    """Return the setting in words, without what the contestant's name says."""
    shown = {name: value for name, value in found.items() if name not in ("kind", "loss") and value}
    return ", ".join(f"{name} {value:g}" for name, value in shown.items()) or "-"


def clock(found: dict[str, Any]) -> str:
    """Return the seconds by the clock, in parentheses where other programs took much of the machine."""
    shown = seconds(found["seconds"])
    return f"({shown})" if found["others"] > BUSY and found["seconds"] > SHORT else shown


def seconds(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def megabytes(value: float) -> str:
    return f"{value / MEGABYTE:,.0f}"


def nats(found: list[float]) -> str:
    value, low, high = found
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def share(found: list[float]) -> str:
    value, low, high = found
    return f"{value:.1%} ({low:.1%} to {high:.1%})"
