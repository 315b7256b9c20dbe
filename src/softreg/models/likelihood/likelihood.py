"""The likelihood of softmax regression on given rows: its exact maximum, Hessian and score products.

Computations use the solver's standardised columns `z = (x - shift) / scale` and q - 1 orthonormal contrasts of the
classes, in which the information matrix is well scaled and positive definite. Results are in the user's coordinates,
intercept first: parameters (q, d + 1), whose weights sum to zero over the classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.linalg import cholesky
from softreg.optimize import Penalty, l2, make_penalty
from softreg.optimize.certificate.collinearity import dependent
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.column_reductions import column_logits, member_row_weights
from softreg.optimize.objective.evaluation import Evaluation, PassEvaluator
from softreg.optimize.objective.hessian import Columns, contrasts
from softreg.optimize.problem.standardization import standardise
from softreg.optimize.problem.weighted_elastic_net import WeightTerms
from softreg.probability import block_loss as loss
from softreg.rows import Array, Block, Sums, as_rows

MOST = 4_000
"""Largest number of parameters: a covariance of more takes gigabytes with its intermediate results."""
EXACT = 1e-9
"""Largest distance of the refined maximum from the exact one, in standard errors."""
ROUNDED = 1e-6
"""The same where rounding prevents more."""
STEPS = 25
"""Largest number of Newton steps; three are usual near an optimum."""


@dataclass(frozen=True, slots=True, eq=False)
class RowsAt:
    """The rows of one model at parameters theta (q, d + 1), a run at a time."""

    columns: Columns
    theta: Array

    def runs(self, block: Block) -> Iterator[tuple[slice, Array, Array, Array | None]]:
        """Yield rows, columns (d + 1, b) with the bias last, probabilities (q, b) and weights (b,) of each run.

        Yields
        ------
        tuple
            Rows of the block, columns, probabilities, and weights or None.
        """
        V, offset = member_row_weights(block, 0), block.offset
        for run, Z in self.columns.runs(block):
            P, _ = loss.probabilities(column_logits(self.theta, Z, offset, run)[None])
            yield run, Z, P[0], None if V is None else V[run]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreProducts:
    """Products (p, p) of the rows' scores around their mean (p,), summed; `counts` (n,) is the frequency of each row.

    `T` (q, q - 1) are the contrasts of the classes, `identified` the columns that are identified.
    """

    at: RowsAt
    T: Array
    identified: Array
    mean: Array
    counts: Array | None

    def evaluate(self, block: Block) -> Sums:
        """Return the sum of one block."""
        total = np.zeros((len(self.mean), len(self.mean)))
        for here, S in _scores(self, block):
            often = np.ones(len(S)) if self.counts is None else self.counts[here]
            total += (S / often[:, None]).T @ S
        return (total,)


@dataclass(frozen=True, slots=True, eq=False)
class ClusterScores:
    """The rows' scores around their mean, added to `sums` (G, p) of the clusters with codes (n,); one block at a time.

    The blocks must be evaluated in turn, in this process: a cluster may have rows in several of them.
    """

    at: RowsAt
    T: Array
    identified: Array
    mean: Array
    clusters: Array
    sums: Array

    def evaluate(self, block: Block) -> Sums:
        """Add the scores of one block."""
        for here, S in _scores(self, block):
            np.add.at(self.sums, self.clusters[here], S)
        return (0.0,)


def _scores(of: ScoreProducts | ClusterScores, block: Block) -> Iterator[tuple[slice, Array]]:
    """Yield rows and scores (b, p) of the rows of a block, around their mean."""
    for run, Z, P, V in of.at.runs(block):
        chosen = block.labels[run]
        R = of.T.T @ loss.residual(P[None], chosen, None)[0]
        S = np.einsum("ab,kb->bak", R, Z[of.identified]).reshape(len(chosen), -1)
        S = (S if V is None else S * V[:, None]) - of.mean * (1.0 if V is None else V[:, None])
        yield slice(block.start + run.start, block.start + run.stop), S


class Likelihood:
    """The likelihood of rows, labels and weights.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, d)
        Features.
    labels : ndarray
        Codes (n,) or label probabilities (n, q).
    weight : ndarray of shape (n,) or None
        Counts of rows.
    q : int
        Number of classes.
    strength : float, default 0.0
        Strength of an L2 penalty.
    factors : ndarray of shape (d,), optional
        Factor of the strength for each column: 0 for no penalty, inf for a column without effect; 1 by default.
    fit_intercept : bool, default True
        Whether there is an intercept.
    offset : ndarray of shape (n, q), optional
        Fixed part of the logits.
    """

    def __init__(
        self,
        X: Any,
        labels: Array,
        weight: Array | None,
        q: int,
        *,
        strength: float = 0.0,
        factors: Array | None = None,
        fit_intercept: bool = True,
        offset: Array | None = None,
    ) -> None:
        self.n, self.d = X.shape
        self.q, self.bias = q, fit_intercept
        if (q - 1) * (self.d + 1) > MOST:
            raise ValueError(
                f"{q - 1} x {self.d + 1} parameters are more than {MOST:,}, the limit for their covariance; select "
                "fewer columns."
            )
        rows = as_rows(X.astype(np.float64), labels, None if weight is None else weight[None, :], offset)
        rows, self.coordinates = standardise(rows, centred=fit_intercept)
        self._excluded = np.zeros(self.d, dtype=bool) if factors is None else np.isinf(factors)
        penalty = l2(np.array([strength])) if factors is None else _weighted_l2(strength, factors, q)
        self.objective = Objective(rows, q, penalty, self.coordinates, fit_intercept)
        self.mass = float(self.objective.mass[0])
        self._reader = PassEvaluator(self.objective)
        self._columns = Columns(self.objective)

    # --- parameters ---------------------------------------------------------------------------------------------

    @property
    def identified(self) -> Array:
        """Positions of the identified parameters among the d + 1 of the solver: no constant or excluded column."""
        return np.flatnonzero(np.append(~self.coordinates.constant & ~self._excluded, self.bias))

    def from_user(self, coef: Array, intercept: Array) -> Array:
        """Return parameters (q, d + 1) in the solver's coordinates, with mean zero over the classes."""
        theta = self.coordinates.from_user(coef[None], intercept[None])[0]
        return np.asarray(theta - theta.mean(axis=0))

    def to_user(self) -> Array:
        """Return the matrix (d + 1, d + 1) that maps the parameters of a class to the user's, intercept first."""
        d, (shift, scale) = self.d, (self.coordinates.shift, self.coordinates.scale)
        A = np.zeros((d + 1, d + 1))
        A[1:, :d] = np.diag(1 / scale)
        A[0, :d], A[0, d] = -shift / scale, 1.0
        return A

    def dependent(self) -> tuple[int, ...]:
        """Return the columns that are constant or linear combinations of columns before them."""
        return dependent(self.objective)

    def refuse_dependent(self, names: Sequence[Any]) -> None:
        """Raise `ValueError` naming the columns whose weights are not identified."""
        collinear = self.dependent()
        if collinear:
            listed = ", ".join(repr(str(names[j])) for j in collinear[:5])
            listed += " and others" if len(collinear) > 5 else ""
            raise ValueError(
                f"{listed}: constant, or a linear combination of the other columns, so the weights are not identified. "
                "Leave such columns out (also one level of each category), or use an L2 penalty."
            )

    # --- the maximum and the Hessian ----------------------------------------------------------------------------

    def evaluate(self, theta: Array) -> Evaluation:
        """Return the mean objective at `theta` (q, d + 1), its gradient and Hessian."""
        return self._reader.read(theta[None], curved=True)

    def loss(self, theta: Array, evaluation: Evaluation) -> float:
        """Return the mean cross-entropy without the penalty."""
        return float(evaluation.value[0] - (self.objective.ridge[0] * theta**2).sum() / 2)

    def reduced(self, H: Array) -> Array:
        """Return the Hessian (1, p, p) of the solver restricted to identified parameters."""
        a, k = self.q - 1, self.d + 1
        keep = (np.arange(a)[:, None] * k + self.identified).ravel()
        return np.asarray(H[0][np.ix_(keep, keep)])

    def newton(self, evaluation: Evaluation) -> tuple[Array, float]:
        """Return the Newton step (q, d + 1) and the predicted decrease of the mean objective."""
        g = (contrasts(self.q).T @ evaluation.G[0])[:, self.identified].ravel()
        assert evaluation.H is not None
        step = -solve(self.reduced(evaluation.H), g)
        whole = np.zeros((self.q - 1, self.d + 1))
        whole[:, self.identified] = step.reshape(self.q - 1, -1)
        return contrasts(self.q) @ whole, float(-(g @ step) / 2)

    def refine(self, theta: Array, near: float) -> tuple[Array, Evaluation, float | None]:
        """Take Newton steps from `theta` until the estimates are exact to `EXACT` standard errors.

        Parameters
        ----------
        theta : ndarray of shape (q, d + 1)
            Start, in the solver's coordinates.
        near : float
            Largest predicted decrease at the start, in nats a row.

        Returns
        -------
        theta : ndarray of shape (q, d + 1)
            The maximum, or the start if it is farther than `near` from it.
        evaluation : Evaluation
            Value, gradient and Hessian there.
        gap : float or None
            None at the maximum; otherwise the predicted decrease at the start.

        Raises
        ------
        LinAlgError
            If the steps do not converge.
        """
        evaluation = self.evaluate(theta)
        for iteration in range(STEPS):
            step, gap = self.newton(evaluation)
            if iteration == 0 and not gap <= near:
                return theta, evaluation, gap
            if 2 * gap * self.mass <= EXACT**2:
                return theta, evaluation, None
            theta = theta + step
            evaluation = self.evaluate(theta)
        if 2 * gap * self.mass <= ROUNDED**2:
            return theta, evaluation, None
        raise np.linalg.LinAlgError("Newton's method does not converge")

    def ridge(self) -> Array:
        """Return the diagonal (p,) that the penalty adds to the reduced Hessian."""
        return np.tile(self.objective.ridge[0, 0][self.identified], self.q - 1)

    # --- sums over the rows -------------------------------------------------------------------------------------

    def at(self, theta: Array) -> RowsAt:
        """Return the rows at parameters theta (q, d + 1), for reductions."""
        return RowsAt(self._columns, theta)

    def score_products(self, theta: Array, counts: Array | None, clusters: Array | None) -> Array:
        """Return the products (p, p) of centred scores, summed over rows or clusters, divided by the mass.

        A score is the gradient of the weighted loss of a row.

        Parameters
        ----------
        theta : ndarray of shape (q, d + 1)
            Parameters.
        counts : ndarray of shape (n,) or None
            Number of copies of each row.
        clusters : ndarray of shape (n,) or None
            Codes 0 .. G - 1 of the clusters.

        Returns
        -------
        ndarray of shape (p, p)
            The middle matrix of the sandwich estimator.
        """
        T, identified, mass = contrasts(self.q), self.identified, self.objective.mass[0]
        evaluation = self.evaluate(theta)
        mean = ((T.T @ (evaluation.G[0] - self.objective.ridge[0] * theta))[:, identified]).ravel()
        at = self.at(theta)
        if clusters is None:
            products = ScoreProducts(at, T, identified, mean, counts)
            return np.asarray(self.objective.rows.sum(products)[0] / mass)
        sums = np.zeros((int(clusters.max()) + 1, len(mean)))
        scores = ClusterScores(at, T, identified, mean, clusters, sums)
        for block in self.objective.rows.blocks:  # type: ignore[attr-defined]  # in turn: clusters cross the blocks
            scores.evaluate(block)
        groups = len(np.unique(clusters))
        return np.asarray(sums.T @ sums / mass * (groups / (groups - 1)))


def _weighted_l2(strength: float, factors: Array, q: int) -> Penalty:
    """Return the L2 penalty with a factor for each column (d,); the weights of excluded columns are 0 without it."""
    finite = np.where(np.isinf(factors), 0.0, factors)[None, :]
    free = np.full((q, len(factors)), np.inf)
    return make_penalty("l2", strength, 0.0, WeightTerms(finite, finite, -free, free))


def solve(H: Array, g: Array) -> Array:
    """Return `H^-1 g` for a symmetric positive definite H; raise `LinAlgError` otherwise."""
    return cholesky(H).solve(g)
