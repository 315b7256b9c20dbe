"""Probabilities of all classes in the columns of a table, and the labels matched with these columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.canonical_values import names_by_kind
from softreg.cli.console.aligned_text import format_labels, truncate_label
from softreg.cli.console.command_errors import CommandError
from softreg.tables import labels
from softreg.tables.io.prediction_writer import LABEL
from softreg.tables.schema.target_labels import class_codes
from softreg.typing import Float64Array, TextArray

PREDICT_COLUMNS = (LABEL, "row")
"""Columns that `softreg predict` writes beside those of the classes."""
SUM_TOLERANCE = 0.02
"""Largest distance of the sum of a row of probabilities from 1: they may have been written with few digits."""
EQUAL_SUMS = 1e-6
"""Distances of sums from 1 that differ by less are equal."""


@dataclass(frozen=True, eq=False)
class _ColumnSet:
    """Columns that may be the classes, their values (n, q), and the distances (n,) of the sums of rows from 1."""

    names: tuple[str, ...]
    P: Float64Array
    distance: Float64Array

    @property
    def largest(self) -> float:
        """Largest absolute distance."""
        return float(np.abs(self.distance).max())


def labels_by_column(table: pa.Table, target: str) -> TextArray:
    """Return the labels (n,) by the names of the columns of their classes.

    Parameters
    ----------
    table : pyarrow.Table
        Labels and probabilities.
    target : str
        Column of labels.

    Returns
    -------
    array of str of shape (n,)
        Names of columns. Labels match a name exactly, or by the number or boolean that both stand for, as
        `softreg evaluate` matches them with the classes of a model. A label without a column keeps its text.
    """
    observed, unmatched = labels(table, target).astype(object), np.ones(table.num_rows, dtype=bool)
    names = [name for name in table.column_names if name != target]
    for candidates in (names, *names_by_kind(names)):
        codes = class_codes(table, target, candidates)
        matched = unmatched & (codes >= 0)
        observed[matched] = np.array(candidates, dtype=object)[codes[matched]]
        unmatched &= ~matched
        if not unmatched.any():
            break
    return observed.astype(np.str_)


def class_probabilities(table: pa.Table, target: str, observed: TextArray) -> tuple[tuple[str, ...], Float64Array]:
    """Return the classes and their probabilities.

    The columns named like labels are classes. A class that never occurs as a label has a column too, so other columns
    of numbers from 0 to 1 are classes if the rows then sum to 1 at least as exactly as without them. The columns that
    `softreg predict` writes beside the classes are not, unless a label has that name, and columns of zeros are
    not.

    Parameters
    ----------
    table : pyarrow.Table
        Labels and probabilities.
    target : str
        Column of labels.
    observed : array of str of shape (n,)
        Labels by the names of their columns.

    Returns
    -------
    classes : tuple of str
        Names of the q classes.
    P : array of shape (n, q)
        Probabilities; each row sums to 1.

    Raises
    ------
    CommandError
        If a label has no column of probabilities, or rows do not sum to 1.
    """
    occurring = sorted(set(observed.tolist()))
    missing = [label for label in occurring if label not in table.column_names or label == target]
    if missing:
        raise CommandError(
            f"The label {truncate_label(missing[0])!r} in column {target!r} has no column of probabilities; in all, "
            f"{len(missing):,} of {len(occurring):,} labels have none. Each class needs a column with its name, as "
            f"`softreg predict` writes them; for two classes, --score COLUMN names the column of one of them. The file "
            f"has the columns {format_labels(table.column_names)}."
        )
    values = {name: _numbers(table.column(name)) for name in table.column_names if name != target}
    columns = {name: p for name, p in values.items() if p is not None and ((p >= 0) & (p <= 1)).all()}
    for label in occurring:
        if label not in columns:
            raise CommandError(
                f"Column {truncate_label(label)!r} must contain the probabilities of a class, but not all of its "
                "values are numbers from 0 to 1."
            )
    sets = [_column_set(names, columns) for names in _candidates(table.column_names, occurring, columns)]
    limit = min(one.largest for one in sets) + EQUAL_SUMS
    chosen = next(one for one in sets if one.largest <= limit)
    if chosen.largest <= SUM_TOLERANCE:
        return chosen.names, chosen.P / (1 + chosen.distance)[:, None]
    row = int(np.argmax(np.abs(chosen.distance) > SUM_TOLERANCE))
    raise CommandError(
        f"The probabilities of row {row + 1:,} (counted from 1, without the header) sum to "
        f"{1 + chosen.distance[row]:.6g}, not to 1; the columns are {format_labels(chosen.names)}. Is a class missing, "
        "or are these scores and not probabilities?"
    )


def _candidates(
    header: Sequence[str], occurring: Sequence[str], columns: Mapping[str, Float64Array]
) -> list[tuple[str, ...]]:
    """Return sets of columns that may be the classes, the most likely first; each has all labels that occur."""
    prediction = next((name for name in header if name.rstrip("_") == LABEL and name not in occurring), None)
    shares = [
        name
        for name in columns
        if name in occurring or (name not in PREDICT_COLUMNS and name != prediction and columns[name].any())
    ]
    candidates = [tuple(shares), tuple(name for name in header if name in occurring)]
    if prediction is not None:  # `softreg predict` writes the classes directly after its prediction
        after = takewhile(columns.__contains__, header[list(header).index(prediction) + 1 :])
        candidates.insert(0, tuple(name for name in after if name in shares))
    complete = [names for names in dict.fromkeys(candidates) if len(names) > 1 and set(occurring) <= set(names)]
    return complete or [tuple(occurring)]


def _column_set(names: tuple[str, ...], columns: Mapping[str, Float64Array]) -> _ColumnSet:
    """Return columns as a matrix, with the distances of its rows from a sum of 1."""
    P = np.column_stack([columns[name] for name in names])
    return _ColumnSet(names, P, P.sum(axis=1) - 1)


def _numbers(column: pa.ChunkedArray) -> Float64Array | None:
    """Return a column as finite numbers; None where a value is missing or is not a number."""
    try:
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return values if np.isfinite(values).all() else None
