"""Predictions to a file or to bytes: a column for the label, and one for each class."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from softreg.files import atomic_path
from softreg.tables.errors import TableError, shown
from softreg.tables.sources import PARQUET_ENDINGS

LABEL = "prediction"


def prediction_table(
    classes: Sequence[str] | ArrayLike, P: ArrayLike, predicted: Sequence[str] | ArrayLike
) -> pa.Table:
    """A table of predictions: first the label predicted, then the probability of each class under its name.

    The first column is called `prediction`; if a class has that name, an underscore is added to the column's
    (`prediction_`), and another while that, too, is a class. `P` is (n, q), `predicted` (n,).

    Raises `ValueError` where the shapes do not fit together.

    Example:
        >>> prediction_table(["no", "yes"], [[0.75, 0.25]], ["no"]).to_pylist()
        [{'prediction': 'no', 'no': 0.75, 'yes': 0.25}]
    """
    names = [str(name) for name in np.asarray(classes).tolist()]
    P = np.asarray(P, dtype=np.float64)
    words = [str(word) for word in np.asarray(predicted).tolist()]
    if P.shape != (len(words), len(names)):
        raise ValueError(f"P is {P.shape}; expected {(len(words), len(names))}: a row a label, a column a class")
    first = LABEL
    while first in names:
        first += "_"
    columns = [pa.array(words, pa.large_string()), *(pa.array(np.ascontiguousarray(p)) for p in P.T)]
    return pa.table(columns, names=[first, *names])


def predictions_csv(
    classes: Sequence[str] | ArrayLike,
    P: ArrayLike,
    predicted: Sequence[str] | ArrayLike,
    delimiter: str = ",",
) -> bytes:
    """The table of predictions as CSV in UTF-8; probabilities are written so that they are read back exactly.

    Example:
        >>> print(predictions_csv(["no", "yes"], [[0.75, 0.25]], ["no"]).decode())
        "prediction","no","yes"
        "no",0.75,0.25
        <BLANKLINE>
    """
    sink = io.BytesIO()
    options = pa_csv.WriteOptions(delimiter=delimiter)
    pa_csv.write_csv(prediction_table(classes, P, predicted), sink, options)
    return sink.getvalue()


def write_predictions(
    path: str | os.PathLike[str],
    classes: Sequence[str] | ArrayLike,
    P: ArrayLike,
    predicted: Sequence[str] | ArrayLike,
) -> None:
    """Write the table of predictions: CSV for `.csv`, tab-separated for `.tsv`, Parquet for `.parquet`.

    The file appears whole or not at all.

    Raises `TableError` for another ending, and for a folder that is not there.

    Example:
        >>> write_predictions("p.xlsx", ["no", "yes"], [[0.75, 0.25]], ["no"])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        softreg.tables.errors.TableError: Predictions cannot be written to 'p.xlsx': ...
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (".csv", ".tsv", *PARQUET_ENDINGS):
        raise TableError(
            f"Predictions cannot be written to {shown(path)}: its ending says neither CSV nor Parquet. Name "
            "it something.csv, something.tsv or something.parquet."
        )
    if not path.absolute().parent.is_dir():
        raise TableError(f"The folder {str(path.parent)!r} does not exist, so {path.name!r} cannot be written there.")
    if path.is_dir():
        raise TableError(f"{str(path)!r} is a folder; name a file to write the predictions to.")
    with atomic_path(path) as draft:
        if ending in PARQUET_ENDINGS:
            pq.write_table(prediction_table(classes, P, predicted), draft)
        else:
            draft.write_bytes(predictions_csv(classes, P, predicted, "\t" if ending == ".tsv" else ","))
