"""Tables: files and data frames with columns of mixed kinds to class probabilities, and back to a file.

It may import `models` and all packages below it. `columns`, `formats`, `images`, `delimited`, `json_files` and `io`
read tables; `schema` infers kinds, `row_selection` selects and splits rows, `encode` makes the matrix, `fit` trains and
predicts, `statistics` estimates, and `word_explanation` divides logits among the words of a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from softreg.lazy import lazy_names

if TYPE_CHECKING:
    from softreg.tables.classifier import TableClassifier
    from softreg.tables.columns.table_errors import TableError, TableNote, TableWarning
    from softreg.tables.encode.encoder import Encoder
    from softreg.tables.fit.terms.functions.term_functions import TermAxis, TermFunction, TermFunctions
    from softreg.tables.fit.terms.term_options import Terms
    from softreg.tables.fit.terms.term_record import StageLoss, TermProgress, TermRecord, TermSize, TermStrength
    from softreg.tables.fit.terms.term_tests import TermTest, TermTests
    from softreg.tables.io.open_table import OpenTable, as_table, open_table, read_table
    from softreg.tables.io.prediction_writer import prediction_table, predictions_csv, write_predictions
    from softreg.tables.read_options import ReadOptions
    from softreg.tables.row_selection.group_codes import group_codes
    from softreg.tables.row_selection.table_splits import split_groups, split_rows
    from softreg.tables.schema.kinds import Column, Kind
    from softreg.tables.schema.schema import Schema, infer_schema, without_bad_rows
    from softreg.tables.schema.target_labels import check_labels, labels
    from softreg.tables.statistics.statistics_result import TableStatistics
    from softreg.tables.statistics.table_statistics import table_statistics
    from softreg.tables.word_explanation import WordExplanation, explain_words

_DEFINED_IN = {
    "Column": "schema.kinds",
    "Encoder": "encode.encoder",
    "Kind": "schema.kinds",
    "OpenTable": "io.open_table",
    "ReadOptions": "read_options",
    "Schema": "schema.schema",
    "StageLoss": "fit.terms.term_record",
    "TableClassifier": "classifier",
    "TableError": "columns.table_errors",
    "TableNote": "columns.table_errors",
    "TableStatistics": "statistics.statistics_result",
    "TableWarning": "columns.table_errors",
    "TermAxis": "fit.terms.functions.term_functions",
    "TermFunction": "fit.terms.functions.term_functions",
    "TermFunctions": "fit.terms.functions.term_functions",
    "TermProgress": "fit.terms.term_record",
    "TermRecord": "fit.terms.term_record",
    "TermSize": "fit.terms.term_record",
    "TermStrength": "fit.terms.term_record",
    "TermTest": "fit.terms.term_tests",
    "TermTests": "fit.terms.term_tests",
    "Terms": "fit.terms.term_options",
    "WordExplanation": "word_explanation",
    "as_table": "io.open_table",
    "group_codes": "row_selection.group_codes",
    "split_groups": "row_selection.table_splits",
    "check_labels": "schema.target_labels",
    "labels": "schema.target_labels",
    "explain_words": "word_explanation",
    "infer_schema": "schema.schema",
    "open_table": "io.open_table",
    "prediction_table": "io.prediction_writer",
    "predictions_csv": "io.prediction_writer",
    "read_table": "io.open_table",
    "split_rows": "row_selection.table_splits",
    "table_statistics": "statistics.table_statistics",
    "without_bad_rows": "schema.schema",
    "write_predictions": "io.prediction_writer",
}

__all__ = [
    "Column",
    "Encoder",
    "Kind",
    "OpenTable",
    "ReadOptions",
    "Schema",
    "StageLoss",
    "TableClassifier",
    "TableError",
    "TableNote",
    "TableStatistics",
    "TableWarning",
    "TermAxis",
    "TermFunction",
    "TermFunctions",
    "TermProgress",
    "TermRecord",
    "TermSize",
    "TermStrength",
    "TermTest",
    "TermTests",
    "Terms",
    "WordExplanation",
    "as_table",
    "check_labels",
    "explain_words",
    "group_codes",
    "infer_schema",
    "labels",
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

__getattr__, __dir__ = lazy_names(__name__, _DEFINED_IN)
