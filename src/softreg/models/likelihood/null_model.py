"""The model without columns, of bias and offset alone: its loss, and the gradient of the loss in the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize import l2
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.problem.standardization import Coordinates
from softreg.rows import Array, Rows, one_blas_thread


@dataclass(frozen=True)
class NullModel:
    """The optimum at weights of zero.

    Attributes
    ----------
    gradient : ndarray of shape (q, d)
        Gradient of the mean loss with respect to the weights.
    loss : float
        Mean loss in nats.
    """

    gradient: Array
    loss: float


def null_model(rows: Rows, q: int, fit_intercept: bool) -> NullModel:
    """Return the optimum at weights of zero for rows with an offset, by Newton's method in the bias.

    Without an offset the bias is the logarithm of the class rates, and the loss their entropy.

    Parameters
    ----------
    rows : Rows
        The rows, with the weights of one model.
    q : int
        Number of classes.
    fit_intercept : bool
        Whether there is a bias; otherwise the logits are the offset alone.

    Returns
    -------
    NullModel
        Gradient and loss.

    Examples
    --------
    >>> from softreg.rows import as_rows
    >>> rows = as_rows(np.array([[0.0], [1.0]]), np.array([0, 1]), None, np.array([[0.0, 1.0], [0.0, 1.0]]))
    >>> round(null_model(rows, 2, True).loss, 6), null_model(rows, 2, True).gradient.round(6).tolist()
    (0.693147, [[0.25], [-0.25]])
    """
    columns = Coordinates(np.zeros(rows.d), np.ones(rows.d), np.zeros(rows.d, dtype=bool))
    with one_blas_thread():
        objective = Objective(rows, q, l2(1.0), columns, fit_intercept)
        objective.place(np.zeros((1, q, rows.d + 1)))
        shift, _ = objective.balance()
        value, G = objective.gradient(shift)
    return NullModel(np.asarray(G[0, :, :-1]), float(value[0]))
