"""Temperature scaling of streamed logits, cross-fitted: each row gets the temperature of the other folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.models.class_blocks.logit_blocks import LogitBlocks
from softreg.models.class_blocks.normalizer import LogNormalizer
from softreg.models.class_blocks.top_classes import LabelLogits
from softreg.typing import Array, Codes, Float64Array

SAMPLED_NUMBERS = 20_000_000
"""Logits of the sample of rows from which the first estimate comes."""
LEAST_SAMPLED_ROWS = 200
"""Rows of that sample, at least."""
STEPS = 30
"""Largest number of Newton steps on the sample; five are usual."""
TOLERANCE = 1e-6
"""Relative change of the scale at which these end."""
LARGEST_STEP = 2.0
"""Largest factor by which a step changes the scale."""


@dataclass(frozen=True, eq=False)
class TemperedRows:
    """Rows with logits multiplied by the scale that was fitted to the other folds.

    Attributes
    ----------
    scale : ndarray of shape (n,)
        The scale, 1 / temperature, of each row.
    label, top : ndarray of shape (n,)
        Log-probabilities of the label and of the most likely class after scaling.
    squares : ndarray of shape (n,)
        Sum of the squared probabilities after scaling.
    """

    scale: Float64Array
    label: Float64Array
    top: Float64Array
    squares: Float64Array

    @property
    def brier(self) -> Float64Array:
        """Squared error (n,) of the scaled probabilities, summed over the classes."""
        return np.asarray(self.squares + 1 - 2 * np.exp(self.label))


def sampled_scale(blocks: LogitBlocks, codes: Codes) -> float:
    """Return the scale of the logits that has the least log loss on an evenly spaced sample of the rows.

    The objective is that of `softreg.models.calibration.temperature.fit_scaling` with one scale.

    Parameters
    ----------
    blocks : LogitBlocks
        Logits of n rows.
    codes : ndarray of int of shape (n,)
        Labels.

    Returns
    -------
    float
        The scale.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> o = random.normal(size=(500, 3))
    >>> y = np.array([random.choice(3, p=np.exp(z) / np.exp(z).sum()) for z in o])
    >>> bool(0.35 < sampled_scale(LogitBlocks(np.eye(3), np.zeros(3), 2 * o), y) < 0.65)
    True
    """
    size = min(blocks.n, max(LEAST_SAMPLED_ROWS, SAMPLED_NUMBERS // blocks.q))
    rows = np.linspace(0, blocks.n - 1, size).astype(np.intp)
    sample, scale = blocks.take(rows), 1.0
    for _ in range(STEPS):
        gradient, curvature = _derivatives(sample, codes[rows], np.full(size, scale))
        step = _step(float(gradient.mean()), float(curvature.mean()), scale, 1 / size)
        scale += step
        if abs(step) <= TOLERANCE * scale:
            break
    return scale


def cross_fitted_scales(
    gradient: Float64Array, curvature: Float64Array, scale: float, fold: Array, folds: int
) -> Float64Array:
    """Return the scale of each row: a Newton step from a common scale, on the rows of the other folds.

    Parameters
    ----------
    gradient, curvature : ndarray of shape (n,)
        Derivatives of the log loss of each row by the scale, at `scale`.
    scale : float
        A scale near the optimum of all rows.
    fold : ndarray of int of shape (n,)
        Fold of each row.
    folds : int
        Number of folds.

    Returns
    -------
    ndarray of shape (n,)
        The scales; the error of the step is of second order in 1 / sqrt(n).

    Examples
    --------
    >>> cross_fitted_scales(np.array([0.0, 0.2]), np.ones(2), 1.0, np.array([0, 1]), 2)
    array([0.9, 1. ])
    """
    scales = np.full(len(fold), scale)
    for k in range(folds):
        others = fold != k
        if others.any() and not others.all():
            count = int(others.sum())
            scales[~others] = scale + _step(
                float(gradient[others].mean()), float(curvature[others].mean()), scale, 1 / count
            )
    return scales


def tempered_rows(blocks: LogitBlocks, codes: Codes, scale: Float64Array) -> TemperedRows:
    """Return log-probabilities of labels and of the most likely classes after scaling.

    Parameters
    ----------
    blocks : LogitBlocks
        Logits of n rows.
    codes : ndarray of int of shape (n,)
        Labels.
    scale : ndarray of shape (n,)
        Positive scale of the logits of each row.

    Returns
    -------
    TemperedRows
        The rows.

    Examples
    --------
    >>> blocks = LogitBlocks(np.zeros((2, 1)), np.log([0.8, 0.2]), np.zeros((1, 1)))
    >>> np.exp(tempered_rows(blocks, np.array([1]), np.array([2.0])).label).round(4)
    array([0.0588])
    """
    normalizer, label = LogNormalizer(blocks.n, moments=True, scale=scale), LabelLogits(codes)
    blocks.reduce(normalizer, label)
    log_sum = normalizer.log_sum()
    return TemperedRows(
        scale, scale * label.logits - log_sum, normalizer.maximum - log_sum, normalizer.sum_of_squares()
    )


def derivatives_by_scale(
    normalizer: LogNormalizer, label_logits: Float64Array, scale: float | Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return the derivatives of the log loss of each row by the scale of its logits.

    Parameters
    ----------
    normalizer : LogNormalizer
        Normalizer with moments at this scale.
    label_logits : ndarray of shape (n,)
        Logits of the labels, not scaled.
    scale : float or ndarray of shape (n,)
        The scale.

    Returns
    -------
    gradient, curvature : ndarray of shape (n,)
        Mean logit minus that of the label, and variance of the logits under the softmax.
    """
    return normalizer.mean() / scale - label_logits, normalizer.variance() / np.square(scale)


def _derivatives(blocks: LogitBlocks, codes: Codes, scale: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return the derivatives of the log loss of each row by the scale, from one pass."""
    normalizer, label = LogNormalizer(blocks.n, moments=True, scale=scale), LabelLogits(codes)
    blocks.reduce(normalizer, label)
    return derivatives_by_scale(normalizer, label.logits, scale)


def _step(gradient: float, curvature: float, scale: float, strength: float) -> float:
    """Return the Newton step of the scale, with a penalty of strength 1 / n towards 1, within the largest factor."""
    new = scale - (gradient + strength * (scale - 1)) / (curvature + strength)
    return min(max(new, scale / LARGEST_STEP), scale * LARGEST_STEP) - scale
