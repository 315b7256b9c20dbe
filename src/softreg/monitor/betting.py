"""Recalibrations learned online, which bet against the probabilities of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from softreg.typing import Codes, Float64Array

BLOCK = 16
"""Rows between two steps of the learners. Within a block the recalibrations do not change."""
WINDOWS = (100.0, 400.0, 1600.0, np.inf)
"""Memories of the learners in rows: weights of past rows decrease by exp(-1) over this number of rows."""
SLOPE_PRECISION = 4.0
"""Precision of the Gaussian prior of a slope about 1: a standard deviation of one half."""
SHIFT_PRECISION = 1.0
"""Precision of the Gaussian prior of a shift of a logit about 0."""
MAX_SLOPE = 3.0
"""Largest distance of a slope from 1."""
MAX_SHIFT = 8.0
"""Largest absolute shift of a logit."""
MIN_PROBABILITY = 1e-12
"""Probabilities are at least this in denominators of likelihood ratios, which keeps the test valid."""
NOISE = (0.2, 0.05, 0.01, 0.002)
"""Shares of labels drawn at random, by place of a memory; these bets are fixed, and learn nothing."""
MAX_FULL_CLASSES = 32
"""Number of classes up to which the learner of class rates uses the full curvature; the diagonal of more is doubled."""


@dataclass(eq=False)
class Learners:
    """Parameters of the recalibrations of S streams with M memories and K classes, and the curvature that they saw.

    Attributes
    ----------
    slope, shift : array (S, M, K)
        Slope minus 1 and shift of the logit of each class against the rest.
    slope_slope, slope_shift, shift_shift : array (S, M, K)
        Discounted curvature of these two parameters.
    temperature : array (S, M)
        Slope minus 1 of the log-probabilities of all classes.
    temperature_curvature : array (S, M)
        Discounted curvature of the temperature.
    rates : array (S, M, K)
        Shift of the log-probability of each class, by a change of its rate.
    rates_curvature : array (S, M, K, K) or (S, M, K)
        Discounted curvature of these shifts; its diagonal for many classes.
    """

    slope: Float64Array
    shift: Float64Array
    slope_slope: Float64Array
    slope_shift: Float64Array
    shift_shift: Float64Array
    temperature: Float64Array
    temperature_curvature: Float64Array
    rates: Float64Array
    rates_curvature: Float64Array

    @classmethod
    def start(cls, streams: int, classes: int) -> Learners:
        """Return learners that leave the probabilities as they are."""
        one, all_classes = (streams, len(WINDOWS)), (streams, len(WINDOWS), classes)
        full = (*all_classes, classes) if classes <= MAX_FULL_CLASSES else all_classes
        shapes = (all_classes,) * 5 + (one, one, all_classes, full)
        return cls(*(np.zeros(shape) for shape in shapes))

    def to_state(self) -> dict[str, Any]:
        """Return the arrays as nested lists, which JSON keeps exactly."""
        return {field.name: getattr(self, field.name).tolist() for field in fields(self)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], classes: int) -> Learners:
        """Return the learners that `to_state` wrote; raise `ValueError` for other shapes."""
        start, arrays = cls.start(1, classes), {}
        for field in fields(cls):
            array = np.asarray(state[field.name], dtype=np.float64)
            if array.shape != getattr(start, field.name).shape or not np.isfinite(array).all():
                raise ValueError(f"{field.name} has the shape {array.shape} or numbers that are not finite")
            arrays[field.name] = array
        return cls(**arrays)


@dataclass(frozen=True, eq=False)
class Bets:
    """Log likelihood ratios of S streams and B rows of a block, and the recalibrated probabilities behind them.

    Attributes
    ----------
    joint : array (S, 4, M, B)
        `log q(y) - log p(y)` of four families: the class rates shifted, one temperature, each class recalibrated
        against the rest and normalised, and a share of labels drawn at random.
    by_class : array (S, M, B, K)
        The same of each class against the rest.
    log_p, logit : array (S, B, K)
        Logarithm of p, and that of p / (1 - p).
    class_q, temperature_q, rates_q : array (S, M, B, K)
        Recalibrated probabilities: of each class against the rest, and of all classes.
    observed : array (S, B, K)
        1 for the label of a row, and 0.
    """

    joint: Float64Array
    by_class: Float64Array
    log_p: Float64Array
    logit: Float64Array
    class_q: Float64Array
    temperature_q: Float64Array
    rates_q: Float64Array
    observed: Float64Array


FAMILIES = ("class rates", "temperature", "classes", "label noise")
"""Names of the families of recalibrations, in the order of `Bets.joint`."""


def place_bets(learners: Learners, P: Float64Array, codes: Codes) -> Bets:
    """Return the bets of all learners on the rows of a block; the labels `codes` do not enter q.

    Parameters
    ----------
    learners : Learners
        Recalibrations, learned from earlier rows.
    P : array (S, B, K)
        Probabilities of the model; each row sums to 1.
    codes : array (S, B)
        Labels.

    Returns
    -------
    Bets
        Log likelihood ratios.
    """
    log_p, log_rest = np.log(np.maximum(P, MIN_PROBABILITY)), np.log(np.maximum(1 - P, MIN_PROBABILITY))
    logit = log_p - log_rest
    observed = (codes[..., None] == np.arange(P.shape[-1])).astype(np.float64)
    at = codes[:, None, :, None]

    u = logit[:, None] * (1 + learners.slope[:, :, None]) + learners.shift[:, :, None]
    log_s = -np.logaddexp(0.0, -u)
    s = np.exp(log_s)
    is_label = observed[:, None] > 0
    by_class = np.where(is_label, log_s, log_s - u)  # log(1 - s) = log s - u
    by_class -= np.where(is_label, log_p[:, None], log_rest[:, None])

    log_label = np.take_along_axis(log_p, codes[..., None], axis=-1)[:, None, :, 0]
    classes = _at(log_s, at) - np.log(s.sum(axis=-1)) - log_label
    log_t = log_p[:, None] * (1 + learners.temperature[:, :, None, None])
    temperature_q, log_t_sum = _normalized(log_t)
    log_r = log_p[:, None] + learners.rates[:, :, None]
    rates_q, log_r_sum = _normalized(log_r)
    share = np.asarray(NOISE)[:, None]
    noise = np.log((1 - share) * np.exp(log_label) + share / P.shape[-1]) - log_label
    joint = np.stack(
        [_at(log_r, at) - log_r_sum - log_label, _at(log_t, at) - log_t_sum - log_label, classes, noise], axis=1
    )
    return Bets(joint, by_class, log_p, logit, s, temperature_q, rates_q, observed)


def _at(values: Float64Array, at: Codes) -> Float64Array:
    """Return the values (S, M, B) of the labels."""
    return np.take_along_axis(values, np.broadcast_to(at, (*values.shape[:-1], 1)), axis=-1)[..., 0]


def _normalized(logits: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return the softmax of the last axis, and the logarithms of its denominators."""
    largest = logits.max(axis=-1, keepdims=True)
    q = np.exp(logits - largest)
    total = q.sum(axis=-1, keepdims=True)
    return q / total, (np.log(total) + largest)[..., 0]


