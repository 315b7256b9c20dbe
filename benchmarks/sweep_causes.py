"""Why a peer is faster on a problem of the sweep: kinds of problems, and what softreg spends its time on there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cause:
    """A kind of problem, and the reason that holds for it."""

    holds: Callable[[dict[str, Any]], bool]
    text: str


def seconds(line: dict[str, Any]) -> float:
    """Return softreg's seconds."""
    return float(line["softreg"]["seconds"])


CAUSES = (
    Cause(
        lambda line: line["ratio"] >= 0.9,
        "Within a tenth of the peer: repeated measurements differ by as much.",
    ),
    Cause(
        lambda line: seconds(line) < 1e-3,
        "Checks of the input, the plan, the proof and the record of the fit take 0.25 to 0.3 ms of Python, "
        "as much as the peer's whole fit.",
    ),
    Cause(
        lambda line: line["softreg"]["plan"] == "row-space",
        "The QR factorisation of the rows takes more than half of the time; it saves passes that the peer "
        "can afford at 1e-5 nats.",
    ),
    Cause(
        lambda line: line["penalty"] != "l2" and line["q"] > 2,
        "Hundreds of weights of correlated columns are not 0: the quadratic models of proximal Newton steps "
        "take nearly all of the time. Orthant-wise L-BFGS, which the plan uses for uncorrelated columns, is "
        "no faster here.",
    ),
    Cause(
        lambda line: line["penalty"] != "l2",
        "The proof: with a weak l1 penalty the gap that can be proved is far larger than the true one (8e-3 "
        "where it was 3e-9 on problem 133), so that the fit goes on long after 1e-5 nats are reached.",
    ),
    Cause(
        lambda line: line["sparse"],
        "Few sweeps of dual ascent are needed, so that the moments of the columns, the start and the proof "
        "take half of the time.",
    ),
    Cause(
        lambda line: line["q"] > 2,
        "Few rows and many classes: products with the Hessian in float64 take nearly all of the time. In "
        "float32 they took no less, as more of them were needed.",
    ),
    Cause(
        lambda line: line["n"] >= 10_000,
        "The fit ends below 1e-9 nats from the minimum where 1e-5 were asked for: a Newton step from samples "
        "leads there at once, and the proof takes a further pass.",
    ),
    Cause(
        lambda line: line["d"] > line["n"],
        "More columns than rows, correlated: L-BFGS with the diagonal needs more passes than the peer's Newton "
        "method by conjugate gradients. softreg's own Newton method took no less time.",
    ),
    Cause(
        lambda line: True, "No single cause: the steps take as long as those of the peer, and the proof comes on top."
    ),
)
"""The first that holds is the reason."""


def cause(line: dict[str, Any]) -> str:
    """Return the reason for a ratio below 1."""
    return next(found.text for found in CAUSES if found.holds(line))


def section(lines: list[dict[str, Any]]) -> str:
    """Return the part of the page that names each ratio below 1 with its reason."""
    below = sorted((line for line in lines if line["ratio"] < 1), key=lambda line: line["ratio"])
    if not below:
        return "No ratio is below 1.\n"
    text = [f"{len(below)} of {len(lines)} ratios are below 1. The reasons, with the problems and their ratios:", ""]
    for reason in dict.fromkeys(found.text for found in CAUSES):
        mine = [f"{line['number']} ({line['ratio']:.2g})" for line in below if cause(line) == reason]
        if mine:
            text += [f"- {reason}", "", f"  {', '.join(mine)}", ""]
    return "\n".join([*text, ""])
