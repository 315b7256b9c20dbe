"""Rows on a device of PyTorch: a GPU, or the CPU, where the tests run.

X stays in its stored dtype (float16, bfloat16, float32, float64, or uint8 with a unit), on the device or, if it is too
large for that, in the host's memory (`transfer.py`). Products are float32, or float64 if X or the tolerance requires
that; sums over chunks are float64. Parameters are float64 on the host.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from softreg.rows.backend_protocol import Reduction, sum_parts
from softreg.rows.gpu.block import TorchBlock
from softreg.rows.gpu.device_array import OnDevice, out_of_memory_error, products
from softreg.rows.gpu.interop import Tensor, name_of, pytorch, to_torch
from softreg.rows.gpu.transfer import RowChunks
from softreg.rows.logits import Sums
from softreg.rows.memory.base import RowsInBlocks
from softreg.rows.sampling import stratified
from softreg.typing import Array

CHUNK_BYTES = 32 << 20
"""Size of the logits of a chunk in bytes, about: they stay in the second cache of a large GPU (50 to 60 MB)."""
MIN_CHUNK_ROWS, MAX_CHUNK_ROWS = 256, 1 << 17
"""Least and largest number of rows of a chunk."""
BLOCK_BYTES = 4 << 30
"""Size of a block in bytes, about: the host waits for the device once per block."""
MIN_BLOCK_ROWS = 256
"""Least number of rows of a block."""
MAX_SAMPLED_ROWS = 1 << 16
"""Largest number of rows of a sample; its curvature is computed on the host, where a row costs more."""


class TorchRows(RowsInBlocks):
    """Rows of a tensor X (n, d) with their labels and weights (NumPy arrays, copied to the device once)."""

    can_shift = fits_in_memory = True

    def __init__(
        self,
        X: OnDevice,
        labels: Array,
        weights: Array | None = None,
        *,
        shift: Array | None = None,
        scale: Array | None = None,
        dtype: Any = None,
        reduced_precision: bool | None = None,
        offset: Array | None = None,
    ) -> None:
        self.X, self.labels, self.weights, self.offset = X, labels, weights, offset
        self.shift, self.scale = shift, scale
        self.n, self.d = X.shape
        self.device, self.torch = X.device, pytorch("rows on a device")
        self.dtype = np.dtype(dtype or X.dtype)
        self.kind = getattr(self.torch, str(self.dtype))
        single = self.dtype == np.float32 and self.device.type == "cuda"
        self.reduced_precision = single if reduced_precision is None else reduced_precision and self.dtype == np.float32
        self.columns = 0  # columns of kept logits, for the error message
        self.chunks = RowChunks(X.tensor, X.device, X.streamed)
        size = max(MIN_BLOCK_ROWS, BLOCK_BYTES // max(1, self.d * X.tensor.element_size()))
        self.blocks = [TorchBlock(self, a, min(a + size, self.n)) for a in range(0, self.n, size)]
        self.targets = self._targets()
        self.device_weights = None if weights is None else self.put(weights.T, np.float64)
        self.device_offset = None if offset is None else self.put(offset.T)

    def _targets(self) -> Tensor:
        """Return codes (n,) or label probabilities (n, q) on the device."""
        return self.put(self.labels, np.int64 if self.labels.ndim == 1 else self.dtype)

    # --- the protocol -------------------------------------------------------------------------------------------

    @property
    def has_offset(self) -> bool:
        """Whether the logits of the rows have an offset."""
        return self.offset is not None

    def sum(self, reduction: Reduction[Sums]) -> Sums:
        """Return the results of all blocks, added in float64 in the order of the rows."""
        with self._device_context():
            return sum_parts(map(reduction.evaluate, self.blocks))

    def map(self, reduction: Reduction[Array]) -> Array:
        """Return the results of all blocks, concatenated."""
        with self._device_context():
            return np.concatenate(list(map(reduction.evaluate, self.blocks)))

    @contextmanager
    def _device_context(self) -> Iterator[None]:
        """Set the precision of products, and turn an out-of-memory error into one with figures."""
        try:
            with self.torch.no_grad(), products(self.device, self.reduced_precision):
                yield
        except self.torch.OutOfMemoryError as error:
            raise out_of_memory_error(error, self.X, self.columns) from error

    def sample(self, size: int, seed: int) -> TorchRows:
        """Return a stratified sample of about `size` rows on the device, at most `MAX_SAMPLED_ROWS`."""
        index, share = stratified(self.labels, min(size, MAX_SAMPLED_ROWS), seed)
        weights = share[None, :] if self.weights is None else self.weights[:, index] * share
        sampled = OnDevice(self.X[index].tensor.to(self.device), self.device, self.X.unit)
        offset = None if self.offset is None else self.offset[:, index]
        return TorchRows(sampled, self.labels[index], weights, shift=self.shift, scale=self.scale, dtype=self.dtype,
                         reduced_precision=False, offset=offset)  # fmt: skip

    def standardise(self, index: Array, shift: Array, scale: Array, out: Array) -> None:
        """Write `(X - shift) / scale` of these rows to `out`, in the host's memory."""
        rows = TorchRows(self.X[index], self.labels[index], None, shift=self.shift, scale=self.scale, dtype=self.dtype)
        np.concatenate([block.standardised(shift, scale) for block in rows.blocks], out=out)

    @property
    def stored(self) -> int:
        """Count of stored numbers."""
        return self.n * self.d

    @property
    def stored_bytes(self) -> int:
        """Bytes of one reading of all rows."""
        return int(self.n * self.d * self.X.tensor.element_size())

    @property
    def storage(self) -> str:
        """Where the products are computed."""
        return "memory" if self.device.type == "cpu" else "device"

    def prepare(self, W: Array) -> Tensor:
        """Return weights (k, d) on the device, in the precision of the products."""
        with np.errstate(over="ignore"):
            return self.put(W if self.X.unit == 1.0 or self.shift is not None else W * self.X.unit)

    def labelled(self, labels: Array, weights: Array | None) -> TorchRows:
        """Return the same rows with other labels and weights."""
        return self._changed(labels=labels, weights=weights)

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> TorchRows:
        """Return the same rows; each chunk is shifted, scaled and cast before it is multiplied."""
        if shift is None:
            shift, scale = self.shift, self.scale
        return self._changed(shift=shift, scale=scale, dtype=dtype or self.dtype)

    def with_higher_precision(self) -> TorchRows:
        """Return the same rows with more exact products: float32 after TF32, then float64."""
        return self._changed(reduced_precision=False) if self.reduced_precision else self.precise(dtype=np.float64)

    def _changed(self, **changes: Any) -> TorchRows:
        now: dict[str, Any] = {
            "labels": self.labels,
            "weights": self.weights,
            "shift": self.shift,
            "scale": self.scale,
            "offset": self.offset,
        }
        return TorchRows(
            self.X, **({**now, "dtype": self.dtype, "reduced_precision": self.reduced_precision} | changes)
        )

    def use_full_precision(self) -> None:
        """Use full precision in products until the end of this sum."""
        if self.reduced_precision:
            self.torch.set_float32_matmul_precision("highest")

    # --- products -----------------------------------------------------------------------------------------------

    def put(self, values: Array, dtype: Any = None) -> Tensor:
        """Return a NumPy array on the device, in the dtype of the products unless another is given."""
        return to_torch(np.ascontiguousarray(values, dtype=dtype or self.dtype)).to(self.device)

    def empty(self, shape: tuple[int, ...]) -> Tensor:
        """Return an uninitialized tensor on the device."""
        return self.torch.empty(shape, dtype=self.kind, device=self.device)

    def chunk_rows(self, k: int) -> int:
        """Return the number of rows whose k logits fit in the device's cache."""
        return int(np.clip(CHUNK_BYTES // (max(1, k) * self.dtype.itemsize), MIN_CHUNK_ROWS, MAX_CHUNK_ROWS))

    def prepare_rows(self, chunk: Tensor) -> Tensor:
        """Return stored rows as they are multiplied: cast, and standardized if there is a shift."""
        if self.shift is None or self.scale is None:
            return chunk.to(self.kind)
        wide = chunk.to(self.torch.promote_types(chunk.dtype, self.kind))
        if self.X.unit != 1.0:
            wide = wide * self.X.unit
        name = np.dtype(name_of(wide))
        return ((wide - self.put(self.shift, name)) / self.put(self.scale, name)).to(self.kind)

    def product(self, X: Tensor, prepared: Tensor, bias: Tensor | None = None, out: Tensor | None = None) -> Tensor:
        """Return `X @ W.T + bias`, (b, k), for prepared rows, written to `out` if given."""
        return X @ prepared.T if bias is None else self.torch.addmm(bias, X, prepared.T, out=out)

    def transposed_product(self, R: Tensor, X: Tensor) -> Tensor:
        """Return `R.T @ X`, (k, d), for R (b, k)."""
        G = R.T @ X
        return G if self.X.unit == 1.0 or self.shift is not None else G * self.X.unit

    def fused(self, m: int, q: int) -> Any:
        """Return the kernel for a whole pass (`triton_pass.fused_pass`), or None."""
        if self.shift is not None or self.offset is not None or not self._compiled():
            return None
        from softreg.rows.gpu import triton_pass

        return triton_pass.fused_pass if triton_pass.supports(self.device, m, q) else None

    def residuals(self, q: int) -> Any:
        """Return the kernel from logits to residuals (`triton_residual.fused_residual`), or None."""
        if not self._compiled():
            return None
        from softreg.rows.gpu import triton_residual

        return triton_residual.fused_residual if triton_residual.supports(self.device, q) else None

    def _compiled(self) -> bool:
        return self.dtype == np.float32 and os.environ.get("SOFTREG_KERNELS") != "0"
