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
from softreg.optimize.many_classes.streamed_descent import StreamedDescent
from softreg.optimize.many_classes.truncated_hessian import TruncatedHessian


class StreamedNewton(StreamedDescent):
    """A descent by Newton steps with a truncated Hessian."""

    NEEDS_LEADING = True

    def iterate(self) -> bool:
        """Take one step; return False where no step decreases the objective."""
        self.iterations += 1
        with current_meter().curvature():
            hessian = TruncatedHessian(self.shared_curvature(), self.sums, self.at, self.W, self.G)
            D, solved = hessian.solve(self.G, self.bias_gradient)
        del hessian  # before the gradient at the end of the step has an array
        of_bias, slope = self.downhill(D, solved)
        return slope < 0 and self.line_search(D, of_bias, slope, np.empty_like(self.G)) is not None
