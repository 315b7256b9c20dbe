"""Fragments: descriptions of runs of rows that any worker can load."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from softreg.rows.backend_protocol import Rows
from softreg.rows.memory.dense import DenseRows
from softreg.typing import Array


class FragmentError(RuntimeError):
    """A fragment cannot be loaded or evaluated; the message names it."""


class Fragment(Protocol):
    """A description of a run of rows, which can be pickled and hashed."""

    @property
    def name(self) -> str:
        """Text that names the fragment in messages."""
        ...

    @property
    def number(self) -> int:
        """A number from 0 to 2**24 - 1 that no other fragment of these rows has."""
        ...

    def load(self) -> Rows:
        """Return the rows: `DenseRows` or `SparseRows`."""
        ...


@dataclass(frozen=True)
class NpyFragment:
    """Rows `start` to `stop` of two files in NumPy's format: features (n, d) and labels (n,) or (n, q).

    Parameters
    ----------
    features, labels : str
        Paths that are the same on all workers.
    start, stop : int
        First row, and row after the last.
    modified : tuple of int
        Time of the last change of both files in nanoseconds, and their sizes in bytes, as `of` read them.
    number : int
        Position of the fragment.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> folder = mkdtemp()
    >>> np.save(folder + "/X.npy", np.eye(5)), np.save(folder + "/y.npy", np.array([0, 1, 1, 0, 1]))
    (None, None)
    >>> [fragment.load().n for fragment in NpyFragment.of(folder + "/X.npy", folder + "/y.npy", rows=3)]
    [3, 2]
    """

    features: str
    labels: str
    start: int
    stop: int
    modified: tuple[int, ...]
    number: int = 0

    @classmethod
    def of(cls, features: str, labels: str, rows: int) -> list[NpyFragment]:
        """Return the fragments of two files, each of at most `rows` rows.

        Parameters
        ----------
        features, labels : str
            Paths of the files.
        rows : int
            Most rows of a fragment. The sums over all rows depend on it in their last bits.

        Returns
        -------
        list of NpyFragment

        Raises
        ------
        ValueError
            If the files have different numbers of rows.
        """
        n, n_labels = (len(np.load(path, mmap_mode="r")) for path in (features, labels))
        if n != n_labels:
            raise ValueError(f"{features!r} has {n:,} rows and {labels!r} has {n_labels:,}; each row needs a label.")
        modified = modification_record(features, labels)
        starts = range(0, n, rows)
        return [cls(features, labels, a, min(a + rows, n), modified, k) for k, a in enumerate(starts)]

    @property
    def name(self) -> str:
        """Text that names the fragment in messages."""
        return f"rows {self.start:,} to {self.stop - 1:,} of {self.features!r}"

    def load(self) -> Rows:
        """Return the rows, in memory.

        Returns
        -------
        Rows

        Raises
        ------
        FragmentError
            If a file is gone, or has changed since the fragment was made.
        """
        try:
            if modification_record(self.features, self.labels) != self.modified:
                raise FragmentError(f"{self.name} have changed since the fit began; start the fit anew.")
            X, labels = self._read(self.features), self._read(self.labels)
        except OSError as error:
            raise FragmentError(f"{self.name} cannot be read: {error.strerror} ({error.filename}).") from error
        return DenseRows(X, labels)

    def _read(self, path: str) -> Array:
        return np.array(np.load(path, mmap_mode="r")[self.start : self.stop], order="C")


def modification_record(*paths: str) -> tuple[int, ...]:
    """Return time of the last change in nanoseconds and size in bytes of each file.

    Returns
    -------
    tuple of int
        The times, then the sizes.

    Examples
    --------
    >>> modification_record(os.curdir) == modification_record(os.curdir)
    True
    """
    stats = [os.stat(path) for path in paths]
    return (*(stat.st_mtime_ns for stat in stats), *(stat.st_size for stat in stats))
