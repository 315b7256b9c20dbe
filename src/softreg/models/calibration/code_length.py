"""Minimum description length: how many bits the labels take, each predicted by a model of the labels before it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from softreg.models.calibration.temperature import Codes, Floats, folds
from softreg.models.estimators.regression import SoftmaxRegression
from softreg.probability import Classes
from softreg.probability.intervals import design_effect
from softreg.rows import Array

SHARES = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)
"""Shares of the rows after which the model is fitted anew."""


@dataclass(frozen=True)
class CodeLength:
    """Bits that describe n labels; made by `prequential_codelength`.

    `bits` given the features, by a model that is fitted again and again to the rows sent so far; `label_bits` by the
    class rates seen so far, without features; `uniform_bits` = n log2 q; `control_bits` given features whose rows were
    shuffled, so that they carry no information: the cost of learning alone.
    """

    rows: int
    bits: float
    label_bits: float
    uniform_bits: float
    control_bits: float

    @property
    def compression(self) -> float:
        """How many times shorter the labels become by knowing the features: `label_bits / bits`."""
        return self.label_bits / self.bits if self.bits > 0 else math.inf

    @property
    def control_compression(self) -> float:
        """The same for the control task; about 1, or less, as learning from noise costs something."""
        return self.label_bits / self.control_bits if self.control_bits > 0 else math.inf


def prequential_codelength(
    X: Array, y: Any, *, model: Any = None, shares: Sequence[float] = SHARES, seed: int = 0
) -> CodeLength:
    """Describe the labels given the features, block by block, each by a model of the blocks before it.

    `bits = sum_b sum_{i in block b} -log2 P_b(y_i | x_i)`, P_b fitted to the rows before block b, the first block by
    class rates alone. It pays for wrong predictions and for the rows that learning takes, so that memorisation does not
    make it short.

    Parameters
    ----------
    X : ndarray
        (n, d), an array, a sparse matrix or, for a model that takes one, a frame.
    y : Any
        (n,), hard labels.
    model : Any, optional
        A classifier with `fit` and `predict_proba`; `SoftmaxRegression()` unless given.
    shares : Sequence[float], default SHARES
        Rising, the last one 1.
    seed : int, default 0
        The order of the rows.

    Returns
    -------
    CodeLength
        Describe the labels given the features, block by block, each by a model of the blocks before it.

    Raises
    ------
    ValueError
        For labels that do not fit, less than two classes or shares that do not rise.

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
            f"X has {n} rows and y {len(codes)} labels of {q} classes; both must fit, with 2 classes or more."
        )
    if list(shares) != sorted(set(shares)) or shares[0] <= 0 or shares[-1] != 1:
        raise ValueError(f"shares={tuple(shares)} must rise from above 0 to 1.")
    random = np.random.default_rng(seed)
    order, other = random.permutation(n), random.permutation(n)
    ends = sorted({min(n, max(2 * q, round(share * n))) for share in shares})
    make = model if model is not None else SoftmaxRegression(tol=1e-5)
    return CodeLength(
        rows=n,
        bits=_described(X, codes, order, order, ends, q, make),
        label_bits=float(_rates_bits(codes[order], np.zeros(q)).sum()),
        uniform_bits=n * math.log2(q),
        control_bits=_described(X, codes, order, other, ends, q, make),
    )


def _described(X: Array, codes: Codes, order: Codes, rows: Codes, ends: list[int], q: int, model: Any) -> float:
    """Bits of the labels in `order`, each beside the features of the row at the same place of `rows`."""
    from sklearn.base import clone

    y = codes[order]
    bits = float(_rates_bits(y[: ends[0]], np.zeros(q)).sum())
    for before, end in pairwise(ends):
        seen = np.bincount(y[:before], minlength=q)
        if np.count_nonzero(seen) < 2:  # nothing to learn yet
            bits += float(_rates_bits(y[before:end], seen).sum())
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # near the optimum is enough for a code
            fitted = clone(model).fit(_taken(X, rows[:before]), y[:before])
        P = np.full((end - before, q), 0.0)
        P[:, np.asarray(fitted.classes_)] = fitted.predict_proba(_taken(X, rows[before:end]))
        # What was not seen yet must stay possible: the rates of the rows so far get a part that shrinks as rows come.
        rates = (seen + 0.5) / (before + q / 2)
        P = (before * P + rates * q / 2) / (before + q / 2)
        bits -= float(np.log2(P[np.arange(end - before), y[before:end]]).sum())
    return bits


def _rates_bits(y: Codes, seen: NDArray[Any]) -> Floats:
    """Bits (n,) of each label by the rates of those before it, half a row added to each class."""
    q = len(seen)
    one = np.zeros((len(y) + 1, q))
    one[0] = seen + 0.5
    one[np.arange(1, len(y) + 1), y] = 1
    count = np.cumsum(one, axis=0)[:-1]
    bits: Floats = -np.log2(count[np.arange(len(y)), y] / count.sum(axis=1))
    return bits


