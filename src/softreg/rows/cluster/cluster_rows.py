"""The backend of rows in fragments: sums come from worker processes, a sample of the rows is all that leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from softreg.rows.backend_protocol import Reduction
from softreg.rows.cluster.engine import Engine
from softreg.rows.cluster.fragments import Fragment
from softreg.rows.cluster.worker import Describe, FragmentFacts, MapTask, Sample, SumTask, View
from softreg.rows.logits import Sums
from softreg.rows.memory.base import RowsInBlocks
from softreg.rows.memory.dense import DenseRows
from softreg.rows.sampling import SAMPLE_BYTES, class_codes, sampled_counts
from softreg.typing import Array


class ClusterRows(RowsInBlocks):
    """Dense rows in fragments, each with weight 1, summed by the workers of an engine.

    Nothing is kept for a row between passes, so that a worker may be lost at any time: its fragments are loaded and
    evaluated again by another one, with the same result.

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
    """

    fits_in_memory = False
    can_shift = True
    has_offset = False
    reduced_precision = False

    def __init__(self, fragments: Sequence[Fragment], engine: Engine) -> None:
        if not fragments:
            raise ValueError("there are no fragments, so there is nothing to fit.")
        facts: list[FragmentFacts] = engine.map(fragments, Describe())
        for fragment, fact in zip(fragments, facts, strict=True):
            if (fact.d, fact.dtype) != (facts[0].d, facts[0].dtype):
                raise ValueError(
                    f"{fragment.name} have {fact.d} columns of {np.dtype(fact.dtype)}, and {fragments[0].name} have "
                    f"{facts[0].d} of {np.dtype(facts[0].dtype)}; all fragments need the same columns."
                )
        self.fragments, self.engine, self.view = tuple(fragments), engine, View()
        self.n, self.d = sum(fact.n for fact in facts), facts[0].d
        self.dtype: np.dtype[Any] = np.dtype(facts[0].dtype)
        self.stored_dtype = self.dtype
        q = max(len(fact.counts) for fact in facts)
        self.counts = np.stack([np.pad(fact.counts, (0, q - len(fact.counts))) for fact in facts])
        """Rows (fragments, q) of each class."""

    @property
    def stored(self) -> int:
        """Count of stored numbers."""
        return self.n * self.d

    def sum(self, reduction: Reduction[Sums]) -> Sums:
        """Return the results of all blocks, added in float64 in an order that depends on the fragments alone."""
        return self.engine.map_reduce(self.fragments, SumTask(self.view, reduction))

    def map(self, reduction: Reduction[Array]) -> Array:
        """Return the results of all blocks, concatenated; those with an entry a row need memory for all rows."""
        return np.concatenate(self.engine.map(self.fragments, MapTask(self.view, reduction)))

    def prepare(self, W: Array) -> Array:
        """Return weights (k, d) in the precision of the products."""
        return np.ascontiguousarray(W, dtype=self.dtype)

    def sample(self, size: int, seed: int) -> DenseRows:
        """Return a stratified sample of about `size` rows in memory, with weights that make its sums unbiased."""
        counts = self.counts.sum(axis=0)
        size = min(size, max(1, SAMPLE_BYTES // max(1, self.d * self.stored_dtype.itemsize)))
        take = sampled_counts(counts, size)
        random = np.random.default_rng(seed)
        of_class = [random.multivariate_hypergeometric(self.counts[:, k], take[k]) for k in range(len(take))]
        takes = dict(zip(self.fragments, np.transpose(of_class), strict=True))
        parts = self.engine.map(self.fragments, Sample(seed, takes))
        X, labels = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        sampled = DenseRows(X, labels, (counts / np.maximum(take, 1))[class_codes(labels)][None])
        if self.view.shift is None and self.dtype == self.stored_dtype:
            return sampled
        return sampled.precise(self.view.shift, self.view.scale, self.dtype)

    def with_higher_precision(self) -> ClusterRows:
        """Return the same rows, multiplied in float64."""
        return self.precise(dtype=np.float64)

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> ClusterRows:
        """Return the same rows; each block is shifted, scaled and cast before it is multiplied."""
        rows = object.__new__(ClusterRows)
        rows.__dict__.update(self.__dict__)
        rows.dtype = np.dtype(dtype or self.dtype)
        moved = self.view if shift is None else replace(self.view, shift=shift, scale=scale)
        rows.view = replace(moved, dtype=rows.dtype.str)
        return rows

    def standardise(self, index: Array, shift: Array, scale: Array, out: Array) -> None:
        """Raise `NotImplementedError`: single rows stay on the workers."""
        raise NotImplementedError("rows of a cluster are not read one by one; choose another solver")

    def labelled(self, labels: Array, weights: Array | None) -> ClusterRows:
        """Raise `NotImplementedError`: labels and weights belong to the fragments."""
        raise NotImplementedError("labels and weights of rows on a cluster belong to their fragments")
