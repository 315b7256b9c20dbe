"""The curves of a report, as inline SVG: reliability, training and cross-validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from softreg.report.evaluation.number_format import LONGEST_NAME, shortened, superscript
from softreg.report.evaluation.reliability import Reliability
from softreg.report.figures.svg import BAND, BLUE, MUTED, ORANGE, figure_svg, house_style

FLAT = 1e-4  # an objective that changes by less than this share is not drawn: its axis could not be read
SMALLEST_GAP = 1e-20  # nats; what is smaller is the rounding of an objective
LONGEST_TITLE = 18  # characters of a class name above a small diagram
WIDE = 4.0  # losses that differ by more than this factor stand on a logarithmic axis
MOST_POINTS = 400  # of one curve; more cannot be told apart at the size of a page


class Record(Protocol):
    """One look at a fit under way: passes over the rows, objective, gap (nats; inf where none), seconds."""

    @property
    def passes(self) -> int: ...  # noqa: D102
    @property
    def value(self) -> float: ...  # noqa: D102
    @property
    def gap(self) -> float: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


class Strengths(Protocol):
    """What cross-validation found at each strength, (S,) each, and the place of the chosen one."""

    @property
    def strength(self) -> NDArray[np.floating]: ...  # noqa: D102
    @property
    def mean(self) -> NDArray[np.floating]: ...  # noqa: D102
    @property
    def error(self) -> NDArray[np.floating]: ...  # noqa: D102
    @property
    def chosen(self) -> int: ...  # noqa: D102


def reliability_diagram(curve: Reliability, name: str) -> Markup:
    """Draw predicted probability against observed frequency, with the null band, above a histogram.

    Bins inside their band are blue dots, bins outside it orange diamonds. `name` opens the ids of the figure.

    >>> from softreg.report.evaluation.reliability import reliability_curve
    >>> svg = reliability_diagram(reliability_curve([0.2, 0.9], [0, 1]), "top")
    >>> "0 of 2 bins lie outside" in svg
    True
    """
    with house_style():
        figure = Figure(figsize=(4.6, 4.9))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        figure.subplots_adjust(left=0.12, right=0.985, top=0.985, bottom=0.095, hspace=0.09)
        _bands(upper, curve)
        _histogram(lower, curve)
    outside, filled = int(curve.outside.sum()), int(curve.filled.sum())
    of = shortened(curve.name, LONGEST_NAME) or "probabilities"
    label = f"Reliability diagram of {of}: {outside} of {filled} bins lie outside their 95% bands."
    return figure_svg(figure, name, label)


def _bands(axes: Axes, curve: Reliability, size: float = 6) -> None:
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


def class_curves(curves: Sequence[Reliability], name: str) -> Markup:
    """Draw the reliability of several classes side by side, each with its band, small and without numbers of rows.

    Raises `ValueError` where there is no curve.
    """
    if not curves:
        raise ValueError("there are no curves to draw: leave the figure out")
    columns = min(4, len(curves))
    lines = -(-len(curves) // columns)
    with house_style():
        figure = Figure(figsize=(1.95 * columns, 2.05 * lines + 0.25))
        panels = np.atleast_1d(figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)).ravel()
        for axes, curve in zip(panels, curves, strict=False):
            _bands(axes, curve, size=3.5)
            axes.set(ylabel="")
            axes.set_title(short_title(curve.name), fontsize=9)
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


def _histogram(axes: Axes, curve: Reliability) -> None:
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


def loss_curve(history: Sequence[Record], name: str, gap_name: str = "certified gap") -> Markup:
    """Draw the objective, and below it the gap to the optimum on a log axis, against passes over the data.

    The gap is left out where no record has a finite one above rounding; `gap_name` says what it is. The objective is
    left out where it hardly changes and there is a gap to draw (`is_flat`). `name` opens the ids of the figure. Raises
    `ValueError` for an empty history.
    """
    if not history:
        raise ValueError("history is empty, so there is no curve to draw: leave the figure out")
    records = _thinned(history)
    passes, value, gap = (np.array([getattr(r, of) for r in records], float) for of in ("passes", "value", "gap"))
    certified = np.isfinite(gap) & (gap >= SMALLEST_GAP)
    panels = [not is_flat(history), certified.any()]
    with house_style():
        figure = Figure(figsize=(7.4, 1.1 + 1.3 * sum(panels)))
        axes = list(np.atleast_1d(figure.subplots(sum(panels), 1, sharex=True)))
        lowest = axes[-1]
        if panels[0]:
            _curve(axes[0], passes, value, "objective (nats)")
        if panels[1]:
            _curve(lowest, passes[certified], gap[certified], f"{gap_name} (nats)", colour=ORANGE)
            lowest.set_yscale("log")
            decades = np.log10([gap[certified].min(), gap[certified].max()])  # whole ones: each end has a label
            lowest.set_ylim(*10.0 ** np.array([np.floor(decades[0]) - 0.1, np.ceil(decades[1]) + 0.1]))
            lowest.yaxis.set_major_formatter(FuncFormatter(_power_of_ten))
            lowest.minorticks_off()
        lowest.set_xlabel("passes over the data")
        lowest.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.align_ylabels()
        figure.subplots_adjust(left=0.12, right=0.985, top=0.97, bottom=0.44 / figure.get_figheight(), hspace=0.14)
    fall = f"from {value[0]:.4g} to {value[-1]:.4g} nats in {passes[-1]:.0f} passes over the data"
    label = f"Loss curve: the objective goes {fall}"
    if certified.any():
        label += f"; the {gap_name} ends at {gap[certified][-1]:.2g} nats"
    return figure_svg(figure, name, label + ".")


def path_curve(path: Strengths, name: str) -> Markup:
    """Draw the held-out log loss of each strength with its standard error; the chosen one is an orange diamond.

    Dashes stand one standard error above the least loss: what is below is as good as the least. Errors that are not
    finite are left out. Losses that differ much are drawn on a logarithmic axis. `name` opens the ids of the figure.
    """
    order = np.argsort(path.strength)
    strength, mean, error = (np.asarray(a, float)[order] for a in (path.strength, path.mean, path.error))
    at, least = int(np.flatnonzero(order == path.chosen)[0]), int(mean.argmin())
    with house_style():
        figure = Figure(figsize=(7.4, 2.8))
        axes = figure.subplots()
        low, high = (mean + sign * np.where(np.isfinite(error), error, 0.0) for sign in (-1, 1))
        axes.fill_between(strength, low, high, color=BAND, linewidth=0)
        _curve(axes, strength, mean, "cross-validated log loss (nats)")
        if np.isfinite(error[least]):
            axes.axhline(high[least], color=MUTED, linewidth=0.9, linestyle="--")
            place = axes.get_yaxis_transform()  # at the right end, at the height of the dashes
            words = f"{mean[least]:.3g} + 1 SE "
            axes.text(1, high[least], words, transform=place, color=MUTED, ha="right", va="bottom", fontsize="small")
        axes.plot(strength[at], mean[at], "D", color=ORANGE, markersize=6.5)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(_power_of_ten))
        if low.min() > 0 and mean.max() > WIDE * mean.min():
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.minorticks_off()
        axes.set_xlabel("strength of the penalty")
        figure.subplots_adjust(left=0.12, right=0.985, top=0.97, bottom=0.17)
    label = f"Cross-validation: the log loss is least, {mean.min():.4g} nats, at strength "
    label += f"{strength[least]:.3g}; {strength[at]:.3g} was chosen of {len(mean)} strengths."
    return figure_svg(figure, name, label)


def is_flat(history: Sequence[Record]) -> bool:
    """Whether the objective changes so little that only its gap to the minimum is drawn."""
    values = [record.value for record in history]
    return len(values) > 1 and has_gap(history) and max(values) - min(values) <= FLAT * abs(values[-1])


def has_gap(history: Sequence[Record]) -> bool:
    """Whether any record knows a gap to the optimum that a log axis can show."""
    return any(math.isfinite(record.gap) and record.gap >= SMALLEST_GAP for record in history)


def short_title(text: str) -> str:
    """A class name as fonts can draw it: no control characters, never empty, never too long."""
    return shortened("".join(c if c.isprintable() else " " for c in text), LONGEST_TITLE).strip() or "(empty)"


def _curve(axes: Axes, x: np.ndarray, y: np.ndarray, ylabel: str, colour: str = BLUE) -> None:
    axes.ticklabel_format(axis="y", useOffset=False)  # 0.4492 and not 1e-6 + 0.4492
    axes.plot(x, y, "-o", color=colour, linewidth=1.6, markersize=3.2 if len(x) <= 80 else 0)
    axes.set_ylabel(ylabel)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", visible=False)


def _thinned(history: Sequence[Record]) -> list[Record]:
    """At most MOST_POINTS records, the first and the last among them."""
    if len(history) <= MOST_POINTS:
        return list(history)
    return [history[i] for i in np.linspace(0, len(history) - 1, MOST_POINTS).round().astype(int)]


def _power_of_ten(value: float, _position: int) -> str:
    """Write 0.001 as 10⁻³, in plain text, so that the page's own font can show it."""
    return "10" + superscript(round(math.log10(value))) if value > 0 else ""
