"""Terms of interactions, from the fitted encoder of a table and the terms of its columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softreg.export.build.column_terms import ColumnProgram
from softreg.export.program import (
    BooleanTerm,
    CodeTerm,
    CurveTerm,
    GridSide,
    GridTerm,
    KnotSide,
    LevelSide,
    LevelTerm,
    LinearTerm,
)
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.terms.pair_encoder import PairEncoder, PairSide
from softreg.tables.encode.terms.reference_row import side_references
from softreg.typing import Float64Array


def grid_terms(encoder: Encoder, columns: Sequence[ColumnProgram]) -> tuple[GridTerm, ...]:
    """Return the terms of the interactions of a table, with one grid of values for each product of basis functions.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder.
    columns : sequence of ColumnProgram
        Inputs and terms of its columns, by `table_columns`.

    Returns
    -------
    tuple of GridTerm
        One for each interaction; their features are numbered as those of the encoder.

    Examples
    --------
    >>> grid_terms(Encoder((), False), ())
    ()
    """
    places, names = encoder.feature_places(), encoder.part_names[len(encoder.column_encoders) :]
    own = {column.input.name: column for column in columns}
    references = side_references(encoder.column_encoders, encoder.pairs)
    terms = []
    for name, pair in zip(names, encoder.pairs, strict=True):
        left, right = (_side(own[side.column], side) for side in (pair.left, pair.right))
        at_nodes = [_basis_at_nodes(side, node) for side, node in ((pair.left, left), (pair.right, right))]
        reference = pair.block(references[pair.left][None], references[pair.right][None])[0]
        values = _grids(pair, *at_nodes)
        first = places[name].start
        terms.append(GridTerm(name, left, right, first, values, tuple(reference.tolist())))
    return tuple(terms)


def _grids(pair: PairEncoder, a: Float64Array, b: Float64Array) -> tuple[tuple[float, ...], ...]:
    """Return the values of each feature at all pairs of nodes, from the basis functions at the nodes of both sides."""
    rows = pair.block(np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1)))
    return tuple(map(tuple, rows.T.tolist()))


def _side(column: ColumnProgram, side: PairSide) -> GridSide:
    """Return a side of a grid: the first feature of a number, or the levels of a category or boolean."""
    term = column.terms[0]
    if side.knots and isinstance(term, LinearTerm | CurveTerm):
        return KnotSide(term, side.knots, side.missing)
    if isinstance(term, LevelTerm | CodeTerm | BooleanTerm):
        return LevelSide(term)
    raise TypeError(f"the column {side.column!r} has no interaction")


def _basis_at_nodes(side: PairSide, node: GridSide) -> Float64Array:
    """Return the basis functions (nodes, r) of a side at its nodes."""
    if isinstance(node, KnotSide):
        return np.array(side.values)
    if not isinstance(node.levels, BooleanTerm):
        return np.eye(node.nodes, side.levels)
    basis = np.zeros((node.nodes, side.levels))
    basis[:, 0] = 0.0, 1.0, node.levels.fill
    basis[-1, 1:] = 1.0
    return basis
