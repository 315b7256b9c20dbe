"""A binary stream whose bytes come part by part: what readers of text ask of every stream."""

from __future__ import annotations


class ChunkedStream:
    """A readable binary stream over the parts that `more` gives; a subclass sets `ended` with the last of them.

    Example:
        >>> class Twice(ChunkedStream):
        ...     def more(self) -> bytes:
        ...         self.ended = True
        ...         return b"ab"
        >>> stream = Twice()
        >>> stream.read(1), stream.read()
        (b'a', b'b')
    """

    ended: bool = False
    """Whether there is no further part."""
    closed: bool = False
    _held: bytes = b""

    def more(self) -> bytes:
        """The next part, which may be empty."""
        raise NotImplementedError

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; all that remain where it is negative."""
        parts, count = [self._held], len(self._held)
        while not self.ended and (size < 0 or count < size):
            parts.append(self.more())
            count += len(parts[-1])
        whole = b"".join(parts)
        size = len(whole) if size < 0 else size
        self._held = whole[size:]
        return whole[:size]

    read1 = read

    def flush(self) -> None:
        """Nothing is written, so nothing is held."""

    def readable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """No."""
        return False

    def seekable(self) -> bool:
        """No."""
        return False

    def close(self) -> None:
        """End the stream."""
        self.closed = True
