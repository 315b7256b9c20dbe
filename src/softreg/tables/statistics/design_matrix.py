"""The design matrix of statistics: columns in their own units, each category without its reference level.

The encoder of predictions keeps all levels and standardizes numbers, which needs a penalty. Statistics need
coefficients that the rows determine, in known units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.models.inference.counterfactual_effects import Counterfactual
from softreg.models.inference.marginal_effects import Change
from softreg.tables.columns.table_errors import TableError, quote, quote_list
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.discrete_changes import level_changes, level_names
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.statistics.design_rows import DesignRows, EncodedRows
from softreg.tables.statistics.design_variables import (
    INDICATOR_TOLERANCE,
    DesignVariable,
    level_variable,
    number_variable,
)
from softreg.typing import BoolArray, Float64Array, IntArray, RowNumbers

MAX_FEATURES = 4_000
"""Most features, as statistics keep their covariance."""


@dataclass(frozen=True, eq=False)
class Design:
    """Design matrix of the rows that are fitted.

    Attributes
    ----------
    X : array of float64 (n, d)
        The matrix.
    complete : array of bool
        Which of the given rows are in X: those without a missing value, or all where missing values are imputed.
    names : list of str
        Columns of X.
    column_indices : dict of str to tuple of int
        Columns of X of each column of the table (or variable and interaction of a formula).
    reference_levels : dict of str to str
        Level of each category that the others are compared with.
    missing : dict of str to int
        Given rows without a value, by column; only columns that have such rows.
    """

    X: Float64Array
    complete: BoolArray
    """Which of the rows given are in X: those without a missing value, or all where missing values are imputed."""
    names: list[str]
    column_indices: dict[str, tuple[int, ...]]
    """The columns of X of each column of the table (or variable and interaction of a formula)."""
    reference_levels: dict[str, str]
    """The level of each category that the others are compared with."""
    missing: dict[str, int]
    """How many of the rows given have no value, by column; only columns that have such rows."""
    notes: tuple[str, ...] = ()
    changes: dict[int, Change] = field(default_factory=dict)
    """Discrete changes of columns of X, by index."""
    counterfactuals: Callable[[], Iterable[Counterfactual]] | None = None
    """Of a formula: the matrices before and after each variable changes."""
    intercept: bool = True
    rows: DesignRows | None = None
    """Rows with columns of the table set to values; None without rows."""


def encoded_design(
    encoder: Encoder,
    table: Any,
    rows: RowNumbers,
    *,
    missing: str,
    reference_levels: Mapping[str, str],
) -> Design:
    """Return the design of the columns of a table by the features of its encoder.

    Parameters
    ----------
    encoder : Encoder
        Encoder with standardized numbers.
    table : pyarrow.Table
        The table.
    rows : array of int
        Rows of the design.
    missing : {"drop", "impute", "error"}
        "drop" and "error" leave out rows with a missing value; "impute" replaces it by the mean with an indicator
        column, or by a level of its own.
    reference_levels : mapping of str to str
        Reference level of categories and booleans by column; by default the most frequent level and false.

    Returns
    -------
    Design
        The design.

    Raises
    ------
    TableError
        If a column or level does not exist, or there are too many features.
    """
    X = encoder.encode(table, rows)
    ranges = _feature_ranges(encoder.column_encoders)
    _check_reference_columns(reference_levels, encoder.column_encoders)
    keep, complete, gaps = np.ones(X.shape[1], dtype=bool), np.ones(len(rows), dtype=bool), dict[str, int]()
    if missing != "impute":
        complete, gaps = _complete_rows(X, encoder.column_encoders, ranges)
        for name in gaps:
            keep[ranges[name][-1]] = False
        X = X[complete]
    names, count = list(encoder.feature_names_out), np.asarray(X.sum(axis=0)).ravel()
    scale, shift = _units(encoder.column_encoders, ranges, names, reference_levels)
    reference, notes = dict[str, str](), list[str]()
    for code in encoder.column_encoders:
        here = ranges[code.name]
        if isinstance(code, BooleanEncoder) and scale[here[0]] < 0:
            reference[code.name] = code.words[1]
        elif isinstance(code, CategoryEncoder):
            base = _reference_index(code, count[here] * keep[here], reference_levels.get(code.name))
            reference[code.name] = level_names(code)[base]
            keep[here] &= count[here] > 0  # a level that no row has left has no coefficient
            keep[here[base]] = False
            if not keep[here].any():
                notes.append(f"column {quote(code.name)} holds one level in the rows used, and has no coefficient")
    indices, changes = _column_indices(encoder.column_encoders, ranges, keep, reference)
    _check_width(int(keep.sum()), indices)

    def finish(features: Any) -> Float64Array:
        dense = features.toarray() if sp.issparse(features) else features
        return _exact_indicators(dense * scale[keep] + shift[keep])

    X = finish(X[:, np.flatnonzero(keep)])
    kept = [name for name, keeps in zip(names, keep, strict=True) if keeps]
    variables = _variables(encoder.column_encoders, indices, kept, reference, X)
    changes |= _zero_one_changes(variables)
    design_rows = EncodedRows(variables, encoder, missing == "impute", np.flatnonzero(keep), finish)
    return Design(X, complete, kept, indices, reference, gaps, tuple(notes), changes, rows=design_rows)


def _variables(
    codes: Sequence[ColumnEncoder],
    indices: Mapping[str, tuple[int, ...]],
    names: Sequence[str],
    reference: Mapping[str, str],
    X: Float64Array,
) -> dict[str, DesignVariable]:
    """Return the columns of the table that can be set."""
    variables = dict[str, DesignVariable]()
    for code in codes:
        own = indices[code.name]
        if isinstance(code, CategoryEncoder):
            columns = {names[j][len(code.name) + 1 :]: j for j in own}
            variables[code.name] = level_variable(code.name, columns, reference[code.name])
        elif isinstance(code, BooleanEncoder):
            base = reference.get(code.name, code.words[0])
            other = code.words[1] if base == code.words[0] else code.words[0]
            variables[code.name] = level_variable(code.name, {other: own[0]}, base, zero=own[1:], words=code.words)
        elif isinstance(code, NumberEncoder):
            variables[code.name] = number_variable(code.name, own, X)
    return variables


def _zero_one_changes(variables: Mapping[str, DesignVariable]) -> dict[int, Change]:
    """Return the discrete changes of numbers that are 0 or 1 where they are not missing."""
    changes = dict[int, Change]()
    for variable in variables.values():
        if variable.zero_one:
            before, after = variable.setting(0.0), variable.setting(1.0)
            changes[next(iter(after))] = Change(before, after)
    return changes


def _units(
    codes: Sequence[ColumnEncoder],
    ranges: Mapping[str, IntArray],
    names: list[str],
    reference_levels: Mapping[str, str],
) -> tuple[Float64Array, Float64Array]:
    """Return scale and shift from the features to the units of the table; a boolean against true is renamed."""
    scale, shift = np.ones(len(names)), np.zeros(len(names))
    for code in codes:
        here = ranges[code.name]  # empty for an encoder without features
        if isinstance(code, NumberEncoder):
            scale[here[0]], shift[here[0]] = code.scale, code.mean
        elif isinstance(code, BooleanEncoder) and reference_levels.get(code.name) == code.words[1]:
            scale[here[0]], shift[here[0]] = -1.0, 1.0
            names[here[0]] = names[here[0]].removesuffix(code.words[1]) + code.words[0]
    return scale, shift


def _feature_ranges(codes: Sequence[ColumnEncoder]) -> dict[str, IntArray]:
    """Return the indices of the features of each column."""
    ends = np.cumsum([code.width for code in codes])
    return {code.name: np.arange(end - code.width, end) for code, end in zip(codes, ends.tolist(), strict=True)}


def _complete_rows(
    X: Any, codes: Sequence[ColumnEncoder], ranges: Mapping[str, IntArray]
) -> tuple[BoolArray, dict[str, int]]:
    """Return a mask of rows without a missing value, and the number of missing values by column."""
    complete, gaps = np.ones(X.shape[0], dtype=bool), dict[str, int]()
    for code in codes:
        if getattr(code, "missing", False):
            marked = X[:, [ranges[code.name][-1]]]
            mark = (marked.toarray() if sp.issparse(marked) else marked).ravel() != 0
            complete &= ~mark
            gaps[code.name] = int(mark.sum())
    return complete, gaps


def _column_indices(
    codes: Sequence[ColumnEncoder],
    ranges: Mapping[str, IntArray],
    keep: BoolArray,
    reference: Mapping[str, str],
) -> tuple[dict[str, tuple[int, ...]], dict[int, Change]]:
    """Return the columns of X of each column of the table, and their discrete changes."""
    new_index = np.cumsum(keep) - 1
    indices, changes = dict[str, tuple[int, ...]](), dict[int, Change]()
    for code in codes:
        own = indices[code.name] = tuple(int(new_index[j]) for j in ranges[code.name] if keep[j])
        if isinstance(code, CategoryEncoder):
            changes |= level_changes(own, None, reference[code.name])
        elif isinstance(code, BooleanEncoder):
            rest = dict.fromkeys(own[1:], 0.0)
            words = f"rather than {reference.get(code.name, code.words[0])}"
            changes[own[0]] = Change({own[0]: 0.0, **rest}, {own[0]: 1.0, **rest}, words)
    return indices, changes


def _check_reference_columns(reference_levels: Mapping[str, str], codes: Sequence[ColumnEncoder]) -> None:
    """Raise `TableError` for the reference level of a column that has no levels, or no such level."""
    by_name = {code.name: code for code in codes}
    for name, level in reference_levels.items():
        code = by_name.get(name)
        if not isinstance(code, CategoryEncoder | BooleanEncoder):
            what = "is no feature of the model" if code is None else "is no category"
            raise TableError(
                f"Column {quote(name)} {what}, so it has no reference level {quote(level)}. Take a column of numbers "
                f"for a category with --category {name} (category=[{name!r}] in Python)."
            )
        if isinstance(code, BooleanEncoder) and level not in code.words:
            raise no_such_level(name, level, code.words)


def no_such_level(name: str, level: str, levels: Iterable[str]) -> TableError:
    """Return the error for a reference level that a column does not have.

    Returns
    -------
    TableError
        The error.

    Examples
    --------
    >>> print(no_such_level("town", "Rome", ["Bonn", "Kiel"]))
    Column 'town' has no level 'Rome' to be the reference; its levels are 'Bonn', 'Kiel'.
    """
    return TableError(
        f"Column {quote(name)} has no level {quote(level)} to be the reference; its levels are "
        f"{quote_list(levels, 20)}."
    )


def _reference_index(code: CategoryEncoder, count: Float64Array, requested: str | None) -> int:
    """Return the index of the reference level of a category: the requested or the most frequent one."""
    names = level_names(code)
    if requested is None:
        known = count[:-1] if code.missing and len(count) > 1 else count  # missing is no level to compare others with
        return int(np.argmax(known if known.any() else count))
    if requested not in names or not count[names.index(requested)]:
        raise no_such_level(code.name, requested, [name for name, rows in zip(names, count, strict=True) if rows])
    return names.index(requested)


def _check_width(width: int, column_indices: Mapping[str, Sequence[int]]) -> None:
    """Raise `TableError` for more features than statistics support."""
    if width > MAX_FEATURES:
        widest = max(column_indices, key=lambda column: len(column_indices[column]))
        raise TableError(
            f"The columns make {width:,} features, of which {len(column_indices[widest]):,} are levels of "
            f"{quote(widest)}; statistics keep the covariance of at most {MAX_FEATURES:,}. "
            "Leave such columns out (drop)."
        )


def _exact_indicators(X: Float64Array) -> Float64Array:
    """Return X with columns of zeros and ones exact again, after standardization and its inverse."""
    near = np.abs(X - (X > 0.5)).max(axis=0, initial=0.0) <= INDICATOR_TOLERANCE
    X[:, near] = X[:, near] > 0.5
    return X
