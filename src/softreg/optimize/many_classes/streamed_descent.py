"""What Newton's method and L-BFGS for many classes share: the point, the line search and the record of progress.

All arrays of the size of the weights are in the precision of the rows, and are written in place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from time import perf_counter

import numpy as np

from softreg.optimize.many_classes.shared_curvature import ClassSums, SharedCurvature, WithinScatter
from softreg.optimize.many_classes.streamed_loss import StreamedLoss
from softreg.optimize.problem.result import Progress
from softreg.typing import Float64Array, FloatArray

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
NOISE = {np.dtype(np.float32): 2e-7, np.dtype(np.float64): 1e-12}
"""Relative rounding error of the objective."""


class StreamedDescent:
    """One descent from given weights; a subclass has the method `iterate`.

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

    NEEDS_LEADING = False
    """Whether the probabilities that are not small are collected with each gradient."""

    def __init__(
        self,
        loss: StreamedLoss,
        sums: ClassSums,
        scatter: WithinScatter,
        W: FloatArray,
        bias: Float64Array,
        fit_intercept: bool,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> None:
        self.loss, self.W, self.bias, self.fit_intercept = loss, W, bias, fit_intercept
        self.on_progress, self.start_time, self.history = on_progress, perf_counter(), list[Progress]()
        self.iterations = 0
        self.last_length = 1.0
        """The length of the last step, in units of its direction."""
        self.sample = loss.on_sample()
        loss.keeps_leading = self.NEEDS_LEADING
        self.G = np.empty_like(W)
        self.sums = sums
        self.scatter = scatter
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
        return self.loss.dot(self.G, self.G)

    def iterate(self) -> bool:
        """Take one step; return False where no step decreases the objective."""
        raise NotImplementedError

    def report(self, gap: float) -> None:
        """Add an entry to the history and call `on_progress`."""
        passes = round(self.loss.passes)
        now = Progress(passes, self.at.value, gap, perf_counter() - self.start_time, passes * self.loss.n)
        self.history.append(now)
        if self.on_progress is not None:
            self.on_progress(now)

    def shared_curvature(self) -> SharedCurvature:
        """Return the preconditioner at the current point."""
        where = self.loss, self.sums, self.scatter
        return SharedCurvature(*where, self.at, self.W, self.G, self.fit_intercept)

    def downhill(self, D: FloatArray, of_bias: Float64Array) -> tuple[Float64Array, float]:
        """Turn a preconditioned gradient into a step, in place and without the common shift of all classes.

        Returns
        -------
        of_bias : ndarray of shape (q,)
            The part of the bias.
        slope : float
            The slope along the step.
        """
        common = sum(self.loss.by_chunks(lambda _, chunk: D[chunk].sum(axis=0, dtype=np.float64))) / self.loss.q
        step_bias = -(of_bias - of_bias.mean())

        def finish(_: int, chunk: slice) -> float:
            D[chunk] -= common.astype(D.dtype)
            np.negative(D[chunk], out=D[chunk])
            return float(np.vdot(D[chunk], self.G[chunk]))

        return step_bias, float(sum(self.loss.by_chunks(finish))) + float(step_bias @ self.bias_gradient)

    # --- line search --------------------------------------------------------------------------------------------

    def line_search(self, D: FloatArray, of_bias: Float64Array, slope: float, new: FloatArray) -> FloatArray | None:
        """Move along a step; `new` becomes the array of the gradient.

        Returns
        -------
        ndarray of shape (q, d) or None
            The gradient before the step; None where no length decreases the objective.
        """
        value, bias = self.at.value, self.bias
        noise = NOISE[np.dtype(self.W.dtype)] * max(1.0, abs(value))
        t, moved, low, high, low_slope = self._first_length(D, of_bias), 0.0, 0.0, np.inf, slope
        for _ in range(MAX_TRIALS):
            self.loss.add(t - moved, D, self.W)
            moved, self.bias = t, bias + t * of_bias
            ahead = self.loss.evaluate(self.W, self.bias, new)
            along = self.loss.dot(new, D) + float(of_bias @ (ahead.mean - self.loss.rates))
            decreases = np.isfinite(ahead.value) and ahead.value <= value + DECREASE * t * slope + noise
            if decreases and (abs(along) <= FLAT * abs(slope) or -slope * t < noise):
                before, self.at, self.G, self.last_length = self.G, ahead, new, t
                return before
            if decreases and along < 0:
                low, low_slope = t, along
            else:
                high = t
            rise = ahead.value - value - t * slope
            vertex = -slope * t * t / (2 * rise) if np.isfinite(rise) and rise > 0 and not decreases else np.inf
            t = _next_trial(t, low, high, low_slope, along if np.isfinite(along) else np.inf, vertex)
        self.loss.add(-moved, D, self.W)
        self.bias = bias
        self.at = self.loss.evaluate(self.W, self.bias, self.G)  # the weights are restored up to rounding
        return None

    def _first_length(self, D: FloatArray, of_bias: Float64Array) -> float:
        """Return the full step, or while steps are short the best of some lengths on a sample of the rows."""
        if self.iterations > SURE_ITERATIONS and self.last_length == 1:
            return 1.0
        values, moved = [self.sample.evaluate(self.W, self.bias, None).value], 0.0
        for t in LENGTHS:
            self.loss.add(t - moved, D, self.W)
            moved = t
            values.append(self.sample.evaluate(self.W, self.bias + t * of_bias, None).value)
            if not values[-1] < values[-2]:
                break
        self.loss.add(-moved, D, self.W)
        best = int(np.argmin(values))
        return float(LENGTHS[max(best - 1, 0)])


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
