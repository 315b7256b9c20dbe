"""Base class of binary streams whose bytes are produced in chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias


class BinaryReader(Protocol):
    """Binary stream that can be read and closed: an Arrow file, a `ChunkedStream` or a Python file."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; all remaining bytes if it is negative."""

    def close(self) -> None:
        """Close the stream."""


Opener: TypeAlias = Callable[[], BinaryReader]
"""Function that opens a binary stream from its beginning."""


class ChunkedStream:
    """Readable binary stream over the chunks that `next_chunk` returns; a subclass sets `ended` with the last one.

    Examples
    --------
    >>> class Twice(ChunkedStream):
    ...     def next_chunk(self) -> bytes:
    ...         self.ended = True
    ...         return b"ab"
    >>> stream = Twice()
    >>> stream.read(1), stream.read()
    (b'a', b'b')
    """

    ended: bool = False
    """Whether the last chunk was returned."""
    closed: bool = False
    _buffer: bytes = b""

    def next_chunk(self) -> bytes:
        """Return the next chunk, which may be empty.

        Raises
        ------
        NotImplementedError
            In the base class.
        """
        raise NotImplementedError

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; all remaining bytes if it is negative."""
        parts, count = [self._buffer], len(self._buffer)
        while not self.ended and (size < 0 or count < size):
            parts.append(self.next_chunk())
            count += len(parts[-1])
        whole = b"".join(parts)
        size = len(whole) if size < 0 else size
        self._buffer = whole[size:]
        return whole[:size]

    read1 = read

    def flush(self) -> None:
        """Do nothing, as nothing is written."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return False."""
        return False

    def seekable(self) -> bool:
        """Return False."""
        return False

    def close(self) -> None:
        """Close the stream."""
        self.closed = True
