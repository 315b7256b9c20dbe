"""What a fit costs, as `softreg train --profile` prints it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from softreg.cli.console.aligned_text import align_columns

if TYPE_CHECKING:
    from softreg.models import Path
    from softreg.optimize import FitCost, MachineUse, Solution

GIGA = 1e9
SMALLEST = 0.01
"""Smallest share that is written as a number."""
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def profile_fit(path: Path | None, solution: Solution | None) -> tuple[str, dict[str, Any]]:
    """Return what the search for the strength and the last fit cost, as text and as plain values for JSON.

    Parameters
    ----------
    path : Path or None
        The search; None where the strength was given.
    solution : Solution or None
        The fit.

    Returns
    -------
    text : str
        A table and a sentence for each.
    record : dict
        The same by "search" and "fit"; None for what was not done.
    """
    costs = {
        "search": ("Cost of the search for the strength", None if path is None else path.cost),
        "fit": ("Cost of the fit", None if solution is None else solution.cost),
    }
    uses = [(name, title, cost, cost.on_this_machine()) for name, (title, cost) in costs.items() if cost is not None]
    text = "\n".join(format_profile(title, cost, use) for _, title, cost, use in uses)
    return text, {**dict.fromkeys(costs), **{name: profile_record(cost, use) for name, _, cost, use in uses}}


def format_profile(title: str, cost: FitCost, use: MachineUse) -> str:
    """Return the parts of a fit with what limits of the machine explain, and the sentence that says what binds it.

    Parameters
    ----------
    title : str
        What was fitted.
    cost : FitCost
        What the fit costs.
    use : MachineUse
        The same beside the limits of this machine.

    Returns
    -------
    str
        Lines of text.
    """
    parts = (
        ("passes over the rows", cost.passes_seconds),
        ("curvature and directions", cost.curvature_seconds),
        ("proofs of the gap", cost.certificate_seconds),
        ("elsewhere", cost.other_seconds),
    )
    rows = [(name, f"{seconds:.4g} s", f"{_share(seconds / cost.seconds)} of the time") for name, seconds in parts]
    memory, arithmetic = (f"{_least(share)} of the time" for share in (use.memory, use.arithmetic))
    limits = use.limits
    rate = f", at {limits.read_rate(cost.row_bytes) / GIGA:.3g} GB/s"
    peak = f", at {limits.single_rate / GIGA:.3g} (float32) and {limits.double_rate / GIGA:.3g} (float64) GFLOP/s"
    if not use.is_known:
        memory = arithmetic = rate = peak = ""
    rows += [
        ("rows read", f"{_amount(cost.bytes_read)}B", f"{memory}{rate}"),
        ("operations", f"{_amount(cost.operations)}FLOP", f"{arithmetic}{peak}"),
        ("cores at work", f"{use.busy * cost.threads:.1f}", f"of {cost.threads}, on average"),
    ]
    return f"{title}: {cost.seconds:.4g} s\n{align_columns(rows)}\n{use.sentence}"


def profile_record(cost: FitCost, use: MachineUse) -> dict[str, Any]:
    """Return the same as plain values, for JSON.

    Parameters
    ----------
    cost : FitCost
        What the fit costs.
    use : MachineUse
        The same beside the limits of this machine.

    Returns
    -------
    dict
        The fields of both records; shares are None where the limits are not those of the machine with the rows.
    """
    shares = {f"{name}_share": getattr(use, name) if use.is_known else None for name in ("memory", "arithmetic")}
    return {
        **asdict(cost),
        "other_seconds": cost.other_seconds,
        **shares,
        "overhead_share": use.overhead,
        "busy_share": use.busy,
        "bottleneck": use.bottleneck.value,
        "sentence": use.sentence,
        "machine": asdict(use.limits),
    }


def _amount(number: float) -> str:
    """Return a number with three digits and a prefix of its unit."""
    for size, prefix in UNITS:
        if number >= size:
            return f"{number / size:.3g} {prefix}"
    return "0 "


def _share(share: float) -> str:
    return f"under {SMALLEST:.0%}" if 0 < share < SMALLEST else f"{share:.0%}"


def _least(share: float) -> str:
    """Return a share that is a lower bound."""
    return _share(share) if share < SMALLEST else f"at least {_share(share)}"
