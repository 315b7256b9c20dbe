"""Functions of columns, as logits and as probabilities, with the distribution of the training rows, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from softreg.report.evaluation.number_format import MAX_NAME_LENGTH, shorten_middle
from softreg.report.figures.column_plots import MAX_BIN_NAME_LENGTH, decimals_of
from softreg.report.figures.number_scale import number_scale
from softreg.report.figures.svg import BLUE, INK, MUTED, ORANGE, class_title, figure_svg, report_style, viewbox_points
from softreg.typing import BoolArray, Float64Array, IntArray

MAX_CLASSES = 4
"""Classes that are drawn in one figure, those of which the function varies most."""
MAX_LEVELS = 12
"""Levels that are drawn, the most frequent ones."""
BINS = 40
"""Bins of the distribution of the training rows below a curve."""
STRIP = 0.1
"""Height of the distribution of the training rows, as a share of the figure."""
COLOURS = (BLUE, ORANGE, INK, MUTED)
LINES: tuple[object, ...] = ("-", "-", (0, (4, 2)), (0, (1, 1.5)))
"""Styles of the lines of the classes."""


class ShownAxis(Protocol):
    """A column of a function: its nodes, the first of which are numbers, and the share of the rows at each."""

    @property
    def column(self) -> str:
        """Name of the column."""

    @property
    def numbers(self) -> Float64Array:
        """Numbers of the first nodes."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of all nodes."""

    @property
    def share(self) -> Float64Array:
        """Share of the training rows at each node."""


class ShownTerm(Protocol):
    """A function of one or two columns, as `softreg.tables.TermFunction` has it."""

    @property
    def name(self) -> str:
        """Name of the column, or of both."""

    @property
    def kind(self) -> str:
        """One of "curve", "line", "levels" and "interaction"."""

    @property
    def axes(self) -> Sequence[ShownAxis]:
        """One or two columns."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes (k,) of the logits."""

    @property
    def logits(self) -> Float64Array:
        """Logits (..., k) at the nodes."""

    @property
    def low(self) -> Float64Array | None:
        """Lower limits (..., k), or None."""

    @property
    def high(self) -> Float64Array | None:
        """Upper limits (..., k), or None."""

    @property
    def probability(self) -> Float64Array:
        """Probabilities (..., q), with all other terms at their mean."""

    @property
    def probability_low(self) -> Float64Array | None:
        """Lower limits of the probabilities, or None."""

    @property
    def probability_high(self) -> Float64Array | None:
        """Upper limits of the probabilities, or None."""

    @property
    def share(self) -> Float64Array:
        """Share of the training rows at each node."""

    @property
    def deviation(self) -> Float64Array:
        """Standard deviation (k,) of the logits over the training rows."""

    @property
    def size(self) -> float:
        """Root of their mean square."""


class ShownTerms(Protocol):
    """All functions of a model, as `softreg.tables.TermFunctions` has them."""

    @property
    def functions(self) -> Sequence[ShownTerm]:
        """The functions."""

    @property
    def other(self) -> tuple[str, ...]:
        """Columns without a function."""

    @property
    def level(self) -> float:
        """Level of the intervals."""

    @property
    def intervals(self) -> str:
        """Kind of the standard errors; "" without intervals."""


def drawn_classes(term: ShownTerm, most: int = MAX_CLASSES) -> IntArray:
    """Return the indices of the classes that are drawn, in their order: those of which the function varies most."""
    order = np.argsort(-term.deviation, kind="stable")[:most]
    return np.sort(order)


@dataclass(frozen=True, eq=False)
class TermFigure:
    """A figure of the function of a column.

    Attributes
    ----------
    figure : Figure
        The figure.
    label : str
        Its description.
    places : array of float64 (m,)
        Place of each node along the axis of the column, nan where it is not drawn.
    values : array of float64 (m, c)
        Value of each class at the nodes.
    upright : bool
        Whether the nodes are along the horizontal axis.
    """

    figure: Figure
    label: str
    places: Float64Array
    values: Float64Array
    upright: bool

    def points(self) -> Float64Array:
        """Return the points (m, c, 2) of the values in the coordinates of the SVG element."""
        places = np.broadcast_to(self.places[:, None], self.values.shape)
        pairs = (places, self.values) if self.upright else (self.values, places)
        return viewbox_points(self.figure, np.stack(pairs, axis=-1))


def term_plots(term: ShownTerm, name: str) -> tuple[Markup, Markup]:
    """Draw the function of a column as logits and as probabilities.

    Parameters
    ----------
    term : ShownTerm
        The function of one column.
    name : str
        Prefix of the ids of the figures, unique on the page.

    Returns
    -------
    tuple of Markup
        Both SVG elements.
    """
    first, second = (
        figure_svg(one.figure, f"{name}{kind}", one.label) for kind, one in zip("lp", term_figures(term), strict=True)
    )
    return first, second


