"""Rows of a design matrix without a formula: with columns of the table set to values, and of further tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from softreg.models import Inference
from softreg.models.inference.margins.reference_grid import GridPoints, grid_rows, typical_row
from softreg.models.inference.margins.row_logits import Scenario
from softreg.tables.columns.table_errors import TableError, quote, quote_list
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.statistics.design_variables import DesignVariable
from softreg.typing import Array, BoolArray, Float64Array, IntArray

Values = Mapping[str, Any]
"""Value of each column that is set."""


def refuse_lacking(name: str, lacking: BoolArray) -> None:
    """Raise `TableError` if a row lacks a value in this column."""
    if lacking.any():
        raise TableError(
            f"Column {quote(name)} lacks a value in row {int(lacking.argmax()) + 1:,}; leave such rows out."
        )


class DesignRows(Protocol):
    """Rows of a table, of the form that its design needs, and the matrices with columns set to values."""

    @property
    def variables(self) -> Mapping[str, DesignVariable]:
        """Columns that can be set."""

    def of_fit(self, inference: Inference) -> Any:
        """Return the rows of the fit."""

    def read(self, table: Any, kept: BoolArray) -> Any:
        """Return the rows of another table; `kept` are the columns of the design that are not aliased."""

    def scenario(self, rows: Any, values: Values, kept: BoolArray) -> Scenario:
        """Return the rows with columns set to values."""

    def typical(
        self, inference: Inference, rows: Any, weight: Array | None, points: Sequence[Values], others: str,
        kept: BoolArray,
    ) -> Float64Array:  # fmt: skip
        """Return the typical row at each point of a grid (m, d)."""


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """Rows as the matrix X of the design, without aliased columns.

    Attributes
    ----------
    variables : mapping of str to DesignVariable
        Columns that can be set.
    encoder : Encoder
        Encoder of the design.
    imputed : bool
        Whether rows may lack values.
    keep : ndarray of int
        Features of the encoder that are columns of the design.
    finish : callable
        Function from these features to the columns of the design, in their units.
    """

    variables: Mapping[str, DesignVariable]
    encoder: Encoder
    imputed: bool
    keep: IntArray
    finish: Callable[[Any], Float64Array]

    def of_fit(self, inference: Inference) -> Any:
        """Return the matrix of the fit."""
        return inference.fitted.X

    def read(self, table: Any, kept: BoolArray) -> Float64Array:
        """Return the matrix of a table; raise `TableError` for a missing value or a level that the fit did not have."""
        unseen = UnseenValues()
        columns = self.encoder.column_encoders
        marking = tuple(
            replace(c, missing=True) if isinstance(c, NumberEncoder | BooleanEncoder) else c for c in columns
        )
        X = replace(self.encoder, column_encoders=marking).encode(table, unseen=unseen)
        X = X.toarray() if sp.issparse(X) else np.asarray(X)
        for name, new in unseen.columns.items():
            what = f"the level {quote_list(new.examples)}" if new.rows else "no value in some row"
            raise TableError(f"Column {quote(name)} has {what}, which the rows of the fit did not have.")
        added, end = [], 0
        for mark, column in zip(marking, columns, strict=True):
            end += mark.width
            if getattr(mark, "missing", False) and not (self.imputed and getattr(column, "missing", False)):
                lacking = X[:, end - 1] != 0
                refuse_lacking(mark.name, lacking)
            added += [end - 1] if mark.width > column.width else []
        return self.finish(np.delete(X, added, axis=1)[:, self.keep])[:, kept]

    def scenario(self, rows: Any, values: Values, kept: BoolArray) -> Scenario:
        """Return the rows with columns set to values."""
        return Scenario(rows, self._setting(values, kept))

    def typical(
        self, inference: Inference, rows: Any, weight: Array | None, points: Sequence[Values], others: str,
        kept: BoolArray,
    ) -> Float64Array:  # fmt: skip
        """Return the typical row at each point of a grid (m, d)."""
        settings = [self._setting(values, kept) for values in points]
        return grid_rows(typical_row(inference, rows, weight, others), GridPoints({}, settings))

    def _setting(self, values: Values, kept: BoolArray) -> dict[int, float]:
        """Return the values of columns of the matrix, by index; raise `TableError` if these are aliased."""
        index, setting = np.cumsum(kept) - 1, dict[int, float]()
        for name, value in values.items():
            columns = self.variables[name].setting(value)
            lost = [j for j, v in columns.items() if not kept[j] and v != 0]
            if lost or not any(kept[j] for j in columns):
                raise TableError(f"Column {quote(name)} has no coefficient for {value!r} (NA): it is aliased.")
            setting |= {int(index[j]): v for j, v in columns.items() if kept[j]}
        return setting
