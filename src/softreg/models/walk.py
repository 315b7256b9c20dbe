"""A walk down the path of strengths, each fit beginning with the answer of the last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from softreg.models import path
from softreg.models.judging import Judge, out_of_fold
from softreg.models.path import PathPoint
from softreg.models.stack import Answer, FoldStack, Weights
from softreg.rows import Array


class Walk:
    """Points of the path, the weights of the model of all rows at each, and out-of-fold probabilities at each."""

    def __init__(
        self,
        stack: FoldStack,
        judge: Judge,
        rule: str,
        more: bool,
        listener: Callable[[PathPoint], Any] | None,
    ) -> None:
        self.stack, self.judge, self.rule, self.more, self.listener = stack, judge, rule, more, listener
        self.points: list[PathPoint] = []
        self.whole: dict[tuple[float, float], Weights] = {}
        self.proba: dict[tuple[float, float], Array] = {}
        self.last: dict[float, Answer] = {}

    def go(self, strengths: Sequence[float] | None, ratios: Sequence[float]) -> None:
        """Fit the strengths given, or find them; afterwards `chosen`, `start` and `out_of_fold` are known."""
        if strengths is None:
            self._down(ratios)
            self._narrow()
        else:
            for strength in strengths:
                self._fit(strength, ratios)
        self.chosen = path.choose(self.points, self.rule, self.more)
        key = self.chosen.strength, self.chosen.l1_ratio
        self.start, self.out_of_fold = self.whole[key], self.proba[key]

    def _down(self, ratios: Sequence[float]) -> None:
        """From where the weights are practically 0 down until each l1_ratio's held-out log loss has turned."""
        A, entropy = path.pull(self.stack.rows, self.stack.q, self.stack.settings.fit_intercept)
        strength = max(path.largest_strength(A, entropy, r) for r in ratios)
        active = list(ratios)
        while active:
            found = self._fit(strength, active)
            trails = {p.l1_ratio: [q for q in self.points if q.l1_ratio == p.l1_ratio] for p in found}
            active = [p.l1_ratio for p in found if not path.has_ended(trails[p.l1_ratio], entropy)]
            strength = max((path.next_strength(p, entropy) for p in found if p.l1_ratio in active), default=0.0)

    def _narrow(self) -> None:
        """Points between the chosen one and its neighbours, until they are near."""
        while todo := path.between(self.points, chosen := path.choose(self.points, self.rule, self.more)):
            for strength in todo:
                near = min(self.whole, key=lambda k: (k[1] != chosen.l1_ratio, abs(np.log(k[0] / strength))))
                self.last = {chosen.l1_ratio: self.stack.spread(self.whole[near])}
                self._fit(strength, [chosen.l1_ratio])

    def _fit(self, strength: float, ratios: Sequence[float]) -> list[PathPoint]:
        start = [self.last[r] for r in ratios] if all(r in self.last for r in ratios) else None
        answers = self.stack.fit(strength, ratios, start)
        found = []
        for ratio, answer in zip(ratios, answers, strict=True):
            held = self.judge.held_out(strength, ratio, answer)
            point = self.judge.point(strength, ratio, answer, held)
            key = strength, ratio
            self.whole[key], self.last[ratio] = answer.of_all_rows, answer
            self.proba[key] = out_of_fold(held).astype(held.dtype)
            found.append(point)
            if self.listener is not None:
                self.listener(point)
        self.points += found
        return found
