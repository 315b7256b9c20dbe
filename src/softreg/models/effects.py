"""Average marginal effects of the columns on the probabilities, and how they depend on the parameters."""

from __future__ import annotations

import numpy as np

from softreg.models.likelihood import Likelihood
from softreg.rows import Array, Block, Sums


def effects(likelihood: Likelihood, theta: Array) -> tuple[Array, Array]:
    """The mean over the rows of `dp_k / dx_j`, (q, d), and its derivatives (q, d, q, d + 1) by the parameters.

    With `D_kj = w_kj - sum_l p_l w_lj` the effect of a row is `p_k D_kj`, and

        d(p_k D_kj) / dtheta_cm = z_m (delta_kc p_k D_kj - p_k p_c (D_kj + D_cj)) + delta_mj p_k (delta_kc - p_c).

    D is linear in the weights, so all of it follows from the sums of `p_k z`, `p_k p_c z` and `p_k p_c p_l z`: the cost
    does not grow with the square of the columns. Derivatives are by the solver's parameters, effects by the user's
    columns.
    """
    q, d, W = likelihood.q, likelihood.d, theta[:, :-1]
    one, two, three = _moments(likelihood, theta)
    p, pp = one[:, -1], two[..., -1]  # without z: sums of p_k and of p_k p_c
    if not likelihood.bias:
        p, pp = _plain(likelihood, theta)
    estimate = p[:, None] * W - pp @ W
    # E_kjm = sum p_k D_kj z_m and F_kcjm = sum p_k p_c D_kj z_m
    E = W[:, :, None] * one[:, None] - np.einsum("klm,lj->kjm", two, W)
    F = W[:, None, :, None] * two[:, :, None] - np.einsum("kclm,lj->kcjm", three, W, optimize=True)
    J = -(F + F.transpose(1, 0, 2, 3)).transpose(0, 2, 1, 3)  # (k, j, c, m)
    k, j = np.arange(q), np.arange(d)
    J[k, :, k] += E
    J[:, j, :, j] += np.diag(p) - pp
    scale = likelihood.coordinates.scale
    return estimate / scale, J / scale[:, None, None]


def _moments(likelihood: Likelihood, theta: Array) -> tuple[Array, Array, Array]:
    """Means over the rows of `p_k z` (q, d + 1), `p_k p_c z` (q, q, d + 1) and `p_k p_c p_l z` (q, q, q, d + 1)."""
    q, size = likelihood.q, likelihood.d + 1

    def part(block: Block) -> Sums:
        sums = np.zeros((q + q * q + q**3, size))
        for _, Z, P, V in likelihood.runs(block, theta):
            weighted = P if V is None else P * V
            sums[:q] += weighted @ Z.T
            for k in range(q):  # one class at a time: q^3 numbers a row would not fit for many
                two = weighted[k] * P
                sums[q + q * k : q + q * k + q] += two @ Z.T
                at = q + q * q + q * q * k
                sums[at : at + q * q] += (two[:, None] * P).reshape(q * q, -1) @ Z.T
        return (sums,)

    sums = likelihood.objective.rows.sum(part)[0] / likelihood.mass
    one, two, three = np.split(sums, [q, q + q * q])
    return one, two.reshape(q, q, size), three.reshape(q, q, q, size)


def _plain(likelihood: Likelihood, theta: Array) -> tuple[Array, Array]:
    """Means of `p_k` and `p_k p_c` where there is no bias whose column of ones would give them."""

    def part(block: Block) -> Sums:
        p, pp = np.zeros(likelihood.q), np.zeros((likelihood.q,) * 2)
        for _, _, P, V in likelihood.runs(block, theta):
            weighted = P if V is None else P * V
            p, pp = p + weighted.sum(axis=1), pp + weighted @ P.T
        return p, pp

    p, pp = likelihood.objective.rows.sum(part)
    return p / likelihood.mass, pp / likelihood.mass
