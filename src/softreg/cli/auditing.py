"""`softreg audit`: evaluate predicted probabilities in a file, from any model."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.cli.boundary import Complaint
from softreg.cli.console import REPORT_ENDINGS, aligned, check_writable, clipped, say
from softreg.cli.costs import cost_matrix, told_costs
from softreg.cli.figures import calibration, in_nats, interval_of, log_loss_remark, named
from softreg.cli.pages import write_page
from softreg.probability import Classes, operating_point
from softreg.report import Audit, audit
from softreg.report.verdict import verdict
from softreg.tables import labels, read_table

ROUNDED = 0.02
"""How far a row of probabilities may be from a sum of 1: they may have been written with few digits."""


def audit_table(data: Path, target: str, report: Path | None, costs: Sequence[str], *, as_json: bool) -> None:
    """Read labels and probabilities, and evaluate the probabilities."""
    check_writable(report, REPORT_ENDINGS, "--report")
    table = read_table(data)
    given = labels(table, target)
    names, P = probabilities(table, target, given)
    found = audit(P, Classes.of(names).encode(given), names)
    cost = cost_matrix(costs, found.classes)
    point = None if cost is None else operating_point(P, found.codes, cost)
    if report is not None:
        write_page(
            report,
            f"Probabilities of {target} in {data.name}",
            f"{found.rows:,} rows, {len(names):,} classes",
            found,
            None,
            numbers=np.arange(1, found.rows + 1),
            table=table.drop_columns([name for name in names if name in table.column_names]),
            point=point,
        )
    if as_json:
        click.echo(_as_json(found))
    else:
        text = _shown(found)
        click.echo(text if point is None else f"{text}\n{told_costs(point, found.classes)}")
    if report is not None:
        say(f"Report: {report}")


def probabilities(table: pa.Table, target: str, given: NDArray[np.str_]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The classes and their probabilities (n, q): the columns that are named like labels, and others of their kind.

    A class that never occurs as a label has a column too, so every column of numbers from 0 to 1 counts if all of them
    together make rows that sum to 1; else only those named like labels.
    """
    occur = sorted(set(given.tolist()))
    missing = [label for label in occur if label not in table.column_names or label == target]
    if missing:
        raise Complaint(
            f"The label {clipped(missing[0])!r} in column {target!r} has no column of probabilities; in all, "
            f"{len(missing):,} of {len(occur):,} labels have none. Each class needs a column under its own name, as "
            f"`softreg predict` writes them; the file has the columns {named(table.column_names)}."
        )
    read = {name: _numbers(table.column(name)) for name in table.column_names if name != target}
    columns = {name: p for name, p in read.items() if p is not None and ((p >= 0) & (p <= 1)).all()}
    shares = list(columns)
    for label in occur:
        if label not in columns:
            raise Complaint(
                f"Column {clipped(label)!r} is to hold the probabilities of a class, but not every value is a number "
                "from 0 to 1."
            )
    for names in (shares, occur):
        P = np.column_stack([columns[name] for name in names])
        total = P.sum(axis=1)
        if len(names) > 1 and (abs(total - 1) <= ROUNDED).all():
            return tuple(names), P / total[:, None]
    row = int(np.argmax(abs(total - 1) > ROUNDED))
    raise Complaint(
        f"The probabilities of row {row + 1:,} (counted from 1, without the header) sum to {total[row]:.6g}, not to 1; "
        f"the columns are {named(occur)}. Is a class missing, or are these scores of another kind?"
    )


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """A column as numbers, None where a value is none or is missing."""
    try:
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return values if np.isfinite(values).all() else None


def _shown(found: Audit) -> str:
    t, many = found.trust, len(found.classes)
    explain = f"; the probabilities explain {found.skill:.1%} of it" if math.isfinite(found.skill) else ""
    accuracy = f"95% interval {t.accuracy.low:.2%} to {t.accuracy.high:.2%}"
    return aligned(
        [
            ("rows", f"{found.rows:,}", ""),
            ("classes", f"{many:,}", named(found.classes)),
            ("log loss", in_nats(found.log_loss), log_loss_remark(found)),
            ("entropy of labels", f"{found.label_entropy:.4f} nats", f"= {found.label_entropy_bits:.4f} bits{explain}"),
            (
                "accuracy",
                f"{found.accuracy:.2%}",
                f"{accuracy}; always {clipped(found.majority)!r}: {found.majority_accuracy:.2%}",
            ),
            ("Brier score", f"{found.brier:.4f}", interval_of(t.brier)),
            ("area under ROC", f"{found.ranking.mean_auc:.4f}", "" if many == 2 else "mean over the classes"),
            *calibration(found),
        ]
    )


def _as_json(found: Audit) -> str:
    t, judged = found.trust, verdict(found)
    figures = {
        "rows": found.rows,
        "classes": len(found.classes),
        "log_loss": found.log_loss,
        "log_loss_low": t.log_loss.low,
        "log_loss_high": t.log_loss.high,
        "label_entropy": found.label_entropy,
        "accuracy": found.accuracy,
        "accuracy_low": t.accuracy.low,
        "accuracy_high": t.accuracy.high,
        "majority_accuracy": found.majority_accuracy,
        "brier": found.brier,
        "roc_auc": found.ranking.mean_auc,
        "average_precision": found.ranking.mean_average_precision,
        "calibration": judged.word,
        "calibration_gap": t.gap.value,
        "calibration_gap_low": t.gap.low,
        "calibration_gap_high": t.gap.high,
        "calibration_p": t.check.p_value,
        "calibration_draws": t.check.draws,
        "calibration_error": judged.size.value,
        "calibration_error_low": judged.size.low,
        "calibration_error_high": judged.size.high,
    }
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in figures.items()}
    return json.dumps(plain, allow_nan=False)
