"""Rows of a grid: chosen values of some columns, the others at typical values or as observed.

The options are those of marginaleffects (`datagrid(grid_type=)`) and Stata (`margins, at() atmeans` and `asobserved`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.inference.fitted_inference import FittedInference
from softreg.models.inference.marginal_effects import Change, zero_one_columns
from softreg.models.inputs.offsets import offset_array
from softreg.probability.label_arrays import spell
from softreg.rows import Array
from softreg.typing import Matrix

OTHERS = ("mean_or_mode", "mean", "observed")
"""Values of the columns that a grid does not name."""
MAJORITY = 0.5
"""Share of ones above which the mode of a column of zeros and ones is 1."""
MAX_POINTS = 100_000
"""Most points of a grid; more are a mistake."""


@dataclass(frozen=True)
class GridPoints:
    """All combinations of the values of some columns, the last column varying fastest.

    Attributes
    ----------
    values : dict of str to list
        Value of each column at each point.
    settings : list of dict
        Values of the columns of X, by position, at each point.
    """

    values: dict[str, list[Any]]
    settings: list[dict[int, float]]


def check_others(others: str) -> None:
    """Raise `ValueError` for an unknown option."""
    if others not in OTHERS:
        raise ValueError(f"others={spell(others)} is not one of {', '.join(OTHERS)}.")


def combinations(grid: Mapping[Any, Any]) -> dict[Any, list[Any]]:
    """Return each column's value at each point of a grid, the last column varying fastest.

    Parameters
    ----------
    grid : mapping
        Value or values of columns.

    Returns
    -------
    dict
        Values by column.

    Raises
    ------
    ValueError
        If the grid or a column of it is empty, or there are too many points.

    Examples
    --------
    >>> combinations({"age": [20, 40], "city": 1})
    {'age': [20, 40], 'city': [1, 1]}
    """
    each = {name: _as_list(values) for name, values in grid.items()}
    empty = [name for name, values in each.items() if not values]
    if empty or not each:
        raise ValueError(f"the grid has no value for {empty[0]!r}." if empty else "the grid names no column.")
    points = int(np.prod([float(len(values)) for values in each.values()]))
    if points > MAX_POINTS:
        raise ValueError(f"the grid has {points:,} points, more than {MAX_POINTS:,}; choose fewer values.")
    lines = list(itertools.product(*each.values()))
    return {name: [line[i] for line in lines] for i, name in enumerate(each)}


def _as_list(values: Any) -> list[Any]:
    """Return one value or several as a list."""
    if isinstance(values, (str, bytes)) or np.ndim(values) == 0:
        return [values]
    return list(values.tolist() if hasattr(values, "tolist") else values)


def grid_points(inference: FittedInference, grid: Mapping[Any, Any]) -> GridPoints:
    """Return the points of a grid over columns of X, by name or position.

    The values 0 and 1 of a level of a category stand for the reference level and this level: they set all columns of
    the category.

    Returns
    -------
    GridPoints
        The points.

    Raises
    ------
    ValueError
        If the grid is no dict of columns, a column does not exist, or a value is not a finite number.
    """
    fitted = inference.fitted
    if not isinstance(grid, Mapping) or not grid:
        raise ValueError(f"grid={spell(grid)}: it is a dict from columns to their values, such as {{'age': [30, 60]}}.")
    columns = fitted.columns_among(list(grid))
    values = combinations({fitted.names[j]: v for j, v in zip(columns, grid.values(), strict=True)})
    settings: list[dict[int, float]] = [{} for _ in next(iter(values.values()))]
    for j, (name, points) in zip(columns, values.items(), strict=True):
        for setting, value in zip(settings, points, strict=True):
            setting.update(column_setting(inference, j, finite_number(value, name)))
    return GridPoints(values, settings)


def finite_number(value: Any, name: str) -> float:
    """Return a value of a column as float; raise `ValueError` if it is not a finite number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise ValueError(f"{spell(value)} is no value of {name!r}; expected a finite number.")
    return number


def column_setting(inference: FittedInference, j: int, value: float) -> dict[int, float]:
    """Return the values of columns, by position, that set column j: all columns of its category, or itself."""
    change = inference.changes.get(j)
    if change is not None and is_level(change) and value in (0.0, 1.0):
        return dict(change.after if value == 1.0 else change.before)
    return {j: value} if inference.read_value is None else dict(inference.read_value(j, value))


def is_level(change: Change) -> bool:
    """Return True for the change of a level of a category, which sets several columns to zeros and ones."""
    return len(change.after) > 1 and {*change.before.values(), *change.after.values()} <= {0.0, 1.0}


def typical_row(inference: FittedInference, X: Matrix, weight: Array | None, others: str) -> Array:
    """Return the row (1, d) of the means of X or, with "mean_or_mode", of the modes of columns of zeros and ones.

    A category has its most frequent level, or none of its levels if that is more frequent.

    Returns
    -------
    ndarray of shape (1, d)
        The row.
    """
    share = np.full(X.shape[0], 1 / X.shape[0]) if weight is None else weight / weight.sum()
    mean = np.asarray(share @ X, dtype=np.float64).ravel()
    if others == "mean":
        return mean[None]
    row = mean.copy()
    zero_one = zero_one_columns(X)
    row[zero_one] = mean[zero_one] > MAJORITY
    for change in inference.changes.values():
        levels = list(change.after)
        if is_level(change):
            most = levels[int(mean[levels].argmax())]
            row[levels] = 0.0
            row[most] = float(mean[most] >= 1 - mean[levels].sum())
    return row[None]


def grid_offset(inference: FittedInference, offset: Any, n: int) -> Array | None:
    """Return the offset of the points of a grid at typical rows.

    Parameters
    ----------
    inference : Inference
        Statistics of the fit.
    offset : array of shape (q,) or (n, q), float or None
        Offset of all points, or of each; one number for two classes is that of the log-odds of the second. None stands
        for 0.
    n : int
        Number of points.

    Returns
    -------
    ndarray of shape (n, q) or None
        The offset; None for 0.

    Raises
    ------
    ValueError
        If the shape is another, or a number is not finite.
    """
    if offset is None:
        return None
    classes = inference.fitted.model.classes_
    if np.ndim(offset) == 0:
        offset = np.full(n, offset)
    elif np.shape(offset) == (len(classes),):
        offset = np.tile(np.asarray(offset), (n, 1))
    return offset_array(offset, n, classes)


def grid_rows(typical: Array, points: GridPoints) -> Array:
    """Return the row (1, d) at each point of a grid, (m, d).

    Returns
    -------
    ndarray of shape (m, d)
        Rows.

    Examples
    --------
    >>> grid_rows(np.array([[5.0, 7.0]]), GridPoints({"age": [1.0, 2.0]}, [{0: 1.0}, {0: 2.0}]))
    array([[1., 7.],
           [2., 7.]])
    """
    X = np.repeat(typical, len(points.settings), axis=0)
    for row, setting in zip(X, points.settings, strict=True):
        row[list(setting)] = list(setting.values())
    return X
