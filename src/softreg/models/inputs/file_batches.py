"""Rows of numbers straight from files that are larger than memory, batch by batch."""

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

from softreg import spelling
from softreg.files import PipeCopy, is_pipe
from softreg.models.inputs.batches import BATCH_ROWS, EncodedLabels
from softreg.models.inputs.csv_quotes import QuoteCounter, check_quotes

ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".arrow": "ipc", ".ipc": "ipc",
           ".feather": "ipc"}  # fmt: skip
READ = 1 << 18
"""So many bytes of a column are read from a Parquet file at a time: whole chunks would be a row group in memory."""
TEXT_BLOCK = 8 << 20
"""Bytes of text that are parsed at a time."""


def open_rows(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    target: str | None = None,
    *,
    weight: str | None = None,
    drop: Sequence[str] = (),
) -> FileRows:
    """Rows of numbers in a Parquet, CSV, TSV or Arrow IPC file (or several of one kind), a batch at a time.

    `target` names the column of labels, `weight` that of row weights and `drop` those to leave out; every other column
    is a feature and holds numbers. In CSV and TSV the labels are text, as they are written; booleans that several
    programs wrote (true and True) are "true" and "false". Nothing is read yet but the names of the columns. A pipe,
    which can be read only once, is copied into a temporary file that is removed with the result; without a known
    ending, its first bytes say whether it is Parquet or Arrow, and it is CSV otherwise. Give the result to
    `SoftmaxRegression.fit`, `predict` or `predict_proba`; memory holds a few batches of it.

    Raises `FileNotFoundError` and `ValueError`, which name the file, for one that is missing, damaged or of another
    kind, and for columns that are not there or hold no numbers (`softreg.TableClassifier` takes columns of any kind).

    Example:
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
    copies = {p: PipeCopy(p, ENDINGS) for p in paths if is_pipe(p)}
    rows = _opened([copies[p].path if p in copies else p for p in paths], target, weight, drop)
    finalize(rows, copies.clear)  # which keeps the copies until then
    return rows


def _opened(paths: list[Path], target: str | None, weight: str | None, drop: Sequence[str]) -> FileRows:
    """The rows of these files, after a look at the names and types of their columns."""
    schemas = [_schema(p) for p in paths]
    for p, schema in zip(paths, schemas, strict=True):
        if schema.names != schemas[0].names:
            raise ValueError(f"the columns of {p.name!r} are not those of {paths[0].name!r}; files must have the same.")
    names = schemas[0].names
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None:
        raise ValueError(f"{paths[0].name!r} has two columns {twice!r}; rename one.")
    for name in (target, weight, *drop):
        if name is not None and name not in names:
            raise ValueError(f"{paths[0].name!r} has no column {name!r}; there are {', '.join(map(repr, names[:10]))}.")
    apart = {target, weight, *drop}
    rows = FileRows(tuple(paths), tuple(n for n in names if n not in apart), target, weight)
    rows.check_numbers(schemas[0])
    return rows


@dataclass(frozen=True)
class FileRows:
    """Batches `(X, labels, weights)` of the rows in files; each `iter` begins anew."""

    paths: tuple[Path, ...]
    features: tuple[str, ...]
    target: str | None
    weight: str | None

    @property
    def n_rows(self) -> int | None:
        """How many rows there are, where the files say so (Parquet)."""
        counts = [pq.ParquetFile(p).metadata.num_rows if _kind(p) == "parquet" else None for p in self.paths]
        return None if None in counts else sum(c for c in counts if c is not None)

    def check_numbers(self, schema: Any) -> None:
        """Raise `ValueError` for a feature that holds no numbers. Columns of other kinds get their encoder here."""
        for name in self.features:
            kind = schema.field(name).type
            if not _is_number(kind) and _kind(self.paths[0]) != "csv":
                raise ValueError(
                    f"the column {name!r} of {self.paths[0].name!r} holds {kind}, not numbers. Leave it out with "
                    "drop=[...], or use softreg.TableClassifier, which takes columns of mixed kinds."
                )
        if not self.features:
            raise ValueError(f"{self.paths[0].name!r} has no column left to learn from.")

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for path in self.paths:
            try:
                for batch in _ahead(self._read(path)):
                    if batch.num_rows:
                        yield self._parts(batch)
            except (pa.ArrowException, OSError, OverflowError, MemoryError) as error:  # Arrow raises all of them
                words = str(error).strip().split("\n")[0]
                raise ValueError(f"{path.name!r} cannot be read to its end: {words}") from error

    def _parts(self, batch: Any) -> tuple[Any, ...]:
        X = _as_numbers(batch.select(list(self.features)))
        if self.target is None:
            return (X,)
        labels = batch.column(self.target)
        kind = labels.type.value_type if pa.types.is_dictionary(labels.type) else labels.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            labels = _coded(labels)
        elif pa.types.is_dictionary(labels.type):
            labels = labels.cast(kind)
        return (X, labels) if self.weight is None else (X, labels, batch.column(self.weight))

    def _read(self, path: Path) -> Iterator[Any]:
        """Record batches of the columns that are wanted."""
        wanted = [name for name in (*self.features, self.target, self.weight) if name is not None]
        kind = _kind(path)
        if kind == "parquet":
            with pq.ParquetFile(path, buffer_size=READ, pre_buffer=False, page_checksum_verification=True) as file:
                yield from map(_valid, file.iter_batches(batch_size=BATCH_ROWS, columns=wanted))
        elif kind == "csv":
            numbers = {name: pa.float64() for name in wanted if name != self.target}
            text = {} if self.target is None else {self.target: pa.string()}
            convert = pc.ConvertOptions(column_types=numbers | text, include_columns=wanted, strings_can_be_null=False)
            with _text(path) as watch:
                yield from _open_text(watch, path, convert)
        else:
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
                for k in range(file.num_record_batches):
                    yield _valid(file.get_batch(k).select(wanted))


def _valid(batch: Any) -> Any:
    """The batch, whose offsets, indices and text are valid; a damaged file may hold others, which end the process."""
    batch.validate(full=True)
    return batch


def _is_number(kind: Any) -> bool:
    """Whether values of an Arrow type are numbers or booleans."""
    if pa.types.is_dictionary(kind):
        return _is_number(kind.value_type)
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def _as_numbers(batch: Any) -> Any:
    """The batch with decimals and dictionaries of numbers as float64."""
    columns = []
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and _is_number(column.type.value_type):
            column = column.cast(column.type.value_type)
        columns.append(column.cast(pa.float64(), safe=False) if pa.types.is_decimal(column.type) else column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _coded(labels: Any) -> EncodedLabels:
    """Labels of text, each once, and the code of each row; -1 where it is null or blank."""
    encoded = spelling.encode_as_text(labels)
    values = encoded.dictionary.to_pylist()
    places = np.array([k if value.strip() else -1 for k, value in enumerate(values)] + [-1])
    return EncodedLabels(values, places[encoded.indices.fill_null(len(values)).to_numpy()])


def _kind(path: Path) -> str:
    kind = ENDINGS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path.name!r} ends in none of {', '.join(ENDINGS)}, so it is not known how to read it.")
    return kind


def _schema(path: Path) -> Any:
    """Names and types of the columns; those of text are what its beginning looks like."""
    kind = _kind(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    try:
        if kind == "parquet":
            return pq.read_schema(path)
        if kind == "csv":
            with _text(path, whole=False) as watch:
                return _open_text(watch, path, None).schema
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
            return file.schema
    except (pa.ArrowException, OSError, UnicodeError) as error:
        words = str(error).strip().split("\n")[0]
        raise ValueError(f"{path.name!r} is no whole {path.suffix[1:].upper()} file: {words}") from error


@contextmanager
def _text(path: Path, *, whole: bool = True) -> Iterator[QuoteCounter]:
    """The bytes of a CSV file; a quote left open is an error with its line.

    It is looked for where the file cannot be parsed, and at the end where it was read as a `whole`.
    """
    watch = QuoteCounter(path)
    try:
        yield watch
    except pa.ArrowException:
        check_quotes(path, _delimiter(path))
        raise
    finally:
        watch.close()
    if whole and watch.odd:
        check_quotes(path, _delimiter(path))


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _open_text(watch: QuoteCounter, path: Path, convert: Any) -> Any:
    options = pc.ParseOptions(delimiter=_delimiter(path))
    return pc.open_csv(
        pa.PythonFile(watch, mode="r"), pc.ReadOptions(block_size=TEXT_BLOCK), options, convert or pc.ConvertOptions()
    )


def _ahead(items: Iterator[Any]) -> Iterator[Any]:
    """The items, of which a thread makes the next one while one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="softreg-read") as reader:
        coming = reader.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = reader.submit(next, items, None)
            yield item
