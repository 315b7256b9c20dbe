"""From a file or a frame to an Arrow table in which no value was changed."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pyarrow.parquet as pq

from softreg.tables.delimited import parse_delimited
from softreg.tables.errors import TableError, listed, plural, shown

PARQUET_ENDINGS = (".parquet", ".pq", ".parq")
_MAGIC = {
    b"PK\x03\x04": "a zip archive or a spreadsheet; save the sheet as 'CSV UTF-8' and use that file",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF document",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8 ('CSV UTF-8' in a spreadsheet)",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8 ('CSV UTF-8' in a spreadsheet)",
}


def read_table(path: str | os.PathLike[str]) -> pa.Table:
    """Read a CSV, TSV or Parquet file without changing a value.

    Every column of a CSV or TSV file is text exactly as written ("007" stays "007", "NA" stays "NA"; an empty
    field is ""); what it means is decided later, by the schema. The first line names the columns. Endings
    decide: `.parquet`, `.pq` and `.parq` are Parquet, whose types are kept; `.tsv` is separated by tabs;
    anything else is text separated by commas, unless the header has no comma but a tab or a semicolon. A
    UTF-8 byte-order mark, Windows line ends, quoted fields with commas or line breaks in them and blank lines
    are understood. In a tab-separated file whose quotes do not pair up, quotes are plain characters.

    Raises `TableError`: no such file, a folder, empty, no rows, not text, not UTF-8, a row with too many or
    too few fields, a quote that is never closed, a column without a name, two columns of one name, damaged
    Parquet.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "small.csv"
        ...     _ = path.write_text("code,colour\\n007,NA\\n")
        ...     read_table(path).to_pylist()
        [{'code': '007', 'colour': 'NA'}]

    Source: RFC 4180 (the form of CSV files).
    """
    path = Path(path)
    if path.is_dir():
        raise TableError(f"{str(path)!r} is a folder; name the CSV, TSV or Parquet file in it.")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise _no_such_file(path) from None
    except OSError as error:
        raise TableError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from None
    if not raw.strip(b"\xef\xbb\xbf \t\r\n"):
        raise TableError(f"{str(path)!r} is empty; expected a line of column names and rows below it.")
    if path.suffix.lower() in PARQUET_ENDINGS:
        table = _read_parquet(path, raw)
    else:
        _check_text(path, raw)
        table = parse_delimited(raw, str(path), tabs=path.suffix.lower() == ".tsv")
    check_names(table.column_names, str(path))
    if table.num_rows == 0:
        names = listed(table.column_names, 20)
        raise TableError(f"{str(path)!r} has columns ({names}) but no rows; there is nothing to work on.")
    return table


def as_table(data: Any) -> pa.Table:
    """An Arrow table from a path, a pyarrow table or any frame that narwhals knows (pandas, polars, others).

    The index of a pandas frame is not a column. Column names become text.

    Raises `TableError`: two columns of one name, values that no column can hold together, or data that are
    neither a path nor a frame.

    Example:
        >>> as_table(pa.table({"age": [30, 41]})).column_names
        ['age']
    """
    if isinstance(data, str | os.PathLike):
        return read_table(data)
    if not isinstance(data, pa.Table):
        data = _frame_to_arrow(data)
    check_names(data.column_names, "the table")
    return data


def check_names(names: list[str], where: str) -> None:
    """Raise `TableError` where a column has no name or shares it with another.

    Example:
        >>> check_names(["a", "b", "a"], "small.csv")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        softreg.tables.errors.TableError: small.csv has several columns named 'a' (columns 1 and 3); ...
    """
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise TableError(
                f"Column {position} of {where} has no name: the header's field is blank. Give it a name; if "
                "it is a row index written by pandas, write the file again with index=False; if the header "
                "line ends in a delimiter, remove that."
            )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        places = [
            f"{shown(name)} (columns {' and '.join(str(i) for i, n in enumerate(names, 1) if n == name)})"
            for name in repeated
        ]
        raise TableError(
            f"{where} has several columns named {', '.join(places[:6])}; columns are matched by name, so "
            "each needs its own: rename them."
        )


def _frame_to_arrow(data: Any) -> pa.Table:
    """Any frame through narwhals, without the index that pandas adds."""
    try:
        frame = nw.from_native(data)
        frame = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
        names = [str(name) for name in frame.columns]
        return frame.to_arrow().select(names)
    except nw.exceptions.DuplicateError:
        check_names([str(name) for name in data.columns], "the frame")
        raise
    except (pa.ArrowException, nw.exceptions.NarwhalsError) as error:
        reason = "; ".join(str(part) for part in error.args)
        raise TableError(
            f"The frame cannot be read as a table: {reason}. A column holds either numbers, or booleans, or "
            "text; turn the column into one of these (for instance with astype(str))."
        ) from error
    except TypeError:
        raise TableError(
            "Expected the path of a CSV, TSV or Parquet file, a pyarrow table or a data frame (pandas, "
            f"polars), but got {type(data).__name__}. For arrays there is softreg.SoftmaxRegression."
        ) from None


def _read_parquet(path: Path, raw: bytes) -> pa.Table:
    """A Parquet file with the types that it carries."""
    if raw[:4] != b"PAR1":
        raise TableError(
            f"{str(path)!r} ends in {path.suffix} but is not a Parquet file; is it CSV? Then rename it to .csv."
        )
    try:
        return pq.ParquetFile(pa.BufferReader(raw)).read()
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise TableError(
            f"{str(path)!r} is a damaged or truncated Parquet file ({reason}); copy or write it again."
        ) from error


def _check_text(path: Path, raw: bytes) -> None:
    """Raise `TableError` where the bytes are no text that could be CSV."""
    if raw[:4] == b"PAR1":
        raise TableError(f"{str(path)!r} is a Parquet file; rename it to {path.with_suffix('.parquet').name!r}.")
    for magic, what in _MAGIC.items():
        if raw.startswith(magic):
            raise TableError(f"{str(path)!r} is not CSV: it is {what}.")
    zero = raw.find(b"\x00")
    if zero >= 0:
        raise TableError(
            f"{str(path)!r} is not CSV: byte {zero + 1:,} is zero, which text never holds. Expected a text "
            "file in UTF-8 with a line of column names and rows below it, or a Parquet file that ends in "
            ".parquet."
        )


def _no_such_file(path: Path) -> TableError:
    """The error for a file that is missing, with files of nearly that name beside it."""
    from difflib import get_close_matches

    if not path.parent.is_dir():
        return TableError(f"There is no file {str(path)!r}: the folder {str(path.parent)!r} does not exist.")
    beside = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    near = get_close_matches(path.name, beside, n=3)
    guess = f" Nearest by name: {listed(near)}." if near else ""
    return TableError(f"There is no file {str(path)!r}; its folder holds {plural(len(beside), 'file')}.{guess}")
