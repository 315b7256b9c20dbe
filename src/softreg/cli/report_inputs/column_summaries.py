"""Columns of a table for the report: observed rates by value, missing values, tests of linearity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from softreg.models import LinearityTest, linearity_tests
from softreg.models.inference.linearity_tests import MOST_PARAMETERS
from softreg.report import Audit
from softreg.report.evaluation.column_rates import ColumnRates, coded_rates, number_rates
from softreg.report.page.report_data import MissingValues
from softreg.tables.encode.discrete_changes import interacting_columns
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.schema.typed_values import read_levels, read_numbers
from softreg.typing import Codes, Float64Array, FloatArray

KINDS_WITH_CURVES = ("number", "boolean", "category")
"""Kinds of columns that have a curve."""
MAX_COLUMNS = 60
"""Columns whose curves are computed."""
MAX_TESTED_ROWS = 50_000
"""Rows with which linearity is tested, at most."""


def column_curves(
    table: pa.Table, places: Codes, columns: Sequence[tuple[str, str, str]], audit: Audit
) -> list[ColumnRates]:
    """Return observed rates and mean probabilities of the audited rows by the values of each column of the model."""
    drawn = [(name, kind) for name, kind, _ in columns if kind in KINDS_WITH_CURVES and name in table.column_names]
    curves = []
    for name, kind in drawn[:MAX_COLUMNS]:
        column = table.column(name).take(places)
        curve = (
            number_rates(name, _numbers(name, column), audit)
            if kind == "number"
            else coded_rates(name, *_coded(name, column), audit)
        )
        if curve is not None:
            curves.append(curve)
    return curves


def missing_values(table: pa.Table, columns: Sequence[tuple[str, str, str]]) -> list[MissingValues]:
    """Return the number of missing values of each column of the model."""
    counts = []
    for name, kind, _ in columns:
        if kind in ("target", "dropped", "constant", "identifier", "index") or name not in table.column_names:
            continue
        column = table.column(name)
        missing = column.null_count
        if kind == "number":
            missing = int(np.isnan(_numbers(name, column)).sum())
        elif kind in ("boolean", "category"):
            names, codes = _coded(name, column)
            missing = int(np.isin(codes, [k for k, one in enumerate(names) if not one]).sum())
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            missing += pc.sum(pc.equal(column, "")).as_py() or 0
        counts.append(MissingValues(name, missing, table.num_rows))
    return counts


def linearity_results(encoder: Encoder, X: Any, codes: Codes, P: FloatArray) -> list[LinearityTest]:
    """Test whether the logits are linear in each number of the encoded rows X (n, d), on a sample of many rows."""
    if X.shape[1] * (P.shape[1] - 1) > MOST_PARAMETERS:
        return []
    step = -(-len(codes) // MAX_TESTED_ROWS)
    X = X[::step]
    return linearity_tests(X.toarray() if sp.issparse(X) else X, codes[::step], P[::step], _number_places(encoder))


def _number_places(encoder: Encoder) -> dict[str, int]:
    """Return the index among the features of X of each numeric column without a curve or an interaction."""
    places, start, interacting = {}, 0, interacting_columns(encoder)
    for code in encoder.column_encoders:
        if isinstance(code, NumberEncoder) and not isinstance(code, CurveEncoder) and code.name not in interacting:
            places[code.name] = start
        start += code.width
    return places


def _numbers(name: str, column: pa.ChunkedArray) -> Float64Array:
    """Return a column as numbers (n,), nan where missing or not finite."""
    values, read = read_numbers(name, column)
    return np.asarray(np.where(read & np.isfinite(values), values, np.nan), dtype=np.float64)


def _coded(name: str, column: pa.ChunkedArray) -> tuple[list[str], Codes]:
    """Return the levels of a column, the last one "" for missing values, and the index (n,) of each row."""
    cells = read_levels(name, column)
    names = ["" if one is None else str(one) for one in cells.levels.to_pylist()]
    return [*names, ""], np.where(cells.codes < 0, len(names), cells.codes)
