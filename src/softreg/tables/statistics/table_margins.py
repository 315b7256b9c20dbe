"""Predictions and comparisons of a table's columns, by the names and values that they have in the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from softreg.models import Inference
from softreg.models.inference.margins.comparisons import Comparisons, Contrast, compare
from softreg.models.inference.margins.predictions import Predictions, checked_level, predict, predict_averages
from softreg.models.inference.margins.reference_grid import check_others, combinations
from softreg.models.inference.margins.row_logits import Scenario
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.io.open_table import as_table
from softreg.tables.statistics.design_matrix import Design
from softreg.tables.statistics.design_rows import DesignRows
from softreg.tables.statistics.design_variables import chosen_variable
from softreg.typing import Array, BoolArray


def _rows(inference: Inference, design: Design, data: Any, kept: BoolArray) -> tuple[DesignRows, Any, Array | None]:
    """Return the design's rows, those of the fit or of a table, and their weights."""
    assert design.rows is not None  # only a design without rows, which is refused, has none
    if data is None:
        return design.rows, design.rows.of_fit(inference), inference.fitted.weight
    return design.rows, design.rows.read(as_table(data), kept), None


def table_predictions(
    inference: Inference,
    design: Design,
    kept: BoolArray,
    data: Any,
    *,
    grid: Mapping[str, Any] | None,
    others: str,
    level: float | None,
    simultaneous: bool,
) -> Predictions:
    """Return the predictions of `TableStatistics.predictions`."""
    check_others(others)
    source, rows, weight = _rows(inference, design, data, kept)
    level = checked_level(level, inference.level)
    if grid is None:
        return predict(inference, source.scenario(rows, {}, kept), level, simultaneous)
    columns = combinations(grid)
    chosen = {name: chosen_variable(source.variables, name) for name in columns}
    values = {name: [chosen[name].value(v) for v in given] for name, given in columns.items()}
    points = [dict(zip(values, line, strict=True)) for line in zip(*values.values(), strict=True)]
    if others == "observed":
        scenarios = (source.scenario(rows, point, kept) for point in points)
        found = predict_averages(inference, list(scenarios), weight, level, simultaneous)
    else:
        typical = Scenario(source.typical(inference, rows, weight, points, others, kept))
        found = predict(inference, typical, level, simultaneous)
    return replace(found, grid=values)


def table_comparisons(
    inference: Inference, design: Design, kept: BoolArray, data: Any, column: str, low: Any, high: Any,
    level: float | None,
) -> Comparisons:  # fmt: skip
    """Return the comparisons of `TableStatistics.comparisons`."""
    source, rows, weight = _rows(inference, design, data, kept)
    variable = chosen_variable(source.variables, column)
    if variable.levels is not None:
        first = variable.levels[0] if low is None else variable.value(low)
        others = variable.levels if high is None else [variable.value(high)]
        pairs = [(f"{column}={other}", f"rather than {first}", first, other) for other in others if other != first]
    else:
        if low is None and high is None and variable.zero_one:
            low, high = 0, 1
        if low is None or high is None:
            raise TableError(f"Column {quote(column)} holds numbers; give the two values to compare, low= and high=.")
        first, second = variable.value(low), variable.value(high)
        pairs = [(column, f"{second:g} rather than {first:g}", first, second)]
    if not pairs:
        raise TableError(f"Column {quote(column)} has no level to compare with {quote(str(low))}.")
    contrasts = [
        Contrast(
            name, words, source.scenario(rows, {column: before}, kept), source.scenario(rows, {column: after}, kept)
        )
        for name, words, before, after in pairs
    ]
    return compare(inference, contrasts, weight, checked_level(level, inference.level))
