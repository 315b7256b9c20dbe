"""The Hessian of many classes from the largest probabilities, and Newton steps with it.

For weights (q, d) of centred columns and a bias, the Hessian is the mean over the rows of

    (diag(p) - p p^T) kron (x, 1) (x, 1)^T      plus the strength.

The probabilities p of a row are its leading ones, which are few, and a rest r that is spread over many classes. The
leading ones are taken as they are. Of the rest only `diag(r)` is kept, and the rows of a class that the rest weighs are
replaced by their mass and centre, and the scatter within classes. A product then needs no pass over the rows, but one
over the leading pairs of a class and a row.
"""

from __future__ import annotations

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.many_classes.shared_curvature import ClassSums, SharedCurvature
from softreg.optimize.many_classes.streamed_loss import Evaluation
from softreg.rows.kernels.pair_products import pair_dots, pair_sums
from softreg.typing import Float64Array, FloatArray

ACCURACY = 0.1
"""Relative error of a Newton step, in the norm of the preconditioner, at which conjugate gradients end."""
LEAST_PRODUCTS, MOST_PRODUCTS = 4, 30
"""Bounds of the number of Hessian products in one Newton step."""
PAIR_COST = 4.0
"""Time of a product with a gathered row, in units of that of one in a matrix product."""
LEAST_REST = 1e-9
"""Mass of the rest of a class below which it has no centre."""


