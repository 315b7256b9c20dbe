"""Pictures of the curves and interactions of a program as a section of its page, with a marker of the current row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from softreg.typing import Float64Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from softreg.report.figures.term_plots import ShownTerm, ShownTerms

MAX_PICTURES = 24
"""Terms that are drawn, those that vary most."""
DECIMALS = 1
"""Decimals of coordinates, of which a unit is about a pixel and a half."""
_COORDINATES = re.compile(r'(\b(?:d|x|y|transform)=")([^"]*)(")')
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}")


@dataclass(frozen=True, eq=False)
class Pictures:
    """The section of the pictures, and what the script of the page needs for the markers.

    Attributes
    ----------
    html : str
        The section; empty without terms.
    terms : list of dict
        For each term that is drawn its axes, and its figures in the order of their SVG elements, as strict JSON.
    """

    html: str
    terms: list[dict[str, Any]]


def term_pictures(functions: ShownTerms | None) -> Pictures:
    """Return the pictures of the curves, levels and interactions of a model, the largest first.

    Parameters
    ----------
    functions : ShownTerms or None
        Functions of the model.

    Returns
    -------
    Pictures
        The section and the places of the nodes.

    Examples
    --------
    >>> term_pictures(None).html
    ''
    """
    if functions is None or not functions.functions:
        return Pictures("", [])
    order = sorted(functions.functions, key=lambda one: -one.size)
    drawn = [_drawn(term, f"term{i}") for i, term in enumerate(order[:MAX_PICTURES])]
    left = len(order) - len(drawn)
    note = f'<p class="quiet small">{left} more terms, which vary less, have no picture.</p>' if left else ""
    figures = "\n".join(html for html, _ in drawn)
    return Pictures(
        '    <section id="terms" aria-labelledby="terms-title">\n'
        '      <details><summary><h2 id="terms-title">Curves and interactions</h2></summary>\n'
        f'<p class="quiet small">{_introduction(functions)}</p>\n{figures}\n{note}'
        "</details>\n    </section>\n",
        [record for _, record in drawn],
    )


def _introduction(functions: ShownTerms) -> str:
    """Return the sentences above the pictures."""
    classes = functions.functions[0].classes
    what = f"the log-odds of \u201c{escape(classes[0])}\u201d" if len(classes) == 1 else "the logit of each class"
    some = "" if len(classes) <= 1 else " Of many classes, a picture shows those of which the function varies most."
    if functions.intervals:
        bands = f"Bands are pointwise {100 * functions.level:g}% intervals. "
    else:
        bands = "There are no bands, as the model keeps no covariance of its weights. "
    return (
        f"What each column, and each interaction beyond its two columns, adds to {what}, centred over the training "
        "rows; beside it the probability with all other terms at their mean. A line or ring marks the row's values. "
        f"{bands}The grey area below a curve is the distribution of the training rows (square roots of their shares). "
        f"{_maps(functions)}{some} The pictures describe the model, not causes."
    )


def _maps(functions: ShownTerms) -> str:
    """Return the sentences about the maps of interactions; empty without interactions."""
    if all(one.kind != "interaction" for one in functions.functions):
        return ""
    half = " A third map has half the width of the band of the logits." if functions.intervals else ""
    return f"In a map of logits, blue raises and orange lowers the logit; a dot is a cell without training rows.{half}"


def _drawn(term: ShownTerm, name: str) -> tuple[str, dict[str, Any]]:
    """Return the figures of a term, and the record of their nodes."""
    figures, records = _map_figures(term, name) if term.kind == "interaction" else _column_figures(term, name)
    axes = [
        {"column": axis.column, "numbers": axis.numbers.tolist(), "labels": list(axis.labels[len(axis.numbers) :])}
        for axis in term.axes
    ]
    remark = "" if term.kind != "interaction" else " interaction"
    caption = f"<figcaption><b><bdi>{escape(_plain(term.name))}</bdi></b><span>{remark}</span></figcaption>"
    rows = ("".join(f"<div>{svg}</div>" for svg in row) for row in figures)
    pictures = "".join(f'<div class="pictures">{row}</div>' for row in rows)
    return f"<figure>{caption}{pictures}</figure>", {"axes": axes, "figures": records}


def _column_figures(term: ShownTerm, name: str) -> tuple[list[list[str]], list[dict[str, Any]]]:
    """Return both figures of a column as a row, and the points of their nodes."""
    from softreg.report.figures.svg import figure_svg, viewbox_points
    from softreg.report.figures.term_plots import term_figures

    figures, records = [], []
    for kind, one in zip("lp", term_figures(term), strict=True):
        figures.append(svg_without_styles(figure_svg(one.figure, f"{name}{kind}", one.label)))
        points = one.points()
        places = points[:, :, 0 if one.upright else 1].mean(axis=1)
        record: dict[str, Any] = {"kind": "curve" if one.upright else "levels", "at": _rounded(places)}
        if one.upright:
            record["values"] = [_rounded(points[:, c, 1]) for c in range(points.shape[1])]
            record["span"] = _rounded(viewbox_points(one.figure, _vertical_ends(one.figure))[:, 1])
        records.append(record)
    return [figures], records


def _map_figures(term: ShownTerm, name: str) -> tuple[list[list[str]], list[dict[str, Any]]]:
    """Return the maps of an interaction, a row for each class, and the places of their nodes along both axes."""
    from softreg.report.figures.interaction_plots import interaction_figures
    from softreg.report.figures.svg import figure_svg

    rows, records = [], []
    for row in interaction_figures(term):
        rows.append([svg_without_styles(figure_svg(one.figure, f"{name}{one.suffix}", one.label)) for one in row])
        for one in row:
            x, y = one.points()
            records.append({"kind": "map", "x": _rounded(x), "y": _rounded(y), "across": 0 if one.upright else 1})
    return rows, records


def _vertical_ends(figure: Figure) -> Float64Array:
    """Return a point (2, 2) at the upper and one at the lower end of the first axes of a figure."""
    low, high = figure.axes[0].get_ylim()
    return np.array([[0.0, high], [0.0, low]])


def svg_without_styles(svg: str) -> str:
    """Return an SVG element with attributes in place of inline styles, which the policy of the page forbids.

    Coordinates are rounded, and ids that nothing refers to are left out.

    Parameters
    ----------
    svg : str
        SVG element of Matplotlib.

    Returns
    -------
    str
        SVG element.

    Examples
    --------
    >>> svg_without_styles('<path id="a" d="M 1.23456 2" style="fill: none; stroke-width: 0.8"/>')
    '<path d="M 1.2 2" fill="none" stroke-width="0.8"/>'
    """
    used = set(re.findall(r'(?:href="#|url\(#)([^")]*)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", svg)
    svg = re.sub(r'style="([^"]*)"', lambda match: _attributes(match[1]), svg)
    svg = _COORDINATES.sub(lambda match: match[1] + _LONG_NUMBER.sub(_shorter, match[2]) + match[3], svg)
    return re.sub(r"\s*\n\s*", " ", re.sub(r"<g>\s*</g>|<g/>", "", svg))


def _attributes(style: str) -> str:
    """Return the declarations of a style as attributes."""
    pairs = (part.split(":", 1) for part in style.split(";") if part.strip())
    return " ".join(f'{name.strip()}="{value.strip()}"' for name, value in pairs)


def _shorter(match: re.Match[str]) -> str:
    """Return a coordinate with few decimals."""
    return f"{round(float(match[0]), DECIMALS):g}"


def _rounded(places: Float64Array) -> Sequence[float | None]:
    """Return coordinates with few decimals, None for nodes that are not drawn."""
    return [round(float(x), DECIMALS) if np.isfinite(x) else None for x in places]


def _plain(text: str) -> str:
    """Return a name without control characters."""
    return "".join(c if c.isprintable() else " " for c in text)
