"""Nodes of columns: the numbers and levels between which the contribution of a column is linear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from softreg.tables.columns.row_location import WHOLE_TABLE
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.discrete_changes import level_names
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.encode.terms.curve_basis import interpolation
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.encode.terms.pair_encoder import PairSide
from softreg.tables.schema.typed_values import require_numbers
from softreg.typing import BoolArray, Float64Array

MISSING = "(missing)"
"""Label of the node of missing values of a column of numbers or booleans."""
UNSEEN = "(not in training)"
"""Label of the node of levels without a feature."""
SAME_NODE = 1e-12
"""Share of the range within which two numbers are one node."""


@dataclass(frozen=True, eq=False)
class ColumnNodes:
    """The nodes of a column.

    Attributes
    ----------
    column : str
        Name of the column.
    numbers : array of float64 (k,)
        Numbers of the first k nodes, ascending, in the units of the table; empty for a column of levels.
    labels : tuple of str (m,)
        Labels of all nodes. The last node is that of missing values or, for a category, of levels without a feature.
    features : array of float64 (m, width)
        Features of the column at each node.
    """

    column: str
    numbers: Float64Array
    labels: tuple[str, ...]
    features: Float64Array

    def __len__(self) -> int:
        return len(self.labels)

    def weights(self, x: Float64Array, missing: BoolArray) -> sp.csr_array:
        """Return the weights (n, m) of the nodes, at most two a row, by which numbers are interpolated.

        Parameters
        ----------
        x : array of float64 (n,)
            Numbers; those beyond the nodes have the nearest node.
        missing : array of bool (n,)
            Rows without a number.

        Returns
        -------
        csr_array (n, m)
            Weights >= 0 that sum to 1 in each row.
        """
        n, k = len(x), len(self.numbers)
        low, share = np.zeros(n, dtype=np.intp), np.zeros(n)
        if k > 1:
            low, share = interpolation(np.where(missing, self.numbers[0], x), self.numbers)
        low, share = np.where(missing, len(self) - 1, low), np.where(missing, 0.0, share)
        columns = np.stack([low, np.minimum(low + 1, len(self) - 1)], axis=1)
        values = np.stack([1 - share, share], axis=1)
        matrix = sp.csr_array((values.ravel(), columns.ravel(), 2 * np.arange(n + 1)), shape=(n, len(self)))
        matrix.sum_duplicates()
        return matrix

    def at_nodes_of(self, other: ColumnNodes) -> Float64Array:
        """Return the weights (m', m) of these nodes at the nodes of a finer set of the same column."""
        if not len(self.numbers):
            return np.eye(len(self))
        missing = np.arange(len(other)) >= len(other.numbers)
        x = np.concatenate([other.numbers, np.zeros(len(other) - len(other.numbers))])
        return np.asarray(self.weights(x, missing).toarray())


def column_nodes(code: Any, sides: Sequence[PairSide] = ()) -> ColumnNodes | None:
    """Return the nodes of a column, at which its contribution and that of its interactions change their slope.

    Parameters
    ----------
    code : ColumnEncoder
        Encoder of the column.
    sides : sequence of PairSide
        Its sides of interactions.

    Returns
    -------
    ColumnNodes or None
        Nodes; None for dates, texts, tags and vectors.

    Raises
    ------
    TableError
        For a column of numbers of a model file of an earlier version, which has no range.

    Examples
    --------
    >>> column_nodes(NumberEncoder("age", 40.0, 10.0, True, span=(20.0, 60.0))).features.tolist()
    [[-2.0, 0.0], [2.0, 0.0], [0.0, 1.0]]
    """
    if isinstance(code, NumberEncoder):
        if not code.span:
            raise TableError(f"The model has no range of the column {quote(code.name)}; train it again.")
        positions = [np.array([z * code.scale + code.mean for z in side.knots]) for side in sides]
        curve = np.array(code.curve_knots if isinstance(code, CurveEncoder) else ())
        own = np.unique(np.concatenate([np.array(code.span), np.array(code.knots), curve]))
        return number_nodes(code, _merged(own, positions))
    if isinstance(code, BooleanEncoder):
        rows = [[0.0], [1.0], [code.mean]]
        features = np.array([row + [float(i == 2)] * code.missing for i, row in enumerate(rows)])
        return ColumnNodes(code.name, np.zeros(0), (*code.words, MISSING), features)
    if isinstance(code, CategoryEncoder):
        features = np.concatenate([np.eye(code.width), np.zeros((1, code.width))])
        return ColumnNodes(code.name, np.zeros(0), (*level_names(code), UNSEEN), features)
    return None


def number_nodes(code: NumberEncoder, numbers: Float64Array) -> ColumnNodes:
    """Return nodes at these numbers (k,), and the node of missing values, whose features are 0 but the indicator."""
    forms = [] if code.knots and not code.both else [(numbers - code.mean) / code.scale]
    forms += [np.interp(numbers, code.knots, code.scores)] if code.knots else []
    forms += code.curves(numbers) if isinstance(code, CurveEncoder) else []
    features = np.zeros((len(numbers) + 1, code.width))
    features[:-1, : len(forms)] = np.stack(forms, axis=1)
    features[-1, len(forms) :] = 1.0
    return ColumnNodes(code.name, numbers, (*(f"{x:.6g}" for x in numbers), MISSING), features)


def side_nodes(code: Any, side: PairSide) -> ColumnNodes:
    """Return the nodes of one side of an interaction: its own knots, or all levels of the column.

    Parameters
    ----------
    code : ColumnEncoder
        Encoder of the column.
    side : PairSide
        The side.

    Returns
    -------
    ColumnNodes
        Nodes.
    """
    if isinstance(code, NumberEncoder):
        return number_nodes(code, np.unique(np.array(side.knots) * code.scale + code.mean))
    nodes = column_nodes(code)
    assert nodes is not None  # interactions have numbers, booleans and categories alone
    return nodes


def _merged(own: Float64Array, others: Sequence[Float64Array]) -> Float64Array:
    """Return the union of nodes, without those that differ from one of `own` by rounding alone."""
    half = own / 2  # the difference of the largest numbers overflows, that of halves not
    least = SAME_NODE * max(float(half[-1] - half[0]), float(np.abs(half).max()) * np.finfo(np.float64).eps)
    for more in others:
        distance = np.abs(more[:, None] / 2 - own[None, :] / 2).min(axis=1)
        own = np.unique(np.concatenate([own, more[distance > least]]))
    return own


@dataclass(frozen=True, eq=False)
class CodedRows:
    """Rows as numbers or level codes of each column, and their features.

    Attributes
    ----------
    encoder : Encoder
        The encoder.
    X : array or csr_array (n, d)
        Features.
    numbers : dict of str to array of float64 (n,)
        Numbers of the columns of numbers, nan where missing.
    """

    encoder: Encoder
    X: Any
    numbers: dict[str, Float64Array]

    @classmethod
    def of(cls, encoder: Encoder, table: pa.Table) -> CodedRows:
        """Return the rows of a table."""
        numbers = {
            code.name: require_numbers(code.name, cells, WHOLE_TABLE)
            for code, cells in encoder.columns(table)
            if isinstance(code, NumberEncoder)
        }
        return cls(encoder, encoder.encode(table), numbers)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    def block(self, part: slice) -> Any:
        """Return the features (n, width) of a part."""
        return self.X[:, part]

    def weights(self, code: Any, nodes: ColumnNodes, part: slice) -> sp.csr_array:
        """Return the weights (n, m) of the nodes of a column in each row.

        Parameters
        ----------
        code : ColumnEncoder
            Encoder of the column.
        nodes : ColumnNodes
            Nodes of the column, or of its side of an interaction.
        part : slice
            Places of its features in X.

        Returns
        -------
        csr_array (n, m)
            Weights.
        """
        if isinstance(code, NumberEncoder):
            x = self.numbers[code.name]
            return nodes.weights(x, np.isnan(x))
        block = self.block(part)
        block = np.asarray(block.toarray() if sp.issparse(block) else block)
        if isinstance(code, BooleanEncoder):
            known = (block[:, 0] == 0) | (block[:, 0] == 1)
            if code.missing:  # a share of 0 or 1 is no value
                known &= block[:, 1] == 0
            places = np.where(known, block[:, 0], 2).astype(np.intp)
        else:
            level = block.argmax(axis=1) if block.shape[1] else np.zeros(self.n, dtype=np.intp)
            places = np.where(block.any(axis=1), level, len(nodes) - 1)
        return sp.csr_array((np.ones(self.n), (np.arange(self.n), places)), shape=(self.n, len(nodes)))
