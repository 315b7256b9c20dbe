"""From a fitted model and an audit to a report: which rows, weights and remarks stand on the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from softreg.cli.console.result_table import certificate_text
from softreg.cli.console.text_layout import MIN_SHOWN_GAP
from softreg.cli.reporting.column_summaries import column_curves, missing_values
from softreg.models import label_audit
from softreg.optimize import Solution
from softreg.probability import OperatingPoint, column_information
from softreg.report import WHY, Audit, ReportData, show_rows, write_report
from softreg.tables.columns.column_values import as_text, display_texts
from softreg.tables.schema.typed_values import read_inferred_numbers

if TYPE_CHECKING:
    import pyarrow as pa

    from softreg.cli.reporting.column_importance import ColumnAnalysis
    from softreg.cli.reporting.row_explanations import RowExplainer
    from softreg.models import Path as StrengthPath
    from softreg.models import SoftmaxRegression

MAX_TEXT_LENGTH = 200  # characters of a cell
MAX_ROWS = 100_000  # from which the information of columns is estimated
MIN_ROWS = 50  # below, labels are not doubted
MAX_SUSPICIOUS = 12  # rows whose labels are shown as doubtful
MIN_SUSPICION = 0.2  # suspicion from which a row is shown


def write_page(
    path: Path,
    title: str,
    subtitle: str,
    found: Audit,
    model: SoftmaxRegression | None,
    *,
    numbers: NDArray[np.int64],
    places: NDArray[np.int64] | None = None,
    feature_names: Sequence[str] | None = None,
    table: pa.Table | None = None,
    training: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    images: NDArray[np.floating] | None = None,
    columns: Sequence[tuple[str, str, str]] = (),
    warnings: Sequence[str] = (),
    point: OperatingPoint | None = None,
    tried: StrengthPath | None = None,
    learned: ColumnAnalysis | None = None,
    why: RowExplainer | None = None,
    provenance: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the report on audited rows.

    `numbers` (n,) are the numbers of these rows in the input, from 1. Their cells are the rows `places` (n,), counted
    from 0, of `table` (all of its rows where None), and their pictures are in `images` (n, h, w). `training` are the
    places in `table` and the codes of the rows of the fit, from which the information of columns is estimated; without
    it, from the audited rows. `feature_names` (d,) are those of the weights. `model` is None where the probabilities
    came from a file; `point` is what decisions at one's costs lead to; `tried` shows how the strength was chosen,
    `learned` what columns add and what moves the probability, `why` what rows were predicted by; `provenance` are the
    lines of the footer.
    """
    places = np.arange(found.rows) if places is None else places
    rows_at = _shower(found, numbers, places, _Shown(table, images, why))
    doubts = _doubts(found)
    data = ReportData(
        title,
        found,
        subtitle=subtitle,
        feature_names=feature_names,
        image_shape=None if images is None else (images.shape[1], images.shape[2]),
        least_surprising=rows_at(found.least_surprising),
        most_surprising=rows_at(found.most_surprising),
        columns=columns,
        warnings=warnings,
        doubtful=rows_at(doubts.places, p_wrong=doubts.p_wrong, suggested=doubts.suggested),
        expected_wrong=doubts.expected,
        operating=point,
        trained=model is not None,
        path=tried,
        provenance=provenance,
        **_rows_and_columns(table, places, columns, found, training),
        **({} if model is None else _of_the_fit(model)),
        **({} if learned is None else vars(learned)),
    )
    write_report(path, data)


@dataclass(frozen=True)
class _Shown:
    """What the page may show of a row beside its probabilities: cells, a picture, and what it was predicted by."""

    table: pa.Table | None
    images: NDArray[np.floating] | None
    why: RowExplainer | None


def _shower(found: Audit, numbers: NDArray[np.int64], places: NDArray[np.int64], shown: _Shown) -> Callable[..., Any]:
    """A function from positions among the audited rows to what the page shows of them."""

    def rows_at(at: NDArray[np.int64], **more: Any) -> Any:
        cells = None if shown.table is None else cell_dicts(shown.table, places[at])
        if cells is not None and shown.why is not None:
            cells = [{WHY: told, **cell} for told, cell in zip(shown.why(places[at]), cells, strict=True)]
        pictures = None if shown.images is None else shown.images[at]
        return show_rows(found, at, numbers=numbers, cells=cells, images=pictures, **more)

    return rows_at


