"""Build the report of a command from an audit, a fitted model and a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from softreg.cli.console.aligned_text import MIN_SHOWN_GAP
from softreg.cli.console.result_table import certificate_text
from softreg.cli.report_inputs.column_information import column_informations
from softreg.cli.report_inputs.column_summaries import column_curves, missing_values
from softreg.cli.report_inputs.row_images import RowImages
from softreg.models import label_audit
from softreg.optimize import Solution
from softreg.probability import OperatingPoint
from softreg.report import CONTRIBUTIONS, Audit, GroupSearch, ReportData, ShownRow, show_rows, write_report
from softreg.tables.columns.column_values import display_texts
from softreg.typing import Codes, Float64Array

if TYPE_CHECKING:
    import pyarrow as pa

    from softreg.cli.report_inputs.column_importance import ColumnAnalysis
    from softreg.cli.report_inputs.row_explanations import RowExplainer
    from softreg.models import Path as StrengthPath
    from softreg.models import SoftmaxRegression
    from softreg.tables import TermFunctions

MAX_TEXT_LENGTH = 200
"""Characters of a cell."""
MAX_INFORMATION_ROWS = 100_000
"""Rows from which the information of columns is estimated."""
MIN_LABEL_AUDIT_ROWS = 50
"""Rows from which labels are audited."""
MAX_SUSPICIOUS = 12
"""Rows with suspicious labels that are shown."""
MIN_SUSPICION = 0.2
"""Suspicion score from which a row is shown."""


def write_page(
    path: Path,
    title: str,
    subtitle: str,
    audit: Audit,
    model: SoftmaxRegression | None,
    *,
    numbers: Codes,
    places: Codes | None = None,
    feature_names: Sequence[str] | None = None,
    table: pa.Table | None = None,
    training: tuple[Codes, Codes] | None = None,
    images: RowImages | None = None,
    columns: Sequence[tuple[str, str, str]] = (),
    warnings: Sequence[str] = (),
    point: OperatingPoint | None = None,
    path_of_strengths: StrengthPath | None = None,
    analysis: ColumnAnalysis | None = None,
    explain_rows: RowExplainer | None = None,
    with_coefficients: bool = True,
    provenance: Sequence[tuple[str, str]] = (),
    group_search: GroupSearch | None = None,
    terms: TermFunctions | None = None,
) -> None:
    """Write the report on audited rows.

    Parameters
    ----------
    path : Path
        File of the report.
    title, subtitle : str
        Heading of the page.
    audit : Audit
        Evaluation of n rows.
    model : SoftmaxRegression or None
        The fitted model; None where the probabilities came from a file.
    numbers : array of shape (n,)
        Number of each audited row in the input, from 1.
    places : array of shape (n,), optional
        Index in `table` of each audited row; all rows of the table in order by default.
    feature_names : sequence of str, length d, optional
        Names of the features of the coefficients.
    table : pyarrow.Table, optional
        Table with the audited and the training rows.
    training : (array, array), optional
        Indices in `table` and class codes of the training rows, from which the information of columns is estimated;
        without it, the audited rows are used.
    images : RowImages, optional
        The audited rows as images.
    columns : sequence of (str, str, str)
        Name, kind and reason of the kind of each column.
    warnings : sequence of str
        Warnings about the columns.
    point : OperatingPoint, optional
        Result of decisions at given costs.
    path_of_strengths : Path, optional
        Cross-validation of the strength.
    analysis : ColumnAnalysis, optional
        Importance of columns, effects, odds ratios and tests of linearity.
    explain_rows : RowExplainer, optional
        Function that lists the largest contributions to the predictions of rows of the table.
    with_coefficients : bool
        Whether to show coefficients; those of embeddings, whose columns have no meaning, are left out.
    provenance : sequence of (str, str)
        Lines of the footer.
    group_search : GroupSearch, optional
        Groups that a search found.
    terms : TermFunctions, optional
        Functions of the columns and interactions.
    """
    places = np.arange(audit.rows) if places is None else places
    show = _row_formatter(audit, numbers, places, _RowContent(table, images, explain_rows))
    data = ReportData(
        title,
        audit,
        subtitle,
        feature_names=feature_names,
        image_shape=None if images is None else images.shape,
        columns=columns,
        warnings=warnings,
        operating=point,
        path=path_of_strengths,
        provenance=provenance,
        group_search=group_search,
        terms=terms,
        **_shown_rows(audit, show),
        **_table_content(table, places, columns, audit, training),
        **({"trained": False} if model is None else _fit_content(model, with_coefficients)),
        **({} if analysis is None else vars(analysis)),
    )
    write_report(path, data)


def _shown_rows(audit: Audit, show: Callable[..., tuple[ShownRow, ...]]) -> dict[str, Any]:
    """Return the content on single rows: the most and least surprising, and those whose labels may be wrong."""
    suspicious = _suspicious_labels(audit)
    return {
        "least_surprising": show(audit.least_surprising),
        "most_surprising": show(audit.most_surprising),
        "doubtful": show(suspicious.rows, p_wrong=suspicious.suspicion, suggested=suspicious.suggested),
        "expected_wrong": suspicious.expected,
    }


@dataclass(frozen=True)
class _RowContent:
    """What a report can show of a row beside its probabilities: cells, an image, contributions to its prediction."""

    table: pa.Table | None
    images: RowImages | None
    explain_rows: RowExplainer | None


def _row_formatter(
    audit: Audit, numbers: Codes, places: Codes, content: _RowContent
) -> Callable[..., tuple[ShownRow, ...]]:
    """Return a function from indices among the audited rows to the rows as the report shows them."""

    def show(rows: Codes, **scores: Any) -> tuple[ShownRow, ...]:
        cells = None if content.table is None else cell_texts_of_rows(content.table, places[rows])
        if cells is not None and content.explain_rows is not None:
            explanations = content.explain_rows(places[rows])
            cells = [{CONTRIBUTIONS: text, **cell} for text, cell in zip(explanations, cells, strict=True)]
        images = None if content.images is None else content.images.take(rows)
        return show_rows(audit, rows, numbers=numbers, cells=cells, images=images, **scores)

    return show


def _fit_content(model: SoftmaxRegression, with_coefficients: bool) -> dict[str, Any]:
    """Return the content on a fitted model: certificate, history and coefficients."""
    solution: Solution | None = getattr(model, "solution_", None)
    content: dict[str, Any] = {
        "results": _fit_rows(model, solution),
        "coef": model.coef_ if with_coefficients else None,
        "gap_name": "estimated gap",
    }
    if solution:
        content["certificate"] = f"The fit: {certificate_text(solution)}."
        content["history"] = [replace(record, gap=max(record.gap, MIN_SHOWN_GAP)) for record in solution.history]
    return content


@dataclass(frozen=True)
class _SuspiciousLabels:
    """Rows (k,) with suspicious labels, their scores and suggested classes, and the expected number of wrong labels."""

    rows: Codes
    suspicion: Float64Array
    suggested: Codes
    expected: float | None


def _suspicious_labels(audit: Audit) -> _SuspiciousLabels:
    """Return the rows with the most suspicious labels; none where there are few rows."""
    if audit.rows < MIN_LABEL_AUDIT_ROWS or audit.P is None:  # the label audit needs a matrix (q, q)
        none = np.zeros(0, dtype=np.int64)
        return _SuspiciousLabels(none, np.zeros(0), none, None)
    labels = label_audit(audit.P, audit.codes, range(len(audit.classes)))
    first = labels.order[:MAX_SUSPICIOUS]
    first = first[labels.suspicion[first] >= MIN_SUSPICION]
    return _SuspiciousLabels(first, labels.suspicion[first], labels.suggested[first], labels.expected_wrong)


def _fit_rows(model: SoftmaxRegression, solution: Solution | None) -> tuple[tuple[str, str, str], ...]:
    """Return name, value and meaning of strength and passes."""
    penalty = f"of the {model.penalty} penalty" if model.penalty else "no penalty"
    if model.prior is not None:
        penalty = "no penalty: the weights have a Gaussian prior"
    passes = f"{solution.passes:,}" if solution else "–"
    return (
        ("strength", f"{model.strength:.3g}", penalty),
        ("passes over the data", passes, "passes of the fit over the training rows"),
    )


def _table_content(
    table: pa.Table | None,
    places: Codes,
    columns: Sequence[tuple[str, str, str]],
    audit: Audit,
    training: tuple[Codes, Codes] | None,
) -> dict[str, Any]:
    """Return training rows of each class, and information, curves and missing values of columns."""
    content: dict[str, Any] = {}
    if training is not None:
        content["training_rows"] = np.bincount(training[1], minlength=len(audit.classes)).tolist()
    if table is None:
        return content
    rows, codes = training or (places, audit.codes)
    step = -(-len(rows) // MAX_INFORMATION_ROWS)
    rows, codes = rows[::step], codes[::step]
    content["information"] = column_informations(table, rows, codes, columns)
    content["information_rows"] = f"{len(rows):,} {'' if training is None else 'training '}rows"
    if columns:
        content["curves"] = column_curves(table, places, columns, audit)
        content["missing"] = missing_values(table, columns)
    return content


def cell_texts_of_rows(table: pa.Table, places: Codes) -> list[Mapping[str, str]]:
    """Return the cells of some rows as short texts by column; a missing value is empty."""
    rows = table.take(places)
    cells = [display_texts(column) for column in rows.columns]
    return [
        {name: text[:MAX_TEXT_LENGTH] for name, text in zip(rows.column_names, row, strict=True)}
        for row in zip(*cells, strict=True)
    ]
