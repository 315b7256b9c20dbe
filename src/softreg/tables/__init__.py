"""From a file or a frame with columns of mixed kinds to class probabilities, and back to a file."""

from __future__ import annotations

from softreg.tables.classifier import TableClassifier
from softreg.tables.encoder import Encoder
from softreg.tables.errors import TableError, TableWarning
from softreg.tables.kinds import Column, Kind
from softreg.tables.reader import OpenTable, as_table, open_table, read_table
from softreg.tables.schema import Schema, learn_schema
from softreg.tables.statistics import TableStatistics, table_statistics
from softreg.tables.target import check_labels, labels, split_rows
from softreg.tables.writer import prediction_table, predictions_csv, write_predictions

__all__ = [
    "Column",
    "Encoder",
    "Kind",
    "OpenTable",
    "Schema",
    "TableClassifier",
    "TableError",
    "TableStatistics",
    "TableWarning",
    "as_table",
    "check_labels",
    "labels",
    "learn_schema",
    "open_table",
    "prediction_table",
    "predictions_csv",
    "read_table",
    "split_rows",
    "table_statistics",
    "write_predictions",
]
