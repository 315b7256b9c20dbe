"""Firth's bias reduction: the likelihood times Jeffreys' prior, whose maximum is finite for separated classes too.

What is minimised is, a row,

    mean cross-entropy - (1 / 2N) log det I(theta),   I = sum_i V_i (diag(p_i) - p_i p_i^T) (x) z_i z_i^T,

with the classes taken by their contrasts. With S = I^-1 in the space of the classes, h_i the matrix (q, q) of
`z_i^T S_kl z_i` and `u_i = diag(h_i) - 2 h_i p_i`, the third cumulants of softmax give the gradient

    P - Y - p (u - sum_k p_k u_k) / 2

by a row's logits: the residual, with half a pseudo-observation's worth of leverage shared among the classes. Steps are
Fisher's (I^-1 times the gradient), halved where they rise; they converge linearly, the faster the more rows there are.
Firth (1993), Bias reduction of maximum likelihood estimates; Bull, Mak and Greenwood (2002) for several classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.linalg import cholesky
from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.evaluation import PassEvaluator
from softreg.optimize.objective.hessian import Columns, contrasts
from softreg.optimize.problem.result import Progress, Solution, Status
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Sums

GOAL = 1e-22
"""Twice the decrease of the summed objective that a step must promise to be worth taking: (1e-11 standard errors)^2."""
HALVINGS = 12


@dataclass(frozen=True)
class Point:
    """Parameters (q, d + 1), the mean objective, its gradient for the contrasts that exist, and their information."""

    theta: Array
    value: float
    log_likelihood: float
    """Summed, with half the log-determinant of the information."""
    g: Array
    information: Array


class Firth:
    """The penalised likelihood of one model; `held` columns keep a weight of zero, but count in the penalty."""

    def __init__(self, objective: Objective, held: tuple[int, ...] = ()) -> None:
        self.objective, self.mass = objective, float(objective.mass[0])
        self.T = contrasts(objective.q)
        self.places = np.flatnonzero(np.append(~objective.coordinates.constant, objective.fit_intercept))
        free = ~np.isin(self.places, held)
        self.free = np.flatnonzero(np.tile(free, objective.q - 1))
        """Which of the contrasts' parameters move."""
        self._reader, self._columns = PassEvaluator(objective), Columns(objective)

    def at(self, theta: Array) -> Point:
        """The objective at `theta`; raises `LinAlgError` where the information is singular to rounding."""
        reading = self._reader.read(theta[None], curved=True)
        a, k = self.objective.q - 1, len(self.places)
        index = (np.arange(a)[:, None] * theta.shape[1] + self.places).ravel()
        assert reading.H is not None
        I = reading.H[0][np.ix_(index, index)] * self.mass
        factor = cholesky(I)
        half_log_det, inverse = factor.log_det() / 2, factor.inverse()
        pull = self._pull(theta, inverse.reshape(a, k, a, k))
        G = self.T.T @ (reading.G[0] * self.mass - pull)
        value = float(reading.value[0]) - half_log_det / self.mass
        return Point(theta, value, -value * self.mass, G[:, self.places].ravel(), I)

    def _pull(self, theta: Array, S: Array) -> Array:
        """The gradient (q, d + 1) of half the log-determinant."""
        q, T = self.objective.q, self.T

        def part(block: Block) -> Sums:
            V, total = self.objective.weights(block), np.zeros_like(theta)
            for run, Z in self._columns.runs(block):
                P = loss.probabilities((theta @ Z)[None])[0][0]
                X = Z[self.places]
                h = np.empty((q - 1, q - 1, X.shape[1]))
                for a in range(q - 1):
                    for c in range(a + 1):
                        h[a, c] = h[c, a] = np.einsum("jb,jb->b", X, S[a, :, c] @ X)
                Th = np.einsum("qa,acb->qcb", T, h)  # h of the classes is T h T^T
                u = np.einsum("qcb,qc->qb", Th, T) - 2 * np.einsum("qcb,cb->qb", Th, T.T @ P)
                R = P * (u - (P * u).sum(axis=0)) / 2
                total += (R if V is None else R * V[0, run]) @ Z.T
            return (total,)

        return np.asarray(self.objective.rows.sum(part)[0])

    def step(self, point: Point) -> tuple[Array, float]:
        """Fisher's step (q, d + 1), and twice the decrease of the summed objective that it promises."""
        g, I = point.g[self.free], point.information[np.ix_(self.free, self.free)]
        moved = np.zeros(len(point.g))
        moved[self.free] = -cholesky(I).solve(g)
        whole = np.zeros((len(self.T.T), point.theta.shape[1]))
        whole[:, self.places] = moved.reshape(len(whole), -1)
        return self.T @ whole, float(-(g @ moved[self.free]))

    def run(self, theta: Array, max_iter: int) -> tuple[Point, float, int]:
        """The minimum from `theta`, twice the decrease that is left, and the steps taken."""
        point, taken = self.at(theta), 0
        step, left = self.step(point)
        while left > GOAL and taken < max_iter:
            better = self._lower(point, step)
            if better is None:  # rounding keeps it from more
                break
            point, taken = better, taken + 1
            step, left = self.step(point)
        return point, left, taken

    def _lower(self, point: Point, step: Array) -> Point | None:
        slack = 1e-14 * max(1.0, abs(point.value))
        for halving in range(HALVINGS):
            try:
                tried = self.at(point.theta + step * 0.5**halving)
            except np.linalg.LinAlgError:  # so far out that the rows carry no information
                continue
            if tried.value <= point.value + slack:
                return tried
        return None


def minimise_firth(objective: Objective, *, tol: float, max_iter: int, start: Array | None = None) -> Solution:
    """The bias-reduced fit of one model (a stack of one); `start` is parameters (q, d + 1).

    `gap` is the decrease that a further step promises, an estimate; where it is at most `tol`, the status is
    "stationary, not certified". Raises `LinAlgError` where columns depend on each other.
    """
    firth = Firth(objective)
    theta = np.zeros((objective.q, objective.rows.d + 1)) if start is None else start - start.mean(axis=0)
    point, left, taken = firth.run(theta, max_iter)
    W, b = objective.coordinates.to_user(point.theta[None])
    gap = left / 2 / firth.mass
    return Solution(
        W=np.ascontiguousarray(W[0].T),
        b=b[0],
        value=point.value,
        gap=gap,
        bound="estimate",
        status=Status.STATIONARY if gap <= tol else Status.STOPPED if taken >= max_iter else Status.STALLED,
        passes=objective.passes,
        n_iter=taken,
        history=(Progress(objective.passes, point.value, gap, 0.0),),
    )