def update_learners(learners: Learners, bets: Bets) -> None:
    """Take one Newton step of each learner with the labels of a complete block.

    The objective is the discounted log loss of past rows plus the prior. Past blocks enter by their quadratic
    approximation. The curvature of a row is the mean of the Hessian and the square of the gradient, so that a single
    improbable label takes a bounded step.

    Parameters
    ----------
    learners : Learners
        Changed in place.
    bets : Bets
        Bets of the block.
    """
    keep = np.exp(-BLOCK / np.asarray(WINDOWS))
    _update_classes(learners, bets, keep[:, None])
    _update_temperature(learners, bets, keep)
    _update_rates(learners, bets, keep)


def _update_classes(learners: Learners, bets: Bets, keep: Float64Array) -> None:
    """Update slope and shift of each class against the rest."""
    x = bets.logit[:, None]
    residual = bets.class_q - bets.observed[:, None]
    weight = 0.5 * (bets.class_q * (1 - bets.class_q) + residual * residual)
    gradient_slope = (residual * x).sum(axis=2) + (1 - keep) * SLOPE_PRECISION * learners.slope
    gradient_shift = residual.sum(axis=2) + (1 - keep) * SHIFT_PRECISION * learners.shift
    weighted = weight * x
    learners.slope_slope = keep * learners.slope_slope + (weighted * x).sum(axis=2)
    learners.slope_shift = keep * learners.slope_shift + weighted.sum(axis=2)
    learners.shift_shift = keep * learners.shift_shift + weight.sum(axis=2)
    a, b, c = learners.slope_slope + SLOPE_PRECISION, learners.slope_shift, learners.shift_shift + SHIFT_PRECISION
    determinant = a * c - b * b
    slope = learners.slope - (c * gradient_slope - b * gradient_shift) / determinant
    shift = learners.shift - (a * gradient_shift - b * gradient_slope) / determinant
    learners.slope, learners.shift = np.clip(slope, -MAX_SLOPE, MAX_SLOPE), np.clip(shift, -MAX_SHIFT, MAX_SHIFT)


def _update_temperature(learners: Learners, bets: Bets, keep: Float64Array) -> None:
    """Update the slope of all log-probabilities."""
    log_p, q = bets.log_p[:, None], bets.temperature_q
    mean = (q * log_p).sum(axis=-1)
    variance = np.maximum((q * log_p * log_p).sum(axis=-1) - mean * mean, 0.0)
    row = mean - (bets.observed[:, None] * log_p).sum(axis=-1)
    gradient = row.sum(axis=-1) + (1 - keep) * SLOPE_PRECISION * learners.temperature
    curvature = 0.5 * (variance + row * row).sum(axis=-1)
    learners.temperature_curvature = keep * learners.temperature_curvature + curvature
    step = gradient / (learners.temperature_curvature + SLOPE_PRECISION)
    learners.temperature = np.clip(learners.temperature - step, -MAX_SLOPE, MAX_SLOPE)


def _update_rates(learners: Learners, bets: Bets, keep: Float64Array) -> None:
    """Update the shifts of the class rates."""
    q = bets.rates_q
    residual = q - bets.observed[:, None]
    gradient = residual.sum(axis=2) + ((1 - keep) * SHIFT_PRECISION)[:, None] * learners.rates
    classes = q.shape[-1]
    if classes > MAX_FULL_CLASSES:
        curvature = (q * (1 - q) + residual * residual).sum(axis=2)  # twice the diagonal bounds the whole curvature
        learners.rates_curvature = keep[:, None] * learners.rates_curvature + curvature
        step = gradient / (learners.rates_curvature + SHIFT_PRECISION)
    else:
        hessian = residual.swapaxes(-1, -2) @ residual - q.swapaxes(-1, -2) @ q
        diagonal = np.einsum("smkk->smk", hessian)  # a view
        diagonal += q.sum(axis=2)
        learners.rates_curvature = keep[:, None, None] * learners.rates_curvature + 0.5 * hessian
        whole = learners.rates_curvature + SHIFT_PRECISION * np.eye(classes)
        step = np.linalg.solve(whole, gradient[..., None])[..., 0]
    learners.rates = np.clip(learners.rates - step, -MAX_SHIFT, MAX_SHIFT)
