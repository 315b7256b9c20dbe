"""`softreg audit`: evaluate predicted probabilities in a file, from any model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.progress_bars import (
    REPORT_ENDINGS,
    align_columns,
    check_writable,
    print_message,
    refuse_inputs,
    truncate_label,
)
from softreg.cli.console.result_table import (
    calibration,
    explained_entropy,
    format_labels,
    log_loss_note,
    print_model_warnings,
)
from softreg.cli.console.score_lines import format_loss, ranking_lines
from softreg.cli.data.probability_columns import class_columns
from softreg.cli.data.read_table import open_source, read_evaluation_table
from softreg.cli.options.column_arguments import resolve_column
from softreg.cli.options.costs import cost_matrix, format_costs
from softreg.cli.reporting.build_report import write_page
from softreg.cli.reporting.provenance import provenance
from softreg.probability import Classes, operating_point
from softreg.report import Audit, audit
from softreg.report.page.calibration_assessment import assess_calibration
from softreg.tables import ReadOptions, labels
from softreg.tables.io.prediction_writer import LABEL
from softreg.tables.schema.target_labels import known_labels
from softreg.value_keys import names_by_kind

OWN = (LABEL, "row")
"""Columns that `softreg predict` writes beside those of the classes."""
ROUNDED = 0.02
"""How far a row of probabilities may be from a sum of 1: they may have been written with few digits."""

SAME = 1e-6
"""Sums that differ by less are equally exact."""


def audit_table(
    data: Path,
    target: str,
    report: Path | None,
    costs: Sequence[str],
    *,
    reading: ReadOptions,
    as_json: bool,
    score: str | None = None,
    positive: str | None = None,
) -> None:
    """Read labels and probabilities, and evaluate the probabilities."""
    check_writable(report, REPORT_ENDINGS, "--report")
    source = open_source(data, reading)
    refuse_inputs(report, "--report", source.paths)
    target = resolve_column(target, source.names)
    table, rows = read_evaluation_table(source, target, None, reading)
    table, note = class_columns(table, target, sorted(set(labels(table, target).tolist())), score, positive)
    if note:
        print_message(f"Note: {note}")
    given = named_labels(table, target)
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
            numbers=rows,
            table=table.drop_columns([name for name in names if name in table.column_names]),
            point=point,
            provenance=provenance(source.paths),
        )
    if as_json:
        click.echo(_as_json(found))
    else:
        text = _shown(found)
        click.echo(text if point is None else f"{text}\n{format_costs(point, found.classes)}")
    print_model_warnings(found)
    if report is not None:
        print_message(f"Report: {report}")


def named_labels(table: pa.Table, target: str) -> NDArray[np.str_]:
    """The labels (n,) by the names of the columns of their classes; a label without such a column keeps its text.

    Labels are matched with names exactly, and then by the number or boolean that they stand for, as
    `softreg evaluate` matches them with the classes of a model.
    """
    given, open_ = labels(table, target).astype(object), np.ones(table.num_rows, dtype=bool)
    names = [name for name in table.column_names if name != target]
    for some in (names, *names_by_kind(names)):
        codes = known_labels(table, target, some)
        found = open_ & (codes >= 0)
        given[found] = np.array(some, dtype=object)[codes[found]]
        open_ &= ~found
        if not open_.any():
            break
    return given.astype(np.str_)


def probabilities(table: pa.Table, target: str, given: NDArray[np.str_]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The classes and their probabilities (n, q): the columns that are named like labels, and classes that never occur.

    A class that never occurs as a label has a column too, so other columns of numbers from 0 to 1 are classes if the
    rows then sum to 1 at least as exactly as without them. The columns that `softreg predict` writes beside the classes
    (`OWN`) are none, unless a label has that name, and neither are columns that hold nothing but 0.
    """
    occur = sorted(set(given.tolist()))
    missing = [label for label in occur if label not in table.column_names or label == target]
    if missing:
        raise CommandError(
            f"The label {truncate_label(missing[0])!r} in column {target!r} has no column of probabilities; in all, "
            f"{len(missing):,} of {len(occur):,} labels have none. Each class needs a column under its own name, as "
            f"`softreg predict` writes them; of two classes, --score COLUMN names the column of one. The file "
            f"has the columns {format_labels(table.column_names)}."
        )
    read = {name: _numbers(table.column(name)) for name in table.column_names if name != target}
    columns = {name: p for name, p in read.items() if p is not None and ((p >= 0) & (p <= 1)).all()}
    for label in occur:
        if label not in columns:
            raise CommandError(
                f"Column {truncate_label(label)!r} is to hold the probabilities of a class, but not every value is a number "
                "from 0 to 1."
            )
    choices = [_sums(names, columns) for names in _candidates(table.column_names, occur, columns)]
    least = min(np.abs(choice[2]).max() for choice in choices) + SAME
    names, P, off = next(choice for choice in choices if np.abs(choice[2]).max() <= least)
    if np.abs(off).max() <= ROUNDED:
        return names, P / (1 + off)[:, None]
    row = int(np.argmax(np.abs(off) > ROUNDED))
    raise CommandError(
        f"The probabilities of row {row + 1:,} (counted from 1, without the header) sum to {1 + off[row]:.6g}, not to "
        f"1; the columns are {format_labels(names)}. Is a class missing, or are these scores of another kind?"
    )


