"""Encoders of list columns, and their fitters: tags (any number a row) and numeric vectors such as embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from softreg.tables.columns.arrow_numpy import string_array
from softreg.tables.columns.arrow_types import plain_column
from softreg.tables.columns.column_values import Lists, read_column
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.rare_levels import LevelCounter
from softreg.tables.schema.typed_values import type_changed_error
from softreg.typing import BoolArray, Codes, Float64Array, Int64Array

MAX_PART_NUMBERS = 1 << 22
"""Numbers of vectors that are read at a time: 32 MB; sums over parts do not depend on the batches."""
MAX_SEARCHED = 1000
"""Unseen tags of a batch that are searched for distinct examples."""


@dataclass(frozen=True)
class TagsEncoder:
    """Multi-hot encoder of lists of words: one feature for each tag, 1 where the row has it.

    Rare tags share one feature, which unseen tags have as well.

    Attributes
    ----------
    name : str
        Column.
    levels : tuple of str
        Tags with a feature of their own, sorted.
    pooled : int
        Number of rare tags that share a feature.
    """

    name: str
    levels: tuple[str, ...]
    pooled: int = 0

    @property
    def features(self) -> tuple[str, ...]:
        """`name: tag` for each tag, and `name: (rare)`."""
        named = tuple(f"{self.name}: {level}" for level in self.levels)
        return (*named, f"{self.name}: (rare)") if self.pooled else named

    @property
    def width(self) -> int:
        """The number of tags, plus one for the rare ones."""
        return len(self.levels) + (self.pooled > 0)

    @property
    def remark(self) -> str:
        """The number of tags in words."""
        return f"{len(self.levels):,} tags" + (f", {self.pooled:,} rare ones share a feature" if self.pooled else "")

    def block(self, column: pa.ChunkedArray, where: RowLocation, unseen: UnseenValues | None = None) -> sp.csr_array:
        """Return zeros and ones, (n, width) CSR; a tag that a row has twice counts once.

        Parameters
        ----------
        column : pyarrow.ChunkedArray
            Cells (n,), lists of text.
        where : RowLocation
            Location of the rows, for messages.
        unseen : UnseenValues, optional
            Receives the rows with tags that training did not have.

        Returns
        -------
        scipy.sparse.csr_array
            Features (n, width).
        """
        row, tags = read_tags(self.name, column)
        training_tags = string_array(self.levels)
        tag_index = np.asarray(pc.fill_null(pc.index_in(tags, value_set=training_tags), -1), dtype=np.int64)
        if unseen is not None:
            self._count_unseen(row, tags, tag_index, unseen)
        if self.pooled:
            tag_index[tag_index < 0] = len(self.levels)
        key = np.unique(row[tag_index >= 0] * max(1, self.width) + tag_index[tag_index >= 0])
        row, index = np.divmod(key, max(1, self.width))
        start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(column)))])
        shape = (len(column), self.width)
        return sp.csr_array((np.ones(len(index)), index.astype(np.int32), start.astype(np.int32)), shape=shape)

    def _count_unseen(self, row: Int64Array, tags: pa.Array, tag_index: Codes, unseen: UnseenValues) -> None:
        """Count the rows with a tag that training did not have."""
        unknown = np.flatnonzero(tag_index < 0)
        if unknown.size:
            unseen.add(
                self.name,
                len(np.unique(row[unknown])),
                dict.fromkeys(tags.take(pa.array(unknown[:MAX_SEARCHED])).to_pylist()),
                feature=f"these tags {'share the feature of rare ones' if self.pooled else 'get no feature'}",
                certain=not self.pooled,
                what="tag",
            )

    def to_state(self) -> dict[str, Any]:
        """Return the encoder as a JSON-serializable dict; `from_state` reads it."""
        state = {"code": "tags", "name": self.name, "missing": False, "levels": list(self.levels)}
        return {**state, "pooled": self.pooled}


@dataclass(frozen=True)
class VectorEncoder:
    """Encoder of lists of numbers of one length: (x - mean) / scale, with one mean a position and one scale for all.

    A single scale keeps the angles between embeddings. A missing vector is 0 and, where training had missing vectors,
    sets an indicator.

    Attributes
    ----------
    name : str
        Column.
    means : tuple of float
        Mean of each position in training.
    scale : float
        Root mean square deviation over all positions.
    missing : bool
        Whether training had missing vectors.
    """

    name: str
    means: tuple[float, ...]
    scale: float
    missing: bool
    remark: str = ""

    @property
    def features(self) -> tuple[str, ...]:
        """`name[0]`, `name[1]`, ... and `name=missing`."""
        named = tuple(f"{self.name}[{i}]" for i in range(len(self.means)))
        return (*named, f"{self.name}=missing") if self.missing else named

    @property
    def width(self) -> int:
        """The length of the vectors, plus one for the indicator."""
        return len(self.means) + self.missing

    def block(self, column: pa.ChunkedArray, where: RowLocation) -> Float64Array:
        """Return standardized vectors, (n, width)."""
        Z, length = np.empty((len(column), self.width)), len(self.means)
        means = np.array(self.means)
        for first, part in _parts(column, length):
            X, missing = read_vectors(self.name, part, length, where, first)
            rows = Z[first : first + len(part)]
            np.subtract(X, means, out=rows[:, :length])
            rows[:, :length] /= self.scale
            rows[missing, :length] = 0.0
            if self.missing:
                rows[:, length] = missing
        return Z

    def to_state(self) -> dict[str, Any]:
        """Return the encoder as a JSON-serializable dict; `from_state` reads it."""
        state = {"code": "vector", "name": self.name, "missing": self.missing, "means": list(self.means)}
        return {**state, "scale": self.scale}


class VectorFitter:
    """Fitter of a `VectorEncoder`: running mean of each position and sum of squares."""

    def __init__(self, name: str) -> None:
        self.name, self.length, self.first = name, -1, ""
        self.count = self.missing = 0

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Update the moments with one batch; all vectors have the length of the first."""
        if self.length < 0:
            known = pc.list_value_length(plain_column(column, self.name)).drop_null()
            if not len(known):
                self.missing += len(column)
                return
            self.length = int(known[0].as_py())
            self.first = where.row(int(np.argmax(np.asarray(plain_column(column, self.name).is_valid()))))
            self.mean, self.squares = np.zeros(self.length), np.zeros(self.length)
        for first, part in _parts(column, self.length):
            X, missing = read_vectors(self.name, part, self.length, where, first)
            self.missing += int(missing.sum())
            X = X[~missing] if missing.any() else X
            if len(X):
                mean = X.mean(axis=0)
                self._combine(mean, ((X - mean) ** 2).sum(axis=0), len(X))

    def merge(self, later: VectorFitter) -> None:
        """Add the moments of the rows that follow; raise `TableError` if their vectors have another length."""
        self.missing += later.missing
        if later.length < 0:
            return
        if self.length < 0:
            self.length, self.first = later.length, later.first
            self.mean, self.squares = np.zeros(self.length), np.zeros(self.length)
        if later.length != self.length:
            raise vector_length_error(self.name, self.length, later.first, later.length)
        if later.count:
            self._combine(later.mean, later.squares, later.count)

    def _combine(self, mean: Float64Array, squares: Float64Array, count: int) -> None:
        """Add the means, the sums of squared deviations and the number of some vectors."""
        total = self.count + count
        step = mean - self.mean
        self.squares += squares + step**2 * (self.count * count / total)
        self.mean += step * (count / total)
        self.count = total

    def encoder(self) -> VectorEncoder:
        """Return the fitted encoder."""
        scale = float(np.sqrt(self.squares.mean() / self.count)) if self.count and self.length else 1.0
        means = tuple(self.mean.tolist()) if self.count else ()
        return VectorEncoder(self.name, means, scale or 1.0, self.missing > 0)


