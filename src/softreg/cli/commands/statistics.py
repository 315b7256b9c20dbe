"""`softreg statistics`: coefficients of the columns of a table with standard errors, intervals, tests and effects."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.csv

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_message
from softreg.cli.console.output_files import check_writable, refuse_inputs
from softreg.cli.data.read_table import open_source, read_training_table
from softreg.cli.options.column_arguments import resolve_column
from softreg.files import atomic_path
from softreg.models.inference.estimates import ChiSquared, Estimates
from softreg.tables import TableStatistics, table_statistics
from softreg.tables.schema.feature_columns import split_column_names

ENDINGS = (".csv",)


@dataclass(frozen=True)
class Output:
    """What a command writes: `coefficients` and `effects` are files, `intervals` their kind (None: the default)."""

    coefficients: Path | None
    effects: Path | None
    intervals: str | None
    as_json: bool


def run_statistics(data: Path, target: str | None, order: dict[str, Any]) -> None:
    """Fit the table and print coefficients, tests, ratios and effects; write the tables that were asked for.

    `order` holds the options of the command by name.
    """
    settings = dict(order)
    kind = settings.pop("intervals")
    intervals, as_json = "Wald" if kind == "wald" else kind, settings.pop("as_json")
    output = Output(settings.pop("output"), settings.pop("effects"), intervals, as_json)
    settings["penalty"] = None if settings["penalty"] == "none" else settings["penalty"]
    _refuse_contradictions(output, settings)
    asked = {kind: settings[kind] for kind in ("text", "category", "number", "date")}
    reading = settings.pop("reading")
    source = open_source(data, reading)
    asked = {kind: split_names(given, source.names) for kind, given in asked.items()}
    drop = split_names(settings["drop"], source.names)
    settings |= {**asked, "drop": drop}
    source = source.ignoring(set(drop) - {settings["clusters"], settings["weights"], target})
    for path, option in ((output.coefficients, "--output"), (output.effects, "--effects")):
        check_writable(path, ENDINGS, option)
        refuse_inputs(path, option, source.paths)
    target = None if target is None else resolve_column(target, source.names)
    if target is None:  # a formula names it
        table = source.read()
    else:
        table, _ = read_training_table(source, target, drop, asked, reading)
    settings["reference_levels"] = _reference_levels(settings["reference_levels"], table.column_names)
    found = table_statistics(table, target, **settings)
    click.echo(_as_json(found, output.intervals) if output.as_json else found.text(output.intervals))
    for note in found.notes if output.as_json else ():
        print_message(f"Note: {note[:1].upper()}{note[1:]}.")
    if output.coefficients is not None:
        _write(coefficient_frame(found, output.intervals), output.coefficients, "Coefficients")
    if output.effects is not None:
        _write(found.effects().frame(), output.effects, "Effects")


def _write(frame: Mapping[str, Any], path: Path, what: str) -> None:
    with atomic_path(path) as draft:
        pa.csv.write_csv(_blank_where_nan(frame), draft)
    print_message(f"{what}: {path}")


def _refuse_contradictions(output: Output, settings: Mapping[str, Any]) -> None:
    """Raise `CommandError` for options that cannot go together."""
    if output.intervals == "profile" and (settings["errors"] == "robust" or settings["clusters"]):
        raise CommandError(
            "--intervals profile assumes that the model holds, which robust errors and clusters do not; leave one of "
            "them out."
        )
    if settings["weight_kind"] is not None and settings["weights"] is None:
        raise CommandError("--weight-kind says what the weights are; name their column with --weights.")
    if output.coefficients is not None and output.coefficients == output.effects:
        raise CommandError(f"--output and --effects both name {str(output.effects)!r}; give them different files.")


def _reference_levels(given: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The reference level of each column, from COLUMN=LEVEL; both parts may hold an equals sign."""
    found = dict[str, str]()
    for text in given:
        fitting = [name for name in names if text.startswith(f"{name}=")]
        if not fitting:
            if "=" not in text:
                raise CommandError(f"--reference-level is {text!r}; expected COLUMN=LEVEL, as town=Bonn.")
            fitting = [text.partition("=")[0]]
        name = max(fitting, key=len)
        if name in found:
            raise CommandError(
                f"--reference-level names a level of {name!r} twice; a category has one reference level."
            )
        found[name] = text[len(name) + 1 :]
    return found