def _candidates(
    header: Sequence[str], occur: Sequence[str], columns: Mapping[str, NDArray[np.float64]]
) -> list[tuple[str, ...]]:
    """Sets of columns that may be the classes, the likeliest first; each holds all labels that occur."""
    own = next((name for name in header if name.rstrip("_") == LABEL and name not in occur), None)
    shares = [name for name in columns if name in occur or (name not in OWN and name != own and columns[name].any())]
    found = [tuple(shares), tuple(name for name in header if name in occur)]
    if own is not None:  # `softreg predict` writes the classes in a row after its prediction
        after = takewhile(columns.__contains__, header[list(header).index(own) + 1 :])
        found.insert(0, tuple(name for name in after if name in shares))
    return [names for names in dict.fromkeys(found) if len(names) > 1 and set(occur) <= set(names)] or [tuple(occur)]


def _sums(
    names: tuple[str, ...], columns: Mapping[str, NDArray[np.float64]]
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float64]]:
    """Columns (n, q), their names, and how far the sum of each row (n,) is from 1."""
    P = np.column_stack([columns[name] for name in names])
    return names, P, P.sum(axis=1) - 1


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """A column as numbers, None where a value is none or is missing."""
    try:
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return values if np.isfinite(values).all() else None


def _shown(found: Audit) -> str:
    t = found.calibration
    accuracy = f"95% interval {t.accuracy.low:.2%} to {t.accuracy.high:.2%}"
    return align_columns(
        [
            ("rows", f"{found.rows:,}", ""),
            ("classes", f"{len(found.classes):,}", format_labels(found.classes)),
            ("log loss", format_loss(found.log_loss), log_loss_note(found)),
            (
                "entropy of labels",
                f"{found.label_entropy:.4f} nats",
                f"= {found.label_entropy_bits:.4f} bits; {explained_entropy(found)}",
            ),
            (
                "accuracy",
                f"{found.accuracy:.2%}",
                f"{accuracy}; always {truncate_label(found.majority)!r}: {found.majority_accuracy:.2%}",
            ),
            *ranking_lines(found, ""),
            *calibration(found),
        ]
    )


def _as_json(found: Audit) -> str:
    t, judged = found.calibration, assess_calibration(found)
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
        "calibration": judged.conclusion,
        "calibration_gap": t.gap.value,
        "calibration_gap_low": t.gap.low,
        "calibration_gap_high": t.gap.high,
        "calibration_p": t.check.p_value,
        "calibration_draws": t.check.draws,
        "calibration_error": judged.error.value,
        "calibration_error_low": judged.error.low,
        "calibration_error_high": judged.error.high,
    }
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in figures.items()}
    return json.dumps(plain, allow_nan=False)
