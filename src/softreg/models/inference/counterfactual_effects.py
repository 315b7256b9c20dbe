"""Average marginal effects of variables that enter several columns of X, as in `age * sex` or a spline of `age`.

`effects` has closed forms for a variable in a single column. Here a variable may enter any number of columns, and its
effect is defined by two matrices: the rows before and after the variable changes. The effect of a level is the mean
difference of the probabilities. The effect of a number is the mean of the differences divided by the change of each
row, which approximates the mean derivative. Greene, Econometric Analysis (2012), section 17.3.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from softreg.models.inference.estimates import Estimates, normal
from softreg.models.inference.fitted_inference import FittedInference
from softreg.models.inference.fitted_rows import FittedRows
from softreg.models.likelihood.likelihood import Likelihood
from softreg.optimize.objective.column_reductions import column_logits
from softreg.probability import block_loss as loss
from softreg.rows import Array, one_blas_thread

ROWS = 4_096
"""Rows that are processed together."""


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """The rows of a fit, X (n, d), before and after a variable changes, and the size of the change."""

    variable: str
    words: str
    """Description of the change, such as "per unit" or "rather than male"."""
    before: Array
    after: Array
    step: Array | None = None
    """The change (n,) of a number; None for a difference between two levels."""


def counterfactual_effects(inference: FittedInference, changes: Iterable[Counterfactual]) -> Estimates:
    """Return average marginal effects with standard errors by the delta method.

    The effects of all classes sum to zero.

    Parameters
    ----------
    inference : Inference
        Statistics of the fit.
    changes : iterable of Counterfactual
        Changes of variables; the matrices have the columns and rows of `inference.fitted.X`.

    Returns
    -------
    Estimates
        Effects of shape (q, c) of the c changes.

    Examples
    --------
    >>> from softreg import SoftmaxRegression, infer
    >>> X, y = np.array([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]), np.array([0, 0, 1, 0, 1, 1])
    >>> result = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    >>> change = Counterfactual("x", "per unit", X - 1e-4, X + 1e-4, np.full(6, 2e-4))
    >>> bool(abs(counterfactual_effects(result, [change]).estimate - result.effects().estimate).max() < 1e-7)
    True
    """
    likelihood, fitted = inference.likelihood, inference.fitted
    names, words, estimates, errors = [], [], [], []
    for change in changes:
        with one_blas_thread():
            effect, J = _effect(likelihood, inference._theta, change, fitted)
        names.append(change.variable)
        words.append(change.words)
        estimates.append(effect)
        errors.append(np.sqrt(np.maximum(np.einsum("kci,cids,kds->k", J, inference._C, J, optimize=True), 0.0)))
    shape = (likelihood.q, len(names))
    estimate, error = (np.array(parts).T.reshape(shape) for parts in (estimates, errors))
    labels = tuple(fitted.labels)
    effects = normal("effect", labels, tuple(names), estimate, error, inference.level, fitted.strength == 0)
    return replace(effects, changes=tuple(words))


def _effect(likelihood: Likelihood, theta: Array, change: Counterfactual, fitted: FittedRows) -> tuple[Array, Array]:
    """Return the mean over the rows of `(p_k(after) - p_k(before)) / step`, and its derivatives.

    `dp_k / dtheta_cm = p_k (delta_kc - p_c) z_m`, at either end. Derivatives are by the solver's parameters.

    Returns
    -------
    effect : ndarray of shape (q,)
        Mean differences.
    J : ndarray of shape (q, q, d + 1)
        Their derivatives.
    """
    q, n, weight = likelihood.q, len(change.before), fitted.weight
    offset = None if fitted.offset is None else fitted.offset.T
    total, J = np.zeros(q), np.zeros((q, q, likelihood.d + 1))
    share = np.full(n, 1 / likelihood.mass) if weight is None else weight / likelihood.mass
    if change.step is not None:
        share = share / change.step
    for a in range(0, n, ROWS):
        rows = slice(a, a + ROWS)
        for X, sign in ((change.before, -1.0), (change.after, 1.0)):
            Z = _standardised(likelihood, X[rows])
            P = loss.probabilities(column_logits(theta, Z, offset, rows)[None])[0][0]
            weighted = P * (sign * share[rows])
            total += weighted.sum(axis=1)
            for k in range(q):
                S = -weighted[k] * P
                S[k] += weighted[k]
                J[k] += S @ Z.T
    return total, J


def _standardised(likelihood: Likelihood, X: Array) -> Array:
    """Return rows X (b, d) in the solver's coordinates with a one for the intercept, (d + 1, b)."""
    Z = np.ones((likelihood.d + 1, len(X)))
    Z[:-1] = ((X - likelihood.coordinates.shift) / likelihood.coordinates.scale).T
    return Z
