"""Cumulative gains as inline SVG."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from softreg.report.evaluation.gains import Gains
from softreg.report.evaluation.number_format import MAX_NAME_LENGTH, shorten_middle
from softreg.report.figures.svg import BLUE, MAX_POINTS, MUTED, ORANGE, class_title, figure_svg, report_style


def gain_curve(gains: Gains, name: str) -> Markup:
    """Draw the recall of the rows of largest probability against their share, beside a random and a perfect order."""
    n = len(gains.recall) - 1
    selected = np.unique(np.linspace(0, n, min(n + 1, MAX_POINTS)).round().astype(int))
    perfect = gains.total / n
    with report_style():
        figure = Figure(figsize=(4.6, 3.4))
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.plot([0, perfect, 1], [0, 1, 1], color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
        axes.plot(selected / n, gains.recall[selected], color=BLUE, linewidth=1.8)
        tenth = round(0.1 * n)
        axes.plot([tenth / n], [gains.recall[tenth]], "o", color=ORANGE, markersize=6)
        axes.annotate(
            f"10% of the rows: {gains.recall[tenth]:.0%}", (tenth / n, gains.recall[tenth]), (9, -11),
            textcoords="offset points", color=ORANGE,
        )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="share of rows, the most likely first")
        axes.set_ylabel(f"recall of “{class_title(gains.label)}”")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        figure.subplots_adjust(left=0.13, right=0.975, top=0.98, bottom=0.135)
    of = shorten_middle(gains.label, MAX_NAME_LENGTH)
    return figure_svg(figure, name, f"Gains: 10% of the rows hold {gains.recall[tenth]:.0%} of all {of}.")
