"""Prequential code length of labels (minimum description length), and the information that single columns add."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from softreg.models.calibration.temperature import Codes, Floats
from softreg.models.estimators.regression import SoftmaxRegression
from softreg.probability import Classes, Interval
from softreg.probability.intervals import design_effect, mean_interval
from softreg.rows import Array
from softreg.splits import stratified_fold_numbers

SHARES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)
"""Shares of the rows after which the model is refitted."""
PSEUDO_COUNT = 0.5
"""Rows added to each class where rates are estimated (Krichevsky and Trofimov)."""
TOL = 1e-5
"""Tolerance of the fits in nats; more precise fits do not change the code length."""


@dataclass(frozen=True)
class CodeLength:
    """Code lengths of n labels in bits, as `prequential_codelength` computes them.

    Attributes
    ----------
    rows : int
        Number of labels n.
    bits : float
        Code length given the features, by a model that is refitted to the rows before each block.
    label_bits : float
        Code length by the class rates of the rows before each label, without features.
    uniform_bits : float
        ``n * log2(q)``.
    control_bits : float
        Code length given features whose rows were shuffled, which are independent of the labels.
    """

    rows: int
    bits: float
    label_bits: float
    uniform_bits: float
    control_bits: float

    @property
    def compression(self) -> float:
        """Compression by the features, `label_bits / bits`."""
        return self.label_bits / self.bits if self.bits > 0 else math.inf

    @property
    def control_compression(self) -> float:
        """Compression of the control task, `label_bits / control_bits`; about 1 or less."""
        return self.label_bits / self.control_bits if self.control_bits > 0 else math.inf


def prequential_codelength(
    X: Array, y: Any, *, model: Any = None, shares: Sequence[float] = SHARES, seed: int = 0
) -> CodeLength:
    """Compute the prequential code length of labels given features.

    `bits = sum_b sum_{i in block b} -log2 P_b(y_i | x_i)`, with P_b fitted to the rows before block b, and class rates
    for the first block. The code length grows with prediction errors and with the number of rows that learning takes,
    so memorisation does not reduce it.

    Parameters
    ----------
    X : array, sparse matrix or data frame of shape (n, d)
        Features, of a type that `model` accepts.
    y : array_like of shape (n,)
        Hard labels.
    model : classifier, optional
        A classifier with `fit` and `predict_proba`; `SoftmaxRegression()` by default.
    shares : sequence of float, default SHARES
        Ends of the blocks as increasing shares of the rows; the last one is 1.
    seed : int, default 0
        Seed of the order of the rows.

    Returns
    -------
    CodeLength
        The code lengths in bits.

    Raises
    ------
    ValueError
        If X and y differ in length, there are fewer than two classes, or `shares` do not increase to 1.

    References
    ----------
    Dawid, "Present position and potential developments: the prequential approach" (1984).
    Voita and Titov, "Information-theoretic probing with minimum description length" (2020), Hewitt and Liang (2019) for
    the control.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = random.normal(size=(2000, 3))
    >>> code = prequential_codelength(X, X[:, 0] + 0.3 * random.normal(size=2000) > 0)
    >>> code.label_bits > 3 * code.bits, code.control_compression < 1.01
    (True, True)
    """
    classes = Classes(y)
    codes, q = np.asarray(classes.encode(y), dtype=np.int64), len(classes)
    n = X.shape[0]
    if n != len(codes) or q < 2:
        raise ValueError(
            f"X has {n} rows and y has {len(codes)} labels of {q} classes; each row needs one label, and there must be "
            "at least 2 classes."
        )
    if list(shares) != sorted(set(shares)) or shares[0] <= 0 or shares[-1] != 1:
        raise ValueError(f"shares={tuple(shares)} must increase from above 0 to 1.")
    random = np.random.default_rng(seed)
    order, other = random.permutation(n), random.permutation(n)
    ends = sorted({min(n, max(2 * q, round(share * n))) for share in shares})
    make = model if model is not None else SoftmaxRegression(tol=TOL)
    return CodeLength(
        rows=n,
        bits=_code_length(X, codes, order, order, ends, q, make),
        label_bits=float(_rate_code_bits(codes[order], np.zeros(q)).sum()),
        uniform_bits=n * math.log2(q),
        control_bits=_code_length(X, codes, order, other, ends, q, make),
    )


def _code_length(X: Array, codes: Codes, order: Codes, rows: Codes, ends: list[int], q: int, model: Any) -> float:
    """Return the code length of the labels in `order`, given the features of `rows` at the same positions."""
    from sklearn.base import clone

    y = codes[order]
    bits = float(_rate_code_bits(y[: ends[0]], np.zeros(q)).sum())
    for before, end in pairwise(ends):
        counts = np.bincount(y[:before], minlength=q)
        if np.count_nonzero(counts) < 2:  # a model needs two classes
            bits += float(_rate_code_bits(y[before:end], counts).sum())
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = clone(model).fit(_select(X, rows[:before]), y[:before])
        P = np.full((end - before, q), 0.0)
        P[:, np.asarray(fitted.classes_)] = fitted.predict_proba(_select(X, rows[before:end]))
        # Mixing in class rates with pseudo-counts keeps the probability of unseen classes positive.
        rates = (counts + PSEUDO_COUNT) / (before + q / 2)
        P = (before * P + rates * q / 2) / (before + q / 2)
        bits -= float(np.log2(P[np.arange(end - before), y[before:end]]).sum())
    return bits


def _rate_code_bits(y: Codes, counts: Array) -> Floats:
    """Return the bits (n,) of each label by the class rates of the labels before it, with pseudo-counts."""
    increments = np.zeros((len(y) + 1, len(counts)))
    increments[0] = counts + PSEUDO_COUNT
    increments[np.arange(1, len(y) + 1), y] = 1
    count = np.cumsum(increments, axis=0)[:-1]
    bits: Floats = -np.log2(count[np.arange(len(y)), y] / count.sum(axis=1))
    return bits


@dataclass(frozen=True)
class Added:
    """Information that a column or group of columns adds to the others.

    Attributes
    ----------
    name : str
        The column or group.
    nats : float
        Increase of the held-out log loss without the column, in nats a row; about 0 or negative if the other columns
        carry the same information or the column carries none.
    error : float
        Standard error of `nats`.
    interval : Interval or None
        `nats` with its 95% interval for a mean of skewed differences.
    """

    name: str
    nats: float
    error: float
    interval: Interval | None = None


def added_information(
    X: Array,
    y: Any,
    groups: Mapping[str, Sequence[int]] | None = None,
    *,
    model: Any = None,
    n_folds: int = 5,
    seed: int = 0,
    progress: Callable[[str], Any] | None = None,
) -> list[Added]:
    """Estimate the information that each column adds to the others, by cross-validation.

    `nats_j = mean_i (-log P_without_j(y_i | x_i)) - mean_i (-log P(y_i | x_i))`, with models of the other folds.

    Parameters
    ----------
    X : array, sparse matrix or data frame of shape (n, d)
        Features, of a type that `model` accepts.
    y : array_like of shape (n,)
        Hard labels.
    groups : mapping of str to sequence of int, optional
        Positions of the columns of each group, such as the indicators of one category; by default every column is a
        group.
    model : classifier, optional
        As for `prequential_codelength`.
    n_folds : int, default 5
        Number of folds.
    seed : int, default 0
        Seed of the folds.
    progress : callable, optional
        Called with the name of each group.

    Returns
    -------
    list of Added
        One record for each group, in order, from ``(len(groups) + 1) * n_folds`` fits.

    References
    ----------
    Rissanen, "Modeling by shortest data description" (1978), for the measure.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = random.normal(size=(500, 2))
    >>> a, b = added_information(X, X[:, 0] + random.normal(size=500) > 0)
    >>> a.nats > 5 * a.error, abs(b.nats) < 0.01
    (True, True)
    """
    classes = Classes(y)
    codes = np.asarray(classes.encode(y), dtype=np.int64)
    groups = groups if groups is not None else {name: [j] for j, name in enumerate(_names(X))}
    make = model if model is not None else SoftmaxRegression(tol=TOL)
    fold = stratified_fold_numbers(codes, n_folds, seed)
    with_all = _held_out(X, codes, fold, make)
    added = []
    for name, columns in groups.items():
        if progress is not None:
            progress(name)
        rest = np.setdiff1d(np.arange(X.shape[1]), np.asarray(columns))
        difference = _held_out(_select(X, None, rest), codes, fold, make) - with_all
        error = float(difference.std(ddof=1) / math.sqrt(len(codes))) if len(codes) > 1 else math.inf
        added.append(Added(str(name), float(difference.mean()), error, mean_interval(difference)))
    return added


def added_on_rows(
    X: Array,
    y: Any,
    X_new: Array,
    y_new: Any,
    groups: Mapping[str, Sequence[int]],
    *,
    model: Any = None,
    dependent: Array | None = None,
) -> list[Added]:
    """Estimate the information that each group of columns adds to the others, on given held-out rows.

    `nats_j = mean_i (log P(y_i | x_i) - log P_without_j(y_i | x_i))` over the new rows, with models fitted to X and y.

    Parameters
    ----------
    X : array, sparse matrix or data frame of shape (n, d)
        Training features.
    y : array_like of shape (n,)
        Training labels.
    X_new : array, sparse matrix or data frame of shape (m, d)
        Held-out features.
    y_new : array_like of shape (m,)
        Held-out labels.
    groups : mapping of str to sequence of int
        Positions of the columns of each group.
    model : classifier, optional
        As for `prequential_codelength`.
    dependent : ndarray of shape (m,), optional
        Group of each new row; rows of one group may depend on each other, and standard errors are those of independent
        groups.

    Returns
    -------
    list of Added
        One record for each group, in order, from ``len(groups) + 1`` fits.

    Raises
    ------
    ValueError
        If a held-out label does not occur in y.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = random.normal(size=(900, 2))
    >>> y = X[:, 0] + random.normal(size=900) > 0
    >>> a, b = added_on_rows(X[:600], y[:600], X[600:], y[600:], {"a": [0], "b": [1]})
    >>> a.nats > 5 * a.error, abs(b.nats) < 0.01
    (True, True)
    """
    classes = Classes(y)
    codes, new = (np.asarray(classes.encode(labels), dtype=np.int64) for labels in (y, y_new))
    make = model if model is not None else SoftmaxRegression(tol=TOL)
    whole = _fitted(make, X, codes)
    with_all = _losses(whole, X_new, new)
    added = []
    for name, columns in groups.items():
        rest = np.setdiff1d(np.arange(X.shape[1]), np.asarray(columns))
        difference = _without(whole, rest, X, codes, X_new, new) - with_all
        error = float(difference.std(ddof=1) / math.sqrt(len(new))) if len(new) > 1 else math.inf
        if dependent is not None:
            error *= math.sqrt(design_effect(difference, dependent)[0])
        added.append(Added(str(name), float(difference.mean()), error, mean_interval(difference, groups=dependent)))
    return added


def _held_out(X: Array, codes: Codes, fold: Codes, model: Any) -> Floats:
    """Return the log loss (n,) of each row by a model of the other folds."""
    losses = np.empty(len(codes))
    for k in np.unique(fold):
        inside, rest = fold == k, fold != k
        if X.shape[1] == 0:
            losses[inside] = _rates_losses(codes[rest], codes[inside])
        else:
            fitted = _fitted(model, _select(X, np.flatnonzero(rest)), codes[rest])
            losses[inside] = _losses(fitted, _select(X, np.flatnonzero(inside)), codes[inside])
    return losses


def _without(whole: Any, rest: Codes, X: Array, codes: Codes, X_new: Array, new: Codes) -> Floats:
    """Return the log loss of new rows by a model of the columns `rest`, warm-started from the full model."""
    if len(rest) == 0:
        return _rates_losses(codes, new)
    start = None
    if isinstance(whole, SoftmaxRegression):
        start = whole.classes_, whole.coef_[:, rest], whole.intercept_
    return _losses(_fitted(whole, _select(X, None, rest), codes, start), _select(X_new, None, rest), new)


def _fitted(model: Any, X: Array, codes: Codes, start: tuple[Any, Array, Array] | None = None) -> Any:
    from sklearn.base import clone

    fresh = clone(model)
    if start is not None:
        fresh.set_params(warm_start=True)
        fresh.classes_, fresh.coef_, fresh.intercept_ = start
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fresh.fit(X, codes)


def _select(X: Any, rows: Codes | None, columns: Codes | None = None) -> Any:
    """Select rows or columns by position from an array, a sparse matrix or a data frame."""
    if rows is None and columns is None:
        return X
    index, axis = (columns, 1) if rows is None else (rows, 0)
    if isinstance(X, np.ndarray) or not hasattr(X, "columns"):
        return X[:, index] if axis else X[index]
    from sklearn.utils import _safe_indexing

    return _safe_indexing(X, index, axis=axis)


def _names(X: Any) -> list[str]:
    """Return the column names of a data frame, or x0, x1, ... for an array."""
    if isinstance(X, np.ndarray) or not hasattr(X, "columns"):
        return [f"x{j}" for j in range(X.shape[1])]
    return [str(name) for name in (X.column_names if hasattr(X, "column_names") else X.columns)]


def _rates_losses(codes: Codes, new: Codes) -> Floats:
    """Return the log loss of new labels by the class rates of `codes`."""
    rates = np.bincount(codes, minlength=int(new.max()) + 1) / len(codes)
    with np.errstate(divide="ignore"):
        return np.asarray(0.0 - np.log(rates[new]))


def _losses(fitted: Any, X_new: Array, new: Codes) -> Floats:
    """Return the log loss of new rows by a fitted model; infinite for classes that it does not have."""
    P = fitted.predict_proba(X_new)
    column = np.minimum(np.searchsorted(fitted.classes_, new), len(fitted.classes_) - 1)
    known = fitted.classes_[column] == new
    with np.errstate(divide="ignore"):
        return np.asarray(0.0 - np.log(np.where(known, np.minimum(P[np.arange(len(column)), column], 1.0), 0.0)))
