"""Atomic writing of files, and temporary copies of pipes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj, rmtree
from typing import IO
from weakref import finalize

FORMAT_BY_MAGIC = {b"PAR1": ".parquet", b"ARROW1": ".arrow"}
"""First bytes of a file, and the suffix of its format."""


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


def is_pipe(path: Path) -> bool:
    """Return True if a path can be read only once: a named pipe, `/dev/stdin`, or `<(command)` of a shell."""
    return path.exists() and not path.is_file() and not path.is_dir()


class TemporaryCopy:
    """Temporary file that is removed together with this object.

    Parameters
    ----------
    name : str
        Name of the file.
    write : callable
        Writes to the binary file; after an error nothing remains.

    Attributes
    ----------
    path : Path
        The file.

    Examples
    --------
    >>> copy = TemporaryCopy("a.csv", lambda file: file.write(b"x,1"))
    >>> copy.path.name, copy.path.read_bytes()
    ('a.csv', b'x,1')
    """

    path: Path

    def __init__(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="softreg-"))
        finalize(self, rmtree, folder, ignore_errors=True)
        self.path = folder / name
        with self.path.open("wb") as file:
            write(file)


class PipeCopy:
    """Contents of a pipe in a temporary file that is removed together with this object.

    The file has the name of the pipe. If that has no known suffix, one is added by the first bytes: Parquet, Arrow, or
    else CSV.

    Parameters
    ----------
    pipe : Path
        The pipe.
    endings : container of str
        Known suffixes.

    Attributes
    ----------
    path : Path
        The file.

    Examples
    --------
    >>> copy = PipeCopy(Path(os.devnull), {".csv"})
    >>> copy.path.name, copy.path.read_bytes()
    ('null.csv', b'')
    """

    path: Path

    def __init__(self, pipe: Path, endings: Container[str]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="softreg-"))
        finalize(self, rmtree, folder, ignore_errors=True)
        copy = folder / "copy"
        with pipe.open("rb") as source, copy.open("wb") as target:
            copyfileobj(source, target)
        with copy.open("rb") as written:
            head = written.read(max(map(len, FORMAT_BY_MAGIC)))
        ending = next((ending for magic, ending in FORMAT_BY_MAGIC.items() if head.startswith(magic)), ".csv")
        self.path = copy.rename(folder / f"{pipe.name}{'' if pipe.suffix.lower() in endings else ending}")
