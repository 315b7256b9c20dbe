"""The picture of a path: held-out scores against strength, with what chance leaves open."""

from __future__ import annotations

from typing import Any

import numpy as np

from softreg.models.selection.regularization_path import Path
from softreg.rows import Array

NAMES = {
    "log_loss": "log loss (nats)",
    "neg_log_loss": "negative log loss (nats)",
    "brier": "Brier score",
    "accuracy": "accuracy",
}
COLOURS = ("#1f5fa8", "#3f8f5f", "#8a5aa8", "#a8741f", "#5f6a75")
CHOSEN = "#d1640f"
MOST_FOLDS = 20
"""So many folds are drawn each; more would be a smear."""
WIDE = 4.0
"""Losses that differ by more than this factor are drawn on a logarithmic axis: else their turn cannot be seen."""
MOST_COUNTS = 8
"""So many numbers of weights stand above the picture."""


def plot(path: Path, axes: Any = None) -> Any:
    """Draw mean scores with their standard errors, each fold, and the chosen strength; returns the Matplotlib axes.

    A band reaches from the best mean to one standard error beyond it: means within are as good as the best. Above an
    l1 path stands the number of weights that are not 0.
    """
    if axes is None:
        from matplotlib import pyplot

        axes = pyplot.subplots(figsize=(6.0, 3.8), layout="constrained")[1]
    curves = np.unique(np.stack([path.l1_ratio, -path.relaxed], axis=1), axis=0)
    for (ratio, less), colour in zip(curves, np.resize(COLOURS, len(curves)), strict=True):
        _curve(axes, path, (path.l1_ratio == ratio) & (path.relaxed == -less), str(colour), several=len(curves) > 1)
    _best(axes, path)
    _scales(axes, path)
    if len(curves) == 1 and len(set(path.nonzero.tolist())) > 1:
        _counts(axes, path)
    axes.legend(frameon=False, fontsize="small")
    return axes


def _curve(axes: Any, path: Path, mine: Array, colour: str, *, several: bool) -> None:
    """The means at one l1_ratio and share of it, and the folds behind them."""
    strength, mean = path.strength[mine], path.mean[mine]
    if not several and path.scores.shape[1] <= MOST_FOLDS:
        for k, scores in enumerate(path.scores[mine].T):
            axes.plot(strength, scores, color="0.75", linewidth=0.8, zorder=1, label="" if k else "each fold")
    error = np.where(np.isfinite(path.error[mine]), path.error[mine], 0.0)
    label = _place(path, int(np.flatnonzero(mine)[0])) or "mean, standard error"
    style = {"marker": "o", "markersize": 4, "linewidth": 1.6, "capsize": 2.5, "elinewidth": 1.2}
    axes.errorbar(strength, mean, error, color=colour, zorder=3, label=label, **style)


def _place(path: Path, at: int) -> str:
    """What tells this point's curve from the others; nothing where there is but one."""
    told = {"l1_ratio": path.l1_ratio, "relaxed": path.relaxed}
    return ", ".join(f"{name} {values[at]:g}" for name, values in told.items() if len(np.unique(values)) > 1)


def _best(axes: Any, path: Path) -> None:
    """The band of what is as good as the best, and the chosen point."""
    sign = -1.0 if path.more_is_better else 1.0
    best = int(np.nanargmin(sign * path.mean))
    if np.isfinite(path.error[best]):
        ends = sorted([path.mean[best], path.mean[best] + sign * path.error[best]])
        axes.axhspan(*ends, color=CHOSEN, alpha=0.15, linewidth=0, zorder=0, label="best, within one standard error")
    at = path.chosen
    words = ", ".join(filter(None, [f"chosen: {path.strength[at]:.3g}", _place(path, at)]))
    axes.axvline(path.strength[at], color=CHOSEN, linewidth=0.8, linestyle=":", zorder=2)
    axes.plot(path.strength[at], path.mean[at], "D", color=CHOSEN, markersize=7, zorder=4, label=words)


def _scales(axes: Any, path: Path) -> None:
    """Logarithmic strengths, losses too where they differ much, and the names of both."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    name = NAMES.get(path.scoring, path.scoring.replace("_", " "))
    axes.set(xscale="log", xlabel="strength of the penalty", ylabel=f"held-out {name}")
    mean = path.mean[np.isfinite(path.mean)]
    if not path.more_is_better and mean.min() > 0 and mean.max() > WIDE * mean.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right"]].set_visible(False)


def _counts(axes: Any, path: Path) -> None:
    """How many weights are not 0, above some of the points."""
    some = np.unique(np.linspace(0, len(path) - 1, min(len(path), MOST_COUNTS)).round().astype(int))
    top = axes.secondary_xaxis("top")
    top.set_xticks(path.strength[some], [f"{count:,}" for count in path.nonzero[some]])
    top.minorticks_off()
    top.tick_params(length=0, labelsize="small")
    top.spines["top"].set_visible(False)
    top.set_xlabel("weights that are not 0", fontsize="small")
