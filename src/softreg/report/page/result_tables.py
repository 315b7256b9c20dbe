"""Tables of the evaluation: scores, confusion matrix, confused pairs, classes, bins of reliability, columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softreg.report.evaluation.audit_result import Audit
from softreg.report.evaluation.number_format import format_number, format_percent, truncate
from softreg.report.evaluation.reliability import Reliability
from softreg.report.page.report_data import ReportData
from softreg.report.page.table import Table, display_name, left_out_note

MAX_CLASSES_IN_MATRIX = 25
"""Classes up to which the confusion matrix is shown; of more, the most frequent pairs."""
MAX_CLASSES_WITH_SHARES = 12
"""Classes up to which the matrix shows the share below each count."""
MAX_PAIRS = 25
"""Pairs of confused classes."""
MAX_TABLE_ROWS = 1000
"""Rows of the table of columns."""
MAX_LISTED_CLASSES = 200
"""Classes up to which the table of classes is complete; of more, the most frequent ones."""
TOP_K = 3
"""k of the top-k accuracy, or one less than the number of classes."""


@dataclass(frozen=True)
class ConfusionCell:
    """One cell of the confusion matrix.

    Attributes
    ----------
    count : int
        Rows of the observed and predicted class.
    share : str
        Their share of the rows of the observed class.
    shade : str
        Shade of the cell, from 0 to 1.
    kind : str
        "right", "wrong" or "none".
    strong : bool
        Whether the shade is so dark that the text has the contrasting colour.
    """

    count: int
    share: str
    shade: str
    kind: str
    strong: bool


def score_rows(audit: Audit, more: Sequence[tuple[str, str, str]] = ()) -> list[tuple[str, str, str]]:
    """Return name, value and meaning of each score, followed by those in `more`."""

    def nats(value: float) -> str:
        return f"{format_number(value)} nats"

    majority = f"of always predicting “{display_name(audit.majority)}”"
    return [
        ("rows", f"{audit.rows:,}", "with known labels"),
        ("classes", f"{len(audit.classes):,}", ""),
        ("log loss", nats(audit.log_loss), "mean surprisal of the observed labels (cross-entropy)"),
        ("label entropy", nats(audit.label_entropy), "log loss of the class rates alone"),
        ("entropy explained", format_percent(audit.skill), "1 − log loss / label entropy"),
        ("accuracy", format_percent(audit.accuracy), "share of rows whose most likely class is the observed one"),
        *_top_k_rows(audit),
        ("majority accuracy", format_percent(audit.majority_accuracy), majority),
        (
            "Brier score",
            format_number(audit.brier),
            "mean squared error of the probabilities, summed over classes: 0 (best) to 2",
        ),
        *_ranking_rows(audit),
        *more,
    ]


def _top_k_rows(audit: Audit) -> list[tuple[str, str, str]]:
    """Return the top-k accuracy, for more than two classes."""
    k = min(TOP_K, len(audit.classes) - 1)
    if k < 2:
        return []
    meaning = "share of rows whose observed class is among the {} most likely"
    shown = [k, len(audit.top_k)] if audit.streamed is not None else [k]
    return [(f"top-{k} accuracy", format_percent(audit.top_k[k - 1]), meaning.format(k)) for k in shown]


def _ranking_rows(audit: Audit) -> list[tuple[str, str, str]]:
    """Return AUC and average precision, where they are defined."""
    area, precision = audit.ranking.mean_auc, audit.ranking.mean_average_precision
    if not np.isfinite(area):
        return []
    of = f"“{display_name(audit.classes[1])}”" if len(audit.classes) == 2 else "mean of each class against the rest"
    return [
        (
            "area under the ROC curve (AUC)",
            format_number(area),
            f"{of}: probability that a random positive ranks above a random negative",
        ),
        (
            "average precision",
            format_number(precision),
            f"{of}: mean precision over the rows of the class, each at its own probability as the threshold",
        ),
    ]


def confusion_matrix(audit: Audit) -> list[list[ConfusionCell]] | None:
    """Return the cells observed x predicted; None where there are too many classes."""
    if len(audit.classes) > MAX_CLASSES_IN_MATRIX:
        return None
    observed = audit.confusion.sum(axis=1)
    return [
        [_cell(int(count), int(observed[i]), right=i == j) for j, count in enumerate(row)]
        for i, row in enumerate(audit.confusion)
    ]


def _cell(count: int, total: int, right: bool) -> ConfusionCell:
    """Return a cell of `count` rows among the `total` of the observed class."""
    share = count / total if total else 0.0
    # Errors are few: the square root makes 1% visible. Shades from 0.5 to 0.85 are skipped, since neither text colour
    # is legible on them.
    shade = share if right else float(np.sqrt(share))
    shade = 0.04 + 0.9 * shade if shade < 0.5 else 0.85 + 0.3 * (shade - 0.5)
    kind = "none" if count == 0 else "right" if right else "wrong"
    return ConfusionCell(count, format_percent(share), f"{shade:.3f}", kind, strong=count > 0 and shade > 0.5)


def confused_pairs(audit: Audit) -> Table:
    """Return the most frequent misclassifications, each with its share of the rows of the observed class."""
    observed = audit.confusion.sum(axis=1)
    pairs = audit.confused_pairs()
    rows = [
        (display_name(audit.classes[i]), display_name(audit.classes[j]), f"{n:,}", format_percent(n / observed[i]))
        for i, j, n in pairs[:MAX_PAIRS]
    ]
    head = ("observed", "predicted", "rows", "share of the observed")
    return Table(head, rows, (False, False, True, True), left_out_note(len(pairs), MAX_PAIRS, "pairs"))


def per_class(audit: Audit) -> Table:
    """Return rates, mean probability, precision and recall of each class."""
    head = ("class", "rows", "predicted", "rate", "mean probability", "precision", "recall")
    shown = audit.per_class
    if len(shown) > MAX_LISTED_CLASSES:
        shown = tuple(sorted(shown, key=lambda one: -one.rows)[:MAX_LISTED_CLASSES])
    rows = [
        (
            display_name(c.label),
            f"{c.rows:,}",
            f"{c.predicted:,}",
            *(format_percent(share) for share in (c.rate, c.mean_probability, c.precision, c.recall)),
        )
        for c in shown
    ]
    note = left_out_note(len(audit.per_class), len(shown), "classes")
    if note:
        note = f"The classes with the most rows are listed. {note}"
    return Table(head, rows, (False,) + (True,) * 6, note)


def reliability_bins(curve: Reliability) -> Table:
    """Return the numbers of a reliability diagram."""
    rows = [
        (
            f"{format_percent(curve.edges[k], 0)} to {format_percent(curve.edges[k + 1], 0)}",
            f"{curve.count[k]:,}",
            format_percent(curve.predicted[k]),
            format_percent(curve.observed[k]),
            f"{format_percent(curve.low[k])} to {format_percent(curve.high[k])}",
            "outside" if curve.outside[k] else "inside",
        )
        for k in np.flatnonzero(curve.filled)
    ]
    head = ("bin", "rows", "mean predicted", "observed", "95% band if probabilities are right", "")
    return Table(head, rows, (False, True, True, True, True, False))


def columns(data: ReportData) -> Table:
    """Return the kind of each column of the table, and the reason."""
    rows = [(display_name(c), display_name(kind), truncate(why)) for c, kind, why in data.columns[:MAX_TABLE_ROWS]]
    note = left_out_note(len(data.columns), MAX_TABLE_ROWS, "columns")
    return Table(("column", "kind", "reason"), rows, (False,) * 3, note)
