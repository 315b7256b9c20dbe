"""Temporary copies of pipes, which can be read only once, and of what softreg writes to read it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from shutil import copyfileobj, rmtree
from typing import IO
from weakref import finalize

from softreg.files.formats import ENDINGS, detect_file

ENDING_OF_FORMAT = {"parquet": ".parquet", "arrow": ".arrow"}
"""Ending of a copy without one, by the format of its first bytes; `.csv` for others."""


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

    The file has the name of the pipe. If that has none of `formats.ENDINGS`, one is added by the first bytes: Parquet,
    Arrow, or else CSV.

    Parameters
    ----------
    pipe : Path
        The pipe.

    Attributes
    ----------
    path : Path
        The file.

    Examples
    --------
    >>> copy = PipeCopy(Path("/dev/null"))
    >>> copy.path.name, copy.path.read_bytes()
    ('null.csv', b'')
    """

    path: Path

    def __init__(self, pipe: Path) -> None:
        folder = Path(tempfile.mkdtemp(prefix="softreg-"))
        finalize(self, rmtree, folder, ignore_errors=True)
        copy = folder / "copy"
        with pipe.open("rb") as source, copy.open("wb") as target:
            copyfileobj(source, target)
        ending = "" if pipe.suffix.lower() in ENDINGS else ENDING_OF_FORMAT.get(detect_file(copy).format, ".csv")
        self.path = copy.rename(folder / f"{pipe.name}{ending}")
