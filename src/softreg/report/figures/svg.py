"""From Matplotlib figures and small arrays to SVG that takes its colours, light or dark, from the page."""

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

# Matplotlib draws with these stand-ins, and `figure_svg` puts the page's own colours in their place.
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
    "svg.fonttype": "none",  # text stays text: it takes the page's font and can be selected
    "svg.hashsalt": "softreg",  # else the ids are random and no two runs give the same bytes
    "text.parse_math": False,  # a name may hold dollars
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
LEVELS = 12  # shades of a pixel picture
LARGEST_SIDE = 64  # pixels; larger images are averaged down


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the report's style, whatever the user's own Matplotlib settings, and put these back at the end.

    >>> with house_style():
    ...     matplotlib.rcParams["axes.spines.top"]
    False
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def figure_svg(figure: Figure, name: str, label: str) -> Markup:
    """Turn a figure into an inline `<svg>` whose size, font and colours are the page's.

    `name` must be unique on the page: it opens every id of this figure. `label` says in words what is seen,
    for those who cannot see it. The same figure gives the same bytes.

    >>> figure = Figure(figsize=(2, 1)); _ = figure.text(0.5, 0.5, "a < b", color=INK)
    >>> svg = figure_svg(figure, "small", "The words: a < b")
    >>> svg[:66], "currentColor" in svg, "a &lt; b" in svg
    (Markup('<svg viewBox="0 0 144 72" role="img" aria-label="The words: a &lt;'), True, True)
    """
    drawn = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with house_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # the page has fonts of its own
        figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    text = drawn.getvalue()
    box = re.search(r'viewBox="([^"]*)"', text)
    if box is None:
        raise RuntimeError(
            "Matplotlib wrote an SVG without a viewBox, which this version of softreg cannot place on a page"
        )
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


def weight_picture(weights: ArrayLike, largest: float, label: str) -> Markup:
    """Draw signed weights (height, width) as a picture: blue where positive, orange where negative.

    The shade is |weight| / `largest` in equal steps, so that pictures with the same `largest` can be
    compared. Entries that are not finite are left blank. Raises `ValueError` unless the array has two axes.

    >>> weight_picture([[1.0, -1.0]], 1.0, "left minus right").count("<path")
    2
    """
    values = _small(weights)
    shade = np.round(_scaled(np.abs(values), 0.0, largest) * LEVELS).astype(int)
    paths = [
        *_paths(np.where(values > 0, shade, 0), "blue"),
        *_paths(np.where(values < 0, shade, 0), "orange"),
    ]
    return _pixels(values.shape, paths, label)


def ink_picture(image: ArrayLike, label: str) -> Markup:
    """Draw an image (height, width) in the page's ink: its smallest value is bare, its largest full ink.

    An image of one value stays blank, as do entries that are not finite. Raises `ValueError` unless the array
    has two axes.

    >>> print(ink_picture([[0, 1], [1, 1]], "a step").partition(">")[2])
    <path d="M1 0h1v1h-1zM0 1h2v1h-2z" fill="currentColor"/></svg>
    """
    values = _small(image)
    seen = values[np.isfinite(values)]
    low, high = (seen.min(), seen.max()) if seen.size else (0.0, 0.0)
    shade = np.round(_scaled(values, low, high) * LEVELS).astype(int)
    return _pixels(values.shape, list(_paths(shade, "ink")), label)


def _small(picture: ArrayLike) -> NDArray[np.float64]:
    """The array as numbers, averaged down in square blocks where a side is longer than LARGEST_SIDE."""
    values = np.asarray(picture, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"a picture needs an array of two axes, (height, width); seen: shape {values.shape}")
    block = -(-max(values.shape) // LARGEST_SIDE)
    if block <= 1:
        return values
    height, width = (side // block * block for side in values.shape)
    if height == 0 or width == 0:
        return values[:LARGEST_SIDE, :LARGEST_SIDE]
    blocks: NDArray[np.float64] = values[:height, :width].reshape(height // block, block, width // block, block)
    averaged: NDArray[np.float64] = blocks.mean(axis=(1, 3))
    return averaged


def _scaled(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Values from low..high moved to 0..1; blank (0) where there is no range or no number."""
    if not high > low:
        return np.zeros(values.shape)
    return np.nan_to_num(np.clip((values - low) / (high - low), 0.0, 1.0), nan=0.0)


def _paths(shade: NDArray[np.int64], colour: str) -> Iterator[str]:
    """One path a shade, made of runs of neighbouring pixels: small to store and sharp at every size."""
    fill = "currentColor" if colour == "ink" else f"var(--{colour})"
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
    height, width = shape
    head = f'<svg class="pixels" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return Markup(head) + Markup("".join(paths)) + Markup("</svg>")
