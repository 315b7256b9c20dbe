"""Conformity scores of classes: numbers that are large for improbable classes, and how far rounding may move them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.models.calibration.temperature import Codes, Floats
from softreg.splitmix import GOLDEN_GAMMA, absorbed, as_uniform

SCORES = ("probability", "cumulative", "prevalence")
HALF = float(np.finfo(np.float16).eps)
TIE = 4.0
"""Scores that are nearer than this many spacings of the less precise float format count as equal (one, in float16)."""
HASHED = 8
"""The largest probabilities of a row, from which its u is computed."""
DIGITS = 11
"""Bits of these that count, as many as float16 has: float32 and float64 then give the same u."""


@dataclass(frozen=True)
class ConformityScore:
    """A score s(P, k) of every class of a row.

    Parameters
    ----------
    name : {"probability", "cumulative", "prevalence"}
        -P_k; the mass of the classes more probable than k plus u times P_k; -P_k / prevalence_k.
    seed : int
        Seed of u.
    prevalence : ndarray of shape (q,), optional
        Positive class rates, for "prevalence".
    """

    name: str
    seed: int = 0
    prevalence: Floats | None = None

    @property
    def largest(self) -> float:
        """The largest value that a score can have: that of a class of probability 0."""
        return 1.0 if self.name == "cumulative" else 0.0

    def of_classes(self, P: Floats, half: bool) -> Floats:
        """Return the scores (n, q); of P rounded to float16 if `half`."""
        if half:
            P = P.astype(np.float16).astype(np.float64)
        if self.name != "cumulative":
            return -P if self.prevalence is None else -P / self.prevalence
        order = _descending(P)
        descending = np.take_along_axis(P, order, axis=1)
        above = np.cumsum(descending, axis=1) - descending
        scores = np.empty_like(P)
        np.put_along_axis(scores, order, above + _uniform_of_row(descending, self.seed)[:, None] * descending, axis=1)
        return scores

    def of_labels(self, P: Floats, codes: Codes, half: bool) -> Floats:
        """Return the score (n,) of the label of each row, without the scores of other classes where possible."""
        rows = np.arange(len(codes))
        if self.name == "cumulative":
            return np.asarray(self.of_classes(P, half)[rows, codes])
        p = P[rows, codes]
        if half:
            p = p.astype(np.float16).astype(np.float64)
        return -p if self.prevalence is None else -p / self.prevalence[codes]

    def rounding(self, P: Floats, precision: float, t: Floats) -> Floats:
        """Return by how much rounding may move the scores of P (n, q) beyond the thresholds t, which it broadcasts to.

        Parameters
        ----------
        P : ndarray of shape (n, q)
            Probabilities.
        precision : float
            Spacing at 1 of the float format of the calibration rows.
        t : ndarray of shape (n, q) or (1, q)
            Thresholds.

        Returns
        -------
        ndarray
            Tolerances: absolute for cumulative scores, relative to t for others.
        """
        near = np.minimum(TIE * np.maximum(_row_precision(P), precision), HALF)[:, None]
        return near if self.name == "cumulative" else near * np.where(np.isfinite(t), np.abs(t), 0.0)


def _row_precision(P: Floats) -> Floats:
    """Return the spacing at 1 (n,) of the least precise float format that holds each row exactly."""
    spacing = np.full(len(P), np.finfo(np.float64).eps)
    with np.errstate(under="ignore"):
        for dtype in (np.float32, np.float16):
            spacing[(P.astype(dtype) == P).all(axis=1)] = np.finfo(dtype).eps
    return spacing


def _descending(P: Floats) -> Codes:
    """Return the classes of each row (n, q) by decreasing probability; ties, up to rounding, by position."""
    order = np.argsort(-P, axis=1, kind="stable")
    descending = np.take_along_axis(P, order, axis=1)
    larger = descending[:, :-1]
    lower = larger - descending[:, 1:] > TIE * np.finfo(np.float32).eps * larger
    group = np.cumsum(lower, axis=1)
    key = order.copy()
    key[:, 1:] += group * P.shape[1]
    return np.asarray(np.take_along_axis(order, np.argsort(key, axis=1, kind="stable"), axis=1))


def _uniform_of_row(descending: Floats, seed: int) -> Floats:
    """Return a pseudorandom number (n,) in (0, 1) for each row of sorted probabilities, equal for equal rows.

    The leading `DIGITS` bits of the `HASHED` largest probabilities are hashed by SplitMix64 (Steele, Lea and Flood,
    2014).

    Returns
    -------
    ndarray of shape (n,)
        Uniformly distributed over different rows.
    """
    mantissa, exponent = np.frexp(descending[:, :HASHED])
    rounded = np.ldexp(np.round(np.ldexp(mantissa, DIGITS)), exponent - DIGITS)
    words = (np.ascontiguousarray(rounded) + 0.0).view(np.uint64)  # 0.0 and -0.0 are one number
    state = np.full(len(words), (int(seed) + 1) * GOLDEN_GAMMA % 2**64, dtype=np.uint64)
    for word in words.T:
        state = absorbed(state, word)
    return as_uniform(state)
