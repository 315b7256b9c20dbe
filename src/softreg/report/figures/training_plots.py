"""Training and cross-validation curves as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from numpy.typing import NDArray

from softreg.report.evaluation.number_format import superscript
from softreg.report.figures.svg import BAND, BLUE, MAX_POINTS, MUTED, ORANGE, figure_svg, report_style
from softreg.typing import Float64Array

FLAT = 1e-4
"""Relative change of an objective below which it is not drawn."""
SMALLEST_GAP = 1e-20
"""Gap, in nats, below which it is rounding error of the objective."""
LOG_AXIS_RATIO = 4.0
"""Ratio of the largest to the smallest loss above which the axis is logarithmic."""
MAX_MARKED_POINTS = 80
"""Points of a curve up to which each has a marker."""


class FitRecord(Protocol):
    """State of a fit after some passes over the rows: objective and gap in nats (gap inf where unknown), seconds."""

    @property
    def passes(self) -> int: ...  # noqa: D102
    @property
    def value(self) -> float: ...  # noqa: D102
    @property
    def gap(self) -> float: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


class StrengthSearch(Protocol):
    """Cross-validation of S strengths: mean score and standard error of each, (S,), and the index of the chosen one."""

    @property
    def strength(self) -> NDArray[np.floating]: ...  # noqa: D102
    @property
    def mean(self) -> NDArray[np.floating]: ...  # noqa: D102
    @property
    def error(self) -> NDArray[np.floating]: ...  # noqa: D102
    @property
    def chosen(self) -> int: ...  # noqa: D102


def loss_curve(history: Sequence[FitRecord], name: str, gap_name: str = "certified gap") -> Markup:
    """Draw the objective, and below it the gap to the minimum on a log axis, against passes over the data.

    The gap is omitted where no record has a finite one above rounding error. The objective is omitted where it hardly
    changes and there is a gap to draw (`is_flat`).

    Parameters
    ----------
    history : sequence of FitRecord
        Records of the fit.
    name : str
        Prefix of the ids of the figure, unique on the page.
    gap_name : str
        Name of the gap: whether it is certified or estimated.

    Returns
    -------
    Markup
        The SVG element.

    Raises
    ------
    ValueError
        If the history is empty.
    """
    if not history:
        raise ValueError("history is empty; at least one record is needed")
    records = _thinned(history)
    passes, value, gap = (np.array([getattr(r, of) for r in records], float) for of in ("passes", "value", "gap"))
    shown = np.isfinite(gap) & (gap >= SMALLEST_GAP)
    panels = [not is_flat(history), shown.any()]
    with report_style():
        figure = Figure(figsize=(7.4, 1.1 + 1.3 * sum(panels)))
        axes = list(np.atleast_1d(figure.subplots(sum(panels), 1, sharex=True)))
        lowest = axes[-1]
        if panels[0]:
            _curve(axes[0], passes, value, "objective (nats)")
        if panels[1]:
            _curve(lowest, passes[shown], gap[shown], f"{gap_name} (nats)", colour=ORANGE)
            lowest.set_yscale("log")
            decades = np.log10([gap[shown].min(), gap[shown].max()])  # whole decades: both ends have a label
            lowest.set_ylim(*10.0 ** np.array([np.floor(decades[0]) - 0.1, np.ceil(decades[1]) + 0.1]))
            lowest.yaxis.set_major_formatter(FuncFormatter(_power_of_ten))
            lowest.minorticks_off()
        lowest.set_xlabel("passes over the data")
        lowest.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.align_ylabels()
        figure.subplots_adjust(left=0.12, right=0.985, top=0.97, bottom=0.44 / figure.get_figheight(), hspace=0.14)
    fall = f"from {value[0]:.4g} to {value[-1]:.4g} nats in {passes[-1]:.0f} passes over the data"
    label = f"Loss curve: the objective goes {fall}"
    if shown.any():
        label += f"; the {gap_name} ends at {gap[shown][-1]:.2g} nats"
    return figure_svg(figure, name, label + ".")


def path_curve(path: StrengthSearch, name: str) -> Markup:
    """Draw the held-out log loss of each strength with its standard error; the chosen one is an orange diamond.

    A dashed line stands one standard error above the minimum. Standard errors that are not finite are omitted. Losses
    that differ much have a logarithmic axis.

    Parameters
    ----------
    path : StrengthSearch
        Result of cross-validation.
    name : str
        Prefix of the ids of the figure, unique on the page.

    Returns
    -------
    Markup
        The SVG element.
    """
    order = np.argsort(path.strength)
    strength, mean, error = (np.asarray(a, float)[order] for a in (path.strength, path.mean, path.error))
    at, least = int(np.flatnonzero(order == path.chosen)[0]), int(mean.argmin())
    with report_style():
        figure = Figure(figsize=(7.4, 2.8))
        axes = figure.subplots()
        low, high = (mean + sign * np.where(np.isfinite(error), error, 0.0) for sign in (-1, 1))
        axes.fill_between(strength, low, high, color=BAND, linewidth=0)
        _curve(axes, strength, mean, "cross-validated log loss (nats)")
        if np.isfinite(error[least]):
            axes.axhline(high[least], color=MUTED, linewidth=0.9, linestyle="--")
            place = axes.get_yaxis_transform()  # at the right end of the dashed line
            text = f"{mean[least]:.3g} + 1 SE "
            axes.text(1, high[least], text, transform=place, color=MUTED, ha="right", va="bottom", fontsize="small")
        axes.plot(strength[at], mean[at], "D", color=ORANGE, markersize=6.5)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(_power_of_ten))
        if low.min() > 0 and mean.max() > LOG_AXIS_RATIO * mean.min():
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.minorticks_off()
        axes.set_xlabel("strength of the penalty")
        figure.subplots_adjust(left=0.12, right=0.985, top=0.97, bottom=0.17)
    label = f"Cross-validation: the log loss is least, {mean.min():.4g} nats, at strength "
    label += f"{strength[least]:.3g}; {strength[at]:.3g} was chosen of {len(mean)} strengths."
    return figure_svg(figure, name, label)


def is_flat(history: Sequence[FitRecord]) -> bool:
    """Return whether the objective changes so little that only its gap to the minimum is drawn."""
    values = [record.value for record in history]
    return len(values) > 1 and has_gap(history) and max(values) - min(values) <= FLAT * abs(values[-1])


def has_gap(history: Sequence[FitRecord]) -> bool:
    """Return whether any record has a gap that a log axis can show."""
    return any(math.isfinite(record.gap) and record.gap >= SMALLEST_GAP for record in history)


def _curve(axes: Axes, x: Float64Array, y: Float64Array, ylabel: str, colour: str = BLUE) -> None:
    """Draw a line with a label of its axis."""
    axes.ticklabel_format(axis="y", useOffset=False)  # 0.4492 and not 1e-6 + 0.4492
    axes.plot(x, y, "-o", color=colour, linewidth=1.6, markersize=3.2 if len(x) <= MAX_MARKED_POINTS else 0)
    axes.set_ylabel(ylabel)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", visible=False)


def _thinned(history: Sequence[FitRecord]) -> list[FitRecord]:
    """Return at most `MAX_POINTS` records, the first and the last among them."""
    if len(history) <= MAX_POINTS:
        return list(history)
    return [history[i] for i in np.linspace(0, len(history) - 1, MAX_POINTS).round().astype(int)]


def _power_of_ten(value: float, _position: int) -> str:
    """Write 0.001 as 10⁻³, in plain text, in the font of the page."""
    return "10" + superscript(round(math.log10(value))) if value > 0 else ""
