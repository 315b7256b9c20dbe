"""`softreg statistics`: which columns of a table matter for the label, by how much, and how sure that is."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.csv

from softreg.cli.boundary import Complaint
from softreg.cli.console import check_writable, refuse_inputs, say
from softreg.cli.reading import opened, read_to_fit
from softreg.files import atomic_path
from softreg.models.estimates import Estimates
from softreg.tables import ReadOptions, TableStatistics, table_statistics

ENDINGS = (".csv",)


def tell_statistics(
    data: Path,
    target: str,
    output: Path | None,
    *,
    drop: Sequence[str],
    asked: dict[str, tuple[str, ...]],
    settings: dict[str, Any],
    reading: ReadOptions,
    intervals: str | None,
    as_json: bool,
) -> None:
    """Fit the table without a penalty and print errors, intervals and tests; coefficients go to `output`."""
    check_writable(output, ENDINGS, "--output")
    if intervals == "profile" and (settings["errors"] == "robust" or settings["clusters"]):
        raise Complaint(
            "--intervals profile assumes that the model holds, which robust errors and clusters do not; leave one of "
            "them out."
        )
    apart = set(drop) - {settings["clusters"], target}
    source = opened(data, reading).ignoring(apart)
    refuse_inputs(output, "--output", source.paths)
    table, _ = read_to_fit(source, target, drop, asked, reading)
    found = table_statistics(table, target, drop=drop, **{**settings, **asked})
    intervals = found.inference.interval_kind if intervals is None else intervals
    click.echo(_as_json(found, intervals) if as_json else found.text(intervals))
    if output is not None:
        with atomic_path(output) as draft:
            pa.csv.write_csv(pa.table(_coefficients(found, intervals).frame()), draft)
        say(f"Coefficients: {output}")


def _coefficients(found: TableStatistics, intervals: str) -> Estimates:
    return found.inference.profile() if intervals == "profile" else found.inference.coefficients


def _as_json(found: TableStatistics, intervals: str) -> str:
    told = found.inference
    tests = {
        name: {"kind": test.kind, "statistic": test.statistic, "df": test.df, "p_value": test.p_value}
        for name, test in found.column_tests().items()
    }
    return json.dumps(
        _plain(
            {
                "rows": told.n,
                "parameters": told.df,
                "log_likelihood": told.log_likelihood,
                "null_log_likelihood": told.null_log_likelihood,
                "mcfadden": told.mcfadden,
                "aic": told.aic,
                "bic": told.bic,
                "errors": told.errors,
                "intervals": intervals,
                "compared_with": found.against,
                "columns": tests,
                "coefficients": {k: list(v) for k, v in _coefficients(found, intervals).frame().items()},
            }
        ),
        allow_nan=False,
        ensure_ascii=False,
    )


def _plain(value: Any) -> Any:
    """Numbers as JSON has them: null for what is not finite."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, str):
        return str(value)
    number = float(value)
    return number if math.isfinite(number) else None
