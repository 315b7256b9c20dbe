"""Prediction sets by split conformal prediction."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from softreg.deprecated import accept_deprecated_arguments
from softreg.models.calibration.calibrator import check_labelled, probability_matrix
from softreg.models.calibration.temperature import Codes, Floats
from softreg.models.inputs.sample_and_class_weights import rescale_extreme_weights, sample_weights
from softreg.probability import Classes
from softreg.probability.check_distributions import precision_of
from softreg.probability.labels import check_codes
from softreg.splitmix import GOLDEN_GAMMA, absorbed, as_uniform

Sets = NDArray[np.bool_]
SCORES = ("probability", "cumulative")
HALF = float(np.finfo(np.float16).eps)
TIE = 4.0
"""Scores that are nearer than this many spacings of the less precise float format count as equal (one, in float16)."""
HASHED = 8
"""The largest probabilities of a row, from which its u is computed."""
ROUNDING = 1e-9
"""Rounding error of a rank."""
DIGITS = 11
"""Bits of these that count, as many as float16 has: float32 and float64 then give the same u."""


class PredictionSets(BaseEstimator):  # type: ignore[misc]
    """Prediction sets of any classifier with guaranteed marginal coverage, by split conformal prediction.

    With the score s(P_i, k) of class k (large for improbable classes), the prediction set of a row is::

        { k : s(P, k) <= t },   t = the ceil((n + 1) * level)-th smallest of s(P_1, y_1) .. s(P_n, y_n)

    over the n held-out rows of `fit`. If held-out and new rows are exchangeable, the set contains the label with
    probability at least `level`; with ``empty=True`` and scores without ties, with at most ``level + 1 / (n + 1)``. The
    statement is marginal (averaged over rows, held-out rows included) and assumes neither a correct model nor
    calibration.

    Scores that differ by no more than the rounding of the less precise input (that of `fit` or that of `predict`;
    float16, float32 or float64) count as equal, and a score equal to t is inside.

    Parameters
    ----------
    level : float, default 0.9
        Coverage, between 0 and 1.
    conformity_score : {"probability", "cumulative"}, default "probability"
        "probability" is s = -P_k: the smallest sets on average; difficult rows are covered less often than easy ones.
        "cumulative" is the mass of the classes more probable than k, plus u times that of k: coverage is more even.
        The u, uniform on (0, 1), is a function of the sorted probabilities of the row, so the set of a row does not
        depend on other rows, on their order or on the size of a batch.
    per_class : bool, default False
        Whether every class has its own t, which gives the coverage for each class. It needs about 1 / (1 - level) rows
        of each class; a class with fewer rows is in every set.
    empty : bool, default False
        Whether a set may be empty. If not, the most probable class replaces an empty set, so a model whose accuracy is
        above `level` has that coverage.
    seed : int, default 0
        Seed of the function u of "cumulative".

    Attributes
    ----------
    classes_ : ndarray of shape (q,)
        Class labels.
    thresholds_ : ndarray of shape (q,)
        Threshold t of each class.
    n_rows_ : ndarray of shape (q,)
        Number of rows from which each threshold was computed.

    References
    ----------
    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005).
    Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers with bounded error levels" (2019).
    Romano, Sesia and Candes, "Classification with valid and adaptive coverage" (2020).

    Examples
    --------
    >>> P = np.array([[0.8, 0.15, 0.05]] * 18 + [[0.3, 0.6, 0.1]] * 2)
    >>> sets = PredictionSets(0.9).fit(P, [0] * 17 + [1] * 3, classes=[0, 1, 2])
    >>> sets.predict([[0.8, 0.15, 0.05], [0.4, 0.35, 0.25]])
    array([[ True, False, False],
           [ True, False, False]])
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
        """Compute the thresholds from held-out rows.

        Parameters
        ----------
        P : array_like of shape (n, q)
            Probabilities of rows that the model was not trained on.
        y : array_like of shape (n,)
            Labels.
        classes : array_like of shape (q,), optional
            Class of each column of P, as in `Calibrator.fit`.

        Returns
        -------
        PredictionSets
            The fitted object itself. A threshold is inf if there are too few rows for the level; the class is then in
            every set.

        Raises
        ------
        ValueError
            If a row of P is not a distribution, a label is not a class, or a parameter is outside its range.
        """
        if not 0 < self.level < 1:
            raise ValueError(f"level={self.level!r} is the coverage and must be between 0 and 1.")
        if self.conformity_score not in SCORES:
            raise ValueError(f"conformity_score={self.conformity_score!r} is not one of {', '.join(SCORES)}.")
        self._precision = precision_of(P)
        P, named, codes = check_labelled(P, y, classes)
        at = np.arange(len(codes)), codes
        fine, half = (self._scores(P, self._precision >= HALF)[at], self._scores(P, True)[at])
        self.thresholds_, self.n_rows_ = self._thresholds(fine, codes, P.shape[1])
        self._half_thresholds = self._thresholds(half, codes, P.shape[1])[0]
        self.classes_ = named.labels
        return self

    def predict(self, P: ArrayLike) -> Sets:
        """Return the prediction sets as booleans (n, q), in the order of `classes_`."""
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
            none = ~inside.any(axis=1)
            inside[none, P[none].argmax(axis=1)] = True
        return inside

    def predict_labels(self, P: ArrayLike) -> list[tuple[Any, ...]]:
        """Return the prediction set of each row as a tuple of labels, most likely first.

        Returns
        -------
        list of tuple
            Numbers and text are Python values.
        """
        inside = self.predict(P)
        order = np.argsort(-probability_matrix(P), axis=1, kind="stable")
        names = self.classes_.tolist() if self.classes_.dtype.kind in "biufU" else list(self.classes_)
        return [tuple(names[k] for k in row if member[k]) for row, member in zip(order, inside, strict=True)]

    def score(self, P: ArrayLike, y: Any, sample_weight: Any = None) -> float:
        """Return the coverage: the weighted share of rows whose label (n,) is in their prediction set."""
        inside = self.predict(P)
        codes = Classes.of(self.classes_).find(y)
        if len(codes) != len(inside):
            raise ValueError(f"P has {len(inside)} rows and y has {len(codes)} labels; each row needs one label.")
        covered = inside[np.arange(len(codes)), codes] & (codes >= 0)
        weight = None if sample_weight is None else rescale_extreme_weights(sample_weights(sample_weight, len(covered)))
        return float(np.average(covered, weights=weight))

    def _scores(self, P: Floats, half: bool) -> Floats:
        """Return the conformity scores (n, q), large for improbable classes; of P rounded to float16 if `half`."""
        if half:
            P = P.astype(np.float16).astype(np.float64)
        if self.conformity_score == "probability":
            return -P
        order = _descending(P)
        descending = np.take_along_axis(P, order, axis=1)
        above = np.cumsum(descending, axis=1) - descending
        scores = np.empty_like(P)
        np.put_along_axis(scores, order, above + _uniform_of_row(descending, self.seed)[:, None] * descending, axis=1)
        return scores

    def _thresholds(self, given: Floats, codes: Codes, q: int) -> tuple[Floats, Codes]:
        """Return the threshold and the number of calibration rows of each class (q,)."""
        if not self.per_class:
            return np.full(q, _quantile(given, self.level)), np.full(q, len(given))
        thresholds = np.array([_quantile(given[codes == k], self.level) for k in range(q)])
        return thresholds, np.bincount(codes, minlength=q)


def coverage(sets: Sets, codes: ArrayLike) -> float:
    """Return the coverage: the share of rows whose label is in their prediction set.

    Parameters
    ----------
    sets : ndarray of bool of shape (n, q)
        Sets, as `PredictionSets.predict` returns them.
    codes : array_like of shape (n,)
        Column of each label, from 0 to q - 1.

    Returns
    -------
    float
        A number from 0 to 1.

    Raises
    ------
    ValueError
        If the codes do not fit the sets.

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
    """Return the ceil((n + 1) level)-th smallest score, or inf if there are fewer scores."""
    # The tolerance keeps ceil((9 + 1) * 0.9) at 9 despite rounding.
    rank = math.ceil((len(scores) + 1) * level - ROUNDING)
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= len(scores) else math.inf


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
