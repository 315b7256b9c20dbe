"""Bootstrap of weights and probabilities: refits to resampled rows, and t intervals of their spread."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit, ndtr, ndtri, stdtrit
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from softreg.models.estimators.base import LinearClassifier
from softreg.models.estimators.regression import SoftmaxRegression
from softreg.models.inputs.features import validate_features
from softreg.models.inputs.labels import check_classes, check_lengths, encode_known_labels
from softreg.models.inputs.offsets import fitted_offset
from softreg.models.inputs.sample_and_class_weights import (
    ClassWeights,
    WeightedRows,
    class_mass,
    drop_zero_weight_rows,
    row_weights,
    sample_weights,
)
from softreg.models.inputs.training_rows import InMemoryRows
from softreg.models.likelihood import firth_fit as firth
from softreg.models.parameters.parameter_checks import check_parameters
from softreg.models.selection.cv_estimator import SoftmaxRegressionCV
from softreg.models.selection.penalty_spec import PenaltySpec
from softreg.models.selection.relaxed_fits import minimise_relaxed
from softreg.optimize import Solution
from softreg.probability import Classes
from softreg.probability.label_arrays import spell
from softreg.rows import Array

LOGITS = 20_000_000
"""Largest number of logits of a stack of resamples that is fitted at once."""
MOST_ROWS = 2.0**53
"""Largest sum of the sample weights; float64 does not represent larger counts exactly."""
LEAST_EVENTS = 2.0
"""Rows of the rarest class for each column below which bootstrap intervals cover less than their level."""
RUN = 1024
"""Rows whose probabilities are computed together for all resamples."""


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Weights of a model refitted to B resamples, made by `bootstrap`.

    Attributes
    ----------
    model : SoftmaxRegression
        The resampled model.
    coef : ndarray of shape (B, q, d)
        Weights.
    intercept : ndarray of shape (B, q)
        Intercepts.
    gap : ndarray of shape (B,)
        Certified gaps of the fits in nats.
    table : TableClassifier or None
        The classifier whose regression was resampled; rows are then tables.
    rows : float
        Number of rows that each resample draws; 0 if unknown.
    rarest : float
        Rows of the rarest class; 0 if unknown.

    Notes
    -----
    Intervals are `estimate -+ t * s` with the quantile t of Student's distribution and s half the distance of the
    draws' quantiles at normal scores -1 and 1; those of probabilities are computed for their log-odds. Resampled
    weights lie further from 0 than estimates, and estimates further than the truth, so that percentiles of the draws
    cover too little. In simulations of two classes of about equal size these intervals cover 93 to 99% for 95%, and
    90 to 97% where the accuracy of the model is 97%. With fewer than `LEAST_EVENTS` rows of the rarest class for
    each column they cover less, and a warning says so.
    """

    model: SoftmaxRegression
    coef: Array
    intercept: Array
    gap: Array
    table: Any = None
    rows: float = 0.0
    rarest: float = 0.0

    def __len__(self) -> int:
        return len(self.coef)

    def coef_interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """Return intervals of the weights.

        Parameters
        ----------
        level : float, default 0.95
            Confidence level.

        Returns
        -------
        low, high : ndarray of shape (q, d)
            Ends of the intervals.

        Warns
        -----
        UserWarning
            If the rarest class has fewer than `LEAST_EVENTS` rows for each column.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> low, high = bootstrap(SoftmaxRegression(1e-2).fit(X, y), X, y, 20, random_state=0).coef_interval()
        >>> low.shape, bool((low <= high).all())
        ((3, 4), True)
        """
        return self._interval(self.coef, np.asarray(self.model.coef_), level)

    def proba_interval(self, X: Any, level: float = 0.95, offset: Any = None) -> tuple[Array, Array]:
        """Return intervals of the probabilities of rows.

        Parameters
        ----------
        X : array, sparse matrix, data frame or table of n rows
            The rows.
        level : float, default 0.95
            Confidence level.
        offset : array or frame of shape (n, q) or (n,), optional
            Offset of the rows, if the model has one; that of a table comes from its columns.

        Returns
        -------
        low, high : ndarray of shape (n, q)
            Ends of the intervals.

        Warns
        -----
        UserWarning
            If the rarest class has fewer than `LEAST_EVENTS` rows for each column.
        """
        if self.table is not None:
            offset = self.table.offsets(X)
        X = validate_features(self.model, X if self.table is None else self.table.encode(X), reset=False)
        fixed = fitted_offset(self.model, offset, X.shape[0])
        W, b = np.moveaxis(self.coef, 1, 2), self.intercept  # (B, d, q), (B, q)
        fitted = self.model.coef_.T, self.model.intercept_
        ends = []
        for a in range(0, X.shape[0], RUN):
            x = X[a : a + RUN]
            o = np.stack([np.asarray(x @ w) for w in W]) + b[:, None]
            estimate = np.asarray(x @ fitted[0]) + fitted[1]
            if fixed is not None:
                o, estimate = o + fixed[a : a + RUN], estimate + fixed[a : a + RUN]
            ends.append(np.stack(self._interval(_log_odds(o), _log_odds(estimate), level, warn=not a)))
        low, high = expit(np.concatenate(ends, axis=1)) if ends else np.empty((2, 0, b.shape[1]))
        return low, high

    def _interval(self, values: Array, estimate: Array, level: float, *, warn: bool = True) -> tuple[Array, Array]:
        """Return the interval around an estimate from resampled values (B, ...)."""
        if not 0 < level < 1:
            raise ValueError(f"level={level!r} must lie between 0 and 1, as 0.95.")
        d = self.coef.shape[2]
        if warn and 0 < self.rarest < LEAST_EVENTS * d:
            warnings.warn(
                f"the rarest class has {self.rarest:.6g} rows and there are {d} columns: with fewer than "
                f"{LEAST_EVENTS:g} rows of it for each column, bootstrap intervals cover less than their level. Use "
                "fewer columns, or a model with penalty='firth' and the profile intervals of infer(...).profile().",
                stacklevel=3,
            )
        if self.model.penalty in (None, "firth") or check_parameters(self.model) == 0:
            down, up = np.quantile(values, ndtr([-1.0, 1.0]), axis=0)
            spread = (up - down) / 2
        else:  # weights of exactly 0 in most resamples would have no distance of these quantiles
            spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1:])
        freedom = max(self.rows - d - 1, self.rows / 2) if self.rows else np.inf
        t = ndtri(0.5 + level / 2) if np.isinf(freedom) else stdtrit(max(freedom, 1.0), 0.5 + level / 2)
        return estimate - t * spread, estimate + t * spread


