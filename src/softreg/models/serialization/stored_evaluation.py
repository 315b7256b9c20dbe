"""The evaluation that a model file keeps: scores and reliability on held-out rows, and where they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from softreg.models.serialization import fields
from softreg.probability.bootstrap_intervals import Interval

DATE_FORMAT = "%Y-%m-%d %H:%M UTC"
"""Format of the date of training, for `time.strftime`."""
ROUNDING = 1e-9
"""Largest distance of the sum of class frequencies from 1."""
MAX_BRIER = 2.0
"""Largest Brier score, summed over the classes."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Evaluated rows whose predicted probability of a class lies in one bin.

    Attributes
    ----------
    lower, upper : float
        Edges of the bin; it contains the lower one, and the last bin the upper one as well.
    rows : int
        Number of rows, at least 1; each counts once.
    predicted : float
        Mean predicted probability.
    observed : float
        Observed frequency of the class.
    low, high : float
        95% interval of that frequency, for independent rows.
    band_low, band_high : float
        If the probabilities are right and the rows independent, the observed frequency lies between these in at least
        95% of samples.
    """

    lower: float
    upper: float
    rows: int
    predicted: float
    observed: float
    low: float
    high: float
    band_low: float
    band_high: float


BIN_FIELDS = ("lower", "upper", "rows", "predicted", "observed", "low", "high", "band_low", "band_high")
"""Fields of a bin in the order in which a file stores them."""


@dataclass(frozen=True)
class ClassReliability:
    """Reliability of the probabilities of one class: its label, and the bins that contain rows."""

    label: str
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class StoredEvaluation:
    """Evaluation of a fitted model on held-out rows, as its file keeps it.

    Attributes
    ----------
    rows : int
        Number of evaluated rows.
    held_out : int
        Number of held-out rows; larger than `rows` where a random sample of them is evaluated.
    training_rows : int
        Number of training rows.
    method : str
        How the rows were held out, as a phrase.
    classes : tuple of str
        The q classes as text.
    frequencies : tuple of float
        Relative frequency of each class among the evaluated rows; weighted, if rows have weights.
    training_frequencies : tuple of float or None
        Relative frequency of each class among the training rows, in the same way; None where it is not known.
    log_loss, accuracy, brier : Interval
        Scores with 95% intervals for their expectation on new rows; log loss in nats, Brier score summed over classes.
    log_loss_error : float or None
        Standard error of the log loss: that of a mean of independent rows, or of independent groups of rows; None where
        it is not defined.
    baseline_log_loss : float or None
        Log loss, on the evaluated rows, of the training frequencies, which are the probabilities of the unpenalised
        model with intercepts alone, without class weights and offsets; None where these are not known.
    calibration_error : Interval or None
        Root-mean-square error of a probability with its 95% interval: of either of two classes, of the most likely one
        of more; None where the rows do not suffice to estimate it.
    reliability : tuple of ClassReliability
        Reliability of the most frequent classes.
    groups : int or None
        Number of independent groups of the evaluated rows; None where rows are taken as independent.
    weighted : bool
        Whether scores and frequencies weight the rows.
    data : str
        Name of the data.
    seed : int
        Seed of the split.
    version : str
        Version of softreg.
    date : str
        Date of training.
    """

    rows: int
    held_out: int
    training_rows: int
    method: str
    classes: tuple[str, ...]
    frequencies: tuple[float, ...]
    training_frequencies: tuple[float, ...] | None
    log_loss: Interval
    log_loss_error: float | None
    accuracy: Interval
    brier: Interval
    baseline_log_loss: float | None
    calibration_error: Interval | None
    reliability: tuple[ClassReliability, ...]
    groups: int | None
    weighted: bool
    data: str
    seed: int
    version: str
    date: str

    def to_state(self) -> dict[str, Any]:
        """Return the evaluation as strict JSON; null stands for an infinite number in an interval."""
        error = self.calibration_error
        return {
            "rows": self.rows, "held_out": self.held_out, "training_rows": self.training_rows, "method": self.method,
            "classes": list(self.classes), "frequencies": list(self.frequencies),
            "training_frequencies": None if self.training_frequencies is None else list(self.training_frequencies),
            "log_loss": _interval_state(self.log_loss), "log_loss_error": self.log_loss_error,
            "accuracy": _interval_state(self.accuracy), "brier": _interval_state(self.brier),
            "baseline_log_loss": self.baseline_log_loss,
            "calibration_error": None if error is None else _interval_state(error),
            "reliability": [
                {"label": one.label, "bins": [[getattr(b, name) for name in BIN_FIELDS] for b in one.bins]}
                for one in self.reliability
            ],
            "groups": self.groups, "weighted": self.weighted,
            "data": self.data, "seed": self.seed, "version": self.version, "date": self.date,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> StoredEvaluation:
        """Return the evaluation that `to_state` wrote; raise `ValueError` for any other state."""
        classes = fields.texts(state, "classes")
        rows, held_out = fields.count(state, "rows"), fields.count(state, "held_out")
        if not 0 < rows <= held_out:
            raise ValueError(f"{rows} of {held_out} held-out rows are evaluated, which cannot be")
        groups, error = _optional_count(state, "groups"), _optional(state, "log_loss_error")
        if groups is not None and not 0 < groups <= rows:
            raise ValueError(f"{rows} evaluated rows cannot be {groups} groups")
        trained = None if state.get("training_frequencies") is None else _shares(state, "training_frequencies", classes)
        wrong = state.get("calibration_error")
        return cls(
            rows=rows,
            held_out=held_out,
            training_rows=fields.count(state, "training_rows"),
            method=fields.text(state, "method"),
            classes=classes,
            frequencies=_shares(state, "frequencies", classes),
            training_frequencies=trained,
            log_loss=_interval(state, "log_loss"),
            log_loss_error=error,
            accuracy=_interval(state, "accuracy", most=1.0),
            brier=_interval(state, "brier", most=MAX_BRIER),
            baseline_log_loss=_optional(state, "baseline_log_loss"),
            calibration_error=None if wrong is None else _interval(state, "calibration_error"),
            reliability=_reliability(state, classes, rows),
            groups=groups,
            weighted=fields.flag(state, "weighted"),
            data=fields.text(state, "data"),
            seed=_integer(state, "seed"),
            version=fields.text(state, "version"),
            date=_date(state),
        )


def evaluation_from_state(metadata: Mapping[str, Any], classes: Sequence[str]) -> StoredEvaluation | None:
    """Return the evaluation of a model file.

    Parameters
    ----------
    metadata : mapping
        Metadata of the file.
    classes : sequence of str
        Classes of the model.

    Returns
    -------
    StoredEvaluation or None
        The evaluation; None where the file has none, as those of earlier versions.

    Raises
    ------
    ValueError
        If a value is damaged, or the evaluation is of other classes.
    """
    if metadata.get("evaluation") is None:
        return None
    evaluation = StoredEvaluation.from_state(fields.mapping(metadata, "evaluation"))
    check_classes(evaluation, classes)
    return evaluation


def check_classes(evaluation: StoredEvaluation, classes: Sequence[str]) -> None:
    """Raise `ValueError` if an evaluation is of other classes than a model, or of the same in another order."""
    if evaluation.classes != tuple(classes):
        raise ValueError(
            f"the evaluation is of the classes {', '.join(map(repr, evaluation.classes))}, and the model has "
            f"{', '.join(map(repr, classes))}"
        )


def _interval_state(interval: Interval) -> list[float | None]:
    """Return value and ends of an interval, None for those that are infinite."""
    ends = (interval.value, interval.low, interval.high)
    return [float(end) if math.isfinite(end) else None for end in ends]


def _interval(state: Mapping[str, Any], key: str, *, most: float = math.inf) -> Interval:
    """Return an interval of numbers from 0 to `most`; an infinite score has infinite ends."""
    stored = state.get(key)
    if not isinstance(stored, list) or len(stored) != len(("value", "low", "high")):
        raise ValueError(f"{key!r} is {stored!r:.60}, and must be a score with two ends of an interval")
    value, low, high = (math.inf if end is None else fields.number({key: end}, key) for end in stored)
    if not (0 <= low <= high and value >= 0) or (math.isinf(low) and math.isfinite(value)):
        raise ValueError(f"{key!r} is {stored!r:.60}, which is not an interval of a score")
    if any(most < end < math.inf for end in (value, low)) or (math.isinf(value) and math.isfinite(most)):
        raise ValueError(f"{key!r} is {stored!r:.60}, and must be at most {most:g}")
    return Interval(value, low, high)


def _shares(state: Mapping[str, Any], key: str, classes: Sequence[str]) -> tuple[float, ...]:
    """Return the frequencies of classes, which sum to 1."""
    shares = fields.numbers(state, key)
    if len(shares) != len(classes) or any(not 0 <= share <= 1 for share in shares):
        raise ValueError(f"{key!r} must hold a frequency from 0 to 1 for each of {len(classes)} classes")
    if abs(math.fsum(shares) - 1) > ROUNDING:
        raise ValueError(f"the {key!r} sum to {math.fsum(shares):.6g}, not to 1")
    return shares


def _optional(state: Mapping[str, Any], key: str) -> float | None:
    """Return the number >= 0 under `key`, or None."""
    if state.get(key) is None:
        return None
    value = fields.number(state, key)
    if value < 0:
        raise ValueError(f"{key!r} is {value:g}, and must be at least 0")
    return value


def _optional_count(state: Mapping[str, Any], key: str) -> int | None:
    return None if state.get(key) is None else fields.count(state, key)


def _integer(state: Mapping[str, Any], key: str) -> int:
    """Return the integer under `key`."""
    value = state.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{key!r} is {value!r:.60}, and must be an integer")
    return value


def _date(state: Mapping[str, Any]) -> str:
    """Return the date of training."""
    date = fields.text(state, "date")
    try:
        datetime.strptime(date, DATE_FORMAT)
    except ValueError:
        raise ValueError(f"'date' is {date!r:.60}, and must be written like 2020-01-31 18:30 UTC") from None
    return date


def _reliability(state: Mapping[str, Any], classes: Sequence[str], rows: int) -> tuple[ClassReliability, ...]:
    """Return the reliability of classes, each with all evaluated rows in its bins."""
    tables = []
    for stored in fields.mappings(state, "reliability"):
        label, bins = fields.text(stored, "label"), stored.get("bins")
        if label not in classes:
            raise ValueError(f"there is a reliability of {label!r}, which is no class of the model")
        if not isinstance(bins, list) or not all(isinstance(b, list) and len(b) == len(BIN_FIELDS) for b in bins):
            raise ValueError(f"the bins of the reliability of {label!r} must be lists of {len(BIN_FIELDS)} numbers")
        table = ClassReliability(label, tuple(_bin(dict(zip(BIN_FIELDS, b, strict=True))) for b in bins))
        if sum(b.rows for b in table.bins) != rows:
            raise ValueError(f"the bins of the reliability of {label!r} do not hold the {rows} evaluated rows")
        tables.append(table)
    fields.distinct([table.label for table in tables], "classes with a reliability")
    return tuple(tables)


def _bin(stored: Mapping[str, Any]) -> ReliabilityBin:
    """Return one bin with probabilities from 0 to 1 in order."""
    rows = fields.count(stored, "rows")
    b = {name: fields.number(stored, name) for name in BIN_FIELDS if name != "rows"}
    ordered = b["lower"] < b["upper"] and b["low"] <= b["observed"] <= b["high"] and b["band_low"] <= b["band_high"]
    if rows == 0 or not ordered or not all(0 <= value <= 1 for value in b.values()):
        raise ValueError(f"{dict(stored)!r:.200} is no bin of a reliability table")
    return ReliabilityBin(rows=rows, **b)
