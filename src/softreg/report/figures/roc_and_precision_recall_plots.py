"""ROC and precision-recall curves as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from softreg.report.evaluation.number_format import MAX_NAME_LENGTH, format_number, shorten_middle
from softreg.report.evaluation.roc_and_precision_recall import GRID, Discrimination
from softreg.report.figures.svg import BAND, BLUE, MAX_POINTS, MUTED, class_title, figure_svg, report_style
from softreg.typing import Float64Array

Kind = Literal["roc", "precision"]
KINDS: tuple[Kind, Kind] = ("roc", "precision")
MAX_DRAWN = 8
"""Classes whose curves are drawn."""
AXES: dict[Kind, tuple[str, str]] = {
    "roc": ("false positive rate (1 − specificity)", "true positive rate (recall)"),
    "precision": ("recall", "precision"),
}
TITLES: dict[Kind, str] = {"roc": "ROC curve", "precision": "Precision-recall curve"}


def roc_curve(curve: Discrimination, kind: Kind, name: str) -> Markup:
    """Draw the ROC or the precision-recall curve of a class with its pointwise band.

    Parameters
    ----------
    curve : Discrimination
        The curves of the class.
    kind : {"roc", "precision"}
        Which of the two curves.
    name : str
        Prefix of the ids of the figure, unique on the page.

    Returns
    -------
    Markup
        The SVG element.

    Examples
    --------
    >>> from softreg.report.evaluation.roc_and_precision_recall import discrimination
    >>> curve = discrimination(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]), name="spam")
    >>> "ROC curve of spam: area 0.875" in roc_curve(curve, "roc", "roc")
    True
    """
    with report_style():
        figure = Figure(figsize=(4.6, 4.0))
        axes = figure.subplots()
        _draw(axes, curve, kind)
        axes.set(xlabel=AXES[kind][0], ylabel=AXES[kind][1])
        _shares(axes, np.linspace(0, 1, 6))
        figure.subplots_adjust(left=0.15, right=0.975, top=0.98, bottom=0.125)
    return figure_svg(figure, name, _label([curve], kind))


def class_roc_curves(curves: Sequence[Discrimination], kind: Kind, name: str) -> Markup:
    """Draw the curves of several classes side by side, each against the rest."""
    columns = min(4, len(curves))
    lines = -(-len(curves) // columns)
    with report_style():
        figure = Figure(figsize=(1.95 * columns + 0.3, 2.05 * lines + 0.45))
        width, height = figure.get_figwidth(), figure.get_figheight()
        panels = np.atleast_1d(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)).ravel()
        for axes, one in zip(panels, curves, strict=False):
            _draw(axes, one, kind)
            axes.set_title(class_title(one.name), fontsize=9)
            _shares(axes, np.array([0, 0.5, 1]))
        for axes in panels[len(curves) :]:
            axes.set_visible(False)
        figure.supxlabel(AXES[kind][0], fontsize=9, color=MUTED, y=0.02)
        figure.supylabel(AXES[kind][1], fontsize=9, color=MUTED, x=0.01)
        figure.subplots_adjust(
            left=0.72 / width, right=0.985, top=1 - 0.28 / height, bottom=0.55 / height, hspace=0.32, wspace=0.24
        )
    return figure_svg(figure, name, _label(curves, kind))


def _label(curves: Sequence[Discrimination], kind: Kind) -> str:
    """Return the description of a figure for screen readers."""
    areas = [(one.auc if kind == "roc" else one.average_precision) for one in curves]
    what = "area" if kind == "roc" else "average precision"
    parts = [
        f"{shorten_middle(one.name, MAX_NAME_LENGTH)}: {what} {format_number(area.value)}"
        for one, area in zip(curves, areas, strict=True)
    ]
    return f"{TITLES[kind]} of {', '.join(parts)}."


def _draw(axes: Axes, curve: Discrimination, kind: Kind) -> None:
    """Draw a curve with its band and that of a random order."""
    if kind == "roc":
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.fill_between(GRID, curve.tpr_band[0], curve.tpr_band[1], color=BAND, linewidth=0)
        x, y = _thinned(curve.fpr, curve.tpr)
        axes.plot(x, y, color=BLUE, linewidth=1.8)
    else:
        axes.axhline(curve.prevalence, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.fill_between(GRID[1:], curve.precision_band[0, 1:], curve.precision_band[1, 1:], color=BAND, linewidth=0)
        at = np.append(True, np.diff(curve.recall) > 0)  # the best precision at each recall
        x, y = _thinned(curve.recall[at], curve.precision[at])
        axes.plot(np.append(0, x), np.append(y[0], y), color=BLUE, linewidth=1.8, drawstyle="steps-pre")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.03))


def _shares(axes: Axes, ticks: Float64Array) -> None:
    """Label both axes in per cent."""
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _thinned(x: Float64Array, y: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return at most about `MAX_POINTS` points, spread over the length of the curve, both ends among them."""
    if len(x) <= MAX_POINTS:
        return x, y
    length = np.cumsum(np.append(0, np.abs(np.diff(x)) + np.abs(np.diff(y))))
    at = np.unique(np.searchsorted(length, np.linspace(0, length[-1], MAX_POINTS)))
    return x[at], y[at]
