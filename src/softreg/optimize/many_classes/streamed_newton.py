"""Newton's method for many classes on dense rows, with a Hessian from the largest probabilities.

A step needs one pass over the rows, for the gradient and the probabilities that are not small; its direction comes from
conjugate gradients that read only the pairs of a row and a class with such a probability. All arrays of the size of the
weights are in the precision of the rows: weights, gradient, step, and the three arrays of conjugate gradients.

References
----------
Nocedal and Wright, Numerical Optimization, section 7.1 (inexact Newton methods).
"""

from __future__ import annotations

import numpy as np

from softreg.optimize.cost.meter import current_meter
from softreg.optimize.many_classes.shared_curvature import SharedCurvature
from softreg.optimize.many_classes.streamed_descent import StreamedDescent
from softreg.optimize.many_classes.truncated_hessian import TruncatedHessian
from softreg.typing import Float64Array, FloatArray


class StreamedNewton(StreamedDescent):
    """A descent by Newton steps with a truncated Hessian."""

    NEEDS_LEADING = True

    def iterate(self) -> bool:
        """Take one step; return False where no step decreases the objective."""
        self.iterations += 1
        D, of_bias, slope = self._direction()
        return slope < 0 and self.line_search(D, of_bias, slope, np.empty_like(self.G)) is not None

    def _direction(self) -> tuple[FloatArray, Float64Array, float]:
        """Return the step (q, d) and (q,) of weights and bias, and the slope along it."""
        with current_meter().curvature():
            where = self.loss, self.sums, self.scatter
            preconditioner = SharedCurvature(*where, self.at, self.W, self.G, self.fit_intercept)
            hessian = TruncatedHessian(*where, preconditioner, self.at, self.W, self.G, self.fit_intercept)
            D, solved = hessian.solve(self.G, self.bias_gradient)
        common = sum(self.loss.by_chunks(lambda _, chunk: D[chunk].sum(axis=0, dtype=np.float64))) / self.loss.q
        of_bias = solved.mean() - solved

        def finish(_: int, chunk: slice) -> float:
            D[chunk] -= common.astype(D.dtype)
            np.negative(D[chunk], out=D[chunk])
            return float(np.vdot(D[chunk], self.G[chunk]))

        return D, of_bias, float(sum(self.loss.by_chunks(finish))) + float(of_bias @ self.bias_gradient)
