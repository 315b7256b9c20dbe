"""The models of all folds as one stack, fitted together and evaluated on the rows held out from each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from softreg.models.inputs.sample_and_class_weights import ClassWeights, class_mass
from softreg.models.selection.cv_splits import Folds
from softreg.models.selection.penalty_spec import PenaltySpec
from softreg.optimize import ColumnGroups, Penalty, WeightTerms, make_penalty
from softreg.optimize.problem.penalty_table import Structure
from softreg.optimize.problem.relaxed_penalty import relaxed_net
from softreg.optimize.problem.result import StackFit
from softreg.optimize.stack_path import StackPath
from softreg.rows import as_rows
from softreg.typing import Array, BoolArray, Float64Array, IntArray

Weights = tuple[Array, Array]
"""W (m, d, q) and b (m, q) of members of the stack, or W (d, q) and b (q,) of one model."""
MASS_TOLERANCE = 1e-9
"""A row belongs to some classes if its label probabilities add up to 1 among them, within this."""


@dataclass(frozen=True)
class StackSettings:
    """Parameters that all fits of a path share.

    Parameters
    ----------
    fit_intercept : bool
        Whether there is a bias.
    solver : str
        Name of the solver.
    settled : float
        Accuracy to which the held-out losses of the folds are computed, in nats.
    max_iter : int
        Iterations after which a fit stops.
    seed : int
        Seed of row samples.
    penalty : str
        Name of the penalty.
    structure : WeightTerms or ColumnGroups, optional
        Penalty factors and bounds of single weights, or groups of columns.
    """

    fit_intercept: bool
    solver: str
    settled: float
    max_iter: int
    seed: int
    penalty: str = "elasticnet"
    structure: Structure | None = None

    def make_penalty(self, strength: Array | float, share: Array | float) -> Penalty:
        """Return the penalty of these strengths, and of these shares of the nonsmooth part."""
        return make_penalty(self.penalty, strength, share, self.structure)

    def of_columns(self, columns: IntArray) -> StackSettings:
        """Return the settings for some of the columns; their groups have the size that remains."""
        if isinstance(self.structure, ColumnGroups):
            return replace(self, structure=ColumnGroups.of(self.structure.codes[columns]))
        return self if self.structure is None else replace(self, structure=self.structure.keep_columns(columns))

    def of_classes(self, classes: IntArray) -> StackSettings:
        """Return the settings for some of the classes."""
        if not isinstance(self.structure, WeightTerms):
            return self
        return replace(self, structure=self.structure.keep_classes(classes))


@dataclass(frozen=True)
class Cohort:
    """Members whose training rows have the same classes; usually there is one cohort, with all classes.

    The probability of a class without training rows is 0, so a fold is fitted without such classes.

    Parameters
    ----------
    path : StackPath
        Solver of the members.
    classes : ndarray of int
        Codes of the classes.
    folds : ndarray of int, shape (m,)
        Fold of each member; -1 for the model of all rows.
    member_of_row : ndarray of int, shape (L, n)
        Member that is tested on each row; -1 for none.
    """

    path: StackPath
    classes: IntArray
    folds: IntArray
    member_of_row: IntArray


@dataclass(frozen=True)
class StackSolution:
    """The members of the stack at one penalty.

    Parameters
    ----------
    weights : tuple of (W, b)
        Weights of the members of each cohort.
    held_out_logits : ndarray of shape (L, n, q)
        Logits of the held-out rows; nan where no fold tests a row, -inf for classes without training rows.
    value : float
        Mean objective of the members, in nats.
    gap : float
        Largest certified gap of the members, in nats.
    passes : int
        Passes over the rows.
    settled : bool
        Whether the held-out losses reached their accuracy.
    """

    weights: tuple[Weights, ...]
    held_out_logits: Array
    value: float
    gap: float
    passes: int
    settled: bool


class FoldStack:
    """The models of K folds and, if `whole`, the model of all rows, as one stack that shares each pass over X.

    The model of all rows is the first member of the first cohort. Without it each pass costs 1 / (K + 1) less, and the
    mean of the folds is where the final fit starts (MNIST, 5 folds: 10 passes instead of 19).

    Parameters
    ----------
    X : ndarray, csr_array or OnDevice of shape (n, d)
        Features.
    labels : ndarray of shape (n,) or (n, q)
        Codes of the classes or label probabilities.
    weight : ndarray of shape (n,) or None
        Sample weights; None if all are 1.
    folds : Folds or None
        The folds; None for leave-one-out, which needs the model of all rows only.
    class_weights : ClassWeights
        Class weights, which are computed from the training rows of each member.
    settings : StackSettings
        Parameters of the fits.
    whole : bool
        Whether the model of all rows is a member.
    offset : ndarray of shape (n, q), optional
        Fixed part of the logits.

    Attributes
    ----------
    class_mass : ndarray of shape (K + 1, q)
        Sample weight of each class among all rows and among the training rows of each fold, without class weights.
    fold_of_row, layer_of_fold : ndarray of int
        See `Folds.layers`.
    """

    def __init__(
        self,
        X: Any,
        labels: Array,
        weight: Array | None,
        *,
        folds: Folds | None,
        class_weights: ClassWeights,
        settings: StackSettings,
        whole: bool,
        offset: Array | None = None,
    ) -> None:
        self.q, self.class_weights = len(class_weights.classes), class_weights
        self.settings, self.folds, self.whole = settings, folds, whole or folds is None
        no_layers = np.zeros((0, X.shape[0]), dtype=np.intp)
        self.fold_of_row: IntArray
        self.layer_of_fold: IntArray
        self.fold_of_row, self.layer_of_fold = (no_layers, no_layers[:, 0]) if folds is None else folds.layers()
        self.count = np.ones(X.shape[0]) if weight is None else weight
        V = self.count[None] if folds is None else np.concatenate([self.count[None], folds.train * self.count])
        self.class_mass = class_mass(V, labels, self.q)
        self.V = class_weights.apply(V, labels)
        self.X, self.labels, self.offset = X, labels, offset
        self.rows = as_rows(X, labels, self.V[:1], offset)
        self.cohorts = self._make_cohorts()

    def with_features(self, X: Any, columns: IntArray) -> FoldStack:
        """Return the same folds of the same rows with X (n, d'), the columns (d',) of the features."""
        other = copy.copy(self)
        other.settings = self.settings.of_columns(columns)
        other.X, other.rows = X, as_rows(X, self.labels, self.V[:1], self.offset)
        other.cohorts = other._make_cohorts()
        return other

    def _make_cohorts(self) -> list[Cohort]:
        """Return a cohort for each set of classes that the training rows of some member have."""
        has_class = self.class_mass > 0
        patterns = {tuple(row) for row in has_class[0 if self.whole else 1 :]}
        return [self._make_cohort(np.array(pattern), has_class) for pattern in sorted(patterns, reverse=True)]

    def _make_cohort(self, pattern: BoolArray, has_class: BoolArray) -> Cohort:
        """Return the members whose training rows have exactly the classes of a pattern (q,)."""
        classes, lines = np.flatnonzero(pattern), np.flatnonzero((has_class == pattern).all(axis=1))
        lines = lines if self.whole else lines[lines > 0]  # line 0 is the model of all rows, line k + 1 is fold k
        member_of_line = np.full(len(has_class), -1)
        member_of_line[lines] = np.arange(len(lines))
        if 0 in lines:
            member_of_line[0] = -1  # index 0 stands for "no fold" below
        member_of_row = member_of_line[self.fold_of_row + 1]
        labels, known = _restrict_labels(self.labels, classes, self.q)
        settings, rows = self.settings, self.rows.labelled(labels, self.V[lines])
        if self.offset is not None and len(classes) < self.q:
            rows = as_rows(self.X, labels, self.V[lines], self.offset[:, classes])
        path = StackPath(
            rows,
            len(classes),
            member_of_row,
            self.count * known,  # rows of other classes do not count in the held-out loss
            fit_intercept=settings.fit_intercept,
            solver=settings.solver,
            seed=settings.seed,
        )
        return Cohort(path, classes, lines - 1, member_of_row)

    def fit(self, specs: Sequence[PenaltySpec], start: Sequence[StackSolution] | None) -> list[StackSolution]:
        """Return every member at each penalty, fitted as one stack; `start` holds a solution for each penalty."""
        points = np.array([(spec.strength, spec.l1_ratio) for spec in specs], dtype=np.float64)

        def penalty(cohort: Cohort, begin: Weights | None) -> Penalty:
            strength, l1_ratio = np.repeat(points, len(cohort.folds), axis=0).T
            return self.settings.of_classes(cohort.classes).make_penalty(strength, l1_ratio)

        return self._fit(len(specs), penalty, start)

    def fit_relaxed(self, specs: Sequence[PenaltySpec], nets: Sequence[StackSolution]) -> list[StackSolution]:
        """Return every member at each relaxed penalty, restricted to its support in the elastic nets `nets`."""
        points = np.array([(spec.strength, spec.l1_ratio, spec.relaxed) for spec in specs], dtype=np.float64)

        def penalty(cohort: Cohort, begin: Weights | None) -> Penalty:
            assert begin is not None
            strength, l1_ratio, relaxed = np.repeat(points, len(cohort.folds), axis=0).T
            return relaxed_net(strength, l1_ratio, relaxed, begin[0])

        return self._fit(len(specs), penalty, nets)

    def _fit(
        self, copies: int, penalty: Callable[[Cohort, Weights | None], Penalty], start: Sequence[StackSolution] | None
    ) -> list[StackSolution]:
        """Return every member for so many penalties; `penalty` gets a cohort and the start of its members."""
        fits, settings = [], self.settings
        for c, cohort in enumerate(self.cohorts):
            begin = None
            if start is not None:
                W, b = (np.concatenate([solution.weights[c][i] for solution in start]) for i in (0, 1))
                begin = W, b
            cost = penalty(cohort, begin)
            fits.append(
                cohort.path.fit(cost, begin, tolerance=settings.settled, max_iter=settings.max_iter, copies=copies)
            )
        return [self._solution(fits, at) for at in range(copies)]

    def _solution(self, fits: Sequence[StackFit], at: int) -> StackSolution:
        """Return the results of all cohorts at one of the penalties."""
        weights, values, gaps, logits, layers = [], [], [], [], len(self.fold_of_row)
        for cohort, fit in zip(self.cohorts, fits, strict=True):
            m = len(cohort.folds)
            members = slice(at * m, (at + 1) * m)
            weights.append((fit.W[members], fit.b[members]))
            values.append(fit.value[members])
            gaps.append(float(fit.gap[members].max()))
            logits.append(fit.held_out_logits[at * layers : (at + 1) * layers])
        return StackSolution(
            weights=tuple(weights),
            held_out_logits=self._merge_logits(logits),
            value=float(np.mean(np.concatenate(values))),
            gap=max(gaps),
            passes=sum(fit.passes for fit in fits),
            settled=all(fit.converged for fit in fits),
        )

    def _merge_logits(self, logits: Sequence[Array]) -> Array:
        """Return the held-out logits (L, n, q) of all cohorts in one array."""
        if len(self.cohorts) == 1 and len(self.cohorts[0].classes) == self.q:
            return logits[0]
        merged = np.full((*self.fold_of_row.shape, self.q), np.nan, dtype=logits[0].dtype)
        for cohort, part in zip(self.cohorts, logits, strict=True):
            tested = cohort.member_of_row >= 0
            all_classes = np.full((int(tested.sum()), self.q), -np.inf, dtype=part.dtype)
            all_classes[:, cohort.classes] = part[tested]
            merged[tested] = all_classes
        return merged

    def full_weights(self, solution: StackSolution) -> Weights:
        """Return W (d, q) and b (q,) of the model of all rows, or else the mean of the folds that have each class."""
        if self.whole:
            W, b = solution.weights[0]
            return W[0].copy(), b[0].copy()  # views would keep the weights of all members in memory
        d, dtype = solution.weights[0][0].shape[1], solution.weights[0][0].dtype
        W, b, count = np.zeros((d, self.q), dtype), np.zeros(self.q), np.zeros(self.q)
        for cohort, (member_W, member_b) in zip(self.cohorts, solution.weights, strict=True):
            for V, c in zip(member_W, member_b, strict=True):
                W[:, cohort.classes] += V
                b[cohort.classes] += c
                count[cohort.classes] += 1
        return W / np.maximum(count, 1).astype(dtype), b / np.maximum(count, 1)

    def start_from(self, weights: Weights) -> StackSolution:
        """Return a start for every member from W (d, q) and b (q,) of the model of all rows."""
        W, b = weights
        parts = []
        for cohort in self.cohorts:
            m, classes = len(cohort.folds), cohort.classes
            parts.append((np.repeat(W[None][:, :, classes], m, axis=0), np.repeat(b[None][:, classes], m, axis=0)))
        return StackSolution(
            weights=tuple(parts), held_out_logits=np.zeros(0), value=np.inf, gap=np.inf, passes=0, settled=False
        )


def _restrict_labels(labels: Array, classes: IntArray, q: int) -> tuple[Array, Float64Array]:
    """Return labels among some classes, and 1.0 for each row that has one; other rows have weight 0 in such a fit."""
    if len(classes) == q:
        return labels, np.ones(len(labels))
    if labels.ndim == 2:
        among = np.ascontiguousarray(labels[:, classes])
        return among, np.asarray(among.sum(axis=1) > 1 - MASS_TOLERANCE, dtype=np.float64)
    code = np.full(q, -1, dtype=labels.dtype)
    code[classes] = np.arange(len(classes))
    codes = code[labels]
    return np.maximum(codes, 0), np.asarray(codes >= 0, dtype=np.float64)
