"""Arrays in .npy and .npz files; a .npy file is mapped, not read."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from softreg.linear_probe.files.named_arrays import NamedArray
from softreg.typing import Array

OBJECT_ADVICE = (
    "holds Python objects, which are stored as pickles: reading them could run code, so they are refused. Save "
    "numbers, and labels as integers or text: np.save(file, np.array(values.tolist()))"
)


def npy_arrays(path: Path) -> list[NamedArray]:
    """Return the array of a .npy file, memory-mapped.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of NamedArray
        One, without a name.

    Raises
    ------
    ValueError
        If the file is damaged or holds objects.

    Examples
    --------
    >>> np.save("x.npy", np.zeros((3, 2), np.float16))
    >>> npy_arrays(Path("x.npy"))[0].shape
    (3, 2)
    """
    with path.open("rb") as file:
        shape, dtype = _header(file, repr(path.name))
    if dtype.hasobject:
        raise ValueError(f"{path.name!r} {OBJECT_ADVICE}.")
    mode = "r" if np.prod(shape) else None  # an empty file cannot be mapped
    return [NamedArray("", shape, partial(_load_npy, path, mode))]


def _load_npy(path: Path, mode: Any) -> Array:
    try:
        array: Array = np.load(path, mmap_mode=mode, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path.name!r} is not a complete .npy file: {_reason(error)}") from None
    return array


def npz_arrays(path: Path) -> list[NamedArray]:
    """Return the arrays of a .npz file; each is read when it is loaded.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of NamedArray

    Raises
    ------
    ValueError
        If the file is damaged.

    Examples
    --------
    >>> np.savez("data.npz", X=np.zeros((3, 2)), y=np.arange(3))
    >>> [(a.name, a.shape) for a in npz_arrays(Path("data.npz"))]
    [('X', (3, 2)), ('y', (3,))]
    """
    arrays = []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if not member.endswith(".npy"):
                    continue
                name = member.removesuffix(".npy")
                with archive.open(member) as file:
                    shape, dtype = _header(file, f"{name!r} of {path.name!r}")
                arrays.append(NamedArray(name, shape, _npz_loader(path, name, dtype)))
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{path.name!r} is not a complete .npz file: {_reason(error)}") from None
    return arrays


def _npz_loader(path: Path, name: str, dtype: np.dtype[Any]) -> Callable[[], Array]:
    """Return a function that reads an array of a .npz file."""

    def load() -> Array:
        if dtype.hasobject:
            raise ValueError(f"the array {name!r} of {path.name!r} {OBJECT_ADVICE}.")
        try:
            with np.load(path, allow_pickle=False) as archive:
                array: Array = archive[name]
        except (zipfile.BadZipFile, ValueError, OSError, EOFError) as error:
            raise ValueError(f"{name!r} of {path.name!r} cannot be read: {_reason(error)}") from None
        return array

    return load


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype of an array in the format of .npy."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{name} is not an array in the format of NumPy: {_reason(error)}") from None
    return shape, dtype


def _reason(error: Exception) -> str:
    """Return the first line of an error, as a sentence."""
    return str(error).strip().split("\n")[0].rstrip(".") + "."
