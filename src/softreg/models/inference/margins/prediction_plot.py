"""Plot of predictions over a grid: probabilities of the classes against a column, with bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from softreg.models.inference.margins.predictions import Predictions
from softreg.typing import BoolArray

COLOURS = ("#1f5fa8", "#d1640f", "#3f8f5f", "#8a5aa8", "#5f6a75", "#a8741f", "#b03a5b", "#2f8f9d", "#7a7a1f", "#444444")
"""Colours of the classes, repeated after the last."""
LINES = ("-", "--", ":", "-.")
"""Lines of the values of the second column of the grid."""
MOST_COLUMNS = 2
"""Columns of a grid that a plot can show."""
TWO_CLASSES = 2
"""With two classes only the second is drawn: the other probability is one minus it."""


def plot_predictions(predictions: Predictions, axes: Any = None) -> Any:
    """Draw the probability of each class against the first column of the grid, with the intervals as bands.

    With two classes only the second is drawn. A second column of the grid has a line style for each value. Values that
    are not numbers are drawn as points with bars.

    Parameters
    ----------
    predictions : Predictions
        Predictions of a grid of one or two columns.
    axes : matplotlib.axes.Axes, optional
        Axes to draw on; by default new ones.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        If the predictions are not those of a grid of one or two columns.
    """
    names = list(predictions.grid)
    if not 1 <= len(names) <= MOST_COLUMNS:
        raise ValueError("a plot needs predictions of a grid of one or two columns, as predictions(grid={'age': ...}).")
    second = predictions.grid[names[1]] if len(names) > 1 else [None] * len(predictions.probabilities)
    styles = list(dict.fromkeys(second))
    if len(styles) > len(LINES):
        raise ValueError(f"{names[1]!r} has {len(styles)} values; a plot can show {len(LINES)} of them.")
    if axes is None:
        from matplotlib import pyplot

        axes = pyplot.subplots(figsize=(6.0, 3.8), layout="constrained")[1]
    q = len(predictions.classes)
    for k in range(q) if q > TWO_CLASSES else [q - 1]:
        for line, value in zip(LINES, styles, strict=False):
            label = f"{predictions.classes[k]}" + ("" if value is None else f", {names[1]} = {value}")
            style = {"color": COLOURS[k % len(COLOURS)], "linestyle": line, "label": label}
            _draw(axes, predictions, names[0], np.array([v == value for v in second]), k, style)
    band = f"{100 * predictions.level:g}%" + (" simultaneous" if predictions.simultaneous else "")
    axes.set(xlabel=names[0], ylabel=f"probability, {band} intervals", ylim=(-0.02, 1.02))
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _draw(axes: Any, predictions: Predictions, name: str, at: BoolArray, k: int, style: dict[str, Any]) -> None:
    """Draw the probabilities of class k at some points of the grid."""
    x: Sequence[Any] = [v for v, chosen in zip(predictions.grid[name], at, strict=True) if chosen]
    p, low, high = (a[at, k] for a in (predictions.probabilities, predictions.low, predictions.high))
    if all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in x) and len(x) > 1:
        order = np.argsort(np.asarray(x, dtype=float), kind="stable")
        values = np.asarray(x, dtype=float)[order]
        axes.plot(values, p[order], linewidth=1.6, **style)
        axes.fill_between(values, low[order], high[order], color=style["color"], alpha=0.18, linewidth=0)
    else:
        axes.errorbar([str(v) for v in x], p, [p - low, high - p], marker="o", capsize=3, **{**style, "linestyle": ""})
