"""The design matrix of a formula: variables by their kinds in the schema, terms as formulaic evaluates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from softreg.tables.columns.column_values import parse_numbers
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.table_errors import TableError, quote, quote_list
from softreg.tables.schema.kinds import Column, Kind
from softreg.tables.schema.schema import Schema
from softreg.tables.schema.typed_values import read_levels, require_booleans, require_numbers
from softreg.tables.statistics.design_matrix import Design, no_such_level
from softreg.tables.statistics.design_variables import DesignVariable, is_zero_one
from softreg.tables.statistics.formula import Formula, marginal_terms
from softreg.tables.statistics.formula_rows import FormulaRows, evaluate
from softreg.typing import BoolArray, Float64Array, Int64Array, RowNumbers

if TYPE_CHECKING:
    import pandas as pd

KINDS = (Kind.NUMBER, Kind.BOOLEAN, Kind.CATEGORY)
"""Kinds of columns that a formula supports."""


def formula_design(
    formula: Formula, schema: Schema, table: Any, rows: RowNumbers, reference_levels: Mapping[str, str]
) -> Design:
    """Return the design of a formula for the rows with a value in each of its variables.

    Numbers keep their units; categories and booleans have treatment coding.

    Parameters
    ----------
    formula : Formula
        Checked formula.
    schema : Schema
        Kinds of the columns.
    table : pyarrow.Table
        The table.
    rows : array of int
        Rows of the design.
    reference_levels : mapping of str to str
        Reference level by column; by default the most frequent level and false.

    Returns
    -------
    Design
        The design.

    Raises
    ------
    TableError
        If a variable is of another kind, an expression computes with a category, or a value is not finite, with its
        row.
    """
    columns = {column.name: column for column in schema.features}
    variables = [_variable(name, formula, columns.get(name), table, rows) for name in formula.variables]
    for name, level in reference_levels.items():
        if name not in formula.variables or columns[name].kind is Kind.NUMBER:
            raise TableError(
                f"Column {quote(name)} is no category of the formula, so it has no reference level {quote(level)}. "
                f"Write C({name}) in the formula to take a column of numbers for a category."
            )
    complete = np.ones(len(rows), dtype=bool)
    gaps = dict[str, int]()
    for variable in variables:
        complete &= ~variable.missing
        if variable.missing.any():
            gaps[variable.name] = int(variable.missing.sum())
    frame, reference = _data_frame(variables, complete, reference_levels)
    if not len(frame):
        return Design(np.zeros((0, 0)), complete, [], {}, {}, gaps)
    matrix = evaluate(formula.right, frame, formula.text)
    X, names = np.asarray(matrix, dtype=np.float64), [str(name) for name in matrix.columns]
    spec = matrix.model_spec
    first = [part.start for term, part in spec.term_slices.items() if str(term) == "1"]
    keep = np.setdiff1d(np.arange(len(names)), first)
    _check_finite(X, names, rows[complete])
    design_rows = FormulaRows(_design_variables(variables, frame), spec, frame, keep, formula.text)
    return Design(
        X=np.ascontiguousarray(X[:, keep]),
        complete=complete,
        names=[names[j] for j in keep],
        column_indices=_column_indices(spec, formula.variables, {int(j): new for new, j in enumerate(keep)}),
        reference_levels={name: base for name, base in reference.items() if not _has_own_column(name, base, names)},
        missing=gaps,
        counterfactuals=design_rows.counterfactuals,
        intercept=bool(first),
        rows=design_rows,
    )


@dataclass(frozen=True, eq=False)
class _Variable:
    """A column of a formula: numbers, or codes (n,) of its levels, and a mask of missing rows."""

    name: str
    values: Float64Array | Int64Array
    missing: BoolArray
    levels: tuple[str, ...] | None = None
    """None for numbers."""
    ordered: bool = False
    """Whether the first level is the reference unless another is requested, such as false of booleans."""


def _variable(name: str, formula: Formula, column: Column | None, table: pa.Table, rows: RowNumbers) -> _Variable:
    if column is None or column.kind not in KINDS:
        kind = "no feature (one value, an identifier or an index)" if column is None else f"a {column.kind.value}"
        raise TableError(
            f"Column {quote(name)} of the formula was taken for {kind}; formulas take numbers, booleans and "
            f"categories. Say what it is with --number {name} or --category {name} (number=, category= in Python)."
        )
    if name in formula.in_expressions and column.kind is not Kind.NUMBER:
        raise TableError(
            f"The formula computes with {quote(name)}, which is a {column.kind.value}; functions take numbers. Write "
            f"the bare name, or say --number {name} (number= in Python) if it is one."
        )
    cells, where = table.column(name).take(pa.array(rows)), RowLocation(rows)
    if column.kind is Kind.NUMBER:
        x = require_numbers(name, cells, where)
        return _Variable(name, x, np.isnan(x))
    if column.kind is Kind.BOOLEAN:
        words = (column.levels[0], column.levels[1])
        x = require_booleans(name, words, cells, where)
        return _Variable(name, np.where(np.isnan(x), -1, x).astype(np.int64), np.isnan(x), words, ordered=True)
    coded = read_levels(name, cells)
    levels = coded.levels.to_pylist()
    numbers, are_numbers = parse_numbers(coded.levels)
    order = sorted(range(len(levels)), key=numbers.__getitem__ if are_numbers.all() else levels.__getitem__)
    rank = np.append(np.argsort(order), -1)
    return _Variable(name, rank[coded.codes], coded.codes < 0, tuple(levels[k] for k in order))


def _data_frame(
    variables: list[_Variable], complete: BoolArray, reference_levels: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the complete rows as a data frame, with the reference level of each category first, and these levels."""
    import pandas as pd

    columns, reference = dict[str, Any](), dict[str, str]()
    for variable in variables:
        values = variable.values[complete]
        if variable.levels is None:
            columns[variable.name] = values
            continue
        count = np.bincount(values.astype(np.int64), minlength=len(variable.levels))
        there = [level for level, rows in zip(variable.levels, count, strict=True) if rows]
        base = reference_levels.get(variable.name)
        if base is None and there:
            base = there[0] if variable.ordered else variable.levels[int(np.argmax(count))]
        if there and base not in there:
            raise no_such_level(variable.name, str(base), there)
        order = sorted(there, key=lambda level: level != base)  # stable: the others keep their order
        words = np.array(variable.levels, dtype=object)[values.astype(np.int64)]
        columns[variable.name] = pd.Categorical(words, categories=order)
        reference[variable.name] = str(base)
    return pd.DataFrame(columns), reference


