"""Rows of the design matrix of a formula: evaluated again for columns set to values and for further tables."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from softreg.models import Inference
from softreg.models.inference.counterfactual_effects import Counterfactual
from softreg.models.inference.marginal_effects import PER_UNIT
from softreg.models.inference.margins.row_logits import Scenario
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.schema.typed_values import read_levels, require_numbers
from softreg.tables.statistics.design_rows import Values, refuse_lacking
from softreg.tables.statistics.design_variables import DesignVariable
from softreg.typing import Array, BoolArray, Float64Array, IntArray

if TYPE_CHECKING:
    import pandas as pd

STEP = 1e-4
"""Step of the central difference of effects, in standard deviations: its error is about 1e-8."""


def evaluate(right: Any, frame: pd.DataFrame, text: str) -> Any:
    """Return the matrix of a checked formula or its specification; raise `TableError` if it cannot be evaluated."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return right.get_model_matrix(frame, context={}, na_action="ignore", output="pandas")
    except Exception as error:  # of many types: wrong arguments of a function, a spline with too few values
        reason = " ".join(str(error).split())
        raise TableError(f"The formula {quote(text, 200)} cannot be evaluated: {reason}") from None


@dataclass(frozen=True, eq=False)
class FormulaRows:
    """Rows as a data frame of the variables of a formula, each category with its reference level first.

    Attributes
    ----------
    variables : mapping of str to DesignVariable
        Variables of the formula.
    spec : object
        Specification of the matrix, as formulaic keeps it.
    frame : pandas.DataFrame
        The rows of the fit.
    keep : ndarray of int
        Columns of the evaluated matrix without the intercept.
    text : str
        The formula.
    """

    variables: Mapping[str, DesignVariable]
    spec: Any
    frame: pd.DataFrame
    keep: IntArray
    text: str

    def matrix(self, frame: pd.DataFrame, values: Values) -> Float64Array:
        """Return the matrix of the rows of a frame with variables set to a value, or to one value a row."""
        changed = {name: self._column(name, value, len(frame)) for name, value in values.items()}
        X = np.asarray(evaluate(self.spec, frame.assign(**changed), self.text), dtype=np.float64)[:, self.keep]
        if not np.isfinite(X).all():
            row, column = (int(k) for k in np.argwhere(~np.isfinite(X))[0])
            name = [str(name) for name in self.spec.column_names][self.keep[column]]
            raise TableError(f"The column {quote(name)} of the formula is {X[row, column]:g} in row {row + 1:,}.")
        return X

    def _column(self, name: str, value: Any, n: int) -> Any:
        """Return a column of one value, or the values of a number."""
        import pandas as pd

        levels = self.variables[name].levels
        return np.full(n, value) if levels is None else pd.Categorical([value] * n, categories=list(levels))

    def of_fit(self, _: Inference) -> pd.DataFrame:
        """Return the frame of the fit."""
        return self.frame

    def read(self, table: Any, _: BoolArray) -> pd.DataFrame:
        """Return the variables of a table; raise `TableError` for a missing value or an unknown level."""
        import pandas as pd

        columns = dict[str, Any]()
        for name, variable in self.variables.items():
            if name not in table.column_names:
                raise TableError(f"The table has no column {quote(name)}, which the formula uses.")
            cells: pa.ChunkedArray = table.column(name)
            if variable.levels is None:
                values: Any = require_numbers(name, cells, RowLocation(np.arange(len(cells))))
                lacking = np.isnan(values)
            else:
                coded = read_levels(name, cells)
                words = [variable.value(_spelled(variable, level)) for level in coded.levels.to_pylist()]
                lacking = coded.codes < 0
                values = pd.Categorical(
                    np.array([*words, None], dtype=object)[coded.codes], categories=list(variable.levels)
                )
            refuse_lacking(name, lacking)
            columns[name] = values
        return pd.DataFrame(columns)

    def scenario(self, rows: pd.DataFrame, values: Values, kept: BoolArray) -> Scenario:
        """Return the rows with variables set to values."""
        return Scenario(self.matrix(rows, values)[:, kept])

    def typical(
        self, _: Inference, rows: pd.DataFrame, weight: Array | None, points: Sequence[Values], others: str,
        kept: BoolArray,
    ) -> Float64Array:  # fmt: skip
        """Return the row of means of numbers and most frequent levels at each point of a grid (m, d)."""
        import pandas as pd

        if others == "mean":
            raise TableError("A formula has no mean of a category: use others='mean_or_mode' or 'observed'.")
        share = np.full(len(rows), 1 / len(rows)) if weight is None else weight / weight.sum()
        frame = dict[str, Any]()
        for name, variable in self.variables.items():
            if variable.levels is None:
                frame[name] = np.full(len(points), float(share @ rows[name].to_numpy()))
            else:
                mass = np.bincount(rows[name].cat.codes, weights=share, minlength=len(variable.levels))
                frame[name] = [variable.levels[int(mass.argmax())]] * len(points)
            if points and name in points[0]:
                frame[name] = [values[name] for values in points]
            if variable.levels is not None:
                frame[name] = pd.Categorical(frame[name], categories=list(variable.levels))
        return self.matrix(pd.DataFrame(frame), {})[:, kept]

    def counterfactuals(self) -> Iterator[Counterfactual]:
        """Yield the matrices before and after a change of each variable: per unit, or level by level."""
        for name, variable in self.variables.items():
            if variable.levels is not None:
                before = self.matrix(self.frame, {name: variable.levels[0]})
                for level in variable.levels[1:]:
                    words = f"rather than {variable.levels[0]}"
                    yield Counterfactual(f"{name}={level}", words, before, self.matrix(self.frame, {name: level}))
                continue
            x = self.frame[name].to_numpy()
            if variable.zero_one:
                zero, one = (self.matrix(self.frame, {name: value}) for value in (0.0, 1.0))
                yield Counterfactual(name, "1 rather than 0", zero, one)
                continue
            step = STEP * float(x.std())
            low, high = np.maximum(x - step, x.min()), np.minimum(x + step, x.max())  # a spline is not defined beyond
            if step > 0:
                before, after = (self.matrix(self.frame.assign(**{name: values}), {}) for values in (low, high))
                yield Counterfactual(name, PER_UNIT, before, after, high - low)


def _spelled(variable: DesignVariable, level: str) -> str:
    """Return a level of a boolean in the spelling of the fit, other levels as they are."""
    lower = level.lower()
    return lower if variable.words and lower in variable.words else level
