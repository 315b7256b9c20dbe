"""Calibrator: recalibrates the probabilities of any classifier where that is shown to help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from softreg.models.calibration.methods import REPAIRS, out_of_fold, worth_trying
from softreg.models.calibration.temperature import Codes, Floats, folds, least_positive, without_zeros
from softreg.probability import Classes, check_probabilities
from softreg.probability.prior import estimate_rates, shift_rates


@dataclass(frozen=True)
class Trial:
    """A recalibration on rows that it was not fitted to: its log loss, and what it gained over the best simpler one.

    `gain` is in nats a row and `error` its standard error; `kept` says whether it took the simpler one's place.
    """

    name: str
    log_loss: float
    gain: float
    error: float
    kept: bool


class Calibrator(BaseEstimator):  # type: ignore[misc]
    """Recalibrates class probabilities of any model: an (n, q) matrix in, an (n, q) matrix out.

    Fit it on probabilities of rows that their model was **not** trained on (out of fold, or held out): a model's own
    training rows look more certain than others. With method="auto", recalibrations are tried by cross-validation, the
    simplest first, and a more flexible one is kept only if its log loss is lower by more than `caution` standard
    errors; where nothing helps, probabilities above 0 stay as they are.

    A probability of exactly 0, as a forest gives it, would cost an infinite loss where that class occurs. Whatever the
    method, the zeros of a row share half the smallest positive probability seen in `fit` (half a vote of the forest),
    and at most 1 / (2 n) where `fit` saw no zero.

        temperature   softmax(t log P)                 one number
        vector        softmax(s * log P + b)           a scale and a bias for each class
        matrix        softmax(log P @ W + b)           a softmax regression; from 20 rows a weight
        isotonic      rising steps for each class      from 1,000 rows of each class

    Parameters:
        method: "auto", or a recalibration by name ("none", "temperature", "vector", "matrix", "isotonic").
        caution: standard errors by which the more flexible recalibration must win, >= 0.
        folds: of the cross-validation, at least 2.
        seed: which row lies in which fold.

    After fit:
        classes_ (q,), method_ (the recalibration in use), trials_ (what was tried, `Trial` records), repair_ (the
        record that does it), floor_ (what the zeros of a row share), class_rates_ (q,) of the labels.

    Example:
        >>> from softreg import softmax
        >>> random = np.random.default_rng(0)
        >>> o = random.normal(size=(2000, 3))
        >>> y = [random.choice(3, p=p) for p in softmax(o)]
        >>> calibrator = Calibrator().fit(softmax(2 * o), y)  # logits twice too large
        >>> calibrator.method_, calibrator.repair_.scaling.scale.round(2)
        ('temperature', array([0.5, 0.5, 0.5]))
        >>> calibrator.predict_proba([[0.8, 0.1, 0.1]]).round(2)
        array([[0.58, 0.21, 0.21]])

    Source: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (2017); Zadrozny and Elkan,
    "Transforming classifier scores into accurate multiclass probability estimates" (2002).
    """

    def __init__(self, method: str = "auto", *, caution: float = 3.0, folds: int = 5, seed: int = 0) -> None:
        self.method = method
        self.caution = caution
        self.folds = folds
        self.seed = seed

    def fit(self, P: ArrayLike, y: Any, classes: Any = None) -> Calibrator:
        """Learn the recalibration from probabilities P (n, q) and hard labels y (n,).

        `classes` (q,) names the columns of P; without, they are the labels of y in sorted order, of which there must
        then be q.

        Returns
        -------
        Calibrator
            Learn the recalibration from probabilities P (n, q) and hard labels y (n,).

        Raises
        ------
        ValueError
            For rows that are no distributions, labels that are no classes, labels of fewer classes than P has columns
            where `classes` is not given, and parameters outside their range.
        """
        self._check_parameters()
        P, known, codes = labelled(P, y, classes, least=self.folds)
        self.floor_ = least_positive(P) if (P == 0).any() else min(least_positive(P), 0.5 / len(P))
        P = without_zeros(P, self.floor_)
        names = worth_trying(codes, P.shape[1]) if self.method == "auto" else list(dict.fromkeys(["none", self.method]))
        self.trials_ = self._tried(names, P, codes)
        self.method_ = (
            [trial.name for trial in self.trials_ if trial.kept][-1] if self.method == "auto" else self.method
        )
        self.repair_ = REPAIRS[self.method_](P, codes)
        self.classes_ = known.labels
        self.class_rates_ = np.bincount(codes, minlength=P.shape[1]) / len(codes)
        return self

    def _tried(self, names: list[str], P: Floats, codes: Codes) -> tuple[Trial, ...]:
        fold = folds(codes, self.folds, self.seed)
        best = out_of_fold(names[0], P, codes, fold)
        trials = [Trial(names[0], float(best.mean()), 0.0, 0.0, True)]
        for name in names[1:]:
            losses = out_of_fold(name, P, codes, fold)
            gain, error = paired_gain(best, losses)
            kept = gain > self.caution * error
            trials.append(Trial(name, float(losses.mean()), gain, error, kept))
            best = losses if kept else best
        return tuple(trials)

    def predict_proba(
        self, P: ArrayLike, *, class_rates: ArrayLike | Literal["estimate"] | None = None
    ) -> NDArray[np.float64]:
        """Recalibrated probabilities (n, q) of new rows.

        `class_rates` (q,) are those of the new rows where they differ from those of the rows fitted to; "estimate"
        finds them from these rows themselves, without labels (`estimate_rates`).

        Returns
        -------
        ndarray of float64
            Recalibrated probabilities (n, q) of new rows.

        Raises
        ------
        ValueError
            For rows that are no distributions over the same classes.
        """
        check_is_fitted(self, "repair_")
        P = probability_matrix(P)
        if P.shape[1] != len(self.classes_):
            raise ValueError(f"P has {P.shape[1]} columns, but was fitted with {len(self.classes_)} classes.")
        repaired = self.repair_.apply(without_zeros(P, self.floor_))
        if class_rates is None:
            return np.asarray(repaired)
        before = self.class_rates_
        if isinstance(class_rates, str):
            if class_rates != "estimate":
                raise ValueError(f"class_rates={class_rates!r} must be rates (q,), 'estimate' or None.")
            class_rates = estimate_rates(repaired, before)
        return shift_rates(repaired, before, class_rates)

    def _check_parameters(self) -> None:
        if self.method not in ("auto", *REPAIRS):
            raise ValueError(f"method={self.method!r} is not one of auto, {', '.join(REPAIRS)}.")
        if not self.caution >= 0:
            raise ValueError(f"caution={self.caution!r} must be a number of standard errors >= 0.")
        if isinstance(self.folds, bool) or not isinstance(self.folds, int) or self.folds < 2:
            raise ValueError(f"folds={self.folds!r} must be an integer >= 2.")


def paired_gain(best: Floats, losses: Floats) -> tuple[float, float]:
    """Return the mean of paired loss differences (n,) in nats and its standard error."""
    if not np.isfinite(losses).all():
        return (0.0, 0.0) if not np.isfinite(best).all() else (-np.inf, 0.0)
    if not np.isfinite(best).all():
        return np.inf, 0.0
    difference = best - losses
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def probability_matrix(P: ArrayLike) -> Floats:
    """Probabilities (n, q) in float64, checked; rounding above 1 is cut."""
    checked = check_probabilities(P)
    if checked.ndim != 2 or checked.shape[1] < 2:
        raise ValueError(f"P must be a matrix (n, q) with a column for each class; seen: shape {checked.shape}.")
    return np.minimum(np.asarray(checked, dtype=np.float64), 1.0)


def labelled(P: ArrayLike, y: Any, classes: Any, *, least: int = 1) -> tuple[Floats, Classes, Codes]:
    """Probabilities (n, q) with hard labels y (n,): checked, the classes of the columns, and the code of each row.

    Returns
    -------
    tuple[ndarray, Classes, Codes]
        Probabilities (n, q) with hard labels y (n,): checked, the classes of the columns, and the code of each row.

    Raises
    ------
    ValueError
        For rows that are no distributions, labels that are no classes, and fewer rows than `least`, which are the folds
        where there are some.
    """
    P = probability_matrix(P)
    known = what_columns_are(y, classes, P.shape[1])
    codes = np.asarray(known.encode(y), dtype=np.int64)
    if len(codes) != len(P) or len(P) < least:
        few = "one" if least == 1 else f"{least}, one for each fold"
        raise ValueError(f"P has {len(P)} rows and y {len(codes)} labels; both must be one a row, and at least {few}.")
    return P, known, codes


def what_columns_are(y: Any, classes: Any, q: int) -> Classes:
    """Return the classes that the columns of P stand for: those named, or all labels of y in sorted order.

    Where a class does not occur in y, the place of the others is a guess: labels 1 to 3 may be columns 0 to 2 of the
    classes 1 to 4, or columns 1 to 3 of the classes 0 to 3. So `classes` must then be given.

    Returns
    -------
    Classes
        The classes that the columns of P stand for: those named, or all labels of y in sorted order.

    Raises
    ------
    ValueError
        If the number of names is not the number of columns.
    """
    known = Classes.of(classes) if classes is not None else Classes(y)
    if len(known) != q:
        where = "named" if classes is not None else "in y"
        raise ValueError(
            f"P has {q} columns and there are {len(known)} classes {where} ({known.listing()}). Name the class of each "
            "column, in order: classes=[...]. For a fitted model they are model.classes_; where y holds "
            f"codes, they are range({q})."
        )
    return known
