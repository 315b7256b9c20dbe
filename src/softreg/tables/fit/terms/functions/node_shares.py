"""The distribution of the training rows over the nodes of columns and interactions, by which terms are centred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.tables.columns.table_errors import TableError
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.terms.pair_encoder import PairEncoder, PairSide
from softreg.tables.fit.terms.functions.term_nodes import CodedRows, ColumnNodes, column_nodes, side_nodes
from softreg.typing import Float64Array, RowNumbers

ROWS_AT_ONCE = 50_000
"""Rows that are encoded together."""
MOST_KEPT = 40_000
"""Most shares that a model keeps, 320 kB."""


@dataclass(frozen=True, eq=False)
class TermNodes:
    """The nodes of all columns and interactions of an encoder.

    Attributes
    ----------
    encoder : Encoder
        The encoder.
    """

    encoder: Encoder

    @cached_property
    def columns(self) -> dict[str, ColumnNodes | None]:
        """The nodes of each column; None for dates, texts, tags and vectors."""
        sides: dict[str, list[PairSide]] = {code.name: [] for code in self.encoder.column_encoders}
        for pair in self.encoder.pairs:
            for side in (pair.left, pair.right):
                sides[side.column].append(side)
        return {code.name: column_nodes(code, sides[code.name]) for code in self.encoder.column_encoders}

    @cached_property
    def pairs(self) -> tuple[tuple[ColumnNodes, ColumnNodes], ...]:
        """The nodes of both sides of each interaction."""
        return tuple((self._side(pair.left), self._side(pair.right)) for pair in self.encoder.pairs)

    @cached_property
    def places(self) -> dict[str, slice]:
        """Places of the features of each part in X."""
        return self.encoder.feature_places()

    @cached_property
    def codes(self) -> dict[str, Any]:
        """The encoder of each column."""
        return {code.name: code for code in self.encoder.column_encoders}

    def _side(self, side: PairSide) -> ColumnNodes:
        return side_nodes(self.codes[side.column], side)


@dataclass(frozen=True, eq=False)
class NodeShares:
    """Shares of the training rows at the nodes.

    Attributes
    ----------
    columns : tuple of array of float64
        For each column the share of the rows at its nodes (m,), where a row between two nodes is divided among them;
        for dates, texts, tags and vectors the mean of their features (width,).
    pairs : tuple of array of float64 (m_a, m_b)
        The same for the nodes of each interaction.
    """

    columns: tuple[Float64Array, ...]
    pairs: tuple[Float64Array, ...]

    @classmethod
    def of(cls, nodes: TermNodes, tables: Sequence[pa.Table], weight: Float64Array | None = None) -> NodeShares:
        """Return the shares of rows.

        Parameters
        ----------
        nodes : TermNodes
            Nodes.
        tables : sequence of pyarrow.Table
            The rows (n,), in parts.
        weight : array of float64 (n,), optional
            Weights of the rows.

        Returns
        -------
        NodeShares
            Their shares.

        Raises
        ------
        TableError
            If there are no rows, or none has a positive weight.
        """
        shares, first = cls.from_flat(nodes, np.zeros(cls.size(nodes))), 0
        total, without_pairs = 0.0, replace(nodes.encoder, pairs=())  # whose features come last, and are not needed
        for table in tables:
            rows = CodedRows.of(without_pairs, table)
            w = np.ones(rows.n) if weight is None else weight[first : first + rows.n]
            first, total = first + rows.n, total + float(w.sum())
            for share, code in zip(shares.columns, nodes.encoder.column_encoders, strict=True):
                own, part = nodes.columns[code.name], nodes.places[code.name]
                matrix = rows.block(part) if own is None else rows.weights(code, own, part)
                share += np.asarray(matrix.T @ w).ravel()
            for joint, pair, sides in zip(shares.pairs, nodes.encoder.pairs, nodes.pairs, strict=True):
                a, b = side_weights(rows, nodes, pair, sides)
                joint += (a.multiply(w[:, None]).T @ b).toarray()
        if not total > 0:
            raise TableError("There are no rows of positive weight over which to centre the functions; pass some.")
        return cls(tuple(share / total for share in shares.columns), tuple(joint / total for joint in shares.pairs))

    @staticmethod
    def size(nodes: TermNodes) -> int:
        """Return the number of shares."""
        shapes = _shapes(nodes)
        return int(sum(np.prod(shape) for shape in shapes))

    def to_flat(self) -> Float64Array:
        """Return all shares as one array (size,)."""
        return np.concatenate([np.zeros(0), *(share.ravel() for share in (*self.columns, *self.pairs))])

    @classmethod
    def from_flat(cls, nodes: TermNodes, flat: Float64Array) -> NodeShares:
        """Return the shares that `to_flat` wrote.

        Parameters
        ----------
        nodes : TermNodes
            Nodes of the same encoder.
        flat : array of float64 (size,)
            Shares.

        Returns
        -------
        NodeShares
            The shares.

        Raises
        ------
        ValueError
            If their number is another one, or one is not finite.
        """
        flat = np.asarray(flat, dtype=np.float64)
        if flat.shape != (cls.size(nodes),) or not np.isfinite(flat).all():
            raise ValueError(f"{flat.shape} shares of nodes do not fit the {cls.size(nodes)} nodes of the terms")
        shapes = _shapes(nodes)
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes], dtype=np.intp)[:-1]
        parts = [part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True)]
        count = len(nodes.columns)
        return cls(tuple(parts[:count]), tuple(parts[count:]))


def kept_shares(
    encoder: Encoder, table: pa.Table, rows: RowNumbers | None, weight: Float64Array | None
) -> Float64Array | None:
    """Return the shares of training rows that a model keeps, as `NodeShares.to_flat`.

    Parameters
    ----------
    encoder : Encoder
        Encoder with terms.
    table : pyarrow.Table
        Table with the training rows.
    rows : array of int (n,), optional
        Training rows; all by default.
    weight : array of float64 (n,), optional
        Their weights.

    Returns
    -------
    array of float64 (size,) or None
        Shares; None if there are more than `MOST_KEPT`.
    """
    nodes = TermNodes(encoder)
    if NodeShares.size(nodes) > MOST_KEPT:
        return None
    chosen = table if rows is None else table.take(pa.array(rows))
    return NodeShares.of(nodes, batches(chosen), weight).to_flat()


def side_weights(
    rows: CodedRows, nodes: TermNodes, pair: PairEncoder, sides: tuple[ColumnNodes, ColumnNodes]
) -> tuple[Any, Any]:
    """Return the weights (n, m_a), (n, m_b) of the nodes of both sides of an interaction in each row."""
    left, right = pair.left.column, pair.right.column
    a, b = (
        rows.weights(nodes.codes[name], own, nodes.places[name]) for name, own in zip((left, right), sides, strict=True)
    )
    return a, b


def batches(table: pa.Table) -> list[pa.Table]:
    """Return a table in parts of at most `ROWS_AT_ONCE` rows."""
    return [table.slice(first, ROWS_AT_ONCE) for first in range(0, table.num_rows, ROWS_AT_ONCE)]


def _shapes(nodes: TermNodes) -> list[tuple[int, ...]]:
    """Return the shapes of the shares of columns, then of interactions."""
    own: list[tuple[int, ...]] = [
        (code.width,) if (found := nodes.columns[code.name]) is None else (len(found),)
        for code in nodes.encoder.column_encoders
    ]
    return own + [(len(a), len(b)) for a, b in nodes.pairs]
