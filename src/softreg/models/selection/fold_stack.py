"""All folds and all rows as one stack of models: fitted together, judged on the rows held out from each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models.inputs.sample_weights import ClassWeights, class_mass
from softreg.models.selection.cv_splits import Folds
from softreg.optimize import Penalty, make_penalty
from softreg.optimize.path import StackPath
from softreg.optimize.problem.relaxed import relaxed_net
from softreg.optimize.problem.result import StackFit
from softreg.rows import Array, as_rows

Weights = tuple[Array, Array]
"""W (m, d, q) and b (m, q) of some members of the stack."""
Place = tuple[float, float, float]
"""A strength, an l1_ratio, and the share of the l1 part that is left once it has chosen the weights (1: all of it)."""


def strengths(place: Place) -> tuple[float, float]:
    """Those of the l1 part and of the l2 part.

    Example:
        >>> strengths((1.0, 0.5, 0.1))
        (0.05, 0.5)
    """
    strength, l1_ratio, relaxed = place
    return strength * l1_ratio * relaxed, strength * (1 - l1_ratio)


@dataclass(frozen=True)
class Settings:
    """What every fit of a path has in common; `settled` is how near held-out losses are to be known, in nats."""

    fit_intercept: bool
    solver: str
    settled: float
    max_iter: int
    seed: int
    penalty: str = "elasticnet"


@dataclass(frozen=True)
class Cohort:
    """Members whose training rows show the same classes; almost always there is one cohort, with all classes.

    `classes` are the places of these classes, `folds` the fold of each member, -1 for the model of all rows. What a
    class that a fold never saw gets of its probability is 0, so that fold is fitted without it. `judge` (L, n) is the
    member that each row judges, -1 for none.
    """

    path: StackPath
    classes: NDArray[np.intp]
    folds: NDArray[np.intp]
    judge: NDArray[np.intp]


@dataclass(frozen=True)
class StackSolution:
    """The weights of all members at one strength and l1_ratio, cohort by cohort.

    `value` is the mean objective of the members, `gap` their largest certified gap, in nats; `held` (L, n, q) the
    logits of the rows held out, nan where no fold judges a row, -inf for classes that a fold never saw.
    """

    weights: tuple[Weights, ...]
    held: Array
    value: float
    gap: float
    passes: int
    settled: bool


class FoldStack:
    """K folds and, where it is `whole`, the model of all rows; the first member of the first cohort is the latter.

    Without it each pass costs 1 / (K + 1) less, and the mean of the folds is where the final fit begins (MNIST, 5
    folds: it then takes 10 passes in place of 19).

    `weight` (n,) are sample weights, None where all are 1; class weights are computed on the training rows of each
    member. `mass` (K + 1, q) is the sample weight of each class among the training rows, without class weights.
    """

    def __init__(
        self,
        X: Any,
        labels: Array,
        weight: Array | None,
        folds: Folds | None,
        class_weights: ClassWeights,
        settings: Settings,
        whole: bool,
    ) -> None:
        q, self.class_weights = len(class_weights.classes), class_weights
        self.q, self.settings, self.folds, self.whole = q, settings, folds, whole or folds is None
        self.judge: NDArray[np.intp]
        self.layer: NDArray[np.intp]
        none = np.zeros((0, X.shape[0]), dtype=np.intp)
        self.judge, self.layer = (none, none[:, 0]) if folds is None else folds.layers()
        self.count = np.ones(X.shape[0]) if weight is None else weight
        V = self.count[None] if folds is None else np.concatenate([self.count[None], folds.train * self.count])
        self.mass = class_mass(V, labels, q)
        self.V = class_weights.applied(V, labels)
        self.rows, self.labels = as_rows(X, labels, self.V[:1]), labels
        self.cohorts = self._cohorts()

    def on(self, X: Any) -> FoldStack:
        """The same folds of the same rows on other columns."""
        other = copy.copy(self)
        other.rows = as_rows(X, self.labels, self.V[:1])
        other.cohorts = other._cohorts()
        return other

    def _cohorts(self) -> list[Cohort]:
        seen = self.mass > 0
        patterns = {tuple(s) for s in seen[0 if self.whole else 1 :]}
        return [self._cohort(np.array(p), seen) for p in sorted(patterns, reverse=True)]

    def _cohort(self, pattern: NDArray[np.bool_], seen: NDArray[np.bool_]) -> Cohort:
        """The members whose training rows show just these classes."""
        classes, mine = np.flatnonzero(pattern), np.flatnonzero((seen == pattern).all(axis=1))
        mine = mine if self.whole else mine[mine > 0]
        member = np.full(len(seen), -1)  # the fold of each row, plus one -> its place in the cohort; 0: no fold
        member[mine] = np.arange(len(mine))
        if 0 in mine:
            member[0] = -1
        judge = member[self.judge + 1]
        labels, known = _among(self.labels, classes, self.q)
        s, rows = self.settings, self.rows.labelled(labels, self.V[mine])
        count = self.count * known  # what a fold cannot know does not say when it has settled
        path = StackPath(rows, len(classes), judge, count, fit_intercept=s.fit_intercept, solver=s.solver, seed=s.seed)
        return Cohort(path, classes, mine - 1, judge)

    def fit(self, places: Sequence[tuple[float, float]], start: Sequence[StackSolution] | None) -> list[StackSolution]:
        """Every member at each (strength, l1_ratio), all as one stack; `start` holds an answer to begin with."""

        def penalty(m: int, begin: Weights | None) -> Penalty:
            return make_penalty(self.settings.penalty, *np.repeat(np.array(places, dtype=np.float64), m, axis=0).T)

        return self._fit(len(places), penalty, start)

    def relax(self, places: Sequence[Place], nets: Sequence[StackSolution]) -> list[StackSolution]:
        """Every member again at each place with less of the l1 part, confined to the weights that it has in `nets`."""

        def penalty(m: int, begin: Weights | None) -> Penalty:
            assert begin is not None
            strength, ratio, share = np.repeat(np.array(places, dtype=np.float64), m, axis=0).T
            return relaxed_net(strength, ratio, share, begin[0])

        return self._fit(len(places), penalty, nets)

    def _fit(
        self, size: int, penalty: Callable[[int, Weights | None], Penalty], start: Sequence[StackSolution] | None
    ) -> list[StackSolution]:
        """Every member at so many places; `penalty` is told how many members a cohort has, and where they begin."""
        fits, s = [], self.settings
        for c, cohort in enumerate(self.cohorts):
            begin = None
            if start is not None:
                W, b = (np.concatenate([a.weights[c][i] for a in start]) for i in (0, 1))
                begin = W, b
            cost = penalty(len(cohort.folds), begin)
            fits.append(cohort.path.fit(cost, begin, settled=s.settled, max_iter=s.max_iter, copies=size))
        return [self._answer(fits, at) for at in range(size)]

    def _answer(self, fits: Sequence[StackFit], at: int) -> StackSolution:
        """What the cohorts have found at one of the places."""
        parts, values, held, layers = [], [], [], len(self.judge)
        for cohort, fit in zip(self.cohorts, fits, strict=True):
            m = len(cohort.folds)
            mine = slice(at * m, (at + 1) * m)
            parts.append((fit.W[mine], fit.b[mine], fit.gap[mine]))
            values.append(fit.value[mine])
            held.append(fit.held[at * layers : (at + 1) * layers])
        return StackSolution(
            tuple((W, b) for W, b, _ in parts),
            self._together(held),
            float(np.mean(np.concatenate(values))),
            max(float(gap.max()) for _, _, gap in parts),
            sum(fit.passes for fit in fits),
            all(fit.settled for fit in fits),
        )

    def _together(self, held: Sequence[Array]) -> Array:
        """The held-out logits (L, n, q) of all cohorts in one array."""
        if len(self.cohorts) == 1:
            return held[0]
        out = np.full((*self.judge.shape, self.q), np.nan, dtype=held[0].dtype)
        for cohort, found in zip(self.cohorts, held, strict=True):
            mine = cohort.judge >= 0
            wide = np.full((int(mine.sum()), self.q), -np.inf, dtype=found.dtype)  # of what it never saw: never
            wide[:, cohort.classes] = found[mine]
            out[mine] = wide
        return out

    def of_all_rows(self, answer: StackSolution) -> Weights:
        """W (d, q) and b (q,) of the model of all rows, or the mean of the folds, each class's of those that saw it."""
        if self.whole:
            W, b = answer.weights[0]
            return W[0].copy(), b[0].copy()  # views would keep the weights of all members
        d, dtype = answer.weights[0][0].shape[1], answer.weights[0][0].dtype
        W, b, count = np.zeros((d, self.q), dtype), np.zeros(self.q), np.zeros(self.q)
        for cohort, (V, c) in zip(self.cohorts, answer.weights, strict=True):
            for one, bias in zip(V, c, strict=True):
                W[:, cohort.classes] += one
                b[cohort.classes] += bias
                count[cohort.classes] += 1
        return W / np.maximum(count, 1).astype(dtype), b / np.maximum(count, 1)

    def spread(self, weights: Weights) -> StackSolution:
        """A start for every member from the weights W (d, q) and b (q,) of the model of all rows."""
        W, b = weights
        parts = []
        for cohort in self.cohorts:
            m, some = len(cohort.folds), cohort.classes
            parts.append((np.repeat(W[None][:, :, some], m, axis=0), np.repeat(b[None][:, some], m, axis=0)))
        return StackSolution(tuple(parts), np.zeros(0), np.inf, np.inf, 0, False)


def _among(labels: Array, classes: NDArray[np.intp], q: int) -> tuple[Array, Array]:
    """Labels among some classes, and which rows have one; a row of another has weight 0 wherever this is used."""
    if len(classes) == q:
        return labels, np.ones(len(labels))
    if labels.ndim == 2:
        some = np.ascontiguousarray(labels[:, classes])
        return some, np.asarray(some.sum(axis=1) > 1 - 1e-9, dtype=np.float64)
    place = np.full(q, -1, dtype=labels.dtype)
    place[classes] = np.arange(len(classes))
    found = place[labels]
    return np.maximum(found, 0), np.asarray(found >= 0, dtype=np.float64)
