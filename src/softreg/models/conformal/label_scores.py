"""Conformity scores of the labels of calibration rows, computed by blocks of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.calibration.calibrator import classes_of_columns
from softreg.models.calibration.temperature import Codes, Floats
from softreg.models.conformal.conformal_inputs import check_prevalence, row_blocks
from softreg.models.conformal.conformity_scores import HALF, ConformityScore
from softreg.probability import Classes
from softreg.probability.check_distributions import precision_of


@dataclass(frozen=True)
class ScoreSettings:
    """Name, seed and class rates of a conformity score, as a user gives them."""

    name: str
    seed: int
    prevalence: Any


@dataclass(frozen=True)
class LabelScores:
    """Scores of labels.

    Attributes
    ----------
    classes : Classes
        Classes of the columns.
    codes : ndarray of shape (n,)
        Column of each label.
    fine, half : ndarray of shape (n,)
        Scores from probabilities as given, and rounded to float16.
    precision : float
        Spacing at 1 of the float format of the probabilities.
    score : ConformityScore
        The score.
    """

    classes: Classes
    codes: Codes
    fine: Floats
    half: Floats
    precision: float
    score: ConformityScore


def label_scores(P: Any, y: Any, classes: Any, settings: ScoreSettings) -> LabelScores:
    """Return the scores of the labels y.

    Parameters
    ----------
    P : array_like of shape (n, q), or iterator of blocks
        Probabilities.
    y : array_like of shape (n,)
        Labels.
    classes : array_like of shape (q,) or None
        Class of each column of P.
    settings : ScoreSettings
        The score.

    Returns
    -------
    LabelScores
        The scores, and what they were computed with.

    Raises
    ------
    ValueError
        If a row of P is not a distribution, or labels do not fit.
    """
    known: tuple[Classes, Codes, ConformityScore] | None = None
    fine, half, precisions, start = [], [], [], 0
    widest = 0.0
    for given, block in row_blocks(P):
        if known is None:
            named = classes_of_columns(y, classes, block.shape[1])
            rates = check_prevalence(settings.prevalence, settings.name, named)
            score = ConformityScore(settings.name, settings.seed, rates)
            known = named, np.asarray(named.encode(y), dtype=np.int64), score
        named, codes, score = known
        if block.shape[1] != len(named):
            raise ValueError(f"a block of P has {block.shape[1]} columns, but the first has {len(named)}.")
        here = codes[start : start + len(block)]
        start += len(block)
        if len(here) == len(block):
            fine.append(score.of_labels(block, here, half=False))
            half.append(score.of_labels(block, here, half=True))
            precisions.append(precision_of(given))
            widest = max(widest, float(np.finfo(given.dtype).eps) if given.dtype.kind == "f" else 0.0)
    if known is None or not start or start != len(known[1]):
        n = 0 if known is None else len(known[1])
        raise ValueError(
            f"P has {start} rows and y has {n} labels; there must be one label for each row, and at least one row."
        )
    named, codes, score = known
    rounded, precision = np.concatenate(half), max(widest, min(precisions))
    return LabelScores(named, codes, rounded if precision >= HALF else np.concatenate(fine), rounded, precision, score)
