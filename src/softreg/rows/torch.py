"""Rows on a device of PyTorch: a GPU, or the CPU, where the tests run.

X stays in the numbers in which it is stored (float16, bfloat16, float32, float64, or uint8 with a unit), on the device
or, where it is too large for that, in the host's memory (`feed.py`). Products are float32, or float64 where X or the
tolerance asks for that; sums over chunks are float64. Parameters are float64 on the host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softreg.rows.base import Array, MemoryBlock, Sums, add_up
from softreg.rows.device import OnDevice, no_room
from softreg.rows.feed import Feed
from softreg.rows.sampling import stratified
from softreg.rows.softmax import Softmax
from softreg.rows.tensors import name_of, pytorch, to_torch
from softreg.rows.torch_softmax import TorchSoftmax

CHUNK_BYTES = 32 << 20
"""The logits of a chunk take about so much: they stay in the second cache of a large GPU (50 to 60 MB)."""
CHUNK_ROWS = 256, 1 << 17
"""A chunk has at least and at most so many rows."""
BLOCK_BYTES = 4 << 30
"""A block of about this size: the host waits for the device once a block."""
LEAST_BLOCK = 256
"""A block has at least so many rows."""
MOST_SAMPLED = 1 << 16
"""A sample has at most so many rows: sketches of the curvature are made on the host, and there a row costs more than
reading it on a device does."""


class TorchRows:
    """Rows of a tensor X (n, d) with their labels and weights (NumPy arrays, copied to the device once)."""

    can_shift = roomy = True

    def __init__(
        self,
        X: OnDevice,
        labels: Array,
        weights: Array | None = None,
        *,
        shift: Array | None = None,
        scale: Array | None = None,
        dtype: Any = None,
        coarse: bool | None = None,
    ) -> None:
        self.X, self.labels, self.weights = X, labels, weights
        self.shift, self.scale = shift, scale
        self.n, self.d = X.shape
        self.device, self.torch = X.device, pytorch("rows on a device")
        self.dtype = np.dtype(dtype or X.dtype)
        self.kind = getattr(self.torch, str(self.dtype))
        single = self.dtype == np.float32 and self.device.type == "cuda"
        self.coarse = single if coarse is None else coarse and self.dtype == np.float32
        self.feed = Feed(X.tensor, X.device, X.streamed)
        size = max(LEAST_BLOCK, BLOCK_BYTES // max(1, self.d * X.tensor.element_size()))
        self.blocks = [TorchBlock(self, a, min(a + size, self.n)) for a in range(0, self.n, size)]
        self.targets = self._targets()
        self.device_weights = None if weights is None else self.put(weights.T, np.float64)

    def _targets(self) -> Any:
        """Codes (n,) or label probabilities (n, q) on the device."""
        return self.put(self.labels, np.int64 if self.labels.ndim == 1 else self.dtype)

    # --- the protocol -------------------------------------------------------------------------------------------

    def sum(self, part: Callable[[TorchBlock], Sums]) -> Sums:
        """`part(block)` added over all blocks in float64, in the order of the rows."""
        with self._watched():
            return add_up(map(part, self.blocks))

    def map(self, part: Callable[[TorchBlock], Array]) -> Array:
        """What `part` makes of each block, one after another."""
        with self._watched():
            return np.concatenate([part(block) for block in self.blocks])

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """The device's own precision of products, and an error with figures where its memory is too small."""
        torch, before = self.torch, self.torch.get_float32_matmul_precision()
        if self.device.type == "cuda":  # elsewhere it is the user's business, and no product is coarse
            torch.set_float32_matmul_precision("high" if self.coarse else "highest")
        try:
            with torch.no_grad():
                yield
        except torch.OutOfMemoryError as error:
            k = max((o.shape[1] * o.shape[2] for b in self.blocks for o in b.memory.values() if o.ndim == 3), default=0)
            raise no_room(error, self.X, k) from error
        finally:
            torch.set_float32_matmul_precision(before)

    def row_squares(self) -> Array | None:
        """None: these rows come in blocks."""
        return None

    def dual_steps(self, order: Array, dual: Any) -> None:
        """Not here."""
        raise NotImplementedError("these rows come in blocks; row_squares() says so")

    def sample(self, size: int, seed: int) -> TorchRows:
        """About `size` rows on the device, but no more than about `MOST_SAMPLED`; each class in proportion."""
        index, share = stratified(self.labels, min(size, MOST_SAMPLED), seed)
        weights = share[None, :] if self.weights is None else self.weights[:, index] * share
        few = OnDevice(self.X[index].tensor.to(self.device), self.device, self.X.unit)
        return TorchRows(few, self.labels[index], weights, shift=self.shift, scale=self.scale, dtype=self.dtype,
                         coarse=False)  # fmt: skip

    def standardise(self, index: Array, shift: Array, scale: Array, out: Array) -> None:
        """Write `(X - shift) / scale` of these rows to `out`, in the host's memory."""
        rows = TorchRows(self.X[index], self.labels[index], None, shift=self.shift, scale=self.scale, dtype=self.dtype)
        np.concatenate([block.standardised(shift, scale) for block in rows.blocks], out=out)

    @property
    def stored(self) -> int:
        """How many numbers the rows hold."""
        return self.n * self.d

    def prepare(self, W: Array) -> Any:
        """Weights (k, d) on the device, in the precision of the products."""
        with np.errstate(over="ignore"):
            return self.put(W if self.X.unit == 1.0 or self.shift is not None else W * self.X.unit)

    def labelled(self, labels: Array, weights: Array | None) -> TorchRows:
        """The same rows with other labels and weights."""
        return self._changed(labels=labels, weights=weights)

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> TorchRows:
        """The same rows, each chunk shifted, scaled and cast before it is multiplied."""
        if shift is None:
            shift, scale = self.shift, self.scale
        return self._changed(shift=shift, scale=scale, dtype=dtype or self.dtype)

    def sharper(self) -> TorchRows:
        """The same rows with more exact products: float32 after TF32, then float64."""
        return self._changed(coarse=False) if self.coarse else self.precise(dtype=np.float64)

    def _changed(self, **changes: Any) -> TorchRows:
        now: dict[str, Any] = {"labels": self.labels, "weights": self.weights, "shift": self.shift, "scale": self.scale}
        return TorchRows(self.X, **({**now, "dtype": self.dtype, "coarse": self.coarse} | changes))

    def exactly(self) -> None:
        """Until the end of this sum, products are not coarse: for what is summed only once and must be right."""
        if self.coarse:
            self.torch.set_float32_matmul_precision("highest")

    # --- products -----------------------------------------------------------------------------------------------

    def put(self, values: Array, dtype: Any = None) -> Any:
        """A NumPy array on the device, in the precision of the products unless another dtype is named."""
        return to_torch(np.ascontiguousarray(values, dtype=dtype or self.dtype)).to(self.device)

    def empty(self, shape: tuple[int, ...]) -> Any:
        """A tensor on the device whose numbers are still to be written."""
        return self.torch.empty(shape, dtype=self.kind, device=self.device)

    def chunk_rows(self, k: int) -> int:
        """Rows whose k logits fit the device's cache."""
        return int(np.clip(CHUNK_BYTES // (max(1, k) * self.dtype.itemsize), *CHUNK_ROWS))

    def made_ready(self, chunk: Any) -> Any:
        """Stored rows as they are multiplied: cast, and shifted where that is asked for."""
        if self.shift is None or self.scale is None:
            return chunk.to(self.kind)
        wide = chunk.to(self.torch.promote_types(chunk.dtype, self.kind))
        if self.X.unit != 1.0:
            wide = wide * self.X.unit
        name = np.dtype(name_of(wide))
        return ((wide - self.put(self.shift, name)) / self.put(self.scale, name)).to(self.kind)

    def product(self, X: Any, prepared: Any, bias: Any = None) -> Any:
        """`X @ W.T + bias`, (b, k), for rows that are made ready."""
        return X @ prepared.T if bias is None else self.torch.addmm(bias, X, prepared.T)

    def transposed_product(self, R: Any, X: Any) -> Any:
        """`R.T @ X`, (k, d), for R (b, k)."""
        G = R.T @ X
        return G if self.X.unit == 1.0 or self.shift is not None else G * self.X.unit

    def fused(self, m: int, q: int) -> Any:
        """The kernel that makes a whole pass of one reading of the rows (`triton_pass.read`), or None."""
        if self.dtype != np.float32 or self.shift is not None or os.environ.get("SOFTREG_KERNELS") == "0":
            return None
        from softreg.rows import triton_pass

        return triton_pass.read if triton_pass.takes(self.device, m, q) else None


@dataclass(eq=False)
class TorchBlock(MemoryBlock):
    """A run of rows of a tensor. What it keeps in its memory are tensors on the device, rows first."""

    rows: TorchRows
    memory: dict[str, Any] = field(default_factory=dict, kw_only=True)

    @property
    def targets(self) -> Any:
        """The labels on the device."""
        return self.rows.targets[self.start : self.stop]

    def device_weights(self, m: int, members: Array) -> Any:
        """The row weights (b, m) or (b, 1) of these members on the device, or None."""
        V = self.rows.device_weights
        if V is None:
            return None
        V = V[self.start : self.stop]
        return V if V.shape[1] in (1, m) else V.index_select(1, self.rows.put(members, np.int64))

    def chunks(self, k: int) -> Iterator[tuple[slice, Any]]:
        """The rows in chunks for k columns of logits, with their places in the block."""
        for a, chunk in self.rows.feed.chunks(self.start, self.stop, self.rows.chunk_rows(k)):
            yield slice(a, a + len(chunk)), self.rows.made_ready(chunk)

    def stored(self) -> Iterator[tuple[slice, Any]]:
        """The rows as they are stored, as many at a time as are on the device, with their places in the block."""
        for a, rows in self.rows.feed.chunks(self.start, self.stop, self.stop - self.start):
            yield slice(a, a + len(rows)), rows

    def softmax(self, m: int, q: int, members: Array) -> Softmax | None:
        """The logits of a stack, on the device."""
        return TorchSoftmax(self, m, q, members)

    def piece(self, start: int, stop: int) -> TorchBlock:
        """Rows `start` to `stop` of this block as a block of their own."""
        return TorchBlock(self.rows, self.start + start, self.start + stop)

    # --- products for the host ----------------------------------------------------------------------------------

    def times(self, prepared: Any) -> Array:
        """`W @ X.T`, (k, b)."""
        out = np.empty((len(prepared), self.stop - self.start), self.rows.dtype)
        for span, X in self.chunks(len(prepared)):
            out[:, span] = self.rows.product(X, prepared).T.cpu().numpy()
        return out

    def transposed_times(self, R: Array) -> Array:
        """`R @ X`, (k, d)."""
        total = np.zeros((len(R), self.rows.d))
        for span, X in self.chunks(len(R)):
            total += self.rows.transposed_product(self.rows.put(R[:, span].T), X).cpu().numpy()
        return total

    def class_sums(self, w: Array, q: int) -> Array:
        """Sums of `w x` over the rows of each class, (k, q, d): a product, since no two sums may depend on chance."""
        rows, zeros = self.rows, self.rows.torch.zeros
        rows.exactly()
        total = zeros((len(w), q, rows.d), dtype=rows.torch.float64, device=rows.device)
        for span, X in self.chunks(q):
            labels = self.targets[span]
            codes = (labels if labels.ndim == 1 else labels.argmax(1))[:, None]
            for j, one in enumerate(rows.put(w[:, span])):
                weighted = zeros((len(X), q), dtype=rows.kind, device=rows.device).scatter_(1, codes, one[:, None])
                total[j] += rows.transposed_product(weighted, X)
        return np.asarray(total.cpu().numpy())

    def _standardised(self, shift: Array, scale: Array, dtype: Any, k: int = 1) -> Iterator[tuple[slice, Any]]:
        rows, (to, by) = self.rows, (self.rows.put(a, dtype) for a in (shift, scale))
        for span, X in self.chunks(max(k, rows.d)):
            X = X.to(to.dtype)
            if rows.X.unit != 1.0 and rows.shift is None:
                X = X * rows.X.unit
            yield span, (X - to) / by

    def standardised(self, shift: Array, scale: Array) -> Array:
        """`(X - shift) / scale`, (b, d)."""
        out = np.empty((self.stop - self.start, self.rows.d), self.rows.dtype)
        for span, Z in self._standardised(shift, scale, self.rows.dtype):
            out[span] = Z.cpu().numpy()
        return out

    def weighted_squares(self, w: Array, shift: Array, scale: Array) -> Array:
        """Sums over the rows of `w z**2` for `z = (X - shift) / scale`, (k, d)."""
        total = np.zeros((len(w), self.rows.d))
        for span, Z in self._standardised(shift, scale, self.rows.dtype):
            total += (self.rows.put(w[:, span]) @ Z**2).cpu().numpy()
        return total

    def scatter(self, shift: Array, scale: Array) -> Array:
        """Sum over the rows of `z z^T`, (d, d) in float64."""
        d = self.rows.d
        self.rows.exactly()
        total = self.rows.torch.zeros((d, d), dtype=self.rows.torch.float64, device=self.rows.device)
        for _, Z in self._standardised(shift, scale, self.rows.dtype):
            total += Z.T @ Z
        return np.asarray(total.cpu().numpy())

    def extremes(self) -> tuple[Array, Array]:
        """Smallest and largest value of each column, (d,) each."""
        unit = 1.0 if self.rows.shift is not None else self.rows.X.unit
        low_high = [self.rows.torch.stack(X.aminmax(dim=0)) for _, X in self.chunks(self.rows.d)]
        both = self.rows.torch.stack(low_high)
        return both[:, 0].amin(0).cpu().numpy() * unit, both[:, 1].amax(0).cpu().numpy() * unit

    def moments(self, shift: Array, scale: Array) -> tuple[Array, Array]:
        """Sums of `z` and `z**2` for `z = (X - shift) / scale`, (d,) each, in float64."""
        total = self.rows.torch.zeros((2, self.rows.d), dtype=self.rows.torch.float64, device=self.rows.device)
        for _, Z in self._standardised(shift, scale, np.float64):
            total[0] += Z.sum(0)
            total[1] += (Z * Z).sum(0)
        first, second = total.cpu().numpy()
        return first, second
