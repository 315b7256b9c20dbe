"""`softreg inspect`: what a model file holds."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from softreg.cli.commands.train import count_kinds
from softreg.cli.console.result_table import certificate_text
from softreg.cli.console.text_layout import MIN_SHOWN_GAP, align_columns, format_labels
from softreg.cli.data.load_model import LoadedModel, load_model
from softreg.models import read_model


def inspect_model(path: Path, *, as_json: bool) -> None:
    """Tell what kind of model a file holds, what it needs, and how well it was fitted."""
    model = load_model(path)
    if as_json:
        click.echo(json.dumps(_described(model), ensure_ascii=False, allow_nan=False))
        return
    click.echo(align_columns(_lines(model)))
    if model.table_model is not None:
        click.echo("\nColumns were taken for:")
        click.echo(align_columns(model.table_model.describe()))


def _described(model: LoadedModel) -> dict[str, Any]:
    """What a program may want to know of a model file."""
    regression, solution = model.regression, model.solution
    columns = model.table_model.describe() if model.table_model else []
    return {
        "kind": "table" if model.schema else "regression",
        "target": model.schema.target if model.schema else None,
        "classes": list(model.classes),
        "columns": [{"name": name, "kind": kind, "reason": reason} for name, kind, reason in columns],
        "features": list(model.features) if model.features else None,
        "n_features": int(regression.n_features_in_),
        "strength": float(regression.strength),
        "penalty": regression.penalty,
        "status": solution.status.value if solution else None,
        "gap": max(float(solution.gap), MIN_SHOWN_GAP) if solution and math.isfinite(solution.gap) else None,
        "bound": solution.bound if solution else None,
        "passes": int(solution.passes) if solution else None,
        "search": model.search,
        "softreg": read_model(model.path).version,
        "bytes": model.path.stat().st_size,
    }


def _lines(model: LoadedModel) -> list[tuple[str, str]]:
    """The same for a person."""
    regression, schema = model.regression, model.schema
    d, q = int(regression.n_features_in_), len(model.classes)
    kind = "table model, made from a file or a frame" if schema else "regression, fitted on an array or a frame"
    features = f"{d:,} features" if d > 1 else "1 feature"
    if schema:
        needs = f"{count_kinds(schema)}, which make {features}"
    else:
        needs = f"{features}: {format_labels(model.features)}" if model.features else f"{features}, without names"
    target = [("target", schema.target)] if schema else []
    return [
        ("file", f"{model.path}, {model.path.stat().st_size:,} bytes, written {_written(model.path)}"),
        ("made by", f"softreg {read_model(model.path).version}"),
        ("kind", kind),
        *target,
        ("classes", f"{q:,}: {format_labels(model.classes)}"),
        ("needs", needs),
        ("coefficients", f"{q:,} x {d:,}, and {q:,} intercepts"),
        ("strength", _strength(regression) + _searched(model.search)),
        ("certificate", certificate_text(model.solution)),
        ("passes over the data", f"{model.solution.passes:,}" if model.solution else "-"),
    ]


def _strength(regression: Any) -> str:
    if regression.penalty == "firth":
        return "Firth's penalty, which has none"
    penalised = regression.penalty is not None and regression.strength > 0
    return f"{regression.strength:g} of the penalty {regression.penalty}" if penalised else "no penalty"


def _searched(search: dict[str, Any] | None) -> str:
    if search is None:
        return ""
    how = f"{search['folds']:,} folds" if search["folds"] > 1 else "held-out rows"
    took = f", with {search['passes']:,} passes over the data" if search["passes"] else ""
    return f", chosen of {search['strengths']:,} by {how} (rule {search['rule']}){took}"


def _written(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime).astimezone().isoformat(sep=" ", timespec="minutes")
