"""The result of `train` and `evaluate` as one record, which is printed as a table or as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from softreg.cli.console.aligned_text import MIN_SHOWN_GAP

if TYPE_CHECKING:
    from softreg.models import Path
    from softreg.optimize import Solution
    from softreg.probability import Interval
    from softreg.report import Audit


@dataclass(frozen=True)
class EvaluationResult:
    """Result of `train` and `evaluate`; losses, entropy and gap are in nats unless the name says bits.

    The names of the fields are the keys of the JSON object. Fields that end in `_low` and `_high` are the ends of the
    95% interval of the field before them.

    Attributes
    ----------
    rows, columns, classes : int
        Size of the table.
    strength : float
        Strength of the penalty.
    log_loss, log_loss_bits, label_entropy, accuracy, majority_accuracy, brier : float
        As in `softreg.report.Audit`.
    auc : float
        Area under the ROC curve; of several classes, the mean of each against the rest.
    effective_rows : float
        Kish's effective sample size.
    calibration : str
        Conclusion on the calibration.
    calibration_error : float
        Root-mean-square error of a probability.
    calibration_gap : float
        Decrease of the log loss by recalibration.
    calibration_p : float
        p-value of the exact test, by `calibration_draws` draws.
    gap, passes : float, int
        Gap of the fit, and its passes over the rows.
    seconds : float
        Seconds of the search and the fit.
    search : mapping or None
        Number of `strengths` and `folds`, the `rule`, `passes` and `seconds` of the search for the strength; None where
        the strength was given.
    profile : mapping or None
        What the fit costs, with `--profile`; it is left out of the JSON otherwise.
    terms : mapping or None
        Models that were compared and sizes of terms; it is left out of the JSON where no terms were compared or
        requested.
    """

    rows: int
    columns: int
    classes: int
    strength: float
    log_loss: float
    log_loss_bits: float
    log_loss_low: float
    log_loss_high: float
    label_entropy: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    majority_accuracy: float
    auc: float
    auc_low: float
    auc_high: float
    brier: float
    brier_low: float
    brier_high: float
    effective_rows: float
    calibration: str
    calibration_error: float
    calibration_error_low: float
    calibration_error_high: float
    calibration_gap: float
    calibration_p: float
    calibration_draws: int
    gap: float
    passes: int
    seconds: float
    search: Mapping[str, Any] | None
    profile: Mapping[str, Any] | None
    terms: Mapping[str, Any] | None

    def as_json(self) -> str:
        """Return a JSON object, with null for numbers that are not finite."""
        values = asdict(self)
        for name in ("profile", "terms"):
            if values[name] is None:
                del values[name]
        return dump_json(values)


def dump_json(values: Mapping[str, Any]) -> str:
    """Return a JSON object of plain values, with null for numbers that are not finite."""
    return json.dumps(_finite(values), allow_nan=False)


def _finite(value: Any) -> Any:
    """Return plain values with None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def collect_result(
    audit: Audit,
    solution: Solution | None,
    *,
    rows: int,
    columns: int,
    strength: float,
    seconds: float,
    search: Mapping[str, Any] | None = None,
) -> EvaluationResult:
    """Return the result of an audit, of the fit, and of the search for the strength of its penalty."""
    from softreg.report.page.calibration_assessment import assess_calibration  # not loaded by `softreg inspect`

    assessment, calibration = assess_calibration(audit), audit.calibration
    return EvaluationResult(
        rows=rows,
        columns=columns,
        classes=len(audit.classes),
        strength=strength,
        log_loss=audit.log_loss,
        log_loss_low=calibration.log_loss.low,
        log_loss_high=calibration.log_loss.high,
        log_loss_bits=audit.log_loss_bits,
        label_entropy=audit.label_entropy,
        accuracy=audit.accuracy,
        accuracy_low=calibration.accuracy.low,
        accuracy_high=calibration.accuracy.high,
        majority_accuracy=audit.majority_accuracy,
        **interval_fields("auc", audit.auc),
        **interval_fields("brier", calibration.brier),
        effective_rows=audit.effective_rows,
        calibration=assessment.conclusion,
        **interval_fields("calibration_error", assessment.error),
        calibration_gap=calibration.gap.value,
        calibration_p=calibration.check.p_value,
        calibration_draws=calibration.check.draws,
        gap=max(float(solution.gap), MIN_SHOWN_GAP) if solution else math.inf,
        passes=int(solution.passes) if solution else 0,
        seconds=seconds,
        search=search,
        profile=None,
        terms=None,
    )


def interval_fields(name: str, score: Interval) -> dict[str, float]:
    """Return a score and the ends of its interval by the names of their fields."""
    return {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}


def search_record(path: Path | None, rule: str) -> dict[str, Any] | None:
    """Return size, passes and seconds of the search for the strength; None where the strength was given."""
    if path is None:
        return None
    seconds = path.seconds if math.isfinite(path.seconds) else None
    folds = path.scores.shape[1]
    return {"strengths": len(path), "folds": folds, "rule": rule, "passes": path.passes, "seconds": seconds}


def print_result(result: EvaluationResult, text: str, *, as_json: bool) -> None:
    """Print a result on stdout, as JSON or as the table `text`."""
    click.echo(result.as_json() if as_json else text)
