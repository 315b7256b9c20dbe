"""Embeddings and labels from a file, whose ending decides on the reader; `FILE::NAME` names an array or a column."""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from softreg.linear_probe.files.named_arrays import NamedArray, choose_array
from softreg.linear_probe.files.numpy_files import npy_arrays, npz_arrays
from softreg.linear_probe.files.parquet_columns import number_matrix, parquet_arrays
from softreg.linear_probe.files.text_labels import csv_labels, line_labels
from softreg.linear_probe.files.torch_files import torch_arrays

PARQUET, TORCH = (".parquet", ".pq", ".parq"), (".pt", ".pth")
CSV, LINES = (".csv", ".tsv", ".tab"), (".txt",)
ARRAY_ENDINGS = (".npy", ".npz", *PARQUET, *TORCH)
SEPARATOR = "::"


@dataclass(frozen=True)
class ArraySource:
    """A file, and the name of an array or a column in it.

    Attributes
    ----------
    path : Path
    key : str or None
    """

    path: Path
    key: str | None = None

    @property
    def name(self) -> str:
        """How messages name it."""
        return self.path.name if self.key is None else f"{self.path.name}{SEPARATOR}{self.key}"


def array_source(text: str | os.PathLike[str]) -> ArraySource:
    r"""Return the file and the key of `FILE` or `FILE::KEY`.

    Parameters
    ----------
    text : path

    Returns
    -------
    ArraySource

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> _ = Path("labels.csv").write_text("label\ncat\n")
    >>> array_source("labels.csv::label").key
    'label'
    """
    written = os.fspath(text)
    path, key = Path(written), None
    if not path.exists() and SEPARATOR in written:
        file, _, key = written.rpartition(SEPARATOR)
        path = Path(file)
    if not path.is_file():
        siblings = [p.name for p in path.parent.iterdir() if p.is_file()] if path.parent.is_dir() else []
        near = get_close_matches(path.name, siblings, 2)
        hint = f" Nearest by name: {', '.join(map(repr, near))}." if near else ""
        raise FileNotFoundError(f"There is no file {str(path)!r}.{hint}")
    return ArraySource(path, key)


def read_embeddings(source: ArraySource, label_key: str | None = None) -> Any:
    """Return the embeddings of a file as an array or a tensor, memory-mapped where the format allows it.

    Parameters
    ----------
    source : ArraySource
    label_key : str, optional
        A column of the same file that holds the labels.

    Returns
    -------
    ndarray or torch.Tensor

    Raises
    ------
    ValueError
        If the file is damaged, of another format, or holds no such array.
    ImportError
        If a package that reads it is missing.
    """
    arrays = [array for array in _arrays(source.path) if array.name != label_key or label_key in (None, source.key)]
    if source.path.suffix.lower() in PARQUET and source.key is None and all(len(a.shape) == 1 for a in arrays):
        return number_matrix(source.path, label_key).load()
    return choose_array(arrays, source.key, 2, source.path.name).load()


def read_labels(source: ArraySource) -> Any:
    """Return the labels of a file.

    Parameters
    ----------
    source : ArraySource

    Returns
    -------
    ndarray, torch.Tensor or list

    Raises
    ------
    ValueError
        If the file is damaged, of another format, or holds no such array or column.
    ImportError
        If a package that reads it is missing.
    """
    ending = source.path.suffix.lower()
    if ending in CSV:
        return csv_labels(source.path, source.key).load()
    if ending in LINES:
        return line_labels(source.path)[0].load()
    return choose_array(_arrays(source.path, labels=True), source.key, 1, source.path.name).load()


def _arrays(path: Path, labels: bool = False) -> list[NamedArray]:
    """Return the arrays of a file by its ending."""
    ending = path.suffix.lower()
    if ending == ".npy":
        return npy_arrays(path)
    if ending == ".npz":
        return npz_arrays(path)
    if ending in PARQUET:
        return parquet_arrays(path)
    if ending in TORCH:
        return torch_arrays(path)
    known = ", ".join(ARRAY_ENDINGS + (CSV + LINES if labels else ()))
    raise ValueError(
        f"{path.name!r} ends in none of {known}, from which {'labels' if labels else 'embeddings'} are read."
    )
