"""Columns of a table that grids and comparisons can set, with their values and what these set in the design matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softreg.tables.columns.table_errors import TableError, quote, quote_list
from softreg.typing import Float64Array

INDICATOR_TOLERANCE = 1e-12
"""Largest distance of a rounded indicator from 0 or 1; rounding leaves about 1e-16."""


@dataclass(frozen=True)
class DesignVariable:
    """A column of numbers or levels.

    Attributes
    ----------
    name : str
        The column.
    levels : tuple of str or None
        Levels of a category or boolean, the reference level first; None for numbers.
    settings : mapping of str to dict
        Of each level, the values of columns of the design matrix, by index; of numbers under "" the index of the number
        and the values of its other columns. Empty for a formula, whose matrix is evaluated anew.
    words : tuple of str
        The levels that False and True stand for; () for other columns.
    zero_one : bool
        Whether all numbers of the rows used are 0 or 1, both of them.
    """

    name: str
    levels: tuple[str, ...] | None
    settings: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    zero_one: bool = False

    def value(self, given: Any) -> float | str:
        """Return a value of this column as float or level; raise `TableError` for any other value."""
        if self.levels is None:
            try:
                number = float(given)
            except (TypeError, ValueError):
                number = np.nan
            if not np.isfinite(number):
                raise TableError(f"{given!r} is no value of the column of numbers {quote(self.name)}.")
            return number
        level = self.words[int(given)] if self.words and isinstance(given, (bool, np.bool_)) else str(given)
        if level not in self.levels:
            raise TableError(
                f"Column {quote(self.name)} has no level {quote(level)} in the rows used; its levels are "
                f"{quote_list(self.levels, 20)}."
            )
        return level

    def setting(self, value: float | str) -> dict[int, float]:
        """Return the values of columns of the design matrix, by index, for a value."""
        if self.levels is None:
            return {j: float(value) if np.isnan(v) else v for j, v in self.settings[""].items()}
        return dict(self.settings[str(value)])


def number_variable(name: str, columns: tuple[int, ...], X: Float64Array) -> DesignVariable:
    """Return the variable of a number in the first of these columns of X, with 0 in the others (missing values)."""
    known = X[(X[:, list(columns[1:])] == 0).all(axis=1), columns[0]]
    setting = {columns[0]: np.nan, **dict.fromkeys(columns[1:], 0.0)}
    return DesignVariable(name, None, {"": setting}, zero_one=is_zero_one(known))


def is_zero_one(x: Float64Array) -> bool:
    """Return True if numbers are 0 or 1, up to rounding, and both occur.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_zero_one(np.array([0.0, 1.0, 1.0])), is_zero_one(np.array([0.0, 0.5, 1.0]))
    (True, False)
    """
    near = np.abs(x - (x > 1 / 2)) <= INDICATOR_TOLERANCE
    return bool(near.all() and (x > 1 / 2).any() and not (x > 1 / 2).all())


def level_variable(
    name: str, columns: Mapping[str, int], reference: str, *, zero: tuple[int, ...] = (), words: tuple[str, ...] = ()
) -> DesignVariable:
    """Return the variable of a category or boolean.

    Parameters
    ----------
    name : str
        The column.
    columns : mapping of str to int
        Column of each level but the reference level.
    reference : str
        The reference level.
    zero : tuple of int
        Further columns, which are 0 at every level.
    words : tuple of str
        The levels that False and True stand for.

    Returns
    -------
    DesignVariable
        The variable.

    Examples
    --------
    >>> level_variable("city", {"Kiel": 3, "Ulm": 4}, "Bonn").setting("Ulm")
    {3: 0.0, 4: 1.0}
    """
    levels = (reference, *(level for level in columns if level != reference))
    rest = dict.fromkeys(zero, 0.0)
    settings = {level: {**{j: float(own == level) for own, j in columns.items()}, **rest} for level in levels}
    return DesignVariable(name, levels, settings, words)


def chosen_variable(variables: Mapping[str, DesignVariable], name: str) -> DesignVariable:
    """Return the variable of a column; raise `TableError` if it does not exist or cannot be set."""
    if name not in variables:
        raise TableError(
            f"Column {quote(name)} cannot be set: it is no number, boolean or category of the model. Those that can "
            f"are {quote_list(variables, 20)}."
        )
    return variables[name]
