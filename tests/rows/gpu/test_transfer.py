"""Rows on their way to a device: a stand-in for CUDA checks that nobody overwrites what another still needs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from softreg.rows.gpu import transfer as feed

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


class Stream:
    """Work in the order in which it was queued, done no sooner than someone waits for it: the worst that may happen."""

    def __init__(self, device: Any = None) -> None:
        self.queue: list[Callable[[], None]] = []

    def run(self) -> None:
        queue, self.queue = self.queue, []
        for work in queue:
            work()

    def wait_event(self, event: Event) -> None:
        self.queue.append(event.synchronize_as_of_now())

    def wait_stream(self, other: Stream) -> None:
        event = Event()
        event.record(other)
        self.queue.append(event.mark)


class Event:
    """A place in a stream's queue; who waits for it waits for the place where it was last recorded until then."""

    def __init__(self) -> None:
        self.mark: Callable[[], None] = lambda: None

    def record(self, stream: Stream) -> None:
        before, stream.queue = stream.queue, []

        def mark() -> None:
            works = before[:]
            before.clear()  # what was done is not done again
            for work in works:
                work()

        self.mark = mark
        stream.queue.append(mark)

    def synchronize_as_of_now(self) -> Callable[[], None]:
        return self.mark

    def synchronize(self) -> None:
        self.mark()


class Piece:
    """Memory of the device: what is copied there arrives when the stream comes to it."""

    def __init__(self, memory: Any, cuda: Any) -> None:
        self.memory, self.cuda = memory, cuda

    def __getitem__(self, rows: slice) -> Piece:
        return Piece(self.memory[rows], self.cuda)

    def __len__(self) -> int:
        return len(self.memory)

    def copy_(self, source: Any, non_blocking: bool = False) -> None:
        assert non_blocking
        self.cuda.now.queue.append(lambda: self.memory.copy_(source))


def stand_in(compute: Stream) -> Any:
    """As much of PyTorch as a feed asks for, with a device that is lazy."""
    cuda = SimpleNamespace(Stream=Stream, Event=Event, current_stream=lambda device: compute, now=compute)

    @contextlib.contextmanager
    def stream(other: Stream) -> Iterator[None]:
        cuda.now = other
        yield
        cuda.now = compute

    cuda.stream = stream

    def empty(shape: Any, dtype: Any, device: Any = None, pin_memory: bool = False) -> Any:
        memory = torch.full(shape, -1.0, dtype=dtype)
        return memory if pin_memory else Piece(memory, cuda)

    return SimpleNamespace(cuda=cuda, empty=empty)


@pytest.mark.parametrize("n", [1, 9, 10, 11, 20, 57])
@pytest.mark.parametrize("size", [3, 10, 100])
def test_all_rows_arrive_once_and_in_order(n: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = Stream()
    fake = stand_in(compute)
    monkeypatch.setattr(feed, "pytorch", lambda wish: fake)
    monkeypatch.setattr(feed, "PIECE_BYTES", 10 * 4 * 4)  # ten rows
    source = torch.arange(4.0 * n).view(n, 4)
    rows = feed.RowChunks(source, SimpleNamespace(type="cuda"), copies=True)
    for start, stop in ((0, n), (n // 3, n)):  # the second reading, over the same pieces
        seen: list[Any] = []
        for _, chunk in rows.read(0, n, size):  # one that is broken off, whose work is still to be done
            compute.queue.append(lambda c=chunk, into=seen: into.append(c.memory.clone()))
            break
        places: list[int] = []
        for place, chunk in rows.read(start, stop, size):
            places.append(place)
            assert len(chunk) <= min(size, 10)
            compute.queue.append(lambda c=chunk, into=seen: into.append(c.memory.clone()))  # work for later
        compute.run()
        first, *seen = seen
        assert torch.equal(first, source[: len(first)])
        assert torch.equal(torch.cat(seen), source[start:stop])
        sizes = [len(part) for part in seen]
        assert places == [sum(sizes[:i]) for i in range(len(sizes))]


def test_what_lies_on_the_device_is_only_cut() -> None:
    source = torch.arange(12.0).view(6, 2)
    parts = list(feed.RowChunks(source, torch.device("cpu"), copies=False).read(1, 6, 2))
    assert [place for place, _ in parts] == [0, 2, 4]
    assert all(part.data_ptr() == source[1 + place].data_ptr() for place, part in parts)
