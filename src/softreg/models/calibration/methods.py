"""Recalibration methods: each is a record that maps a matrix (n, q) of positive probabilities to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from softreg.models.calibration.odds_maps import fit_beta, fit_quadratic
from softreg.models.calibration.structured import StructuredMap, fit_structured, fit_temperature, mixes
from softreg.models.calibration.temperature import Codes, Floats, Scaling, fit_scaling
from softreg.optimize import l2, minimise
from softreg.probability import softmax
from softreg.rows import as_rows

ROWS_OF_A_CLASS = 1000
"""Least number of rows of the rarest class for isotonic regression."""
RIDGE = 0.1
"""Strength of the l2 penalty of matrix scaling, times the number of rows; it keeps the weights finite."""
MOST_KEPT, KEPT_ROWS = 0.05, 10
"""Share of the original probability mixed into isotonic regression: at most the first, and as much as so many rows of
each class have."""


class Recalibration(Protocol):
    """A fitted recalibration."""

    def apply(self, P: Floats) -> Floats:
        """Return recalibrated probabilities (n, q)."""
        ...


@dataclass(frozen=True)
class Identity:
    """No recalibration."""

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
    """Isotonic regression of each class against the others; rows are then divided by their sum.

    The step functions can be 0 or 1, so the share `kept` of the original probability is mixed in.
    """

    steps: tuple[Any, ...]
    kept: float

    def apply(self, P: Floats) -> Floats:
        """Map the probability of each class by its step function."""
        mapped = np.column_stack([step.predict(P[:, k]) for k, step in enumerate(self.steps)])
        mass = mapped.sum(axis=1, keepdims=True)
        shared = np.divide(mapped, mass, out=P.copy(), where=mass > 0)
        return np.asarray((1 - self.kept) * shared + self.kept * P)


def identity(P: Floats, y: Codes) -> Recalibration:
    """Return the identity."""
    return Identity()


def temperature(P: Floats, y: Codes) -> Recalibration:
    """Fit temperature scaling: one scale for all log-probabilities."""
    return Scaled(fit_scaling(np.log(P), y, shared=True))


def vector(P: Floats, y: Codes) -> Recalibration:
    """Fit vector scaling: a scale and a bias for each class."""
    return Scaled(fit_scaling(np.log(P), y, shared=False))


def matrix(P: Floats, y: Codes) -> Recalibration:
    """Fit matrix scaling: a softmax regression on the log-probabilities with a weak l2 penalty."""
    (solution,) = minimise(as_rows(np.log(P), y, None), P.shape[1], l2(RIDGE / len(y)))
    return Matrix(solution.W, solution.b)


def isotonic(P: Floats, y: Codes) -> Recalibration:
    """Fit isotonic regression for each class against the others."""
    from sklearn.isotonic import IsotonicRegression  # imported here: it is slow to import

    q = P.shape[1]
    fits = (IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(P[:, k], y == k) for k in range(q))
    return Isotonic(tuple(fits), kept=min(MOST_KEPT, KEPT_ROWS * q / len(y)))


def structured(P: Floats, y: Codes) -> Recalibration:
    """Fit structured scaling: temperature, vector, matrix and bias, each with a strength of its own."""
    return fit_structured(P, y).fitted


def curved(P: Floats, y: Codes) -> Recalibration:
    """Fit structured scaling with a curve of the log-probabilities."""
    return fit_structured(P, y, curved=True).fitted


METHODS: dict[str, Callable[[Floats, Codes], Recalibration]] = {
    "none": identity,
    "temperature": temperature,
    "vector": vector,
    "matrix": matrix,
    "structured": structured,
    "curved": curved,
    "beta": fit_beta,
    "quadratic": fit_quadratic,
    "isotonic": isotonic,
}
"""Methods by name."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A fitted method with the losses (n,) of its rows in nats, each of a fit without the row.

    `shrinkable` is the map of a method that can be moved towards the identity, or None.
    """

    name: str
    recalibration: Recalibration
    losses: Floats

    @property
    def shrinkable(self) -> StructuredMap | None:
        """Return the map, where it can be moved towards the identity."""
        return self.recalibration if isinstance(self.recalibration, StructuredMap) else None


def automatic_candidates(P: Floats, y: Codes, folds: Callable[[], Codes]) -> Iterator[Candidate]:
    """Yield the methods that "auto" compares, from the simplest to the most flexible.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Positive probabilities.
    y : ndarray of shape (n,)
        Class codes.
    folds : callable
        Returns the fold (n,) of each row; for isotonic regression, as the other methods have leave-one-out losses.

    Yields
    ------
    Candidate
        Temperature, structured and curved scaling; isotonic regression where there are enough rows of each class.
    """
    found = fit_temperature(P, y)
    yield Candidate("temperature", found.fitted, found.losses)
    found = fit_structured(P, y, start=found.fitted)
    yield Candidate("structured", found.fitted, found.losses)
    if mixes(*P.shape):
        found = fit_structured(P, y, curved=True, factor=found.fitted.factor, start=found.fitted)
        yield Candidate("curved", found.fitted, found.losses)
    if np.bincount(y, minlength=P.shape[1]).min() >= ROWS_OF_A_CLASS:
        yield candidate("isotonic", P, y, folds)


def candidate(name: str, P: Floats, y: Codes, folds: Callable[[], Codes]) -> Candidate:
    """Return a method fitted to all rows, with the losses of fits without the row or without its fold.

    Parameters
    ----------
    name : str
        Method.
    P : ndarray of shape (n, q)
        Positive probabilities.
    y : ndarray of shape (n,)
        Class codes.
    folds : callable
        Returns the fold (n,) of each row; structured and curved scaling have leave-one-out losses.

    Returns
    -------
    Candidate
        The fit.

    Examples
    --------
    >>> P, y = np.tile([0.5, 0.5], (4, 1)), np.array([0, 1, 0, 1])
    >>> candidate("none", P, y, lambda: y).losses.round(3).tolist()
    [0.693, 0.693, 0.693, 0.693]
    """
    if name == "none":
        return Candidate(name, Identity(), -np.log(P[np.arange(len(y)), y]))
    if name in ("structured", "curved"):
        found = fit_structured(P, y, curved=name == "curved")
        return Candidate(name, found.fitted, found.losses)
    return Candidate(name, METHODS[name](P, y), out_of_fold_losses(name, P, y, folds()))


def out_of_fold_losses(name: str, P: NDArray[np.float64], y: Codes, fold: Codes) -> Floats:
    """Return the log loss (n,) of each row after recalibration fitted without the fold of the row."""
    losses = np.empty(len(y))
    for k in np.unique(fold):
        inside, rest = fold == k, fold != k
        after = METHODS[name](P[rest], y[rest]).apply(P[inside])
        with np.errstate(divide="ignore"):
            losses[inside] = 0.0 - np.log(np.minimum(after[np.arange(inside.sum()), y[inside]], 1.0))
    return losses
