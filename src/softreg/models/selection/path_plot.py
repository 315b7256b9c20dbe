"""Plot of a path: held-out scores with their standard errors against strength."""

from __future__ import annotations

from typing import Any

import numpy as np

from softreg.models.selection.regularization_path import Path
from softreg.typing import BoolArray

SCORE_NAMES = {
    "log_loss": "log loss (nats)",
    "neg_log_loss": "negative log loss (nats)",
    "brier": "Brier score",
    "accuracy": "accuracy",
}
CURVE_COLOURS = ("#1f5fa8", "#3f8f5f", "#8a5aa8", "#a8741f", "#5f6a75")
CHOSEN_COLOUR = "#d1640f"
MAX_FOLD_CURVES = 20
"""Folds up to which each has a curve of its own; more curves cannot be distinguished."""
LOG_SCALE_RATIO = 4.0
"""Losses that differ by more than this factor have a logarithmic axis, which shows their minimum."""
MAX_COUNTS = 8
"""Numbers of nonzero weights that are written above the plot."""


def plot(path: Path, axes: Any = None) -> Any:
    """Draw mean scores with their standard errors, the scores of each fold, and the chosen strength.

    A band extends from the best mean by one standard error; means within it are as good as the best. The number of
    nonzero weights is written above a path with an l1 part.

    Parameters
    ----------
    path : Path
        The path.
    axes : matplotlib.axes.Axes, optional
        Axes to draw on; by default new ones.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.
    """
    if axes is None:
        from matplotlib import pyplot

        axes = pyplot.subplots(figsize=(6.0, 3.8), layout="constrained")[1]
    curves = np.unique(np.stack([path.l1_ratio, -path.relaxed], axis=1), axis=0)
    for (ratio, negative_share), colour in zip(curves, np.resize(CURVE_COLOURS, len(curves)), strict=True):
        points = (path.l1_ratio == ratio) & (path.relaxed == -negative_share)
        _draw_curve(axes, path, points, str(colour), several=len(curves) > 1)
    _draw_best(axes, path)
    _set_scales(axes, path)
    if len(curves) == 1 and len(set(path.nonzero.tolist())) > 1:
        _draw_counts(axes, path)
    axes.legend(frameon=False, fontsize="small")
    return axes


def _draw_curve(axes: Any, path: Path, points: BoolArray, colour: str, *, several: bool) -> None:
    """Draw the means of these points, and the scores of the folds behind them."""
    strength, mean = path.strength[points], path.mean[points]
    if not several and path.scores.shape[1] <= MAX_FOLD_CURVES:
        for k, scores in enumerate(path.scores[points].T):
            axes.plot(strength, scores, color="0.75", linewidth=0.8, zorder=1, label="" if k else "each fold")
    error = np.where(np.isfinite(path.error[points]), path.error[points], 0.0)
    label = _point_label(path, int(np.flatnonzero(points)[0])) or "mean, standard error"
    style = {"marker": "o", "markersize": 4, "linewidth": 1.6, "capsize": 2.5, "elinewidth": 1.2}
    axes.errorbar(strength, mean, error, color=colour, zorder=3, label=label, **style)


def _point_label(path: Path, at: int) -> str:
    """Return l1_ratio and relaxed share of a point, as far as they vary along the path."""
    parameters = {"l1_ratio": path.l1_ratio, "relaxed": path.relaxed}
    return ", ".join(f"{name} {values[at]:g}" for name, values in parameters.items() if len(np.unique(values)) > 1)


def _draw_best(axes: Any, path: Path) -> None:
    """Draw the band of one standard error and the chosen point."""
    sign = -1.0 if path.more_is_better else 1.0
    best = int(np.nanargmin(sign * path.mean))
    if np.isfinite(path.error[best]):
        ends = sorted([path.mean[best], path.mean[best] + sign * path.error[best]])
        axes.axhspan(
            *ends, color=CHOSEN_COLOUR, alpha=0.15, linewidth=0, zorder=0, label="best, within one standard error"
        )
    at = path.chosen
    label = ", ".join(filter(None, [f"chosen: {path.strength[at]:.3g}", _point_label(path, at)]))
    axes.axvline(path.strength[at], color=CHOSEN_COLOUR, linewidth=0.8, linestyle=":", zorder=2)
    axes.plot(path.strength[at], path.mean[at], "D", color=CHOSEN_COLOUR, markersize=7, zorder=4, label=label)


def _set_scales(axes: Any, path: Path) -> None:
    """Set a logarithmic axis for strengths, and for losses that differ much, and the names of both."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    name = SCORE_NAMES.get(path.scoring, path.scoring.replace("_", " "))
    axes.set(xscale="log", xlabel="strength of the penalty", ylabel=f"held-out {name}")
    mean = path.mean[np.isfinite(path.mean)]
    if not path.more_is_better and mean.min() > 0 and mean.max() > LOG_SCALE_RATIO * mean.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right"]].set_visible(False)


def _draw_counts(axes: Any, path: Path) -> None:
    """Write the number of nonzero weights above some of the points."""
    at = np.unique(np.linspace(0, len(path) - 1, min(len(path), MAX_COUNTS)).round().astype(int))
    top = axes.secondary_xaxis("top")
    top.set_xticks(path.strength[at], [f"{count:,}" for count in path.nonzero[at]])
    top.minorticks_off()
    top.tick_params(length=0, labelsize="small")
    top.spines["top"].set_visible(False)
    top.set_xlabel("weights that are not 0", fontsize="small")
