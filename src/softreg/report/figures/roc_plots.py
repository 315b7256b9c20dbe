"""The curves of ranking, as inline SVG: ROC, precision and recall, gains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from softreg.report.evaluation.gains import Gains
from softreg.report.evaluation.number_format import LONGEST_NAME, number, shortened
from softreg.report.evaluation.roc_curves import GRID, Discrimination
from softreg.report.figures.reliability_plots import MOST_POINTS, short_title
from softreg.report.figures.svg import BAND, BLUE, MUTED, ORANGE, figure_svg, house_style

Kind = Literal["roc", "precision"]
KINDS: tuple[Kind, Kind] = ("roc", "precision")
MOST_DRAWN = 8
"""Classes of which curves are drawn."""
AXES: dict[Kind, tuple[str, str]] = {
    "roc": ("false positive rate (1 − specificity)", "true positive rate (recall)"),
    "precision": ("recall", "precision"),
}
TITLES: dict[Kind, str] = {"roc": "ROC curve", "precision": "Precision-recall curve"}


def ranking_curve(found: Discrimination, kind: Kind, name: str) -> Markup:
    """Draw the ROC or the precision-recall curve of a class with its pointwise band; `name` opens the ids.

    >>> from softreg.report.evaluation.roc_curves import discrimination
    >>> found = discrimination(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]), name="spam")
    >>> "ROC curve of spam: area 0.875" in ranking_curve(found, "roc", "roc")
    True
    """
    with house_style():
        figure = Figure(figsize=(4.6, 4.0))
        axes = figure.subplots()
        _draw(axes, found, kind)
        axes.set(xlabel=AXES[kind][0], ylabel=AXES[kind][1])
        _shares(axes, np.linspace(0, 1, 6))
        figure.subplots_adjust(left=0.15, right=0.975, top=0.98, bottom=0.125)
    return figure_svg(figure, name, _label([found], kind))


def ranking_curves(found: Sequence[Discrimination], kind: Kind, name: str) -> Markup:
    """Draw the curves of several classes side by side, each against the rest; `name` opens the ids."""
    columns = min(4, len(found))
    lines = -(-len(found) // columns)
    with house_style():
        figure = Figure(figsize=(1.95 * columns + 0.3, 2.05 * lines + 0.45))
        width, height = figure.get_figwidth(), figure.get_figheight()
        panels = np.atleast_1d(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)).ravel()
        for axes, one in zip(panels, found, strict=False):
            _draw(axes, one, kind)
            axes.set_title(short_title(one.name), fontsize=9)
            _shares(axes, np.array([0, 0.5, 1]))
        for axes in panels[len(found) :]:
            axes.set_visible(False)
        figure.supxlabel(AXES[kind][0], fontsize=9, color=MUTED, y=0.02)
        figure.supylabel(AXES[kind][1], fontsize=9, color=MUTED, x=0.01)
        figure.subplots_adjust(
            left=0.72 / width, right=0.985, top=1 - 0.28 / height, bottom=0.55 / height, hspace=0.32, wspace=0.24
        )
    return figure_svg(figure, name, _label(found, kind))


def _label(found: Sequence[Discrimination], kind: Kind) -> str:
    areas = [(one.auc if kind == "roc" else one.average_precision) for one in found]
    what = "area" if kind == "roc" else "average precision"
    told = [
        f"{shortened(one.name, LONGEST_NAME)}: {what} {number(area.value)}"
        for one, area in zip(found, areas, strict=True)
    ]
    return f"{TITLES[kind]} of {', '.join(told)}."


def _draw(axes: Axes, found: Discrimination, kind: Kind) -> None:
    if kind == "roc":
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.fill_between(GRID, found.tpr_band[0], found.tpr_band[1], color=BAND, linewidth=0)
        x, y = _thinned(found.fpr, found.tpr)
        axes.plot(x, y, color=BLUE, linewidth=1.8)
    else:
        axes.axhline(found.prevalence, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.fill_between(GRID[1:], found.precision_band[0, 1:], found.precision_band[1, 1:], color=BAND, linewidth=0)
        at = np.append(True, np.diff(found.recall) > 0)  # below a recall, the best precision that reaches it
        x, y = _thinned(found.recall[at], found.precision[at])
        axes.plot(np.append(0, x), np.append(y[0], y), color=BLUE, linewidth=1.8, drawstyle="steps-pre")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.03))


def _shares(axes: Axes, ticks: NDArray[np.float64]) -> None:
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most about MOST_POINTS of the points, spread over the length of the curve, both ends among them."""
    if len(x) <= MOST_POINTS:
        return x, y
    length = np.cumsum(np.append(0, np.abs(np.diff(x)) + np.abs(np.diff(y))))
    at = np.unique(np.searchsorted(length, np.linspace(0, length[-1], MOST_POINTS)))
    return x[at], y[at]


def gain_curve(found: Gains, name: str) -> Markup:
    """Draw recall against the share of rows from the top, beside a random order and a perfect one."""
    n = len(found.found) - 1
    at = np.unique(np.linspace(0, n, min(n + 1, MOST_POINTS)).round().astype(int))
    perfect = found.total / n
    with house_style():
        figure = Figure(figsize=(4.6, 3.4))
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot([0, perfect, 1], [0, 1, 1], color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
        axes.plot(at / n, found.found[at], color=BLUE, linewidth=1.8)
        tenth = round(0.1 * n)
        axes.plot([tenth / n], [found.found[tenth]], "o", color=ORANGE, markersize=6)
        axes.annotate(
            f"10% of the rows: {found.found[tenth]:.0%}", (tenth / n, found.found[tenth]), (9, -11),
            textcoords="offset points", color=ORANGE,
        )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="share of rows, the most likely first")
        axes.set_ylabel(f"recall of “{short_title(found.wanted)}”")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        figure.subplots_adjust(left=0.13, right=0.975, top=0.98, bottom=0.135)
    of = shortened(found.wanted, LONGEST_NAME)
    return figure_svg(figure, name, f"Gains: 10% of the rows hold {found.found[tenth]:.0%} of all {of}.")
