"""Calibration gaps of groups as inline SVG."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from softreg.report.figures.svg import BAND, BLUE, MUTED, ORANGE, class_title, figure_svg, report_style
from softreg.report.groups.group_audit import GroupAudit, GroupScore

MAX_DRAWN = 24
"""Groups that are drawn, worst first."""
ROW_HEIGHT, MARGIN = 0.26, 0.75
"""Height of a group, and of axis and margins, in inches."""


def group_gaps(audit: GroupAudit, name: str) -> Markup:
    """Draw the calibration gap of each group with its interval, above the band of gaps that right probabilities have.

    Significantly miscalibrated groups are orange diamonds, others blue dots; hollow diamonds are gaps after the
    held-out recalibration.

    Parameters
    ----------
    audit : GroupAudit
        The groups.
    name : str
        Prefix of the ids of the figure, unique on the page.

    Returns
    -------
    Markup
        The SVG element.
    """
    drawn = [score for score in audit.scores if score.tested and np.isfinite(score.gap.value)][:MAX_DRAWN]
    repaired = audit.repair is not None and audit.repair.calibrator.method_ != "none"
    with report_style():
        height = MARGIN + ROW_HEIGHT * len(drawn)
        figure = Figure(figsize=(7.6, height))
        axes = figure.subplots()
        for place, score in enumerate(drawn):
            _draw(axes, -place, score, repaired)
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.set_yticks(-np.arange(len(drawn)), [_title(score) for score in drawn])
        axes.grid(visible=False, axis="y")
        axes.set(ylim=(0.6 - len(drawn), 0.6), xlabel="calibration gap in nats")
        figure.subplots_adjust(left=0.36, right=0.985, top=1 - 0.05 / height, bottom=0.5 / height)
    found = len(audit.found)
    return figure_svg(figure, name, f"Calibration gaps of {len(drawn)} groups; significant: {found}.")


def _draw(axes: object, y: int, score: GroupScore, repaired: bool) -> None:
    """Draw one group at height y."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    colour, marker = (ORANGE, "D") if score.found else (BLUE, "o")
    lowest = min(score.gap.low, 0.0)
    axes.barh(y, score.gap_by_chance - lowest, left=lowest, height=0.7, color=BAND, linewidth=0)
    axes.plot([score.gap.low, score.gap.high], [y, y], color=colour, linewidth=1.4)
    axes.plot([score.gap.value], [y], marker, color=colour, markersize=5)
    if repaired and np.isfinite(score.repaired_gap):
        axes.plot([score.repaired_gap], [y], "D", color=ORANGE, markersize=5, markerfacecolor="none")


def _title(score: GroupScore) -> str:
    """Return the title of a group: its column and value, each shortened, and its rows."""
    return f"{class_title(score.column)}: {class_title(score.name)} ({score.rows:,})"
