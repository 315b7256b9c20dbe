"""Batches that workers read from row groups of Parquet files, with features in columns or in one column of vectors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from softreg.files.typed_files import READ_ERRORS, validated
from softreg.models.inputs.cluster.vector_columns import is_vector, vectors_to_matrix
from softreg.rows.cluster.fragments import FragmentError, modification_record

FRAGMENT_VALUES = 1 << 23
"""Values of the columns from which on row groups of a file are no longer joined: 64 MiB in double precision."""
SPARSE_SHARE = 0.1
"""Share of stored values in a column of vectors below which their rows are a sparse matrix."""
MAX_LISTED = 10
"""Columns that a message lists."""


@dataclass(frozen=True)
class BatchColumns:
    """The columns of a batch.

    Parameters
    ----------
    features : tuple of str
        Columns of numbers; or one column of vectors.
    label : str
        Column of the labels.
    weight : str or None
        Column of the row weights.
    vectors : bool
        Whether `features` is a column of vectors.
    sparse : bool
        Whether vectors become a sparse matrix.
    """

    features: tuple[str, ...]
    label: str
    weight: str | None = None
    vectors: bool = False
    sparse: bool = False

    @property
    def names(self) -> list[str]:
        """Names of all columns."""
        return [*self.features, self.label, *([] if self.weight is None else [self.weight])]

    @classmethod
    def choose(
        cls, schema: pa.Schema, label: str, features: str | Sequence[str] | None = None, weight: str | None = None
    ) -> BatchColumns:
        """Return the columns of a fit.

        Parameters
        ----------
        schema : pyarrow.Schema
            Names and types of all columns.
        label : str
            Column of the labels.
        features : str or sequence of str, optional
            Columns of numbers, or one column of vectors; all columns but label and weight by default.
        weight : str, optional
            Column of the row weights.

        Returns
        -------
        BatchColumns
            The columns.

        Raises
        ------
        ValueError
            If a column is missing, is used twice, or does not hold what it is used for.

        Examples
        --------
        >>> schema = pa.schema([("a", pa.int32()), ("b", pa.float64()), ("y", pa.string())])
        >>> BatchColumns.choose(schema, "y").features
        ('a', 'b')
        """
        if features is None:
            chosen = tuple(name for name in schema.names if name not in (label, weight))
        else:
            chosen = (features,) if isinstance(features, str) else tuple(features)
        columns = cls(chosen, label, weight)
        for name in columns.names:
            if schema.names.count(name) != 1:
                known = ", ".join(map(repr, schema.names[:MAX_LISTED]))
                count = "two columns" if name in schema.names else "no column"
                raise ValueError(f"there is {count} {name!r}; the columns are {known}.".replace("is two", "are two"))
            if columns.names.count(name) > 1:
                raise ValueError(f"the column {name!r} is used twice among features, label and weight.")
        if not chosen:
            raise ValueError("there is no column left as a feature.")
        _check_types(schema, columns, chosen_by_caller=features is not None)
        return replace(columns, vectors=is_vector(schema.field(chosen[0]).type))


def _check_types(schema: pa.Schema, columns: BatchColumns, *, chosen_by_caller: bool) -> None:
    """Raise `ValueError` unless features and weight are numbers, and labels text, numbers or booleans."""
    kinds = {name: schema.field(name).type for name in columns.names}
    if not (len(columns.features) == 1 and chosen_by_caller and is_vector(kinds[columns.features[0]])):
        others = [name for name in columns.features if not _is_number(kinds[name])]
        if others:
            listed = ", ".join(f"{name!r} ({kinds[name]})" for name in others[:MAX_LISTED])
            more = f" and {len(others) - MAX_LISTED:,} more" if len(others) > MAX_LISTED else ""
            vectors = [name for name in others if is_vector(kinds[name])]
            way = f", or features={vectors[0]!r} for vectors" if vectors else ""
            raise ValueError(
                f"these columns do not hold numbers: {listed}{more}. Encode them as numbers, or name the columns of "
                f"numbers with features=[...]{way}."
            )
    if columns.weight is not None and not _is_number(kinds[columns.weight]):
        raise ValueError(f"the column of weights {columns.weight!r} holds {kinds[columns.weight]}, not numbers.")
    kind = kinds[columns.label]
    if pa.types.is_decimal(kind) or not (_is_number(kind) or _is_text(kind)):
        raise ValueError(
            f"the column of labels {columns.label!r} holds {kind}; labels are text, integers, floats or booleans."
        )


@dataclass(frozen=True)
class ParquetFragment:
    """Rows of neighbouring row groups of a Parquet file.

    Parameters
    ----------
    path : str
        Path that is the same on all workers.
    first, stop : int
        First row group, and row group after the last.
    columns : BatchColumns
        The columns.
    modified : tuple of int
        Time of the last change in nanoseconds and size in bytes of the file.

    Examples
    --------
    >>> pq.write_table(pa.table({"x": [0.0, 1.0, 2.0], "y": ["no", "no", "yes"]}), "rows.parquet", row_group_size=2)
    >>> (fragment,) = parquet_fragments("rows.parquet", label="y")
    >>> fragment.read()[1].tolist()
    ['no', 'no', 'yes']
    """

    path: str
    first: int
    stop: int
    columns: BatchColumns
    modified: tuple[int, ...]

    @property
    def name(self) -> str:
        """Text that names the batch in messages."""
        groups = (
            f"row groups {self.first} to {self.stop - 1}" if self.stop > self.first + 1 else f"row group {self.first}"
        )
        return f"{groups} of {self.path!r}"

    def read(self) -> tuple[Any, ...]:
        """Return the batch.

        Returns
        -------
        tuple
            Features, labels and, with a column of weights, weights.

        Raises
        ------
        FragmentError
            If the file is gone, is damaged, or has changed since the fragment was made.
        ValueError
            If a value is missing.
        """
        try:
            if modification_record(self.path) != self.modified:
                raise FragmentError(f"{self.name} changed since the fit began; start the fit anew.")
            with pq.ParquetFile(self.path) as file:
                table = validated(file.read_row_groups(list(range(self.first, self.stop)), columns=self.columns.names))
        except READ_ERRORS as error:
            reason = str(error).strip().split("\n")[0]
            raise FragmentError(f"{self.name} cannot be read: {reason}") from error
        return self._batch(table)

    def _batch(self, table: pa.Table) -> tuple[Any, ...]:
        columns = self.columns
        for name in columns.names:
            missing = table.column(name).null_count
            if missing:
                raise ValueError(
                    f"the column {name!r} has {missing:,} missing values in {self.name}. Fill them (df.fillna), or "
                    f"leave the rows out (df.dropna(subset=[{name!r}]))."
                )
        if columns.vectors:
            X = vectors_to_matrix(table.column(columns.features[0]), columns.features[0], sparse=columns.sparse)
        else:
            X = _as_numbers(table.select(list(columns.features)))
        labels = table.column(columns.label).to_numpy()
        if columns.weight is None:
            return X, labels
        return X, labels, _as_numbers(table.select([columns.weight])).column(0).to_numpy()


def parquet_fragments(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    label: str,
    features: str | Sequence[str] | None = None,
    weight: str | None = None,
) -> list[ParquetFragment]:
    """Return the rows of Parquet files as fragments of neighbouring row groups.

    Parameters
    ----------
    path : path or sequence of paths
        Files, or folders of files that end in `.parquet`, the same on all workers.
    label : str
        Column of the labels.
    features : str or sequence of str, optional
        Columns of numbers, or one column of vectors; all columns but label and weight by default.
    weight : str, optional
        Column of the row weights.

    Returns
    -------
    list of ParquetFragment
        Fragments of `FRAGMENT_VALUES` values or one row group.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    ValueError
        If a file is no Parquet file, or its columns cannot be used.

    Examples
    --------
    >>> pq.write_table(pa.table({"x": [0.0, 1.0, 2.0], "y": [0, 0, 1]}), "rows.parquet")
    >>> [fragment.name for fragment in parquet_fragments("rows.parquet", label="y")]
    ["row group 0 of '...rows.parquet'"]
    """
    paths = [Path(p).absolute() for p in ([path] if isinstance(path, (str, os.PathLike)) else path)]
    files = [file for p in paths for file in _files(p)]
    columns: BatchColumns | None = None
    fragments: list[ParquetFragment] = []
    rows = values = width = 0
    for file in files:
        modified = modification_record(str(file))
        with _open(file) as parquet:
            found = _columns_of(parquet, file, label, features, weight)
            if columns is not None and found != columns:
                raise ValueError(f"the columns of {str(file)!r} are not those of {str(files[0])!r}.")
            columns, metadata = found, parquet.metadata
            rows += metadata.num_rows
            if found.vectors:
                values += sum(
                    _vector_values(metadata.row_group(k), found.features[0]) for k in range(metadata.num_row_groups)
                )
                width = width or _width(parquet, found.features[0])
        runs = _runs(metadata, found) if metadata.num_rows else ()
        fragments += [ParquetFragment(str(file), a, b, found, modified) for a, b in runs]
    if not fragments:
        raise ValueError(f"there are no rows in {', '.join(str(p) for p in paths)!r}, so there is nothing to fit.")
    if columns is not None and columns.vectors and values < SPARSE_SHARE * rows * width:
        columns = replace(columns, sparse=True)
        return [replace(fragment, columns=columns) for fragment in fragments]
    return fragments


def _files(path: Path) -> list[Path]:
    """Return a file, or the Parquet files in a folder without those whose names Spark hides."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"there is no file or folder {str(path)!r}")
    if (path / "_delta_log").is_dir():  # its folder also has files of earlier versions of the table
        raise ValueError(f"{str(path)!r} is a Delta table; pass the DataFrame spark.read.format('delta').load(path).")
    found = sorted(
        file
        for file in path.rglob("*.parquet")
        if file.is_file() and not any(part.startswith(("_", ".")) for part in file.relative_to(path).parts)
    )
    if not found:
        raise FileNotFoundError(f"there is no file that ends in .parquet in {str(path)!r}")
    return found