def read_tags(name: str, column: pa.ChunkedArray) -> tuple[Int64Array, pa.Array]:
    """Return the row and the text of each tag; nulls are no tags."""
    column = _null_as_lists(plain_column(column, name), pa.large_string())
    cells = read_column(column, name) if len(column) else Lists(vectors=False)
    if not isinstance(cells, Lists) or cells.vectors:
        raise type_changed_error(name, "lists of words", f"values of the type {column.type}")
    rows, tags = [np.zeros(0, np.int64)], [pa.array([], pa.large_string())]
    first = 0
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        if len(chunk):
            text = pc.cast(pc.list_flatten(chunk), pa.large_string())
            sizes = np.asarray(pc.fill_null(pc.list_value_length(chunk), 0), dtype=np.int64)
            row = np.repeat(np.arange(len(chunk)), sizes) + first
            rows.append(row[np.asarray(text.is_valid())])
            tags.append(text.drop_null())
        first += len(chunk)
    return np.concatenate(rows), pa.concat_arrays(tags)


def _null_as_lists(column: Any, item: pa.DataType) -> Any:
    """Return missing lists for a column without a type, as of a data frame all of whose cells are missing."""
    return pa.chunked_array([pa.nulls(len(column), pa.list_(item))]) if pa.types.is_null(column.type) else column


