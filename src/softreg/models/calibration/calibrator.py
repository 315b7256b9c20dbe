"""Calibrator: recalibration of the probabilities of any classifier, with the method chosen by cross-validation."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from softreg.deprecated import DeprecatedAttributes
from softreg.models.calibration.calibrator_state import (
    map_from_state,
    map_to_state,
    parameters_from_json,
    parameters_to_json,
)
from softreg.models.calibration.methods import METHODS, Candidate, automatic_candidates, candidate, mean_loss
from softreg.models.calibration.temperature import Codes, Floats, least_positive, without_zeros
from softreg.models.inputs.sample_and_class_weights import rescale_extreme_weights, sample_weights
from softreg.models.serialization import fields
from softreg.models.serialization.label_state import labels_from_json, labels_to_state
from softreg.models.serialization.model_file import write_model
from softreg.probability import Classes, check_probabilities
from softreg.probability.check_distributions import ATOL
from softreg.probability.class_prior import estimate_rates, shift_rates
from softreg.splits import stratified_fold_numbers
from softreg.typing import Array

SHRINKAGE_POWER = 4
"""Power of the needed gain over the gain in the share by which a map moves towards the identity."""
MOST_MOVED = 0.5
"""That share where the gain is the needed one or less; so it is 1/32 at twice the needed gain. On 784 pairs of a table
and a model (benchmarks/calibrators.py), half kept 95% of the log losses from rising at a hundredth of the mean gain."""
KIND = "calibrator"
"""Kind of the model file."""


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

    def to_json(self) -> dict[str, Any]:
        """Return the trial as strict JSON; a number that is not finite is None."""
        return {key: None if value in (np.inf, -np.inf) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Trial:
        """Return the trial that `to_json` described."""
        loss, gain = (fields.number(stored, key) if stored[key] is not None else np.inf for key in ("log_loss", "gain"))
        gain = -gain if not np.isfinite(loss) else gain
        return cls(fields.text(stored, "name"), loss, gain, fields.number(stored, "error"), fields.flag(stored, "kept"))


class Calibrator(DeprecatedAttributes, BaseEstimator):  # type: ignore[misc]
    """Recalibrate the class probabilities of any model.

    A calibrator maps a matrix of probabilities (n, q) to a matrix of probabilities (n, q). Fit it to probabilities of
    rows that the model was **not** trained on (out-of-fold or held-out rows): a model is overconfident on its training
    rows.

    With ``method="auto"``, temperature and curved scaling are compared by leave-one-out losses, and isotonic regression
    by cross-validation where there are 1,000 rows of each class. A more flexible method replaces a simpler one if its
    mean log loss is lower (isotonic regression: by more than `caution` standard errors). The method is used if it
    reduces the log loss of unchanged probabilities by more than `caution` standard errors of the difference; otherwise
    probabilities above 0 are returned unchanged. With a gain of z standard errors, a map of log-probabilities is moved
    towards the identity by the share ``min(1, caution / z)**4 / 2``. Where `fit` received zeros, which are replaced in
    any case, every positive gain of such a map suffices.

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
    caution : float, default 1.5
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

    def __init__(self, method: str = "auto", *, caution: float = 1.5, folds: int = 5, seed: int = 0) -> None:
        self.method = method
        self.caution = caution
        self.folds = folds
        self.seed = seed

    def fit(self, P: ArrayLike, y: Any, classes: Any = None, sample_weight: Any = None) -> Calibrator:
        """Fit the recalibration to probabilities and labels.

        Parameters
        ----------
        P : array_like of shape (n, q)
            Probabilities of rows that the model was not trained on.
        y : array_like of shape (n,)
            Hard labels.
        classes : array_like of shape (q,), optional
            Class of each column of P. By default the labels of y in sorted order, of which there must be q.
        sample_weight : array_like of shape (n,) or float, optional
            Weights of the rows in losses, standard errors, rates and penalised fits. A common factor does not matter:
            the weights above 0 are divided by their mean. Rows of weight 0 are left out.

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
        weights = None if sample_weight is None else sample_weights(sample_weight, len(P))
        if weights is not None:
            P, codes, weights = weighted_rows(P, codes, weights, self.folds)
        self.floor_ = mass_of_zeros(P, codes, weights)
        replaced = not P.all()
        P = without_zeros(P, self.floor_)
        folds = partial(stratified_fold_numbers, codes, self.folds, self.seed)
        unchanged = candidate("none", P, codes, folds)
        if self.method == "auto":
            others = automatic_candidates(P, codes, folds, weights)
            self.trials_, chosen = self._choose(unchanged, others, weights, replaced)
        else:
            chosen = unchanged if self.method == "none" else candidate(self.method, P, codes, folds, weights)
            compared = (unchanged,) if chosen is unchanged else (unchanged, chosen)
            self.trials_ = tuple(trial_of(one, unchanged, weights) for one in compared)
        self.method_, self.recalibration_ = chosen.name, chosen.recalibration
        self.classes_ = named.labels
        self.class_rates_ = np.bincount(codes, weights, minlength=P.shape[1]) / len(codes)
        return self

    def _choose(
        self, unchanged: Candidate, others: Iterable[Candidate], weights: Floats | None, replaced: bool
    ) -> tuple[tuple[Trial, ...], Candidate]:
        """Return the trials and the method in use; `replaced` says that rows had zeros."""
        best, trials = unchanged, [trial_of(unchanged, unchanged, weights)]
        for one in others:
            trial = trial_of(one, best, weights)
            needed = self.caution * trial.error if one.shrinkable is None and best is not unchanged else 0.0
            kept = trial.gain > needed
            trials.append(trial if kept else replace(trial, kept=False))
            best = one if kept else best
        gain, error = mean_loss_reduction(unchanged.losses, best.losses, weights)
        enough = 0.0 if replaced and best.shrinkable is not None else self.caution * error
        if best is unchanged or not gain > enough:
            return (trials[0], *(replace(trial, kept=False) for trial in trials[1:])), unchanged
        if best.shrinkable is not None and np.isfinite(gain):
            moved = MOST_MOVED * min(1.0, self.caution * error / gain) ** SHRINKAGE_POWER
            best = replace(best, recalibration=best.shrinkable.shrunk(1 - moved))
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
        if "recalibration_" not in vars(self):  # the check takes as long as a map of a few rows
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the calibrator to a file of numbers and JSON, which `softreg.load` reads.

        Parameters
        ----------
        path : path
            The file; it is written completely or not at all.

        Raises
        ------
        ModelFileError
            If the labels cannot be stored.

        Examples
        --------
        >>> import softreg
        >>> Calibrator("temperature").fit([[0.9, 0.1], [0.4, 0.6]] * 5, [0, 1] * 5).save("calibrator.softreg")
        >>> softreg.load("calibrator.softreg").predict_proba([[0.8, 0.2]]).round(2)
        array([[0.93, 0.07]])
        """
        check_is_fitted(self, "recalibration_")
        write_model(path, KIND, *self.to_state())

    def to_state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Return the fitted calibrator as arrays and strict JSON."""
        arrays, fitted = map_to_state(self.recalibration_)
        arrays = {**arrays, "class_rates": self.class_rates_}
        classes = labels_to_state("classes", self.classes_, arrays)
        return arrays, {
            "parameters": parameters_to_json(self.get_params()),
            "classes": classes,
            "method": self.method_,
            "map": fitted,
            "floor": float(self.floor_),
            "trials": [one.to_json() for one in self.trials_],
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> Calibrator:
        """Return the calibrator that `to_state` described; raise `ValueError` where its parts do not match."""
        self = cls(**parameters_from_json(fields.mapping(metadata, "parameters")))
        check_choice(self.method, METHODS, self.caution, self.folds)
        stored = metadata["classes"]
        labels = np.array(arrays["classes"]) if stored is None else labels_from_json(stored)
        self.classes_ = Classes.of(labels).labels
        self.class_rates_ = np.array(arrays["class_rates"], dtype=np.float64)
        self.method_ = fields.text(metadata, "method")
        rates = self.class_rates_
        if self.method_ not in METHODS or rates.shape != self.classes_.shape or (rates < 0).any():
            raise ValueError("method, class rates and classes do not fit together")
        self.recalibration_ = map_from_state(arrays, fields.mapping(metadata, "map"), len(self.classes_))
        self.floor_ = fields.number(metadata, "floor", positive=True)
        self.trials_ = tuple(Trial.from_json(trial) for trial in fields.mappings(metadata, "trials"))
        return self


def weighted_rows(P: Floats, y: Codes, weights: Floats, least: int) -> tuple[Floats, Codes, Floats]:
    """Return the rows of weights above 0 and the weights divided by their mean.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Probabilities.
    y : ndarray of shape (n,)
        Class codes.
    weights : ndarray of shape (n,)
        Finite weights of at least 0.
    least : int
        Least number of rows with a weight above 0.

    Returns
    -------
    P, y, weights : ndarray
        Those of the rows that are left.

    Raises
    ------
    ValueError
        If fewer rows than `least` are left.

    Examples
    --------
    >>> weighted_rows(np.full((3, 2), 0.5), np.array([0, 1, 1]), np.array([1.0, 0.0, 3.0]), 2)[2].tolist()
    [0.5, 1.5]
    """
    kept = weights > 0
    if kept.sum() < least:
        raise ValueError(
            f"{int(kept.sum())} rows have a sample weight above 0; at least {least} are needed, one for each fold."
        )
    weights = rescale_extreme_weights(weights[kept])
    return P[kept], y[kept], weights / weights.mean()


def trial_of(one: Candidate, best: Candidate, weights: Floats | None = None) -> Trial:
    """Return the trial of a method against the best one before it; `kept` is True."""
    gain, error = (0.0, 0.0) if one is best else mean_loss_reduction(best.losses, one.losses, weights)
    return Trial(one.name, mean_loss(one.losses, weights), gain, error, True)


def mass_of_zeros(P: Floats, y: Codes, weights: Floats | None = None) -> float:
    """Return the probability that the zeros of a row share.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Probabilities.
    y : ndarray of shape (n,)
        Class codes.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

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
    if P.all():
        return min(least_positive(P), 0.5 / len(P))
    zeros, occurred = (P == 0).any(axis=1), P[np.arange(len(y)), y] == 0
    k, m = (float(rows.sum() if weights is None else rows @ weights) for rows in (occurred, zeros))
    return min(least_positive(P), (k + 0.5) / (m + 1))


