"""Rows of numbers from files that may be larger than memory, batch by batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from weakref import finalize

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from softreg import value_text
from softreg.files.formats import (
    ARROW_ENDINGS,
    FORMAT_NAMES,
    PARQUET_ENDINGS,
    TEXT_ENDINGS,
    DataFile,
    detect_file,
    format_ending,
)
from softreg.files.prefetch import prefetch
from softreg.files.streams import open_bytes
from softreg.files.temporary_copies import PipeCopy, is_pipe
from softreg.files.typed_files import READ_ERRORS, arrow_batches, open_arrow, open_parquet, parquet_batches
from softreg.files.unclosed_quotes import QuoteCounter, check_quotes
from softreg.models.inputs.batches import BATCH_ROWS, EncodedLabels

TYPED = ("parquet", "arrow")
"""Formats whose columns have types."""
DELIMITERS = {"csv": ",", "tsv": "\t"}
"""Character between the fields of each format of text."""
BATCHES_AHEAD = 1
"""Batches that are read in advance; more would take more memory."""
CSV_BLOCK = 8 << 20
"""Bytes of CSV that are parsed at a time."""
MAX_LISTED = 10
"""Columns that a message lists."""


def open_rows(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    target: str | None = None,
    *,
    weight: str | None = None,
    drop: Sequence[str] = (),
) -> FileRows:
    """Open rows of numbers in a Parquet, CSV, TSV or Arrow IPC file, which are read a batch at a time.

    The first bytes and the ending of a file decide on its format, as in `open_table`; a file that is compressed with
    gzip, zstd or bz2 is decompressed while it is read, and one of Parquet in memory.

    `SoftmaxRegression.fit`, `predict` and `predict_proba` accept the result; memory holds a few batches of it. Only the
    names and types of the columns are read at first.

    Parameters
    ----------
    path : path or sequence of paths
        The file, or several files with the same columns. A pipe is copied into a temporary file that is
        removed with the result; if its name has no known suffix, its first bytes decide between Parquet, Arrow and CSV.
    target : str, optional
        Column of the labels. In CSV and TSV labels are text as written, except that booleans in several spellings
        (true and True) become "true" and "false".
    weight : str, optional
        Column of the row weights.
    drop : sequence of str
        Columns to leave out. Every other column is a feature and holds numbers.

    Returns
    -------
    FileRows
        An iterable of batches; each iteration reads the files again.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ValueError
        If a file is damaged or of an unknown format, or if a column is missing or does not hold numbers
        (`softreg.TableClassifier` accepts columns of any type). The message names the file.

    Examples
    --------
    >>> import pyarrow.parquet
    >>> table = pa.table({"x": [0.0, 1.0, 2.0, 3.0], "y": ["no", "no", "yes", "yes"]})
    >>> pyarrow.parquet.write_table(table, "small.parquet")
    >>> from softreg import SoftmaxRegression
    >>> rows = open_rows("small.parquet", target="y")
    >>> SoftmaxRegression(0.01).fit(rows).predict(rows).tolist()
    ['no', 'no', 'yes', 'yes']
    """
    paths = [Path(p) for p in ([path] if isinstance(path, (str, os.PathLike)) else path)]
    if not paths:
        raise ValueError("there is no file to open: the list of paths is empty.")
    copies = {p: PipeCopy(p) for p in paths if is_pipe(p)}
    files = [_detect_file(copies[p].path if p in copies else p) for p in paths]
    rows = _open_files(files, target, weight, drop)
    finalize(rows, copies.clear)  # the finalizer holds the copies as long as the rows exist
    return rows


def _open_files(files: list[DataFile], target: str | None, weight: str | None, drop: Sequence[str]) -> FileRows:
    """Return the rows of these files after checking the names and types of their columns."""
    schemas, first = [_read_schema(file) for file in files], files[0].path.name
    for file, schema in zip(files, schemas, strict=True):
        if schema.names != schemas[0].names:
            raise ValueError(f"the columns of {file.path.name!r} are not those of {first!r}; files must have the same.")
    names = schemas[0].names
    duplicate = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if duplicate is not None:
        raise ValueError(f"{first!r} has two columns {duplicate!r}; rename one.")
    for name in (target, weight, *drop):
        if name is not None and name not in names:
            known = ", ".join(map(repr, names[:MAX_LISTED]))
            raise ValueError(f"{first!r} has no column {name!r}; there are {known}.")
    not_features = {target, weight, *drop}
    rows = FileRows(tuple(files), tuple(n for n in names if n not in not_features), target, weight)
    rows.check_numbers(schemas[0])
    return rows


@dataclass(frozen=True)
class FileRows:
    """Batches `(X, labels, weights)` of the rows in files; each iteration reads the files again.

    Parameters
    ----------
    files : tuple of DataFile
        The files.
    features : tuple of str
        Columns that are features.
    target, weight : str or None
        Columns of the labels and of the row weights.
    """

    files: tuple[DataFile, ...]
    features: tuple[str, ...]
    target: str | None
    weight: str | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Paths of the files."""
        return tuple(file.path for file in self.files)

    @property
    def n_rows(self) -> int | None:
        """Number of rows; None unless all files are Parquet, which state it."""
        if any(file.format != "parquet" for file in self.files):
            return None
        return sum(int(open_parquet(file).metadata.num_rows) for file in self.files)

    def check_numbers(self, schema: pa.Schema) -> None:
        """Raise `ValueError` for a feature that does not hold numbers, or if there is no feature."""
        for name in self.features:
            kind = schema.field(name).type
            if not _is_number(kind) and self.files[0].format in TYPED:
                raise ValueError(
                    f"the column {name!r} of {self.paths[0].name!r} holds {kind}, not numbers. Leave it out with "
                    "drop=[...], or use softreg.TableClassifier, which takes columns of mixed kinds."
                )
        if not self.features:
            raise ValueError(f"{self.paths[0].name!r} has no column left as a feature.")

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for file in self.files:
            try:
                for batch in prefetch(partial(self._read, file), BATCHES_AHEAD):
                    if batch.num_rows:
                        yield self._split(batch)
            except (pa.ArrowException, OSError, OverflowError, MemoryError) as error:  # Arrow raises all of them
                raise _unreadable(file, error) from error

    def _split(self, batch: pa.RecordBatch) -> tuple[Any, ...]:
        """Return features, labels and weights of a batch, as far as they were asked for."""
        X = _as_numbers(batch.select(list(self.features)))
        if self.target is None:
            return (X,)
        labels = batch.column(self.target)
        kind = labels.type.value_type if pa.types.is_dictionary(labels.type) else labels.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            labels = _encode_labels(labels)
        elif pa.types.is_dictionary(labels.type):
            labels = labels.cast(kind)
        return (X, labels) if self.weight is None else (X, labels, batch.column(self.weight))

    def _read(self, file: DataFile) -> Iterator[pa.RecordBatch]:
        """Yield record batches of the features, the target and the weights."""
        columns = [name for name in (*self.features, self.target, self.weight) if name is not None]
        if file.format in TYPED:
            parquet = file.format == "parquet"
            try:
                yield from parquet_batches(file, columns, BATCH_ROWS) if parquet else arrow_batches(file, columns)
            except READ_ERRORS as error:
                raise _unreadable(file, error) from error
            return
        numbers = {name: pa.float64() for name in columns if name != self.target}
        text = {} if self.target is None else {self.target: pa.string()}
        convert = pc.ConvertOptions(column_types=numbers | text, include_columns=columns, strings_can_be_null=False)
        with _open_csv_bytes(file) as quotes:
            yield from _open_csv(quotes, file, convert)


