"""Recalibration methods: each is a record that maps a matrix (n, q) of positive probabilities to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from softreg.models.calibration.maps.isotonic import IsotonicRows, fit_isotonic
from softreg.models.calibration.maps.odds_maps import fit_beta, fit_quadratic
from softreg.models.calibration.maps.structured import FACTORS, fit_structured, fit_temperature, mixes
from softreg.models.calibration.maps.structured_map import StructuredMap
from softreg.models.calibration.maps.two_classes import fit_two_classes
from softreg.models.calibration.temperature import Codes, Floats, Scaling, fit_scaling
from softreg.optimize import l2, minimise
from softreg.probability import softmax
from softreg.rows import as_rows

ROWS_OF_A_CLASS = 1000
"""Least number of rows of the rarest class for isotonic regression."""
RIDGE = 0.1
"""Strength of the l2 penalty of matrix scaling, times the number of rows; it keeps the weights finite."""


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
    """Vector scaling: `softmax(scale * log P + bias)`."""

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


def identity(P: Floats, y: Codes, weights: Floats | None = None) -> Recalibration:
    """Return the identity."""
    return Identity()


def temperature(P: Floats, y: Codes, weights: Floats | None = None) -> Recalibration:
    """Fit temperature scaling: one scale for all log-probabilities."""
    return fit_temperature(P, y, weights).fitted


def vector(P: Floats, y: Codes, weights: Floats | None = None) -> Recalibration:
    """Fit vector scaling: a scale and a bias for each class."""
    return Scaled(fit_scaling(np.log(P), y, shared=False, weights=weights))


def matrix(P: Floats, y: Codes, weights: Floats | None = None) -> Recalibration:
    """Fit matrix scaling: a softmax regression on the log-probabilities with a weak l2 penalty."""
    (solution,) = minimise(
        as_rows(np.log(P), y, None if weights is None else weights[None, :]), P.shape[1], l2(RIDGE / len(y))
    )
    return Matrix(solution.W, solution.b)


def structured(P: Floats, y: Codes, weights: Floats | None = None) -> Recalibration:
    """Fit structured scaling: temperature, vector, matrix and bias, each with a strength of its own."""
    return fit_structured(P, y, weights=weights).fitted


def curved(P: Floats, y: Codes, weights: Floats | None = None) -> Recalibration:
    """Fit structured scaling with a curve of the log-probabilities."""
    return fit_structured(P, y, curved=True, weights=weights).fitted


METHODS: dict[str, Callable[[Floats, Codes, Floats | None], Recalibration]] = {
    "none": identity,
    "temperature": temperature,
    "vector": vector,
    "matrix": matrix,
    "structured": structured,
    "curved": curved,
    "beta": fit_beta,
    "quadratic": fit_quadratic,
    "isotonic": fit_isotonic,
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


def automatic_candidates(
    P: Floats, y: Codes, folds: Callable[[], Codes], weights: Floats | None = None
) -> Iterator[Candidate]:
    """Yield the methods that "auto" compares, from the simplest to the most flexible.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Positive probabilities.
    y : ndarray of shape (n,)
        Class codes.
    folds : callable
        Returns the fold (n,) of each row; for isotonic regression, as the other methods have leave-one-out losses.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

    Yields
    ------
    Candidate
        Temperature and curved scaling, without a curve where there are too many classes for the matrix part. Isotonic
        regression where there are enough rows of each class, and the loss of its fit plus its number of parameters over
        n, which estimates the loss on other rows, is the least.
    """
    others = []
    for one in _scalings(P, y, weights):
        others.append(one)
        yield one
    if np.bincount(y, minlength=P.shape[1]).min() >= ROWS_OF_A_CLASS:
        rows = IsotonicRows.of(P, y, weights)
        fitted = rows.fit()
        least = min(mean_loss(losses, weights) for losses in (log_losses(P, y), *(one.losses for one in others)))
        if mean_loss(rows.losses(fitted), weights) + fitted.parameters / len(y) < least:
            yield Candidate("isotonic", fitted, rows.fold_losses(folds()))


def _scalings(P: Floats, y: Codes, weights: Floats | None) -> Iterator[Candidate]:
    """Yield temperature and curved scaling; structured scaling where there are too many classes for a matrix."""
    if P.shape[1] == 2:
        for name, fit in fit_two_classes(P, y, ["temperature", "curved"], FACTORS, weights).items():
            yield Candidate(name, fit.fitted, fit.losses)
        return
    found = fit_temperature(P, y, weights)
    yield Candidate("temperature", found.fitted, found.losses)
    bends = mixes(*P.shape)
    found = fit_structured(P, y, curved=bends, start=found.fitted, weights=weights)
    yield Candidate("curved" if bends else "structured", found.fitted, found.losses)


def candidate(name: str, P: Floats, y: Codes, folds: Callable[[], Codes], weights: Floats | None = None) -> Candidate:
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
        Returns the fold (n,) of each row; temperature, structured and curved scaling have leave-one-out losses.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

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
        return Candidate(name, Identity(), log_losses(P, y))
    if name in ("temperature", "structured", "curved"):
        if P.shape[1] == 2:
            found = fit_two_classes(P, y, [name], FACTORS, weights)[name]
        elif name == "temperature":
            found = fit_temperature(P, y, weights)
        else:
            found = fit_structured(P, y, curved=name == "curved", weights=weights)
        return Candidate(name, found.fitted, found.losses)
    if name == "isotonic":
        rows = IsotonicRows.of(P, y, weights)
        return Candidate(name, rows.fit(), rows.fold_losses(folds()))
    return Candidate(name, METHODS[name](P, y, weights), out_of_fold_losses(name, P, y, folds(), weights))


def log_losses(P: Floats, y: Codes) -> Floats:
    """Return the log loss (n,) of each row in nats."""
    return -np.log(P[np.arange(len(y)), y])


def mean_loss(losses: Floats, weights: Floats | None) -> float:
    """Return the mean of losses (n,), with weights of mean 1 where there are some."""
    return float(losses.sum() if weights is None else weights @ losses) / len(losses)


def out_of_fold_losses(name: str, P: Floats, y: Codes, fold: Codes, weights: Floats | None = None) -> Floats:
    """Return the log loss (n,) of each row after recalibration fitted without the fold of the row."""
    losses = np.empty(len(y))
    for k in np.unique(fold):
        inside, rest = fold == k, fold != k
        after = METHODS[name](P[rest], y[rest], None if weights is None else weights[rest]).apply(P[inside])
        with np.errstate(divide="ignore"):
            losses[inside] = 0.0 - np.log(np.minimum(after[np.arange(inside.sum()), y[inside]], 1.0))
    return losses
