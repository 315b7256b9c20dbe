"""Predictions as a table, a file or CSV bytes: one column for the label and one for each class."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import ArrayLike

from softreg.atomic_files import atomic_path
from softreg.files.formats import PARQUET_ENDINGS
from softreg.tables.columns.arrow_numpy import number_array, string_array
from softreg.tables.columns.table_errors import TableError, quote


class BinaryWriter(Protocol):
    """Binary file open for writing."""

    def write(self, data: bytes, /) -> object:
        """Write some bytes."""


LABEL, ROW = "prediction", "row"
ENDS = ("low", "high")
"""Ends of the names of the limits of intervals."""
ARROW_FILES = (".arrow", ".feather")


def prediction_table(
    classes: Sequence[str] | ArrayLike,
    P: ArrayLike,
    predicted: Sequence[str] | ArrayLike,
    rows: ArrayLike | None = None,
) -> pa.Table:
    """Return a table of predictions: the predicted label, then the probability of each class under its name.

    The first column is named `prediction`; if a class has that name, underscores are appended until it is unique.

    Parameters
    ----------
    classes : array-like (q,)
        Class names.
    P : array-like (n, q)
        Class probabilities.
    predicted : array-like (n,)
        Predicted labels.
    rows : array-like (n,), optional
        Row numbers in the input; they become a first column `row`, renamed by the same rule.

    Returns
    -------
    pa.Table (n, q + 1)
        One more column with `rows`.

    Raises
    ------
    ValueError
        If the shapes do not match.

    Examples
    --------
    >>> prediction_table(["no", "yes"], [[0.75, 0.25]], ["no"]).to_pylist()
    [{'prediction': 'no', 'no': 0.75, 'yes': 0.25}]
    """
    names = [str(name) for name in np.asarray(classes).tolist()]
    P = np.asarray(P, dtype=np.float64)
    labels = [str(label) for label in np.asarray(predicted).tolist()]
    if P.shape != (len(labels), len(names)):
        raise ValueError(
            f"P is {P.shape}; expected {(len(labels), len(names))}: one row for each label, one column for each class"
        )
    columns = [string_array(labels), *map(number_array, P.T)]
    if rows is None:
        return pa.table(columns, names=[unused_name(LABEL, names), *names])
    numbers = number_array(np.asarray(rows, dtype=np.int64))
    return pa.table([numbers, *columns], names=[unused_name(ROW, names), unused_name(LABEL, names), *names])


def unused_name(name: str, taken: Sequence[str]) -> str:
    """Return the name with as many underscores appended as it needs to differ from others.

    Parameters
    ----------
    name : str
        Name of a column.
    taken : sequence of str
        Other names.

    Returns
    -------
    str

    Examples
    --------
    >>> unused_name("row", ["row", "row_"])
    'row__'
    """
    while name in taken:
        name += "_"
    return name


def predictions_csv(
    classes: Sequence[str] | ArrayLike,
    P: ArrayLike,
    predicted: Sequence[str] | ArrayLike,
    delimiter: str = ",",
) -> bytes:
    """Return the table of predictions as CSV in UTF-8; probabilities are read back exactly.

    Parameters
    ----------
    classes : array-like (q,)
        Class names.
    P : array-like (n, q)
        Class probabilities.
    predicted : array-like (n,)
        Predicted labels.
    delimiter : str, default=","
        Delimiter of the fields.

    Returns
    -------
    bytes

    Examples
    --------
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
    intervals: bool = False,
) -> Iterator[Callable[..., None]]:
    """Open a file of predictions and yield a function that writes the predictions of the next rows.

    The ending decides on the format: CSV for `.csv`, tab-separated for `.tsv`, Parquet for `.parquet`, Arrow for
    `.arrow` and `.feather`. The file appears complete at the end, or not at all.

    Parameters
    ----------
    path : str or os.PathLike
        File to write.
    classes : array-like (q,)
        Class names.
    rows : bool, default=False
        Whether the function takes the row numbers (n,) in the input, which become a first column `row`.
    kept : pa.Schema, optional
        Columns of the input that are written first; the function takes a table `kept` of them. Other columns of the
        same name get underscores.
    intervals : bool, default=False
        Whether the function takes the limits of intervals, which become two columns a class behind the others,
        `CLASS_low` and `CLASS_high`, renamed by the same rule.

    Yields
    ------
    callable
        `write(P, numbers=None, *, kept=None, predicted=None, limits=None)` with probabilities P (n, q), if labels other
        than the most likely ones are to be written, their codes `predicted` (n,), and `limits`, two arrays (n, q).

    Raises
    ------
    TableError
        For another ending, or a folder that does not exist.

    Examples
    --------
    >>> with writing_predictions("p.csv", ["no", "yes"]) as write:
    ...     write([[0.75, 0.25]])
    ...     write([[0.5, 0.5]])
    >>> print(Path("p.csv").read_text())
    "prediction","no","yes"
    "no",0.75,0.25
    "no",0.5,0.5
    <BLANKLINE>
    """
    ending = _checked_ending(Path(path))
    with (
        atomic_path(path) as draft,
        prediction_sink(str(draft), classes, ending, rows=rows, kept=kept, intervals=intervals) as write,
    ):
        yield write


