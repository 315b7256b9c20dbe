"""Search for groups of rows whose probabilities are wrong, over values of columns and of pairs of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from softreg.models.calibration.calibrator import classes_of_columns, probability_matrix
from softreg.models.calibration.group_columns import group_columns
from softreg.models.calibration.group_rules import fit_group_rule
from softreg.probability import Interval, wilson_interval
from softreg.probability.bootstrap_intervals import label_drawer
from softreg.probability.labels import codes_among
from softreg.typing import Array, BoolArray, Codes, Float64Array

if TYPE_CHECKING:
    import pyarrow as pa

LEVEL = 0.05
"""Probability that any group with right probabilities is reported."""
MIN_ROWS = 50
"""Rows of a candidate group, at least."""
MIN_VARIANCE = 5.0
"""Variance of the number of rows of a class in a group, at least; below it, a z-score depends on single rows."""
MAX_LEVELS = 12
"""Levels of a column that are candidates; the less frequent ones are one candidate together."""
MAX_CANDIDATES = 20_000
"""Candidate groups at most; those of most rows."""
MAX_CLASSES = 12
"""Classes whose probabilities are compared with the labels: the most frequent ones."""
DRAWS, LEAST_DRAWS = 999, 199
"""Draws of labels, and the least number where there are many rows."""
MOST_OPERATIONS = 6e9
"""Product of draws, classes and members of all groups from which draws are fewer; about ten seconds."""
BLOCK = 4_000_000
"""Numbers of an array of rows times draws."""
MAX_LISTED = 10
"""Groups that a result lists."""


@dataclass(frozen=True)
class FoundGroup:
    """A group of rows of a search, with the class whose probability is farthest from its share.

    Attributes
    ----------
    conditions : tuple of (str, str)
        Column and value or interval of each condition: one or two.
    rows : int
        Rows of the group.
    label : str
        The class.
    predicted : float
        Mean probability of the class.
    observed : Interval
        Share of the rows that are of this class, with Wilson's 95% interval for this group alone.
    excess : Interval
        Mean probability minus share, with an interval that holds for all candidate groups at once (approximately 95%).
        Above 0 the probability is too high.
    z : float
        Observed minus expected rows of the class in standard deviations under right probabilities.
    p_value : float
        p-value adjusted for all candidates by the step-down procedure.

    Examples
    --------
    >>> share = Interval(0.2, 0.1, 0.3)
    >>> group = FoundGroup((("age", "below 30"),), 80, "yes", 0.4, share, share, -4.0, 0.001)
    >>> group.name
    'age: below 30'
    """

    conditions: tuple[tuple[str, str], ...]
    rows: int
    label: str
    predicted: float
    observed: Interval
    excess: Interval
    z: float
    p_value: float

    @property
    def name(self) -> str:
        """The conditions as text."""
        return " and ".join(f"{column}: {value}" for column, value in self.conditions)


@dataclass(frozen=True, eq=False)
class GroupSearch:
    """Result of `search_groups`.

    Attributes
    ----------
    found : tuple of FoundGroup
        Significantly miscalibrated groups, of largest `abs(z)` first. A group that is not significant without the rows
        of the groups before it is left out.
    best : FoundGroup or None
        The candidate of largest `abs(z)`, whether found or not; None without candidates.
    overlapping : int
        Significant groups that are left out of `found`.
    columns : tuple of str
        Columns whose values are candidates.
    candidates : int
        Number of candidate groups.
    draws : int
        Draws of labels of the test.
    critical : float
        95% quantile of the largest `abs(z)` of all candidates if the probabilities are right.

    Examples
    --------
    >>> GroupSearch((), None, 0, ("age",), 0, 999, 0.0).found
    ()
    """

    found: tuple[FoundGroup, ...]
    best: FoundGroup | None
    overlapping: int
    columns: tuple[str, ...]
    candidates: int
    draws: int
    critical: float


def search_groups(
    P: ArrayLike,
    codes: ArrayLike,
    columns: Any,
    classes: Sequence[object] | Array | None = None,
    *,
    pairs: bool = True,
    draws: int | None = None,
    seed: int = 0,
) -> GroupSearch:
    """Search the values of columns, and of pairs of columns, for groups of rows whose probabilities are wrong.

    Candidates are the levels of each column (numbers and dates of more than 24 distinct values: five intervals of about
    equal numbers of rows; missing values: a level), and each pair of levels of two columns, of at least 50 rows. The
    statistic of a candidate is the largest `abs(z)` over the classes, `z = (O - E) / sqrt(sum_i p_i (1 - p_i))`, with
    the observed and expected number of its rows of the class. Labels are drawn from P for all rows, and the observed
    statistics are compared with the largest statistic of each draw, by the step-down procedure of Westfall and Young.

    If the rows are independent and not those of the fit, the probability that any group is reported whose probabilities
    are right for all of its rows is at most 5%. This is exact for any number of rows and candidates, because the
    candidates do not depend on the labels and the draws have the distribution of the labels of such groups. The other
    groups, which overlap a group with wrong probabilities, have no such guarantee.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Predicted probabilities.
    codes : array_like of shape (n,)
        Position of the observed label in `classes`, or the labels themselves, as in `audit`.
    columns : mapping of str to array_like, data frame, series, or array_like of shape (n,) or (n, c)
        Columns whose values are candidates. A column without two groups of at least 50 rows is left out.
    classes : sequence of shape (q,), optional
        Labels of the columns of P; by default the labels that occur, in sorted order, and each must occur.
    pairs : bool, default True
        Whether pairs of columns are candidates.
    draws : int, optional
        Draws of labels; 999 by default, and fewer (at least 199) for many rows and candidates.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    GroupSearch
        The groups found.

    Raises
    ------
    ValueError
        If a row of P is not a distribution, a label is not a class, or a column has another number of rows.

    References
    ----------
    Westfall and Young, "Resampling-Based Multiple Testing" (1993).
    Hebert-Johnson, Kim, Reingold and Rothblum, "Multicalibration" (2018), for calibration in intersecting groups.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> sex, age = random.choice(["f", "m"], size=4000), random.integers(18, 80, size=4000)
    >>> off = (sex == "f") & (age < 30)  # the probability of these rows is too low
    >>> y = (random.random(4000) < np.where(off, 0.6, 0.3)).astype(int)
    >>> search = search_groups(np.tile([0.7, 0.3], (4000, 1)), y, {"sex": sex, "age": age}, ["no", "yes"])
    >>> [(group.name, group.label, group.excess.value < 0) for group in search.found]
    [('sex: f and age: below 29', 'yes', True)]
    """
    probabilities = probability_matrix(P)
    if classes is None:
        classes = classes_of_columns(codes, None, probabilities.shape[1]).labels
    assert classes is not None
    labels = tuple(str(label) for label in classes)
    y = np.asarray(codes_among(codes, classes), dtype=np.int64)
    if len(labels) != probabilities.shape[1] or y.shape != (len(probabilities),):
        raise ValueError(
            f"P has the shape {probabilities.shape}, but there are {len(labels)} classes and {y.size} labels: give one "
            "class for each column and one label for each row."
        )
    of_column = _levels(group_columns(columns, len(y), "columns"))
    candidates = _candidates(of_column, pairs)
    names = tuple(level.column for level in {group.column: group for group in of_column}.values())
    if not candidates:
        return GroupSearch((), None, 0, names, 0, 0, 0.0)
    members = sp.csr_array(sp.vstack([one.members for one in candidates], format="csr"))
    test = _MaximumTest(probabilities, y, members, seed, draws)
    order = np.argsort(-test.size, kind="stable")
    p_values = test.step_down(order)
    groups = _Groups(probabilities, y, labels, candidates, test)
    best = groups.describe(int(order[0]), float(p_values[0]))
    significant = [(int(g), float(p)) for g, p in zip(order, p_values, strict=True) if p <= LEVEL]
    listed = groups.distinct(significant)
    return GroupSearch(
        found=tuple(groups.describe(g, p) for g, p in listed[:MAX_LISTED]),
        best=best,
        overlapping=len(significant) - len(listed[:MAX_LISTED]),
        columns=names,
        candidates=len(candidates),
        draws=test.largest.shape[1],
        critical=test.critical,
    )


@dataclass(frozen=True, eq=False)
class _Level:
    """One level of one column with its rows (1, n)."""

    column: str
    name: str
    members: sp.csr_array


@dataclass(frozen=True, eq=False)
class _Candidate:
    """Conditions, and members (1, n) of a candidate group."""

    conditions: tuple[tuple[str, str], ...]
    members: sp.csr_array


def _levels(columns: dict[str, pa.ChunkedArray]) -> list[_Level]:
    """Return the levels of columns that have two of enough rows."""
    levels = []
    for name, column in columns.items():
        rule = fit_group_rule(column, name, least_rows=MIN_ROWS, most_levels=MAX_LEVELS)
        code = rule.codes(column)
        count = np.bincount(code, minlength=len(rule.names))
        if (count >= MIN_ROWS).sum() < 2:
            continue
        for g in np.flatnonzero(count >= MIN_ROWS).tolist():
            levels.append(_Level(name, rule.names[g], _members(np.flatnonzero(code == g), len(code))))
    return levels


def _members(rows: Codes, n: int) -> sp.csr_array:
    """Return rows as a sparse row (1, n) of ones."""
    return sp.csr_array((np.ones(len(rows), np.float32), rows, [0, len(rows)]), shape=(1, n))


def _candidates(levels: Sequence[_Level], pairs: bool) -> list[_Candidate]:
    """Return the levels and the pairs of levels of two columns that have enough rows, at most those of most rows."""
    candidates = [_Candidate(((one.column, one.name),), one.members) for one in levels]
    if pairs and len(levels) > 1:
        stacked = sp.vstack([one.members for one in levels], format="csr")
        common = (stacked @ stacked.T).toarray()
        both = [
            (int(common[a, b]), a, b)
            for a, b in combinations(range(len(levels)), 2)
            if levels[a].column != levels[b].column and MIN_ROWS <= common[a, b] < min(common[a, a], common[b, b])
        ]
        both.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
        n = stacked.shape[1]
        for _, a, b in both[: max(MAX_CANDIDATES - len(levels), 0)]:
            one, other = levels[a], levels[b]
            rows = np.intersect1d(one.members.indices, other.members.indices, assume_unique=True)
            conditions = ((one.column, one.name), (other.column, other.name))
            candidates.append(_Candidate(conditions, _members(rows, n)))
    return candidates


class _MaximumTest:
    """The statistic of each candidate for the observed labels and for draws, and the largest of all candidates."""

    def __init__(self, P: Float64Array, y: Codes, members: sp.csr_array, seed: int, draws: int | None) -> None:
        n, q = P.shape
        frequent = np.argsort(-P.sum(axis=0), kind="stable")[:MAX_CLASSES]
        self.classes = np.array([1]) if q == 2 else np.sort(frequent)
        self.members = members
        p = P[:, self.classes]
        self.expected, self.variance = members @ p, members @ (p * (1 - p))
        self.usable = self.variance >= MIN_VARIANCE
        self.scale = np.sqrt(np.maximum(self.variance, MIN_VARIANCE))
        self.z = self._z_scores(y[:, None])[:, :, 0]
        self.size = np.abs(self.z).max(axis=1)
        if draws is None:
            work = max(members.nnz * len(self.classes), 1)
            draws = int(np.clip(MOST_OPERATIONS / work, LEAST_DRAWS, DRAWS))
        draw, random, parts = label_drawer(P), np.random.default_rng(seed), []
        at_once = max(1, BLOCK // n)
        for start in range(0, draws, at_once):
            labels = draw(random, min(at_once, draws - start)).T
            parts.append(np.abs(self._z_scores(labels)).max(axis=1).astype(np.float32))
        self.largest = np.concatenate(parts, axis=1)
        self.size = self.size.astype(np.float32)  # as those of the draws, so that equal labels have equal statistics
        tops = np.sort(self.largest.max(axis=0))
        self.critical = float(tops[min(round((1 - LEVEL) * (draws + 1)) - 1, draws - 1)])

    def _z_scores(self, labels: Codes) -> Float64Array:
        """Return z-scores (candidates, classes, b) of labels (n, b); 0 where the variance is too small."""
        z = np.empty((*self.expected.shape, labels.shape[1]))
        for j, k in enumerate(self.classes):
            counts = self.members @ (labels == k).astype(np.float32)
            z[:, j] = (counts - self.expected[:, j, None]) / self.scale[:, j, None]
        return np.asarray(z * self.usable[:, :, None])

    def step_down(self, order: Codes) -> Float64Array:
        """Return the adjusted p-values of the candidates in this order, of largest statistic first."""
        maxima = np.maximum.accumulate(self.largest[order[::-1]], axis=0)[::-1]  # over a candidate and those after it
        beyond = (maxima >= self.size[order][:, None]).sum(axis=1)
        return np.maximum.accumulate((beyond + 1) / (maxima.shape[1] + 1))


@dataclass(frozen=True, eq=False)
class _Groups:
    """The candidates with their rows, from which the result is described."""

    P: Float64Array
    codes: Codes
    classes: tuple[str, ...]
    candidates: Sequence[_Candidate]
    test: _MaximumTest

    def describe(self, g: int, p_value: float) -> FoundGroup:
        """Return a candidate with the class of its largest `abs(z)`."""
        j = int(np.abs(self.test.z[g]).argmax())
        k, rows = int(self.test.classes[j]), self._rows(g)
        n, predicted = len(rows), float(self.P[rows, k].mean())
        observed = wilson_interval(float((self.codes[rows] == k).sum()), n)
        share = observed.value
        deviation = np.sqrt(max(self.test.variance[g, j], n * share * (1 - share))) / n
        half = self.test.critical * float(deviation)
        excess = Interval(predicted - share, predicted - share - half, predicted - share + half)
        z = float(self.test.z[g, j])
        return FoundGroup(self.candidates[g].conditions, n, self.classes[k], predicted, observed, excess, z, p_value)

    def distinct(self, significant: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
        """Return the significant candidates that stay so without the rows of those before them."""
        taken: BoolArray = np.zeros(len(self.codes), dtype=bool)
        kept = []
        for g, p in significant:
            rows = self._rows(g)
            rest = rows[~taken[rows]]
            j = int(np.abs(self.test.z[g]).argmax())
            k = int(self.test.classes[j])
            q = self.P[rest, k]
            variance = float((q * (1 - q)).sum())
            z = float((self.codes[rest] == k).sum() - q.sum()) / np.sqrt(max(variance, MIN_VARIANCE))
            if z * np.sign(self.test.z[g, j]) >= self.test.critical:
                kept.append((g, p))
                taken[rows] = True
        return kept

    def _rows(self, g: int) -> Codes:
        """Return the rows of a candidate."""
        return np.asarray(self.candidates[g].members.indices, dtype=np.int64)
