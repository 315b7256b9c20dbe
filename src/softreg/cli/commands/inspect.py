"""`softreg inspect`: describe a model file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from softreg.cli.console.aligned_text import MIN_SHOWN_GAP, align_columns, format_labels
from softreg.cli.console.column_kinds import count_kinds
from softreg.cli.console.evaluation_result import interval_fields
from softreg.cli.console.result_table import certificate_text
from softreg.cli.console.term_lines import STRENGTH_REMARK, term_fields, term_text
from softreg.cli.data.load_model import LoadedModel, load_model
from softreg.models import SoftmaxRegression, StoredEvaluation, read_model
from softreg.optimize import Solution
from softreg.tables.columns.table_errors import pluralize
from softreg.tables.fit.weight_terms.column_constraints import regression_constraints


def inspect_model(path: Path, *, as_json: bool) -> None:
    """Print the kind of a model, the columns that it needs, and the certificate of its fit."""
    model = load_model(path)
    if as_json:
        click.echo(json.dumps(_as_record(model), ensure_ascii=False, allow_nan=False))
        return
    click.echo(align_columns([*_model_lines(model), *_fit_lines(model), *_evaluation_lines(model)]))
    if model.table_model is not None:
        terms = term_text(model.table_model, most=None)
        if terms:
            click.echo(f"\n{terms}")
        click.echo("\nKinds of columns:")
        click.echo(align_columns(model.table_model.describe()))


def _as_record(model: LoadedModel) -> dict[str, Any]:
    """Return the description as a JSON object."""
    regression = model.regression
    columns = model.table_model.describe() if model.table_model else []
    return {
        "kind": "table" if model.schema else "regression",
        "target": model.schema.target if model.schema else None,
        "classes": list(model.classes),
        "offset": dict(model.table_model.offset_) if model.table_model else {},
        "columns": [{"name": name, "kind": kind, "reason": reason} for name, kind, reason in columns],
        "features": list(model.features) if model.features else None,
        "n_features": int(regression.n_features_in_),
        "strength": float(regression.strength),
        "penalty": regression.penalty,
        **_weight_record(model),
        **_fit_record(model.solution),
        "search": model.search,
        "terms": term_fields(model.table_model.terms_) if model.table_model else None,
        "evaluation": _evaluation_record(model.evaluation),
        "softreg": read_model(model.path).version,
        "bytes": model.path.stat().st_size,
    }


def _fit_record(solution: Solution | None) -> dict[str, Any]:
    """Return the fields of the JSON object on the fit; null for a model trained by `partial_fit`."""
    if solution is None:
        return {"status": None, "gap": None, "bound": None, "passes": None, "plan": None}
    return {
        "status": solution.status.value,
        "gap": max(float(solution.gap), MIN_SHOWN_GAP) if math.isfinite(solution.gap) else None,
        "bound": solution.bound,
        "passes": int(solution.passes),
        "plan": asdict(solution.plan) if solution.plan else None,
    }


def _model_lines(model: LoadedModel) -> list[tuple[str, str]]:
    """Return the lines on file, classes and columns."""
    regression, schema = model.regression, model.schema
    d, q = int(regression.n_features_in_), len(model.classes)
    kind = "table model, trained on a file or a data frame" if schema else "regression, fitted in Python"
    features = f"{d:,} features" if d > 1 else "1 feature"
    if schema:
        columns = f"{count_kinds(schema)}, encoded as {features}"
    else:
        columns = f"{features}: {format_labels(model.features)}" if model.features else f"{features}, without names"
    target = [("target", schema.target)] if schema else []
    stored = read_model(model.path)
    covariance = stored.metadata.get("intervals")
    intervals = [("intervals", f"covariance of the weights, {covariance['errors']}")] if covariance else []
    return [
        ("file", f"{model.path}, {model.path.stat().st_size:,} bytes, written {_modified(model.path)}"),
        ("version", f"softreg {stored.version}"),
        ("kind", kind),
        *target,
        ("classes", f"{q:,}: {format_labels(model.classes)}"),
        ("columns", columns),
        ("coefficients", f"{q:,} x {d:,}, and {q:,} intercepts"),
        *intervals,
        *_weight_lines(model),
    ]


def _weight_lines(model: LoadedModel) -> list[tuple[str, str]]:
    """Return the lines on columns without penalty, bounds, prior and posterior."""
    record, lines = _weight_record(model), list[tuple[str, str]]()
    if record["unpenalised"]:
        lines.append(("no penalty", format_labels(record["unpenalised"])))
    if record["bounds"]:
        reference = record["bounds_reference"]
        against = "" if reference is None else f", against class {reference}"
        lines.append(("bounds", "; ".join(f"{name} {text}" for name, text in record["bounds"].items()) + against))
    if record["prior"]:
        lines.append(("prior", record["prior"]))
    if record["posterior"]:
        lines.append(("posterior", f"kept: {record['posterior']}"))
    return lines


def _weight_record(model: LoadedModel) -> dict[str, Any]:
    """Return the fields of the JSON object on columns without penalty, bounds, prior and posterior."""
    regression = model.regression
    constraints = model.table_model.constraints_ if model.table_model else regression_constraints(regression)
    posterior, prior = regression._posterior, regression.prior
    return {
        "unpenalised": list(constraints.unpenalised),
        "bounds": constraints.bound_texts(),
        "bounds_reference": None if constraints.reference is None else str(constraints.reference),
        "prior": None if prior is None else getattr(prior, "description", str(prior)),
        "posterior": None if posterior is None else str(posterior),
    }


def _fit_lines(model: LoadedModel) -> list[tuple[str, str]]:
    """Return the lines on penalty, certificate, solver and passes of the fit."""
    return [
        ("strength", _strength_text(model.regression) + _choice_text(model)),
        ("certificate", certificate_text(model.solution)),
        ("solver", _plan_text(model.solution)),
        ("passes over the data", f"{model.solution.passes:,}" if model.solution else "-"),
    ]


def _evaluation_lines(model: LoadedModel) -> list[tuple[str, str]]:
    """Return the lines on the evaluation that the file keeps; none where it keeps none."""
    kept = model.evaluation
    if kept is None:
        return []
    sample = "" if kept.rows == kept.held_out else f", {kept.rows:,} of these evaluated"
    grouped = "" if kept.groups is None else f"; {kept.groups:,} independent groups"
    error = "" if kept.log_loss_error is None else f" ± {kept.log_loss_error:.4f} (1 SE)"
    baseline = kept.baseline_log_loss
    against = "" if baseline is None else f"; {baseline:.4f} nats by the class frequencies of the training rows alone"
    wrong = kept.calibration_error
    of = "of a probability" if len(kept.classes) == 2 else "of the probability of the most likely class"
    calibration = [] if wrong is None else [("calibration error", f"{wrong}, root mean square, {of}")]
    return [
        ("evaluated on", f"{kept.method}: {pluralize(kept.held_out, 'row')}{sample}{grouped}"),
        ("trained on", f"{pluralize(kept.training_rows, 'row')} of {kept.data}, seed {kept.seed}, {kept.date}"),
        ("log loss", f"{kept.log_loss.value:.4f} nats{error}{against}"),
        ("accuracy", f"{kept.accuracy}, 95% interval"),
        ("Brier score", f"{kept.brier}, 95% interval, summed over the classes"),
        *calibration,
    ]


def _evaluation_record(kept: StoredEvaluation | None) -> dict[str, Any] | None:
    """Return the main figures of the evaluation as a JSON object; null where the file keeps none."""
    if kept is None:
        return None
    scores = {"log_loss": kept.log_loss, "accuracy": kept.accuracy, "brier": kept.brier}
    if kept.calibration_error is not None:
        scores["calibration_error"] = kept.calibration_error
    figures = {key: value for name, score in scores.items() for key, value in interval_fields(name, score).items()}
    left_out = {*scores, "calibration_error", "reliability"}
    others = {key: value for key, value in kept.to_state().items() if key not in left_out}
    return others | {key: value if math.isfinite(value) else None for key, value in figures.items()}


def _plan_text(solution: Solution | None) -> str:
    """Return the plan by which a model was fitted, and why it was chosen."""
    if solution is None or solution.plan is None:
        return "-" if solution is None else "not recorded"
    plan = solution.plan
    return f"{plan.name} ({plan.method}); {plan.why}"


def _strength_text(regression: SoftmaxRegression) -> str:
    """Return the penalty and its strength."""
    if regression.prior is not None:
        return "no penalty: the weights have a prior"
    if regression.penalty == "firth":
        return "none: Firth's penalty has no strength"
    penalised = regression.penalty is not None and regression.strength > 0
    return f"{regression.strength:g}, {regression.penalty} penalty" if penalised else "no penalty"


def _choice_text(model: LoadedModel) -> str:
    """Return how the strength was chosen; empty where it was given."""
    terms = model.table_model.terms_ if model.table_model else None
    return _search_text(model.search) if terms is None or terms.is_linear else f", {STRENGTH_REMARK}"


def _search_text(search: dict[str, Any] | None) -> str:
    """Return how the strength was selected; empty where it was given."""
    if search is None:
        return ""
    method = f"{search['folds']:,}-fold cross-validation" if search["folds"] > 1 else "held-out rows"
    passes = f", with {search['passes']:,} passes over the data" if search["passes"] else ""
    return f", chosen from {search['strengths']:,} by {method} (rule {search['rule']}){passes}"


def _modified(path: Path) -> str:
    """Return the time of modification of a file."""
    return datetime.fromtimestamp(path.stat().st_mtime).astimezone().isoformat(sep=" ", timespec="minutes")
