"""A walk down the path of strengths, each fit beginning with the answer of the last."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from softreg.models.selection import regularization_path as path
from softreg.models.selection.fold_scores import FoldScorer, out_of_fold
from softreg.models.selection.fold_stack import FoldStack, Place, StackSolution, Weights
from softreg.models.selection.regularization_path import PathPoint
from softreg.models.selection.relaxed import relax
from softreg.rows import Array

ON = 0.6
"""How far a start goes on beyond the last answer, in steps of the path, where these are long."""
SHORT = 4.0
"""Up to this factor between strengths a start continues the parabola through the last answers (as functions of the
logarithm of the strength); measured on MNIST in factors of 2.8: a quarter of the way is then left, in place of 0.6."""

RUN = 1024
"""Features whose weights are combined at once: what fits the cache needs no further memory."""
ROOM = 2**28
"""Bytes that the weights of all members at points passed may take, for better starts between them."""

Net = tuple[float, float]
"""A strength and an l1_ratio."""
Stop = tuple[float, StackSolution]
"""A strength passed, and the answer there."""


class StrengthSearch:
    """Points of the path, and at each the weights of all rows (or the folds' mean) and out-of-fold probabilities."""

    def __init__(
        self,
        stack: FoldStack,
        judge: FoldScorer,
        rule: str,
        more: bool,
        listener: Callable[[PathPoint], Any] | None,
    ) -> None:
        self.stack, self.judge, self.rule, self.more, self.listener = stack, judge, rule, more, listener
        self.points: list[PathPoint] = []
        self.whole: dict[Net, Weights] = {}
        self.relaxed: dict[Place, Weights] = {}
        self.proba: dict[Place, Array] = {}
        self.passed: dict[Net, StackSolution] = {}
        self.finding = False
        self.passes = 0

    def go(self, strengths: Sequence[float] | None, ratios: Sequence[float], shares: Sequence[float]) -> None:
        """Fit the strengths given, or find them; afterwards `chosen`, `start` and `out_of_fold` are known.

        `shares` of the l1 part, from the largest down, are tried wherever there is such a part.
        """
        self.finding, self.shares, begun = strengths is None, shares, time.perf_counter()
        if strengths is None:
            self._down(ratios)
            self._narrow()
        else:
            trail: dict[float, list[Stop]] = {r: [] for r in ratios}
            for strength in strengths:
                self._fit_next(strength, ratios, trail)
        self.chosen = path.choose(self.points, self.rule, self.more)
        place = self.chosen.strength, self.chosen.l1_ratio, self.chosen.relaxed
        self.start, self.out_of_fold = self.whole[place[:2]], self.proba[place]
        self.start_relaxed = self.relaxed.get(place)
        self.seconds = time.perf_counter() - begun

    def _down(self, ratios: Sequence[float]) -> None:
        """From where the weights are practically 0 down until each l1_ratio's held-out log loss has turned."""
        A, entropy = path.pull(self.stack.rows, self.stack.q, self.stack.settings.fit_intercept)
        strength = max(path.largest_strength(A, entropy, r, self.stack.settings.penalty) for r in ratios)
        active, trail = list(ratios), {r: [] for r in ratios}  # type: ignore[var-annotated]
        while active:
            found = self._fit_next(strength, active, trail)
            mine = {p.l1_ratio: [q for q in self.points if _beside(q, p)] for p in found}
            active = [p.l1_ratio for p in found if not path.has_ended(mine[p.l1_ratio], entropy)]
            strength = max((path.next_strength(p, entropy) for p in found if p.l1_ratio in active), default=0.0)

    def _fit_next(self, strength: float, ratios: Sequence[float], trail: dict[float, list[Stop]]) -> list[PathPoint]:
        """The next strength down, from where the last two point to."""
        start = [_ahead(strength, trail[r]) for r in ratios] if all(trail[r] for r in ratios) else None
        for ratio in ratios:
            trail[ratio] = trail[ratio][-2:]  # of the one before no more is needed, and it is large
        found, answers = self._fit([(strength, r) for r in ratios], start)
        for ratio, answer in zip(ratios, answers, strict=True):
            trail[ratio] = [*trail[ratio], (strength, answer)]
        return found

    def _narrow(self) -> None:
        """Points between the chosen one and its neighbours, until they are near."""
        while todo := path.between(self.points, chosen := path.choose(self.points, self.rule, self.more)):
            places = [(strength, chosen.l1_ratio) for strength in todo]
            self._fit(places, [self._amid(place) for place in places])

    def _amid(self, net: Net) -> StackSolution:
        """A start between two points: the mean of the members there, or of the models of all rows."""
        strength, ratio = net
        mine = [key for key in self.whole if key[1] == ratio]
        above = min((key for key in mine if key[0] > strength), key=lambda key: key[0])
        below = max((key for key in mine if key[0] < strength), key=lambda key: key[0])
        if above in self.passed and below in self.passed:
            return _combined([self.passed[above], self.passed[below]], [0.5, 0.5])
        (W, b), (V, c) = self.whole[above], self.whole[below]
        return self.stack.spread(((W + V) / 2, (b + c) / 2))

    def _fit(
        self, nets: Sequence[Net], start: Sequence[StackSolution] | None
    ) -> tuple[list[PathPoint], list[StackSolution]]:
        """Fit and judge these points of the path; of several shares of the l1 part, those of the largest come back."""
        answers, found = self.stack.fit(nets, start), []
        self.passes += answers[0].passes  # those of all places together
        less = self._relax(nets, answers)
        for net, answer in zip(nets, answers, strict=True):
            self.whole[net] = self.stack.of_all_rows(answer)
            for share in self._shares(net):
                place = *net, share
                point = self._judge(place, answer if share == 1 else less[place])
                if share == self._shares(net)[0]:
                    found.append(point)
            if self.finding:
                self._remember(net, answer)
        return found, answers

    def _shares(self, net: Net) -> Sequence[float]:
        """The shares of the l1 part to be tried; without one there is nothing to relax."""
        return self.shares if net[1] > 0 else (1.0,)

    def _relax(self, nets: Sequence[Net], answers: Sequence[StackSolution]) -> dict[Place, StackSolution]:
        """The members on the weights that the elastic nets have chosen, with each share of the l1 part below 1."""
        todo = {(*net, share): a for net, a in zip(nets, answers, strict=True) for share in self._shares(net)}
        todo = {place: answer for place, answer in todo.items() if place[2] < 1}
        if not todo:
            return {}
        found = dict(zip(todo, relax(self.stack, self.judge.X, list(todo), list(todo.values())), strict=True))
        self.passes += next(iter(found.values())).passes
        self.relaxed |= {place: self.stack.of_all_rows(answer) for place, answer in found.items()}
        return found

    def _judge(self, place: Place, answer: StackSolution) -> PathPoint:
        """A point of the path, and the out-of-fold probabilities there."""
        held = self.judge.held_out(place, answer)
        whole = self.whole[place[:2]] if place[2] == 1 else self.relaxed[place]
        point = self.judge.point(place, answer, held, whole)
        self.proba[place] = out_of_fold(held).astype(held.dtype)
        self.points.append(point)
        if self.listener is not None:
            self.listener(point)
        return point

    def _remember(self, net: Net, answer: StackSolution) -> None:
        """Keep the weights of all members, as long as there is room."""
        self.passed[net] = replace(answer, held=np.zeros(0))
        size = sum(W.nbytes for W, _ in answer.weights)
        while len(self.passed) * size > ROOM and self.passed:
            del self.passed[next(iter(self.passed))]


def _beside(a: PathPoint, b: PathPoint) -> bool:
    """Whether two points differ by their strength alone."""
    return (a.l1_ratio, a.relaxed) == (b.l1_ratio, b.relaxed)


def _ahead(strength: float, trail: Sequence[Stop]) -> StackSolution:
    """A start for the next strength: the last answer, and on in the direction in which the path goes.

    Measured on digits, in factors of ten: 93 passes to the end of the path in place of 103.
    """
    answers = [answer for _, answer in trail]
    x = np.log([strength for strength, _ in trail])
    if len(trail) == 1:
        return answers[0]
    steps = np.diff([*x, np.log(strength)])
    if (steps < 0).all() and -steps.min() <= np.log(SHORT) and steps.min() >= 1.5 * steps.max():
        return _combined(answers, _continued(x, np.log(strength)))
    return _combined(answers[-2:], [-ON, 1 + ON])


def _continued(x: Array, at: float) -> list[float]:
    """The shares of values at x (k,) in what the polynomial through them has at `at` (Lagrange).

    Example:
        >>> [round(share) for share in _continued(np.array([0.0, 1.0, 2.0]), 3.0)]
        [1, -3, 3]
    """
    return [float(np.prod([(at - b) / (a - b) for b in x if b != a])) for a in x]


def _combined(answers: Sequence[StackSolution], shares: Sequence[float]) -> StackSolution:
    """The sum of these shares of the weights of all answers, in their precision."""
    weights = []
    for pairs in zip(*(answer.weights for answer in answers), strict=True):
        W = np.empty_like(pairs[0][0])
        for j, d in np.ndindex(len(W), -(-W.shape[1] // RUN)):
            run = slice(d * RUN, (d + 1) * RUN)
            W[j, run] = sum(W.dtype.type(share) * V[j, run] for share, (V, _) in zip(shares, pairs, strict=True))
        weights.append((W, sum(share * b for share, (_, b) in zip(shares, pairs, strict=True))))
    return replace(answers[-1], weights=tuple(weights))
