"""Logits of a block in the host's memory, in NumPy; `rows.logits.BlockLogits` describes each operation."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as sl

from softreg.probability import block_loss as loss
from softreg.rows.backend_protocol import Block, runs
from softreg.rows.logits import BackendArray, Confidence, KeptLogits, LogitEntry, ParameterPoint, Sums
from softreg.typing import Array

RUN_BYTES = 4 << 20
"""Size in bytes of the probabilities of a run of rows where no logits are kept (for 1,000 classes, half or twice that
is no faster)."""
MIN_RUN_ROWS, MAX_RUN_ROWS = 64, 8192
"""Least and largest number of rows in such a run."""


class HostLogits(KeptLogits):
    """m models with q classes on a block, with row weights V (m, b), (1, b) or None and products in `dtype`."""

    __slots__ = ("V", "block", "dtype", "m", "q")
    member_axis = 0

    def __init__(self, block: Block, m: int, q: int, V: Array | None, dtype: Any, entry: LogitEntry) -> None:
        self.block, self.m, self.q, self.V, self.dtype, self.entry = block, m, q, V, dtype, entry

    # --- kept logits --------------------------------------------------------------------------------------------

    def keep(self, prepared: BackendArray, bias: Array, point: ParameterPoint, replaces: tuple[int, ...]) -> None:
        """Keep the logits of a point or a direction."""
        self.entry.discard(replaces)
        self.entry.arrays[point.version] = self._compute(self.block, prepared, bias, point.is_direction)

    def _compute(self, block: Block, prepared: BackendArray, bias: Array, is_direction: bool = False) -> Array:
        """Return the logits (m, q, b) of a point, which have the offset of the rows, or of a direction."""
        o = block.times(prepared)
        o += bias[:, None]
        o = o.reshape(self.m, self.q, -1)
        offset = None if is_direction else block.offset
        if offset is not None:
            o += offset
        return o

    def _kept(self, point: ParameterPoint) -> Array:
        """Return the kept logits (m, q, b) of a point; those that are missing are computed again and kept."""
        kept: Array | None = self.entry.arrays.get(point.version)
        if kept is None:
            W, b = point.stored()
            kept = self._compute(self.block, self.block.prepare(W), b.astype(self.dtype), point.is_direction)
            self.entry.arrays[point.version] = kept
        return kept

    def loss_and_gradient(self, prepared: BackendArray, bias: Array, version: int, replaces: tuple[int, ...]) -> Sums:
        """Return loss, residual and residual times rows; the logits are kept."""
        V, labels = self.V, self.block.labels
        shape = (self.m, self.q, self.block.stop - self.block.start)
        o = self.entry.array_for(version, replaces, shape, self.dtype, self._empty)
        sums = self.block.loss_and_gradient(prepared, bias, self.q, V, o.reshape(len(bias), -1))
        if sums is not None:
            return sums
        np.add(self.block.times(prepared).reshape(o.shape), bias.reshape(self.m, self.q, 1), out=o)
        offset = self.block.offset
        if offset is not None:
            o += offset
        value, R = loss.loss_and_residual(o, labels, V)
        flat = R.reshape(len(bias), -1).astype(self.dtype, copy=False)
        return value, flat.sum(axis=1, dtype=np.float64), self.block.transposed_times(flat)

    def _empty(self, shape: tuple[int, ...]) -> Array:
        return np.empty(shape, self.dtype)

    def eval_along(self, point: ParameterPoint, direction: ParameterPoint, t: Array) -> Sums:
        """Return value, slope and curvature at steps t."""
        o, step = self._kept(point), self._kept(direction)
        moved = o + t.astype(o.dtype)[:, None, None] * step
        return loss.along(moved, step, self.block.labels, self.V)

    def take_step(self, point: ParameterPoint, direction: ParameterPoint, t: Array, version: int) -> None:
        """Take steps t along the direction."""
        o, step = self._kept(point), self._kept(direction)
        o += t.astype(o.dtype)[:, None, None] * step
        self.entry.rename(point.version, version)

    def shift_bias(self, point: ParameterPoint, shift: Array, version: int) -> None:
        """Add a shift to the logits."""
        o = self.entry.rename(point.version, version)
        if o is not None:
            o += shift.astype(self.dtype)[:, :, None]

    def _member_positions(self, keep: Array) -> Array:
        return np.flatnonzero(keep)

    def _take(self, array: Array, positions: Array, axis: int) -> Array:
        return np.take(array, positions, axis)

    def gradient(self, point: ParameterPoint, shift: Array | None) -> Sums:
        """Return loss, residual times rows, and the residual twice."""
        o = self._kept(point) if shift is None else self._shifted(point, shift)
        value, R = loss.loss_and_residual(o, self.block.labels, self.V)
        flat = R.reshape(self.m * self.q, -1).astype(self.dtype, copy=False)
        return (
            value,
            self.block.transposed_times(flat),
            flat.sum(axis=1, dtype=np.float64),
            R.sum(axis=2, dtype=np.float64),
        )

    def _shifted(self, point: ParameterPoint, shift: Array) -> Array:
        return np.asarray(self._kept(point).astype(np.float64) + shift[:, :, None])

    def bias_sums(self, point: ParameterPoint, shift: Array) -> Sums:
        """Return residual and curvature in the bias."""
        return loss.bias_sums(self._shifted(point, shift), self.block.labels, self.V)

    def entropy(self, point: ParameterPoint, shift: Array, share: Array) -> Sums:
        """Return the entropy of labels mixed with probabilities, and what the offset adds."""
        o = self._shifted(point, shift)
        return (loss.mixed_entropy(o, self.block.labels, self.V, share, self.block.offset),)

    def confidence(self, point: ParameterPoint) -> tuple[Array, Array, Array]:
        """Return probabilities of the labels, and mass and variance of each class."""
        confidence = loss.label_confidence(loss.probabilities(self._kept(point))[0], self.block.labels, self.V)
        return confidence.p_label, confidence.class_mass, confidence.class_variance

    def logits(self, point: ParameterPoint) -> Array:
        """Return the logits."""
        return self._kept(point)

    def select(self, point: ParameterPoint, models: Array, rows: Array) -> Array:
        """Return the logits of these rows, each of its model."""
        return np.asarray(self._kept(point)[models, :, rows])

    # --- logits computed again on each call ---------------------------------------------------------------------

    def _runs(self) -> list[tuple[Block, Array | None]]:
        """Return the block in runs whose probabilities stay in the cache, and the row weights of each."""
        size = int(np.clip(RUN_BYTES // (self.m * self.q * np.dtype(self.dtype).itemsize), MIN_RUN_ROWS, MAX_RUN_ROWS))
        first = self.block.start
        cut = runs(self.block, size)
        return [(run, None if self.V is None else self.V[:, run.start - first : run.stop - first]) for run in cut]

    def recomputed_loss_and_gradient(self, prepared: BackendArray, bias: Array, version: int) -> Sums:
        """Return loss, residual and residual times rows, run by run; the confidence is kept."""
        parts, confidence = [], []
        for run, V in self._runs():
            value, r, P, seen = loss.consume(self._compute(run, prepared, bias), run.labels, V)
            R = loss.residual(P, run.labels, V).reshape(len(bias), -1)
            parts.append((value, r, run.transposed_times(R)))
            confidence.append(seen)
        self.entry.confidence = Confidence(
            version,
            np.concatenate([seen.p_label for seen in confidence], axis=1),
            np.sum([seen.class_mass for seen in confidence], axis=0),
            np.sum([seen.class_variance for seen in confidence], axis=0),
        )
        return sum_runs(parts)

    def recomputed_confidence(self, point: ParameterPoint) -> tuple[Array, Array, Array]:
        """Return the confidence of the last pass, or of another pass at these parameters."""
        kept = self.entry.confidence
        if kept is None or kept.version != point.version:
            W, b = point.stored()
            self.recomputed_loss_and_gradient(self.block.prepare(W), b.astype(self.dtype), point.version)
            kept = self.entry.confidence
            assert kept is not None
        return kept.p_label, kept.class_mass, kept.class_variance

    def recomputed_along(self, here: tuple[BackendArray, Array], step: tuple[BackendArray, Array]) -> Sums:
        """Return value, slope and curvature along a direction."""
        parts = [
            loss.along(self._compute(run, *here), self._compute(run, *step, is_direction=True), run.labels, V)
            for run, V in self._runs()
        ]
        return sum_runs(parts)

    def recomputed_bias_sums(self, prepared: BackendArray, bias: Array, full: bool) -> Sums:
        """Return the residual, and what the curvature in the bias is made of."""
        parts: list[Sums] = []
        for run, V in self._runs():
            _, r, P, confidence = loss.consume(self._compute(run, prepared, bias), run.labels, V)
            if V is not None:
                P *= np.sqrt(V)[:, None].astype(P.dtype)
            parts.append((r, np.stack([_lower_gram(p) for p in P]) if full else confidence.class_variance))
        return sum_runs(parts)


def _lower_gram(p: Array) -> Array:
    """Return the lower triangle of `p p^T`, which takes half the operations."""
    half: Array = sl.get_blas_funcs("syrk", (p,))(1.0, p.T, trans=1, lower=1)
    return half


def sum_runs(parts: list[Sums]) -> Sums:
    """Return the sums of the runs of a block, in order and in the precision of the parts.

    Parameters
    ----------
    parts : list of tuple

    Returns
    -------
    tuple

    Examples
    --------
    >>> sum_runs([(1, 2.0), (3, 4.0)])
    (4, 6.0)
    """
    total = list(parts[0])
    for part in parts[1:]:
        for k, piece in enumerate(part):
            total[k] = total[k] + piece
    return tuple(total)
