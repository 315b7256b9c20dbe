"""Observed rates of a column beside the model's mean probabilities, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from softreg.report.evaluation.column_rates import ColumnCurve
from softreg.report.evaluation.number_format import LONGEST_NAME, shortened
from softreg.report.figures.reliability_plots import short_title
from softreg.report.figures.svg import BLUE, ORANGE, figure_svg, house_style

LONGEST_BIN = 16
"""Characters of the name of a bin beside its dot."""


def column_plot(curve: ColumnCurve, name: str) -> Markup:
    """Draw the bins of a column from top to bottom: observed rate with its interval, and mean probability.

    `name` opens the ids of the figure.
    """
    bins = len(curve.bins)
    with house_style():
        figure = Figure(figsize=(4.0, 0.62 + 0.27 * bins))
        axes = figure.subplots()
        y = np.arange(bins)
        ends = np.abs(np.stack([curve.low, curve.high]) - curve.observed)
        axes.errorbar(
            curve.observed, y, xerr=ends, fmt="o", color=BLUE, ecolor=BLUE, elinewidth=1.3, capsize=0, markersize=5
        )
        _model(axes, curve, y)
        axes.set_yticks(y, [_bin(text) for text in curve.bins])
        axes.set_ylim(bins - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlim(max(-0.01, axes.get_xlim()[0]), min(1.01, axes.get_xlim()[1]))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=decimals_of(axes.get_xticks())))
        axes.set_xlabel(f"share of “{short_title(curve.label)}”")
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.34, right=0.97, top=1 - 0.05 / height, bottom=0.5 / height)
    column, label = (shortened(text, LONGEST_NAME) for text in (curve.column, curve.label))
    off = int(((curve.predicted < curve.low) | (curve.predicted > curve.high)).sum())
    told = f"Observed rate of {label} and mean probability by {column}: in {off} of {bins} bins the mean probability"
    return figure_svg(figure, name, f"{told} lies outside the 95% interval of the rate.")


def decimals_of(ticks: Sequence[float] | np.ndarray) -> int:
    """How many decimals the percentages of evenly spaced shares need, at most 4, so that each label is exact.

    >>> decimals_of([0.05, 0.10, 0.15]), decimals_of([0.05, 0.075, 0.10])
    (0, 1)
    """
    per_cent = 100 * np.asarray(ticks, dtype=np.float64)
    exact = [np.allclose(per_cent, np.round(per_cent, k), rtol=0, atol=1e-6) for k in range(4)]
    return exact.index(True) if True in exact else 4


def _model(axes: Axes, curve: ColumnCurve, y: np.ndarray) -> None:
    """The mean probabilities: joined by a line where bins are ranges of numbers."""
    k = curve.ordered
    axes.plot(curve.predicted[:k], y[:k], "-", color=ORANGE, linewidth=1.2)
    axes.plot(curve.predicted, y, "D", color=ORANGE, markersize=4.5, fillstyle="none", markeredgewidth=1.4)


def _bin(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if " to " in plain and len(plain) <= 22 else shortened(plain, LONGEST_BIN)
