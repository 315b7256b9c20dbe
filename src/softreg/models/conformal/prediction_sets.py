"""Prediction sets by split conformal prediction."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from softreg.deprecated import accept_deprecated_arguments
from softreg.models.calibration.calibrator import probability_matrix
from softreg.models.calibration.temperature import Codes, Floats
from softreg.models.conformal.class_clusters import cluster_classes
from softreg.models.conformal.conformal_inputs import (
    check_parameters,
    check_weights,
    class_group_codes,
    find_groups,
    fit_groups,
    row_blocks,
)
from softreg.models.conformal.conformal_thresholds import (
    Cells,
    Thresholds,
    coverage_quantiles,
    least_rows,
    make_cells,
    make_thresholds,
    ranks,
)
from softreg.models.conformal.conformity_scores import HALF
from softreg.models.conformal.label_scores import ScoreSettings, label_scores
from softreg.models.conformal.sets_state import sets_from_state, sets_to_state
from softreg.models.inputs.sample_and_class_weights import rescale_extreme_weights, sample_weights
from softreg.models.serialization.model_file import write_model
from softreg.probability import Classes
from softreg.probability.labels import check_codes
from softreg.typing import Array

Sets = NDArray[np.bool_]


@dataclass(frozen=True)
class CoverageInterval:
    """Coverage of one threshold that a user will see, given its calibration rows.

    Attributes
    ----------
    group : object
        Label of the group of rows; None without groups and for the pool of small groups.
    classes : tuple
        Labels that share the threshold.
    pooled : bool
        Whether the threshold is that of the pool of small groups or classes.
    n_rows : int
        Number of calibration rows.
    expected : float
        Expected coverage, r / (n + 1), r = ceil((n + 1) level).
    lower, upper : float
        Ends of the interval of the coverage.
    """

    group: Any
    classes: tuple[Any, ...]
    pooled: bool
    n_rows: int
    expected: float
    lower: float
    upper: float


class PredictionSets(BaseEstimator):  # type: ignore[misc]
    """Prediction sets of any classifier with guaranteed coverage, by split conformal prediction.

    With the score s(P, k) of class k (large for improbable classes), the prediction set of a row is::

        { k : s(P, k) <= t },   t = the ceil((n + 1) * level)-th smallest of s(P_1, y_1) .. s(P_n, y_n)

    over the n held-out rows of `fit`. If held-out and new rows are exchangeable::

        level <= P(label in set) <= level + 1 / (n + 1)

    The upper bound requires scores without ties and ``empty=True``. The statement is marginal (averaged over rows,
    held-out rows included) and assumes neither a correct model nor calibration. Given the held-out rows, the coverage
    of further rows is, without ties, distributed as Beta(r, n + 1 - r) with r = ceil((n + 1) * level);
    `coverage_intervals` returns its quantiles.

    With `per_class`, `class_groups` or `groups` of `fit`, t is computed for each class, group of classes or group of
    rows, and both bounds and the distribution hold for the rows of each, with its own n. With weights w proportional to
    the likelihood ratio of new to held-out rows, t is the level-quantile of the weighted scores with the weight of the
    new row at infinity, and coverage under the distribution of the new rows is at least `level`.

    Scores that differ by no more than the rounding of the less precise input (that of `fit` or that of `predict`;
    float16, float32 or float64) count as equal, and a score equal to t is inside.

    Parameters
    ----------
    level : float, default 0.9
        Coverage, between 0 and 1.
    conformity_score : {"probability", "cumulative", "prevalence"}, default "probability"
        "probability" is s = -P_k: the smallest sets on average; difficult rows are covered less often than easy ones.
        "cumulative" is the mass of the classes more probable than k, plus u times that of k: coverage is more even.
        The u, uniform on (0, 1), is a function of the sorted probabilities of the row, so the set of a row does not
        depend on other rows, on their order or on the size of a batch.
        "prevalence" is s = -P_k / prevalence_k (prevalence-adjusted softmax): for a given average size, if P is right,
        the largest macro coverage, the average of the coverage of each class. Rare classes are covered more often.
    per_class : bool, default False
        Whether every class has its own t, which gives the coverage for each class. It needs about 1 / (1 - level) rows
        of each class.
    empty : bool, default False
        Whether a set may be empty. If not, the most probable class replaces an empty set, so a model whose accuracy is
        above `level` has that coverage.
    seed : int, default 0
        Seed of the function u of "cumulative", and of the groups of ``class_groups="cluster"``.
    class_groups : array_like of shape (q,) or "cluster", optional
        Group of each class, in the order of the columns of P; classes of a group share a threshold, and coverage holds
        for the rows whose label is in the group. "cluster" forms groups of classes with similar quantiles of scores
        on a random part of the rows of `fit` (clustered conformal prediction), which are not used again.
    interpolation : float, default 1.0
        With `per_class` or `class_groups`: the threshold is ``interpolation * own + (1 - interpolation) * common``,
        from 0 (one threshold) to 1. A threshold of too few rows counts as the largest possible score. In between, the
        sets contain the intersection of those at 0 and 1, so marginal coverage is at least ``2 * level - 1`` by theory;
        it is usually near `level`. Nothing is guaranteed for each class.
    rare_classes : {"include", "pool"}, default "include"
        With `per_class` or `class_groups`: a class or group with fewer than `min_rows` rows is in every set, or shares
        one threshold with all other such ones, with coverage for the rows of all of them together.
    min_rows : int, default 0
        Least number of rows of a threshold; at least ceil(level / (1 - level)), the least number with a finite one.

    Attributes
    ----------
    classes_ : ndarray of shape (q,)
        Class labels.
    groups_ : ndarray of shape (m,) or None
        Labels of the groups of rows.
    class_groups_ : ndarray of shape (q,)
        Number of the group of each class.
    thresholds_ : ndarray of shape (q,), or (m + 1, q) with groups
        Threshold t of each class, and in each group of rows; the last row is for groups without rows in `fit`. With
        weights, it is for a new row of the mean weight.
    n_rows_ : ndarray of shape (q,), or (m + 1, q) with groups
        Number of rows from which each threshold was computed.

    References
    ----------
    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005).
    Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers with bounded error levels" (2019).
    Romano, Sesia and Candes, "Classification with valid and adaptive coverage" (2020).
    Tibshirani, Foygel Barber, Candes and Ramdas, "Conformal prediction under covariate shift" (2019).
    Ding, Angelopoulos, Bates, Jordan and Tibshirani, "Class-conditional conformal prediction with many classes" (2023).
    Ding, Fermanian and Salmon, "Conformal prediction for long-tailed classification" (2025).

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
        conformity_score: Literal["probability", "cumulative", "prevalence"] = "probability",
        per_class: bool = False,
        empty: bool = False,
        seed: int = 0,
        class_groups: ArrayLike | Literal["cluster"] | None = None,
        interpolation: float = 1.0,
        rare_classes: Literal["include", "pool"] = "include",
        min_rows: int = 0,
    ) -> None:
        self.level = level
        self.conformity_score = conformity_score
        self.per_class = per_class
        self.empty = empty
        self.seed = seed
        self.class_groups = class_groups
        self.interpolation = interpolation
        self.rare_classes = rare_classes
        self.min_rows = min_rows

    def fit(
        self,
        P: ArrayLike | Iterator[ArrayLike],
        y: Any,
        classes: Any = None,
        *,
        groups: Any = None,
        weights: ArrayLike | None = None,
        prevalence: ArrayLike | None = None,
    ) -> PredictionSets:
        """Compute the thresholds from held-out rows.

        Parameters
        ----------
        P : array_like of shape (n, q), or iterator of such arrays
            Probabilities of rows that the model was not trained on. Rows are read in blocks, and an iterator yields the
            blocks, so that the probabilities of all rows need not be in memory.
        y : array_like of shape (n,)
            Labels of all rows.
        classes : array_like of shape (q,), optional
            Class of each column of P, as in `Calibrator.fit`.
        groups : array_like of shape (n,), optional
            Group of each row, such as a hospital. Each group has its own threshold; those with fewer than `min_rows`
            rows, and groups that are new in `predict`, share one, with coverage for the rows of all of them together.
        weights : array_like of shape (n,), optional
            Likelihood ratio of the distribution of the new rows to that of these rows, up to a constant factor.
        prevalence : array_like of shape (q,), optional
            Class rates of the training rows, for ``conformity_score="prevalence"``. The guarantee requires that they
            do not depend on the rows of `fit`.

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
        check_parameters(self)
        found = label_scores(P, y, classes, ScoreSettings(self.conformity_score, self.seed, prevalence))
        self._precision, self._score, codes, q = found.precision, found.score, found.codes, len(found.classes)
        self.groups_, group = fit_groups(groups, len(codes))
        weight = check_weights(weights, (len(codes),))
        self.class_groups_, rows = np.zeros(q, dtype=np.int64), np.arange(len(codes))
        if isinstance(self.class_groups, str):
            self.class_groups_, rows = cluster_classes(found.fine, codes, q, self.level, self.seed)
        elif self.class_groups is not None or self.per_class:
            self.class_groups_ = np.arange(q) if self.per_class else class_group_codes(self.class_groups, q)
        self.weighted_ = weight is not None
        self.classes_ = found.classes.labels
        n_class_groups = int(self.class_groups_.max()) + 1
        self._cells = self._make_cells(group[rows], self.class_groups_[codes[rows]], n_class_groups)
        self._common = self._make_cells(group[rows], np.zeros(len(rows), dtype=np.int64), 1)
        weight = weight if weight is None else weight[rows]
        self._thresholds = tuple(
            make_thresholds(cells, scores[rows], weight, self.level)
            for cells in (self._cells, self._common)
            for scores in (found.fine, found.half)
        )
        self._set_public_thresholds()
        return self

    def _make_cells(self, group: Codes, class_group: Codes, n_class_groups: int) -> Cells:
        n_groups = 1 if self.groups_ is None else len(self.groups_)
        least = max(int(self.min_rows), least_rows(self.level))
        pool_groups, pool_classes = self.groups_ is not None, self.rare_classes == "pool" and n_class_groups > 1
        shape = n_groups, n_class_groups
        return make_cells(group, class_group, shape, least, pool_groups=pool_groups, pool_classes=pool_classes)

    def _set_public_thresholds(self) -> None:
        """Set `thresholds_` and `n_rows_`."""
        table = self._cells.table[:, self.class_groups_]
        self.n_rows_ = self._cells.n_rows[table]
        values = self._thresholds[0].values[table]
        if self.interpolation < 1:
            values = self._interpolate(values, self._thresholds[2].values[self._common.table])
        self.thresholds_ = values
        if self.groups_ is None:
            self.thresholds_, self.n_rows_ = values[0], self.n_rows_[0]

    def _interpolate(self, own: Floats, common: Floats) -> Floats:
        """Return the thresholds between own and common ones; an own one of too few rows is the largest score."""
        if self.interpolation == 0:
            return np.broadcast_to(common, own.shape)
        share = self.interpolation
        return np.asarray(share * np.minimum(own, self._score.largest) + (1 - share) * common)

    def predict(self, P: ArrayLike, *, groups: Any = None, weights: ArrayLike | None = None) -> Sets:
        """Return the prediction sets of new rows.

        Parameters
        ----------
        P : array_like of shape (n, q)
            Probabilities.
        groups : array_like of shape (n,)
            Group of each row, if `fit` received groups.
        weights : array_like of shape (n,) or (n, q)
            Likelihood ratio of each new row, on the scale of those of `fit`, if that received weights. Those of (n, q)
            depend on the class, as under label shift.

        Returns
        -------
        ndarray of bool of shape (n, q)
            Whether each class is in the set, in the order of `classes_`.

        Raises
        ------
        ValueError
            If P does not fit the classes, or groups or weights are missing, or were not given to `fit`.
        """
        blocks = [inside for _, inside in self._blocks(P, groups, weights)]
        return np.concatenate(blocks) if blocks else np.empty((0, len(self.classes_)), dtype=bool)

    def _blocks(self, P: Any, groups: Any, weights: Any) -> Iterator[tuple[Floats, Sets]]:
        """Yield probabilities and sets of blocks of rows."""
        check_is_fitted(self, "thresholds_")
        P = np.asarray(P)
        if P.ndim != 2 or not len(P):
            probability_matrix(P)
        n = len(P)
        group = find_groups(groups, n, self.groups_)
        if (weights is None) == self.weighted_:
            seen, now = ("with", "without") if self.weighted_ else ("without", "with")
            raise ValueError(f"the sets were fitted {seen} weights and are predicted {now}; give weights= to both.")
        weight = check_weights(weights, (n,), (n, len(self.classes_)))
        start = 0
        for given, block in row_blocks(P):
            if block.shape[1] != len(self.classes_):
                raise ValueError(f"P has {block.shape[1]} columns, but was fitted with {len(self.classes_)} classes.")
            rows = slice(start, start + len(block))
            start += len(block)
            yield block, self._sets_of_block(given, block, group[rows], None if weight is None else weight[rows])

    def _sets_of_block(self, given: Array, P: Floats, group: Codes, weight: Floats | None) -> Sets:
        precision = self._precision
        if given.dtype.kind == "f":
            precision = max(precision, float(np.finfo(given.dtype).eps))
        half = precision >= HALF
        if weight is None and self.groups_ is None:
            group = group[:1]  # one row of thresholds for all
        t = self._threshold_of(group, weight, half)
        scores = self._score.of_classes(P, half)
        inside = np.asarray(scores <= t + self._score.rounding(P, precision, t))
        if not self.empty:
            none = ~inside.any(axis=1)
            inside[none, P[none].argmax(axis=1)] = True
        return inside

    def _threshold_of(self, group: Codes, weight: Floats | None, half: bool) -> Floats:
        """Return the thresholds of rows of these groups, (n, q) or (1, q)."""
        own, common = self._thresholds[int(half)], self._thresholds[2 + int(half)]
        t = _expanded(own, self._cells.table[group], self.class_groups_, weight, self.level)
        if self.interpolation < 1:
            zero = np.zeros(len(self.classes_), dtype=np.int64)
            t = self._interpolate(t, _expanded(common, self._common.table[group], zero, weight, self.level))
        return t

    def predict_labels(
        self, P: ArrayLike, *, groups: Any = None, weights: ArrayLike | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the prediction set of each row as a tuple of labels, most likely first.

        Parameters
        ----------
        P : array_like of shape (n, q)
            Probabilities; rows are processed in blocks, without an array of the sets of all rows.
        groups, weights : array_like, optional
            As in `predict`.

        Returns
        -------
        list of tuple
            Numbers and text are Python values.
        """
        names = _python_labels(self.classes_)
        found: list[tuple[Any, ...]] = []
        for block, inside in self._blocks(P, groups, weights):
            order = np.argsort(-block, axis=1, kind="stable")
            ordered = np.take_along_axis(inside, order, axis=1)
            found += [tuple(names[k] for k in row[member]) for row, member in zip(order, ordered, strict=True)]
        return found

    def score(
        self, P: ArrayLike, y: Any, sample_weight: Any = None, *, groups: Any = None, weights: ArrayLike | None = None
    ) -> float:
        """Return the coverage: the weighted share of rows whose label (n,) is in their prediction set."""
        codes = Classes.of(self.classes_).find(y)
        blocks, start = [], 0
        for _, inside in self._blocks(P, groups, weights):
            here = codes[start : start + len(inside)]
            blocks.append(inside[np.arange(len(here)), here] & (here >= 0))
            start += len(inside)
        if len(codes) != start:
            raise ValueError(f"P has {start} rows and y has {len(codes)} labels; each row needs one label.")
        covered = np.concatenate(blocks)
        weight = None if sample_weight is None else rescale_extreme_weights(sample_weights(sample_weight, len(covered)))
        return float(np.average(covered, weights=weight))

    def coverage_intervals(
        self, confidence: float = 0.95, *, new_rows: int | None = None
    ) -> tuple[CoverageInterval, ...]:
        """Return the coverage to expect of each threshold, given the rows of `fit`.

        Without ties between scores and with ``empty=True``, the expected coverage of further rows is distributed as
        Beta(r, n + 1 - r), r = ceil((n + 1) level), over the draw of the n rows, and the share of covered ones among m
        new rows as Beta-binomial(m, r, n + 1 - r) / m. Otherwise coverage is higher, and `lower` still holds.

        Parameters
        ----------
        confidence : float, default 0.95
            Probability of the interval, with half of the rest on each side.
        new_rows : int, optional
            Number m of new rows of the threshold's own group and classes whose covered share will be seen. By default
            unlimited.

        Returns
        -------
        tuple of CoverageInterval
            One for each threshold.

        Raises
        ------
        ValueError
            With weights or with an interpolation between 0 and 1, for which the distribution is not known.

        Examples
        --------
        >>> random = np.random.default_rng(0)
        >>> p = random.random((200, 1))
        >>> sets = PredictionSets(0.9).fit(np.hstack([p, 1 - p]), random.random(200) > p[:, 0], classes=[True, False])
        >>> interval = sets.coverage_intervals()[0]
        >>> print(f"{interval.expected:.3f} ({interval.lower:.3f} to {interval.upper:.3f})")
        0.900 (0.856 to 0.938)
        """
        check_is_fitted(self, "thresholds_")
        if self.weighted_ or 0 < self.interpolation < 1:
            what = "with weights" if self.weighted_ else "between own and common thresholds (0 < interpolation < 1)"
            raise ValueError(f"the distribution of the coverage {what} is not known; measure it with score(P, y).")
        if not 0 < confidence < 1 or (new_rows is not None and not new_rows >= 1):
            raise ValueError(
                f"confidence={confidence!r} must be between 0 and 1, and new_rows={new_rows!r} at least 1."
            )
        own = self.interpolation > 0
        cells, class_group = (self._cells, self.class_groups_) if own else (self._common, 0 * self.class_groups_)
        used = np.unique(cells.table if self.groups_ is not None else cells.table[:1])
        n, tail = cells.n_rows[used], (1 - confidence) / 2
        rank = ranks(n, self.level)
        expected = np.where(rank <= n, rank / (n + 1), 1.0)
        lower, upper = (coverage_quantiles(n, self.level, p, new_rows) for p in (tail, 1 - tail))
        found = []
        for j, cell in enumerate(used):
            row, columns = np.nonzero(cells.table == cell)
            pooled = bool(cell >= cells.first_pool)
            group = None if pooled or self.groups_ is None else _python_labels(self.groups_[row[:1]])[0]
            members = tuple(_python_labels(self.classes_[np.isin(class_group, columns)]))
            ends = float(expected[j]), float(lower[j]), float(upper[j])
            found.append(CoverageInterval(group, members, pooled, int(n[j]), *ends))
        return tuple(found)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted sets to one file, completely or not at all; `softreg.load` reads it.

        Parameters
        ----------
        path : path
            The file.

        Examples
        --------
        >>> PredictionSets(0.5).fit([[0.8, 0.2], [0.3, 0.7]], ["no", "yes"]).save("sets.softreg")
        """
        check_is_fitted(self, "thresholds_")
        write_model(path, "prediction_sets", *sets_to_state(self))

    @classmethod
    def from_state(cls, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> PredictionSets:
        """Return the sets that `save` described.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Thresholds.
        metadata : mapping
            Everything else.

        Returns
        -------
        PredictionSets
            The fitted object.

        Raises
        ------
        ValueError
            If parts of the state do not match.
        """
        sets = cls()
        sets_from_state(sets, arrays, metadata)
        return sets


def _expanded(thresholds: Thresholds, cells: Codes, class_group: Codes, weight: Floats | None, level: float) -> Floats:
    """Return thresholds (n, q) of the cells (n, groups of classes) of rows."""
    if weight is not None and weight.shape[1] > 1:
        return thresholds.at(cells[:, class_group], weight, level)
    return thresholds.at(cells, weight, level)[:, class_group]


def _python_labels(labels: Array) -> list[Any]:
    """Return labels as Python values where their type has them."""
    return list(labels.tolist() if labels.dtype.kind in "biufU" else labels)


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
    return float(_covered(sets, codes)[0].mean())


def class_coverage(sets: Sets, codes: ArrayLike) -> Floats:
    """Return the coverage of each class, whose mean is the macro coverage.

    Parameters
    ----------
    sets : ndarray of bool of shape (n, q)
        Sets, as `PredictionSets.predict` returns them.
    codes : array_like of shape (n,)
        Column of each label, from 0 to q - 1.

    Returns
    -------
    ndarray of shape (q,)
        Share of the rows of each class whose set contains it; nan for a class without rows.

    Raises
    ------
    ValueError
        If the codes do not fit the sets.

    Examples
    --------
    >>> class_coverage(np.array([[True, False], [True, True], [False, True]]), [0, 0, 1])
    array([1., 1.])
    """
    covered, at = _covered(sets, codes)
    q = np.shape(sets)[1]
    counts = np.bincount(at, minlength=q)
    hits = np.bincount(at, weights=covered, minlength=q)
    return np.asarray(np.divide(hits, counts, out=np.full(q, np.nan), where=counts > 0))


def _covered(sets: Sets, codes: ArrayLike) -> tuple[Sets, Codes]:
    """Return whether the set of each row contains its label, and the checked codes."""
    sets = np.asarray(sets)
    at = check_codes(codes, sets.shape[1], "codes")
    if at.shape != sets.shape[:1]:
        raise ValueError(f"codes must hold one code for each of {len(sets)} rows; seen: shape {at.shape}.")
    return sets[np.arange(len(at)), at], at
