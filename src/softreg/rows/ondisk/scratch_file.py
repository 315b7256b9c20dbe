"""Bytes in a temporary file that has no name: where rows go that are more than memory holds."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from pathlib import Path

from softreg.typing import Array

SPARE = 64 << 20
"""So many bytes of the disk are left to others."""
AHEAD = 16 << 20
"""So many bytes after those that are read are asked for from the disk, to be there when they are needed."""


def cache_folder() -> Path:
    """Where temporary files of rows lie: `SOFTREG_CACHE`, else `TMPDIR`, else /var/tmp, which is no memory, or the
    system's folder for temporary files.

    Example:
        >>> cache_folder().is_dir()
        True
    """
    for name in ("SOFTREG_CACHE", "TMPDIR"):
        if os.environ.get(name):
            return Path(os.environ[name])
    lasting = Path("/var/tmp")
    return lasting if lasting.is_dir() and os.access(lasting, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


class Scratch:
    """Bytes in a nameless temporary file; raises `OSError` (ENOSPC), and leaves nothing, where the disk is full."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self.size = folder or cache_folder(), 0
        try:
            self.file = tempfile.TemporaryFile(prefix="softreg-", dir=self.folder, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise OSError(
                error.errno,
                f"the cache of rows cannot be made in {str(self.folder)!r} ({error.strerror}): set SOFTREG_CACHE to a "
                "folder that may be written to",
            ) from error
        self._seeking = threading.Lock()

    def close(self) -> None:
        """Give the room on the disk back."""
        self.file.close()

    def make_room(self, wanted: int) -> None:
        """Raise `OSError` where the disk has no place for so many bytes more."""
        free = shutil.disk_usage(self.folder).free
        if free < wanted + SPARE:
            raise self._full(wanted, free)

    def append(self, array: Array) -> None:
        """Write the bytes of a C-ordered array behind those written before."""
        view = bytes_of(array)
        self.make_room(len(view))
        try:
            done = 0
            while done < len(view):
                done += self.file.write(view[done:]) or 0
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise self._full(len(view), shutil.disk_usage(self.folder).free) from error
            raise
        self.size += len(view)

    def _full(self, wanted: int, free: int) -> OSError:
        return OSError(
            errno.ENOSPC,
            f"the cache of rows does not fit on the disk: {self.size / 1e6:,.0f} MB are written to "
            f"{str(self.folder)!r}, {wanted / 1e6:,.0f} MB more are needed now and {free / 1e6:,.0f} MB are free. Make "
            "room, or set SOFTREG_CACHE to a folder on a larger disk",
        )

    def read(self, out: memoryview, offset: int) -> None:
        """Fill `out` with the bytes from `offset` on, and ask the disk for those that follow."""
        done = 0
        while done < len(out):
            got = self._read_some(out[done:], offset + done)
            if got == 0:
                raise OSError(errno.EIO, f"the cache of rows in {str(self.folder)!r} ended at byte {offset + done}")
            done += got
        if hasattr(os, "posix_fadvise") and offset + done < self.size:
            os.posix_fadvise(self.file.fileno(), offset + done, AHEAD, os.POSIX_FADV_WILLNEED)

    def _read_some(self, out: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self.file.fileno(), [out], offset)
        with self._seeking:
            self.file.seek(offset)
            return self.file.readinto(out) or 0


def bytes_of(array: Array) -> memoryview:
    """The memory of a C-ordered array."""
    return memoryview(array.reshape(-1)).cast("B")  # type: ignore[arg-type]
