"""SVG of Matplotlib figures and small images, in the colours of the page, light or dark."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from softreg.report.evaluation.number_format import shorten_middle
from softreg.typing import Float64Array

# Placeholder colours: `figure_svg` replaces them by the colours of the page.
INK, MUTED, LINE, BLUE, ORANGE, BAND = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
_PAGE_COLOURS = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    BAND: "var(--band)",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, in the font of the page
    "svg.hashsalt": "softreg",  # fixed ids, for the same bytes in each run
    "text.parse_math": False,  # a name may contain dollar signs
    "text.usetex": False,
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "legend.frameon": False,
}
LEVELS = 12
"""Shades of an image."""
MAX_SIDE = 64
"""Pixels of a side of an image; larger ones are averaged down."""
MAX_POINTS = 400
"""Points of a curve; more are not visible at the size of a page."""
POINTS_PER_INCH = 72
"""Units of the viewBox in an inch of a figure."""
MAX_TITLE_LENGTH = 18
"""Characters of a class name above a small diagram."""


@contextmanager
def report_style() -> Iterator[None]:
    """Use the style of reports instead of the user's Matplotlib settings, and restore these at the end.

    Yields
    ------
    None
        Figures drawn within the context have the style.

    Examples
    --------
    >>> with report_style():
    ...     matplotlib.rcParams["axes.spines.top"]
    False
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def class_title(text: str) -> str:
    """Return a class name as the title of a small diagram: without control characters, never empty, never too long."""
    return shorten_middle("".join(c if c.isprintable() else " " for c in text), MAX_TITLE_LENGTH).strip() or "(empty)"


