"""Ways to recalibrate probabilities, each a record that turns an (n, q) matrix of positive numbers into another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from softreg.models.calibration.temperature import Codes, Floats, Scaling, fit_scaling
from softreg.optimize import l2, minimise
from softreg.probability import softmax
from softreg.rows import as_rows

MOST_SCALED = 200
"""Classes up to which every class gets a scale and a bias of its own."""
ROWS_A_WEIGHT = 20
"""Rows for each weight of a matrix, at least: below, it is not worth trying."""
ROWS_OF_A_CLASS = 1000
"""Rows of the rarest class from which isotonic steps are fine enough."""


class Repair(Protocol):
    """What a calibrator asks of a way to recalibrate probabilities."""

    def apply(self, P: Floats) -> Floats:
        """Recalibrated probabilities (n, q)."""
        ...


@dataclass(frozen=True)
class Nothing:
    """Leaves probabilities as they are."""

    def apply(self, P: Floats) -> Floats:
        """Return the same probabilities."""
        return P


@dataclass(frozen=True, eq=False)
class Scaled:
    """Temperature and vector scaling: `softmax(scale * log P + bias)`."""

    scaling: Scaling

    def apply(self, P: Floats) -> Floats:
        """Scale and shift the log-probabilities of each class."""
        return self.scaling.apply(np.log(P))


@dataclass(frozen=True, eq=False)
class Matrix:
    """Matrix scaling: a softmax regression on the log-probabilities, `softmax(log P @ W + b)`."""

    W: Floats
    b: Floats

    def apply(self, P: Floats) -> Floats:
        """Mix the log-probabilities of all classes."""
        return np.asarray(softmax(np.log(P) @ self.W + self.b), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Isotonic:
    """For each class a rising step function from probability to frequency, then each row divided by its sum.

    Steps of 0 and 1 would hold things impossible, so a share of the old probability is kept.
    """

    steps: tuple[Any, ...]
    kept: float

    def apply(self, P: Floats) -> Floats:
        """Map each class's probability to the frequency that was seen there."""
        risen = np.column_stack([step.predict(P[:, k]) for k, step in enumerate(self.steps)])
        mass = risen.sum(axis=1, keepdims=True)
        shared = np.divide(risen, mass, out=P.copy(), where=mass > 0)
        return np.asarray((1 - self.kept) * shared + self.kept * P)


def nothing(P: Floats, y: Codes) -> Repair:
    """No recalibration."""
    return Nothing()


def temperature(P: Floats, y: Codes) -> Repair:
    """Return one number by which all log-probabilities are multiplied."""
    return Scaled(fit_scaling(np.log(P), y, shared=True))


def vector(P: Floats, y: Codes) -> Repair:
    """Return a scale and a bias for each class."""
    return Scaled(fit_scaling(np.log(P), y, shared=False))


def matrix(P: Floats, y: Codes) -> Repair:
    """Return a softmax regression on the log-probabilities, with the least penalty that keeps it finite."""
    (found,) = minimise(as_rows(np.log(P), y, None), P.shape[1], l2(0.1 / len(y)))
    return Matrix(found.W, found.b)


def isotonic(P: Floats, y: Codes) -> Repair:
    """Isotonic regression of each class against the rest."""
    from sklearn.isotonic import IsotonicRegression  # here, so that `import SoftmaxRegression` stays light

    q = P.shape[1]
    fits = (IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(P[:, k], y == k) for k in range(q))
    return Isotonic(tuple(fits), kept=min(0.05, 10 * q / len(y)))


REPAIRS: dict[str, Callable[[Floats, Codes], Repair]] = {
    "none": nothing,
    "temperature": temperature,
    "vector": vector,
    "matrix": matrix,
    "isotonic": isotonic,
}
"""From the simplest to the most flexible."""


def worth_trying(y: Codes, q: int) -> list[str]:
    """Return which recalibrations so many rows and classes allow, the simplest first.

    Returns
    -------
    list[str]
        Which recalibrations so many rows and classes allow, the simplest first.

    Examples
    --------
    >>> worth_trying(np.array([0, 1] * 50), 2)
    ['none', 'temperature', 'vector', 'matrix']
    """
    count = np.bincount(y, minlength=q)
    allowed = {
        "none": True,
        "temperature": True,
        "vector": q <= MOST_SCALED and len(y) >= ROWS_A_WEIGHT * q,
        "matrix": len(y) >= ROWS_A_WEIGHT * q * q and q <= MOST_SCALED,
        "isotonic": count.min() >= ROWS_OF_A_CLASS,
    }
    return [name for name in REPAIRS if allowed[name]]


def out_of_fold(name: str, P: NDArray[np.float64], y: Codes, fold: Codes) -> Floats:
    """Surprisal (n,) of each label after a recalibration that was fitted without the row's fold."""
    losses = np.empty(len(y))
    for k in np.unique(fold):
        inside, rest = fold == k, fold != k
        after = REPAIRS[name](P[rest], y[rest]).apply(P[inside])
        with np.errstate(divide="ignore"):
            losses[inside] = 0.0 - np.log(np.minimum(after[np.arange(inside.sum()), y[inside]], 1.0))
    return losses
