"""Firth's bias reduction: the likelihood times Jeffreys' prior, whose maximum is finite for separated classes too.

The objective is, per row,

    mean cross-entropy - (1 / 2N) log det I(theta),   I = sum_i V_i (diag(p_i) - p_i p_i^T) (x) z_i z_i^T,

for contrasts of the classes. With S = I^-1 in the space of the classes, h_i the matrix (q, q) of `z_i^T S_kl z_i` and
`u_i = diag(h_i) - 2 h_i p_i`, the third cumulants of softmax give the gradient with respect to a row's logits

    P - Y - p (u - sum_k p_k u_k) / 2:

the residual, with half a pseudo-observation's worth of leverage shared among the classes. Steps are those of Fisher
scoring (I^-1 times the gradient), halved while they increase the objective; they converge linearly, faster for more
rows.

References
----------
Firth (1993), Bias reduction of maximum likelihood estimates.
Bull, Mak and Greenwood (2002), A modified score function estimator for multinomial logistic regression.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.linalg import cholesky
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.column_reductions import column_logits, member_row_weights
from softreg.optimize.objective.evaluation import PassEvaluator
from softreg.optimize.objective.hessian import Columns, contrasts
from softreg.optimize.objective.reduction_work import RowSizes, product_operations
from softreg.optimize.problem.result import Progress, Solution, Status
from softreg.probability import block_loss as loss
from softreg.rows import Block, Sums
from softreg.typing import Float64Array, FloatArray, IntArray

TARGET_DECREMENT = 1e-22
"""Squared decrement of the summed objective at which the iteration ends: (1e-11 standard errors)^2."""
MAX_HALVINGS = 12
"""Step lengths that are tried in one step."""
NOISE = 1e-14
"""Relative rounding error of the objective."""


@dataclass(frozen=True)
class FirthPoint:
    """The penalized likelihood at some parameters."""

    theta: Float64Array
    """Parameters (q, d + 1) in the solver's coordinates."""
    value: float
    """Mean objective in nats."""
    log_likelihood: float
    """Summed log-likelihood plus half the log-determinant of the information."""
    g: Float64Array
    """Gradient of the summed objective for the contrasts that exist."""
    information: Float64Array
    """Their Fisher information."""


@dataclass(frozen=True)
class FisherStep:
    """A step of Fisher scoring."""

    step: Float64Array
    """Change (q, d + 1) of the parameters."""
    decrement: float
    """Twice the decrease of the summed objective that the quadratic model predicts."""


@dataclass(frozen=True)
class FirthFit:
    """The end of an iteration."""

    point: FirthPoint
    decrement: float
    """Twice the decrease of the summed objective that a further step would bring."""
    n_iter: int


@dataclass(frozen=True, slots=True, eq=False)
class LogDetGradient:
    """The gradient (q, d + 1) of half the log-determinant of the information of one model at theta (q, d + 1).

    `S` (q - 1, k, q - 1, k) is the inverse of the information, for contrasts T (q, q - 1) of the classes and the
    columns `chosen` (k,).
    """

    columns: Columns
    theta: Float64Array
    S: FloatArray
    T: Float64Array
    chosen: IntArray

    def evaluate(self, block: Block) -> Sums:
        """Return the sum of one block."""
        T, S, a_most = self.T, self.S, len(self.theta) - 1
        V, total, offset = member_row_weights(block, 0), np.zeros_like(self.theta), block.offset
        for run, Z in self.columns.runs(block):
            P = loss.probabilities(column_logits(self.theta, Z, offset, run)[None])[0][0]
            X = Z[self.chosen]
            h = np.empty((a_most, a_most, X.shape[1]))
            for a in range(a_most):
                for c in range(a + 1):
                    h[a, c] = h[c, a] = np.einsum("jb,jb->b", X, S[a, :, c] @ X)
            Th = np.einsum("qa,acb->qcb", T, h)  # h of the classes is T h T^T
            u = np.einsum("qcb,qc->qb", Th, T) - 2 * np.einsum("qcb,cb->qb", Th, T.T @ P)
            R = P * (u - (P * u).sum(axis=0)) / 2
            total += (R if V is None else R * V[run]) @ Z.T
        return (total,)


