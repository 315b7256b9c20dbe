"""Functions of two columns as maps of signed shades, as inline SVG."""

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
from softreg.report.figures.svg import BLUE, LINE, MUTED, ORANGE, class_title, figure_svg, report_style, viewbox_points
from softreg.report.figures.term_plots import ShownAxis, ShownTerm, drawn_classes, shown_levels
from softreg.typing import Float64Array, IntArray

MAX_MAPS = 3
"""Classes whose maps are drawn, those of which the function varies most."""
MAX_TICKS = 5
"""Numbers that are written beside an axis."""
SHADES = 24
"""Shades of each sign."""


def largest_logit(term: ShownTerm) -> float:
    """Return the absolute value of the darkest shade of the maps of a function.

    Parameters
    ----------
    term : ShownTerm
        Function of two columns.

    Returns
    -------
    float
        Largest absolute logit of the nodes that are drawn, 0 without any.
    """
    shown = term.logits[np.ix_(*(_shown_nodes(axis) for axis in term.axes))]
    return float(np.abs(shown).max()) if shown.size else 0.0


def has_empty_cells(term: ShownTerm) -> bool:
    """Return whether a map has cells without training rows."""
    return bool((term.share[np.ix_(*(_shown_nodes(axis) for axis in term.axes))] <= 0).any())


@dataclass(frozen=True, eq=False)
class InteractionFigure:
    """The map of the function of two columns for one class.

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


def interaction_maps(term: ShownTerm, name: str) -> tuple[Markup, ...]:
    """Draw the function of two columns as a map for the second of two classes, or for a few of several.

    Each cell is a node of both columns: numbers are spaced by their ranks. Blue cells increase the logit, orange ones
    decrease it; a dot marks a cell without training rows.

    Parameters
    ----------
    term : ShownTerm
        Function of two columns.
    name : str
        Prefix of the ids of the figures, unique on the page.

    Returns
    -------
    tuple of Markup
        SVG elements, one a class.
    """
    return tuple(figure_svg(one.figure, f"{name}{one.suffix}", one.label) for one in interaction_figures(term))


def interaction_figures(term: ShownTerm) -> tuple[InteractionFigure, ...]:
    """Draw the maps of the function of two columns, as figures of Matplotlib.

    Parameters
    ----------
    term : ShownTerm
        Function of two columns.

    Returns
    -------
    tuple of InteractionFigure
        Figures, one a class.
    """
    largest = largest_logit(term)
    first, second = term.axes
    upright = bool(len(first.numbers)) or not len(second.numbers)  # numbers along the horizontal axis
    label = shorten_middle(term.name, MAX_NAME_LENGTH)
    share = term.share.T if upright else term.share
    across, down = (first, second) if upright else (second, first)
    nodes = _shown_nodes(across), _vertical_nodes(down)
    places = [np.full(len(axis.share), np.nan) for axis in (across, down)]
    for place, shown in zip(places, nodes, strict=True):
        place[shown] = np.arange(len(shown))
    maps = []
    for k in drawn_classes(term, MAX_MAPS):
        values = term.logits[:, :, k].T if upright else term.logits[:, :, k]
        figure = _draw(values, share, (across, down), largest)
        if len(term.classes) > 1:
            figure.axes[0].set_title(class_title(term.classes[k]), fontsize=9)
        text = f"Interaction {label}: logits of {shorten_middle(term.classes[k], MAX_NAME_LENGTH)}"
        text = f"{text} between {-largest:.3g} and {largest:.3g}"
        maps.append(InteractionFigure(figure, text, f"m{k}", places[0], places[1], upright))
    return tuple(maps)


def _vertical_nodes(axis: ShownAxis) -> IntArray:
    """Return the indices of the nodes of a vertical axis from the top on, with the least number at the bottom."""
    nodes = _shown_nodes(axis)
    return nodes[::-1] if len(axis.numbers) else nodes


def _draw(values: Float64Array, share: Float64Array, axes: tuple[ShownAxis, ShownAxis], largest: float) -> Figure:
    """Draw values (rows, columns) as cells."""
    across, down = axes
    columns, rows = _shown_nodes(across), _vertical_nodes(down)
    values, share = values[np.ix_(rows, columns)], share[np.ix_(rows, columns)]
    with report_style():
        figure = Figure(figsize=(4.0, 0.95 + (0.16 if len(down.numbers) else 0.24) * max(len(rows), 3)))
        panel = figure.subplots()
        _cells(panel, values, largest)
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
        height = figure.get_figheight()
        bottom = 0.48 if len(across.numbers) else 0.8
        figure.subplots_adjust(left=0.3, right=0.96, top=1 - 0.26 / height, bottom=bottom / height)
    return figure


def _cells(panel: Axes, values: Float64Array, largest: float) -> None:
    """Draw each cell in the shade of its value, those of equal shade as one collection."""
    shade = np.round(SHADES * values / largest).astype(int) if largest > 0 else np.zeros(values.shape, dtype=int)
    for level in np.unique(shade[shade != 0]):
        cells = [Path.unit_rectangle().transformed(Affine2D().translate(x - 0.5, y - 0.5))
                 for y, x in np.argwhere(shade == level)]  # fmt: skip
        colour = to_rgba(BLUE if level > 0 else ORANGE, abs(level) / SHADES)
        panel.add_patch(PathPatch(Path.make_compound_path(*cells), facecolor=colour, linewidth=0))
    panel.plot([-0.5, values.shape[1] - 0.5, values.shape[1] - 0.5, -0.5, -0.5],
               [-0.5, -0.5, values.shape[0] - 0.5, values.shape[0] - 0.5, -0.5], color=LINE, linewidth=0.8)  # fmt: skip


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
