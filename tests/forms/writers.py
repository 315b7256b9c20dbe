"""The forms that the same rows may have: frames, files of types and files of text."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather
import pyarrow.parquet as pq

Make = Callable[[pa.Table, Path, np.random.Generator], Any]


@dataclass(frozen=True)
class Form:
    """A form of a table: `make(table, folder, rng)` gives what `TableClassifier.fit` takes.

    `text` says that types are lost, so that the rows are compared with those of `plain(table)`; `lacks` names the kinds
    of columns that the form cannot carry unchanged, and `no_gaps` those that it cannot carry with missing values.
    """

    make: Make
    text: bool = False
    file: bool = False
    lacks: tuple[str, ...] = ()
    lacks_targets: tuple[str, ...] = ()
    no_gaps: tuple[str, ...] = ()

    @property
    def json(self) -> bool:
        """Numbers and booleans keep their kind in JSON."""
        return self.make.__name__.startswith("json")

    @property
    def csv(self) -> bool:
        return self.text and not self.json


def cuts(n: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Places that cut n rows into a few parts, of which some may be empty."""
    inner = np.sort(rng.integers(0, n + 1, size=int(rng.integers(1, 5))))
    edges = [0, *inner.tolist(), n]
    return list(pairwise(edges))


def halves(table: pa.Table, rng: np.random.Generator) -> list[pa.Table]:
    """Two tables, each with a row at least."""
    at = int(rng.integers(1, table.num_rows))
    return [table.slice(0, at), table.slice(at)]


# --- in memory ---


