"""Arrays in temporary files, for rows that are larger than memory: written once, read a run of rows at a time.

A file has no name (where the system allows that, as Linux and macOS do), so it is removed with the process that reads
it, however that ends. Rows are read into buffers that each thread uses again: mapped pages would be as fast, but count
as memory of the process, which may have a limit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.rows.ondisk.scratch_file import Scratch, bytes_of
from softreg.typing import Array


class FileArray:
    """An array (n,) or (n, d) in a scratch file; slices and rows are read on demand.

    A slice is a view of a buffer of the calling thread, valid until that thread reads another slice.
    """

    def __init__(self, dtype: Any, columns: int | None = None, folder: Path | None = None) -> None:
        self.dtype, self.n, self.tail = np.dtype(dtype), 0, () if columns is None else (columns,)
        self.stride = int(np.prod(self.tail, dtype=np.int64)) * self.dtype.itemsize
        self.scratch, self._thread = Scratch(folder), threading.local()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape, (n,) or (n, d)."""
        return (self.n, *self.tail)

    @property
    def ndim(self) -> int:
        """Number of dimensions, 1 or 2."""
        return 1 + len(self.tail)

    @property
    def size(self) -> int:
        """Count of numbers."""
        return self.n * int(np.prod(self.tail, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.scratch.size

    def __len__(self) -> int:
        return self.n

    def append(self, part: Array) -> None:
        """Write more rows."""
        part = np.ascontiguousarray(part, dtype=self.dtype)
        if part.size:
            self.scratch.append(part)
        self.n += len(part)

    def close(self) -> None:
        """Close the file, which frees its space on the disk."""
        self.scratch.close()

    def read(self, start: int, stop: int) -> Array:
        """Return rows `start` to `stop` in a new array."""
        out = np.empty((stop - start, *self.tail), self.dtype)
        self._fill(out, start)
        return out

    def _fill(self, out: Array, start: int) -> None:
        if out.size:
            self.scratch.read(bytes_of(out), start * self.stride)

    def __getitem__(self, key: Any) -> Array:
        if not isinstance(key, slice):
            return self._take(np.asarray(key))
        start, stop, _ = key.indices(self.n)
        stop = max(start, stop)
        held = getattr(self._thread, "held", None)
        if held is None or not held[0] <= start <= stop <= held[0] + len(held[1]):
            held = self._thread.held = (start, self._read_into_buffer(start, stop))
        return np.asarray(held[1][start - held[0] : stop - held[0]])

    def read_all(self) -> Array:
        """Return all rows in memory."""
        return self.read(0, self.n)

    def _read_into_buffer(self, start: int, stop: int) -> Array:
        buffer = getattr(self._thread, "buffer", None)
        if buffer is None or len(buffer) < stop - start:
            self._thread.held = self._thread.buffer = None  # frees the old buffer before the new one is allocated
            buffer = self._thread.buffer = np.empty((stop - start, *self.tail), self.dtype)
        out = buffer[: stop - start]
        self._fill(out, start)
        return np.asarray(out)

    def _take(self, index: Array) -> Array:
        """Return the rows of these increasing indices, read in runs of the file that hold some of them."""
        out = np.empty((len(index), *self.tail), self.dtype)
        step = max(1, (4 << 20) // max(1, self.stride))
        done = 0
        while done < len(index):
            last = int(np.searchsorted(index, index[done] + step))
            first = int(index[done])
            out[done:last] = self[first : int(index[last - 1]) + 1][index[done:last] - first]
            done = last
        return out


class FileColumn:
    """Labels or weights of the rows, decoded from a scratch file of one or a few numbers per row."""

    def __init__(self, raw: FileArray, decode: Callable[[Array, Array | slice], Array], ndim: int) -> None:
        self.raw, self.decode, self.ndim = raw, decode, ndim

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, key: Any) -> Array:
        if isinstance(key, tuple):  # weights are (1, n)
            return self[key[1]][None, :]
        return np.array(self.decode(self.raw[key], key))  # never a view of the buffer


class FileOffset:
    """Offsets (q, n) of the logits, read from a scratch file with a row for each row (n, q)."""

    def __init__(self, raw: FileArray, order: Array | None = None) -> None:
        self.raw, self.order = raw, order

    def __getitem__(self, key: tuple[slice, Any]) -> Array:
        """Return the offsets of some rows, given as (all classes, rows); never a view of the buffer."""
        part = self.raw[key[1]] if self.order is None else self.raw[key[1]][:, self.order]
        return np.array(part.T, order="C")


class FileCSR:
    """CSR rows (n, d) in scratch files; runs of rows are read on demand."""

    def __init__(self, dtype: Any, columns: int, folder: Path | None = None) -> None:
        self.columns, self._thread = columns, threading.local()
        self.data, self.indices = FileArray(dtype, None, folder), FileArray(_index_type(columns), None, folder)
        self.ends = FileArray(np.int64, None, folder)
        self.nnz = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the stored numbers."""
        kind: np.dtype[Any] = self.data.dtype
        return kind

    @property
    def shape(self) -> tuple[int, int]:
        """Shape, (n, d)."""
        return len(self.ends), self.columns

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.data.nbytes + self.indices.nbytes + self.ends.nbytes

    def append(self, part: Any) -> None:
        """Write more rows, a CSR array or matrix without repeated entries."""
        a, b = (int(part.indptr[k]) for k in (0, -1))
        self.data.append(part.data[a:b])
        self.indices.append(part.indices[a:b])
        self.ends.append(part.indptr[1:].astype(np.int64) + (self.nnz - a))
        self.nnz += b - a

    def close(self) -> None:
        """Close the files, which frees their space on the disk."""
        for part in (self.data, self.indices, self.ends):
            part.close()

    def rows(self, start: int, stop: int, dtype: Any = None) -> Any:
        """Return rows `start` to `stop`, a csr_array that is valid until this thread reads other rows."""
        held = getattr(self._thread, "held", None)
        if held is None or held[0] != (start, stop, dtype):
            self._thread.held = None
            held = self._thread.held = ((start, stop, dtype), self._read(start, stop, dtype))
        return held[1]

    def _read(self, start: int, stop: int, dtype: Any) -> Any:
        ends = self.ends.read(max(start - 1, 0), stop)
        before = int(ends[0]) if start else 0
        ends = ends if start else np.concatenate([[0], ends])
        span, index = slice(before, int(ends[-1])), self.indices.dtype
        data = self.data[span] if dtype is None else self.data[span].astype(dtype, copy=False)
        if ends[-1] - before > np.iinfo(index).max:
            index = np.dtype(np.int64)
        arrays = (data, self.indices[span].astype(index, copy=False), (ends - before).astype(index))
        return sp.csr_array(arrays, shape=(stop - start, self.columns), copy=False)

    def read_all(self) -> Any:
        """Return all rows in memory."""
        indices, ends = self.indices.read_all(), np.concatenate([[0], self.ends.read_all()])
        arrays = (self.data.read_all(), indices, ends.astype(indices.dtype))
        return sp.csr_array(arrays, shape=self.shape, copy=False)

    def searchsorted(self, targets: Array) -> Array:
        """Return the positions (k,) of these counts of stored numbers in `indptr`, as `numpy.searchsorted` does."""
        positions, step = np.zeros(len(targets), np.int64), 1 << 18
        for a in range(0, len(self.ends), step):
            ends = self.ends.read(a, min(a + step, len(self.ends)))
            positions += np.searchsorted(ends, targets)
        return positions + (targets > 0)  # the file omits the leading zero of indptr

    def __getitem__(self, index: Array) -> Any:
        step, parts, done = 1 << 14, [], 0
        while done < len(index):
            first = int(index[done])
            last = int(np.searchsorted(index, first + step))
            parts.append(self._read(first, int(index[last - 1]) + 1, None)[index[done:last] - first])
            done = last
        return sp.csr_array(sp.vstack(parts, format="csr"))


def _index_type(columns: int) -> Any:
    return np.int32 if columns < 2**31 else np.int64
