"""A temporary file without a name, for rows that are larger than memory."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
import weakref
from pathlib import Path

from softreg.typing import Array

MIN_FREE_BYTES = 64 << 20
"""Bytes of the disk that are left free."""
READAHEAD_BYTES = 16 << 20
"""Bytes after those that are read which the system is asked to read ahead."""


def cache_folder() -> Path:
    """Return the folder for scratch files.

    It is `SOFTREG_CACHE`, else `TMPDIR`, else /var/tmp, which is on a disk, else the system's folder for temporary
    files.

    Returns
    -------
    Path

    Examples
    --------
    >>> cache_folder().is_dir()
    True
    """
    for name in ("SOFTREG_CACHE", "TMPDIR"):
        if os.environ.get(name):
            return Path(os.environ[name])
    lasting = Path("/var/tmp")
    return lasting if lasting.is_dir() and os.access(lasting, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


class Scratch:
    """Bytes in a temporary file without a name; a full disk raises `OSError` (ENOSPC)."""

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
        self._close = weakref.finalize(self, self.file.close)

    def close(self) -> None:
        """Close the file, which frees its space on the disk; this also happens when the object is collected."""
        self._close()

    def require_space(self, needed: int) -> None:
        """Raise `OSError` if the disk has no space for this many further bytes."""
        free = shutil.disk_usage(self.folder).free
        if free < needed + MIN_FREE_BYTES:
            raise self._full(needed, free)

    def append(self, array: Array) -> None:
        """Write the bytes of a C-ordered array at the end."""
        view = bytes_of(array)
        self.require_space(len(view))
        try:
            done = 0
            while done < len(view):
                done += self.file.write(view[done:]) or 0
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise self._full(len(view), shutil.disk_usage(self.folder).free) from error
            raise
        self.size += len(view)

    def _full(self, needed: int, free: int) -> OSError:
        return OSError(
            errno.ENOSPC,
            f"the cache of rows does not fit on the disk: {self.size / 1e6:,.0f} MB are written to "
            f"{str(self.folder)!r}, {needed / 1e6:,.0f} MB more are needed now and {free / 1e6:,.0f} MB are free. Make "
            "room, or set SOFTREG_CACHE to a folder on a larger disk",
        )

    def read(self, out: memoryview, offset: int) -> None:
        """Fill `out` with the bytes from `offset` on, and start reading ahead."""
        done = 0
        while done < len(out):
            got = self._read_some(out[done:], offset + done)
            if got == 0:
                raise OSError(errno.EIO, f"the cache of rows in {str(self.folder)!r} ended at byte {offset + done}")
            done += got
        if hasattr(os, "posix_fadvise") and offset + done < self.size:
            os.posix_fadvise(self.file.fileno(), offset + done, READAHEAD_BYTES, os.POSIX_FADV_WILLNEED)

    def _read_some(self, out: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self.file.fileno(), [out], offset)
        with self._seeking:
            self.file.seek(offset)
            return self.file.readinto(out) or 0


def bytes_of(array: Array) -> memoryview:
    """Return the memory of a C-ordered array as bytes."""
    return memoryview(array.reshape(-1)).cast("B")  # type: ignore[arg-type]