class Firth:
    """The penalized likelihood of one model; `fixed` columns keep a weight of 0, but count in the penalty."""

    def __init__(self, objective: Objective, fixed: tuple[int, ...] = ()) -> None:
        self.objective, self.mass = objective, float(objective.mass[0])
        self.T = contrasts(objective.q)
        self.columns = np.flatnonzero(np.append(~objective.coordinates.constant, objective.fit_intercept))
        """Columns of the parameters that exist: not those of constant columns."""
        self.free = np.flatnonzero(np.tile(~np.isin(self.columns, fixed), objective.q - 1))
        """Indices of the contrasts' parameters that are not fixed."""
        self._evaluator, self._columns = PassEvaluator(objective), Columns(objective)

    def at(self, theta: Float64Array) -> FirthPoint:
        """Return the objective at `theta` (q, d + 1); raise `LinAlgError` where the information is singular."""
        evaluation = self._evaluator.read(theta[None], curved=True)
        a, k = self.objective.q - 1, len(self.columns)
        index = (np.arange(a)[:, None] * theta.shape[1] + self.columns).ravel()
        assert evaluation.H is not None
        I = evaluation.H[0][np.ix_(index, index)] * self.mass
        factor = cholesky(I)
        prior = self._log_prior_gradient(theta, factor.inverse().reshape(a, k, a, k))
        G = self.T.T @ (evaluation.G[0] * self.mass - prior)
        value = float(evaluation.value[0]) - factor.log_det() / 2 / self.mass
        return FirthPoint(theta, value, -value * self.mass, G[:, self.columns].ravel(), I)

    def _log_prior_gradient(self, theta: Float64Array, S: FloatArray) -> Float64Array:
        """Return the gradient (q, d + 1) of half the log-determinant, given the inverse information S."""
        gradient = LogDetGradient(self._columns, theta, S, self.T, self.columns)
        meter, sizes, k = self.objective.meter, RowSizes.of(self.objective.rows), len(self.columns)
        operations = 2 * product_operations(sizes, self.objective.q) + sizes.n * k**2 * self.objective.q**2
        with meter.curvature(), meter.passes(sizes.stored_bytes, operations):
            return np.asarray(self.objective.rows.sum(gradient)[0])

    def step(self, point: FirthPoint) -> FisherStep:
        """Return the step of Fisher scoring."""
        g, I = point.g[self.free], point.information[np.ix_(self.free, self.free)]
        change = np.zeros(len(point.g))
        change[self.free] = -cholesky(I).solve(g)
        of_contrasts = np.zeros((len(self.T.T), point.theta.shape[1]))
        of_contrasts[:, self.columns] = change.reshape(len(of_contrasts), -1)
        return FisherStep(self.T @ of_contrasts, float(-(g @ change[self.free])))

    def run(self, theta: Float64Array, max_iter: int) -> FirthFit:
        """Iterate from `theta` until the decrement is below `TARGET_DECREMENT` or rounding prevents progress."""
        point, n_iter = self.at(theta), 0
        step = self.step(point)
        while step.decrement > TARGET_DECREMENT and n_iter < max_iter:
            lower = self._lower_point(point, step.step)
            if lower is None:
                break
            point, n_iter = lower, n_iter + 1
            step = self.step(point)
        return FirthFit(point, step.decrement, n_iter)

    def _lower_point(self, point: FirthPoint, step: Float64Array) -> FirthPoint | None:
        """Return the first point along the step, halved in turn, that does not increase the objective."""
        noise = NOISE * max(1.0, abs(point.value))
        for halving in range(MAX_HALVINGS):
            try:
                tried = self.at(point.theta + step * 0.5**halving)
            except np.linalg.LinAlgError:  # so far from the data that the information is singular
                continue
            if tried.value <= point.value + noise:
                return tried
        return None


def minimise_firth(objective: Objective, *, tol: float, max_iter: int, start: Float64Array | None = None) -> Solution:
    """Return the bias-reduced fit of one model.

    Parameters
    ----------
    objective
        The objective of a stack of one model, without a penalty.
    tol
        Decrease in nats predicted for a further step at which the status is "stationary, not certified".
    max_iter
        Steps of Fisher scoring.
    start
        Parameters (q, d + 1) in the solver's coordinates; None for 0.

    Returns
    -------
    Solution
        The fit, whose `gap` is the decrease predicted for a further step, an estimate.

    Raises
    ------
    numpy.linalg.LinAlgError
        If columns are linearly dependent.
    """
    firth = Firth(objective)
    theta = np.zeros((objective.q, objective.rows.d + 1)) if start is None else start - start.mean(axis=0)
    fit = firth.run(theta, max_iter)
    W, b = objective.coordinates.to_user(fit.point.theta[None])
    gap = fit.decrement / 2 / firth.mass
    return Solution(
        W=np.ascontiguousarray(W[0].T),
        b=b[0],
        value=fit.point.value,
        gap=gap,
        bound="estimate",
        status=Status.STATIONARY if gap <= tol else Status.STOPPED if fit.n_iter >= max_iter else Status.STALLED,
        passes=objective.passes,
        n_iter=fit.n_iter,
        history=(Progress(objective.passes, fit.point.value, gap, 0.0),),
    )
