"""From a file or a frame with columns of mixed kinds to class probabilities, and back to a file."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softreg.tables.classifier import TableClassifier
    from softreg.tables.encoder import Encoder
    from softreg.tables.errors import TableError, TableNote, TableWarning
    from softreg.tables.grouping import group_codes, split_groups
    from softreg.tables.kinds import Column, Kind
    from softreg.tables.read_options import ReadOptions
    from softreg.tables.reader import OpenTable, as_table, open_table, read_table
    from softreg.tables.schema import Schema, learn_schema, without_bad_rows
    from softreg.tables.statistics import table_statistics
    from softreg.tables.statistics_result import TableStatistics
    from softreg.tables.target import check_labels, labels, split_rows
    from softreg.tables.writer import prediction_table, predictions_csv, write_predictions

_HOME = {
    "Column": "kinds",
    "Encoder": "encoder",
    "Kind": "kinds",
    "OpenTable": "reader",
    "ReadOptions": "read_options",
    "Schema": "schema",
    "TableClassifier": "classifier",
    "TableError": "errors",
    "TableNote": "errors",
    "TableStatistics": "statistics_result",
    "TableWarning": "errors",
    "as_table": "reader",
    "group_codes": "grouping",
    "split_groups": "grouping",
    "check_labels": "target",
    "labels": "target",
    "learn_schema": "schema",
    "open_table": "reader",
    "prediction_table": "writer",
    "predictions_csv": "writer",
    "read_table": "reader",
    "split_rows": "target",
    "table_statistics": "statistics",
    "without_bad_rows": "schema",
    "write_predictions": "writer",
}

__all__ = [
    "Column",
    "Encoder",
    "Kind",
    "OpenTable",
    "ReadOptions",
    "Schema",
    "TableClassifier",
    "TableError",
    "TableNote",
    "TableStatistics",
    "TableWarning",
    "as_table",
    "check_labels",
    "group_codes",
    "labels",
    "learn_schema",
    "open_table",
    "prediction_table",
    "predictions_csv",
    "read_table",
    "split_groups",
    "split_rows",
    "table_statistics",
    "without_bad_rows",
    "write_predictions",
]


def __getattr__(name: str) -> Any:
    """The public name, imported when it is first used: predicting needs no solver."""
    if name in _HOME:
        return getattr(import_module(f"softreg.tables.{_HOME[name]}"), name)
    raise AttributeError(f"module 'softreg.tables' has no attribute {name!r}")
