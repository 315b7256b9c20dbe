"""The purified decomposition of logits into functions of single columns and of two, as linear maps of the weights.

A table T_ij of an interaction at the nodes of both columns is divided into r_i + c_j + T'_ij such that, under the joint
distribution P_ij of the training rows, `sum_j P_ij T'_ij = 0` for each i and `sum_i P_ij T'_ij = 0` for each j; r and c
are added to the functions of the columns. The sum of all functions is unchanged.

References
----------
Hooker (2007), Generalized functional ANOVA diagnostics, Journal of Computational and Graphical Statistics 16. Lengerich
et al. (2020), Purifying interaction effects with the functional ANOVA, AISTATS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.tables.encode.terms.pair_encoder import PairEncoder
from softreg.tables.fit.terms.functions.node_shares import NodeShares, TermNodes
from softreg.tables.fit.terms.functions.term_nodes import ColumnNodes
from softreg.typing import Float64Array, IntArray


@dataclass(frozen=True, eq=False)
class LinearMap:
    """Values (m,) as linear functions of the weights of some features: the values of a class are `matrix @ w[places]`.

    Attributes
    ----------
    places : array of int (t,)
        Features.
    matrix : array of float64 (m, t)
        Derivatives.
    """

    places: IntArray
    matrix: Float64Array

    @classmethod
    def of(cls, part: slice, matrix: Float64Array) -> LinearMap:
        """Return the map of the features of one part."""
        return cls(np.arange(part.start, part.stop), matrix)

    def joined(self, other: LinearMap) -> LinearMap:
        """Return the sum of two maps of different features."""
        return LinearMap(np.concatenate([self.places, other.places]), np.hstack([self.matrix, other.matrix]))

    def values(self, coef: Float64Array) -> Float64Array:
        """Return the values (m, k) for weights (k, d)."""
        return np.asarray(self.matrix @ coef[:, self.places].T)


@dataclass(frozen=True, eq=False)
class PurifiedTerms:
    """Functions of columns and interactions as linear maps of the weights.

    Attributes
    ----------
    columns : tuple of LinearMap
        For each column its function at its nodes; for dates, texts, tags and vectors `-mean`, one row.
    pairs : tuple of LinearMap
        For each interaction its function at the nodes of both columns, (m_a m_b, t).
    bias : tuple of LinearMap
        Maps of one row, whose sum is the mean of all terms over the training rows.
    """

    columns: tuple[LinearMap, ...]
    pairs: tuple[LinearMap, ...]
    bias: tuple[LinearMap, ...]


def purified_terms(nodes: TermNodes, shares: NodeShares) -> PurifiedTerms:
    """Return the purified and centred functions.

    Parameters
    ----------
    nodes : TermNodes
        Nodes of columns and interactions.
    shares : NodeShares
        Distribution of the training rows over them.

    Returns
    -------
    PurifiedTerms
        Each function has the mean 0 over the training rows.
    """
    columns, bias = {}, []
    marginal = dict(zip((code.name for code in nodes.encoder.column_encoders), shares.columns, strict=True))
    for name, own in nodes.columns.items():
        part, share = nodes.places[name], marginal[name]
        mean = share[None] if own is None else share[None] @ own.features
        bias.append(LinearMap.of(part, mean))
        columns[name] = LinearMap.of(part, -mean if own is None else own.features - mean)
    pairs = []
    for pair, sides, joint in zip(nodes.encoder.pairs, nodes.pairs, shares.pairs, strict=True):
        part = nodes.places[pair.name]
        table = pair_table(pair, *sides)
        rows, across = additive_part(table, joint)
        pure = table - rows[:, None] - across[None, :]
        pairs.append(LinearMap.of(part, pure.reshape(-1, table.shape[-1])))
        for name, side, moved in zip((pair.left.column, pair.right.column), sides, (rows, across), strict=True):
            own = nodes.columns[name]
            assert own is not None
            share = joint.sum(axis=1) if name == pair.left.column else joint.sum(axis=0)
            mean = share[None] @ moved
            bias.append(LinearMap.of(part, mean))
            columns[name] = columns[name].joined(LinearMap.of(part, side.at_nodes_of(own) @ moved - mean))
    return PurifiedTerms(tuple(columns.values()), tuple(pairs), tuple(bias))


def pair_table(pair: PairEncoder, left: ColumnNodes, right: ColumnNodes) -> Float64Array:
    """Return the features (m_a, m_b, t) of an interaction at the nodes of both columns."""
    a, b = pair.left.basis(left.features), pair.right.basis(right.features)
    i, j = (list(places) for places in zip(*pair.products, strict=True))
    return np.asarray(a[:, None, i] * b[None, :, j] * pair.scale)


def additive_part(table: Float64Array, joint: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return the additive part r_i + c_j of tables, such that rows and columns of the rest have the mean 0.

    A node without rows has the distribution of all rows over the nodes of the other column.

    Parameters
    ----------
    table : array of float64 (a, b, t)
        Tables.
    joint : array of float64 (a, b)
        Weights of the cells, whose sum is 1.

    Returns
    -------
    tuple of array of float64 (a, t), (b, t)
        r and c.

    Examples
    --------
    >>> r, c = additive_part(np.array([[[1.0], [2.0]], [[3.0], [6.0]]]), np.full((2, 2), 0.25))
    >>> (np.array([[1.0, 2.0], [3.0, 6.0]]) - r - c.T).round(6).tolist()
    [[0.5, -0.5], [-0.5, 0.5]]
    """
    m, n = joint.shape
    across = _conditional(joint)
    down = _conditional(joint.T)
    system = np.block([[np.eye(m), across], [down, np.eye(n)]])
    right = np.concatenate([np.einsum("ij,ijt->it", across, table), np.einsum("ji,ijt->jt", down, table)])
    solution = np.linalg.lstsq(system, right, rcond=None)[0]
    return np.asarray(solution[:m]), np.asarray(solution[m:])


def _conditional(joint: Float64Array) -> Float64Array:
    """Return the distribution (a, b) over the columns given each row; that of all rows for a row without weight."""
    total = joint.sum(axis=1, keepdims=True)
    marginal = joint.sum(axis=0) / max(float(joint.sum()), np.finfo(np.float64).tiny)
    return np.where(total > 0, joint / np.where(total > 0, total, 1.0), marginal[None, :])