def arrow(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return table


def arrow_chunks(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    wide = pa.concat_tables([table.slice(0, 3), table, table.slice(0, 2)]).combine_chunks().slice(3, table.num_rows)
    return pa.concat_tables([wide.slice(a, b - a) for a, b in cuts(table.num_rows, rng)])


def arrow_large(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    def wide(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_string(kind):
            return pa.large_string()
        if pa.types.is_list(kind):
            return pa.large_list(wide(kind.value_type))
        if pa.types.is_dictionary(kind):
            return pa.dictionary(pa.int64(), wide(kind.value_type))
        if pa.types.is_decimal(kind):
            return pa.decimal256(40, kind.scale)
        if pa.types.is_timestamp(kind) and kind.unit == "s":
            return pa.timestamp("ms", kind.tz)
        return pa.date64() if pa.types.is_date(kind) else kind

    columns = []
    for column in table.columns:
        kind = wide(column.type)
        if pa.types.is_dictionary(kind):
            columns.append(column.cast(kind.value_type).dictionary_encode().cast(kind))
        else:
            columns.append(column.cast(kind))
    return pa.table(columns, names=table.column_names)


def arrow_small(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    columns = []
    for column in table.columns:
        kinds = [pa.string_view()] if pa.types.is_string(column.type) else []
        if pa.types.is_integer(column.type):
            kinds = [pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.uint64()]
        for kind in kinds:
            try:
                column = column.cast(kind)
                break
            except pa.ArrowInvalid:
                continue
        columns.append(column)
    return pa.table(columns, names=table.column_names)


def arrow_dictionaries(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    """Dictionaries hold values twice and values that no row has; each chunk has one of its own."""
    return _with_dictionaries(table, rng, [])


def arrow_null_in_dictionaries(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    """Some missing values stand in the dictionary, others among the indices."""
    return _with_dictionaries(table, rng, [None])


def _with_dictionaries(table: pa.Table, rng: np.random.Generator, extra: list[Any]) -> pa.Table:
    chunks = []
    for a, b in cuts(table.num_rows, rng):
        part = table.slice(a, b - a)
        for place, column in enumerate(part.columns):
            if pa.types.is_dictionary(column.type):
                levels = column.unify_dictionaries().cast(column.type.value_type).unique().drop_null().to_pylist()
                known = [*levels, *extra, *levels]
                places = [[k for k, level in enumerate(known) if level == v] or [None] for v in column.to_pylist()]
                codes = pa.array([some[int(rng.integers(len(some)))] for some in places], pa.int32())
                words = pa.array(known, column.type.value_type)
                part = part.set_column(place, table.field(place), pa.DictionaryArray.from_arrays(codes, words))
        chunks.append(part)
    return pa.concat_tables([chunk for chunk in chunks if chunk.num_rows])


def pandas(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return table.to_pandas()


def pandas_object(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    frame = table.to_pandas()
    for one in table.schema:
        if pa.types.is_string(one.type) or pa.types.is_boolean(one.type) or pa.types.is_integer(one.type):
            frame[one.name] = pd.Series(table.column(one.name).to_pylist(), dtype=object)
    return frame


def pandas_shuffled_index(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    frame = table.to_pandas()
    frame.index = pd.Index(rng.permutation(len(frame)) + 5, name="old")
    return frame


def pandas_categories(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    """Categories are ordered, stand in another order, and some occur in no row."""
    frame = table.to_pandas()
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            known = frame[name].cat.categories
            extra = ["never", "NA "] if known.dtype.kind not in "iu" else [10**6]
            levels = [*known[::-1], *extra]
            frame[name] = frame[name].cat.set_categories(rng.permutation(np.array(levels, dtype=object)), ordered=True)
    return frame


def pandas_other_names(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    """Names of columns that look like numbers are numbers."""
    return table.to_pandas().rename(columns={"1": 1, "7.0": 7.0})


def pandas_nullable(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    own = {
        pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype(), pa.bool_(): pd.BooleanDtype(),
        pa.string(): pd.StringDtype("pyarrow"), pa.float64(): pd.Float64Dtype(), pa.float32(): pd.Float32Dtype(),
    }  # fmt: skip
    return table.to_pandas(types_mapper=own.get)


def pandas_python_strings(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return table.to_pandas(types_mapper={pa.string(): pd.StringDtype("python")}.get)


def pandas_arrow(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def polars(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return pl.from_arrow(table)


def polars_lazy(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return pl.from_arrow(table).lazy()


# --- files with types ---


def parquet_arrow(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    pq.write_table(table, folder / "t.parquet", row_group_size=int(rng.integers(1, table.num_rows + 1)))
    return folder / "t.parquet"


def parquet_pandas(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    table.to_pandas().to_parquet(folder / "t.parquet")
    return folder / "t.parquet"


def parquet_pandas_filtered(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    frame = table.to_pandas()
    frame.index = pd.Index(np.sort(rng.permutation(2 * len(frame))[: len(frame)]))
    frame.to_parquet(folder / "t.parquet")
    return folder / "t.parquet"


def parquet_two_pandas(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    """Two files, of which one may have floats where the other, without missing values, has integers."""
    for k, part in enumerate(halves(table, rng)):
        part.to_pandas().to_parquet(folder / f"t{k}.parquet", index=False)
    return str(folder / "t*.parquet")


def parquet_polars(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    pl.from_arrow(table).write_parquet(folder / "t.parquet")
    return folder / "t.parquet"


def parquet_two(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    for k, part in enumerate(halves(table, rng)):
        pq.write_table(part, folder / f"t{k}.parquet")
    return str(folder / "t*.parquet")


def parquet_two_dictionary(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    """Two files, whose columns stand in another order and whose integers have another width."""
    first, second = halves(table, rng)
    second = arrow_small(second, folder, rng).select(second.column_names[::-1])
    for k, part in enumerate((first, second)):
        pq.write_table(part, folder / f"t{k}.parquet")
    return str(folder / "t*.parquet")


def feather(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    with pa.ipc.new_file(folder / "t.arrow", table.schema) as sink:
        for a, b in cuts(table.num_rows, rng):
            for batch in table.slice(a, b - a).to_batches():
                sink.write_batch(batch)
    return folder / "t.arrow"


def arrow_stream(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    with pa.ipc.new_stream(folder / "t.arrow", table.schema) as sink:
        for batch in table.to_batches(max_chunksize=int(rng.integers(1, table.num_rows + 1))):
            sink.write_batch(batch)
    return folder / "t.arrow"


# --- files of text ---


def csv_pandas(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}.get).to_csv(
        folder / "t.csv", index=False
    )
    return folder / "t.csv"


def csv_pandas_floats(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    """Whole numbers with gaps become 1.0, 2.0 and an empty field, as pandas makes them."""
    table.to_pandas().to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def csv_two_pandas(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    """Two files, of which one may write 1.0 where the other, without missing values, writes 1."""
    for k, part in enumerate(halves(table, rng)):
        part.to_pandas().to_csv(folder / f"t{k}.csv", index=False)
    return str(folder / "t*.csv")


def csv_arrow(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    pa_csv.write_csv(table, folder / "t.csv")
    return folder / "t.csv"


def rows_of(table: pa.Table) -> list[list[Any]]:
    """The rows as Python's own values; a missing one is an empty text, a nan an empty field."""
    columns = [column.to_pylist() for column in table.columns]
    return [["" if v is None or v != v else v for v in row] for row in zip(*columns, strict=True)]


def csv_module(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return _written(folder / "t.csv", table, quoting=csv.QUOTE_ALL)


def csv_windows(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return _written(folder / "t.csv", table, encoding="utf-8-sig", lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)


def csv_unix(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return _written(folder / "t.csv", table, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)


def tsv(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return _written(folder / "t.tsv", table, delimiter="\t", quoting=csv.QUOTE_ALL)


def csv_utf16(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return _written(folder / "t.csv", table, encoding="utf-16", quoting=csv.QUOTE_ALL)


def csv_two(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    for k, part in enumerate(halves(table, rng)):
        _written(folder / f"t{k}.csv", part, quoting=csv.QUOTE_ALL)
    return str(folder / "t*.csv")


def csv_gz(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    _written(folder / "t.csv", table, quoting=csv.QUOTE_ALL)
    (folder / "t.csv.gz").write_bytes(gzip.compress((folder / "t.csv").read_bytes()))
    return folder / "t.csv.gz"


def _written(path: Path, table: pa.Table, encoding: str = "utf-8", **how: Any) -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, **how).writerows([table.column_names, *rows_of(table)])
    return path


def jsonl(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    return _json(folder / "t.jsonl", table, False)


def jsonl_absent(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    """Keys of missing values are not there, and text is written in ASCII."""
    return _json(folder / "t.jsonl", table, True)


def jsonl_two(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    for k, part in enumerate(halves(table, rng)):
        _json(folder / f"t{k}.jsonl", part, False)
    return str(folder / "t*.jsonl")


def jsonl_polars(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    pl.from_arrow(table).write_ndjson(folder / "t.jsonl")
    return folder / "t.jsonl"


def jsonl_pandas(table: pa.Table, folder: Path, rng: np.random.Generator) -> Any:
    table.to_pandas().to_json(folder / "t.jsonl", orient="records", lines=True, date_format="iso", double_precision=15)
    return folder / "t.jsonl"


def _json(path: Path, table: pa.Table, absent: bool) -> Path:
    rows = [{k: None if v != v else v for k, v in row.items()} for row in table.to_pylist()]
    if absent:
        rows = [{k: v for k, v in row.items() if v is not None} for row in rows]
    lines = [json.dumps(row, ensure_ascii=absent, default=str) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return path


# --- the same rows in other orders ---

LISTS = ("tags", "vector")
CODED = ("integers as categories",)  # dictionaries of anything but text do not survive Parquet and polars
NO_CSV = LISTS
FORMS: dict[str, Form] = {
    "arrow in chunks": Form(arrow_chunks),
    "arrow, large types": Form(arrow_large),
    "arrow, untidy dictionaries": Form(arrow_dictionaries),
    "arrow, null in dictionaries": Form(arrow_null_in_dictionaries),
    "arrow, small types": Form(arrow_small),
    "pandas": Form(pandas, no_gaps=("huge", "uint64")),
    "pandas, objects": Form(pandas_object),
    "pandas, another index": Form(pandas_shuffled_index, no_gaps=("huge", "uint64")),
    "pandas, other categories": Form(pandas_categories, no_gaps=("huge", "uint64")),
    "pandas, numbers as names": Form(pandas_other_names, no_gaps=("huge", "uint64")),
    "pandas, nullable types": Form(pandas_nullable),
    "pandas, strings of Python": Form(pandas_python_strings, no_gaps=("huge", "uint64")),
    "pandas, arrow types": Form(pandas_arrow),
    "polars": Form(polars, lacks=CODED, lacks_targets=CODED),
    "polars, lazy": Form(polars_lazy, lacks=CODED, lacks_targets=CODED),
    "parquet of pyarrow": Form(parquet_arrow, file=True, lacks=CODED, lacks_targets=CODED),
    "parquet of pandas": Form(parquet_pandas, file=True, lacks=CODED, lacks_targets=CODED, no_gaps=("huge", "uint64")),
    "parquet of a filtered frame": Form(
        parquet_pandas_filtered, file=True, lacks=CODED, lacks_targets=CODED, no_gaps=("huge", "uint64")
    ),
    "parquet of polars": Form(parquet_polars, file=True, lacks=CODED, lacks_targets=CODED),
    "two parquet files of pandas": Form(
        parquet_two_pandas, file=True, lacks=CODED, lacks_targets=CODED, no_gaps=("huge", "uint64")
    ),
    "two parquet files": Form(parquet_two, file=True, lacks=CODED, lacks_targets=CODED),
    "two parquet files of other types": Form(parquet_two_dictionary, file=True, lacks=CODED, lacks_targets=CODED),
    "arrow file": Form(feather, file=True),
    "arrow stream": Form(arrow_stream, file=True),
    "csv of pandas": Form(csv_pandas, True, True, NO_CSV),
    "csv of pandas, floats for gaps": Form(csv_pandas_floats, True, True, NO_CSV, no_gaps=("huge", "uint64")),
    "two csv files of pandas": Form(csv_two_pandas, True, True, NO_CSV, no_gaps=("huge", "uint64")),
    "csv of pyarrow": Form(csv_arrow, True, True, (*NO_CSV, "elsewhere")),
    "csv of the csv module": Form(csv_module, True, True, NO_CSV),
    "csv of Windows": Form(csv_windows, True, True, NO_CSV),
    "csv, words quoted": Form(csv_unix, True, True, NO_CSV),
    "tsv": Form(tsv, True, True, NO_CSV),
    "csv in UTF-16": Form(csv_utf16, True, True, NO_CSV),
    "two csv files": Form(csv_two, True, True, NO_CSV),
    "csv.gz": Form(csv_gz, True, True, NO_CSV),
    # Decimals are written as text, and text of a typed table is not read as numbers.
    "json lines": Form(jsonl, True, True, ("uint64", "decimal")),
    "json lines, missing keys": Form(jsonl_absent, True, True, ("uint64", "decimal")),
    "two files of json lines": Form(jsonl_two, True, True, ("uint64", "decimal")),
    "json lines of polars": Form(jsonl_polars, True, True, ("uint64", "elsewhere", "decimal")),
    "json lines of pandas": Form(  # pandas writes at most 15 digits behind the point: 1e-136 is 0; decimals are text
        jsonl_pandas, True, True, ("uint64", "elsewhere", "float32", "float", "nan", "decimal"), no_gaps=("huge",)
    ),
}
