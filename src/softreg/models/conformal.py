"""Prediction sets: the classes that a row may have, with a coverage that is promised and kept."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from softreg.models.calibration import labelled, probability_matrix
from softreg.models.scaling import Codes, Floats

Sets = NDArray[np.bool_]
SCORES = ("probability", "cumulative")


class PredictionSets(BaseEstimator):  # type: ignore[misc]
    """Sets of classes that hold the label with a promised probability, for any classifier: split conformal prediction.

    Held-out rows say how improbable a label may look: with s(P_i, k) the score of class k, the set of a row is

        { k : s(P, k) <= t },   t = the ceil((n + 1) * level)-th smallest of s(P_1, y_1) .. s(P_n, y_n)

    If held-out and new rows are exchangeable (drawn alike), the set holds the label with probability at least `level`,
    and at most level + 1 / (n + 1) where scores have no ties; no model and no calibration is assumed. `score`:

        "probability"  s = -P_k: the smallest sets on average; hard rows get more misses than easy ones
        "cumulative"   s = mass of the classes above k, plus a random part of k's own: evener over hard and easy rows

    Parameters:
        level: the promised coverage, between 0 and 1.
        score: "probability" or "cumulative".
        per_class: whether every class gets its own t, and with it the promise (wants some 1 / (1 - level) rows of each,
            for with less its label is in every set).
        empty: whether a set may be empty ("nothing fits"). If not, the most likely class stands in for it, so that a
            model whose accuracy is above `level` covers as often as it is right.
        seed: of the random part of "cumulative".

    After fit:
        classes_ (q,), thresholds_ (q,) of the scores, n_rows_ (q,) from which each came.

    Example:
        >>> P = np.array([[0.8, 0.15, 0.05]] * 18 + [[0.3, 0.6, 0.1]] * 2)
        >>> sets = PredictionSets(0.9).fit(P, [0] * 17 + [1] * 3)
        >>> sets.predict([[0.8, 0.15, 0.05], [0.4, 0.35, 0.25]])
        array([[ True, False, False],
               [ True, False, False]])

    Source: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005); Sadinle, Lei and Wasserman,
    "Least ambiguous set-valued classifiers with bounded error levels" (2019); Romano, Sesia and Candes,
    "Classification with valid and adaptive coverage" (2020).
    """

    def __init__(
        self,
        level: float = 0.9,
        *,
        score: Literal["probability", "cumulative"] = "probability",
        per_class: bool = False,
        empty: bool = False,
        seed: int = 0,
    ) -> None:
        self.level = level
        self.score = score
        self.per_class = per_class
        self.empty = empty
        self.seed = seed

    def fit(self, P: ArrayLike, y: Any, classes: Any = None) -> PredictionSets:
        """Learn the thresholds from probabilities P (n, q) of held-out rows and their labels y (n,).

        `classes` (q,) names the columns of P, as in `Calibrator.fit`. A threshold is inf where there are too few rows
        to promise anything with less: every set then holds the class. Raises `ValueError` for rows that are no
        distributions, labels that are no classes, and parameters outside their range.
        """
        if not 0 < self.level < 1:
            raise ValueError(f"level={self.level!r} is the promised coverage and must lie between 0 and 1.")
        if self.score not in SCORES:
            raise ValueError(f"score={self.score!r} is not one of {', '.join(SCORES)}.")
        P, known, codes = labelled(P, y, classes)
        given = self._scores(P)[np.arange(len(codes)), codes]
        self.thresholds_, self.n_rows_ = self._thresholds(given, codes, P.shape[1])
        self.classes_ = known.labels
        return self

    def predict(self, P: ArrayLike) -> Sets:
        """The set of each row as booleans (n, q), in the order of `classes_`."""
        check_is_fitted(self, "thresholds_")
        P = probability_matrix(P)
        if P.shape[1] != len(self.classes_):
            raise ValueError(f"P has {P.shape[1]} columns, but was fitted with {len(self.classes_)} classes.")
        inside = np.asarray(self._scores(P) <= self.thresholds_)
        if not self.empty:
            bare = ~inside.any(axis=1)
            inside[bare, P[bare].argmax(axis=1)] = True
        return inside

    def predict_labels(self, P: ArrayLike) -> list[tuple[Any, ...]]:
        """The set of each row as a tuple of labels, the most likely first."""
        P = probability_matrix(P)
        inside, order = self.predict(P), np.argsort(-P, axis=1, kind="stable")
        return [tuple(self.classes_[k] for k in line if held[k]) for line, held in zip(order, inside, strict=True)]

    def _scores(self, P: Floats) -> Floats:
        """How badly each class fits each row, (n, q): small is good."""
        if self.score == "probability":
            return -P
        order = np.argsort(-P, axis=1, kind="stable")
        descending = np.take_along_axis(P, order, axis=1)
        above = np.cumsum(descending, axis=1) - descending
        part = np.random.default_rng(self.seed).random((len(P), 1))  # without it, sets would cover too much
        scores = np.empty_like(P)
        np.put_along_axis(scores, order, above + part * descending, axis=1)
        return scores

    def _thresholds(self, given: Floats, codes: Codes, q: int) -> tuple[Floats, Codes]:
        if not self.per_class:
            return np.full(q, _quantile(given, self.level)), np.full(q, len(given))
        own = np.array([_quantile(given[codes == k], self.level) for k in range(q)])
        return own, np.bincount(codes, minlength=q)


def coverage(sets: Sets, codes: ArrayLike) -> float:
    """The share of rows whose label lies in their set.

    >>> coverage(np.array([[True, False], [True, True]]), [1, 1])
    0.5
    """
    codes = np.asarray(codes)
    return float(sets[np.arange(len(codes)), codes].mean())


def _quantile(scores: Floats, level: float) -> float:
    """The ceil((n + 1) level)-th smallest score; inf where that is beyond the last."""
    # what is 9 up to rounding is the ninth: 10 * 0.9 must not become the tenth
    place = math.ceil((len(scores) + 1) * level - 1e-9)
    return float(np.partition(scores, place - 1)[place - 1]) if place <= len(scores) else math.inf
