"""Atomic writing of files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Provide a temporary path that replaces `path` on a clean exit, and is removed otherwise.

    The temporary file is in the same folder, so that the final rename is atomic, and is flushed to disk before it.
    After an exception, such as Ctrl-C, the previous file at `path` is unchanged.

    Parameters
    ----------
    path : path
        The file to write.

    Yields
    ------
    Path
        Temporary path to write to.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    OSError
        If the file cannot be written, for example because the disk is full; the error names `path`.

    Examples
    --------
    >>> with atomic_path("note.txt") as draft:
    ...     _ = draft.write_text("complete")
    >>> Path("note.txt").read_text()
    'complete'
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
        os.chmod(draft, 0o666 & ~mask)  # mkstemp creates private files; results get the usual permissions
        os.replace(draft, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, name, draft):
            raise  # about another file, or with a message of softreg
        raise OSError(error.errno, os.strerror(error.errno), str(target)) from error
    finally:
        draft.unlink(missing_ok=True)
