"""Chunks of rows where they are multiplied: cut from what lies on the device, or brought there while it computes.

Rows in the host's memory pass through two pieces of pinned memory and two of the device's: while the device multiplies
one, the next is copied on a stream of its own, and the host fills the pinned piece after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from softreg.rows.gpu.interop import pytorch

PIECE_BYTES = 128 << 20
"""So much is copied at a time: long enough for the full speed of the bus."""


class Feed:
    """Hands out rows of `source` (n, d) on `device`, in order."""

    def __init__(self, source: Any, device: Any, brings: bool) -> None:
        self.source, self.device, self.brings = source, device, brings
        self._pieces: Any = None

    @property
    def piece_rows(self) -> int:
        """Rows that are brought at a time."""
        return max(1, PIECE_BYTES // max(1, int(self.source.shape[1]) * int(self.source.element_size())))

    def chunks(self, start: int, stop: int, size: int) -> Iterator[tuple[int, Any]]:
        """The rows from `start` to `stop`, at most `size` at a time: the place of the first, counted from `start`, and
        the chunk as it is stored. A chunk must have been used, or queued for use, when the next is asked for."""
        for first, piece in self._brought(start, stop) if self.brings else ((start, self.source[start:stop]),):
            for a in range(0, len(piece), size):
                yield first - start + a, piece[a : a + size]

    def _brought(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """Pieces of the source on the device."""
        spans = [(a, min(a + self.piece_rows, stop)) for a in range(start, stop, self.piece_rows)]
        if self.device.type != "cuda":
            for a, b in spans:
                yield a, self.source[a:b].to(self.device)
            return
        torch = pytorch("a GPU")
        bus, compute = self._bus(torch), torch.cuda.current_stream(self.device)
        bus.begin(compute)
        bus.send(0, self.source[slice(*spans[0])])
        for i, (a, _) in enumerate(spans):
            if i + 1 < len(spans):
                bus.send(i + 1, self.source[slice(*spans[i + 1])])
            yield a, bus.arrived(i, compute)
            bus.done(i, compute)

    def _bus(self, torch: Any) -> Bus:
        if self._pieces is None:
            self._pieces = Bus(torch, self.source, self.piece_rows, self.device)
        return self._pieces  # type: ignore[no-any-return]


class Bus:
    """Two pieces of pinned host memory, two of the device's, and a stream that copies between them."""

    def __init__(self, torch: Any, source: Any, rows: int, device: Any) -> None:
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
        """What was computed before with these pieces, by a reading that may have been broken off, comes first."""
        self.stream.wait_stream(compute)

    def send(self, i: int, rows: Any) -> None:
        """Put rows on their way; returns when they can be copied without the host."""
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

    def arrived(self, i: int, compute: Any) -> Any:
        """The rows on the device, for work that is queued on the stream `compute` from now on."""
        compute.wait_event(self.sent[i % 2])
        return self.there[i % 2][: self.sizes[i % 2]]

    def done(self, i: int, compute: Any) -> None:
        """All work with these rows has been queued."""
        self.used[i % 2].record(compute)
