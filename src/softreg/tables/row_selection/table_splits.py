"""Splits of the rows of a table: those of `softreg.splits`, whose errors are errors about the table."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from softreg import splits
from softreg.splits import split_rows
from softreg.tables.columns.table_errors import TableError

__all__ = ["split_by_time", "split_groups", "split_rows", "time_folds"]

P = ParamSpec("P")
R = TypeVar("R")


def _with_table_error(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with its `ValueError` raised as a `TableError`."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            raise TableError(str(error)) from None

    return wrapper


split_groups = _with_table_error(splits.split_groups)
split_by_time = _with_table_error(splits.split_by_time)
time_folds = _with_table_error(splits.time_folds)
