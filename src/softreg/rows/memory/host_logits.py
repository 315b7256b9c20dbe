"""What the solver asks of the logits of a block, in NumPy: for rows in the host's memory.

A home of rows on a device does the same by itself (`rows.softmax.BlockLogits` says what each of these means).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as sl

from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Sums, runs
from softreg.rows.logits import CachedLogits

RUN_BYTES = 4 << 20
"""Where no logits are kept, the probabilities of a run of rows take about so much (for 1,000 classes, half or twice
that is no faster)."""


class HostSoftmax(CachedLogits):
    """m models with q classes on a block, with row weights V (m, b), (1, b) or None and products in `dtype`."""

    def __init__(self, block: Block, m: int, q: int, V: Array | None, dtype: Any, memory: dict[str, Any]) -> None:
        self.block, self.m, self.q, self.V, self.dtype = block, m, q, V, dtype
        self.memory = memory

    # --- logits that are kept -----------------------------------------------------------------------------------

    def place(self, prepared: Array, bias: Array, name: str) -> None:
        """Keep the logits under this name."""
        self.memory[name] = self._logits(self.block, prepared, bias)

    def _logits(self, block: Block, prepared: Array, bias: Array) -> Array:
        o = block.times(prepared)
        o += bias[:, None]
        return o.reshape(self.m, self.q, -1)

    def read(self, prepared: Array, bias: Array, name: str) -> Sums:
        """Loss, residual and residual times rows; the logits are kept."""
        o, V, labels = self._room(name), self.V, self.block.labels
        sums = self.block.loss_and_gradient(prepared, bias, self.q, V, o.reshape(len(bias), -1))
        if sums is not None:
            return sums
        np.add(self.block.times(prepared).reshape(o.shape), bias.reshape(self.m, self.q, 1), out=o)
        value, R = loss.loss_and_residual(o, labels, V)
        flat = R.reshape(len(bias), -1).astype(self.dtype, copy=False)
        return value, flat.sum(axis=1, dtype=np.float64), self.block.transposed_times(flat)

    def _room(self, name: str) -> Array:
        """An array (m, q, b) beside the block for logits: the one of the last pass, where there is one."""
        shape = (self.m, self.q, self.block.stop - self.block.start)
        return np.asarray(self._place_for(name, shape, self.dtype, lambda shape: np.empty(shape, self.dtype)))

    def along(self, t: Array) -> Sums:
        """Value, slope and curvature at steps t."""
        o, step = self.memory["logits"], self.memory["step"]
        moved = o + t.astype(o.dtype)[:, None, None] * step
        return loss.along(moved, step, self.block.labels, self.V)

    def take_step(self, t: Array) -> None:
        """Take steps t."""
        o = self.memory["logits"]
        o += t.astype(o.dtype)[:, None, None] * self.memory["step"]

    def shift_bias(self, shift: Array) -> None:
        """Add a shift to the logits."""
        self.memory["logits"] += shift.astype(self.dtype)[:, :, None]

    def drop_members(self, keep: Array) -> None:
        """Keep what belongs to these models."""
        for name, kept in self.memory.items():
            self.memory[name] = kept[keep]

    def gradient(self, shift: Array | None) -> Sums:
        """Loss, residual times rows, and the residual twice."""
        o = self.memory["logits"] if shift is None else self._shifted(shift)
        value, R = loss.loss_and_residual(o, self.block.labels, self.V)
        flat = R.reshape(self.m * self.q, -1).astype(self.dtype, copy=False)
        return (
            value,
            self.block.transposed_times(flat),
            flat.sum(axis=1, dtype=np.float64),
            R.sum(axis=2, dtype=np.float64),
        )

    def _shifted(self, shift: Array) -> Array:
        return np.asarray(self.memory["logits"].astype(np.float64) + shift[:, :, None])

    def bias_sums(self, shift: Array) -> Sums:
        """Residual and curvature in the bias."""
        return loss.bias_sums(self._shifted(shift), self.block.labels, self.V)

    def entropy(self, shift: Array, share: Array) -> Sums:
        """Entropy of labels mixed with probabilities."""
        return (loss.mixed_entropy(self._shifted(shift), self.block.labels, self.V, share),)

    def surety(self) -> tuple[Array, Array, Array]:
        """How sure the models are of the labels."""
        sure = loss.surety(loss.probabilities(self.memory["logits"])[0], self.block.labels, self.V)
        return sure.own, sure.predicted, sure.doubt

    def kept(self, name: str) -> Array:
        """The logits themselves."""
        return np.asarray(self.memory[name])

    def picked(self, models: Array, rows: Array) -> Array:
        """The logits of these rows, each of its model."""
        return np.asarray(self.memory["logits"][models, :, rows])

    # --- none that are kept -------------------------------------------------------------------------------------

    def _runs(self) -> list[tuple[Block, Array | None]]:
        """The block in runs whose probabilities stay in the cache, and the row weights of each."""
        size = int(np.clip(RUN_BYTES // (self.m * self.q * np.dtype(self.dtype).itemsize), 64, 8192))
        first = self.block.start
        cut = runs(self.block, size)
        return [(run, None if self.V is None else self.V[:, run.start - first : run.stop - first]) for run in cut]

    def lean_read(self, prepared: Array, bias: Array) -> Sums:
        """Loss, residual and residual times rows, run by run; how sure the models are stays beside the rows."""
        parts, sure = [], []
        for run, V in self._runs():
            value, r, P, seen = loss.consume(self._logits(run, prepared, bias), run.labels, V)
            R = loss.residual(P, run.labels, V).reshape(len(bias), -1)
            parts.append((value, r, run.transposed_times(R)))
            sure.append(seen)
        self.memory["own"] = np.concatenate([seen.own for seen in sure], axis=1)
        self.memory["predicted"] = np.sum([seen.predicted for seen in sure], axis=0)
        self.memory["doubt"] = np.sum([seen.doubt for seen in sure], axis=0)
        return added(parts)

    def lean_surety(self) -> tuple[Array, Array, Array]:
        """How sure the last reading was."""
        return self.memory["own"], self.memory["predicted"], self.memory["doubt"]

    def lean_along(self, here: tuple[Array, Array], step: tuple[Array, Array]) -> Sums:
        """Value, slope and curvature along a direction."""
        return added(
            [loss.along(self._logits(run, *here), self._logits(run, *step), run.labels, V) for run, V in self._runs()]
        )

    def lean_bias(self, prepared: Array, bias: Array, full: bool) -> Sums:
        """Residual, and what the curvature in the bias is made of."""
        parts: list[Sums] = []
        for run, V in self._runs():
            _, r, P, sure = loss.consume(self._logits(run, prepared, bias), run.labels, V)
            if V is not None:
                P *= np.sqrt(V)[:, None].astype(P.dtype)
            parts.append((r, np.stack([_half_square(p) for p in P]) if full else sure.doubt))
        return added(parts)


def _half_square(p: Array) -> Array:
    """The lower half of `p p^T`, which is half the work."""
    half: Array = sl.get_blas_funcs("syrk", (p,))(1.0, p.T, trans=1, lower=1)
    return half


def added(parts: list[Sums]) -> Sums:
    """The sums of the runs of a block, in order and in their own precision.

    Example:
        >>> added([(1, 2.0), (3, 4.0)])
        (4, 6.0)
    """
    total = list(parts[0])
    for part in parts[1:]:
        for k, piece in enumerate(part):
            total[k] = total[k] + piece
    return tuple(total)