@contextmanager
def writing_tables(
    destination: str | os.PathLike[str] | BinaryWriter, schema: pa.Schema
) -> Iterator[Callable[[pa.Table], None]]:
    """Open a file of tables of one schema, and yield a function that writes the next one.

    Parameters
    ----------
    destination : path or binary file
        A path, whose ending decides on the format as in `writing_predictions`, and which appears complete at the end or
        not at all; or an open file, for CSV.
    schema : pyarrow.Schema
        Columns of the tables.

    Yields
    ------
    callable
        Function that writes a table.

    Raises
    ------
    TableError
        For another ending, or a folder that does not exist.

    Examples
    --------
    >>> with writing_tables("p.csv", pa.schema([("rank", pa.int64())])) as write:
    ...     write(pa.table({"rank": [1, 2]}))
    >>> print(Path("p.csv").read_text())
    "rank"
    1
    2
    <BLANKLINE>
    """
    if not isinstance(destination, (str, os.PathLike)):
        with _open_writer(destination, schema, ".csv", len(schema)) as writer:
            yield writer.write_table
        return
    ending = _checked_ending(Path(destination))
    with atomic_path(destination) as draft, _open_writer(str(draft), schema, ending, len(schema)) as writer:
        yield writer.write_table


def _checked_ending(path: Path) -> str:
    """Return the ending of a path that can be written; raise `TableError` for another."""
    ending = path.suffix.lower()
    if ending not in (".csv", ".tsv", *PARQUET_ENDINGS, *ARROW_FILES):
        raise TableError(
            f"Predictions cannot be written to {quote(path)}: supported formats: .csv, .tsv, .parquet, "
            ".pq, .parq, .arrow and .feather."
        )
    if not path.absolute().parent.is_dir():
        raise TableError(f"The folder {str(path.parent)!r} does not exist, so {path.name!r} cannot be written there.")
    if path.is_dir():
        raise TableError(f"{str(path)!r} is a folder; name a file to write the predictions to.")
    return ending


def _open_writer(sink: str | BinaryWriter, schema: pa.Schema, ending: str, label: int) -> Any:
    """Return the Arrow writer of a format; `label` is the position of the column of labels."""
    if ending in PARQUET_ENDINGS:
        import pyarrow.parquet as pq

        # Probabilities rarely repeat: dictionaries and compression do not help.
        uncompressed = dict.fromkeys(schema.names[label + 1 :], "NONE")
        repeated = [one.name for one in schema if pa.types.is_string(one.type)] if label == len(schema) else None
        dictionary = [schema.names[label]] if repeated is None else repeated
        return pq.ParquetWriter(sink, schema, use_dictionary=dictionary, compression=uncompressed or "snappy")
    if ending in ARROW_FILES:
        return pa.ipc.new_file(sink, schema)
    options = pa_csv.WriteOptions(delimiter="\t" if ending == ".tsv" else ",")
    return pa_csv.CSVWriter(sink, schema, write_options=options)


@contextmanager
def prediction_sink(
    sink: str | BinaryWriter,
    classes: Sequence[str] | ArrayLike,
    ending: str = ".csv",
    *,
    rows: bool = False,
    kept: pa.Schema | None = None,
    intervals: bool = False,
) -> Iterator[Callable[..., None]]:
    """Write predictions to a path or an open binary file directly; see `writing_predictions`.

    Parameters
    ----------
    sink : str or binary file
        Destination.
    classes : array-like (q,)
        Class names.
    ending : str, default=".csv"
        Ending that decides on the format.
    rows : bool, default=False
        Whether row numbers are written.
    kept : pa.Schema, optional
        Columns of the input that are written first.
    intervals : bool, default=False
        Whether limits of intervals are written.

    Yields
    ------
    callable
        See `writing_predictions`.

    Raises
    ------
    ValueError
        From the function, if the shape of P does not match the classes.
    """
    schema = prediction_table(classes, np.zeros((0, len(np.asarray(classes)))), [], [] if rows else None).schema
    for name in [f"{name}_{end}" for name in np.asarray(classes).tolist() for end in ENDS] if intervals else []:
        schema = schema.append(pa.field(unused_name(name, schema.names), pa.float64()))
    for kept_field in reversed(kept or []):
        schema = schema.insert(0, kept_field.with_name(unused_name(kept_field.name, schema.names)))
    before = rows + len(kept or [])
    labels = string_array([str(label) for label in np.asarray(classes).tolist()])
    writer = _open_writer(sink, schema, ending, before)

    def write(
        P: ArrayLike,
        numbers: ArrayLike | None = None,
        *,
        kept: pa.Table | None = None,
        predicted: ArrayLike | None = None,
        limits: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> None:
        P = np.asarray(P, dtype=np.float64)
        if P.ndim != 2 or P.shape[1] != len(labels):
            raise ValueError(f"P is {P.shape}; expected a column for each of {len(labels)} classes")
        codes = P.argmax(axis=1) if predicted is None else predicted
        columns = [labels.take(number_array(np.asarray(codes))), *map(number_array, P.T)]
        if limits is not None:  # low and high of the first class, then of the second
            columns += map(number_array, np.stack([np.asarray(end).T for end in limits], axis=1).reshape(-1, len(P)))
        if rows:
            columns.insert(0, number_array(np.asarray(numbers, dtype=np.int64)))
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
    """Write the table of predictions to a file, completely or not at all.

    Parameters
    ----------
    path : str or os.PathLike
        File; its ending decides on the format, see `writing_predictions`.
    classes : array-like (q,)
        Class names.
    P : array-like (n, q)
        Class probabilities.
    predicted : array-like (n,)
        Predicted labels.

    Raises
    ------
    TableError
        For an ending that is not supported, or a folder that does not exist.
    ValueError
        If the shapes do not match.

    Examples
    --------
    >>> write_predictions("p.xlsx", ["no", "yes"], [[0.75, 0.25]], ["no"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    softreg.tables.columns.table_errors.TableError: Predictions cannot be written to 'p.xlsx': ...
    """
    prediction_table(classes, P, predicted)  # checks the shapes
    with writing_predictions(path, classes) as write:
        write(P)
