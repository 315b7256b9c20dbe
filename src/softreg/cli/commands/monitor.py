"""`softreg monitor`: watch whether the probabilities of a model stay right, batch by batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa

from softreg.cli.console.aligned_text import align_columns, format_interval, truncate_label
from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_message, print_note
from softreg.cli.console.output_files import REPORT_ENDINGS, check_writable, refuse_inputs
from softreg.cli.console.skipped_rows import print_skipped_rows
from softreg.cli.data.column_values import column_values
from softreg.cli.data.label_codes import known_codes
from softreg.cli.data.load_model import LoadedModel, load_model
from softreg.cli.data.read_table import open_source
from softreg.cli.options.column_arguments import resolve_column
from softreg.cli.report_inputs.provenance import provenance, sha256
from softreg.monitor import Monitor
from softreg.monitor.page import PageHead, render_monitor
from softreg.monitor.verdict import format_e
from softreg.report import write_report
from softreg.tables import OpenTable, ReadOptions
from softreg.tables.columns.table_errors import pluralize, unknown_column_error
from softreg.tables.images.image_form import with_form
from softreg.tables.row_selection.rare_classes import NO_RARE
from softreg.tables.schema.input_kind import check_input_kind
from softreg.typing import Codes, Float64Array

EXIT_ALARM = 1
"""Exit code where the probabilities are wrong or a column has changed."""
STATE_ENDINGS = (".json",)
DEFAULT_ALPHA = 0.05
LEAST_P_VALUE = 1e-300
"""p-values below it are not shown: they are near the smallest float."""
MAX_SHOWN = 8
"""Classes and columns that are printed."""


@dataclass(frozen=True)
class MonitorOptions:
    """Options of the command; the fields have their names."""

    target: str | None
    reference: Path | None
    state: Path | None
    alpha: float | None
    report: Path | None
    as_json: bool


@dataclass(frozen=True, eq=False)
class _Batch:
    """Predicted rows: probabilities (n, K), labels (n,) or None, and the table."""

    P: Float64Array
    codes: Codes | None
    table: pa.Table
    paths: tuple[Path, ...]


def monitor_batches(model_path: Path, batches: Sequence[Path], options: MonitorOptions, *, reading: ReadOptions) -> int:
    """Add batches to the monitor of a model, print its verdict, and return the exit code."""
    check_writable(options.report, REPORT_ENDINGS, "--report")
    check_writable(options.state, STATE_ENDINGS, "--state")
    model = load_model(model_path)
    monitor = _monitor(model, options)
    _set_reference(monitor, model, options, reading)
    inputs = [model_path]
    for data in batches:
        source = _open(model, data, reading)
        for path, name in ((options.state, "--state"), (options.report, "--report")):
            refuse_inputs(path, name, [model_path, *source.paths])
        _add_batch(monitor, data, _predict(model, source, data, options.target, reading), model)
        inputs += source.paths
        if options.state is not None:
            monitor.save(options.state)
    verdict = monitor.verdict
    click.echo(json.dumps(_record(monitor), allow_nan=False) if options.as_json else _as_text(monitor))
    if options.report is not None:
        rows = f"{monitor.batch_count:,} batches with {monitor.rows:,} rows, {monitor.test.rows:,} of them labelled"
        head = PageHead(f"Monitor of {model_path.name}", rows, provenance(inputs))
        write_report(options.report, render_monitor(monitor, head))
        print_message(f"Report: {options.report}")
    return EXIT_ALARM if verdict.is_alarm else 0


def _monitor(model: LoadedModel, options: MonitorOptions) -> Monitor:
    """Return the monitor of the state file, or a new one."""
    identity = sha256(model.path)
    if options.state is not None and options.state.exists():
        monitor = Monitor.load(options.state, model_id=identity, classes=model.classes)
        if options.alpha is not None and options.alpha != monitor.alpha:
            raise CommandError(
                f"--alpha {options.alpha:g} differs from that of the state file {str(options.state)!r}, "
                f"{monitor.alpha:g}, with which the monitoring started; leave it out, or name a new state file."
            )
        return monitor
    alpha = DEFAULT_ALPHA if options.alpha is None else options.alpha
    return Monitor(model.classes, alpha=alpha, class_rates=_training_rates(model), model_id=identity)


def _training_rates(model: LoadedModel) -> tuple[float, ...] | None:
    """Return the class rates of training, where the file has them and the fit did not weight the classes."""
    evaluation = model.evaluation
    if evaluation is None or evaluation.training_frequencies is None or model.regression.class_weight is not None:
        return None
    if evaluation.classes != model.classes:
        return None
    total = sum(evaluation.training_frequencies)
    return tuple(rate / total for rate in evaluation.training_frequencies)


def _set_reference(monitor: Monitor, model: LoadedModel, options: MonitorOptions, reading: ReadOptions) -> None:
    """Give the monitor the reference rows of --reference, unless its state has them."""
    if options.reference is None:
        return
    if monitor.batch_count or monitor.references:
        print_note(f"the state has reference rows of {monitor.reference_name!r}; --reference is not read again.")
        return
    batch = _predict(model, _open(model, options.reference, reading), options.reference, None, reading)
    values = column_values(model, batch.table)
    if values is None:
        raise CommandError("--reference: the model reads no columns that can be compared; leave the option out.")
    monitor.set_reference(values, batch.P, options.reference.name)


def _open(model: LoadedModel, data: Path, reading: ReadOptions) -> OpenTable:
    """Open a table of rows for the model."""
    source = open_source(data, with_form(reading, model.schema.image_form if model.schema else None))
    if model.schema is not None:
        training = f"{model.path.name} was trained on"
        check_input_kind(model.schema.features, source.schema, source=repr(str(data)), training=training)
    return source


def _predict(model: LoadedModel, source: OpenTable, data: Path, option: str | None, reading: ReadOptions) -> _Batch:
    """Return the probabilities of the rows of a table, and their labels where it has such a column."""
    target = _target(model, source, option)
    table = source.read()
    numbers = source.input_rows(np.arange(table.num_rows))
    if reading.bad_rows == "skip" and model.table_model is not None:
        bad = model.table_model.encoder_.invalid_rows(table)
        print_skipped_rows(source.skipped, numbers[bad].tolist(), files=len(source.readers))
        table, numbers = table.filter(pa.array(~bad)), numbers[~bad]
    if table.num_rows == 0:
        raise CommandError(f"{str(data)!r} has no rows that can be used; leave it out.")
    codes = None
    if target is not None and table.column(target).null_count < table.num_rows:
        rare = model.table_model.rare_ if model.table_model else NO_RARE
        codes = known_codes(table, target, model.classes, rare, missing="drop", numbers=numbers, source=str(data))
    P = np.asarray(model.probabilities(table), dtype=np.float64)
    return _Batch(P, codes, table, tuple(source.paths))


def _target(model: LoadedModel, source: OpenTable, option: str | None) -> str | None:
    """Return the column of labels: of --target, or that of the model where the table has it."""
    if option is not None:
        named = resolve_column(option, source.names)
        if named not in source.names:
            raise unknown_column_error(named, source.names, "target")
        return named
    target = model.schema.target if model.schema else None
    return target if target in source.names else None


def _add_batch(monitor: Monitor, data: Path, batch: _Batch, model: LoadedModel) -> None:
    """Add a batch, unless the state has it."""
    if monitor.has_batch(data.name, batch.P, batch.codes):
        print_note(f"{data.name!r} is in the state already, with the same rows, and is not counted again.")
        return
    monitor.update_codes(batch.P, batch.codes, column_values(model, batch.table), data.name)
    unlabelled = len(batch.P) if batch.codes is None else int((batch.codes < 0).sum())
    if unlabelled:
        print_note(f"{pluralize(unlabelled, 'row')} of {len(batch.P):,} in {data.name!r} without a label of the model.")


def _as_text(monitor: Monitor) -> str:
    """Return the result as text."""
    verdict, test = monitor.verdict, monitor.test
    last = monitor.batches[-1]
    lines = [
        (
            "rows",
            f"{monitor.rows:,}",
            f"{test.rows:,} of them labelled; number of batches: {monitor.batch_count:,}",
        ),
        ("evidence", format_e(test.log_e), f"largest {format_e(test.highest)}; alarm from {1 / test.alpha:.4g} on"),
        ("expected log loss", *_shown(last.expected_log_loss, f"nats, {last.name}")),
        *([("log loss", *_shown(last.log_loss, "nats, observed"))] if last.log_loss else []),
        ("expected accuracy", *_shown(last.expected_accuracy, last.name)),
        *([("accuracy", *_shown(last.accuracy, "observed"))] if last.accuracy else []),
    ]
    largest = sorted(range(len(monitor.classes)), key=lambda k: -last.class_rates[k].value)[:MAX_SHOWN]
    doubt = ", doubtful since a column has changed" if any(change.changed for change in last.columns) else ""
    for k in largest:
        before = 0.0 if monitor.class_rates is None else monitor.class_rates[k]
        remark = f"by EM{doubt}; {before:.3f} before" + (
            f", {last.label_shares[k]:.3f} of the labels" if last.label_shares else ""
        )
        lines.append((f"rate of {truncate_label(monitor.classes[k])}", *_shown(last.class_rates[k], remark)))
    for change in sorted(last.columns, key=lambda change: change.p_value)[:MAX_SHOWN]:
        word = "changed" if change.changed else "no sign of a change"
        p_value = f"< {LEAST_P_VALUE}" if change.p_value < LEAST_P_VALUE else f"= {change.p_value:.2g}"
        lines.append((f"column {truncate_label(change.name)}", word, f"p {p_value}, limit {change.limit:.2g}"))
    return "\n".join(
        [f"Verdict: {verdict}", *(f"  {sentence}" for sentence in verdict.sentences), align_columns(lines)]
    )


def _shown(interval: Any, remark: str) -> tuple[str, str]:
    """Return an interval and a remark as cells."""
    if not np.isfinite([interval.low, interval.high]).all():
        return f"{interval.value:.4f}", remark
    return f"{interval.value:.4f}", f"{format_interval(interval)}; {remark}"


def _record(monitor: Monitor) -> dict[str, Any]:
    """Return the result for JSON."""
    verdict, test = monitor.verdict, monitor.test
    record = {
        "verdict": str(verdict),
        "advice": str(verdict.advice),
        "changed_columns": list(verdict.changed_columns),
        "reasons": list(verdict.sentences),
        "alpha": monitor.alpha,
        "rows": monitor.rows,
        "labelled": test.rows,
        "log_e": test.log_e,
        "largest_log_e": test.highest,
        "threshold_log_e": test.threshold,
        "alarm_row": test.alarm_row,
        "change_row": test.change_row if test.alarm_row else None,
        "classes": [
            {
                "label": label,
                "log_e": float(test.class_log_e[k]),
                "largest_log_e": float(test.class_highest[k]),
                "alarm_row": test.class_alarm_rows[k],
            }
            for k, label in enumerate(monitor.classes)
        ],
        "class_threshold_log_e": test.class_threshold,
        "batches": [asdict(batch) for batch in monitor.batches],
    }
    finite: dict[str, Any] = json.loads(json.dumps(record), parse_constant=lambda _: None)  # nan is null
    return finite
