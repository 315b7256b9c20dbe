"""Encoder of the interaction of two columns: products of basis functions of both, computed from their features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.models.serialization import fields
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.terms.curve_basis import CurveBasis, interpolation
from softreg.typing import Float64Array, IntArray

PAIR_KNOTS = 16
"""Most knots of a number in an interaction."""
PAIR_CURVES = 8
"""Most basis functions of a number in an interaction."""
PAIR_FEATURES = 40
"""Most products of an interaction, those of the largest variance."""


@dataclass(frozen=True)
class PairSide:
    """One of the two columns of an interaction.

    Attributes
    ----------
    column : str
        Name of the column.
    knots : tuple of float (m,)
        Knots in standardized units; empty for a column of levels, whose basis functions are its features.
    values : tuple of tuple of float (m, r)
        Values of the basis functions at the knots.
    levels : int
        Number of features of a column of levels; 0 for a column of numbers.
    missing : bool
        Whether the last feature of a column of numbers is the indicator of missing ones.
    """

    column: str
    knots: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]
    levels: int
    missing: bool

    @classmethod
    def of_curve(cls, column: str, basis: CurveBasis, missing: bool) -> PairSide:
        """Return the side of a column of numbers; the knots of the basis are in standardized units."""
        return cls(column, tuple(basis.knots.tolist()), tuple(map(tuple, basis.values.tolist())), 0, missing)

    @classmethod
    def of_levels(cls, column: str, levels: int) -> PairSide:
        """Return the side of a category or boolean with this number of features."""
        return cls(column, (), (), levels, False)

    @property
    def size(self) -> int:
        """The number of basis functions."""
        return len(self.values[0]) if self.knots else self.levels

    def basis(self, block: Float64Array) -> Float64Array:
        """Return the basis functions (n, r) of rows, from the features (n, width) of the column.

        Parameters
        ----------
        block : array of float64 (n, width)
            Features of the column.

        Returns
        -------
        array of float64 (n, r)
            Basis functions; a missing number has the value 0 in all of them.
        """
        if not self.knots:
            return block
        curves = self._values
        low, place = interpolation(block[:, 0], self._knots)
        share = place[:, None]
        out = curves[low] * (1 - share) + curves[low + 1] * share
        if self.missing:
            out[block[:, -1] != 0] = 0.0
        return np.asarray(out)

    @cached_property
    def _values(self) -> Float64Array:
        return np.array(self.values)

    @cached_property
    def _knots(self) -> Float64Array:
        """The knots (m,)."""
        return np.array(self.knots)

    @cached_property
    def _hash(self) -> int:
        return hash((self.knots, self.levels, self.missing))  # numbers alone: a pickle keeps it, and text hashes differ

    def __hash__(self) -> int:
        return self._hash

    def to_state(self) -> dict[str, Any]:
        """Return the side as a JSON-serializable dict."""
        return {
            "column": self.column, "knots": list(self.knots), "values": [list(row) for row in self.values],
            "levels": self.levels, "missing": self.missing,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> PairSide:
        """Return the side that `to_state` wrote; raise `ValueError` for any other state."""
        column, knots = fields.text(state, "column"), fields.numbers(state, "knots", rising=True)
        rows = state["values"] if isinstance(state.get("values"), list) else []
        values = tuple(fields.numbers({"values": row}, "values") for row in rows)
        if len(values) != len(knots) or len(knots) == 1 or len({len(row) for row in values}) > 1:
            raise ValueError(f"the interaction of the column {column!r} has {len(knots)} knots and {len(values)} rows")
        levels = fields.count(state, "levels")
        if bool(knots) == bool(levels):
            raise ValueError(f"the interaction of the column {column!r} has {len(knots)} knots and {levels} levels")
        return cls(column, knots, values, levels, fields.flag(state, "missing"))


@dataclass(frozen=True)
class PairEncoder:
    """Encoder of an interaction: feature j is `scale * left_a(j) * right_b(j)` for chosen pairs of basis functions.

    Attributes
    ----------
    left, right : PairSide
        The columns.
    products : tuple of (int, int)
        Basis functions of left and right of each feature.
    scale : float
        Factor of all features.
    label : str
        Name of the interaction where a column or another interaction has the name `left:right`; "" elsewhere.
    """

    left: PairSide
    right: PairSide
    products: tuple[tuple[int, int], ...]
    scale: float
    label: str = ""

    @classmethod
    def of(cls, left: PairSide, right: PairSide, a: Float64Array, b: Float64Array) -> PairEncoder:
        """Return the encoder with the products of the largest variance over training rows.

        Parameters
        ----------
        left, right : PairSide
            The columns.
        a, b : array of float64 (n, r), (n, s)
            Their basis functions on training rows.

        Returns
        -------
        PairEncoder
            At most `PAIR_FEATURES` products, scaled such that the sum of their mean squares is about 1.
        """
        sizes = np.multiply.outer((a**2).mean(axis=0), (b**2).mean(axis=0))
        order = np.argsort(-sizes.ravel(), kind="stable")[:PAIR_FEATURES]
        order = np.sort(order[sizes.ravel()[order] > 0])
        i, j = np.unravel_index(order, sizes.shape)
        total = float(sizes.sum())
        products = tuple(zip(i.tolist(), j.tolist(), strict=True))
        return cls(left, right, products, float(1 / np.sqrt(total)) if total > 0 else 1.0)

    @property
    def name(self) -> str:
        """The names of both columns, such as `age:job`."""
        return self.label or f"{self.left.column}:{self.right.column}"

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, `age:job=1` to `age:job=r`."""
        return tuple(f"{self.name}={k + 1}" for k in range(self.width))

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.products)

    def block(self, a: Float64Array, b: Float64Array) -> Float64Array:
        """Return the features (n, width) from the basis functions (n, r), (n, s) of both columns."""
        i, j = self._factors
        products = a.take(i, axis=1)
        products *= b.take(j, axis=1)
        products *= self.scale
        return products

    @cached_property
    def _factors(self) -> tuple[IntArray, IntArray]:
        """The basis functions of left and right of each feature."""
        i, j = np.array(self.products, dtype=np.intp).reshape(-1, 2).T
        return i, j

    def to_state(self) -> dict[str, Any]:
        """Return the encoder as a JSON-serializable dict; floats are exact."""
        return {
            "left": self.left.to_state(), "right": self.right.to_state(),
            "products": [list(pair) for pair in self.products], "scale": self.scale,
            **({"label": self.label} if self.label else {}),
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> PairEncoder:
        """Return the encoder that `to_state` wrote; raise `ValueError` for any other state."""
        left, right = (PairSide.from_state(fields.mapping(state, side)) for side in ("left", "right"))
        pairs = state.get("products")
        if not isinstance(pairs, list) or not pairs:
            raise ValueError(f"the interaction of {left.column!r} and {right.column!r} has no features")
        products = []
        for pair in pairs:
            i, j = fields.counts({"pair": pair}, "pair")
            if i >= left.size or j >= right.size:
                raise ValueError(f"the interaction of {left.column!r} and {right.column!r} has the product {pair}")
            products.append((i, j))
        label = fields.text(state, "label") if "label" in state else ""
        return cls(left, right, tuple(products), fields.number(state, "scale", positive=True), label)


def with_distinct_names(pairs: Sequence[PairEncoder], columns: Iterable[str]) -> tuple[PairEncoder, ...]:
    """Return the interactions with a label where a column or an earlier interaction has the same name.

    Parameters
    ----------
    pairs : sequence of PairEncoder
        Interactions.
    columns : iterable of str
        Names of the columns.

    Returns
    -------
    tuple of PairEncoder
        Interactions with distinct names.

    Examples
    --------
    >>> pair = PairEncoder(PairSide.of_levels("a", 2), PairSide.of_levels("b", 2), ((0, 0),), 1.0)
    >>> [one.name for one in with_distinct_names([pair], ["a", "b", "a:b"])]
    ['a:b_2']
    """
    taken, found = set(columns), []
    for pair in pairs:
        name, number = pair.name, 1
        while name in taken:
            number += 1
            name = f"{pair.name}_{number}"
        taken.add(name)
        found.append(pair if name == pair.name else replace(pair, label=name))
    return tuple(found)


def pair_blocks(pairs: Sequence[PairEncoder], X: Any, columns: Mapping[str, slice]) -> list[Float64Array]:
    """Return the features (n, width) of each interaction.

    Parameters
    ----------
    pairs : sequence of PairEncoder
        Interactions.
    X : array or csr_array (n, d)
        Features of the columns.
    columns : mapping of str to slice
        Places in X of the features of each column.

    Returns
    -------
    list of array of float64
        One block a pair.
    """
    bases: dict[PairSide, Float64Array] = {}
    for side in (side for pair in pairs for side in (pair.left, pair.right)):
        if side not in bases:
            block = X[:, columns[side.column]]
            bases[side] = side.basis(block.toarray() if sp.issparse(block) else block)
    return [pair.block(bases[pair.left], bases[pair.right]) for pair in pairs]


def check_sides(pairs: Iterable[PairEncoder], columns: Sequence[ColumnEncoder]) -> None:
    """Check that the columns of interactions have the features that these expect.

    Parameters
    ----------
    pairs : iterable of PairEncoder
        Interactions.
    columns : sequence of ColumnEncoder
        Encoders of the columns.

    Raises
    ------
    ValueError
        If a column does not exist, or has another number of levels.
    """
    widths = {column.name: column.width for column in columns}
    for side in (side for pair in pairs for side in (pair.left, pair.right)):
        width = widths.get(side.column, 0)
        if not width or (side.levels and side.levels != width):
            raise ValueError(
                f"an interaction of the column {side.column!r} needs {side.levels or 'its'} features, and the model "
                f"has {width} of it"
            )