def _unreadable(file: DataFile, error: Exception) -> ValueError:
    """Return the error for a file that is damaged behind its first rows."""
    reason = str(error).strip().split("\n")[0]
    return ValueError(f"{file.path.name!r} cannot be read to its end: {reason}")


def _is_number(kind: pa.DataType) -> bool:
    """Return True if values of an Arrow type are numbers or booleans."""
    if pa.types.is_dictionary(kind):
        return _is_number(kind.value_type)
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def _as_numbers(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with decimals and dictionaries of numbers as float64."""
    columns = []
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and _is_number(column.type.value_type):
            column = column.cast(column.type.value_type)
        columns.append(column.cast(pa.float64(), safe=False) if pa.types.is_decimal(column.type) else column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _encode_labels(labels: pa.Array) -> EncodedLabels:
    """Return labels of text as codes; -1 for a null or blank text."""
    encoded = value_text.encode_as_text(labels)
    values = encoded.dictionary.to_pylist()
    codes = np.array([k if value.strip() else -1 for k, value in enumerate(values)] + [-1])
    return EncodedLabels(values, codes[encoded.indices.fill_null(len(values)).to_numpy()])


def _detect_file(path: Path) -> DataFile:
    """Return a file with its format; raise an error if there is none, or if its format is not read."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    file = detect_file(path)
    if file.format not in (*TYPED, *DELIMITERS):
        raise ValueError(
            f"{path.name!r} is a {FORMAT_NAMES[file.format]}, which open_rows does not read; write its numbers as "
            "Parquet, or use softreg.TableClassifier, which reads it."
        )
    if file.format == "csv" and format_ending(path, file.compression) not in TEXT_ENDINGS:
        known = ", ".join((*PARQUET_ENDINGS, *ARROW_ENDINGS, *TEXT_ENDINGS))
        raise ValueError(f"{path.name!r} ends in none of {known}, so its format is unknown.")
    return file


def _read_schema(file: DataFile) -> pa.Schema:
    """Return names and types of the columns; types in CSV are inferred from its first block."""
    damage = READ_ERRORS if file.format in TYPED else (pa.ArrowException, OSError, UnicodeError)
    try:
        if file.format == "parquet":
            return open_parquet(file).schema_arrow
        if file.format == "arrow":
            return open_arrow(file).schema
        with _open_csv_bytes(file, whole=False) as quotes:
            return _open_csv(quotes, file, None).schema
    except damage as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"{file.path.name!r} is not a complete {file.format.upper()} file: {reason}") from error


@contextmanager
def _open_csv_bytes(file: DataFile, *, whole: bool = True) -> Iterator[QuoteCounter]:
    """Open the bytes of a CSV file; look for an unclosed quote if it cannot be parsed or was read as a `whole`."""
    quotes = QuoteCounter(open_bytes(file))
    try:
        yield quotes
    except pa.ArrowException:
        check_quotes(file, DELIMITERS[file.format])
        raise
    finally:
        quotes.close()
    if whole and quotes.has_odd_line:
        check_quotes(file, DELIMITERS[file.format])


def _open_csv(quotes: QuoteCounter, file: DataFile, convert: pc.ConvertOptions | None) -> pc.CSVStreamingReader:
    """Return a reader of record batches."""
    return pc.open_csv(
        pa.PythonFile(quotes, mode="r"),
        pc.ReadOptions(block_size=CSV_BLOCK),
        pc.ParseOptions(delimiter=DELIMITERS[file.format]),
        convert or pc.ConvertOptions(),
    )
