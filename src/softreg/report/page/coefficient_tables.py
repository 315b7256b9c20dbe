"""Coefficients of a report: as bars of the largest ones, or as images where features are pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from softreg.report.evaluation.number_format import format_number
from softreg.report.figures.svg import signed_svg
from softreg.report.page.report_data import ReportData
from softreg.report.page.table import display_name
from softreg.typing import Float64Array

OPEN_CLASSES = 12
"""Classes whose coefficients are visible at once; those of more are folded."""
MAX_CLASSES_WITH_FEATURES = 60
"""Classes whose coefficients are shown; of more, the most frequent ones."""
FEATURES_PER_CLASS = 8
"""Coefficients of a class."""
FEATURES_OF_TWO_CLASSES = 16
"""Coefficients of the log-odds of two classes."""
MAX_IMAGES = 60
"""Images of coefficients; classes of pixels in colour have three each."""
CHANNEL_NAMES = ("red", "green", "blue")
"""Names of the three numbers of a pixel."""


@dataclass(frozen=True)
class CoefficientBar:
    """One coefficient: `width` of its bar in per cent of half the space, to the right where `positive`."""

    feature: str
    coefficient: str
    width: str
    positive: bool


def coefficient_images(data: ReportData) -> list[tuple[str, list[Markup]]]:
    """Return each class with its coefficients as one image, or one for each of red, green and blue, on one scale."""
    if data.coef is None or data.image_shape is None:
        return []
    height, width, *rest = data.image_shape
    channels = rest[0] if rest else 1
    coef = np.asarray(np.asarray(data.coef)[: MAX_IMAGES // channels], dtype=np.float64)
    largest = _largest(coef)
    labels = [display_name(label) for label in data.audit.classes[: len(coef)]]
    colours = [f", {name}" for name in CHANNEL_NAMES] if channels > 1 else [""]
    return [
        (
            label,
            [
                signed_svg(image, largest, f"Coefficients of class {label}{colour}")
                for image, colour in zip(w.reshape(height, width, channels).transpose(2, 0, 1), colours, strict=True)
            ],
        )
        for label, w in zip(labels, coef, strict=False)
    ]


def largest_coefficients(data: ReportData) -> list[tuple[str, list[CoefficientBar]]]:
    """Return each class with its largest coefficients, all on one scale; of two classes, those of the log-odds."""
    if data.coef is None or data.image_shape is not None:
        return []
    classes = _shown_classes(data)
    coef = np.asarray(np.asarray(data.coef)[classes], dtype=np.float64)
    labels, shown = [display_name(data.audit.classes[k]) for k in classes], FEATURES_PER_CLASS
    if len(labels) == 2:  # only the difference of the two classes is identified
        coef, labels = coef[1:] - coef[:1], [f"{labels[1]} rather than {labels[0]}"]
        shown = FEATURES_OF_TWO_CLASSES
    features = data.feature_names if data.feature_names is not None else [f"x{j}" for j in range(coef.shape[1])]
    largest = _largest(coef)
    return [
        (
            label,
            [_bar(str(features[j]), w[j], largest) for j in np.argsort(-np.abs(w), kind="stable")[:shown] if w[j]],
        )
        for label, w in zip(labels, coef, strict=True)
    ]


def _shown_classes(data: ReportData) -> list[int]:
    """Return the classes whose coefficients are shown: all of a few, the most frequent ones of many."""
    rows = [one.rows for one in data.audit.per_class]
    if len(rows) <= MAX_CLASSES_WITH_FEATURES:
        return list(range(len(rows)))
    return [int(k) for k in np.argsort(-np.array(rows), kind="stable")[:MAX_CLASSES_WITH_FEATURES]]


def _bar(feature: str, coefficient: float, largest: float) -> CoefficientBar:
    """Return the bar of a coefficient on the scale of the largest one."""
    width = 100 * abs(coefficient) / largest
    sign = "+" if coefficient > 0 else ""
    number = sign + format_number(coefficient)
    return CoefficientBar(display_name(feature), number, f"{min(width, 100):.1f}", coefficient > 0)


def _largest(coef: Float64Array) -> float:
    """Return the largest absolute coefficient, or 1 where all are 0."""
    return float(np.abs(coef).max(initial=0.0)) or 1.0
