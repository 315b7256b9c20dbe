"""From a table to the matrix X: learned on the training rows, applied identically at prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.tables.codes import (
    BooleanCode,
    CategoryCode,
    Code,
    Entry,
    NumberCode,
    Rows,
    booleans_of,
    code_from_state,
    numbers_of,
)
from softreg.tables.errors import TableError, shown
from softreg.tables.kinds import Column, Kind
from softreg.tables.schema import Schema

WIDE = 200  # a matrix of more columns than this is sparse where its density is below SPARSE
SPARSE = 0.2


@dataclass(frozen=True)
class Encoder:
    """The code of each feature column and the layout of X; frozen, and exact through JSON.

    A number becomes (x - mean) / standard deviation of the training rows, a boolean 0 or 1, a category one
    feature a level of training (one-hot). A missing number or boolean becomes the training mean and, where
    training saw missing values in that column, an indicator feature `name=missing`. An unseen level of a
    category is all zero; missing is a level of its own if training saw it.

    X is float64: dense in C order, or CSR where it has more than 200 columns and less than a fifth of its
    entries are not zero (`sparse`).

    Example:
        >>> table = pa.table({"age": [20, 40, 30], "job": ["cook", "smith", "cook"], "buys": ["y", "n", "y"]})
        >>> from softreg.tables.schema import learn_schema
        >>> encoder = Encoder.learn(learn_schema(table, "buys"), table)
        >>> encoder.feature_names_out
        ('age', 'job=cook', 'job=smith')
        >>> encoder.transform(pa.table({"job": ["tailor"], "age": [30]})).tolist()
        [[0.0, 0.0, 0.0]]

    Source: Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning" (2009), 2.2 and 9.6.
    """

    codes: tuple[Code, ...]
    sparse: bool

    @classmethod
    def learn(cls, schema: Schema, table: pa.Table, rows: Rows = None) -> Encoder:
        """Learn means, standard deviations and levels from the training rows (all where `rows` is None)."""
        codes = tuple(_learn(column, table.column(column.name), rows) for column in schema.features)
        width = sum(len(code.features) for code in codes)
        return cls(codes, sparse=width > WIDE and len(codes) < SPARSE * width)

    @property
    def feature_names_out(self) -> tuple[str, ...]:
        """Names of the columns of X: `age`, `job=cook`, `age=missing`."""
        return tuple(name for code in self.codes for name in code.features)

    def transform(self, table: pa.Table, rows: Rows = None) -> Any:
        """X for some rows of a table (all where `rows` is None), its columns found by name.

        Returns (n, d) float64, an ndarray or a `scipy.sparse.csr_array`, in the same form as in training.
        Raises `TableError`: a column missing, or a cell that is not of the column's kind, with row and value.
        """
        entries: list[Entry] = []
        width = 0
        for code in self.codes:
            if code.name not in table.column_names:
                raise TableError(f"The table lacks the column {shown(code.name)}, which the model was trained with.")
            for feature, value in code.entries(table.column(code.name), rows):
                entries.append((np.where(feature < 0, -1, feature + width), value))
            width += len(code.features)
        n = table.num_rows if rows is None else len(rows)
        return _sparse(entries, n, width) if self.sparse else _dense(entries, n, width)

    def to_state(self) -> dict[str, Any]:
        """The encoder as strict JSON; Python writes floats so that they are read back exactly."""
        return {"sparse": self.sparse, "codes": [code.to_state() for code in self.codes]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Encoder:
        """The encoder that `to_state` wrote."""
        return cls(tuple(code_from_state(code) for code in state["codes"]), bool(state["sparse"]))


def _learn(column: Column, cells: pa.ChunkedArray, rows: Rows) -> Code:
    """The code of one column, learned on the training rows."""
    missing = column.missing > 0
    if column.kind is Kind.NUMBER:
        mean, scale = _mean_and_scale(numbers_of(column.name, cells, rows))
        return NumberCode(column.name, mean, scale, missing)
    if column.kind is Kind.BOOLEAN:
        words = (column.levels[0], column.levels[1])
        share = float(np.nanmean(booleans_of(column.name, words, cells, rows)))
        return BooleanCode(column.name, words, share, missing)
    return CategoryCode(column.name, column.levels, missing)


def _mean_and_scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation of the values that are not nan; a deviation of 0 becomes 1."""
    known = values[~np.isnan(values)]
    unit = float(np.abs(known).max()) or 1.0  # in units of the largest, squares neither overflow nor vanish
    known = known / unit
    mean = known.mean()
    deviation = np.sqrt(np.mean((known - mean) ** 2))
    return float(mean * unit), float(deviation * unit) or 1.0


def _dense(entries: list[Entry], n: int, width: int) -> NDArray[np.float64]:
    X = np.zeros((n, width))
    row = np.arange(n)
    for feature, value in entries:
        has = feature >= 0
        X[row[has], feature[has]] = value[has]
    return X


def _sparse(entries: list[Entry], n: int, width: int) -> Any:
    """CSR without stored zeros; entries come in the order of the columns, so that indices are sorted."""
    feature = np.stack([feature for feature, _ in entries], axis=1)  # (n, entries a row)
    value = np.stack([value for _, value in entries], axis=1)
    has = (feature >= 0) & (value != 0)
    start = np.concatenate([[0], np.cumsum(has.sum(axis=1))])
    small = start[-1] < 2**31 and width < 2**31
    index = np.int32 if small else np.int64
    return sp.csr_array((value[has], feature[has].astype(index), start.astype(index)), shape=(n, width))
