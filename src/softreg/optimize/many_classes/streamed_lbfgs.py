"""Limited-memory BFGS for many classes on dense rows: its memory is a small multiple of the weights.

All arrays of the size of the weights are in the precision of the rows, and are written in place: weights, gradient,
the pairs of the memory (as many as `PAIR_BYTES` allow), and the step and gradient that become the next pair. Every
product with an inverse of the curvature is taken a chunk of classes at a time.

References
----------
Nocedal and Wright, Numerical Optimization, algorithm 7.4.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.cost.meter import current_meter
from softreg.optimize.many_classes.shared_curvature import SharedCurvature
from softreg.optimize.many_classes.streamed_descent import StreamedDescent
from softreg.typing import Float64Array, FloatArray

PAIR_BYTES = 512 << 20
"""Bytes of the correction pairs, at most, unless two pairs take more."""
LEAST_PAIRS, MOST_PAIRS = 2, 10
"""Correction pairs."""
REVIEWS = (0, 1, 2, 4, 7, 12, 20, 40)
"""Iterations at which the curvature is computed again."""
MIN_COSINE = 1e-10
"""Cosine between a step and the change of the gradient below which the pair is not kept."""


@dataclass
class Pair:
    """A step and the change of the gradient along it; the bias apart."""

    step: FloatArray
    change: FloatArray
    step_bias: Float64Array
    change_bias: Float64Array
    product: float = 0.0


class StreamedLBFGS(StreamedDescent):
    """A descent by quasi-Newton steps; the constructor takes also the iterations at which the curvature is new."""

    def __init__(self, *args: Any, reviews: Container[int] = REVIEWS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reviews = reviews
        self.curvature: SharedCurvature | None = None
        count = int(np.clip(PAIR_BYTES // (2 * self.W.nbytes), LEAST_PAIRS, MOST_PAIRS))
        self.most_pairs, self.pairs, self.spare = count, list[Pair](), list[Pair]()

    def iterate(self) -> bool:
        """Take one step; return False where no step decreases the objective."""
        if self.iterations in self.reviews or self.curvature is None:
            self.curvature = None
            with current_meter().curvature():
                self.curvature = self.shared_curvature()
        self.iterations += 1
        pair = self._new_pair()
        slope = self._direction(pair)
        if not slope < 0:
            self._drop_pairs()
            slope = self._direction(pair)
        biased = self.bias_gradient
        before = self.line_search(pair.step, pair.step_bias, slope, pair.change) if slope < 0 else None
        if before is None:
            self.spare.append(pair)
            had_pairs = bool(self.pairs)
            self._drop_pairs()
            return had_pairs
        pair.step_bias, pair.change = self.last_length * pair.step_bias, before
        if self.last_length != 1:
            pair.step *= pair.step.dtype.type(self.last_length)
        self.loss.by_chunks(lambda _, chunk: np.subtract(self.G[chunk], before[chunk], out=before[chunk]))
        pair.change_bias = self.bias_gradient - biased
        self._keep(pair)
        return True

    # --- directions ---------------------------------------------------------------------------------------------

    def _new_pair(self) -> Pair:
        """Return a pair whose arrays may be written."""
        if self.spare:
            return self.spare.pop()
        q = self.loss.q
        if len(self.pairs) >= self.most_pairs:
            return self.pairs.pop(0)
        return Pair(np.empty_like(self.W), np.empty_like(self.W), np.zeros(q), np.zeros(q))

    def _drop_pairs(self) -> None:
        self.spare += self.pairs
        self.pairs = []

    def _direction(self, pair: Pair) -> float:
        """Write the direction to the step of the pair; return the slope along it."""
        assert self.curvature is not None
        curvature = self.curvature
        D, b = pair.step, self.bias_gradient.copy()
        np.copyto(D, self.G)
        shares = []
        for old in reversed(self.pairs):
            share = (self.loss.dot(old.step, D) + float(old.step_bias @ b)) / old.product
            self.loss.add(-share, old.change, D)
            b -= share * old.change_bias
            shares.append(share)
        scale = self._scale()

        def solve(_: int, chunk: slice) -> Float64Array:
            solved, of_bias = curvature.solve(chunk, D[chunk], b[chunk])
            D[chunk] = solved * D.dtype.type(scale)
            return of_bias * scale

        b = np.concatenate(self.loss.by_chunks(solve)) * float(self.fit_intercept)
        for old, share in zip(self.pairs, reversed(shares), strict=True):
            back = (self.loss.dot(old.change, D) + float(old.change_bias @ b)) / old.product
            self.loss.add(share - back, old.step, D)
            b += (share - back) * old.step_bias
        pair.step_bias, slope = self.downhill(D, b)
        return slope

    def _scale(self) -> float:
        """Return the factor at which the preconditioner has the curvature along the last step."""
        assert self.curvature is not None
        curvature = self.curvature
        if not self.pairs:
            return 1.0
        last = self.pairs[-1]

        def product(_: int, chunk: slice) -> float:
            solved, of_bias = curvature.solve(chunk, last.change[chunk], last.change_bias[chunk])
            part = float(of_bias @ last.change_bias[chunk]) if self.fit_intercept else 0.0
            return float(np.vdot(solved, last.change[chunk])) + part

        return last.product / max(float(sum(self.loss.by_chunks(product))), TINY)

    def _keep(self, pair: Pair) -> None:
        """Add the pair to the memory where it tells the curvature."""
        pair.product = self.loss.dot(pair.step, pair.change) + float(pair.step_bias @ pair.change_bias)
        sizes = self.loss.dot(pair.step, pair.step) * self.loss.dot(pair.change, pair.change)
        (self.pairs if pair.product > MIN_COSINE * np.sqrt(sizes) else self.spare).append(pair)
