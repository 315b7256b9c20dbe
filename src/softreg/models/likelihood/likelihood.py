"""The likelihood of softmax regression on given rows: its maximum to the last digit, its curvature, its scores.

All is computed in the solver's coordinates `z = (x - shift) / scale`, where nothing is lost to an odd origin or unit of
a column, and for q - 1 orthonormal contrasts of the classes, of which the data determine every one. What is handed out
is in the user's coordinates, bias first: parameters (q, d + 1), whose weights sum to zero over the classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from softreg.linalg import cholesky
from softreg.optimize import l2
from softreg.optimize.certificate.collinearity import dependent
from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.evaluation import Evaluation, PassEvaluator
from softreg.optimize.objective.hessian import Columns, contrasts
from softreg.optimize.problem.standardization import standardise
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Sums, as_rows

MOST = 4_000
"""More parameters than this are refused: their covariance alone would take more than a gigabyte."""


EXACT = 1e-9
"""Standard errors by which a polished maximum may miss the exact one."""
STEPS = 25
"""Newton steps; near an optimum three are enough, and where classes are separated none are."""


class Likelihood:
    """Rows, labels and weights, and what statistics ask of the model on them.

    `X` (n, d) dense or CSR, `labels` codes (n,) or label probabilities (n, q), `weight` (n,) counts of rows or None.
    """

    def __init__(
        self, X: Any, labels: Array, weight: Array | None, q: int, *, strength: float = 0.0, fit_intercept: bool = True
    ) -> None:
        self.n, self.d = X.shape
        self.q, self.bias = q, fit_intercept
        if (q - 1) * (self.d + 1) > MOST:
            raise ValueError(
                f"{q - 1} x {self.d + 1} parameters are more than the {MOST:,} whose covariance can be kept; choose "
                "fewer columns."
            )
        rows = as_rows(X.astype(np.float64), labels, None if weight is None else weight[None, :])
        rows, self.coordinates = standardise(rows, centred=fit_intercept)
        self.objective = Objective(rows, q, l2(np.array([strength])), self.coordinates, fit_intercept)
        self.mass = float(self.objective.mass[0])
        self._reader = PassEvaluator(self.objective)
        self._columns = Columns(self.objective)

    # --- parameters ---------------------------------------------------------------------------------------------

    @property
    def places(self) -> Array:
        """Where the parameters that exist stand among the d + 1 of the solver: no bias, no column that never varies."""
        return np.flatnonzero(np.append(~self.coordinates.constant, self.bias))

    def from_user(self, coef: Array, intercept: Array) -> Array:
        """Parameters (q, d + 1) in the solver's coordinates, of mean zero over the classes."""
        theta = self.coordinates.from_user(coef[None], intercept[None])[0]
        return np.asarray(theta - theta.mean(axis=0))

    def to_user(self) -> Array:
        """Return the matrix (d + 1, d + 1) that turns one class's parameters into the user's, bias first."""
        d, (shift, scale) = self.d, (self.coordinates.shift, self.coordinates.scale)
        A = np.zeros((d + 1, d + 1))
        A[1:, :d] = np.diag(1 / scale)
        A[0, :d], A[0, d] = -shift / scale, 1.0
        return A

    def dependent(self) -> tuple[int, ...]:
        """Return the columns that are constant or linear combinations of columns before them."""
        return dependent(self.objective)

    def refuse_dependent(self, names: Sequence[Any]) -> None:
        """Raise `ValueError` that names the columns whose weights the rows do not determine."""
        lost = self.dependent()
        if lost:
            some = ", ".join(repr(str(names[j])) for j in lost[:5]) + (" and others" if len(lost) > 5 else "")
            raise ValueError(
                f"{some}: constant, or a combination of the other columns, so the rows do not determine the weights. "
                "Leave such columns out (one level of each category among them), or use an L2 penalty."
            )

    # --- the maximum and its curvature --------------------------------------------------------------------------

    def read(self, theta: Array) -> Evaluation:
        """Return mean loss plus penalty at `theta` (q, d + 1), its gradient and Hessian."""
        return self._reader.read(theta[None], curved=True)

    def loss(self, theta: Array, reading: Evaluation) -> float:
        """Return the mean cross-entropy of a reading, without the penalty."""
        return float(reading.value[0] - (self.objective.ridge[0] * theta**2).sum() / 2)

    def reduced(self, H: Array) -> Array:
        """Return a Hessian (1, p, p) of the solver for the parameters that exist only."""
        a, k = self.q - 1, self.d + 1
        keep = (np.arange(a)[:, None] * k + self.places).ravel()
        return np.asarray(H[0][np.ix_(keep, keep)])

    def newton(self, reading: Evaluation) -> tuple[Array, float]:
        """Return the Newton step (q, d + 1) and the decrease of the mean objective that it promises."""
        g = (contrasts(self.q).T @ reading.G[0])[:, self.places].ravel()
        assert reading.H is not None
        step = -solve(self.reduced(reading.H), g)
        whole = np.zeros((self.q - 1, self.d + 1))
        whole[:, self.places] = step.reshape(self.q - 1, -1)
        return contrasts(self.q) @ whole, float(-(g @ step) / 2)

    def polish(self, theta: Array, near: float) -> tuple[Array, Evaluation, float | None]:
        """Take Newton steps from `theta` until the estimates are exact to `EXACT` standard errors.

        Returns
        -------
        tuple[ndarray, Evaluation, float or None]
            Newton steps from `theta` until it is exact to `EXACT` standard errors.
        """
        reading = self.read(theta)
        for turn in range(STEPS):
            step, gap = self.newton(reading)
            if turn == 0 and not gap <= near:
                return theta, reading, gap
            if 2 * gap * self.mass <= EXACT**2:
                return theta, reading, None
            theta = theta + step
            reading = self.read(theta)
        if 2 * gap * self.mass <= (1e3 * EXACT) ** 2:  # rounding keeps it from more
            return theta, reading, None
        raise np.linalg.LinAlgError("Newton's steps do not settle")

    def ridge(self) -> Array:
        """Return the penalty's part of the reduced Hessian, its diagonal (p,)."""
        return np.tile(self.objective.ridge[0][self.places], self.q - 1)

    # --- sums over the rows -------------------------------------------------------------------------------------

    def runs(self, block: Block, theta: Array) -> Iterator[tuple[slice, Array, Array, Array | None]]:
        """Of a few rows at a time: which, columns (d + 1, b) with the bias last, probabilities (q, b), weights (b,)."""
        V = self.objective.weights(block)
        for run, Z in self._columns.runs(block):
            P, _ = loss.probabilities((theta @ Z)[None])
            yield run, Z, P[0], None if V is None else V[0, run]

    def meat(self, theta: Array, counts: Array | None, clusters: Array | None) -> Array:
        """Products (p, p) of the rows' scores around their mean, summed over rows or clusters, divided by the mass.

        A score is the gradient of a row's weighted loss. `counts` (n,) says how often each row is there (None: once);
        `clusters` (n,) are codes 0 .. G - 1.

        Returns
        -------
        ndarray
            Products (p, p) of the rows' scores around their mean, summed over rows or clusters, divided by the mass.
        """
        T, places, mass = contrasts(self.q), self.places, self.objective.mass[0]
        reading = self.read(theta)
        mean = ((T.T @ (reading.G[0] - self.objective.ridge[0] * theta))[:, places]).ravel()
        sums = np.zeros((0 if clusters is None else int(clusters.max()) + 1, len(mean)))

        def part(block: Block) -> Sums:
            total = np.zeros((len(mean), len(mean)))
            for run, Z, P, V in self.runs(block, theta):
                chosen = block.labels[run]
                R = T.T @ loss.residual(P[None], chosen, None)[0]
                S = np.einsum("ab,kb->bak", R, Z[places]).reshape(len(chosen), -1)
                S = (S if V is None else S * V[:, None]) - mean * (1.0 if V is None else V[:, None])
                here = slice(block.start + run.start, block.start + run.stop)
                often = np.ones(len(S)) if counts is None else counts[here]
                if clusters is not None:
                    np.add.at(sums, clusters[here], S)
                else:
                    total += (S / often[:, None]).T @ S
            return (total,)

        if clusters is None:
            return np.asarray(self.objective.rows.sum(part)[0] / mass)
        for block in self.objective.rows.blocks:  # type: ignore[attr-defined]  # in turn: clusters cross the blocks
            part(block)
        groups = len(np.unique(clusters))
        return np.asarray(sums.T @ sums / mass * (groups / (groups - 1)))


def solve(H: Array, g: Array) -> Array:
    """`H^-1 g` of a symmetric positive definite H, scaled to a unit diagonal first; raises `LinAlgError` else."""
    return cholesky(H).solve(g)
