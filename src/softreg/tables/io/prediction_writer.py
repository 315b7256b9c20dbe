"""Predictions to a file or to bytes: a column for the label, and one for each class."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import ArrayLike

from softreg.files import atomic_path
from softreg.tables.columns import arrow_numpy as arrays
from softreg.tables.columns.errors import TableError, quote
from softreg.tables.io.file_formats import PARQUET_ENDINGS

LABEL, ROW = "prediction", "row"
ARROW_FILES = (".arrow", ".feather")


def prediction_table(
    classes: Sequence[str] | ArrayLike,
    P: ArrayLike,
    predicted: Sequence[str] | ArrayLike,
    rows: ArrayLike | None = None,
) -> pa.Table:
    """A table of predictions: first the label predicted, then the probability of each class under its name.

    The first column is called `prediction`; if a class has that name, an underscore is added to the column's
    (`prediction_`), and another while that, too, is a class. `P` is (n, q), `predicted` (n,). With `rows` (n,), the
    numbers of the rows in the input, a column `row` of them comes first, by the same rule for its name.

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
    columns = [arrays.string_array(words), *map(arrays.number_array, P.T)]
    if rows is None:
        return pa.table(columns, names=[_free(LABEL, names), *names])
    numbers = arrays.number_array(np.asarray(rows, dtype=np.int64))
    return pa.table([numbers, *columns], names=[_free(ROW, names), _free(LABEL, names), *names])


def _free(name: str, taken: Sequence[str]) -> str:
    """The name, with as many underscores behind it as make it differ from the names of the classes."""
    while name in taken:
        name += "_"
    return name


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


@contextmanager
def writing_predictions(
    path: str | os.PathLike[str],
    classes: Sequence[str] | ArrayLike,
    *,
    rows: bool = False,
    kept: pa.Schema | None = None,
) -> Iterator[Callable[..., None]]:
    """Give a function that writes the probabilities (n, q) of the next rows, with the most likely label of each.

    With `rows`, the function takes the numbers (n,) of the rows in the input, too, which become a first column `row`.
    With `kept`, it takes a table `kept` of these columns of the input, which are written ahead of the others; where
    another column has the name of one, underscores are added to it. It takes `predicted`, the codes (n,) of the labels
    to write, where they are not the most likely ones.

    CSV for `.csv`, tab-separated for `.tsv`, Parquet for `.parquet`, Arrow for `.arrow` and `.feather`. The file
    appears at the end, whole, or not at all.

    Raises `TableError` for another ending, and for a folder that is not there.

    Example:
        >>> with writing_predictions("p.csv", ["no", "yes"]) as write:
        ...     write([[0.75, 0.25]])
        ...     write([[0.5, 0.5]])
        >>> print(Path("p.csv").read_text())
        "prediction","no","yes"
        "no",0.75,0.25
        "no",0.5,0.5
        <BLANKLINE>
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in (".csv", ".tsv", *PARQUET_ENDINGS, *ARROW_FILES):
        raise TableError(
            f"Predictions cannot be written to {quote(path)}: its ending says neither CSV nor Parquet. Name "
            "it something.csv, something.tsv or something.parquet."
        )
    if not path.absolute().parent.is_dir():
        raise TableError(f"The folder {str(path.parent)!r} does not exist, so {path.name!r} cannot be written there.")
    if path.is_dir():
        raise TableError(f"{str(path)!r} is a folder; name a file to write the predictions to.")
    with atomic_path(path) as draft, prediction_sink(str(draft), classes, ending, rows=rows, kept=kept) as write:
        yield write


@contextmanager
def prediction_sink(
    sink: Any,
    classes: Sequence[str] | ArrayLike,
    ending: str = ".csv",
    *,
    rows: bool = False,
    kept: pa.Schema | None = None,
) -> Iterator[Callable[..., None]]:
    """The same as `writing_predictions` for a path or an open binary file, which is written to at once.

    The form is the one that the ending says.
    """
    schema = prediction_table(classes, np.zeros((0, len(np.asarray(classes)))), [], [] if rows else None).schema
    for one in reversed(kept or []):
        schema = schema.insert(0, one.with_name(_free(one.name, schema.names)))
    before = rows + len(kept or [])
    words = arrays.string_array([str(word) for word in np.asarray(classes).tolist()])
    writer: Any
    if ending in PARQUET_ENDINGS:
        import pyarrow.parquet as pq

        numbers = schema.names[1 + before :]  # probabilities hardly repeat: no dictionary or compression pays
        writer = pq.ParquetWriter(
            sink, schema, use_dictionary=[schema.names[before]], compression=dict.fromkeys(numbers, "NONE")
        )
    elif ending in ARROW_FILES:
        writer = pa.ipc.new_file(sink, schema)
    else:
        writer = pa_csv.CSVWriter(
            sink, schema, write_options=pa_csv.WriteOptions(delimiter="\t" if ending == ".tsv" else ",")
        )

    def write(P: ArrayLike, numbers: ArrayLike | None = None, *, kept: Any = None, predicted: Any = None) -> None:
        P = np.asarray(P, dtype=np.float64)
        if P.ndim != 2 or P.shape[1] != len(words):
            raise ValueError(f"P is {P.shape}; expected a column for each of {len(words)} classes")
        codes = P.argmax(axis=1) if predicted is None else predicted
        columns = [words.take(arrays.number_array(codes)), *map(arrays.number_array, P.T)]
        if rows:
            columns.insert(0, arrays.number_array(np.asarray(numbers, dtype=np.int64)))
        if kept is not None:
            columns = [*kept.columns, *columns]
        writer.write_table(pa.Table.from_arrays(columns, schema=schema))

    with writer:
        yield write


def write_predictions(
    path: str | os.PathLike[str],
    classes: Sequence[str] | ArrayLike,
    P: ArrayLike,
    predicted: Sequence[str] | ArrayLike,
) -> None:
    """Write the table of predictions, whole or not at all; endings and errors are those of `writing_predictions`.

    Example:
        >>> write_predictions("p.xlsx", ["no", "yes"], [[0.75, 0.25]], ["no"])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        softreg.tables.columns.errors.TableError: Predictions cannot be written to 'p.xlsx': ...
    """
    prediction_table(classes, P, predicted)  # shapes that do not fit together are refused
    with writing_predictions(path, classes) as write:
        write(P)
