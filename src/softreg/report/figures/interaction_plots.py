"""Functions of two columns as maps of logits, probabilities and widths of intervals, as inline SVG."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from softreg.report.evaluation.number_format import MAX_NAME_LENGTH, shorten_middle
from softreg.report.figures.number_scale import axis_number
from softreg.report.figures.svg import (
    BLUE,
    INK,
    LINE,
    MUTED,
    ORANGE,
    class_title,
    figure_svg,
    report_style,
    viewbox_points,
)
from softreg.report.figures.term_plots import ShownAxis, ShownTerm, drawn_classes, shown_levels
from softreg.typing import BoolArray, Float64Array, IntArray

MAX_MAPS = 3
"""Classes whose maps are drawn, those of which the function varies most."""
MAX_TICKS = 5
"""Numbers that are written beside an axis."""
LEAST_LOGIT = 0.01
"""Least logit of the darkest shade: an interaction without evidence is blank."""
SHADES = 24
"""Shades of each sign."""
STEPS = 9
"""Shades that are drawn above a map, with the numbers of the first and the last one."""
NEAR_PROBABILITIES = 0.05
"""Difference up to which the ends of a range of probabilities have a decimal."""


def largest_logit(term: ShownTerm) -> float:
    """Return the absolute value of the darkest shade of the maps of a function.

    Parameters
    ----------
    term : ShownTerm
        Function of two columns.

    Returns
    -------
    float
        Largest absolute logit of the nodes that are drawn, `LEAST_LOGIT` at least: smaller ones are no effect.
    """
    shown = term.logits[np.ix_(*(_shown_nodes(axis) for axis in term.axes))]
    return max(LEAST_LOGIT, float(np.abs(shown).max())) if shown.size else LEAST_LOGIT


def has_empty_cells(term: ShownTerm) -> bool:
    """Return whether a map has cells without training rows."""
    return bool((term.share[np.ix_(*(_shown_nodes(axis) for axis in term.axes))] <= 0).any())


@dataclass(frozen=True, eq=False)
class InteractionFigure:
    """A map of the function of two columns.

    Attributes
    ----------
    figure : Figure
        The figure.
    label : str
        Its description.
    suffix : str
        End of the prefix of its ids.
    across, down : array of float64 (m_a,), (m_b,)
        Place of each node of the columns along the horizontal and the vertical axis, nan where it is not drawn.
    upright : bool
        Whether the first column is along the horizontal axis.
    """

    figure: Figure
    label: str
    suffix: str
    across: Float64Array
    down: Float64Array
    upright: bool

    def points(self) -> tuple[Float64Array, Float64Array]:
        """Return the places of the nodes along both axes in the coordinates of the SVG element."""
        x = viewbox_points(self.figure, np.stack([self.across, np.zeros(len(self.across))], axis=1))[:, 0]
        y = viewbox_points(self.figure, np.stack([np.zeros(len(self.down)), self.down], axis=1))[:, 1]
        return x, y


def interaction_maps(term: ShownTerm, name: str) -> tuple[tuple[Markup, ...], ...]:
    """Draw the function of two columns as maps, see `interaction_figures`.

    Parameters
    ----------
    term : ShownTerm
        Function of two columns.
    name : str
        Prefix of the ids of the figures, unique on the page.

    Returns
    -------
    tuple of tuple of Markup
        SVG elements of each class.
    """
    rows = interaction_figures(term)
    return tuple(tuple(figure_svg(one.figure, f"{name}{one.suffix}", one.label) for one in row) for row in rows)


def interaction_figures(term: ShownTerm) -> tuple[tuple[InteractionFigure, ...], ...]:
    """Draw the maps of the function of two columns, as figures of Matplotlib.

    The second of two classes, or each of a few of several, has a map of the logits, one of the probabilities with all
    other terms at their mean, and, with intervals, one of half the width of the band of the logits. Each cell is a
    node of both columns: numbers are spaced by their ranks. Blue cells increase the logit, orange ones decrease it; a
    dot marks a cell without training rows.

    Parameters
    ----------
    term : ShownTerm
        Function of two columns.

    Returns
    -------
    tuple of tuple of InteractionFigure
        Figures of each class.
    """
    first, second = term.axes
    upright = bool(len(first.numbers)) or not len(second.numbers)  # numbers along the horizontal axis
    across, down = (first, second) if upright else (second, first)
    share = term.share.T if upright else term.share
    nodes = _shown_nodes(across), _vertical_nodes(down)
    places = [np.full(len(axis.share), np.nan) for axis in (across, down)]
    for place, shown in zip(places, nodes, strict=True):
        place[shown] = np.arange(len(shown))

    def drawn(view: _View) -> InteractionFigure:
        figure = _draw(view.values.T if upright else view.values, share, (across, down), view)
        return InteractionFigure(figure, view.label, view.suffix, places[0], places[1], upright)

    return tuple(tuple(drawn(view) for view in views) for views in _views(term))


@dataclass(frozen=True, eq=False)
class _View:
    """Values (m_a, m_b) of a map, the numbers of its lightest and darkest shades, and its title and description.

    A signed map has the same shade of one colour at `low` and of another at `high`, and none in the middle.
    """

    values: Float64Array
    low: float
    high: float
    colour: str
    title: str
    label: str
    suffix: str
    ends: tuple[str, str]
    signed: bool = False

    def shade(self, values: Float64Array) -> IntArray:
        """Return the shade of each value: from 0 to `SHADES`, or from `-SHADES` to `SHADES` if it is signed."""
        start = 0.0 if self.signed else self.low
        if not self.high > start:
            return np.zeros(values.shape, dtype=int)
        shade = np.round(SHADES * (values - start) / (self.high - start))
        return np.asarray(np.clip(shade, -SHADES, SHADES).astype(int))

    def fill(self, shade: int) -> tuple[float, ...]:
        """Return the colour of a shade."""
        return to_rgba(self.colour if shade > 0 else ORANGE, abs(shade) / SHADES)


def _views(term: ShownTerm) -> list[list[_View]]:
    """Return the maps of each class that is drawn: its logits, its probabilities, and half its band."""
    shown = np.ix_(*(_shown_nodes(axis) for axis in term.axes))
    label, binary = shorten_middle(term.name, MAX_NAME_LENGTH), len(term.classes) == 1
    classes, largest = drawn_classes(term, MAX_MAPS), largest_logit(term)
    p = term.probability[:, :, 1:] if binary else term.probability
    low, high = _range(p[shown][:, :, classes])
    half = None if term.low is None or term.high is None else (term.high - term.low) / 2
    widest = 0.0 if half is None else max(LEAST_LOGIT, _range(half[shown][:, :, classes])[1])
    logit, start = "log-odds" if binary else "logit", f"Interaction {label}:"
    rows = list[list[_View]]()
    for k in classes:
        name = shorten_middle(term.classes[k], MAX_NAME_LENGTH)
        of = "" if binary else f" of {class_title(term.classes[k])}"
        text = f"{start} logits of {name} between {-largest:.3g} and {largest:.3g}"
        ends = _number(-largest, sign=True), _number(largest, sign=True)
        row = [_View(term.logits[:, :, k], -largest, largest, BLUE, logit + of, text, f"m{k}", ends, signed=True)]
        text = f"{start} probability of {name}, all other terms at their mean, between {low:.3g} and {high:.3g}"
        ends = _percent(low, high), _percent(high, low)
        row.append(_View(p[:, :, k], low, high, BLUE, f"probability{of}", text, f"p{k}", ends))
        if half is not None:
            text = f"{start} half the width of the band of the logits of {name}, up to {widest:.3g}"
            ends = "0", _number(widest)
            row.append(_View(half[:, :, k], 0.0, widest, INK, f"half the band of the {logit}", text, f"b{k}", ends))
        rows.append(row)
    return rows


def _range(values: Float64Array) -> tuple[float, float]:
    """Return the least and the largest value, 0 and 1 without any."""
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def _number(value: float, sign: bool = False) -> str:
    """Return a number with two digits."""
    return f"{value:{'+' if sign else ''}.2g}".replace("-", "\u2212")


def _percent(value: float, other: float) -> str:
    """Return a probability in percent, with a decimal where this and the other one are near each other."""
    return f"{value:.0%}" if abs(value - other) > NEAR_PROBABILITIES else f"{value:.1%}"


def _vertical_nodes(axis: ShownAxis) -> IntArray:
    """Return the indices of the nodes of a vertical axis from the top on, with the least number at the bottom."""
    nodes = _shown_nodes(axis)
    return nodes[::-1] if len(axis.numbers) else nodes


def _draw(values: Float64Array, share: Float64Array, axes: tuple[ShownAxis, ShownAxis], view: _View) -> Figure:
    """Draw values (rows, columns) as cells."""
    across, down = axes
    columns, rows = _shown_nodes(across), _vertical_nodes(down)
    values, share = values[np.ix_(rows, columns)], share[np.ix_(rows, columns)]
    bottom, top = 0.48 if len(across.numbers) else 0.8, 0.5
    with report_style():
        height = bottom + top + (0.16 if len(down.numbers) else 0.24) * max(len(rows), 3)
        figure = Figure(figsize=(4.0, height))
        panel = figure.subplots()
        _cells(panel, view.shade(values), view)
        empty = np.argwhere(share <= 0)
        panel.plot(empty[:, 1], empty[:, 0], ".", color=MUTED, markersize=1.6)
        panel.set_xlim(-0.5, len(columns) - 0.5)
        panel.set_ylim(len(rows) - 0.5, -0.5)
        panel.grid(visible=False)
        places, labels = _ticks(across, columns)
        panel.set_xticks(
            places, labels, rotation=0 if len(across.numbers) else 30, ha="center" if len(across.numbers) else "right"
        )
        places, labels = _ticks(down, rows)
        panel.set_yticks(places, labels)
        panel.set_xlabel(class_title(across.column))
        panel.set_ylabel(class_title(down.column))
        for side in panel.spines.values():
            side.set_visible(False)
        figure.subplots_adjust(left=0.3, right=0.96, top=1 - top / height, bottom=bottom / height)
        _scale(figure, view, height)
    return figure


def _scale(figure: Figure, view: _View, height: float) -> None:
    """Draw the title of a map, and its shades with the numbers of the ends, above it."""
    figure.text(0.3, 1 - 0.06 / height, view.title, va="top", fontsize=9)
    strip = figure.add_axes((0.42, 1 - 0.43 / height, 0.42, 0.14 / height))
    shade = np.linspace(-SHADES if view.signed else 0, SHADES, STEPS).round().astype(int)
    _cells(strip, shade[None], view)
    strip.set_xlim(-0.5, STEPS - 0.5)
    strip.set_ylim(0.5, -0.5)
    strip.set_axis_off()
    for x, text, side in ((0.4, view.ends[0], "right"), (0.86, view.ends[1], "left")):
        figure.text(x, 1 - 0.36 / height, text, va="center", ha=side, fontsize=8, color=MUTED)


def _cells(panel: Axes, shade: IntArray, view: _View) -> None:
    """Draw each cell in its shade, those of equal shade as one path, whose cells side by side are one rectangle."""
    for level in np.unique(shade[shade != 0]):
        runs = [(y, *run) for y, row in enumerate(shade == level) for run in _runs(row)]
        cells = [Path.unit_rectangle().transformed(Affine2D().scale(stop - start, 1).translate(start - 0.5, y - 0.5))
                 for y, start, stop in runs]  # fmt: skip
        panel.add_patch(PathPatch(Path.make_compound_path(*cells), facecolor=view.fill(int(level)), linewidth=0))
    panel.plot([-0.5, shade.shape[1] - 0.5, shade.shape[1] - 0.5, -0.5, -0.5],
               [-0.5, -0.5, shade.shape[0] - 0.5, shade.shape[0] - 0.5, -0.5], color=LINE, linewidth=0.8)  # fmt: skip


def _runs(row: BoolArray) -> list[tuple[int, int]]:
    """Return where each run of true values starts and stops."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _shown_nodes(axis: ShownAxis) -> IntArray:
    """Return the indices of the nodes of an axis that are drawn."""
    k = len(axis.numbers)
    if not k:
        return shown_levels(axis.share)
    others = np.flatnonzero(axis.share[k:] > 0) + k
    return np.concatenate([np.arange(k), others])


def _ticks(axis: ShownAxis, nodes: IntArray) -> tuple[list[float], list[str]]:
    """Return places and labels beside an axis: all levels, or some of the numbers."""
    k = len(axis.numbers)
    names = [class_title(axis.labels[i].strip("()") if k else axis.labels[i]) for i in nodes]
    if not k:
        return list(map(float, range(len(nodes)))), names
    numbers = np.flatnonzero(nodes < k)
    chosen = np.unique(np.linspace(0, len(numbers) - 1, min(MAX_TICKS, len(numbers))).round().astype(int))
    places = [int(numbers[i]) for i in chosen] + np.flatnonzero(nodes >= k).tolist()
    if len(places) > len(chosen) > 1:  # the label of missing values needs the room of its neighbour
        nearest = min(places[: len(chosen)], key=lambda at: abs(at - places[-1]))
        places.remove(nearest)
    return list(map(float, places)), [
        axis_number(axis.numbers[nodes[i]], 3) if nodes[i] < k else names[i] for i in places
    ]
