"""The page of a monitor: verdict, e-process, classes, batches, class rates and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from softreg.monitor.calibration_monitor import Monitor
from softreg.monitor.column_drift import ColumnChange
from softreg.monitor.verdict import Advice, Verdict, format_e
from softreg.probability import Interval
from softreg.report.evaluation.number_format import format_number, format_percent, format_test_p_value, format_value
from softreg.report.figures.evidence_plots import evidence_curve
from softreg.report.page.render import page_style, page_template
from softreg.report.page.table import MAX_LINES, Table, display_name, left_out_note

MAX_CLASSES = 100
"""Classes of a table; the others are left out, with a note."""
NONE = "–"
"""Cell without a value."""


@dataclass(frozen=True)
class Card:
    """A figure at the top of the page."""

    title: str
    figure: str
    text: str
    unit: str = ""
    look: str = ""


@dataclass(frozen=True)
class PageHead:
    """Title, subtitle and footer of the page.

    Examples
    --------
    >>> PageHead("Monitor of m.softreg").title
    'Monitor of m.softreg'
    """

    title: str
    subtitle: str = ""
    provenance: Sequence[tuple[str, str]] = ()


def render_monitor(monitor: Monitor, head: PageHead) -> str:
    """Render the state of a monitor as one HTML page, with its style and figure inside.

    Parameters
    ----------
    monitor : Monitor
        A monitor with at least one batch.
    head : PageHead
        Title, subtitle and footer.

    Returns
    -------
    str
        The page.

    Raises
    ------
    ValueError
        If the monitor has no batch.

    Examples
    --------
    >>> monitor = Monitor(["no", "yes"])
    >>> _ = monitor.update([[0.9, 0.1], [0.2, 0.8]], ["no", "yes"])
    >>> page = render_monitor(monitor, PageHead("Monitor"))
    >>> page[:15], "still right" in page
    ('<!doctype html>', True)
    """
    if not monitor.batches:
        raise ValueError("the monitor has no batch; call update before the page is made.")
    test, verdict = monitor.test, monitor.verdict
    tested = test.rows > 0
    return page_template("monitor.html.j2").render(
        data=head,
        style=page_style(),
        lead=f"Verdict: {verdict}.",
        sentences=verdict.sentences,
        cards=_cards(monitor, verdict),
        curve=evidence_curve([*test.curve, (test.rows, test.log_e)], test.threshold, test.alarm_row, "evidence")
        if tested
        else None,
        threshold=f"{1 / test.alpha:.4g}",
        alpha=format_percent(test.alpha),
        class_table=_class_table(monitor),
        batch_table=_batch_table(monitor),
        rate_table=_rate_table(monitor),
        columns=_column_table(monitor),
        reading=READING,
        max_lines=MAX_LINES,
    )


READING = (
    (
        "e-process",
        "Product of likelihood ratios q(y) / p(y) of the labels, where p is the probability of the model and q a "
        "recalibration of it that was learned from earlier rows; a mean over several recalibrations, memories and rows "
        "where a change may start. If the probabilities are right, its expected value is at most 1 at any time.",
    ),
    (
        "What is tested",
        "That the labels follow the probabilities, given all earlier rows, in the order of the rows. Overall and over "
        "all classes together, the probability of any false alarm, ever, is at most that above the figure. No "
        "assumption on the distribution of the features is made. Labels that arrive selectively violate it.",
    ),
    (
        "Shift the class rates",
        "Other class rates explain the labels as well as any recalibration does: a cheap correction without a refit.",
    ),
    (
        "Expected scores",
        "Log loss and accuracy if the probabilities are right, from the probabilities alone. Intervals are those of "
        "95% for independent rows.",
    ),
    (
        "Class rates by EM",
        "Maximum likelihood of the rates without labels. It assumes that the probabilities are right up to the class "
        "rates; the intervals of 95% are those of the sampling of rows alone.",
    ),
    (
        "Columns",
        "A chi-squared test of each column against the reference rows (numbers in deciles). A column has changed where "
        "the p-value is at most its limit, which is corrected for the number of columns and of batches so far: the "
        "probability of any false finding, ever, is at most the same level, for independent rows and large samples. "
        "Intervals are those of 95% for one column, not corrected.",
    ),
)
"""Terms of the page and their explanations."""


def _cards(monitor: Monitor, verdict: Verdict) -> list[Card]:
    """Return the figures at the top."""
    test, last = monitor.test, monitor.batches[-1]
    good = "" if verdict.advice is Advice.UNTESTED else "bad" if test.alarm_row else "good"
    observed = "no labels" if last.log_loss is None else f"observed {format_number(last.log_loss.value)}"
    right = "no labels" if last.accuracy is None else f"observed {format_percent(last.accuracy.value)}"
    changed = len(verdict.changed_columns)
    columns = f"{len(monitor.references):,} columns compared" if monitor.references else "no reference rows"
    return [
        Card("Probabilities", str(verdict.advice), f"{test.rows:,} labelled rows", look=f"word {good}"),
        Card("Largest evidence", format_e(test.highest), f"threshold {1 / test.alpha:.4g}"),
        Card("Expected log loss", format_number(last.expected_log_loss.value), f"last batch; {observed}", "nats"),
        Card("Expected accuracy", format_percent(last.expected_accuracy.value), f"last batch; {right}"),
        Card("Changed columns", f"{changed:,}", columns, look="bad" if changed else ""),
    ]


def _class_table(monitor: Monitor) -> Table:
    """Return the evidence of each class."""
    test, last = monitor.test, monitor.batches[-1]
    shares = last.label_shares or (None,) * len(monitor.classes)
    order = sorted(range(len(monitor.classes)), key=lambda k: -test.class_highest[k])[:MAX_CLASSES]
    rows = [
        (
            display_name(monitor.classes[k]),
            format_e(float(test.class_highest[k])),
            NONE if test.class_alarm_rows[k] is None else f"{test.class_alarm_rows[k]:,}",
            format_percent(last.mean_probabilities[k]),
            NONE if shares[k] is None else format_percent(shares[k]),
        )
        for k in order
    ]
    limit = format_e(test.class_threshold)
    note = (
        f"A class is named from an evidence of {limit} on. {left_out_note(len(monitor.classes), len(rows), 'classes')}"
    )
    head = ("class", "largest evidence", "named in row", "mean probability, last batch", "share of labels, last batch")
    return Table(head, rows, (False, True, True, True, True), note)


def _batch_table(monitor: Monitor) -> Table:
    """Return the scores of each batch."""
    rows = [
        (
            display_name(batch.name),
            f"{batch.rows:,}",
            f"{batch.labelled:,}",
            _interval(batch.expected_log_loss),
            NONE if batch.log_loss is None else _interval(batch.log_loss),
            _percent_interval(batch.expected_accuracy),
            NONE if batch.accuracy is None else _percent_interval(batch.accuracy),
        )
        for batch in monitor.batches
    ]
    head = ("batch", "rows", "labelled", "expected log loss", "log loss", "expected accuracy", "accuracy")
    note = left_out_note(monitor.batch_count, len(rows), "batches")
    return Table(head, rows, (False, *(True,) * 6), note)


def _rate_table(monitor: Monitor) -> Table:
    """Return the class rates of the last batch."""
    last = monitor.batches[-1]
    before = [] if monitor.class_rates is None else monitor.class_rates.tolist()
    shares = last.label_shares or (None,) * len(monitor.classes)
    order = sorted(range(len(monitor.classes)), key=lambda k: -last.class_rates[k].value)[:MAX_CLASSES]
    rows = [
        (
            display_name(monitor.classes[k]),
            format_percent(before[k]),
            _percent_interval(last.class_rates[k]),
            NONE if shares[k] is None else format_percent(shares[k]),
        )
        for k in order
    ]
    head = ("class", "rate before", "rate by EM", "share of labels")
    doubt = "The rates by EM are doubtful, since a column has changed." if any(c.changed for c in last.columns) else ""
    note = f"{left_out_note(len(monitor.classes), len(rows), 'classes')} {doubt}".strip()
    return Table(head, rows, (False, True, True, True), note)


def _column_table(monitor: Monitor) -> Table | None:
    """Return the drift of the columns of the last batch, changed ones first; None without reference rows."""
    changes = sorted(monitor.batches[-1].columns, key=lambda change: change.p_value)
    if not changes:
        return None
    head = ("column", "verdict", "p-value", "limit", "distance", "largest change of a share", "mean")
    right = (False, False, True, True, True, False, False)
    return Table(head, [_column_row(change) for change in changes], right, f"Compared with {monitor.reference_name}.")


def _column_row(change: ColumnChange) -> tuple[str, ...]:
    """Return the cells of a column."""
    mean = NONE
    if change.mean_before is not None and change.mean_now is not None:
        mean = f"{format_value(change.mean_before)} to {format_value(change.mean_now)}"
        if change.mean_low is not None and change.mean_high is not None:
            mean += f" (change {format_value(change.mean_low)} to {format_value(change.mean_high)})"
    share = (
        f"{display_name(change.largest)}: {format_percent(change.share_before)} to {format_percent(change.share_now)} "
        f"(change {100 * change.low:+.1f} to {100 * change.high:+.1f} points)"
    )
    return (
        display_name(change.name),
        "changed" if change.changed else "no sign of a change",
        format_test_p_value(change.p_value).removeprefix("= "),
        f"{change.limit:.1e}",
        format_number(change.distance),
        share,
        mean,
    )


def _interval(interval: Interval) -> str:
    """Write a number with its interval."""
    return f"{format_number(interval.value)} ({format_number(interval.low)} to {format_number(interval.high)})"


def _percent_interval(interval: Interval) -> str:
    """Write a share with its interval."""
    if interval.low != interval.low:  # nan: not computed
        return format_percent(interval.value)
    return f"{format_percent(interval.value)} ({format_percent(interval.low)} to {format_percent(interval.high)})"
