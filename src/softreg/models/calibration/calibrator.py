"""Calibrator: recalibration of the probabilities of any classifier, with the method chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from softreg.deprecated import DeprecatedAttributes
from softreg.models.calibration.methods import METHODS, Candidate, automatic_candidates, candidate
from softreg.models.calibration.temperature import Codes, Floats, least_positive, without_zeros
from softreg.probability import Classes, check_probabilities
from softreg.probability.class_prior import estimate_rates, shift_rates
from softreg.splits import stratified_fold_numbers

SHRINKAGE_POWER = 4
"""Power of the needed gain over the gain by which a map moves towards the identity: 1/16 at twice the needed gain."""


@dataclass(frozen=True)
class Trial:
    """Log loss of one recalibration method on rows that it was not fitted to.

    Attributes
    ----------
    name : str
        The method.
    log_loss : float
        Mean log loss of left-out rows in nats.
    gain : float
        Reduction of the log loss relative to the method kept so far, in nats a row.
    error : float
        Standard error of `gain`.
    kept : bool
        Whether the method replaced the simpler one.
    """

    name: str
    log_loss: float
    gain: float
    error: float
    kept: bool


class Calibrator(DeprecatedAttributes, BaseEstimator):  # type: ignore[misc]
    """Recalibrate the class probabilities of any model.

    A calibrator maps a matrix of probabilities (n, q) to a matrix of probabilities (n, q). Fit it to probabilities of
    rows that the model was **not** trained on (out-of-fold or held-out rows): a model is overconfident on its training
    rows.

    With ``method="auto"``, temperature, structured and curved scaling are compared by leave-one-out losses, and
    isotonic regression by cross-validation where there are 1,000 rows of each class. A more flexible method replaces a
    simpler one if its mean log loss is lower (isotonic regression: by more than `caution` standard errors). The method
    is used if it reduces the log loss of unchanged probabilities by more than `caution` standard errors of the
    difference; otherwise probabilities above 0 are returned unchanged. With a gain of z standard errors, a map of
    log-probabilities is moved towards the identity by the share ``(caution / z)**4``.

    ===========  ==============================================  ======================================================
    method       recalibrated probabilities                      parameters
    ===========  ==============================================  ======================================================
    temperature  ``softmax(t * log P)``                          one number
    vector       ``softmax(s * log P + b)``                      a scale and a bias for each class
    matrix       ``softmax(log P @ W + b)``                      a softmax regression with a weak penalty
    structured   ``softmax((t I + diag(v) + M) log P + b)``      v, M and b with strengths of their own; a scale and a
                                                                 bias for each class from 32 classes on
    curved       ``structured`` with ``- c log(1 - log P)``      one number more
    beta         odds ``p**a / (1 - p)**b * e**c``               three numbers, for two classes
    quadratic    log-odds ``a z + b z**2 + c``                   three numbers, for two classes; increasing
    isotonic     a step function of each class                   steps; 1,000 rows of each class
    ===========  ==============================================  ======================================================

    Probabilities of exactly 0, which forests give, would cause an infinite loss where the class occurs. For every
    method, the zeros of a row share half of the smallest positive probability in `fit` (half a vote of the forest), or
    the rate at which classes of probability 0 occurred in `fit` if that is less: ``(k + 1/2) / (m + 1)`` for k of m
    rows with zeros. If `fit` received no zero, they share at most ``1 / (2 n)``.

    Parameters
    ----------
    method : str, default "auto"
        The recalibration method: "none" or one of the table; or "auto" to choose it.
    caution : float, default 1.0
        Standard errors by which a method must reduce the log loss; at least 0.
    folds : int, default 5
        Number of folds of the cross-validation; at least 2.
    seed : int, default 0
        Seed of the assignment of rows to folds.

    Attributes
    ----------
    classes_ : ndarray of shape (q,)
        Class labels, in the order of the columns of P.
    method_ : str
        The method in use.
    trials_ : tuple of Trial
        The methods that were compared.
    recalibration_ : Recalibration
        The fitted map.
    floor_ : float
        Probability that the zeros of a row share.
    class_rates_ : ndarray of shape (q,)
        Relative frequencies of the classes in `fit`.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (2017).
    Berta, Holzmueller, Jordan and Bach, "Structured matrix scaling for multi-class calibration" (2025).
    Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates" (2002).

    Examples
    --------
    >>> from softreg import softmax
    >>> random = np.random.default_rng(0)
    >>> o = random.normal(size=(2000, 3))
    >>> y = [random.choice(3, p=p) for p in softmax(o)]
    >>> calibrator = Calibrator().fit(softmax(2 * o), y)  # logits twice too large
    >>> calibrator.method_, calibrator.recalibration_.W.round(2)
    ('temperature', array([0.5, 0.5, 0.5]))
    >>> calibrator.predict_proba([[0.8, 0.1, 0.1]]).round(2)
    array([[0.58, 0.21, 0.21]])
    """

    def __init__(self, method: str = "auto", *, caution: float = 1.0, folds: int = 5, seed: int = 0) -> None:
        self.method = method
        self.caution = caution
        self.folds = folds
        self.seed = seed

    def fit(self, P: ArrayLike, y: Any, classes: Any = None) -> Calibrator:
        """Fit the recalibration to probabilities and labels.

        Parameters
        ----------
        P : array_like of shape (n, q)
            Probabilities of rows that the model was not trained on.
        y : array_like of shape (n,)
            Hard labels.
        classes : array_like of shape (q,), optional
            Class of each column of P. By default the labels of y in sorted order, of which there must be q.

        Returns
        -------
        Calibrator
            The fitted calibrator itself.

        Raises
        ------
        ValueError
            If a row of P is not a distribution, a label is not a class, y has fewer than q classes and `classes` is not
            given, or a parameter is outside its range.
        """
        check_choice(self.method, METHODS, self.caution, self.folds)
        P, named, codes = check_labelled(P, y, classes, least=self.folds)
        self.floor_ = mass_of_zeros(P, codes)
        P = without_zeros(P, self.floor_)
        folds = partial(stratified_fold_numbers, codes, self.folds, self.seed)
        unchanged = candidate("none", P, codes, folds)
        if self.method == "auto":
            self.trials_, chosen = self._choose(unchanged, automatic_candidates(P, codes, folds))
        else:
            chosen = unchanged if self.method == "none" else candidate(self.method, P, codes, folds)
            others = [] if chosen is unchanged else [trial_of(chosen, unchanged)]
            self.trials_ = (trial_of(unchanged, unchanged), *others)
        self.method_, self.recalibration_ = chosen.name, chosen.recalibration
        self.classes_ = named.labels
        self.class_rates_ = np.bincount(codes, minlength=P.shape[1]) / len(codes)
        return self

    def _choose(self, unchanged: Candidate, others: Iterable[Candidate]) -> tuple[tuple[Trial, ...], Candidate]:
        """Return the trials and the method in use."""
        best, trials = unchanged, [trial_of(unchanged, unchanged)]
        for one in others:
            trial = trial_of(one, best)
            needed = self.caution * trial.error if one.shrinkable is None and best is not unchanged else 0.0
            kept = trial.gain > needed
            trials.append(replace(trial, kept=kept))
            best = one if kept else best
        gain, error = mean_loss_reduction(unchanged.losses, best.losses)
        if best is unchanged or not gain > self.caution * error:
            return (trials[0], *(replace(trial, kept=False) for trial in trials[1:])), unchanged
        if best.shrinkable is not None and np.isfinite(gain):
            kept_share = 1 - (self.caution * error / gain) ** SHRINKAGE_POWER
            best = replace(best, recalibration=best.shrinkable.shrunk(kept_share))
        return tuple(trials), best

    def predict_proba(
        self, P: ArrayLike, *, class_rates: ArrayLike | Literal["estimate"] | None = None
    ) -> NDArray[np.float64]:
        """Return recalibrated probabilities of new rows.

        Parameters
        ----------
        P : array_like of shape (n, q)
            Probabilities of the new rows.
        class_rates : array_like of shape (q,) or "estimate", optional
            Class rates of the new rows if they differ from those in `fit` (prior shift). "estimate" estimates them from
            P by `estimate_rates`.

        Returns
        -------
        ndarray of shape (n, q)
            Recalibrated probabilities in float64.

        Raises
        ------
        ValueError
            If a row of P is not a distribution over the classes of `fit`, or `class_rates` are not rates.
        """
        check_is_fitted(self, "recalibration_")
        P = probabilities_of(P, len(self.classes_))
        recalibrated = self.recalibration_.apply(without_zeros(P, self.floor_))
        if class_rates is None:
            return np.asarray(recalibrated)
        before = self.class_rates_
        if isinstance(class_rates, str):
            if class_rates != "estimate":
                raise ValueError(f"class_rates={class_rates!r} must be rates (q,), 'estimate' or None.")
            class_rates = estimate_rates(recalibrated, before)
        return shift_rates(recalibrated, before, class_rates)


def trial_of(one: Candidate, best: Candidate) -> Trial:
    """Return the trial of a method against the best one before it; `kept` is True."""
    gain, error = mean_loss_reduction(best.losses, one.losses)
    return Trial(one.name, float(one.losses.mean()), gain, error, True)


def mass_of_zeros(P: Floats, y: Codes) -> float:
    """Return the probability that the zeros of a row share.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Probabilities.
    y : ndarray of shape (n,)
        Class codes.

    Returns
    -------
    float
        The least of half the smallest positive probability and the rate at which classes of probability 0 occur,
        `(k + 1/2) / (m + 1)` for k of m rows with zeros; or at most `1 / (2 n)` without zeros.

    Examples
    --------
    >>> mass_of_zeros(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([0, 1]))
    0.25
    """
    rows = int((P == 0).any(axis=1).sum())
    if not rows:
        return min(least_positive(P), 0.5 / len(P))
    occurred = int((P[np.arange(len(y)), y] == 0).sum())
    return min(least_positive(P), (occurred + 0.5) / (rows + 1))


def mean_loss_reduction(best: Floats, losses: Floats) -> tuple[float, float]:
    """Return the mean of paired loss differences (n,) in nats and its standard error."""
    if not np.isfinite(losses).all():
        return (0.0, 0.0) if not np.isfinite(best).all() else (-np.inf, 0.0)
    if not np.isfinite(best).all():
        return np.inf, 0.0
    difference = best - losses
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def probability_matrix(P: ArrayLike) -> Floats:
    """Return checked probabilities (n, q) in float64; values above 1 by rounding become 1."""
    checked = check_probabilities(P)
    if checked.ndim != 2 or checked.shape[1] < 2:
        raise ValueError(f"P must be a matrix (n, q) with a column for each class; seen: shape {checked.shape}.")
    return np.minimum(np.asarray(checked, dtype=np.float64), 1.0)


def probabilities_of(P: ArrayLike, q: int) -> Floats:
    """Return checked probabilities (n, q) of the q classes of a fit."""
    P = probability_matrix(P)
    if P.shape[1] != q:
        raise ValueError(f"P has {P.shape[1]} columns, but was fitted with {q} classes.")
    return P


def check_choice(method: str, methods: Collection[str], caution: float, folds: int) -> None:
    """Check the parameters by which a calibrator chooses one of the methods."""
    if method not in ("auto", *methods):
        raise ValueError(f"method={method!r} is not one of auto, {', '.join(methods)}.")
    if not caution >= 0:
        raise ValueError(f"caution={caution!r} must be a number of standard errors >= 0.")
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise ValueError(f"folds={folds!r} must be an integer >= 2.")


def check_labelled(P: ArrayLike, y: Any, classes: Any, *, least: int = 1) -> tuple[Floats, Classes, Codes]:
    """Check probabilities and hard labels that belong together.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Probabilities.
    y : array_like of shape (n,)
        Hard labels.
    classes : array_like of shape (q,) or None
        Class of each column of P.
    least : int, default 1
        Least number of rows; the number of folds where there are some.

    Returns
    -------
    P : ndarray of shape (n, q)
        Probabilities in float64.
    classes : Classes
        Classes of the columns.
    codes : ndarray of shape (n,)
        Column of each label.

    Raises
    ------
    ValueError
        If a row of P is not a distribution, a label is not a class, or there are fewer than `least` rows.
    """
    P = probability_matrix(P)
    named = classes_of_columns(y, classes, P.shape[1])
    codes = np.asarray(named.encode(y), dtype=np.int64)
    if len(codes) != len(P) or len(P) < least:
        minimum = "one row" if least == 1 else f"{least} rows, one for each fold"
        raise ValueError(
            f"P has {len(P)} rows and y has {len(codes)} labels; there must be one label for each row, and at least "
            f"{minimum}."
        )
    return P, named, codes


def classes_of_columns(y: Any, classes: Any, q: int) -> Classes:
    """Return the classes of the columns of P: the given ones, or all labels of y in sorted order.

    If a class does not occur in y, the columns cannot be identified: labels 1 to 3 may be columns 0 to 2 of the classes
    1 to 4, or columns 1 to 3 of the classes 0 to 3. `classes` must be given then.

    Returns
    -------
    Classes
        The classes, in the order of the columns.

    Raises
    ------
    ValueError
        If the number of classes is not the number of columns.
    """
    named = Classes.of(classes) if classes is not None else Classes(y)
    if len(named) != q:
        where = "named" if classes is not None else "in y"
        raise ValueError(
            f"P has {q} columns and there are {len(named)} classes {where} ({named.listing()}). Name the class of each "
            "column, in order: classes=[...]. For a fitted model they are model.classes_; where y holds "
            f"codes, they are range({q})."
        )
    return named
