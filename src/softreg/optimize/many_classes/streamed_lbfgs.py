"""Limited-memory BFGS for many classes on dense rows: its memory is a small multiple of the weights.

All arrays of the size of the weights are in the precision of the rows, and are written in place: weights, gradient,
the pairs of the memory (as many as `PAIR_BYTES` allow), and the step and gradient that become the next pair. Every
product with an inverse of the curvature is taken a chunk of classes at a time.

References
----------
Nocedal and Wright, Numerical Optimization, algorithm 7.4.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.cost.meter import current_meter
from softreg.optimize.many_classes.shared_curvature import ClassSums, SharedCurvature, WithinScatter
from softreg.optimize.many_classes.streamed_loss import Evaluation, StreamedLoss
from softreg.optimize.problem.result import Progress
from softreg.typing import Float64Array, FloatArray

PAIR_BYTES = 512 << 20
"""Bytes of the correction pairs, at most, unless two pairs take more."""
LEAST_PAIRS, MOST_PAIRS = 2, 10
"""Correction pairs."""
REVIEWS = (0, 1, 2, 4, 7, 12, 20, 40)
"""Iterations at which the curvature is computed again."""
DECREASE, FLAT = 1e-4, 0.9
"""Wolfe conditions: sufficient decrease, and the slope at an accepted step relative to that at its start."""
MAX_TRIALS = 25
"""Step lengths that are tried in one iteration."""
LENGTHS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Lengths of a step that are compared on a sample, in units of its direction, from the shortest on."""
SURE_ITERATIONS = 2
"""Iterations after which a full step is tried without a sample where the last step was one."""
MIN_FACTOR, MAX_FACTOR = 0.1, 4.0
"""Least and largest factor from one trial to the next."""
MARGIN = 0.05
"""Part of the bracket at each end in which the next trial does not lie."""
MIN_COSINE = 1e-10
"""Cosine between a step and the change of the gradient below which the pair is not kept."""
NOISE = {np.dtype(np.float32): 2e-7, np.dtype(np.float64): 1e-12}
"""Relative rounding error of the objective."""


@dataclass
class Pair:
    """A step and the change of the gradient along it; the bias apart."""

    step: FloatArray
    change: FloatArray
    step_bias: Float64Array
    change_bias: Float64Array
    product: float = 0.0


