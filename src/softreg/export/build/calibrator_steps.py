"""The steps of a program after the softmax, from a fitted calibrator and class rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from softreg.export.export_errors import ExportError
from softreg.export.probability_maps import (
    IsotonicShares,
    MixBoundedLogs,
    MixLogs,
    QuadraticLogOdds,
    ReplaceZeros,
    ScaleLogs,
    ShiftRates,
    Step,
    StepCurve,
)
from softreg.models import Calibrator
from softreg.models.calibration.maps.isotonic import Isotonic
from softreg.models.calibration.maps.odds_maps import QuadraticOdds
from softreg.models.calibration.maps.structured_map import LEAST_LOG, StructuredMap
from softreg.models.calibration.methods import Identity, Matrix, Scaled
from softreg.models.calibration.temperature import SMALLEST
from softreg.probability.class_prior import shift_rates
from softreg.value_text import value_text


def calibrator_steps(
    calibrator: Calibrator | None, class_rates: ArrayLike | Mapping[Any, float] | None, labels: Sequence[Any]
) -> tuple[Step, ...]:
    """Return the steps that `Calibrator.predict_proba` applies to probabilities.

    Parameters
    ----------
    calibrator : Calibrator or None
        A fitted calibrator of the model's classes; None for no step.
    class_rates : array_like (q,), mapping of label to float, or None
        Class rates of the new rows, as in `Calibrator.predict_proba`.
    labels : sequence of label (q,)
        Classes of the model.

    Returns
    -------
    tuple of Step
        Steps in order.

    Raises
    ------
    ExportError
        If the calibrator has other classes, is not fitted, or class rates are given without a calibrator or are no
        rates.
    """
    if calibrator is None:
        if class_rates is not None:
            raise ExportError(
                "class_rates need the class rates of the calibration rows: pass calibrator=Calibrator().fit(P, y) too."
            )
        return ()
    if not isinstance(calibrator, Calibrator) or not hasattr(calibrator, "recalibration_"):
        raise ExportError(
            f"calibrator is {type(calibrator).__name__}; expected a softreg.Calibrator that is fitted: "
            "Calibrator().fit(P, y)."
        )
    own, others = ([value_text(label) for label in some] for some in (labels, calibrator.classes_.tolist()))
    if own != others:
        raise ExportError(f"The calibrator has the classes {others}, but the model has {own}.")
    steps: list[Step] = [ReplaceZeros(float(calibrator.floor_), SMALLEST)]
    steps += _recalibration(calibrator.recalibration_)
    if class_rates is not None:
        steps.append(_rate_shift(calibrator.class_rates_, class_rates, labels))
    return tuple(steps)


def _recalibration(fitted: Any) -> list[Step]:
    """Return the step of a fitted recalibration; none for the identity."""
    match fitted:
        case Identity():
            return []
        case Scaled():
            scaling = fitted.scaling
            return [ScaleLogs(tuple(scaling.scale.tolist()), tuple(scaling.bias.tolist()))]
        case Matrix():
            return [MixLogs(tuple(tuple(row) for row in fitted.W.tolist()), tuple(fitted.b.tolist()))]
        case StructuredMap():
            W = np.diag(fitted.W) if fitted.W.ndim == 1 else fitted.W
            rows = tuple(tuple(row) for row in W.T.tolist())
            return [MixBoundedLogs(rows, tuple(fitted.b.tolist()), float(fitted.c), LEAST_LOG)]
        case QuadraticOdds():
            return [QuadraticLogOdds(fitted.a, fitted.b, fitted.c, fitted.low, fitted.high, LEAST_LOG)]
        case Isotonic():
            curves = [StepCurve(tuple(step.knots.tolist()), tuple(step.values.tolist())) for step in fitted.steps]
            return [IsotonicShares(tuple(curves), float(fitted.kept))]
    raise TypeError(f"no program is known for the recalibration {type(fitted).__name__}")


def _rate_shift(before: Any, given: ArrayLike | Mapping[Any, float], labels: Sequence[Any]) -> ShiftRates:
    """Return the step from the class rates of the calibration rows to others."""
    if isinstance(given, str):
        raise ExportError(
            f"class_rates={given!r} depends on all rows of a prediction, and a program reads one row at a time. Pass "
            "the rates themselves: softreg.probability.class_prior.estimate_rates(P, calibrator.class_rates_)."
        )
    if isinstance(given, Mapping):
        unknown = [label for label in given if label not in labels]
        if unknown or len(given) != len(labels):
            raise ExportError(
                f"class_rates name {list(given)}; expected a rate for each of the classes {list(labels)}."
            )
        given = [given[label] for label in labels]
    rates = np.asarray(given, dtype=np.float64)
    try:
        shift_rates(np.asarray(before)[None, :], before, rates)
    except ValueError as error:
        raise ExportError(f"class_rates: {error}") from None
    ratio = np.divide(rates, before, out=np.zeros(len(rates)), where=np.asarray(before) > 0)
    return ShiftRates(tuple(ratio.tolist()))
