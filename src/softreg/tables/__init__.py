"""From a file or a frame with columns of mixed kinds to class probabilities, and back to a file."""

from __future__ import annotations

from .classifier import TableClassifier
from .encoder import Encoder
from .errors import TableError, TableWarning
from .kinds import Column, Kind
from .reader import as_table, read_table
from .schema import Schema, learn_schema
from .target import check_labels, labels, split_rows
from .writer import prediction_table, predictions_csv, write_predictions

__all__ = [
    "Column",
    "Encoder",
    "Kind",
    "Schema",
    "TableClassifier",
    "TableError",
    "TableWarning",
    "as_table",
    "check_labels",
    "labels",
    "learn_schema",
    "prediction_table",
    "predictions_csv",
    "read_table",
    "split_rows",
    "write_predictions",
]
