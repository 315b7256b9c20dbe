"""All folds and all rows as one stack of models: fitted together, judged on the rows held out from each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models.folds import Folds, class_mass
from softreg.models.predicting import FAR
from softreg.optimize import Solution, elastic_net, minimise
from softreg.rows import Array, Block, Rows, as_rows

Weights = tuple[Array, Array]
"""W (m, d, q) and b (m, q) of some members of the stack."""


@dataclass(frozen=True)
class Settings:
    """What every fit of a path has in common."""

    fit_intercept: bool
    solver: str
    tol: float
    max_iter: int
    seed: int


@dataclass
class Cohort:
    """Members whose training rows show the same classes; almost always there is one cohort, with all classes.

    `classes` are the places of these classes, `folds` the fold of each member, -1 for the model of all rows. What a
    class that a fold never saw gets of its probability is 0, so that fold is fitted without it.
    """

    rows: Rows
    labels: Array
    V: Array
    classes: NDArray[np.intp]
    folds: NDArray[np.intp]

    def repeated(self, times: int) -> Rows:
        """Fresh rows for a stack of `times` copies of the members, one for each l1_ratio.

        Fresh, because a fit leaves its logits beside the rows: they go when these do.
        """
        return self.rows.labelled(self.labels, np.tile(self.V, (times, 1)))


@dataclass(frozen=True)
class Answer:
    """The weights of all members at one strength and l1_ratio, cohort by cohort.

    `value` is the objective of the model of all rows, `gap` the largest certified gap of all members, in nats.
    """

    weights: tuple[Weights, ...]
    value: float
    gap: float
    passes: int

    @property
    def of_all_rows(self) -> Weights:
        """W (d, q) and b (q,) of the model of all rows."""
        W, b = self.weights[0]
        return W[0], b[0]


class FoldStack:
    """K folds and the model of all rows; the first member of the first cohort is the latter."""

    def __init__(
        self, X: Any, labels: Array, weight: Array | None, folds: Folds | None, q: int, settings: Settings
    ) -> None:
        self.q, self.settings, self.folds = q, settings, folds
        self.judge: Array
        self.layer: Array
        none = np.zeros((0, X.shape[0]), dtype=np.intp)
        self.judge, self.layer = (none, none) if folds is None else folds.layers()
        ones = np.ones(X.shape[0]) if weight is None else weight
        V = ones[None] if folds is None else np.concatenate([ones[None], folds.train * ones])
        members = np.arange(len(V)) - 1
        self.mass = class_mass(V, labels, q)
        seen = self.mass > 0
        rows = as_rows(X, labels)
        self.cohorts = []
        for pattern in sorted({tuple(s) for s in seen}, reverse=True):
            mine = (seen == pattern).all(axis=1)
            classes = np.flatnonzero(pattern)
            self.cohorts.append(Cohort(rows, _among(labels, classes, q), V[mine], classes, members[mine]))

    def fit(self, strength: float, ratios: Sequence[float], start: Sequence[Answer] | None) -> list[Answer]:
        """Every member at one strength, once for each l1_ratio; `start` holds an answer to begin with for each."""
        found: list[list[tuple[Weights, Sequence[Solution]]]] = [[] for _ in ratios]
        for c, cohort in enumerate(self.cohorts):
            m = len(cohort.V)
            begin = None
            if start is not None:
                begin = tuple(np.concatenate([a.weights[c][i] for a in start]) for i in (0, 1))
            fits = self._minimise(cohort, strength, ratios, begin)
            for r in range(len(ratios)):
                mine = fits[r * m : (r + 1) * m]
                W, b = np.stack([f.W for f in mine]), np.stack([f.b for f in mine])
                found[r].append(((W, b), mine))
        return [_answer(parts) for parts in found]

    def _minimise(self, cohort: Cohort, strength: float, ratios: Sequence[float], start: Any) -> tuple[Solution, ...]:
        s = self.settings
        return minimise(
            cohort.repeated(len(ratios)),
            len(cohort.classes),
            elastic_net(strength, np.repeat(np.asarray(ratios, dtype=np.float64), len(cohort.V))),
            fit_intercept=s.fit_intercept,
            solver=s.solver,
            tol=s.tol,
            max_iter=s.max_iter,
            start=start,
            seed=s.seed,
        )

    def spread(self, weights: Weights) -> Answer:
        """A start for every member from the weights W (d, q) and b (q,) of the model of all rows."""
        W, b = weights
        parts = []
        for cohort in self.cohorts:
            m, some = len(cohort.V), cohort.classes
            parts.append((np.repeat(W[None][:, :, some], m, axis=0), np.repeat(b[None][:, some], m, axis=0)))
        return Answer(tuple(parts), float("inf"), float("inf"), 0)

    def held_out(self, answer: Answer) -> Array:
        """The logits (L, n, q) that each row gets from the fold it judges in each layer, nan where it judges none."""
        out: Array | None = None
        for cohort, (W, b) in zip(self.cohorts, answer.weights, strict=True):
            if (cohort.folds < 0).all():
                continue
            rows = cohort.rows if np.abs(b).max() <= FAR else cohort.rows.precise(dtype=np.float64)
            found = np.moveaxis(rows.map(self._judged(rows, cohort, W, b)), 1, 0)  # (L, n, q')
            if len(cohort.classes) == self.q and len(self.cohorts) == 1:
                return found
            if out is None:
                out = np.full((*found.shape[:2], self.q), np.nan, dtype=found.dtype)
            mine = np.isin(self.judge, cohort.folds[cohort.folds >= 0])
            wide = np.full((int(mine.sum()), self.q), -np.inf, dtype=found.dtype)  # of what it never saw: never
            wide[:, cohort.classes] = found[mine]
            out[mine] = wide
        assert out is not None
        return out

    def _judged(self, rows: Rows, cohort: Cohort, W: Array, b: Array) -> Any:
        """How a block finds the logits (b, L, q') of its rows."""
        m, _, q = W.shape
        prepared = rows.prepare(np.moveaxis(W, 1, 2).reshape(m * q, -1))
        bias = b.reshape(m * q, 1).astype(rows.dtype)
        assert self.folds is not None
        member = np.full(len(self.folds) + 1, -1)  # the last entry stands for "no fold"
        member[cohort.folds[cohort.folds >= 0]] = np.flatnonzero(cohort.folds >= 0)

        def part(block: Block) -> Array:
            o = (block.times(prepared) + bias).reshape(m, q, -1)
            at = member[self.judge[:, block.start : block.stop]]  # (L, b)
            found = o[at, :, np.arange(o.shape[2])]  # (L, b, q')
            found[at < 0] = np.nan
            return np.moveaxis(found, 0, 1)

        return part


def _answer(parts: Sequence[tuple[Weights, Sequence[Solution]]]) -> Answer:
    gap = max(s.gap for _, fits in parts for s in fits)
    return Answer(tuple(w for w, _ in parts), parts[0][1][0].value, gap, sum(fits[0].passes for _, fits in parts))


def _among(labels: Array, classes: NDArray[np.intp], q: int) -> Array:
    """Labels among some classes; a row of another class has weight 0 wherever this is used."""
    if len(classes) == q:
        return labels
    if labels.ndim == 2:
        return np.ascontiguousarray(labels[:, classes])
    place = np.zeros(q, dtype=labels.dtype)
    place[classes] = np.arange(len(classes))
    return place[labels]
