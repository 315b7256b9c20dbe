"""Observed rates and mean probabilities by the values of a column, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from softreg.report.evaluation.column_rates import ColumnRates
from softreg.report.evaluation.number_format import MAX_NAME_LENGTH, shorten_middle
from softreg.report.figures.svg import BLUE, ORANGE, class_title, figure_svg, report_style
from softreg.typing import Float64Array, IntArray

MAX_BIN_NAME_LENGTH = 16
"""Characters of the name of a bin."""


def column_plot(rates: ColumnRates, name: str) -> Markup:
    """Draw the observed rate with its interval, and the mean probability, of each bin from top to bottom.

    Parameters
    ----------
    rates : ColumnRates
        Rates of the column.
    name : str
        Prefix of the ids of the figure, unique on the page.

    Returns
    -------
    Markup
        The SVG element.
    """
    bins = len(rates.bins)
    with report_style():
        figure = Figure(figsize=(4.0, 0.62 + 0.27 * bins))
        axes = figure.subplots()
        y = np.arange(bins)
        ends = np.abs(np.stack([rates.low, rates.high]) - rates.observed)
        axes.errorbar(
            rates.observed, y, xerr=ends, fmt="o", color=BLUE, ecolor=BLUE, elinewidth=1.3, capsize=0, markersize=5
        )
        _draw_predicted(axes, rates, y)
        axes.set_yticks(y, [_bin_name(text) for text in rates.bins])
        axes.set_ylim(bins - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.set_xlim(max(-0.01, axes.get_xlim()[0]), min(1.01, axes.get_xlim()[1]))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=decimals_of(axes.get_xticks())))
        axes.set_xlabel(f"share of “{class_title(rates.label)}”")
        height = figure.get_figheight()
        figure.subplots_adjust(left=0.34, right=0.97, top=1 - 0.05 / height, bottom=0.5 / height)
    column, label = (shorten_middle(text, MAX_NAME_LENGTH) for text in (rates.column, rates.label))
    off = int(((rates.predicted < rates.low) | (rates.predicted > rates.high)).sum())
    label_text = (
        f"Observed rate of {label} and mean probability by {column}: in {off} of {bins} bins the mean probability"
    )
    return figure_svg(figure, name, f"{label_text} lies outside the 95% interval of the rate.")


def decimals_of(ticks: Sequence[float] | Float64Array) -> int:
    """Return the number of decimals, at most 4, that the percentages of evenly spaced shares need to be exact.

    Parameters
    ----------
    ticks : sequence of float
        The shares.

    Returns
    -------
    int
        The number of decimals.

    Examples
    --------
    >>> decimals_of([0.05, 0.10, 0.15]), decimals_of([0.05, 0.075, 0.10])
    (0, 1)
    """
    per_cent = 100 * np.asarray(ticks, dtype=np.float64)
    exact = [np.allclose(per_cent, np.round(per_cent, k), rtol=0, atol=1e-6) for k in range(4)]
    return exact.index(True) if True in exact else 4


def _draw_predicted(axes: Axes, rates: ColumnRates, y: IntArray) -> None:
    """Draw mean probabilities, joined by a line where bins are ranges of numbers."""
    k = rates.ordered
    axes.plot(rates.predicted[:k], y[:k], "-", color=ORANGE, linewidth=1.2)
    axes.plot(rates.predicted, y, "D", color=ORANGE, markersize=4.5, fillstyle="none", markeredgewidth=1.4)


def _bin_name(text: str) -> str:
    """Return the name of a bin as a label of the axis."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain if " to " in plain and len(plain) <= 22 else shorten_middle(plain, MAX_BIN_NAME_LENGTH)