class TruncatedHessian:
    """The Hessian at one point.

    Parameters
    ----------
    preconditioner : SharedCurvature
        At the same point.
    sums : ClassSums
    at : Evaluation
        With its leading probabilities.
    W, G : ndarray of shape (q, d)
        Weights and derivatives.
    """

    def __init__(
        self, preconditioner: SharedCurvature, sums: ClassSums, at: Evaluation, W: FloatArray, G: FloatArray
    ) -> None:
        assert at.leading is not None
        loss, scatter = preconditioner.loss, preconditioner.scatter
        self.loss, self.preconditioner, self.fit_intercept = loss, preconditioner, preconditioner.fit_intercept
        self.rows, self.starts = at.leading.indices.astype(np.int32, copy=False), at.leading.indptr.astype(np.int64)
        self.p = at.leading.data.astype(loss.dtype, copy=False)
        self.weights = (loss.row_weights / loss.mass).astype(loss.dtype)
        self.scatter = ((scatter.vectors * scatter.values.astype(loss.dtype)) @ scatter.vectors.T).astype(loss.dtype)
        as_a_pass = loss.n * loss.q / (PAIR_COST * max(len(self.p), 1))
        self.most_products = int(np.clip(as_a_pass, LEAST_PRODUCTS, MOST_PRODUCTS))
        weighed = self.p * self.weights[self.rows]
        self.rest = np.empty(loss.q)
        self.centres = np.empty((loss.q, loss.d), loss.dtype)
        v = loss.row_weights

        def of_chunk(_: int, chunk: slice) -> None:
            (of_label,) = sums.of(chunk, v)
            mass, kept = self._class_sums(chunk, weighed)
            rest = np.maximum(at.mean[chunk] - mass, 0.0)
            of_rest = G[chunk] - loss.strength * W[chunk].astype(np.float64) + of_label / loss.mass - kept
            some = np.where(rest > LEAST_REST, rest, np.inf)
            self.rest[chunk], self.centres[chunk] = rest, of_rest / some[:, None]

        loss.by_chunks(of_chunk)

    def _class_sums(self, chunk: slice, weights: FloatArray) -> tuple[Float64Array, FloatArray]:
        """Return the sums of weights (k,) and of weighted centred rows (k, d) of each class of a chunk."""
        loss, starts = self.loss, self.starts[chunk.start : chunk.stop + 1]
        out = np.empty((len(starts) - 1, loss.d), loss.dtype)
        pair_sums(loss.X, weights, self.rows, starts, out)
        part = weights[starts[0] : starts[-1]].astype(np.float64)
        total = np.add.reduceat(np.append(part, 0.0), np.minimum(starts[:-1] - starts[0], len(part)))
        total[starts[:-1] == starts[1:]] = 0
        if loss.shift.any():
            out -= np.outer(total, loss.shift).astype(loss.dtype)
        return total, out

    def times(self, V: FloatArray, bias: Float64Array, out: FloatArray) -> tuple[Float64Array, float]:
        """Write the Hessian times a direction to `out`.

        Parameters
        ----------
        V : ndarray of shape (q, d)
        bias : ndarray of shape (q,)
        out : ndarray of shape (q, d)

        Returns
        -------
        of_bias : ndarray of shape (q,)
        curvature : float
            The product of the direction with its Hessian product.
        """
        loss = self.loss
        change = np.empty(len(self.rows), loss.dtype)

        def dots(_: int, chunk: slice) -> None:
            starts = self.starts[chunk.start : chunk.stop + 1]
            pair_dots(loss.X, V[chunk], self.rows, starts, change)
            constant = bias[chunk] - V[chunk].astype(np.float64) @ loss.shift
            change[starts[0] : starts[-1]] += np.repeat(constant, np.diff(starts)).astype(loss.dtype)

        loss.by_chunks(dots)
        mean = np.bincount(self.rows, weights=self.p * change, minlength=loss.n)
        change -= mean[self.rows].astype(loss.dtype)
        change *= self.p
        change *= self.weights[self.rows]

        def of_chunk(_: int, chunk: slice) -> tuple[Float64Array, float]:
            of_bias, product = self._class_sums(chunk, change)
            v, centres, rest = V[chunk], self.centres[chunk], self.rest[chunk]
            along = (np.einsum("kd,kd->k", centres, v) + bias[chunk]) * rest
            product += rest[:, None].astype(v.dtype) * (v @ self.scatter) + along[:, None].astype(v.dtype) * centres
            product += v.dtype.type(loss.strength) * v
            out[chunk] = product
            of_bias = (of_bias + along) * float(self.fit_intercept)
            return of_bias, float(np.vdot(v, product)) + float(bias[chunk] @ of_bias)

        found = loss.by_chunks(of_chunk)
        return np.concatenate([of_bias for of_bias, _ in found]), sum(part for _, part in found)

    def solve(self, G: FloatArray, bias: Float64Array) -> tuple[FloatArray, Float64Array]:
        """Return about the inverse of the Hessian times a gradient, by preconditioned conjugate gradients.

        Parameters
        ----------
        G : ndarray of shape (q, d)
        bias : ndarray of shape (q,)

        Returns
        -------
        D : ndarray of shape (q, d)
        of_bias : ndarray of shape (q,)
        """
        loss = self.loss
        R, of_bias = G.copy(), bias.copy()
        D, V, H = np.zeros_like(G), np.empty_like(G), np.empty_like(G)
        solved = np.zeros(loss.q)
        direction, product = self._precondition(R, of_bias, H)
        V[:], goal = H, ACCURACY**2 * product
        for _ in range(self.most_products):
            change, curvature = self.times(V, direction, H)
            if not curvature > TINY:
                break
            length = product / curvature
            solved, of_bias = solved + length * direction, of_bias - length * change
            loss.add(length, V, D)
            loss.add(-length, H, R)
            turned, new = self._precondition(R, of_bias, H)
            if not new > goal:
                break
            direction, share, product = turned + new / product * direction, new / product, new
            V *= loss.dtype.type(share)
            loss.add(1.0, H, V)
        return D, solved

    def _precondition(self, R: FloatArray, of_bias: Float64Array, out: FloatArray) -> tuple[Float64Array, float]:
        """Write the preconditioned residual; return its part of the bias, and its product with the residual."""

        def solve(_: int, chunk: slice) -> tuple[Float64Array, float]:
            out[chunk], part = self.preconditioner.solve(chunk, R[chunk], of_bias[chunk])
            part = part * float(self.fit_intercept)
            return part, float(np.vdot(out[chunk], R[chunk])) + float(part @ of_bias[chunk])

        found = self.loss.by_chunks(solve)
        return np.concatenate([part for part, _ in found]), sum(product for _, product in found)
