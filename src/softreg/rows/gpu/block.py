"""A block of rows on a device: its chunks, and sums over them for the host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from softreg.rows.gpu.device_logits import DeviceLogits
from softreg.rows.gpu.interop import Tensor
from softreg.rows.logits import BlockLogits, LogitEntry
from softreg.rows.memory.base import MemoryBlock
from softreg.typing import Array

if TYPE_CHECKING:
    from softreg.rows.gpu.device_rows import TorchRows


@dataclass(eq=False)
class TorchBlock(MemoryBlock):
    """A run of rows of a tensor."""

    rows: TorchRows

    @property
    def targets(self) -> Tensor:
        """The labels on the device."""
        return self.rows.targets[self.start : self.stop]

    def device_weights(self, m: int, members: Array) -> Tensor | None:
        """Return the row weights (b, m) or (b, 1) of these members on the device, or None."""
        V = self.rows.device_weights
        if V is None:
            return None
        V = V[self.start : self.stop]
        return V if V.shape[1] in (1, m) else V.index_select(1, self.rows.put(members, np.int64))

    @property
    def device_offset(self) -> Tensor | None:
        """The offset (b, q) of the logits on the device, or None."""
        offset = self.rows.device_offset
        return None if offset is None else offset[self.start : self.stop]

    def chunks(self, k: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield chunks of rows for k columns of logits, with their position in the block."""
        for a, chunk in self.rows.chunks.read(self.start, self.stop, self.rows.chunk_rows(k)):
            yield slice(a, a + len(chunk)), self.rows.prepare_rows(chunk)

    def stored(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield the stored rows, as many at a time as are on the device, with their position in the block."""
        for a, rows in self.rows.chunks.read(self.start, self.stop, self.stop - self.start):
            yield slice(a, a + len(rows)), rows

    def logits(self, m: int, q: int, members: Array, entry: LogitEntry) -> BlockLogits:
        """Return the logits of m models with q classes, as tensors on the device."""
        self.rows.columns = max(self.rows.columns, m * q)
        return DeviceLogits(self, m, q, members, entry)

    def piece(self, start: int, stop: int) -> TorchBlock:
        """Return rows `start` to `stop` of this block as a block."""
        return TorchBlock(self.rows, self.start + start, self.start + stop)

    # --- products for the host ----------------------------------------------------------------------------------

    def times(self, prepared: Tensor) -> Array:
        """Return `W @ X.T`, (k, b)."""
        out = np.empty((len(prepared), self.stop - self.start), self.rows.dtype)
        for span, X in self.chunks(len(prepared)):
            out[:, span] = self.rows.product(X, prepared).T.cpu().numpy()
        return out

    def transposed_times(self, R: Array) -> Array:
        """Return `R @ X`, (k, d)."""
        total = np.zeros((len(R), self.rows.d))
        for span, X in self.chunks(len(R)):
            total += self.rows.transposed_product(self.rows.put(R[:, span].T), X).cpu().numpy()
        return total

    def class_sums(self, w: Array, q: int) -> Array:
        """Return the sums of `w x` over the rows of each class, (k, q, d); products keep the order of sums fixed."""
        rows, zeros = self.rows, self.rows.torch.zeros
        rows.use_full_precision()
        total = zeros((len(w), q, rows.d), dtype=rows.torch.float64, device=rows.device)
        for span, X in self.chunks(q):
            labels = self.targets[span]
            codes = (labels if labels.ndim == 1 else labels.argmax(1))[:, None]
            for j, weight in enumerate(rows.put(w[:, span])):
                weighted = zeros((len(X), q), dtype=rows.kind, device=rows.device).scatter_(1, codes, weight[:, None])
                total[j] += rows.transposed_product(weighted, X)
        return np.asarray(total.cpu().numpy())

    def _standardised(self, shift: Array, scale: Array, dtype: Any, k: int = 1) -> Iterator[tuple[slice, Tensor]]:
        rows, (to, by) = self.rows, (self.rows.put(a, dtype) for a in (shift, scale))
        for span, X in self.chunks(max(k, rows.d)):
            X = X.to(to.dtype)
            if rows.X.unit != 1.0 and rows.shift is None:
                X = X * rows.X.unit
            yield span, (X - to) / by

    def standardised(self, shift: Array, scale: Array) -> Array:
        """Return `(X - shift) / scale`, (b, d)."""
        out = np.empty((self.stop - self.start, self.rows.d), self.rows.dtype)
        for span, Z in self._standardised(shift, scale, self.rows.dtype):
            out[span] = Z.cpu().numpy()
        return out

    def weighted_squares(self, w: Array, shift: Array, scale: Array) -> Array:
        """Return the sums over the rows of `w z**2` for `z = (X - shift) / scale`, (k, d)."""
        total = np.zeros((len(w), self.rows.d))
        for span, Z in self._standardised(shift, scale, self.rows.dtype):
            total += (self.rows.put(w[:, span]) @ Z**2).cpu().numpy()
        return total

    def scatter(self, shift: Array, scale: Array) -> Array:
        """Return the sum over the rows of `z z^T`, (d, d) in float64."""
        d = self.rows.d
        self.rows.use_full_precision()
        total = self.rows.torch.zeros((d, d), dtype=self.rows.torch.float64, device=self.rows.device)
        for _, Z in self._standardised(shift, scale, self.rows.dtype):
            total += Z.T @ Z
        return np.asarray(total.cpu().numpy())

    def extremes(self) -> tuple[Array, Array]:
        """Return the smallest and largest value of each column, (d,) each."""
        unit = 1.0 if self.rows.shift is not None else self.rows.X.unit
        low_high = [self.rows.torch.stack(X.aminmax(dim=0)) for _, X in self.chunks(self.rows.d)]
        both = self.rows.torch.stack(low_high)
        return both[:, 0].amin(0).cpu().numpy() * unit, both[:, 1].amax(0).cpu().numpy() * unit

    def moments(self, shift: Array, scale: Array) -> tuple[Array, Array]:
        """Return the sums of `z` and `z**2` for `z = (X - shift) / scale`, (d,) each, in float64."""
        total = self.rows.torch.zeros((2, self.rows.d), dtype=self.rows.torch.float64, device=self.rows.device)
        for _, Z in self._standardised(shift, scale, np.float64):
            total[0] += Z.sum(0)
            total[1] += (Z * Z).sum(0)
        first, second = total.cpu().numpy()
        return first, second
