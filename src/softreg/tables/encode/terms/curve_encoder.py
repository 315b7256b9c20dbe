"""Encoder of a column of numbers as a smooth curve: a linear feature, and the basis functions of a curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.models.serialization import fields
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.column_encoder import Entry, entries_with_missing
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.encode.terms.curve_basis import CurveBasis, interpolation
from softreg.tables.schema.typed_values import require_numbers
from softreg.typing import Float64Array


@dataclass(frozen=True)
class CurveEncoder(NumberEncoder):
    """Encoder of a number x as z = (x - mean) / scale and the values of r basis functions of a curve.

    A basis function is piecewise linear through (`curve_knots`, `curve_values[:, j]`) and constant beyond the first and
    the last knot, the range of training, as is z. A missing value is 0 in all of them and, where training had missing
    values, sets an indicator.

    Attributes
    ----------
    curve_knots : tuple of float (m,)
        Knots, ascending.
    curve_values : tuple of tuple of float (m, r)
        Values of the basis functions at the knots.
    sign : int
        1 or -1 for a curve that increases or decreases, whose basis functions are ramps; 0 for any curve.
    """

    curve_knots: tuple[float, ...] = ()
    curve_values: tuple[tuple[float, ...], ...] = ()
    sign: int = 0

    @classmethod
    def of(cls, number: NumberEncoder, basis: CurveBasis, sign: int = 0) -> CurveEncoder:
        """Return the encoder of a column of numbers with a basis of curves in place of other forms.

        Parameters
        ----------
        number : NumberEncoder
            Encoder of the column.
        basis : CurveBasis
            Basis of curves.
        sign : int
            1 or -1 for a monotone curve.

        Returns
        -------
        CurveEncoder
            The encoder.

        Examples
        --------
        >>> from softreg.tables.encode.terms.curve_basis import increments_basis
        >>> basis = increments_basis(np.array([0.0, 9.0]), np.array([0.5, 0.5]))
        >>> CurveEncoder.of(NumberEncoder("x", 3.0, 1.0, True), basis).features
        ('x', 'x=curve 1', 'x=missing')
        """
        values = tuple(map(tuple, basis.values.tolist()))
        span = number.span or (float(basis.knots[0]), float(basis.knots[-1]))
        return cls(
            number.name, number.mean, number.scale, number.missing, span=span,
            curve_knots=tuple(basis.knots.tolist()), curve_values=values, sign=sign,
        )  # fmt: skip

    @property
    def n_curves(self) -> int:
        """The number r of basis functions."""
        return len(self.curve_values[0]) if self.curve_values else 0

    @property
    def features(self) -> tuple[str, ...]:
        """The name of the column, `name=curve 1` to `name=curve r`, and `name=missing`."""
        curves = (f"{self.name}=curve {j + 1}" for j in range(self.n_curves))
        return (self.name, *curves, *((f"{self.name}=missing",) if self.missing else ()))

    @property
    def width(self) -> int:
        """1, plus the basis functions, plus one for the indicator."""
        return 1 + self.n_curves + self.missing

    @property
    def remark(self) -> str:
        """The term in words."""
        direction = {0: "smooth curve", 1: "increasing curve", -1: "decreasing curve"}[self.sign]
        return f"{direction} with {len(self.curve_knots)} knots"

    def entries(self, column: pa.ChunkedArray, where: RowLocation, unseen: UnseenValues | None = None) -> list[Entry]:
        """Return the entries of a batch: one a feature, see `NumberEncoder.entries`."""
        x = require_numbers(self.name, column, where)
        if self.span:
            x = self._clip(x, unseen)
        return entries_with_missing([self._standardize(x, where), *self.curves(x)], 0.0, self.missing)

    def curves(self, x: Float64Array) -> list[Float64Array]:
        """Return the value of each basis function at x (n,); nan where x is nan."""
        knots, values = self._basis
        low, share = interpolation(x, knots)
        return list(values[:, low] * (1 - share) + values[:, low + 1] * share)

    @cached_property
    def _basis(self) -> tuple[Float64Array, Float64Array]:
        """The knots, and the values (r, m) of the basis functions."""
        return np.array(self.curve_knots), np.array(self.curve_values).T

    def to_state(self) -> dict[str, Any]:
        """Return the encoder as a JSON-serializable dict; floats are exact."""
        state = {key: value for key, value in super().to_state().items() if key in ("name", "mean", "scale", "missing")}
        return {
            **state, "code": "curve", "span": list(self.span), "knots": list(self.curve_knots),
            "values": [list(row) for row in self.curve_values], "sign": self.sign,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CurveEncoder:
        """Return the encoder that `to_state` wrote; raise `ValueError` for any other state."""
        name, missing = fields.text(state, "name"), fields.flag(state, "missing")
        knots, span = (fields.numbers(state, key, rising=True) for key in ("knots", "span"))
        rows = state["values"] if isinstance(state.get("values"), list) else []
        values = tuple(fields.numbers({"values": row}, "values") for row in rows)
        if len(span) != 2 or len(knots) < 2 or len(values) != len(knots) or len({len(row) for row in values}) != 1:
            raise ValueError(
                f"the curve of the column {name!r} has {len(knots)} knots and {len(values)} rows of values"
            )
        sign = state.get("sign", 0)
        if sign not in (-1, 0, 1):
            raise ValueError(f"the curve of the column {name!r} has the direction {sign!r}")
        mean, scale = fields.number(state, "mean"), fields.number(state, "scale", positive=True)
        return cls(name, mean, scale, missing, span=span, curve_knots=knots, curve_values=values, sign=sign)
