"""From numbers to what the template lays out: texts, widths and shades, nothing left to compute there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from softreg.report.evaluation.audit import Audit
from softreg.report.evaluation.number_format import LONGEST_NAME, cut, number, percent, shortened
from softreg.report.evaluation.number_format import surprisal as surprisal_of
from softreg.report.evaluation.reliability import Reliability
from softreg.report.figures.svg import ink_picture, weight_picture
from softreg.report.page.report_data import ReportData, ShownRow

MOST_CLASSES_IN_MATRIX = 25
MOST_CLASSES_WITH_SHARES = 12
MOST_PAIRS = 25
LONGEST_HEADING = 28  # characters of a class name above its column
OPEN_CLASSES, MOST_CLASSES_WITH_FEATURES = 12, 60  # the heaviest features of more classes fold, then end
FEATURES_A_CLASS, FEATURES_OF_TWO = 8, 16
MOST_PICTURES = 60
MOST_CELLS = 40
MOST_COLUMNS = 1000
MOST_LINES = 25  # a longer table scrolls in itself, and says so


@dataclass(frozen=True)
class Table:
    """Rows of text under their headings; `right` marks columns of numbers, `note` says what was left out.

    `stacked` puts the last column below the others where the page is narrow."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[bool]
    note: str = ""
    stacked: bool = False


@dataclass(frozen=True)
class Cell:
    """One field of the confusion matrix: the count, its share of the row, and how to shade it (0..1)."""

    count: int
    share: str
    shade: str
    kind: str  # "right", "wrong" or "none"
    strong: bool  # so dark a shade that the text changes to the contrary colour


@dataclass(frozen=True)
class Bar:
    """The weight of one feature: `width` in per cent of half the room, to the right where `positive`."""

    feature: str
    weight: str
    width: str
    positive: bool


def name(text: object) -> str:
    """A class or column name as the page shows it: never empty, never too long."""
    return shortened(str(text), LONGEST_NAME) or "(empty)"


def heading(text: object) -> str:
    """A class name as the head of a narrow column."""
    return shortened(name(text), LONGEST_HEADING)


def results(audit: Audit, more: Sequence[tuple[str, str, str]] = ()) -> list[tuple[str, str, str]]:
    """The result table: what the audit found, then what the caller adds."""

    def nats(value: float) -> str:
        return f"{number(value)} nats"

    return [
        ("rows", f"{audit.rows:,}", "with known labels"),
        ("classes", f"{len(audit.classes):,}", ""),
        ("log loss", nats(audit.log_loss),
         "mean surprisal of the observed labels"),
        ("label entropy", nats(audit.label_entropy),
         "the log loss of the class rates alone"),
        ("entropy explained", percent(audit.skill), "1 − log loss / label entropy"),
        ("accuracy", percent(audit.accuracy), "rows whose most likely class is the observed one"),
        *_top_k(audit),
        ("majority accuracy", percent(audit.majority_accuracy), f"always predicting “{name(audit.majority)}”"),
        ("Brier score", number(audit.brier),
         "mean squared error of the probabilities, summed over classes; 0 is perfect, 2 the worst"),
        *_ranking(audit),
        *more,
    ]  # fmt: skip


def _top_k(audit: Audit) -> list[tuple[str, str, str]]:
    k = min(3, len(audit.classes) - 1)
    return [
        (f"top-{k} accuracy", percent(audit.top_k[k - 1]), f"rows whose observed class is among the {k} most likely")
    ][: k - 1]


def _ranking(audit: Audit) -> list[tuple[str, str, str]]:
    """Areas under curves, where there are any."""
    area, precision = audit.ranking.mean_auc, audit.ranking.mean_average_precision
    if not np.isfinite(area):
        return []
    of = f"“{name(audit.classes[1])}”" if len(audit.classes) == 2 else "each class against the rest, on average"
    return [
        (
            "area under the ROC curve (AUC)",
            number(area),
            f"{of}: the probability that a random positive outranks a random negative",
        ),
        (
            "average precision",
            number(precision),
            f"{of}: mean precision over the rows of the class, each at its own probability as the threshold",
        ),
    ]


def confusion(audit: Audit) -> list[list[Cell]] | None:
    """The matrix observed x predicted, or None where there are too many classes."""
    if len(audit.classes) > MOST_CLASSES_IN_MATRIX:
        return None
    given = audit.confusion.sum(axis=1)
    return [
        [_cell(int(count), int(given[i]), right=i == j) for j, count in enumerate(row)]
        for i, row in enumerate(audit.confusion)
    ]


def _cell(count: int, of: int, right: bool) -> Cell:
    share = count / of if of else 0.0
    # Mistakes are few: the square root lets 1% be seen. Shades from 0.5 to 0.85 are left out, since
    # neither text colour would be easy to read on them.
    shade = share if right else float(np.sqrt(share))
    shade = 0.04 + 0.9 * shade if shade < 0.5 else 0.85 + 0.3 * (shade - 0.5)
    kind = "none" if count == 0 else "right" if right else "wrong"
    return Cell(count, percent(share), f"{shade:.3f}", kind, strong=count > 0 and shade > 0.5)


def confused_pairs(audit: Audit) -> Table:
    """The most frequent mistakes, each with its share of the rows of the observed class."""
    given = audit.confusion.sum(axis=1)
    pairs = audit.confused_pairs()
    rows = [
        (name(audit.classes[i]), name(audit.classes[j]), f"{count:,}", percent(count / given[i]))
        for i, j, count in pairs[:MOST_PAIRS]
    ]
    note = f"{len(pairs) - MOST_PAIRS:,} rarer pairs are left out." if len(pairs) > MOST_PAIRS else ""
    return Table(("observed", "predicted", "rows", "share of the observed"), rows, (False, False, True, True), note)