def coefficient_frame(found: TableStatistics, intervals: str | None) -> dict[str, Any]:
    """The coefficients as columns of equal length, with the exponential of each and its interval.

    The exponential is `odds_ratio` with two classes, `relative_risk_ratio` with more; intercepts have none (nan).
    """
    coefficients, ratios = found.coefficients(intervals), found.ratios(intervals)
    frame = coefficients.frame()
    first = np.full((len(coefficients.classes), len(coefficients.columns) - len(ratios.columns)), np.nan)
    parts = {"": ratios.estimate, "_lower": ratios.lower, "_upper": ratios.upper}
    more = {f"{ratios.what}{end}": np.column_stack([first, part]).ravel() for end, part in parts.items()}
    return {**frame, **more}


def _blank_where_nan(frame: Mapping[str, Any]) -> pa.Table:
    """The columns as an Arrow table; nan, of aliased columns and the ratio of an intercept, becomes null."""
    arrays = {}
    for name, values in frame.items():
        numeric = isinstance(values, np.ndarray) and values.dtype.kind == "f"
        arrays[name] = pa.array(values, mask=np.isnan(values)) if numeric else pa.array([str(v) for v in values])
    return pa.table(arrays)


def _as_json(found: TableStatistics, intervals: str | None) -> str:
    inference = found.inference
    try:
        overall: dict[str, Any] = _test(inference.overall())
    except ValueError as error:
        overall = {"error": str(error)}
    likelihood = {} if inference.fitted.pseudo else {"aic": inference.aic, "bic": inference.bic}
    clusters = inference.fitted.clusters
    figures = {
        "target": found.target,
        "rows": inference.n,
        "rows_left_out": found.left_out.rows + found.left_out.weightless,
        "missing": dict(found.left_out.by_column),
        "parameters": inference.df,
        "penalty": "firth" if inference.fitted.firth else None,
        "log_likelihood": inference.log_likelihood,
        "null_log_likelihood": inference.null_log_likelihood,
        "mcfadden": inference.mcfadden,
        "cox_snell": inference.cox_snell,
        "nagelkerke": inference.nagelkerke,
        **likelihood,
        "errors": inference.errors,
        "clusters": None if clusters is None else len(np.unique(clusters)),
        "weights": None if found.weights is None else {"column": found.weights.name, "kind": found.weights.kind},
        "intervals": found.interval_kind if intervals is None else intervals,
        "level": inference.level,
        "reference": None if inference.reference is None else inference.fitted.labels[inference.reference],
        "reference_levels": dict(found.reference_levels),
        "aliased": {name: list(others) for name, others in found.aliased.items()},
        "overall": overall,
        "columns": {name: _test(test) for name, test in found.column_tests().items()},
        "coefficients": _lists(found.coefficients(intervals)),
        "ratios": _lists(found.ratios(intervals)),
        "effects": _lists(found.effects()) if found.effects_are_quick else None,
        "notes": [*found.notes, *found.inference.summary("Wald").notes],
    }
    return json.dumps(_plain(figures), allow_nan=False, ensure_ascii=False)


def _test(test: ChiSquared) -> dict[str, Any]:
    return {"kind": test.kind, "statistic": test.statistic, "df": test.df, "p_value": test.p_value}


def _lists(found: Estimates) -> dict[str, list[Any]]:
    return {name: list(values) for name, values in found.frame().items()}


def _plain(value: Any) -> Any:
    """Numbers as JSON has them: null for what is not finite."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, str):
        return value if value is None else str(value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else None
