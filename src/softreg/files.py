"""Write a file so that it is either there, whole, or not there at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on a clean exit it takes the name `path`, otherwise it is removed.

    The temporary file lies in the same folder, so that the final rename is atomic, and is flushed to disk
    before it takes the name. Any exception, Ctrl-C among them, leaves what stood at `path` before untouched.

    Raises `FileNotFoundError` where the folder does not exist, with the folder's name; any other `OSError`, such as
    that of a full disk, names `path`.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"the folder {str(target.parent)!r} does not exist, so {target.name!r} cannot be written there"
        )
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        with open(draft, "rb+") as written:
            os.fsync(written.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(draft, 0o666 & ~mask)  # mkstemp makes private files; a result is as readable as any other
        os.replace(draft, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, name, draft):
            raise  # it tells of another file, or in words of our own
        raise OSError(error.errno, os.strerror(error.errno), str(target)) from error
    finally:
        draft.unlink(missing_ok=True)