def term_figures(term: ShownTerm) -> tuple[TermFigure, TermFigure]:
    """Draw the function of a column as logits and as probabilities, as figures of Matplotlib.

    Parameters
    ----------
    term : ShownTerm
        The function of one column.

    Returns
    -------
    tuple of TermFigure
        Both figures.
    """
    classes = drawn_classes(term)
    binary = len(term.classes) == 1
    low, high = (None, None) if term.low is None or term.high is None else (term.low[:, classes], term.high[:, classes])
    logits = _Values(term.logits[:, classes], low, high, False)
    drawn_p = np.array([1]) if binary else classes
    p_low, p_high = (None if p is None else p[:, drawn_p] for p in (term.probability_low, term.probability_high))
    probability = _Values(term.probability[:, drawn_p], p_low, p_high, True)
    names = [term.classes[k] for k in classes]
    draw = _draw_levels if term.kind == "levels" else _draw_curves
    label = shorten_middle(term.name, MAX_NAME_LENGTH)
    words = (f"Contribution of {label} to the logits", f"Probability by {label}, all other terms at their mean")
    drawn = []
    for shown, text in zip((logits, probability), words, strict=True):
        figure, places = draw(term, shown, names, binary)
        drawn.append(TermFigure(figure, text, places, shown.values, term.kind != "levels"))
    return drawn[0], drawn[1]


class _Values:
    """Values (m, c) of classes at the nodes with limits, as logits or as probabilities."""

    def __init__(self, values: Float64Array, low: Float64Array | None, high: Float64Array | None, share: bool) -> None:
        self.values, self.low, self.high, self.share = values, low, high, share


def _draw_curves(term: ShownTerm, shown: _Values, names: Sequence[str], binary: bool) -> tuple[Figure, Float64Array]:
    """Draw lines over numbers with bands, the rows, and a point of missing values; also return the nodes' places."""
    axis = term.axes[0]
    k = len(axis.numbers)
    scale = number_scale(axis.numbers, axis.share[:k])
    low, high, x = scale.low, scale.high, scale.places
    missing = float(axis.share[k:].sum()) > 0
    with report_style():
        figure = Figure(figsize=(4.0, 2.5))
        axes = figure.subplots()
        inside = (x >= low) & (x <= high)
        for c in range(shown.values.shape[1]):
            colour, style = COLOURS[c], LINES[c]
            axes.plot(x[inside], shown.values[:k][inside, c], color=colour, linestyle=style, linewidth=1.6,
                      label=class_title(names[c]))  # fmt: skip
            if shown.low is not None and shown.high is not None:
                axes.fill_between(x[inside], shown.low[:k][inside, c], shown.high[:k][inside, c], color=colour,
                                  alpha=0.16, linewidth=0)  # fmt: skip
        room = 0.08 * (high - low)
        axes.set_xlim(low - room / 4, high + (1.5 * room if missing else room / 4))
        last = high - 1.5 * room if missing else high  # the label of missing values needs room
        ticks = [t for t in scale.ticks if t <= last]
        labels = list(scale.labels[: len(ticks)])
        if missing:
            _points(axes, np.full(len(names), high + room), shown, k)
            ticks, labels = [*ticks, high + room], [*labels, "missing"]
        axes.set_xticks(ticks, labels)
        _vertical(axes, shown, np.append(inside, [missing]))
        _distribution(axes, x, axis.share[:k], (low, high))
        _finish(axes, term, names, binary)
    last_places = np.full(len(axis.share) - k, high + room if missing else np.nan)
    return figure, np.append(np.where(inside, x, np.nan), last_places)


def _points(axes: Axes, at: Float64Array, shown: _Values, node: int) -> None:
    """Draw the values at one node, each class beside the others."""
    for c, x in enumerate(at):
        error = None
        if shown.low is not None and shown.high is not None:
            ends = np.array([shown.low[node, c], shown.high[node, c]])
            error = np.abs(ends - shown.values[node, c])[:, None]
        axes.errorbar([x], [shown.values[node, c]], yerr=error, fmt="o", color=COLOURS[c], markersize=4, elinewidth=1)


