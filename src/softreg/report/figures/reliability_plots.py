"""Reliability diagrams as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from softreg.report.evaluation.number_format import MAX_NAME_LENGTH, shorten_middle
from softreg.report.evaluation.reliability import Reliability
from softreg.report.figures.svg import BAND, BLUE, MUTED, ORANGE, class_title, figure_svg, report_style


def reliability_diagram(curve: Reliability, name: str) -> Markup:
    """Draw observed frequency against predicted probability, with the band of each bin, above a histogram.

    Bins inside their band are blue dots, bins outside it orange diamonds.

    Parameters
    ----------
    curve : Reliability
        The curve.
    name : str
        Prefix of the ids of the figure, unique on the page.

    Returns
    -------
    Markup
        The SVG element.

    Examples
    --------
    >>> from softreg.report.evaluation.reliability import reliability_curve
    >>> svg = reliability_diagram(reliability_curve([0.2, 0.9], [0, 1]), "top")
    >>> "0 of 2 bins lie outside" in svg
    True
    """
    with report_style():
        figure = Figure(figsize=(4.6, 4.9))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        figure.subplots_adjust(left=0.12, right=0.985, top=0.985, bottom=0.095, hspace=0.09)
        _bands(upper, curve)
        _histogram(lower, curve)
    outside, filled = int(curve.outside.sum()), int(curve.filled.sum())
    of = shorten_middle(curve.name, MAX_NAME_LENGTH) or "probabilities"
    label = f"Reliability diagram of {of}: {outside} of {filled} bins lie outside their 95% bands."
    return figure_svg(figure, name, label)


def class_reliability_diagrams(curves: Sequence[Reliability], name: str) -> Markup:
    """Draw small reliability diagrams of several classes side by side, without histograms.

    Parameters
    ----------
    curves : sequence of Reliability
        A curve for each class.
    name : str
        Prefix of the ids of the figure, unique on the page.

    Returns
    -------
    Markup
        The SVG element.

    Raises
    ------
    ValueError
        If there is no curve.
    """
    if not curves:
        raise ValueError("curves is empty; at least one is needed")
    columns = min(4, len(curves))
    lines = -(-len(curves) // columns)
    with report_style():
        figure = Figure(figsize=(1.95 * columns, 2.05 * lines + 0.25))
        panels = np.atleast_1d(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)).ravel()
        for axes, curve in zip(panels, curves, strict=False):
            _bands(axes, curve, size=3.5)
            axes.set(ylabel="")
            axes.set_title(class_title(curve.name), fontsize=9)
            axes.set_xticks([0, 0.5, 1])
            axes.set_yticks([0, 0.5, 1])
            axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        for axes in panels[len(curves) :]:
            axes.set_visible(False)
        figure.subplots_adjust(
            left=0.5 / figure.get_figwidth(), right=0.985, top=1 - 0.28 / figure.get_figheight(),
            bottom=0.28 / figure.get_figheight(), hspace=0.32, wspace=0.24,
        )  # fmt: skip
    outside = sum(bool(curve.outside.any()) for curve in curves)
    label = f"Reliability of {len(curves)} classes: {outside} of them have bins outside their 95% bands."
    return figure_svg(figure, name, label)


def _bands(axes: Axes, curve: Reliability, size: float = 6) -> None:
    """Draw bins with their bands and the diagonal."""
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for k in np.flatnonzero(curve.filled):
        left, right = curve.edges[k], curve.edges[k + 1]
        axes.fill_between([left + 0.006, right - 0.006], curve.low[k], curve.high[k], color=BAND, linewidth=0)
    inside = curve.filled & ~curve.outside
    axes.plot(curve.predicted[inside], curve.observed[inside], "o", color=BLUE, markersize=size)
    axes.plot(curve.predicted[curve.outside], curve.observed[curve.outside], "D", color=ORANGE, markersize=size + 0.5)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.02, 1.03), ylabel="observed frequency")
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _histogram(axes: Axes, curve: Reliability) -> None:
    """Draw the number of rows of each bin."""
    width = np.diff(curve.edges)
    axes.bar(curve.edges[:-1] + width / 2, curve.count, width=width * 0.86, color=BLUE, alpha=0.75, linewidth=0)
    for k in np.flatnonzero(curve.filled):
        middle = (curve.edges[k] + curve.edges[k + 1]) / 2
        axes.annotate(
            f"{curve.count[k]:,}", (middle, curve.count[k]), (0, 2), textcoords="offset points", ha="center",
            fontsize=7, color=MUTED,
        )  # fmt: skip
    axes.set(ylim=(0, curve.count.max() * 1.28), xlabel="predicted probability", ylabel="rows")
    axes.set_yticks([])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
