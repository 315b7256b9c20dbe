"""`softreg statistics`: coefficients of a table with standard errors, intervals, tests and marginal effects."""

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

from softreg.atomic_files import atomic_path
from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_message, print_note
from softreg.cli.console.output_files import check_writable, refuse_inputs
from softreg.cli.data.load_model import load_model
from softreg.cli.data.read_table import open_source, read_training_table
from softreg.cli.options.column_arguments import resolve_column
from softreg.models.inference.estimates import ChiSquared, Estimates
from softreg.tables import TableStatistics, table_statistics
from softreg.tables.schema.feature_columns import split_column_names

ENDINGS = (".csv",)


@dataclass(frozen=True)
class StatisticsOutput:
    """Files of coefficients and effects, kind of the intervals (None for the default), and the format of the result."""

    coefficients: Path | None
    effects: Path | None
    intervals: str | None
    as_json: bool


def run_statistics(data: Path, target: str | None, options: dict[str, Any]) -> None:
    """Fit the table, print coefficients, tests, ratios and effects, and write the requested files.

    Parameters
    ----------
    data : Path
        The table.
    target : str or None
        Column of labels; None where a formula names it.
    options : dict
        Options of the command by name.

    Raises
    ------
    CommandError
        If options exclude each other, or the table is not that of a model.
    """
    settings = dict(options)
    model, refit = settings.pop("model"), settings.pop("refit")
    if model is not None:
        _print_term_tests(data, model, {**settings, "target": target}, refit=refit)
        return
    if refit:
        raise CommandError("--refit fits the terms of a model to DATA; name the model: --model M.softreg.")
    kind = settings.pop("intervals")
    intervals, as_json = "Wald" if kind == "wald" else kind, settings.pop("as_json")
    output = StatisticsOutput(settings.pop("output"), settings.pop("effects"), intervals, as_json)
    settings["penalty"] = None if settings["penalty"] == "none" else settings["penalty"]
    _refuse_contradictions(output, settings)
    kinds = {kind: settings[kind] for kind in ("text", "category", "number", "date")}
    reading = settings.pop("reading")
    source = open_source(data, reading)
    kinds = {kind: split_column_names(given, source.names) for kind, given in kinds.items()}
    drop = split_column_names(settings["drop"], source.names)
    settings |= {**kinds, "drop": drop}
    source = source.ignoring(set(drop) - {settings["clusters"], settings["weights"], target})
    for path, option in ((output.coefficients, "--output"), (output.effects, "--effects")):
        check_writable(path, ENDINGS, option)
        refuse_inputs(path, option, source.paths)
    target = None if target is None else resolve_column(target, source.names)
    if target is None:  # the formula names it
        table = source.read()
    else:
        table, _ = read_training_table(source, target, drop, kinds, reading)
    settings["reference_levels"] = _reference_levels(settings["reference_levels"], table.column_names)
    result = table_statistics(table, target, **settings)
    click.echo(_as_json(result, output.intervals) if output.as_json else result.text(output.intervals))
    for note in result.notes if output.as_json else ():
        print_note(f"{note[:1].upper()}{note[1:]}.")
    if output.coefficients is not None:
        _write(coefficient_frame(result, output.intervals), output.coefficients, "Coefficients")
    if output.effects is not None:
        _write(result.effects().frame(), output.effects, "Effects")


def _print_term_tests(data: Path, path: Path, settings: Mapping[str, Any], *, refit: bool) -> None:
    """Print the tests of the terms of a model; raise `CommandError` for other options, and rows of another fit."""
    for name in ("target", "formula", "reference", "weights", "errors", "clusters", "intervals", "output", "effects"):
        if settings[name] is not None:
            raise CommandError(f"--{name} and --model exclude each other: the model has a target and a form already.")
    model = load_model(path).table_model
    if model is None:
        raise CommandError(f"--model: {str(path)!r} was fitted to an array; name a model of `softreg train`.")
    table = open_source(data, settings["reading"]).read()
    try:
        tests = model.term_tests(table, refit=refit)
    except ValueError as error:
        other = "from the optimum of these rows" in str(error)
        hint = f"{data.name} does not have exactly the rows of the fit (`softreg train` holds rows out, unless --test "
        hint += "names a file). Test on rows that the fit did not have, with --refit."
        raise CommandError(hint if other else str(error)) from None
    if not settings["as_json"]:
        click.echo(str(tests).replace("term_tests(rows, refit=True)", "--refit"))
        return
    frame = tests.frame()
    found = [dict(zip(frame, values, strict=True)) for values in zip(*frame.values(), strict=True)]
    tested = [{**_plain(test), "searched": test["searched"]} for test in found]
    figures = {"rows": tests.rows, "refit": refit, "tests": tested, "notes": list(tests.notes)}
    click.echo(json.dumps(figures, allow_nan=False, ensure_ascii=False))


