"""Newton's method for a small model, compiled as a whole; there is no version in NumPy.

A step of a solver in Python takes some 0.1 to 0.5 ms whatever the number of rows; the compiled steps of 100 rows with
ten columns take a hundredth of that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.rows.kernels import products as kernels
from softreg.typing import Array

PADDING = 8
"""Rows are padded to a multiple of this, the widest vector."""


@dataclass(frozen=True, eq=False)
class FitSteps:
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


@dataclass(frozen=True, eq=False)
class SmallFit(FitSteps):
    """The steps of a fit, and what a certificate needs of the result.

    Attributes
    ----------
    gradient : ndarray of shape (q, k)
        Gradient of the loss, without the l2 part, at the result.
    loss : float
        Mean loss at the result.
    logits : ndarray of shape (q, n) or None
        Logits at the result.
    """

    gradient: Array
    loss: float
    logits: Array | None


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
    exact: bool = False,
    balanced: bool = True,
    with_logits: bool = False,
) -> SmallFit | None:
    """Minimise cross-entropy with an l2 and an l1 part over theta, in place.

    The objective is `sum_i w_i CE(y_i, softmax(theta z_i)) + sum_cj (ridge_j theta_cj^2 / 2 + kink_j |theta_cj|)`.

    Parameters
    ----------
    Z : ndarray of shape (k, n)
        Columns of the rows, in float64. Rows of weight 0 that make n a multiple of `PADDING` spare a copy.
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
    exact : bool
        For two classes without an l1 part: every step has the exact Hessian, from one pass over the rows. Otherwise
        steps are solved by conjugate gradients, with Hessians of the classes as preconditioners.
    balanced : bool
        Whether Newton steps of the bias, the last column, make the mean prediction equal the class rates at the end.
    with_logits : bool
        Whether to return the logits.

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
    n, more = Z.shape[1], -Z.shape[1] % PADDING
    if more:
        Z, codes, weights = np.pad(Z, ((0, 0), (0, more))), np.pad(codes, (0, more)), np.pad(weights, (0, more))
    history, gradient, loss = np.zeros((3, max_steps + 1)), np.empty(theta.shape), np.empty(1)
    logits = np.empty((len(theta), n + more)) if with_logits else None
    end = module.small_newton(
        np.ascontiguousarray(Z),
        codes,
        weights,
        np.ascontiguousarray(ridge),
        None if kink is None else np.ascontiguousarray(kink),
        theta,
        history,
        goal,
        exact,
        balanced,
        gradient,
        loss,
        logits,
    )
    steps = end if end >= 0 else -1 - end
    values, gaps, products = history[:, : max(steps, 1)]
    logits = None if logits is None else logits[:, :n]
    return SmallFit(values, gaps, products, steps, end >= 0, gradient, float(loss[0]), logits)


def standard_columns(X: Array, shift: Array, scale: Array, bias: float, first: int, out: Array) -> bool:
    """Write the columns of `(X - shift) / scale`, and one of the bias, to places of `out`.

    Parameters
    ----------
    X : ndarray of shape (b, d)
    shift, scale : ndarray of shape (d,)
    bias : float
    first : int
        Place of the first row in `out`.
    out : ndarray of shape (d + 1, n)
        Columns, in float64.

    Returns
    -------
    bool
        False, and nothing written, without compiled kernels for this array.

    Examples
    --------
    >>> out = np.zeros((2, 3))
    >>> done = standard_columns(np.array([[3.0], [5.0]]), np.array([3.0]), np.array([2.0]), 1.0, 1, out)
    >>> out.tolist() if done else [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]
    [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0]]
    """
    module = kernels._module
    if module is None or not kernels._supported(X):
        return False
    module.standard_columns(X, shift, scale, bias, first, out)
    return True
