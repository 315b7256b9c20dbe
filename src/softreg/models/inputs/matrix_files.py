"""Rows of numbers from files that may be larger than memory, batch by batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import finalize

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from softreg import value_text
from softreg.atomic_files import PipeCopy, is_pipe
from softreg.csv_quotes import QuoteCounter, check_quotes
from softreg.models.inputs.batches import BATCH_ROWS, EncodedLabels

FORMAT_OF_SUFFIX = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".arrow": "ipc",
                    ".ipc": "ipc", ".feather": "ipc"}  # fmt: skip
"""Format of a file by its suffix."""
PARQUET_BUFFER = 1 << 18
"""Bytes of a Parquet column that are read at a time; whole column chunks would hold a row group in memory."""
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

    `SoftmaxRegression.fit`, `predict` and `predict_proba` accept the result; memory holds a few batches of it. Only the
    names and types of the columns are read at first.

    Parameters
    ----------
    path : path or sequence of paths
        The file, or several files of one format with the same columns. A pipe is copied into a temporary file that is
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
    copies = {p: PipeCopy(p, FORMAT_OF_SUFFIX) for p in paths if is_pipe(p)}
    rows = _open_files([copies[p].path if p in copies else p for p in paths], target, weight, drop)
    finalize(rows, copies.clear)  # the finalizer holds the copies as long as the rows exist
    return rows


def _open_files(paths: list[Path], target: str | None, weight: str | None, drop: Sequence[str]) -> FileRows:
    """Return the rows of these files after checking the names and types of their columns."""
    schemas = [_read_schema(p) for p in paths]
    for p, schema in zip(paths, schemas, strict=True):
        if schema.names != schemas[0].names:
            raise ValueError(f"the columns of {p.name!r} are not those of {paths[0].name!r}; files must have the same.")
    names = schemas[0].names
    duplicate = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if duplicate is not None:
        raise ValueError(f"{paths[0].name!r} has two columns {duplicate!r}; rename one.")
    for name in (target, weight, *drop):
        if name is not None and name not in names:
            known = ", ".join(map(repr, names[:MAX_LISTED]))
            raise ValueError(f"{paths[0].name!r} has no column {name!r}; there are {known}.")
    not_features = {target, weight, *drop}
    rows = FileRows(tuple(paths), tuple(n for n in names if n not in not_features), target, weight)
    rows.check_numbers(schemas[0])
    return rows


@dataclass(frozen=True)
class FileRows:
    """Batches `(X, labels, weights)` of the rows in files; each iteration reads the files again.

    Parameters
    ----------
    paths : tuple of Path
        The files.
    features : tuple of str
        Columns that are features.
    target, weight : str or None
        Columns of the labels and of the row weights.
    """

    paths: tuple[Path, ...]
    features: tuple[str, ...]
    target: str | None
    weight: str | None

    @property
    def n_rows(self) -> int | None:
        """Number of rows; None unless all files are Parquet, which state it."""
        counts = [pq.ParquetFile(p).metadata.num_rows if _file_format(p) == "parquet" else None for p in self.paths]
        return None if None in counts else sum(c for c in counts if c is not None)

    def check_numbers(self, schema: pa.Schema) -> None:
        """Raise `ValueError` for a feature that does not hold numbers, or if there is no feature."""
        for name in self.features:
            kind = schema.field(name).type
            if not _is_number(kind) and _file_format(self.paths[0]) != "csv":
                raise ValueError(
                    f"the column {name!r} of {self.paths[0].name!r} holds {kind}, not numbers. Leave it out with "
                    "drop=[...], or use softreg.TableClassifier, which takes columns of mixed kinds."
                )
        if not self.features:
            raise ValueError(f"{self.paths[0].name!r} has no column left as a feature.")

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for path in self.paths:
            try:
                for batch in _read_ahead(self._read(path)):
                    if batch.num_rows:
                        yield self._split(batch)
            except (pa.ArrowException, OSError, OverflowError, MemoryError) as error:  # Arrow raises all of them
                reason = str(error).strip().split("\n")[0]
                raise ValueError(f"{path.name!r} cannot be read to its end: {reason}") from error

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

    def _read(self, path: Path) -> Iterator[pa.RecordBatch]:
        """Yield record batches of the features, the target and the weights."""
        columns = [name for name in (*self.features, self.target, self.weight) if name is not None]
        file_format = _file_format(path)
        if file_format == "parquet":
            with pq.ParquetFile(
                path, buffer_size=PARQUET_BUFFER, pre_buffer=False, page_checksum_verification=True
            ) as file:
                yield from map(_validate, file.iter_batches(batch_size=BATCH_ROWS, columns=columns))
        elif file_format == "csv":
            numbers = {name: pa.float64() for name in columns if name != self.target}
            text = {} if self.target is None else {self.target: pa.string()}
            convert = pc.ConvertOptions(column_types=numbers | text, include_columns=columns, strings_can_be_null=False)
            with _open_csv_bytes(path) as quotes:
                yield from _open_csv(quotes, path, convert)
        else:
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
                for k in range(file.num_record_batches):
                    yield _validate(file.get_batch(k).select(columns))


def _validate(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch after checking offsets, indices and text; invalid ones of a damaged file crash the process."""
    batch.validate(full=True)
    return batch


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


def _file_format(path: Path) -> str:
    """Return "parquet", "csv" or "ipc"; raise `ValueError` for another suffix."""
    file_format = FORMAT_OF_SUFFIX.get(path.suffix.lower())
    if file_format is None:
        raise ValueError(f"{path.name!r} ends in none of {', '.join(FORMAT_OF_SUFFIX)}, so its format is unknown.")
    return file_format


def _read_schema(path: Path) -> pa.Schema:
    """Return names and types of the columns; types in CSV are inferred from its first block."""
    file_format = _file_format(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    try:
        if file_format == "parquet":
            return pq.read_schema(path)
        if file_format == "csv":
            with _open_csv_bytes(path, whole=False) as quotes:
                return _open_csv(quotes, path, None).schema
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            return file.schema
    except (pa.ArrowException, OSError, UnicodeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"{path.name!r} is not a complete {path.suffix[1:].upper()} file: {reason}") from error


@contextmanager
def _open_csv_bytes(path: Path, *, whole: bool = True) -> Iterator[QuoteCounter]:
    """Open the bytes of a CSV file; look for an unclosed quote if it cannot be parsed or was read as a `whole`."""
    quotes = QuoteCounter(path)
    try:
        yield quotes
    except pa.ArrowException:
        check_quotes(path, _delimiter(path))
        raise
    finally:
        quotes.close()
    if whole and quotes.has_odd_line:
        check_quotes(path, _delimiter(path))


def _delimiter(path: Path) -> str:
    """Return the character between fields."""
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _open_csv(quotes: QuoteCounter, path: Path, convert: pc.ConvertOptions | None) -> pc.CSVStreamingReader:
    """Return a reader of record batches."""
    return pc.open_csv(
        pa.PythonFile(quotes, mode="r"),
        pc.ReadOptions(block_size=CSV_BLOCK),
        pc.ParseOptions(delimiter=_delimiter(path)),
        convert or pc.ConvertOptions(),
    )


def _read_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield batches, the next of which a thread reads while one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="softreg-read") as reader:
        following = reader.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = reader.submit(next, batches, None)
            yield batch