def figure_svg(figure: Figure, name: str, label: str) -> Markup:
    """Convert a figure to an inline `<svg>` in the size, font and colours of the page; equal figures give equal bytes.

    Parameters
    ----------
    figure : Figure
        The figure, drawn within `report_style`.
    name : str
        Prefix of the ids of the figure, unique on the page.
    label : str
        Description of the figure for screen readers.

    Returns
    -------
    Markup
        The SVG element.

    Raises
    ------
    RuntimeError
        If Matplotlib writes an SVG without a viewBox.

    Examples
    --------
    >>> figure = Figure(figsize=(2, 1)); _ = figure.text(0.5, 0.5, "a < b", color=INK)
    >>> svg = figure_svg(figure, "small", "The words: a < b")
    >>> svg[:66], "currentColor" in svg, "a &lt; b" in svg
    (Markup('<svg viewBox="0 0 144 72" role="img" aria-label="The words: a &lt;'), True, True)
    """
    drawn = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with report_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # the page has its own fonts
        figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    text = drawn.getvalue()
    box = re.search(r'viewBox="([^"]*)"', text)
    if box is None:
        raise RuntimeError("Matplotlib wrote an SVG without a viewBox, which this version of softreg does not support")
    text = text[text.index(">", text.index("<svg")) + 1 :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r" ?font-family: [^;\"]*;?", "", text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', text)
    text = text.replace("url(#", f"url(#{name}-")
    for colour, page_colour in _PAGE_COLOURS.items():
        text = text.replace(colour, page_colour)
    text = re.sub(r"\s*\n\s*", "\n", text)
    return Markup(f'<svg viewBox="{box[1]}" role="img" aria-label="{escape(label)}">') + Markup(text.strip())


def viewbox_points(figure: Figure, points: Float64Array) -> Float64Array:
    """Return points of the first axes of a figure in the coordinates of its SVG element.

    Parameters
    ----------
    figure : Figure
        The figure.
    points : array of float64 (..., 2)
        Points in the units of its axes.

    Returns
    -------
    array of float64 (..., 2)
        Points in the coordinates of the viewBox, downwards from its upper left corner.

    Examples
    --------
    >>> figure = Figure(figsize=(2, 1)); axes = figure.subplots()
    >>> figure.subplots_adjust(left=0, right=1, bottom=0, top=1)
    >>> viewbox_points(figure, np.array([[0.0, 0.0], [0.5, 1.0]])).round(6).tolist()
    [[0.0, 72.0], [72.0, 0.0]]
    """
    flat = figure.axes[0].transData.transform(points.reshape(-1, 2)) * POINTS_PER_INCH / figure.dpi
    placed: Float64Array = np.stack([flat[:, 0], POINTS_PER_INCH * figure.get_figheight() - flat[:, 1]], axis=1)
    return placed.reshape(points.shape)


def signed_svg(weights: ArrayLike, largest: float, label: str) -> Markup:
    """Draw signed numbers as an image: blue where positive, orange where negative.

    Parameters
    ----------
    weights : array_like of shape (height, width)
        The numbers; those that are not finite are blank.
    largest : float
        Absolute value of the darkest shade. Images with equal `largest` can be compared.
    label : str
        Description of the image for screen readers.

    Returns
    -------
    Markup
        The SVG element.

    Examples
    --------
    >>> signed_svg([[1.0, -1.0]], 1.0, "left minus right").count("<path")
    2
    """
    values = _reduced(weights)
    shade = np.round(_scaled(np.abs(values), 0.0, largest) * LEVELS).astype(int)
    paths = [
        *_paths(np.where(values > 0, shade, 0), "blue"),
        *_paths(np.where(values < 0, shade, 0), "orange"),
    ]
    return _pixels(values.shape, paths, label)


def grayscale_svg(image: ArrayLike, label: str) -> Markup:
    """Draw an image in the text colour of the page: its smallest value is transparent, its largest opaque.

    Parameters
    ----------
    image : array_like of shape (height, width)
        The image. A constant image is blank, as are entries that are not finite.
    label : str
        Description of the image for screen readers.

    Returns
    -------
    Markup
        The SVG element.

    Examples
    --------
    >>> print(grayscale_svg([[0, 1], [1, 1]], "a step").partition(">")[2])
    <path d="M1 0h1v1h-1zM0 1h2v1h-2z" fill="currentColor"/></svg>
    """
    values = _reduced(image)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    shade = np.round(_scaled(values, low, high) * LEVELS).astype(int)
    return _pixels(values.shape, list(_paths(shade, "text")), label)


def _reduced(image: ArrayLike) -> NDArray[np.float64]:
    """Return an image averaged in square blocks, so that no side is longer than `MAX_SIDE`."""
    values = np.asarray(image, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"an image must have shape (height, width); seen: shape {values.shape}")
    block = -(-max(values.shape) // MAX_SIDE)
    if block <= 1:
        return values
    height, width = (side // block * block for side in values.shape)
    if height == 0 or width == 0:
        return values[:MAX_SIDE, :MAX_SIDE]
    blocks: NDArray[np.float64] = values[:height, :width].reshape(height // block, block, width // block, block)
    averaged: NDArray[np.float64] = blocks.mean(axis=(1, 3))
    return averaged


def _scaled(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Scale values from [low, high] to [0, 1]; 0 where the range is empty or a value is nan."""
    if not high > low:
        return np.zeros(values.shape)
    return np.nan_to_num(np.clip((values - low) / (high - low), 0.0, 1.0), nan=0.0)


def _paths(shade: NDArray[np.int64], colour: str) -> Iterator[str]:
    """Yield an SVG path for each shade, made of runs of neighbouring pixels."""
    fill = "currentColor" if colour == "text" else f"var(--{colour})"
    for level in range(1, LEVELS + 1):
        runs = []
        for y, row in enumerate(shade == level):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
            runs += [
                f"M{start} {y}h{end - start}v1h{start - end}z" for start, end in zip(*[iter(edges)] * 2, strict=True)
            ]
        if runs:
            opacity = "" if level == LEVELS else f' fill-opacity="{level / LEVELS:.2f}"'
            yield f'<path d="{"".join(runs)}" fill="{fill}"{opacity}/>'


def _pixels(shape: tuple[int, ...], paths: list[str], label: str) -> Markup:
    """Return the SVG element of an image of the given paths."""
    height, width = shape
    head = f'<svg class="pixels" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return Markup(head) + Markup("".join(paths)) + Markup("</svg>")
