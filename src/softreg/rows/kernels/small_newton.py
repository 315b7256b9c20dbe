"""Newton's method for a small model, compiled as a whole; there is no version in NumPy.

A step of a solver in Python takes some 0.1 to 0.5 ms whatever the number of rows; the compiled steps of 100 rows with
ten columns take a hundredth of that. It gives a start near the minimum, which the solver in Python then proves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.rows.kernels import products as kernels
from softreg.typing import Array

PADDING = 8
"""Rows are padded to a multiple of this, the widest vector."""


@dataclass(frozen=True)
class SmallFit:
    """The steps of a fit.

    Attributes
    ----------
    values, gaps, products : ndarray of shape (steps,)
        Objective, estimated gap and products with the Hessian until then, before each step.
    steps : int
        Newton steps taken.
    converged : bool
        Whether the estimated gap before the last step was below the goal.
    """

    values: Array
    gaps: Array
    products: Array
    steps: int
    converged: bool


def small_newton(
    Z: Array,
    codes: Array,
    weights: Array,
    ridge: Array,
    theta: Array,
    *,
    goal: float,
    max_steps: int,
    kink: Array | None = None,
) -> SmallFit | None:
    """Minimise cross-entropy with an l2 and an l1 part over theta, in place.

    The objective is `sum_i w_i CE(y_i, softmax(theta z_i)) + sum_cj (ridge_j theta_cj^2 / 2 + kink_j |theta_cj|)`.

    Parameters
    ----------
    Z : ndarray of shape (k, n)
        Columns of the rows, in float64.
    codes : ndarray of shape (n,)
        Labels.
    weights : ndarray of shape (n,)
        Weights w of the rows, of sum 1.
    ridge : ndarray of shape (k,)
    theta : ndarray of shape (q, k)
        The start, of mean 0 over the classes without an l1 part and for two classes, and the result.
    goal : float
        Nats: the step at an estimated gap below this is the last one.
    max_steps : int
    kink : ndarray of shape (k,), optional
        Without it there is no l1 part. The last column, of the bias, has a kink of 0.

    Returns
    -------
    SmallFit or None
        None without compiled kernels.

    Examples
    --------
    >>> Z, theta = np.array([[-1.0, 1.0, 2.0], [1.0, 1.0, 1.0]]), np.zeros((2, 2))
    >>> fit = small_newton(Z, np.array([0, 1, 1]), np.ones(3) / 3, np.array([0.1, 0.0]), theta, goal=1e-9, max_steps=20)
    >>> fit is None or bool(fit.converged and abs(theta.sum()) < 1e-12)
    True
    """
    module = kernels._module
    if module is None or not hasattr(module, "small_newton"):
        return None
    (k, n), more = Z.shape, -Z.shape[1] % PADDING
    padded = np.zeros((k, n + more))
    padded[:, :n] = Z
    history = np.zeros((3, max_steps + 1))
    end = module.small_newton(
        padded,
        np.concatenate([codes, np.zeros(more, dtype=np.int64)]),
        np.concatenate([weights, np.zeros(more)]),
        np.ascontiguousarray(ridge),
        None if kink is None else np.ascontiguousarray(kink),
        theta,
        history,
        goal,
    )
    steps = end if end >= 0 else -1 - end
    values, gaps, products = history[:, : max(steps, 1)]
    return SmallFit(values=values, gaps=gaps, products=products, steps=steps, converged=end >= 0)
