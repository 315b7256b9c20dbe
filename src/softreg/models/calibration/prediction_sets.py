"""Prediction sets: the classes that a row may have, with a coverage that is promised and kept."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from softreg.deprecated import accept_deprecated_arguments
from softreg.models.calibration.calibrator import labelled, probability_matrix
from softreg.models.calibration.temperature import Codes, Floats
from softreg.models.inputs.sample_weights import in_bounds, sample_weights
from softreg.probability import Classes
from softreg.probability.labels import check_codes
from softreg.probability.simplex import precision_of
from softreg.splitmix import GOLDEN_GAMMA, absorbed, as_uniform

Sets = NDArray[np.bool_]
SCORES = ("probability", "cumulative")
HALF = float(np.finfo(np.float16).eps)
TIE = 4.0
"""Scores that are nearer than this many spacings of the coarser float format count as equal (one, in float16)."""
HASHED = 8
"""The largest probabilities of a row, from which its u is computed."""
DIGITS = 11
"""Bits of these that count, as many as float16 has: float32 and float64 then give the same u."""


class PredictionSets(BaseEstimator):  # type: ignore[misc]
    """Sets of classes that hold the label with a promised probability, for any classifier: split conformal prediction.

    Held-out rows say how improbable a label may look: with s(P_i, k) the score of class k, the set of a row is

        { k : s(P, k) <= t },   t = the ceil((n + 1) * level)-th smallest of s(P_1, y_1) .. s(P_n, y_n)

    If held-out and new rows are exchangeable (drawn alike), the set holds the label with probability at least `level`;
    with `empty=True` and scores without ties, with at most level + 1 / (n + 1). No model and no calibration is assumed.
    `conformity_score`:

        "probability"  s = -P_k: the smallest sets on average; hard rows get more misses than easy ones
        "cumulative"   s = mass of the classes above k, plus u times k's own: evener over hard and easy rows

    The u of "cumulative" lies evenly between 0 and 1 and is computed from the sorted probabilities of the row, so the
    set of a row does not depend on the rows beside it, on their order or on the size of a batch.

    Scores that differ by no more than the rounding of the coarser of both inputs (those of `fit` and those of
    `predict`; float16, float32 or float64) count as equal, and a score equal to t is inside.

    Parameters:
        level: the promised coverage, between 0 and 1.
        conformity_score: "probability" or "cumulative" (in earlier versions `score`, which is the method now).
        per_class: whether every class gets its own t, and with it the promise (wants some 1 / (1 - level) rows of each,
            for with less its label is in every set).
        empty: whether a set may be empty ("nothing fits"). If not, the most likely class stands in for it, so that a
            model whose accuracy is above `level` covers as often as it is right.
        seed: chooses the function from a row's probabilities to its u, for "cumulative".

    After fit:
        classes_ (q,), thresholds_ (q,) of the scores, n_rows_ (q,) from which each came.

    Example:
        >>> P = np.array([[0.8, 0.15, 0.05]] * 18 + [[0.3, 0.6, 0.1]] * 2)
        >>> sets = PredictionSets(0.9).fit(P, [0] * 17 + [1] * 3, classes=[0, 1, 2])
        >>> sets.predict([[0.8, 0.15, 0.05], [0.4, 0.35, 0.25]])
        array([[ True, False, False],
               [ True, False, False]])

    Source: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005); Sadinle, Lei and Wasserman,
    "Least ambiguous set-valued classifiers with bounded error levels" (2019); Romano, Sesia and Candes,
    "Classification with valid and adaptive coverage" (2020).
    """

    @accept_deprecated_arguments("PredictionSets()")
    def __init__(
        self,
        level: float = 0.9,
        *,
        conformity_score: Literal["probability", "cumulative"] = "probability",
        per_class: bool = False,
        empty: bool = False,
        seed: int = 0,
    ) -> None:
        self.level = level
        self.conformity_score = conformity_score
        self.per_class = per_class
        self.empty = empty
        self.seed = seed

    def fit(self, P: ArrayLike, y: Any, classes: Any = None) -> PredictionSets:
        """Learn the thresholds from probabilities P (n, q) of held-out rows and their labels y (n,).

        `classes` (q,) names the columns of P, as in `Calibrator.fit`. A threshold is inf where there are too few rows
        to promise anything with less: every set then holds the class.

        Returns
        -------
        PredictionSets
            Learn the thresholds from probabilities P (n, q) of held-out rows and their labels y (n,).

        Raises
        ------
        ValueError
            For rows that are no distributions, labels that are no classes, and parameters outside their range.
        """
        if not 0 < self.level < 1:
            raise ValueError(f"level={self.level!r} is the promised coverage and must lie between 0 and 1.")
        if self.conformity_score not in SCORES:
            raise ValueError(f"conformity_score={self.conformity_score!r} is not one of {', '.join(SCORES)}.")
        self._precision = precision_of(P)
        P, known, codes = labelled(P, y, classes)
        at = np.arange(len(codes)), codes
        fine, half = (self._scores(P, self._precision >= HALF)[at], self._scores(P, True)[at])
        self.thresholds_, self.n_rows_ = self._thresholds(fine, codes, P.shape[1])
        self._half_thresholds = self._thresholds(half, codes, P.shape[1])[0]
        self.classes_ = known.labels
        return self

    def predict(self, P: ArrayLike) -> Sets:
        """Return the set of each row as booleans (n, q), in the order of `classes_`."""
        check_is_fitted(self, "thresholds_")
        dtype, precision = np.asarray(P).dtype, self._precision
        P = probability_matrix(P)
        if P.shape[1] != len(self.classes_):
            raise ValueError(f"P has {P.shape[1]} columns, but was fitted with {len(self.classes_)} classes.")
        if dtype.kind == "f":
            precision = max(precision, float(np.finfo(dtype).eps))
        half = precision >= HALF
        t = self._half_thresholds if half else self.thresholds_
        near = np.minimum(TIE * np.maximum(_row_precision(P), precision), HALF)[:, None]
        if self.conformity_score == "probability":
            near = near * np.where(np.isfinite(t), np.abs(t), 0.0)
        inside = np.asarray(self._scores(P, half) <= t + near)
        if not self.empty:
            bare = ~inside.any(axis=1)
            inside[bare, P[bare].argmax(axis=1)] = True
        return inside

    def predict_labels(self, P: ArrayLike) -> list[tuple[Any, ...]]:
        """Return the prediction set of each row as a tuple of labels, most likely first.

        Returns
        -------
        list[tuple[Any, ...]]
            The set of each row as a tuple of labels, the most likely first.
        """
        inside = self.predict(P)
        order = np.argsort(-probability_matrix(P), axis=1, kind="stable")
        names = self.classes_.tolist() if self.classes_.dtype.kind in "biufU" else list(self.classes_)
        return [tuple(names[k] for k in line if held[k]) for line, held in zip(order, inside, strict=True)]

    def score(self, P: ArrayLike, y: Any, sample_weight: Any = None) -> float:
        """Return the coverage: the weighted share of rows whose label (n,) is in their prediction set."""
        inside = self.predict(P)
        codes = Classes.of(self.classes_).find(y)
        if len(codes) != len(inside):
            raise ValueError(f"P has {len(inside)} rows and y {len(codes)} labels; both must be one a row.")
        covered = inside[np.arange(len(codes)), codes] & (codes >= 0)
        weight = None if sample_weight is None else in_bounds(sample_weights(sample_weight, len(covered)))
        return float(np.average(covered, weights=weight))

    def _scores(self, P: Floats, half: bool) -> Floats:
        """Return how badly each class fits each row, (n, q): small is good; from P rounded to float16 where `half`."""
        if half:
            P = P.astype(np.float16).astype(np.float64)
        if self.conformity_score == "probability":
            return -P
        order = _descending(P)
        descending = np.take_along_axis(P, order, axis=1)
        above = np.cumsum(descending, axis=1) - descending
        scores = np.empty_like(P)
        np.put_along_axis(scores, order, above + _even(descending, self.seed)[:, None] * descending, axis=1)
        return scores

    def _thresholds(self, given: Floats, codes: Codes, q: int) -> tuple[Floats, Codes]:
        if not self.per_class:
            return np.full(q, _quantile(given, self.level)), np.full(q, len(given))
        own = np.array([_quantile(given[codes == k], self.level) for k in range(q)])
        return own, np.bincount(codes, minlength=q)


def coverage(sets: Sets, codes: ArrayLike) -> float:
    """Return the share of rows whose label lies in their set.

    Parameters
    ----------
    sets : Sets
        (n, q), as `PredictionSets.predict` gives them.
    codes : array_like
        (n,), the place of each label among the classes, in 0..q-1.

    Returns
    -------
    float
        The share of rows whose label lies in their set.

    Raises
    ------
    ValueError
        For codes that do not fit.

    Examples
    --------
    >>> coverage(np.array([[True, False], [True, True]]), [1, 1])
    0.5
    """
    sets = np.asarray(sets)
    at = check_codes(codes, sets.shape[1], "codes")
    if at.shape != sets.shape[:1]:
        raise ValueError(f"codes must hold one code for each of {len(sets)} rows; seen: shape {at.shape}.")
    return float(sets[np.arange(len(at)), at].mean())


def _quantile(scores: Floats, level: float) -> float:
    """Return the ceil((n + 1) level)-th smallest score; inf where that is beyond the last."""
    # what is 9 up to rounding is the ninth: 10 * 0.9 must not become the tenth
    place = math.ceil((len(scores) + 1) * level - 1e-9)
    return float(np.partition(scores, place - 1)[place - 1]) if place <= len(scores) else math.inf


def _row_precision(P: Floats) -> Floats:
    """Return spacing at 1 (n,) of the coarsest float format that holds all numbers of each row exactly."""
    found = np.full(len(P), np.finfo(np.float64).eps)
    with np.errstate(under="ignore"):
        for dtype in (np.float32, np.float16):
            found[(P.astype(dtype) == P).all(axis=1)] = np.finfo(dtype).eps
    return found


def _descending(P: Floats) -> Codes:
    """Return the classes of each row (n, q) by decreasing probability; ties, up to rounding, by position."""
    order = np.argsort(-P, axis=1, kind="stable")
    fallen = np.take_along_axis(P, order, axis=1)
    lower = fallen[:, :-1] - fallen[:, 1:] > TIE * np.finfo(np.float32).eps * fallen[:, :-1]
    group = np.cumsum(lower, axis=1)
    key = order.copy()
    key[:, 1:] += group * P.shape[1]
    return np.asarray(np.take_along_axis(order, np.argsort(key, axis=1, kind="stable"), axis=1))


def _even(descending: Floats, seed: int) -> Floats:
    """Return a number (n,) from 0 to 1 for each row of sorted probabilities, evenly spread over rows that differ.

    The leading `DIGITS` bits of the `HASHED` largest are mixed as by SplitMix64 (Steele, Lea and Flood, 2014).

    Returns
    -------
    ndarray
        A number (n,) from 0 to 1 for each row of sorted probabilities, evenly spread over rows that differ.
    """
    mantissa, exponent = np.frexp(descending[:, :HASHED])
    rounded = np.ldexp(np.round(np.ldexp(mantissa, DIGITS)), exponent - DIGITS)
    words = (np.ascontiguousarray(rounded) + 0.0).view(np.uint64)  # 0.0 and -0.0 are one number
    state = np.full(len(words), (int(seed) + 1) * GOLDEN_GAMMA % 2**64, dtype=np.uint64)
    for word in words.T:
        state = absorbed(state, word)
    return as_uniform(state)