def _open(file: Path) -> Any:
    """Return an open Parquet file; raise `ValueError` for another one."""
    try:
        return pq.ParquetFile(str(file))
    except READ_ERRORS as error:
        raise ValueError(f"{str(file)!r} is not a complete Parquet file: {str(error).strip()}") from error


def _columns_of(parquet: Any, file: Path, label: str, features: Any, weight: str | None) -> BatchColumns:
    """Return the columns of a fit in a file; raise `ValueError` with its name."""
    try:
        return BatchColumns.choose(parquet.schema_arrow, label, features, weight)
    except ValueError as error:
        raise ValueError(f"in {str(file)!r}: {error}") from None


def _runs(metadata: Any, columns: BatchColumns) -> Iterator[tuple[int, int]]:
    """Yield (first, stop) of neighbouring row groups, joined until they have `FRAGMENT_VALUES` values."""
    first = values = 0
    for k in range(metadata.num_row_groups):
        group = metadata.row_group(k)
        values += (
            _vector_values(group, columns.features[0]) if columns.vectors else group.num_rows * len(columns.features)
        )
        if values >= FRAGMENT_VALUES or k == metadata.num_row_groups - 1:
            yield first, k + 1
            first, values = k + 1, 0


def _vector_values(group: Any, name: str) -> int:
    """Return the number of stored values in a column of vectors of a row group."""
    leaves = [group.column(j) for j in range(group.num_columns)]
    return max((leaf.num_values for leaf in leaves if leaf.path_in_schema.startswith(f"{name}.")), default=0)


def _width(parquet: Any, name: str) -> int:
    """Return the length of the first vector of a file; 0 for a file without rows."""
    for batch in parquet.iter_batches(batch_size=1, columns=[name]):
        vectors = batch.column(0).drop_null()
        if len(vectors):
            return int(vectors_to_matrix(pa.chunked_array([vectors]), name, sparse=True).shape[1])
    return 0


def _is_number(kind: pa.DataType) -> bool:
    """Return True if values of an Arrow type are numbers or booleans."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind))


def _is_text(kind: pa.DataType) -> bool:
    """Return True if values of an Arrow type are text."""
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _as_numbers(table: pa.Table) -> pa.Table:
    """Return the table with decimals as float64."""
    kinds = [pa.float64() if pa.types.is_decimal(field.type) else field.type for field in table.schema]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))), safe=False)