def _write(frame: Mapping[str, Any], path: Path, what: str) -> None:
    """Write columns to a CSV file, and print its name."""
    with atomic_path(path) as draft:
        pa.csv.write_csv(_blank_where_nan(frame), draft)
    print_message(f"{what}: {path}")


def _refuse_contradictions(output: StatisticsOutput, settings: Mapping[str, Any]) -> None:
    """Raise `CommandError` for options that exclude each other."""
    if output.intervals == "profile" and (settings["errors"] == "robust" or settings["clusters"]):
        raise CommandError(
            "--intervals profile assumes a correct model, which robust errors and clusters do not; use one of them."
        )
    if settings["weight_kind"] is not None and settings["weights"] is None:
        raise CommandError("--weight-kind requires the column of weights: --weights COLUMN.")
    if output.coefficients is not None and output.coefficients == output.effects:
        raise CommandError(f"--output and --effects both name {str(output.effects)!r}; use different files.")


def _reference_levels(given: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Parse COLUMN=LEVEL for each column; both parts may contain an equals sign."""
    levels = dict[str, str]()
    for text in given:
        matching = [name for name in names if text.startswith(f"{name}=")]
        if not matching:
            if "=" not in text:
                raise CommandError(f"--reference-level is {text!r}; expected COLUMN=LEVEL, such as town=Bonn.")
            matching = [text.partition("=")[0]]
        name = max(matching, key=len)
        if name in levels:
            raise CommandError(
                f"--reference-level names a level of {name!r} twice; a category has one reference level."
            )
        levels[name] = text[len(name) + 1 :]
    return levels


def coefficient_frame(result: TableStatistics, intervals: str | None) -> dict[str, Any]:
    """Return the coefficients as columns of equal length, with the exponential of each and its interval.

    Parameters
    ----------
    result : TableStatistics
        The statistics.
    intervals : str or None
        Kind of the intervals; None for the default.

    Returns
    -------
    dict of str to array
        Columns by name. The exponential is `odds_ratio` with two classes and `relative_risk_ratio` with more; it is nan
        for intercepts.
    """
    coefficients, ratios = result.coefficients(intervals), result.ratios(intervals)
    frame = coefficients.frame()
    first = np.full((len(coefficients.classes), len(coefficients.columns) - len(ratios.columns)), np.nan)
    parts = {"": ratios.estimate, "_lower": ratios.lower, "_upper": ratios.upper}
    more = {f"{ratios.what}{end}": np.column_stack([first, part]).ravel() for end, part in parts.items()}
    return {**frame, **more}


def _blank_where_nan(frame: Mapping[str, Any]) -> pa.Table:
    """Return columns as an Arrow table, with nan (aliased columns, ratios of intercepts) as null."""
    arrays = {}
    for name, values in frame.items():
        numeric = isinstance(values, np.ndarray) and values.dtype.kind == "f"
        arrays[name] = pa.array(values, mask=np.isnan(values)) if numeric else pa.array([str(v) for v in values])
    return pa.table(arrays)


def _as_json(result: TableStatistics, intervals: str | None) -> str:
    """Return the statistics as a JSON object."""
    inference = result.inference
    try:
        overall: dict[str, Any] = _test(inference.overall())
    except ValueError as error:
        overall = {"error": str(error)}
    likelihood = {} if inference.fitted.pseudo else {"aic": inference.aic, "bic": inference.bic}
    clusters = inference.fitted.clusters
    figures = {
        "target": result.target,
        "rows": inference.n,
        "rows_left_out": result.left_out.rows + result.left_out.weightless,
        "missing": dict(result.left_out.by_column),
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
        "weights": None if result.weights is None else {"column": result.weights.name, "kind": result.weights.kind},
        "intervals": result.interval_kind if intervals is None else intervals,
        "level": inference.level,
        "reference": None if inference.reference is None else inference.fitted.labels[inference.reference],
        "reference_levels": dict(result.reference_levels),
        "aliased": {name: list(others) for name, others in result.aliased.items()},
        "overall": overall,
        "columns": {name: _test(test) for name, test in result.column_tests().items()},
        "coefficients": _lists(result.coefficients(intervals)),
        "ratios": _lists(result.ratios(intervals)),
        "effects": _lists(result.effects()) if result.effects_are_quick else None,
        "notes": [*result.notes, *result.inference.summary("Wald").notes],
    }
    return json.dumps(_plain(figures), allow_nan=False, ensure_ascii=False)


def _test(test: ChiSquared) -> dict[str, Any]:
    """Return a test as a JSON object."""
    return {"kind": test.kind, "statistic": test.statistic, "df": test.df, "p_value": test.p_value}


def _lists(estimates: Estimates) -> dict[str, list[Any]]:
    """Return estimates as lists by name."""
    return {name: list(values) for name, values in estimates.frame().items()}


def _plain(value: Any) -> Any:
    """Return values that JSON can represent, with null for numbers that are not finite."""
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
