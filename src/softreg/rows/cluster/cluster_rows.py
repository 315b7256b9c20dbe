"""The backend of rows in fragments: sums come from worker processes, a sample of the rows is all that leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.rows.backend_protocol import Reduction
from softreg.rows.cluster.engine import Engine
from softreg.rows.cluster.fragments import Fragment
from softreg.rows.cluster.worker import Describe, FragmentFacts, MapTask, Sample, SampledRows, SumTask, View
from softreg.rows.logits import Sums
from softreg.rows.memory.base import RowsInBlocks
from softreg.rows.memory.csr import SparseRows
from softreg.rows.memory.dense import DenseRows
from softreg.rows.sampling import SAMPLE_BYTES, class_codes, sampled_counts
from softreg.typing import Array

INDEX_BYTES = 4
"""Bytes of a column number of sparse rows."""


class ClusterRows(RowsInBlocks):
    """Dense or sparse rows in fragments, summed by the workers of an engine.

    All that workers keep between passes can be computed again to the last bit, so that a worker may be lost at any
    time: its fragments are loaded and evaluated again by another one, with the same result.

    Parameters
    ----------
    fragments : sequence of Fragment
        The rows, in order. Sums depend on how the rows are divided, in their last bits, and not on the workers.
    engine : Engine
        The workers.

    Raises
    ------
    ValueError
        If there is no row, or the fragments differ in their columns.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from softreg.rows.cluster.fragments import NpyFragment
    >>> from softreg.rows.cluster.local_processes import LocalProcesses
    >>> X, y = (mkdtemp() + "/" + name for name in ("X.npy", "y.npy"))
    >>> np.save(X, np.eye(5)), np.save(y, np.array([0, 1, 1, 0, 1]))
    (None, None)
    >>> with LocalProcesses(1) as engine:
    ...     rows = ClusterRows(NpyFragment.of(X, y, rows=3), engine)
    >>> rows.n, rows.d, rows.stored
    (5, 5, 25)
    """

    fits_in_memory = False
    reduced_precision = False
    storage = "workers"

    def __init__(self, fragments: Sequence[Fragment], engine: Engine) -> None:
        if not fragments:
            raise ValueError("there are no fragments, so there is nothing to fit.")
        facts: list[FragmentFacts] = engine.map(fragments, Describe())
        for fragment, fact in zip(fragments, facts, strict=True):
            if fact.form != facts[0].form:
                raise ValueError(
                    f"{fragment.name} have {fact}, and {fragments[0].name} have {facts[0]}; all fragments need the "
                    "same columns."
                )
        self.fragments, self.engine, self.view = tuple(fragments), engine, View()
        self.n, self.d = sum(fact.n for fact in facts), facts[0].d
        self.stored = sum(fact.stored for fact in facts)
        """Count of stored numbers."""
        self.can_shift, self.has_offset = not facts[0].sparse, facts[0].has_offset
        self.dtype: np.dtype[Any] = np.dtype(facts[0].dtype)
        q = max(len(fact.counts) for fact in facts)
        self.counts: Array = np.sum([np.pad(fact.counts, (0, q - len(fact.counts))) for fact in facts], axis=0)
        """Rows (q,) of each class."""

    def sum(self, reduction: Reduction[Sums]) -> Sums:
        """Return the results of all blocks, added in float64 in an order that depends on the fragments alone."""
        if getattr(reduction, "sums_nothing", False):
            return (0.0,)  # workers keep no logits from one reduction to the next
        return self.engine.map_reduce(self.fragments, SumTask(self.view, reduction))

    def map(self, reduction: Reduction[Array]) -> Array:
        """Return the results of all blocks, concatenated; those with an entry a row need memory for all rows."""
        return np.concatenate(self.engine.map(self.fragments, MapTask(self.view, reduction)))

    @property
    def stored_bytes(self) -> int:
        """Bytes of one reading of all rows on the workers, with 4 for the column of a number of sparse rows."""
        return int(self.stored * (self.dtype.itemsize + (0 if self.can_shift else INDEX_BYTES)))

    def prepare(self, W: Array) -> Array:
        """Return weights (k, d) in the precision of the products; (d, k) for sparse rows."""
        return np.ascontiguousarray(W if self.can_shift else W.T, dtype=self.dtype)

    def sample(self, size: int, seed: int) -> DenseRows | SparseRows:
        """Return a stratified sample of about `size` rows in memory, with weights that make its sums unbiased."""
        stored_bytes = self.stored * self.dtype.itemsize // max(1, self.n)
        size = min(size, max(1, SAMPLE_BYTES // max(1, stored_bytes)))
        take = sampled_counts(self.counts, size)
        # a margin of nine standard deviations, from which the rows of the least hashed numbers are taken
        share = (take + 9 * np.sqrt(take) + 9) / np.maximum(self.counts, 1)
        parts: list[SampledRows] = self.engine.map(self.fragments, Sample(seed, share))
        return self._sampled(parts, take)

    def _sampled(self, parts: list[SampledRows], take: Array) -> DenseRows | SparseRows:
        """Return the `take` (q,) rows of each class with the least hashed numbers, in the order of the rows."""
        labels, drawn = (np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "drawn"))
        weights, offset = (_joined([getattr(part, name) for part in parts]) for name in ("weights", "offset"))
        codes = class_codes(labels)
        order = np.lexsort((drawn, codes))
        found = np.bincount(codes, minlength=len(take))
        rank = np.arange(len(codes)) - np.repeat(np.cumsum(found) - found, found)
        index = np.sort(order[rank < take[codes[order]]])
        parts_X = [part.X for part in parts]
        X = np.concatenate(parts_X)[index] if self.can_shift else sp.csr_array(sp.vstack(parts_X, format="csr")[index])
        share = (self.counts / np.maximum(np.minimum(take, found), 1))[codes[index]][None]
        weights, offset = (part if part is None else part[:, index] for part in (weights, offset))
        weights = share if weights is None else weights * share
        make: Any = DenseRows if self.can_shift else SparseRows
        sampled = make(X, labels[index], weights, offset=offset)
        if self.view.shift is None and self.view.scale is None and self.dtype == sampled.dtype:
            return sampled  # type: ignore[no-any-return]
        return sampled.precise(self.view.shift, self.view.scale, self.dtype)  # type: ignore[no-any-return]

    def with_higher_precision(self) -> ClusterRows:
        """Return the same rows, multiplied in float64."""
        return self.precise(dtype=np.float64)

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> ClusterRows:
        """Return the same rows; each block is shifted, scaled and cast before it is multiplied."""
        rows = object.__new__(ClusterRows)
        rows.__dict__.update(self.__dict__)
        rows.dtype = np.dtype(dtype or (self.dtype if self.can_shift else np.float64))
        moved = self.view if shift is None and scale is None else replace(self.view, shift=shift, scale=scale)
        rows.view = replace(moved, dtype=rows.dtype.str)
        return rows

    def standardise(self, index: Array, shift: Array, scale: Array, out: Array) -> None:
        """Raise `NotImplementedError`: single rows stay on the workers."""
        raise NotImplementedError("rows of a cluster are not read one by one; choose another solver")

    def labelled(self, labels: Array, weights: Array | None) -> ClusterRows:
        """Raise `NotImplementedError`: labels and weights belong to the fragments."""
        raise NotImplementedError("labels and weights of rows on a cluster belong to their fragments")


def _joined(parts: list[Array | None]) -> Array | None:
    """Return arrays (k, b) of parts of the rows as one, or None where the rows have none."""
    arrays = [part for part in parts if part is not None]
    return np.concatenate(arrays, axis=1) if arrays else None