def _design_variables(variables: list[_Variable], frame: pd.DataFrame) -> dict[str, DesignVariable]:
    """Return the variables of a formula with their levels, the reference level first."""
    found = dict[str, DesignVariable]()
    for variable in variables:
        levels = None if variable.levels is None else tuple(map(str, frame[variable.name].cat.categories))
        words = (variable.levels or ()) if variable.ordered else ()
        zero_one = levels is None and is_zero_one(frame[variable.name].to_numpy())
        found[variable.name] = DesignVariable(variable.name, levels, words=words, zero_one=zero_one)
    return found


def _has_own_column(name: str, level: str, names: list[str]) -> bool:
    """Return True if a level has a column, as in the first factor of a formula without an intercept."""
    own = {f"{name}[{level}]", f"C({name})[{level}]"}
    return any(own & set(column.split(":")) for column in names)


def _check_finite(X: Float64Array, names: list[str], rows: RowNumbers) -> None:
    bad = ~np.isfinite(X)
    if bad.any():
        row, column = (int(k) for k in np.argwhere(bad)[0])
        others = sorted({names[j] for j in np.flatnonzero(bad.any(axis=0))} - {names[column]})
        more = f"; so are {quote_list(others)}" if others else ""
        advice = " log1p or a shift, as in log(x + 1), takes zeros as well." if "log" in names[column] else ""
        raise TableError(
            f"The column {quote(names[column])} of the formula is {X[row, column]:g} in row {rows[row] + 1:,} (in "
            f"{int(bad.any(axis=1).sum()):,} rows in all{more}); expected finite numbers.{advice}"
        )


def _column_indices(spec: Any, variables: tuple[str, ...], new_index: Mapping[int, int]) -> dict[str, tuple[int, ...]]:
    """Return the columns of X of each variable, in all its terms, and of each interaction without a higher one."""
    used = {term: frozenset(spec.term_variables[term]) & frozenset(variables) for term in spec.term_slices}
    parts = {
        term: [new_index[j] for j in range(s.start, s.stop) if j in new_index] for term, s in spec.term_slices.items()
    }
    indices = {
        name: tuple(sorted(j for term, names in used.items() if name in names for j in parts[term]))
        for name in variables
    }
    factors = {term: frozenset(str(factor.expr) for factor in term.factors) for term in spec.term_slices}
    marginal = marginal_terms(factors.values())
    for term, names in factors.items():
        if len(names) > 1 and names not in marginal and parts[term]:
            indices[str(term)] = tuple(parts[term])
    return indices