class StreamedLBFGS:
    """One descent from given weights.

    Parameters
    ----------
    loss : StreamedLoss
    sums : ClassSums
        Of its rows.
    scatter : WithinScatter
        Of its rows.
    W : ndarray of shape (q, d)
        Changed in place.
    bias : ndarray of shape (q,)
    fit_intercept : bool
    on_progress : callable, optional
    """

    def __init__(
        self,
        loss: StreamedLoss,
        sums: ClassSums,
        scatter: WithinScatter,
        W: FloatArray,
        bias: Float64Array,
        fit_intercept: bool,
        on_progress: Callable[[Progress], object] | None = None,
        reviews: Container[int] = REVIEWS,
    ) -> None:
        self.loss, self.W, self.bias, self.fit_intercept = loss, W, bias, fit_intercept
        self.on_progress, self.start_time, self.history = on_progress, perf_counter(), list[Progress]()
        self.reviews, self.iterations = reviews, 0
        self.last_length = 1.0
        """The length of the last step, in units of its direction."""
        self.sample = loss.on_sample()
        self.G = np.empty_like(W)
        self.sums = sums
        self.scatter = scatter
        self.curvature: SharedCurvature | None = None
        count = int(np.clip(PAIR_BYTES // (2 * W.nbytes), LEAST_PAIRS, MOST_PAIRS))
        self.most_pairs, self.pairs, self.spare = count, list[Pair](), list[Pair]()
        self.at = loss.evaluate(W, bias, self.G)

    @cached_property
    def label_norm(self) -> float:
        """Norm of the mean of x y^T for centred columns."""
        v = self.loss.row_weights
        squares = self.loss.by_chunks(lambda _, chunk: float(np.square(self.sums.of(chunk, v)[0]).sum()))
        return float(np.sqrt(sum(squares))) / self.loss.mass

    @property
    def bias_gradient(self) -> Float64Array:
        """The derivative (q,) with respect to the bias."""
        return (self.at.mean - self.loss.rates) * float(self.fit_intercept)

    def squared_gradient(self) -> float:
        """Return the squared norm of the gradient with respect to the weights."""
        return self._dot(self.G, self.G)

    def iterate(self) -> bool:
        """Take one step; return False where no step decreases the objective."""
        if self.iterations in self.reviews or self.curvature is None:
            self.curvature = None
            with current_meter().curvature():
                self.curvature = SharedCurvature(
                    self.loss, self.sums, self.scatter, self.at, self.W, self.G, self.fit_intercept
                )
        self.iterations += 1
        pair = self._new_pair()
        slope = self._direction(pair)
        if not slope < 0:
            self._drop_pairs()
            slope = self._direction(pair)
        moved = slope < 0 and self._line_search(pair, slope)
        if not moved:
            self.spare.append(pair)
            had_pairs = bool(self.pairs)
            self._drop_pairs()
            return had_pairs
        self._keep(pair)
        return True

    def report(self, gap: float) -> None:
        """Add an entry to the history and call `on_progress`."""
        passes = round(self.loss.passes)
        now = Progress(passes, self.at.value, gap, perf_counter() - self.start_time, passes * self.loss.n)
        self.history.append(now)
        if self.on_progress is not None:
            self.on_progress(now)

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
        self._copy(self.G, D)
        shares = []
        for old in reversed(self.pairs):
            share = (self._dot(old.step, D) + float(old.step_bias @ b)) / old.product
            self._add(-share, old.change, D)
            b -= share * old.change_bias
            shares.append(share)
        scale = self._scale()

        def solve(_: int, chunk: slice) -> Float64Array:
            solved, of_bias = curvature.solve(chunk, D[chunk], b[chunk])
            D[chunk] = solved * D.dtype.type(scale)
            return of_bias * scale

        b = np.concatenate(self.loss.by_chunks(solve)) * float(self.fit_intercept)
        for old, share in zip(self.pairs, reversed(shares), strict=True):
            back = (self._dot(old.change, D) + float(old.change_bias @ b)) / old.product
            self._add(share - back, old.step, D)
            b += (share - back) * old.step_bias
        common = sum(self.loss.by_chunks(lambda _, chunk: D[chunk].sum(axis=0, dtype=np.float64))) / self.loss.q
        pair.step_bias = -(b - b.mean())

        def finish(_: int, chunk: slice) -> float:
            D[chunk] -= common.astype(D.dtype)
            np.negative(D[chunk], out=D[chunk])
            return float(np.vdot(D[chunk], self.G[chunk]))

        return float(sum(self.loss.by_chunks(finish))) + float(pair.step_bias @ self.bias_gradient)

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

    # --- line search --------------------------------------------------------------------------------------------

    def _line_search(self, pair: Pair, slope: float) -> bool:
        """Move along the step of the pair, whose change receives the new gradient; return False where it fails."""
        value, bias = self.at.value, self.bias
        noise = NOISE[np.dtype(self.W.dtype)] * max(1.0, abs(value))
        t, moved, low, high, low_slope = self._first_length(pair), 0.0, 0.0, np.inf, slope
        for _ in range(MAX_TRIALS):
            self._add(t - moved, pair.step, self.W)
            moved, self.bias = t, bias + t * pair.step_bias
            ahead = self.loss.evaluate(self.W, self.bias, pair.change)
            along = self._dot(pair.change, pair.step) + float(pair.step_bias @ (ahead.mean - self.loss.rates))
            decreases = np.isfinite(ahead.value) and ahead.value <= value + DECREASE * t * slope + noise
            if decreases and (abs(along) <= FLAT * abs(slope) or -slope * t < noise):
                pair.step_bias, self.last_length = t * pair.step_bias, t
                self._scale_in_place(t, pair.step)
                self._settle(pair, ahead)
                return True
            if decreases and along < 0:
                low, low_slope = t, along
            else:
                high = t
            rise = ahead.value - value - t * slope
            vertex = -slope * t * t / (2 * rise) if np.isfinite(rise) and rise > 0 and not decreases else np.inf
            t = _next_trial(t, low, high, low_slope, along if np.isfinite(along) else np.inf, vertex)
        self._add(-moved, pair.step, self.W)
        self.bias = bias
        self.at = self.loss.evaluate(self.W, self.bias, self.G)  # the weights are restored up to rounding
        return False

    def _first_length(self, pair: Pair) -> float:
        """Return the full step, or while steps are short the best of some lengths on a sample of the rows."""
        if self.iterations > SURE_ITERATIONS and self.last_length == 1:
            return 1.0
        values, moved = [self.sample.evaluate(self.W, self.bias, None).value], 0.0
        for t in LENGTHS:
            self._add(t - moved, pair.step, self.W)
            moved = t
            values.append(self.sample.evaluate(self.W, self.bias + t * pair.step_bias, None).value)
            if not values[-1] < values[-2]:
                break
        self._add(-moved, pair.step, self.W)
        best = int(np.argmin(values))
        return float(LENGTHS[max(best - 1, 0)])

    def _settle(self, pair: Pair, ahead: Evaluation) -> None:
        """Take the new gradient, and leave the change of the gradient in the pair."""
        before = self.bias_gradient
        self.at = ahead

        def exchange(_: int, chunk: slice) -> None:
            new = pair.change[chunk]
            old = self.G[chunk]
            self.G[chunk], pair.change[chunk] = new.copy(), new - old

        self.loss.by_chunks(exchange)
        pair.change_bias = self.bias_gradient - before

    def _keep(self, pair: Pair) -> None:
        """Add the pair to the memory where it tells the curvature."""
        pair.product = self._dot(pair.step, pair.change) + float(pair.step_bias @ pair.change_bias)
        sizes = self._dot(pair.step, pair.step) * self._dot(pair.change, pair.change)
        (self.pairs if pair.product > MIN_COSINE * np.sqrt(sizes) else self.spare).append(pair)

    # --- arrays of the size of the weights ----------------------------------------------------------------------

    def _dot(self, A: FloatArray, B: FloatArray) -> float:
        return float(sum(self.loss.by_chunks(lambda _, chunk: float(np.vdot(A[chunk], B[chunk])))))

    def _add(self, factor: float, A: FloatArray, onto: FloatArray) -> None:
        def add(_: int, chunk: slice) -> None:
            onto[chunk] += A.dtype.type(factor) * A[chunk]

        self.loss.by_chunks(add)

    def _scale_in_place(self, factor: float, A: FloatArray) -> None:
        if factor != 1:
            A *= A.dtype.type(factor)

    def _copy(self, A: FloatArray, onto: FloatArray) -> None:
        np.copyto(onto, A)


def _next_trial(t: float, low: float, high: float, low_slope: float, along: float, vertex: float) -> float:
    """Return the next length to try, kept well inside the bracket.

    It is the zero of the slope between the last trial and the low end of the bracket, or where that is nearer, the
    vertex of the parabola through the value of the last trial: beyond a few nats the loss is linear, and its slope
    there tells little.

    Returns
    -------
    float
    """
    secant = t - along * (t - low) / (along - low_slope) if along > low_slope and t > low else MAX_FACTOR * t
    if not np.isfinite(high):
        return float(np.clip(secant, (1 + MARGIN) * t, MAX_FACTOR * t))
    if not np.isfinite(secant):
        return low + MIN_FACTOR * (high - low)
    return float(np.clip(min(secant, vertex), low + MARGIN * (high - low), high - MARGIN * (high - low)))
