"""The curvature that many classes share: the scatter within classes, and two clusters of rows for each class.

The model is that of `curvature/class_clusters.py`, for weights (q, d) of centred columns: with mean class variance u
and the scatter S within classes, the block of a class is

    u S + u_1 c_1 c_1^T + u_2 c_2 c_2^T + strength,

where c_1 and c_2 are the centres of the rows of the class and of the others, with a further entry of 1 for the bias.
The centres are kept in half precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl
import scipy.sparse as sp

from softreg.linalg import TINY
from softreg.optimize.curvature.class_clusters import MIN_CLUSTER_MASS, SCATTER_RIDGE
from softreg.optimize.many_classes.streamed_loss import Evaluation, StreamedLoss
from softreg.typing import Array, Float64Array, FloatArray

MIN_CURVATURE = 0.1
"""Curvature of a class, at least, as a part of the average, and that of its bias without clusters as a part of its own.
Measured on drawn rows of 2,000 classes: 14 passes with 0.1, 15 with 0.3 and 17 with 1e-3."""
SCATTER_ROWS = 4096
"""Rows whose products are added to the scatter at a time."""
CENTRE_LIMIT = 6e4
"""Largest entry of a centre in half precision."""


class ClassSums:
    """Weighted sums of the rows of each class, a chunk of classes at a time."""

    def __init__(self, loss: StreamedLoss) -> None:
        self.loss, self.order = loss, np.argsort(loss.codes, kind="stable")
        self.starts = np.searchsorted(loss.codes[self.order], np.arange(loss.q + 1))

    def of(self, chunk: slice, *weights: Float64Array) -> list[Float64Array]:
        """Return sums (k, d) of weight times centred row over the rows of each class of a chunk, for each weight."""
        first, last = self.starts[chunk.start], self.starts[chunk.stop]
        index = self.order[first:last]
        X = self.loss.X[index].astype(np.float64) - self.loss.shift
        ends = self.starts[chunk.start : chunk.stop + 1] - first
        return [np.asarray(sp.csr_array((w[index], np.arange(len(index)), ends), (len(ends) - 1, len(index))) @ X)
                for w in weights]  # fmt: skip


@dataclass(frozen=True)
class WithinScatter:
    """The scatter within classes, diagonalized."""

    values: Float64Array
    vectors: FloatArray

    @classmethod
    def of(cls, loss: StreamedLoss, sums: ClassSums) -> WithinScatter:
        """Return the scatter of the rows of the objective within their classes."""
        d = loss.d
        total = np.zeros((d, d))
        v = loss.row_weights
        for a in range(0, loss.n, SCATTER_ROWS):
            Z = loss.X[a : a + SCATTER_ROWS].astype(np.float64) - loss.shift
            total += (Z * v[a : a + SCATTER_ROWS, None]).T @ Z
        total /= loss.mass

        def between(_: int, chunk: slice) -> Float64Array:
            (of_class,) = sums.of(chunk, v)
            mass = np.maximum(loss.rates[chunk] * loss.mass, TINY)
            return np.asarray((of_class / mass[:, None]).T @ of_class / loss.mass)

        for part in loss.by_chunks(between):
            total -= part
        values, vectors = sl.eigh((total + total.T) / 2, driver="evd")
        return cls(np.maximum(values, 0.0), vectors.astype(loss.dtype))


class SharedCurvature:
    """The preconditioner at one point, for a chunk of classes at a time.

    Without an intercept the centres have no further entry: with it, a bias that does not exist would take the curvature
    along the mean of the rows.
    """

    def __init__(
        self,
        loss: StreamedLoss,
        sums: ClassSums,
        scatter: WithinScatter,
        at: Evaluation,
        W: FloatArray,
        G: FloatArray,
        fit_intercept: bool = True,
    ) -> None:
        self.loss, self.scatter, self.fit_intercept = loss, scatter, fit_intercept
        u = np.maximum(at.variance, 0.0)
        self.variance = np.maximum(u, MIN_CURVATURE * u.mean() + TINY)
        self.added = loss.strength + SCATTER_RIDGE / loss.q * float(scatter.values.mean())
        self.centres = np.empty((2, loss.q, loss.d), np.float16)
        self.ones = np.empty((2, loss.q))
        self.core = np.empty((loss.q, 2, 2))
        v = loss.row_weights
        of_label = (v * at.p_label * (1 - at.p_label), v * (1 - at.p_label))
        within = np.bincount(loss.codes, weights=of_label[0], minlength=loss.q) / loss.mass
        labelled = np.bincount(loss.codes, weights=v * at.p_label, minlength=loss.q) / loss.mass
        self.parts = np.minimum(within, u)

        def of_chunk(_: int, chunk: slice) -> None:
            own, missing = (s / loss.mass for s in sums.of(chunk, *of_label))
            others = G[chunk] - loss.strength * W[chunk].astype(np.float64) + missing
            part = self.parts[chunk]
            self._set_centres(chunk, 0, own, part, part)
            self._set_centres(chunk, 1, others, at.mean[chunk] - labelled[chunk], u[chunk] - part)
            self._set_core(chunk)

        loss.by_chunks(of_chunk)

    def _diagonal(self, chunk: slice) -> Float64Array:
        """Return the diagonal (k, d) of the blocks in the basis of the scatter."""
        return np.asarray(self.variance[chunk, None] * self.scatter.values + self.added)

    def _set_centres(self, chunk: slice, a: int, sums: Array, mass: Float64Array, part: Float64Array) -> None:
        """Keep the centres of one cluster, times the root of its variance, in the basis of the scatter."""
        safe = np.maximum(mass, 0.0)[:, None]
        centre = np.divide(sums, safe, out=np.zeros(sums.shape), where=safe > MIN_CLUSTER_MASS)
        root = np.sqrt(np.maximum(part, 0.0))
        scaled = (centre.astype(self.loss.dtype) @ self.scatter.vectors) * root[:, None] / self._unit(chunk)
        self.centres[a, chunk] = np.clip(scaled, -CENTRE_LIMIT, CENTRE_LIMIT)
        self.ones[a, chunk] = root / self._unit(chunk)[:, 0] * float(self.fit_intercept)

    def _unit(self, chunk: slice) -> Float64Array:
        """Return the scale (k, 1) of the centres: half precision has a narrow range."""
        return np.asarray(np.sqrt(self.variance[chunk, None]))

    def _set_core(self, chunk: slice) -> None:
        inverse = self.variance[chunk, None] / self._diagonal(chunk)
        c = self.centres[:, chunk].astype(np.float64)
        inner = np.einsum("akd,kd,bkd->kab", c, inverse, c, optimize=True)
        inner += np.einsum("ak,bk->kab", self.ones[:, chunk], self.ones[:, chunk]) / MIN_CURVATURE
        self.core[chunk] = np.linalg.inv(inner + np.eye(2))

    def solve(self, chunk: slice, g: FloatArray, bias: Float64Array) -> tuple[FloatArray, Float64Array]:
        """Return the inverse of the blocks of a chunk times gradients (k, d) and (k,)."""
        dtype, E = self.loss.dtype, self.scatter.vectors
        diagonal = self._diagonal(chunk)
        inverse = (1 / diagonal).astype(dtype)
        along, along_bias = (g @ E) * inverse, bias / (MIN_CURVATURE * self.variance[chunk])
        unit = self._unit(chunk)[:, 0]
        c = self.centres[:, chunk].astype(dtype)
        share = np.stack([np.einsum("kd,kd->k", one, along) for one in c], axis=-1).astype(np.float64)
        share = (share + (self.ones[:, chunk] * along_bias).T) * unit[:, None]
        share = np.einsum("kab,kb->ka", self.core[chunk], share)
        for a in range(2):
            factor = share[:, a] * unit
            along -= inverse * c[a] * factor[:, None].astype(dtype)
            along_bias = along_bias - self.ones[a, chunk] * factor / (MIN_CURVATURE * self.variance[chunk])
        return along @ E.T, along_bias