def _log_odds(o: Array) -> Array:
    """Return the log-odds of each class from logits (..., q)."""
    o = np.asarray(o, dtype=np.float64)
    top = o.max(axis=-1, keepdims=True)
    e = np.exp(o - top)
    total = e.sum(axis=-1, keepdims=True)
    rest = total - e
    at = np.argmax(o, axis=-1)[..., None]  # the difference loses all digits for the largest logit
    others = e.copy()
    np.put_along_axis(others, at, 0.0, axis=-1)
    np.put_along_axis(rest, at, others.sum(axis=-1, keepdims=True), axis=-1)
    with np.errstate(divide="ignore"):
        return np.asarray(o - top - np.log(np.maximum(rest, np.finfo(np.float64).tiny)))


def bootstrap(
    model: LinearClassifier | Any,
    X: Any,
    y: Any = None,
    n_resamples: int = 200,
    *,
    sample_weight: Any = None,
    offset: Any = None,
    random_state: Any = None,
) -> Bootstrap:
    """Fit the model's objective to `n_resamples` resamples of its rows, many as one stack.

    Resample r counts row i c_ri times and minimises the objective of `SoftmaxRegression` with these weights, to the
    model's own `tol`. The counts c_r are multinomial with N draws, where row i is drawn with probability v_i / N: the
    sample weights v_i count rows (all 1 where there are none), and N is their sum, rounded. So a row of weight 4 gives
    the same distribution as the row given four times. Class weights "balanced" are computed on each resample.

    Parameters
    ----------
    model : SoftmaxRegression, SoftmaxRegressionCV or TableClassifier
        A fitted model. The chosen strength of `SoftmaxRegressionCV` is kept; with the relaxed elastic net, each
        resample selects its own columns and fits them again. The encoding of a `TableClassifier` is kept.
    X : array, sparse matrix, data frame or table
        The rows of the fit.
    y : array_like, optional
        The labels of the fit; of a `TableClassifier`, its table contains them if y is None.
    n_resamples : int, default 200
        Number of resamples. Resamples without a row of some class are drawn again, so intervals for very rare classes
        are too narrow.
    sample_weight : array_like of shape (n,), optional
        The sample weights of the fit, which must be counts.
    offset : array or frame of shape (n, q) or (n,), optional
        The offset of the fit; that of a table comes from its columns.
    random_state : int, Generator or None
        Seed of the resamples.

    Returns
    -------
    Bootstrap
        The weights of all resamples, with intervals for coefficients and probabilities.

    Raises
    ------
    ValueError
        If a label is not a class of the model, a class has no row, or sample weights are not counts.

    Warns
    -----
    ConvergenceWarning
        If resamples have not converged.

    References
    ----------
    Efron, "Bootstrap methods: another look at the jackknife" (1979).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxRegression(1e-2).fit(X, y)
    >>> low, high = bootstrap(model, X, y, 50, random_state=0).proba_interval(X[70:71])
    >>> bool((low < model.predict_proba(X[70:71])).all() and (model.predict_proba(X[70:71]) < high).all())
    True
    """
    table = model if hasattr(model, "encode") else None
    if table is not None:
        X, y, sample_weight, offset = _of_table(table, X, y, sample_weight)
        model = table.model_
    regression = _regression(model)
    if isinstance(n_resamples, bool) or not isinstance(n_resamples, (int, np.integer)) or n_resamples < 1:
        raise ValueError(f"n_resamples={n_resamples!r} must be a whole number of at least 1.")
    classes = Classes.of(regression.classes_)
    X = validate_features(copy.copy(regression), X, reset=False)
    labels = encode_known_labels(y, classes)
    check_lengths(X, labels)
    weight = row_weights(sample_weight, X.shape[0], classes.labels, labels, regression.class_weight)
    check_classes(classes.labels, labels, weight)
    kept = np.ones(X.shape[0], dtype=bool) if weight is None else weight > 0
    rows = (np.ones(X.shape[0]) if sample_weight is None else sample_weights(sample_weight, X.shape[0]))[kept]
    positive = drop_zero_weight_rows(X, labels, weight, fitted_offset(regression, offset, X.shape[0]))
    X, labels = positive.X, positive.labels
    counts = _counts(labels, rows, n_resamples, classes.labels, random_state)
    per_class = ClassWeights(classes.labels, regression.class_weight)
    fits: list[Solution] = []
    size = max(1, min(n_resamples, LOGITS // max(1, X.shape[0] * len(classes))))
    for a in range(0, n_resamples, size):
        V = per_class.apply(counts[a : a + size], labels)
        fits += _fit(regression, positive, V, getattr(model, "relaxed_", 1.0))
    _warn(fits, regression.tol)
    coef = np.stack([f.W.T for f in fits])
    rarest = float(class_mass(rows[None], labels, len(classes)).min())
    b, gap = np.stack([f.b for f in fits]), np.array([f.gap for f in fits])
    return Bootstrap(regression, coef, b, gap, table, rows=float(rows.sum()), rarest=rarest)


def _of_table(table: Any, data: Any, y: Any, sample_weight: Any) -> tuple[Any, Array, Any, Array | None]:
    """Return features, labels, weights and offsets of the labelled rows of a table."""
    X, labels, offset = table.encode(data), table.label_texts(data, y), table.offsets(data)
    used = labels != ""
    if used.all():
        return X, labels, sample_weight, offset
    weight = None if sample_weight is None else sample_weights(sample_weight, len(labels))[used]
    return X[np.flatnonzero(used)], labels[used], weight, None if offset is None else offset[used]


def _regression(model: Any) -> SoftmaxRegression:
    """Return the fitted regression of a model."""
    if isinstance(model, SoftmaxRegressionCV):
        return model.best_estimator_
    if not isinstance(model, SoftmaxRegression):
        raise ValueError(
            "bootstrap resamples a SoftmaxRegression, SoftmaxRegressionCV or TableClassifier, not a "
            f"{type(model).__name__}."
        )
    check_is_fitted(model, "coef_")
    return model


def _counts(labels: Array, weight: Array, size: int, classes: Array, random_state: Any) -> Array:
    """Return the counts (size, n) of the rows in each resample; every resample contains every class."""
    total = float(weight.sum())
    if not 0.5 < total <= MOST_ROWS:
        raise ValueError(
            f"the sample weights sum to {total:.6g}, but for a bootstrap they count rows, of which as many are drawn: "
            f"give weights that sum to the number of rows, between 1 and {MOST_ROWS:.0e}."
        )
    random, n = check_random_state(random_state), len(labels)
    counts = np.empty((size, n))
    todo = np.arange(size)
    for _ in range(1000):
        counts[todo] = random.multinomial(round(total), weight / total, size=len(todo))
        missing = class_mass(counts[todo], labels, len(classes)) == 0
        todo = todo[missing.any(axis=1)]
        if len(todo) == 0:
            return counts
    rare = classes[int(missing.sum(axis=0).argmax())]
    raise ValueError(
        f"nearly every resample loses a class, {spell(rare)} most often: its rows are too few for a bootstrap. Leave "
        f"the class out, or give it rows. ({round(total):,} rows are drawn, the sum of the sample weights.)"
    )


def _fit(model: SoftmaxRegression, rows: WeightedRows, V: Array, relaxed: float) -> list[Solution]:
    """Fit the resamples with weights V (m, n) as one stack, starting from the fitted weights."""
    if model.penalty == "firth":
        return [_fit_firth(model, rows, v, resample) for resample, v in enumerate(V)]
    m = len(V)
    ratio = check_parameters(model)
    strength = 0.0 if model.penalty is None else model.strength
    start = np.repeat(model.coef_.T[None], m, axis=0), np.repeat(model.intercept_[None], m, axis=0)
    result = minimise_relaxed(
        rows.X,
        rows.labels,
        V,
        len(model.classes_),
        PenaltySpec(strength, ratio, relaxed),
        start=start,
        penalty=model.penalty,
        offset=rows.offset,
        fit_intercept=model.fit_intercept,
        solver=model.solver,
        tol=model.tol,
        max_iter=model.max_iter,
    )
    pairs = zip(result.elastic_nets, result.relaxed, strict=True)
    return [
        fit if net.within_tolerance else replace(fit, gap=max(fit.gap, net.gap), status=net.status)
        for net, fit in pairs
    ]


def _fit_firth(model: SoftmaxRegression, rows: WeightedRows, v: Array, resample: int) -> Solution:
    """Return Firth's fit of one resample with row weights v (n,); the penalty depends on the rows of the resample."""
    drawn = np.flatnonzero(v)
    start = model.coef_.T[None], model.intercept_[None]
    names = getattr(model, "feature_names_in_", model._column_names)
    offset = None if rows.offset is None else rows.offset[drawn]
    sample = InMemoryRows(rows.X[drawn], rows.labels[drawn], v[drawn], offset)
    try:
        return firth.fit(model, sample, len(model.classes_), names, start)
    except ValueError as error:
        raise ValueError(f"in resample {resample}: {error}") from error


def _warn(fits: list[Solution], tol: float) -> None:
    """Warn if resamples have not converged."""
    gaps = [f.gap for f in fits if not f.within_tolerance]
    if gaps:
        warnings.warn(
            f"{len(gaps)} of {len(fits)} resamples have not converged (the largest gap is {max(gaps):.1e} nats, not "
            f"within tol={tol:g}), so their weights are rough. Without a penalty, some resamples separate classes: use "
            "one. Otherwise raise max_iter, or tol, and fit the model again.",
            ConvergenceWarning,
            stacklevel=3,
        )