def per_class(audit: Audit) -> Table:
    """One line a class: rates, mean probability, precision and recall."""
    head = ("class", "rows", "predicted", "rate", "mean probability", "precision", "recall")
    rows = [
        (
            name(c.label), f"{c.rows:,}", f"{c.predicted:,}", percent(c.rate), percent(c.mean_probability),
            percent(c.precision), percent(c.recall),
        )
        for c in audit.per_class[:MOST_COLUMNS]
    ]  # fmt: skip
    return Table(head, rows, (False,) + (True,) * 6, _left_out(len(audit.per_class), "classes"))


def bins(curve: Reliability) -> Table:
    """The numbers behind a reliability diagram."""
    rows = [
        (
            f"{percent(curve.edges[k], 0)} to {percent(curve.edges[k + 1], 0)}", f"{curve.count[k]:,}",
            percent(curve.predicted[k]), percent(curve.observed[k]),
            f"{percent(curve.low[k])} to {percent(curve.high[k])}",
            "outside" if curve.outside[k] else "inside",
        )
        for k in np.flatnonzero(curve.filled)
    ]  # fmt: skip
    head = ("bin", "rows", "mean predicted", "observed", "95% band if probabilities are right", "")
    return Table(head, rows, (False, True, True, True, True, False))


def columns(data: ReportData) -> Table:
    """The kind of each column of the table, and the reason."""
    rows = [(name(c), name(kind), cut(why)) for c, kind, why in data.columns[:MOST_COLUMNS]]
    return Table(("column", "kind", "reason"), rows, (False,) * 3, _left_out(len(data.columns), "columns"))


def _left_out(count: int, what: str) -> str:
    return f"{count - MOST_COLUMNS:,} more {what} are left out." if count > MOST_COLUMNS else ""


def weight_pictures(data: ReportData) -> list[tuple[str, Markup]]:
    """The weights of each class as a picture, all to one scale."""
    if data.coef is None or data.image_shape is None:
        return []
    coef = np.asarray(data.coef, dtype=np.float64)[:MOST_PICTURES]
    largest = _largest(coef)
    return [
        (name(label), weight_picture(w.reshape(data.image_shape), largest, f"Weights of class {name(label)}"))
        for label, w in zip(data.audit.classes, coef, strict=False)
    ]


def heaviest(data: ReportData) -> list[tuple[str, list[Bar]]]:
    """The heaviest features of each class, all to one scale; of two classes, those of their difference."""
    if data.coef is None or data.image_shape is not None:
        return []
    coef, labels = np.asarray(data.coef, dtype=np.float64), [name(label) for label in data.audit.classes]
    shown = FEATURES_A_CLASS
    if len(labels) == 2:  # softmax knows only the difference: two mirrored lists would say one thing twice
        coef, labels, shown = coef[1:] - coef[:1], [f"{labels[1]} rather than {labels[0]}"], FEATURES_OF_TWO
    features = data.feature_names if data.feature_names is not None else [f"x{j}" for j in range(coef.shape[1])]
    largest = _largest(coef)
    return [
        (
            label,
            [_bar(str(features[j]), w[j], largest) for j in np.argsort(-np.abs(w), kind="stable")[:shown] if w[j]],
        )
        for label, w in zip(labels[:MOST_CLASSES_WITH_FEATURES], coef, strict=False)
    ]


def _bar(feature: str, weight: float, largest: float) -> Bar:
    width = 100 * abs(weight) / largest
    sign = "+" if weight > 0 else ""
    return Bar(name(feature), sign + number(weight), f"{min(width, 100):.1f}", weight > 0)


def _largest(coef: NDArray[np.float64]) -> float:
    return float(np.abs(coef).max(initial=0.0)) or 1.0


def row_table(rows: Sequence[ShownRow]) -> Table:
    """Rows with their cells, one line each; columns whose every text reads as a number stand to the right."""
    cells = list(dict.fromkeys(column for row in rows for column in row.cells))
    shown = cells[:MOST_CELLS]
    doubt = any(row.p_wrong is not None for row in rows)
    what = ("looks like", "suspicion") if doubt else ("predicted", "probability of observed")
    head = ("row", "observed", *what, "surprisal", *(name(column) for column in shown))
    lines = [
        (
            f"{row.index:,}", name(row.given), name(row.predicted),
            suspicion(row.p_wrong) if doubt else percent(row.probability), surprisal(row),
            *(cut(str(row.cells.get(column, ""))) for column in shown),
        )
        for row in rows
    ]  # fmt: skip
    numeric = [all(_reads_as_number(line[5 + j]) for line in lines) for j in range(len(shown))]
    note = f"{len(cells) - MOST_CELLS:,} more columns are left out." if len(cells) > MOST_CELLS else ""
    return Table(head, lines, (True, False, False, True, True, *numeric), note)


def surprisal(row: ShownRow) -> str:
    """The surprisal of the observed label of a row, in nats."""
    return surprisal_of(row.surprisal_bits * float(np.log(2)))


def suspicion(p_wrong: float | None) -> str:
    """How likely a label is wrong, no surer than it can be: of those near 1, some 85% proved wrong on MNIST."""
    return ">90%" if p_wrong is not None and p_wrong > 0.9 else percent(p_wrong, 0)


def row_pictures(rows: Sequence[ShownRow]) -> list[tuple[ShownRow, Markup]]:
    """Rows that are images, each with its picture."""
    return [
        (row, ink_picture(row.image, f"Row {row.index}, observed {name(row.given)}"))
        for row in rows
        if row.image is not None
    ]


def _reads_as_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
