"""IDX files, the format of MNIST: arrays of bytes or numbers with a header of their sizes."""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from softreg.tables.columns.table_errors import TableError
from softreg.typing import Array

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""NumPy's types by the third byte of a file."""
MAX_DIMENSIONS = 4
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 24
"""Bytes that are read at a time, so that memory follows the data and not the sizes that a header declares."""


def read_idx(path: Path) -> Array:
    """Read an IDX file, also one that is compressed with gzip.

    The file begins with two zero bytes, a byte of the type of the numbers, the number of dimensions, and each
    dimension as a 32-bit integer, most significant byte first; the numbers follow.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    array
        The numbers in the shape that the header declares.

    Raises
    ------
    TableError
        If the header is damaged, or the file does not hold as many numbers as it declares.

    References
    ----------
    LeCun, Cortes and Burges, The MNIST database of handwritten digits.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "labels-idx1-ubyte")
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    try:
        with path.open("rb") as raw:
            compressed = raw.read(len(_GZIP)) == _GZIP
        with gzip.open(path) if compressed else path.open("rb") as file:
            return _read(path, file)
    except FileNotFoundError:
        raise TableError(f"There is no file {str(path)!r}.") from None
    except (OSError, EOFError, zlib.error) as error:
        reason = (os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)) or "truncated"
        raise TableError(f"{str(path)!r} is damaged or cannot be read ({reason}); copy it again.") from None


def _read(path: Path, file: IO[bytes] | Any) -> Array:
    """Read header and numbers."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 0 < magic[3] <= MAX_DIMENSIONS:
        raise TableError(
            f"{str(path)!r} is no IDX file: it begins with the bytes {magic.hex(' ')}; expected 00 00, the type "
            f"(08 for bytes) and the number of dimensions, 1 to {MAX_DIMENSIONS}."
        )
    header = file.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise TableError(f"{str(path)!r} is truncated: its header declares {magic[3]} dimensions and ends before them.")
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    kind = np.dtype(_TYPES[magic[2]])
    expected = math.prod(shape) * kind.itemsize
    pieces, size = [], 0
    while size <= expected and (piece := file.read(_CHUNK)):
        pieces.append(piece)
        size += len(piece)
    if size != expected:
        more = "more" if size > expected else f"{size:,}"
        raise TableError(
            f"{str(path)!r} is damaged or truncated: its header declares {' x '.join(map(str, shape))} values, "
            f"{expected:,} bytes, and {more} follow. Copy or download it again."
        )
    return np.frombuffer(b"".join(pieces), kind).reshape(shape).astype(kind.newbyteorder("="), copy=False)


def labels_beside(path: Path) -> Path | None:
    """Return the file of labels beside a file of images, by its name; None if there is none.

    `images` becomes `labels` and `idx3` (or `idx4`) becomes `idx1`; of `.npy` files `X` and `x` become `y` as well. The
    name may have the ending `.gz` or not.

    Parameters
    ----------
    path : Path
        File of images, such as `train-images-idx3-ubyte`.

    Returns
    -------
    Path or None
        File of labels, such as `train-labels-idx1-ubyte`.

    Examples
    --------
    >>> print(labels_beside(Path("nowhere/train-images-idx3-ubyte")))
    None
    """
    name = path.name.removesuffix(".gz")
    other = re.sub(r"idx\d", "idx1", re.sub("images", "labels", name))
    names = [other]
    if path.suffix.lower() == ".npy":
        names.append(re.sub(r"^[xX](?=[_.-])", "y", name))
        names.append(re.sub("image", "label", name))
    for candidate in names:
        for ending in ("", ".gz"):
            found = path.with_name(candidate + ending)
            if candidate != name and found.is_file():
                return found
    return None
