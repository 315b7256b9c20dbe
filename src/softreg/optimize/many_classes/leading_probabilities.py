"""The largest class probabilities of each row, which a pass finds on its way.

At most `PAIRS_PER_ROW` of them are kept for each row on average: where there are more, the least probability that is
kept doubles.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from softreg.typing import Array, Float64Array, FloatArray

LEAST_PROBABILITY = 1e-3
"""Probability from which a class of a row is kept. Measured on drawn rows of 3,000 classes: 8 passes with 1e-3, 10 with
3e-3 and 16 with 2e-2."""
PAIRS_PER_ROW = 64
"""Classes of a row that are kept, at most, on average over the rows that were read."""


class LeadingProbabilities:
    """Collects the probabilities of the rows of a pass that are not small.

    Parameters
    ----------
    q : int
        Number of classes.
    n : int
        Number of rows.
    """

    def __init__(self, q: int, n: int) -> None:
        self.shape, self.least = (q, n), LEAST_PROBABILITY
        self.classes, self.rows, self.values = list[Array](), list[Array](), list[FloatArray]()
        self.count = self.rows_read = 0

    def of_chunk(self, residual: FloatArray, weights: FloatArray | None) -> tuple[Array, Array, FloatArray]:
        """Return classes, rows and probabilities of a chunk.

        Parameters
        ----------
        residual : ndarray of shape (k, b)
            Weight times `p - y`. The entries of the labels, which are not positive, are left out.
        weights : ndarray of shape (b,) or None
            Row weights.

        Returns
        -------
        tuple of ndarray
        """
        least = residual.dtype.type(self.least)
        flat = np.flatnonzero(residual > (least if weights is None else least * weights))
        classes, rows = np.divmod(flat, residual.shape[1])
        values = residual.ravel()[flat]
        values = values if weights is None else values / weights[rows]
        return classes.astype(np.int32), rows.astype(np.int32), values.astype(np.float32, copy=False)

    def add(
        self, run: slice, codes: Array, p_label: Float64Array, parts: list[tuple[slice, tuple[Array, ...]]]
    ) -> None:
        """Add a run of rows.

        Parameters
        ----------
        run : slice
        codes : ndarray of shape (b,)
            Labels of the rows.
        p_label : ndarray of shape (b,)
            Probabilities of the labels, which are all kept.
        parts : list of (slice, tuple of ndarray)
            Each chunk of classes, and what `of_chunk` returned.
        """
        own = np.arange(len(codes), dtype=np.int32)
        parts = [*parts, (slice(0, 0), (codes.astype(np.int32), own, p_label.astype(np.float32)))]
        self.classes.append(np.concatenate([classes + np.int32(chunk.start) for chunk, (classes, _, _) in parts]))
        self.rows.append(np.concatenate([rows for _, (_, rows, _) in parts]) + np.int32(run.start))
        self.values.append(np.concatenate([values for _, (_, _, values) in parts]))
        self.count += len(self.values[-1])
        self.rows_read += len(codes)
        while self.count > PAIRS_PER_ROW * self.rows_read:
            self._raise_least()

    def _raise_least(self) -> None:
        """Double the least probability, and drop those below; those of labels may go as well."""
        self.least *= 2
        kept = [values >= self.least for values in self.values]
        for arrays in (self.classes, self.rows, self.values):
            arrays[:] = [array[keep] for array, keep in zip(arrays, kept, strict=True)]
        self.count = sum(len(values) for values in self.values)

    def matrix(self) -> sp.csr_array:
        """Return the probabilities as a CSR array (q, n) in float32, and forget them.

        Returns
        -------
        csr_array
        """
        entries = np.concatenate(self.values), (np.concatenate(self.classes), np.concatenate(self.rows))
        self.classes, self.rows, self.values = [], [], []
        return sp.coo_array(entries, shape=self.shape).tocsr()
