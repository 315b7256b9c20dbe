"""Write a file so that it is either there, whole, or not there at all; read a pipe more than once."""

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
"""First bytes of files of types, and the ending that names their form."""


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


def is_pipe(path: Path) -> bool:
    """Whether a path can be read only once: a named pipe, `/dev/stdin`, or what a shell makes of `<(command)`.

    Example:
        >>> is_pipe(Path(os.curdir))
        False
    """
    return path.exists() and not path.is_file() and not path.is_dir()


class TemporaryCopy:
    """A temporary file at `path`, named `name`, with what the function `write` wrote; it is removed with this object.

    Raises what `write` raises; nothing is left then.

    Example:
        >>> copy = TemporaryCopy("a.csv", lambda file: file.write(b"x\\n1\\n"))
        >>> copy.path.name, copy.path.read_bytes()
        ('a.csv', b'x\\n1\\n')
    """

    path: Path

    def __init__(self, name: str, write: Callable[[IO[bytes]], object]) -> None:
        folder = Path(tempfile.mkdtemp(prefix="softreg-"))
        finalize(self, rmtree, folder, ignore_errors=True)
        self.path = folder / name
        with self.path.open("wb") as file:
            write(file)


class PipeCopy:
    """What came through a pipe, in a temporary file at `path`, which is removed with this object.

    The file has the name of the pipe. Where that has none of the known `endings`, the first bytes decide: Parquet,
    Arrow, or else CSV. Raises `OSError` where the pipe cannot be read or the disk is full; nothing is left then.

    Example:
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
