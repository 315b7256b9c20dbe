"""Average probabilities over rows, their derivatives by the parameters, and standard errors of functions of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.models.inference.margins.row_logits import ParameterDistribution, Scenario, each_block
from softreg.probability import block_loss as loss
from softreg.rows import Array


@dataclass(frozen=True, eq=False)
class AverageProbabilities:
    """Average probabilities of q classes over weighted rows.

    Attributes
    ----------
    p, complement : ndarray of shape (q,)
        Averages of the probabilities, and of one minus them, each without cancellation.
    J : ndarray of shape (q, q, d + 1)
        Derivatives of the averages by the parameters.
    """

    p: Array
    complement: Array
    J: Array

    @property
    def log_p(self) -> Array:
        """Logarithms of the averages; -inf where one underflows."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.p))

    @property
    def log_odds(self) -> Array:
        """Log-odds `log(p / (1 - p))` of the averages."""
        with np.errstate(divide="ignore"):
            return np.asarray(self.log_p - np.log(self.complement))

    @property
    def d_log_p(self) -> Array:
        """Derivatives of `log_p`; 0 where an average underflows."""
        return _divided(self.J, self.p)

    @property
    def d_log_odds(self) -> Array:
        """Derivatives of `log_odds`; 0 where an average or its complement underflows."""
        return _divided(self.J, self.p * self.complement)


def _divided(J: Array, by: Array) -> Array:
    """Return J (q, q, d + 1) divided by one number a class, 0 where the number is 0."""
    zero = by == 0
    return np.asarray(np.where(zero[:, None, None], 0.0, J / np.where(zero, 1.0, by)[:, None, None]))


def average_probabilities(
    distribution: ParameterDistribution, rows: Scenario, weight: Array | None = None
) -> AverageProbabilities:
    """Return the weighted average of the probabilities over rows, with its derivatives.

    `dp_k / dtheta_cm = p_k (delta_kc - p_c) z_m`.

    Parameters
    ----------
    distribution : ParameterDistribution
        Parameters.
    rows : Scenario
        The rows.
    weight : ndarray of shape (n,), optional
        Weights of the rows.

    Returns
    -------
    AverageProbabilities
        Averages.
    """
    q, k = distribution.theta.shape
    others = 1.0 - np.eye(q)

    def work(block: slice) -> tuple[Array, Array, Array]:
        Z = distribution.coordinates(rows.block(block))
        o, offset = distribution.theta @ Z, rows.offset_block(block)
        P = loss.probabilities((o if offset is None else o + offset)[None])[0][0]
        weighted = P if weight is None else P * weight[block]
        J = np.empty((q, q, k))
        for c in range(q):
            S = -weighted[c] * P
            S[c] = weighted[c] * (others[c] @ P)  # p (1 - p)
            J[c] = S @ Z.T
        rest = others @ P
        return weighted.sum(axis=1), (rest if weight is None else rest * weight[block]).sum(axis=1), J

    total = float(rows.n if weight is None else weight.sum())
    p, complement, J = np.zeros(q), np.zeros(q), np.zeros((q, q, k))
    for part in each_block(distribution, rows.n, work):
        p, complement, J = p + part[0], complement + part[1], J + part[2]
    return AverageProbabilities(p / total, complement / total, J / total)
