"""Rows of data that a report shows: with their cells, or as images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from softreg.report.evaluation.number_format import format_percent, format_surprisal, truncate
from softreg.report.figures.pictures import picture
from softreg.report.figures.svg import grayscale_svg
from softreg.report.page.report_data import ShownRow
from softreg.report.page.table import Table, display_name, left_out_note

MAX_CELLS = 40
"""Columns of the table of rows."""
MAX_SUSPICION = 0.9
"""Suspicion score above which only this limit is shown: of MNIST's labels with scores near 1, some 85% are wrong."""


def row_table(rows: Sequence[ShownRow]) -> Table:
    """Return rows with their cells; columns in which all texts are numbers are aligned to the right."""
    columns = list(dict.fromkeys(column for row in rows for column in row.cells))
    shown = columns[:MAX_CELLS]
    suspicious = any(row.p_wrong is not None for row in rows)
    what = ("suggested label", "suspicion") if suspicious else ("predicted", "probability of observed")
    head = ("row", "observed", *what, "surprisal", *(display_name(column) for column in shown))
    lines = [
        (
            f"{row.index:,}",
            display_name(row.observed),
            display_name(row.predicted),
            format_suspicion(row.p_wrong) if suspicious else format_percent(row.probability),
            row_surprisal(row),
            *(truncate(str(row.cells.get(column, ""))) for column in shown),
        )
        for row in rows
    ]
    numeric = [all(_is_number(line[5 + j]) for line in lines) for j in range(len(shown))]
    note = left_out_note(len(columns), MAX_CELLS, "columns")
    return Table(head, lines, (True, False, False, True, True, *numeric), note)


def row_surprisal(row: ShownRow) -> str:
    """Return the surprisal of the observed label of a row, in nats."""
    return format_surprisal(row.surprisal_bits * float(np.log(2)))


def format_suspicion(suspicion: float | None) -> str:
    """Return a suspicion score in per cent, `MAX_SUSPICION` at most."""
    if suspicion is not None and suspicion > MAX_SUSPICION:
        return f">{MAX_SUSPICION:.0%}"
    return format_percent(suspicion, 0)


def row_images(rows: Sequence[ShownRow]) -> list[tuple[ShownRow, Markup]]:
    """Return the rows that are images, each with its drawing: a picture for bytes, else an SVG."""
    drawn = []
    for row in rows:
        if row.image is not None:
            draw = picture if is_picture(row) else grayscale_svg
            drawn.append((row, draw(row.image, f"Row {row.index}, observed {display_name(row.observed)}")))
    return drawn


def is_picture(row: ShownRow) -> bool:
    """Return whether a row is an image of bytes, which is drawn as a picture."""
    return row.image is not None and row.image.dtype == np.uint8


def _is_number(text: str) -> bool:
    """Return whether a text is empty or reads as a number."""
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
