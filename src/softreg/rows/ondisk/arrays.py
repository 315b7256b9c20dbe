"""Arrays in temporary files, for rows that are more than memory holds: written once, read a run of rows at a time.

A file has no name from the moment it is made (where the system allows that, as Linux and macOS do), so it is gone with
the process that reads it, however that ends. Rows are read into buffers that each thread uses again: mapped pages would
be as quick, but count as memory of the process, and a person who set a limit would see it broken.
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
    """An array (n,) or (n, d) in a scratch file, of which slices and rows are read as they are asked for.

    A slice is a view of a buffer of the thread that asked for it, and holds until that thread asks for another one.
    """

    def __init__(self, dtype: Any, columns: int | None = None, folder: Path | None = None) -> None:
        self.dtype, self.n, self.tail = np.dtype(dtype), 0, () if columns is None else (columns,)
        self.stride = int(np.prod(self.tail, dtype=np.int64)) * self.dtype.itemsize
        self.scratch, self._own = Scratch(folder), threading.local()

    @property
    def shape(self) -> tuple[int, ...]:
        """(n,) or (n, d)."""
        return (self.n, *self.tail)

    @property
    def ndim(self) -> int:
        """1 or 2."""
        return 1 + len(self.tail)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.n * int(np.prod(self.tail, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """How many bytes they take."""
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
        """Give the room on the disk back; there is nothing to be read any more."""
        self.scratch.close()

    def fresh(self, start: int, stop: int) -> Array:
        """Rows `start` to `stop` in an array of their own."""
        out = np.empty((stop - start, *self.tail), self.dtype)
        self._fill(out, start)
        return out

    def _fill(self, out: Array, start: int) -> None:
        if out.size:
            self.scratch.read(bytes_of(out), start * self.stride)

    def __getitem__(self, key: Any) -> Array:
        if not isinstance(key, slice):
            return self._gathered(np.asarray(key))
        start, stop, _ = key.indices(self.n)
        stop = max(start, stop)
        held = getattr(self._own, "held", None)
        if held is None or not held[0] <= start <= stop <= held[0] + len(held[1]):
            held = self._own.held = (start, self._buffered(start, stop))
        return np.asarray(held[1][start - held[0] : stop - held[0]])

    def whole(self) -> Array:
        """All rows in memory."""
        return self.fresh(0, self.n)

    def _buffered(self, start: int, stop: int) -> Array:
        room = getattr(self._own, "room", None)
        if room is None or len(room) < stop - start:
            self._own.held = self._own.room = None  # two at once would take twice the memory
            room = self._own.room = np.empty((stop - start, *self.tail), self.dtype)
        out = room[: stop - start]
        self._fill(out, start)
        return np.asarray(out)

    def _gathered(self, index: Array) -> Array:
        """Rows of increasing numbers, from runs of the file that hold some of them."""
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
    """Numbers of a scratch file, one or a few a row, each slice made into what it stands for: labels and weights."""

    def __init__(self, raw: FileArray, meaning: Callable[[Array, Array | slice], Array], ndim: int) -> None:
        self.raw, self.meaning, self.ndim = raw, meaning, ndim

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, key: Any) -> Array:
        if isinstance(key, tuple):  # weights are (1, n), whatever the place in the file
            return self[key[1]][None, :]
        return np.array(self.meaning(self.raw[key], key))  # never a view of the buffer


class FileCSR:
    """CSR rows (n, d) in scratch files, of which runs of rows are read as they are asked for."""

    def __init__(self, dtype: Any, columns: int, folder: Path | None = None) -> None:
        self.columns, self._own = columns, threading.local()
        self.data, self.indices = FileArray(dtype, None, folder), FileArray(_index_type(columns), None, folder)
        self.ends = FileArray(np.int64, None, folder)
        self.nnz = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers."""
        kind: np.dtype[Any] = self.data.dtype
        return kind

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return len(self.ends), self.columns

    @property
    def nbytes(self) -> int:
        """How many bytes they take."""
        return self.data.nbytes + self.indices.nbytes + self.ends.nbytes

    def append(self, part: Any) -> None:
        """Write more rows, a CSR array or matrix without repeated entries."""
        a, b = (int(part.indptr[k]) for k in (0, -1))
        self.data.append(part.data[a:b])
        self.indices.append(part.indices[a:b])
        self.ends.append(part.indptr[1:].astype(np.int64) + (self.nnz - a))
        self.nnz += b - a

    def close(self) -> None:
        """Give the room on the disk back; there is nothing to be read any more."""
        for part in (self.data, self.indices, self.ends):
            part.close()

    def rows(self, start: int, stop: int, dtype: Any = None) -> Any:
        """Rows `start` to `stop`, a csr_array that holds until this thread asks for others."""
        held = getattr(self._own, "held", None)
        if held is None or held[0] != (start, stop, dtype):
            self._own.held = None
            held = self._own.held = ((start, stop, dtype), self._read(start, stop, dtype))
        return held[1]

    def _read(self, start: int, stop: int, dtype: Any) -> Any:
        ends = self.ends.fresh(max(start - 1, 0), stop)
        before = int(ends[0]) if start else 0
        ends = ends if start else np.concatenate([[0], ends])
        span, index = slice(before, int(ends[-1])), self.indices.dtype
        data = self.data[span] if dtype is None else self.data[span].astype(dtype, copy=False)
        if ends[-1] - before > np.iinfo(index).max:
            index = np.dtype(np.int64)
        arrays = (data, self.indices[span].astype(index, copy=False), (ends - before).astype(index))
        return sp.csr_array(arrays, shape=(stop - start, self.columns), copy=False)

    def whole(self) -> Any:
        """All rows in memory."""
        indices, ends = self.indices.whole(), np.concatenate([[0], self.ends.whole()])
        arrays = (self.data.whole(), indices, ends.astype(indices.dtype))
        return sp.csr_array(arrays, shape=self.shape, copy=False)

    def cuts(self, targets: Array) -> Array:
        """Where these numbers of stored entries would stand among `indptr` (`searchsorted`), (k,)."""
        found, step = np.zeros(len(targets), np.int64), 1 << 18
        for a in range(0, len(self.ends), step):
            ends = self.ends.fresh(a, min(a + step, len(self.ends)))
            found += np.searchsorted(ends, targets)
        return found + (targets > 0)  # indptr begins with a zero that is not written

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
