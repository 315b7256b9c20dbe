"""The sections of a card on classes and on the evaluation: frequencies, scores, reliability tables."""

from __future__ import annotations

from softreg.cards.card_subject import CardSubject
from softreg.cards.markdown import escape, table
from softreg.models import StoredEvaluation
from softreg.models.serialization.stored_evaluation import ClassReliability
from softreg.probability import Interval
from softreg.report.evaluation.number_format import format_percent, format_rows

MAX_CLASSES = 100
"""Classes that the table lists."""
NONE = "–"


def class_section(subject: CardSubject) -> list[str]:
    """Return the lines on the target and its classes."""
    kept, q = subject.evaluation, len(subject.classes)
    of = "" if subject.target is None else f" of the column {escape(subject.target)}"
    lines = [f"The probability of each of {q:,} classes{of}; the probabilities of a row sum to 1."]
    if kept is None:
        lines += table(("class",), [[escape(label)] for label in subject.classes[:MAX_CLASSES]])
    else:
        trained = kept.training_frequencies or [None] * q
        rows = [
            [escape(label), format_percent(share, 2), format_percent(held, 2)]
            for label, share, held in zip(subject.classes, trained, kept.frequencies, strict=True)
        ]
        weighted = ", weighted" if kept.weighted else ""
        header = ("class", f"frequency in training{weighted}", f"frequency in the evaluated rows{weighted}")
        lines += table(header, rows[:MAX_CLASSES])
    if q > MAX_CLASSES:
        lines.append(f"{q - MAX_CLASSES:,} more classes are not listed here.")
    return lines + _rare(subject)


def _rare(subject: CardSubject) -> list[str]:
    """Return a sentence on classes of a single row; nothing where there were none."""
    rare = None if subject.table_model is None else subject.table_model.rare_
    if rare is None or not rare.labels or rare.how not in ("pool", "drop"):
        return []
    classes = "1 class" if len(rare.labels) == 1 else f"{len(rare.labels):,} classes"
    if rare.how == "pool":
        return [f"The class {escape(rare.pool)} stands for {classes} of a single row."]
    return [f"The data had {classes} of a single row, which training left out."]


def evaluation_section(subject: CardSubject) -> list[str]:
    """Return the lines on scores and reliability, or the sentence that the file holds none."""
    kept = subject.evaluation
    if kept is None:
        return [
            "The file holds no evaluation on held-out rows. `softreg evaluate` computes one on rows that the model was "
            "not fitted to."
        ]
    return [*_scores(kept), "", "### Reliability", "", *_reliability(kept)]


def _scores(kept: StoredEvaluation) -> list[str]:
    """Return the lines on the evaluated rows and the table of scores."""
    sample = "" if kept.rows == kept.held_out else f", of which a random sample of {kept.rows:,} is evaluated"
    lines = [
        f"Held out: {escape(kept.method)} ({format_rows(kept.held_out)}{sample}). The model was not fitted to them."
    ]
    if kept.groups is not None:
        lines.append(f"Errors and intervals are those of {kept.groups:,} independent groups of rows.")
    if kept.weighted:
        lines.append("Scores and frequencies weight the rows.")
    error = NONE if kept.log_loss_error is None else f"{kept.log_loss_error:.4f}"
    baseline = NONE if kept.baseline_log_loss is None else f"{kept.baseline_log_loss:.4f}"
    rows = [
        ["log loss, nats", _number(kept.log_loss.value), error, _ends(kept.log_loss)],
        ["log loss of the training frequencies of the classes", baseline, NONE, NONE],
        ["accuracy", _number(kept.accuracy.value), NONE, _ends(kept.accuracy)],
        ["Brier score, summed over the classes", _number(kept.brier.value), NONE, _ends(kept.brier)],
    ]
    if kept.calibration_error is not None:
        of = "a probability" if len(kept.classes) == 2 else "the probability of the most likely class"
        wrong = kept.calibration_error
        rows.append([f"root-mean-square error of {of}", _number(wrong.value), NONE, _ends(wrong)])
    return [*lines, *table(("score", "value", "standard error", "95% interval"), rows)]


def _reliability(kept: StoredEvaluation) -> list[str]:
    """Return a table for each class."""
    lines = [
        "Rows in bins of the predicted probability of a class; each row counts once, rows are taken as independent. "
        "The 95% interval is that of the frequency of the class in such rows. If the probabilities are right, the "
        "observed frequency of a bin lies in the last column in at least 95% of samples: on average, at most one bin "
        "in twenty lies outside."
    ]
    if len(kept.reliability) < len(kept.classes):
        lines.append(f"The {len(kept.reliability):,} most frequent of {len(kept.classes):,} classes are shown.")
    for one in kept.reliability:
        lines += ["", f"Class {escape(one.label)}:", *_bins(one)]
    return lines


def _bins(one: ClassReliability) -> list[str]:
    """Return the table of a class."""
    header = ("predicted", "rows", "mean predicted", "observed", "95% interval", "if the probabilities are right")
    rows = [
        [
            f"{b.lower:.0%} to {b.upper:.0%}",
            f"{b.rows:,}",
            format_percent(b.predicted),
            format_percent(b.observed),
            f"{format_percent(b.low)} to {format_percent(b.high)}",
            f"{format_percent(b.band_low)} to {format_percent(b.band_high)}",
        ]
        for b in one.bins
    ]
    return table(header, rows)


def _number(value: float) -> str:
    return f"{value:.4f}" if value < float("inf") else "∞"


def _ends(score: Interval) -> str:
    return f"{_number(score.low)} to {_number(score.high)}"
