"""The e-process of a monitor as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from softreg.report.figures.svg import BLUE, ORANGE, figure_svg, report_style

TOP_MARGIN = 0.5
"""Powers of ten above the largest value."""


def evidence_curve(curve: Sequence[tuple[int, float]], threshold: float, alarm_row: int | None, name: str) -> Markup:
    """Draw an e-process against the number of rows, with its threshold and the alarm.

    Parameters
    ----------
    curve : sequence of (int, float)
        Rows and natural logarithms of the e-process.
    threshold : float
        Natural logarithm of the threshold.
    alarm_row : int or None
        Row of the alarm.
    name : str
        Prefix of the ids of the figure.

    Returns
    -------
    Markup
        The SVG element.

    Examples
    --------
    >>> svg = evidence_curve([(0, 0.0), (16, 1.0), (32, 4.0)], 3.0, 29, "e")
    >>> "alarm in row 29" in svg
    True
    """
    rows = [row for row, _ in curve]
    powers = [value / math.log(10) for _, value in curve]
    limit = threshold / math.log(10)
    with report_style():
        figure = Figure(figsize=(7.2, 2.9))
        axes = figure.subplots()
        axes.axhline(limit, color=ORANGE, linewidth=1.2, linestyle=(0, (5, 3)))
        axes.plot(rows, powers, color=BLUE, linewidth=1.6)
        axes.set_ylim(min(0.0, min(powers)) - TOP_MARGIN, max(limit, max(powers)) + TOP_MARGIN)
        if alarm_row is not None:
            axes.axvline(alarm_row, color=ORANGE, linewidth=1)
            right = alarm_row > rows[-1] / 2
            axes.annotate(
                f"alarm in row {alarm_row:,}", (alarm_row, axes.get_ylim()[1]), (-5 if right else 5, -9),
                textcoords="offset points", color=ORANGE, ha="right" if right else "left", va="top",
            )  # fmt: skip
        axes.set_xlabel("labelled rows")
        axes.set_ylabel("e-process")
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda power, _: f"1e{power:.0f}" if power else "1"))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda row, _: f"{row:,.0f}"))
        figure.subplots_adjust(left=0.085, right=0.985, top=0.97, bottom=0.17)
    alarm = "no alarm" if alarm_row is None else f"alarm in row {alarm_row:,}"
    return figure_svg(figure, name, f"E-process after {rows[-1]:,} labelled rows: {alarm}.")