@dataclass(frozen=True)
class Added:
    """What a column (or a group of columns) adds to the others: `nats` a row, with its standard `error`.

    `nats` is by how much the held-out log loss rises without the column; about 0 or below where the others carry the
    same information, or where it carries none.
    """

    name: str
    nats: float
    error: float


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
    """By how much the code of held-out labels grows without each column: what it adds to all the others.

    `nats_j = mean_i (-log P_without_j(y_i | x_i)) - mean_i (-log P(y_i | x_i))`, each row by a model of the other folds

    Parameters
    ----------
    X : ndarray
        (n, d), an array, a sparse matrix or, for a model that takes one, a frame.
    y : Any
        (n,).
    groups : Mapping[str, Sequence[int]], optional
        Name -> places of columns of X that go together (the indicators of one category); every column by itself unless
        given.
    model : Any, optional
        As for `prequential_codelength`.
    progress : Callable[[str], Any], optional
        Called with each name.

    Returns
    -------
    list[Added]
        A record for each group, in order. It takes (groups + 1) * n_folds fits.

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
    make = model if model is not None else SoftmaxRegression(tol=1e-5)
    fold = folds(codes, n_folds, seed)
    with_all = _held_out(X, codes, fold, make)
    found = []
    for name, columns in groups.items():
        if progress is not None:
            progress(name)
        rest = np.setdiff1d(np.arange(X.shape[1]), np.asarray(columns))
        difference = _held_out(_taken(X, None, rest), codes, fold, make) - with_all
        error = float(difference.std(ddof=1) / math.sqrt(len(codes))) if len(codes) > 1 else math.inf
        found.append(Added(str(name), float(difference.mean()), error))
    return found


def added_on_rows(
    X: Array,
    y: Any,
    X_new: Array,
    y_new: Any,
    groups: Mapping[str, Sequence[int]],
    *,
    model: Any = None,
    dependent: NDArray[Any] | None = None,
) -> list[Added]:
    """Return the loss reduction that each group of columns adds to the others, on given held-out rows.

    `nats_j = mean_i (log P(y_i | x_i) - log P_without_j(y_i | x_i))` over the new rows, both fitted to X and y

    Parameters
    ----------
    X : ndarray
        (n, d), y: (n,), X_new: (m, d), y_new: (m,) with labels of y. `dependent` (m,) marks new rows that depend on
        each other by equal values: errors are then those of independent groups of rows. It takes groups + 1 fits.

    Returns
    -------
    list[Added]
        What each group of columns adds to the others on given held-out rows.

    Raises
    ------
    ValueError
        For a label that the training rows do not have.

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
    make = model if model is not None else SoftmaxRegression(tol=1e-5)
    whole = _fitted(make, X, codes)
    with_all = _losses(whole, X_new, new)
    found = []
    for name, columns in groups.items():
        rest = np.setdiff1d(np.arange(X.shape[1]), np.asarray(columns))
        difference = _without(whole, rest, X, codes, X_new, new) - with_all
        error = float(difference.std(ddof=1) / math.sqrt(len(new))) if len(new) > 1 else math.inf
        if dependent is not None:
            error *= math.sqrt(design_effect(difference, dependent)[0])
        found.append(Added(str(name), float(difference.mean()), error))
    return found


def _held_out(X: Array, codes: Codes, fold: Codes, model: Any) -> Floats:
    """Surprisal (n,) in nats of each label by a model of the other folds."""
    losses = np.empty(len(codes))
    for k in np.unique(fold):
        inside, rest = fold == k, fold != k
        if X.shape[1] == 0:
            losses[inside] = _rates_losses(codes[rest], codes[inside])
        else:
            fitted = _fitted(model, _taken(X, np.flatnonzero(rest)), codes[rest])
            losses[inside] = _losses(fitted, _taken(X, np.flatnonzero(inside)), codes[inside])
    return losses


def _without(whole: Any, rest: Codes, X: Array, codes: Codes, X_new: Array, new: Codes) -> Floats:
    """Surprisal of new labels by a model of the columns `rest`, which starts from that of all."""
    if len(rest) == 0:
        return _rates_losses(codes, new)
    start = None
    if isinstance(whole, SoftmaxRegression):
        start = whole.classes_, whole.coef_[:, rest], whole.intercept_
    return _losses(_fitted(whole, _taken(X, None, rest), codes, start), _taken(X_new, None, rest), new)


def _fitted(model: Any, X: Array, codes: Codes, start: tuple[Any, Array, Array] | None = None) -> Any:
    from sklearn.base import clone

    fresh = clone(model)
    if start is not None:
        fresh.set_params(warm_start=True)
        fresh.classes_, fresh.coef_, fresh.intercept_ = start
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fresh.fit(X, codes)


def _taken(X: Any, rows: Codes | None, columns: Codes | None = None) -> Any:
    """Return rows or columns, by their places, of an array, a sparse matrix or a frame."""
    if rows is None and columns is None:
        return X
    places, axis = (columns, 1) if rows is None else (rows, 0)
    if isinstance(X, np.ndarray) or not hasattr(X, "columns"):
        return X[:, places] if axis else X[places]
    from sklearn.utils import _safe_indexing

    return _safe_indexing(X, places, axis=axis)


def _names(X: Any) -> list[str]:
    """Return the names of the columns of a frame; x0, x1 and so on for an array."""
    if isinstance(X, np.ndarray) or not hasattr(X, "columns"):
        return [f"x{j}" for j in range(X.shape[1])]
    return [str(name) for name in (X.column_names if hasattr(X, "column_names") else X.columns)]


def _rates_losses(codes: Codes, new: Codes) -> Floats:
    """Surprisal in nats of new labels by the rates of the others."""
    rates = np.bincount(codes, minlength=int(new.max()) + 1) / len(codes)
    with np.errstate(divide="ignore"):
        return np.asarray(0.0 - np.log(rates[new]))


def _losses(fitted: Any, X_new: Array, new: Codes) -> Floats:
    """Surprisal in nats of new labels by a fitted model; infinite for one that it does not know."""
    P = fitted.predict_proba(X_new)
    place = np.minimum(np.searchsorted(fitted.classes_, new), len(fitted.classes_) - 1)
    known = fitted.classes_[place] == new
    with np.errstate(divide="ignore"):
        return np.asarray(0.0 - np.log(np.where(known, np.minimum(P[np.arange(len(place)), place], 1.0), 0.0)))
