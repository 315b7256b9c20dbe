"""From a fitted model and an audit to a report: which rows, weights and remarks stand on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from softreg.cli.console import LEAST_GAP
from softreg.cli.figures import certificate
from softreg.optimize import Solution
from softreg.report import Audit, ReportData, show_rows, write_report

if TYPE_CHECKING:
    import pyarrow as pa

    from softreg.models import Path as StrengthPath
    from softreg.models import SoftmaxRegression

SHOWN_TEXT = 200  # characters of a cell


def write_page(
    path: Path,
    title: str,
    subtitle: str,
    found: Audit,
    model: SoftmaxRegression,
    *,
    numbers: NDArray[np.int64],
    feature_names: Sequence[str] | None = None,
    table: pa.Table | None = None,
    images: NDArray[np.floating] | None = None,
    columns: Sequence[tuple[str, str, str]] = (),
    warnings: Sequence[str] = (),
    tried: StrengthPath | None = None,
) -> None:
    """Write the report on audited rows.

    `numbers` (n,) are the numbers of these rows in the file, from 1; their cells stand in `table`, the whole
    file, or their pictures in `images` (n, h, w). `feature_names` (d,) are those of the weights; `tried` shows how
    the strength was chosen.
    """
    solution: Solution | None = getattr(model, "solution_", None)

    def rows_at(places: NDArray[np.int64]) -> Any:
        cells = None if table is None else texts(table, numbers[places] - 1)
        pictures = None if images is None else images[places]
        return show_rows(found, places, numbers=numbers, cells=cells, images=pictures)

    history = [replace(r, gap=max(r.gap, LEAST_GAP)) for r in solution.history] if solution else []
    passes = ("passes", f"{solution.passes:,}" if solution else "–", "over the training rows, until the fit ended")
    strength = ("strength", f"{model.strength:g}", f"of the {model.penalty} penalty" if model.penalty else "no penalty")
    data = ReportData(
        title,
        found,
        subtitle=subtitle,
        certificate=f"The fit {certificate(solution)}." if solution else "",
        results=(strength, passes),
        history=history,
        gap_name="estimated gap",
        coef=model.coef_,
        feature_names=feature_names,
        image_shape=None if images is None else (images.shape[1], images.shape[2]),
        least_surprising=rows_at(found.least_surprising),
        most_surprising=rows_at(found.most_surprising),
        columns=columns,
        warnings=warnings,
        path=tried,
    )
    write_report(path, data)


def texts(table: pa.Table, places: NDArray[np.int64]) -> list[Mapping[str, str]]:
    """The cells of a few rows, counted from 0, as short texts; a missing one is empty."""
    rows = table.take(places).to_pylist()
    return [{name: "" if v is None else str(v)[:SHOWN_TEXT] for name, v in row.items()} for row in rows]
