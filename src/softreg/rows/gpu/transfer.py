"""Chunks of rows on the device that multiplies them: slices of a tensor there, or copies from the host.

Rows in the host's memory are copied through two buffers of pinned memory to two on the device: while the device
multiplies one, the next is copied on a separate stream, and the host then fills the pinned buffer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from softreg.rows.gpu.interop import Device, Tensor, pytorch

PIECE_BYTES = 128 << 20
"""Size in bytes of a copy: long enough for the full speed of the bus."""


class RowChunks:
    """Reads rows of `source` (n, d) on `device`, in order; with `copies`, they are copied there in pieces."""

    def __init__(self, source: Tensor, device: Device, copies: bool) -> None:
        self.source, self.device, self.copies = source, device, copies
        self._pieces: Any = None

    @property
    def piece_rows(self) -> int:
        """Number of rows that are copied at a time."""
        return max(1, PIECE_BYTES // max(1, int(self.source.shape[1]) * int(self.source.element_size())))

    def read(self, start: int, stop: int, size: int) -> Iterator[tuple[int, Tensor]]:
        """Yield the rows from `start` to `stop`, at most `size` at a time.

        A chunk must have been used, or queued for use, before the next is read.

        Parameters
        ----------
        start, stop, size : int

        Yields
        ------
        first : int
            Position of the first row, counted from `start`.
        chunk : torch.Tensor of shape (c, d)
            The rows as they are stored.
        """
        for first, piece in self._copied(start, stop) if self.copies else ((start, self.source[start:stop]),):
            for a in range(0, len(piece), size):
                yield first - start + a, piece[a : a + size]

    def _copied(self, start: int, stop: int) -> Iterator[tuple[int, Tensor]]:
        """Yield pieces of the source on the device."""
        spans = [(a, min(a + self.piece_rows, stop)) for a in range(start, stop, self.piece_rows)]
        if self.device.type != "cuda":
            for a, b in spans:
                yield a, self.source[a:b].to(self.device)
            return
        torch = pytorch("a GPU")
        transfer, compute = self._transfer(torch), torch.cuda.current_stream(self.device)
        transfer.begin(compute)
        transfer.send(0, self.source[slice(*spans[0])])
        for i, (a, _) in enumerate(spans):
            if i + 1 < len(spans):
                transfer.send(i + 1, self.source[slice(*spans[i + 1])])
            yield a, transfer.receive(i, compute)
            transfer.release(i, compute)

    def _transfer(self, torch: Any) -> PinnedTransfer:
        if self._pieces is None:
            self._pieces = PinnedTransfer(torch, self.source, self.piece_rows, self.device)
        return self._pieces  # type: ignore[no-any-return]


class PinnedTransfer:
    """Two buffers of pinned host memory, two on the device, and a stream that copies between them."""

    def __init__(self, torch: Any, source: Tensor, rows: int, device: Device) -> None:
        shape = (rows, source.shape[1])
        self.pinned = source.is_pinned()
        self.here: list[Any] = [
            None if self.pinned else torch.empty(shape, dtype=source.dtype, pin_memory=True) for _ in "ab"
        ]
        self.there = [torch.empty(shape, dtype=source.dtype, device=device) for _ in "ab"]
        self.stream, self.torch = torch.cuda.Stream(device), torch
        self.sizes = [0, 0]
        self.sent = [torch.cuda.Event() for _ in "ab"]
        self.used = [torch.cuda.Event() for _ in "ab"]

    def begin(self, compute: Any) -> None:
        """Wait for work on these buffers that was queued before, such as that of an interrupted reading."""
        self.stream.wait_stream(compute)

    def send(self, i: int, rows: Tensor) -> None:
        """Start to copy rows; return when that needs the host no more."""
        slot = i % 2
        self.sizes[slot] = len(rows)
        if not self.pinned:
            self.sent[slot].synchronize()  # what this pinned piece held last has been copied
            self.here[slot][: len(rows)].copy_(rows)
            rows = self.here[slot][: len(rows)]
        self.stream.wait_event(self.used[slot])  # what the device's piece held last has been used
        with self.torch.cuda.stream(self.stream):
            self.there[slot][: len(rows)].copy_(rows, non_blocking=True)
            self.sent[slot].record(self.stream)

    def receive(self, i: int, compute: Any) -> Tensor:
        """Return the rows on the device, for work that is queued on the stream `compute` from now on."""
        compute.wait_event(self.sent[i % 2])
        return self.there[i % 2][: self.sizes[i % 2]]

    def release(self, i: int, compute: Any) -> None:
        """Mark the buffer as free once the work queued so far is done."""
        self.used[i % 2].record(compute)