def _parts(column: pa.ChunkedArray, length: int) -> Iterator[tuple[int, pa.ChunkedArray]]:
    """Yield a column of vectors in parts of `MAX_PART_NUMBERS` numbers, each with the position of its first row."""
    size = max(1, MAX_PART_NUMBERS // max(1, length))
    for first in range(0, len(column), size):
        yield first, column.slice(first, size)


def read_vectors(
    name: str, column: pa.ChunkedArray, length: int, where: RowLocation, first: int = 0
) -> tuple[Float64Array, BoolArray]:
    """Return the vectors (n, length), zero where missing, and a mask of missing ones; raise `TableError` otherwise.

    Parameters
    ----------
    name : str
        Column.
    column : pyarrow.ChunkedArray (n,)
        Lists of numbers.
    length : int
        Length of the vectors.
    where : RowLocation
        Location of the rows, for messages.
    first : int
        Position of the first row in `where`.

    Returns
    -------
    X : array (n, length)
        Vectors.
    missing : array of bool (n,)
        Rows without a vector.
    """  # noqa: DOC501
    column = _null_as_lists(plain_column(column, name), pa.float64())
    cells = read_column(column, name) if len(column) else Lists(vectors=True)
    if not isinstance(cells, Lists) or not (cells.vectors or column.null_count == len(column)):
        raise type_changed_error(name, "lists of numbers", f"values of the type {column.type}")
    sizes = np.asarray(pc.fill_null(pc.list_value_length(column), -1), dtype=np.int64)
    odd = np.flatnonzero((sizes != length) & (sizes >= 0))
    if odd.size:
        raise vector_length_error(name, length, where.row(first + odd[0]), int(sizes[odd[0]]))
    flat = pc.list_flatten(column)
    if pa.types.is_integer(flat.type) and not (column.null_count or flat.null_count):
        whole = np.asarray(flat.to_numpy()).astype(np.float64)
        return whole.reshape(len(column), length), np.zeros(len(column), dtype=bool)
    X = np.zeros((len(column), length))
    values = np.asarray(pc.fill_null(pc.cast(flat, pa.float64(), safe=False), np.nan).to_numpy(), dtype=np.float64)
    X[sizes >= 0] = values.reshape(-1, length) if length else 0.0
    bad = np.flatnonzero(~np.isfinite(X).all(axis=1))
    if bad.size:
        raise TableError(
            f"Column {quote(name)} has a vector with a number that is not finite in {where.row(first + bad[0])}. "
            "Correct it, or leave the whole vector empty (null) if it is not known."
        )
    return X, sizes < 0


def vector_length_error(name: str, length: int, row: str, other: int) -> TableError:
    """Return the error for a row whose vector has another length than those of training."""
    return TableError(
        f"Column {quote(name)} held lists of {length:,} numbers in training, but {row} has one of {other:,}. A vector "
        "must have the same length in every row, or be missing."
    )


class TagsFitter:
    """Fitter of a `TagsEncoder`: counts tags in bounded memory."""

    def __init__(self, name: str) -> None:
        self.name, self.levels = name, LevelCounter()

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Count the tags of one batch."""
        counted = read_tags(self.name, column)[1].value_counts()
        self.levels.add(counted.field("values").to_pylist(), np.asarray(counted.field("counts")))

    def merge(self, later: TagsFitter) -> None:
        """Add the counts of the rows that follow."""
        self.levels.update(later.levels)

    def encoder(self) -> TagsEncoder:
        """Return the encoder with one feature for each frequent tag."""
        return TagsEncoder(self.name, *self.levels.frequent_levels())