def _of_the_fit(model: SoftmaxRegression) -> dict[str, Any]:
    """What the page tells of a fitted model: how near the optimum it came, and its weights."""
    solution: Solution | None = getattr(model, "solution_", None)
    told: dict[str, Any] = {"results": _results(model, solution), "coef": model.coef_, "gap_name": "estimated gap"}
    if solution:
        told["certificate"] = f"The fit: {certificate_text(solution)}."
        told["history"] = [replace(record, gap=max(record.gap, MIN_SHOWN_GAP)) for record in solution.history]
    return told


@dataclass(frozen=True)
class _Doubts:
    """The rows (k,) whose labels are shown as doubtful, why, and how many there may be in all."""

    places: NDArray[np.int64]
    p_wrong: NDArray[np.float64]
    suggested: NDArray[np.int64]
    expected: float | None


def _doubts(found: Audit) -> _Doubts:
    nobody = np.zeros(0, dtype=np.int64)
    if found.rows < MIN_ROWS:
        return _Doubts(nobody, np.zeros(0), nobody, None)
    labels = label_audit(found.P, found.codes, range(len(found.classes)))
    first = labels.order[:MAX_SUSPICIOUS]
    first = first[labels.suspicion[first] >= MIN_SUSPICION]
    return _Doubts(first, labels.suspicion[first], labels.suggested[first], labels.expected_wrong)


def _results(model: SoftmaxRegression, solution: Solution | None) -> tuple[tuple[str, str, str], ...]:
    penalty = f"of the {model.penalty} penalty" if model.penalty else "no penalty"
    passes = f"{solution.passes:,}" if solution else "–"
    return (
        ("strength", f"{model.strength:.3g}", penalty),
        ("passes over the data", passes, "the training rows, until the fit ended"),
    )


def _rows_and_columns(
    table: pa.Table | None,
    places: NDArray[np.int64],
    columns: Sequence[tuple[str, str, str]],
    found: Audit,
    training: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
) -> dict[str, Any]:
    """The training rows of each class, the information of columns, their curves and their missing values."""
    told = _information(table, columns, training or (places, found.codes), training is not None)
    if training is not None:
        told["training_rows"] = np.bincount(training[1], minlength=len(found.classes)).tolist()
    if table is not None and columns:
        told["curves"] = column_curves(table, places, columns, found)
        told["missing"] = missing_values(table, columns)
    return told


def _information(
    table: pa.Table | None,
    columns: Sequence[tuple[str, str, str]],
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
    trained_on: bool,
) -> dict[str, Any]:
    """The information of each column, and from which rows it is."""
    if table is None:
        return {}
    places, codes = (values[:: -(-len(values) // MAX_ROWS)] for values in rows)
    of = f"{len(places):,} {'training ' if trained_on else ''}rows"
    return {"information": column_informations(table, places, codes, columns), "information_rows": of}


def column_informations(
    table: pa.Table, places: NDArray[np.int64], codes: NDArray[np.int64], columns: Sequence[tuple[str, str, str]]
) -> list[tuple[str, float]]:
    """What each column that the model uses tells of the label alone, in nats; nothing where columns are not known."""
    import pyarrow.compute as pc

    told = []
    for name, kind, _ in columns:
        if kind not in ("number", "boolean", "category") or name not in table.column_names:
            continue
        column = table.column(name).take(places)
        if kind == "number":
            told.append((name, column_information(read_inferred_numbers(name, column), codes)))
        else:
            words = pc.fill_null(as_text(column, name), "")
            told.append((name, column_information(np.asarray(words.to_pylist(), dtype=str), codes)))
    return told


def cell_dicts(table: pa.Table, places: NDArray[np.int64]) -> list[Mapping[str, str]]:
    """The cells of a few rows, counted from 0, as short texts; a missing one is empty."""
    rows = table.take(places)
    cells = [display_texts(column) for column in rows.columns]
    return [
        {name: text[:MAX_TEXT_LENGTH] for name, text in zip(rows.column_names, row, strict=True)}
        for row in zip(*cells, strict=True)
    ]