def _vertical(axes: Axes, shown: _Values, inside: BoolArray) -> None:
    """Set the limits of the vertical axis, with room for the distribution of the rows below."""
    some = [part[: len(inside)][inside] for part in (shown.values, shown.low, shown.high) if part is not None]
    low, high = min(float(part.min()) for part in some), max(float(part.max()) for part in some)
    room = max(0.04 * (high - low), 1e-3)
    low, high = low - room, high + room
    axes.set_ylim(low - STRIP / (1 - STRIP) * (high - low), high)
    _value_axis(axes, shown)


def _value_axis(axes: Axes, shown: _Values, horizontal: bool = False) -> None:
    """Set ticks of logits or probabilities; a line at a logit of 0."""
    axis = axes.xaxis if horizontal else axes.yaxis
    low, high = axes.get_xlim() if horizontal else axes.get_ylim()
    if not shown.share:
        (axes.axvline if horizontal else axes.axhline)(0, color=MUTED, linewidth=0.8)
    ticks = [t for t in MaxNLocator(4).tick_values(low, high) if low <= t <= high and (not shown.share or 0 <= t <= 1)]
    axis.set_ticks(ticks)
    if shown.share:
        axis.set_major_formatter(PercentFormatter(1.0, decimals=decimals_of(ticks)))


def _distribution(axes: Axes, x: Float64Array, share: Float64Array, shown: tuple[float, float]) -> None:
    """Draw the share of the training rows in bins of equal width, at the bottom of the figure."""
    heights, edges = np.histogram(x, bins=BINS, range=shown, weights=share)
    heights = np.sqrt(heights / max(float(heights.max()), np.finfo(float).tiny))  # so that small shares are seen
    axes.bar(edges[:-1], STRIP * heights, np.diff(edges), align="edge", color=MUTED, alpha=0.45, linewidth=0,
             transform=axes.get_xaxis_transform())  # fmt: skip


def _finish(axes: Axes, term: ShownTerm, names: Sequence[str], binary: bool) -> None:
    """Write the legend and set the margins of a figure of lines."""
    axes.set_xlabel(class_title(term.axes[0].column))
    if not binary:
        axes.figure.legend(
            *axes.get_legend_handles_labels(), loc="upper left", ncols=len(names), fontsize=8, borderaxespad=0.1,
            handlelength=1.4, columnspacing=1.0, labelcolor=MUTED,
        )  # fmt: skip
    axes.figure.subplots_adjust(left=0.14, right=0.98, top=0.97 if binary else 0.88, bottom=0.19)


def shown_levels(share: Float64Array, most: int = MAX_LEVELS) -> IntArray:
    """Return the indices of the levels that are drawn: the most frequent ones of those that have rows."""
    order = np.argsort(-share, kind="stable")[:most]
    return np.sort(order[share[order] > 0])


def _draw_levels(term: ShownTerm, shown: _Values, names: Sequence[str], binary: bool) -> tuple[Figure, Float64Array]:
    """Draw points with intervals, one line a level, by the value of the first class; also return the nodes' places."""
    axis = term.axes[0]
    levels = shown_levels(axis.share)
    levels = levels[np.argsort(-shown.values[levels, 0], kind="stable")]
    count, classes = len(levels), shown.values.shape[1]
    top, bottom = (0.08 if binary else 0.32), 0.36
    with report_style():
        height = top + bottom + (0.27 if classes == 1 else 0.4) * max(count, 1)
        figure = Figure(figsize=(4.0, height))
        axes = figure.subplots()
        for c in range(classes):
            y = np.arange(count) + (0 if classes == 1 else 0.6 * (c / (classes - 1) - 0.5))
            error = None
            if shown.low is not None and shown.high is not None:
                error = np.abs(np.stack([shown.low[levels, c], shown.high[levels, c]]) - shown.values[levels, c])
            axes.errorbar(shown.values[levels, c], y, xerr=error, fmt="o", color=COLOURS[c], ecolor=COLOURS[c],
                          elinewidth=1.2, markersize=4.5, label=class_title(names[c]))  # fmt: skip
        axes.set_yticks(np.arange(count), [_level_name(axis.labels[i]) for i in levels])
        axes.set_ylim(count - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        _value_axis(axes, shown, horizontal=True)
        if not binary:
            axes.figure.legend(loc="upper left", ncols=classes, fontsize=8, borderaxespad=0.1, labelcolor=MUTED,
                               handletextpad=0.3, columnspacing=1.0)  # fmt: skip
        figure.subplots_adjust(left=0.34, right=0.97, top=1 - top / height, bottom=bottom / height)
    places = np.full(len(axis.share), np.nan)
    places[levels] = np.arange(count)
    return figure, places


def _level_name(text: str) -> str:
    """Return the name of a level as a label of an axis."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return shorten_middle(plain, MAX_BIN_NAME_LENGTH) or "(empty)"