def mean_loss_reduction(best: Floats, losses: Floats, weights: Floats | None = None) -> tuple[float, float]:
    """Return the (weighted) mean of paired loss differences (n,) in nats and its standard error."""
    n = len(best)
    with np.errstate(invalid="ignore"):
        difference = best - losses
    mean = mean_loss(difference, weights)
    if not math.isfinite(mean):
        if not np.isfinite(losses).all():
            return (0.0, 0.0) if not np.isfinite(best).all() else (-np.inf, 0.0)
        return np.inf, 0.0
    difference -= mean
    terms = difference if weights is None else weights * difference
    return mean, math.sqrt(float(terms @ terms) / (n * (n - 1)))


def probability_matrix(P: ArrayLike) -> Floats:
    """Return checked probabilities (n, q) in float64; values above 1 by rounding become 1."""
    if isinstance(P, np.ndarray) and P.ndim == 2 and P.dtype == np.float64 and _clearly_distributions(P):
        return np.minimum(P, 1.0)
    checked = check_probabilities(P)
    if checked.ndim != 2 or checked.shape[1] < 2:
        raise ValueError(f"P must be a matrix (n, q) with a column for each class; seen: shape {checked.shape}.")
    return np.minimum(np.asarray(checked, dtype=np.float64), 1.0)


def _clearly_distributions(P: Floats) -> bool:
    """Return True if rows (n, q) pass the check of `check_probabilities`, found by one product."""
    if not len(P) or P.shape[1] < 2:
        return False
    return bool(P.min() >= 0 and np.abs(P @ np.ones(P.shape[1]) - 1).max() <= ATOL)


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
