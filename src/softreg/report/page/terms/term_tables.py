"""The functions of columns and interactions of a report: figures, numbers, and the sentences beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from softreg.report.figures.interaction_plots import has_empty_cells, interaction_maps
from softreg.report.figures.number_scale import number_scale
from softreg.report.figures.term_plots import ShownTerm, ShownTerms, drawn_classes, shown_levels, term_plots
from softreg.report.page.table import Table, display_name, heading, left_out_note

MAX_TERMS = 24
"""Functions that are drawn, those that vary most."""
ERRORS = {
    "posterior": "posterior of the weights, with the strengths of the penalty held fixed",
    "model": "covariance of the weights",
    "robust": "robust covariance of the weights",
    "clustered": "robust covariance of the weights with dependent rows in clusters",
}
"""Kinds of standard errors in words."""


@dataclass(frozen=True)
class DrawnTerm:
    """A function: its figures in rows, its numbers, and, of an interaction, what the dots in its maps are."""

    name: str
    remark: str
    figures: tuple[tuple[Markup, ...], ...]
    numbers: Table | None
    dots: str


@dataclass(frozen=True)
class DrawnTerms:
    """The functions that the page shows, with the sentences beside them."""

    drawn: Sequence[DrawnTerm]
    other: Sequence[str]
    intervals: str
    left_out: str
    some_classes: bool


def drawn_terms(terms: ShownTerms | None) -> DrawnTerms | None:
    """Return the functions of a model by size, the largest first.

    Parameters
    ----------
    terms : ShownTerms or None
        Functions of the model.

    Returns
    -------
    DrawnTerms or None
        Figures and tables; None without functions.
    """
    if terms is None or not terms.functions:
        return None
    order = sorted(terms.functions, key=lambda one: -one.size)
    shown = order[:MAX_TERMS]
    return DrawnTerms(
        [_drawn(one, f"term{i}") for i, one in enumerate(shown)],
        [display_name(name) for name in terms.other],
        _interval_sentence(terms),
        left_out_note(len(order), len(shown), "terms, which vary less,"),
        any(len(drawn_classes(one)) < len(one.classes) for one in shown),
    )


def _interval_sentence(terms: ShownTerms) -> str:
    """Return what the bands are, or why there are none."""
    if not terms.intervals:
        return (
            "There are no bands, since the model keeps no covariance of its weights; train it with --intervals "
            "(keep_intervals in Python) for them."
        )
    errors = ERRORS.get(terms.intervals, "covariance of the weights")
    maps = any(one.kind == "interaction" for one in terms.functions)
    half = " A third map of an interaction shows half the width of its band: 0.3 stands for \u00b10.3." if maps else ""
    return f"Bands are pointwise {100 * terms.level:g}% intervals from the {errors}.{half}"


def _drawn(term: ShownTerm, name: str) -> DrawnTerm:
    """Return figures and numbers of a function."""
    deviation = f"standard deviation {term.size:.2g}"
    if term.kind != "interaction":
        remark = f"{term.kind}, {deviation}{_remark(term)}"
        return DrawnTerm(display_name(term.name), remark, (term_plots(term, name),), _numbers(term), "")
    dots = "A dot is a cell without training rows." if has_empty_cells(term) else ""
    return DrawnTerm(display_name(term.name), f"interaction, {deviation}", interaction_maps(term, name), None, dots)


def _remark(term: ShownTerm) -> str:
    """Return what the figures of a column leave out or change; empty where they show everything."""
    axis = term.axes[0]
    if len(axis.numbers):
        remark = number_scale(axis.numbers, axis.share[: len(axis.numbers)]).remark
        return f"; {remark}" if remark else ""
    levels, shown = int((axis.share > 0).sum()), len(shown_levels(axis.share))
    return f"; the {shown} most frequent of {levels:,} levels" if shown < levels else ""


def _numbers(term: ShownTerm) -> Table:
    """Return the values of a function of a column at its nodes, for the classes that are drawn."""
    classes, axis = drawn_classes(term), term.axes[0]
    binary = len(term.classes) == 1
    head = [display_name(axis.column), "share of rows"]
    for k in classes:
        head += ["log-odds" if binary else f"logit of {heading(term.classes[k])}"]
        head += ["interval"] if term.low is not None else []
        head += ["probability"] if binary else [f"probability of {heading(term.classes[k])}"]
    rows = []
    for i, label in enumerate(axis.labels):
        if i >= len(axis.numbers) and not axis.share[i] > 0:
            continue
        row = [display_name(label), f"{axis.share[i]:.1%}"]
        for k in classes:
            row.append(f"{term.logits[i, k]:+.3f}")
            if term.low is not None and term.high is not None:
                row.append(f"{term.low[i, k]:+.3f} to {term.high[i, k]:+.3f}")
            row.append(f"{term.probability[i, 1 if binary else k]:.1%}")
        rows.append(tuple(text.replace("-", "−") if at else text for at, text in enumerate(row)))
    return Table(tuple(head), rows, (not axis.labels or bool(len(axis.numbers)), *([True] * (len(head) - 1))))
