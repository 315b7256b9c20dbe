"""Labels in text: one a line (.txt), or a column of a CSV file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from softreg.linear_probe.files.named_arrays import NamedArray, choose_array
from softreg.typing import Array

INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
"""Whole numbers as Python writes them; others, such as 007, are text."""


def line_labels(path: Path) -> list[NamedArray]:
    r"""Return the labels of a text file with one a line.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of NamedArray
        One, without a name: integers where all lines are, otherwise text.

    Raises
    ------
    ValueError
        If the file is not UTF-8, or a line before the last is blank.

    Examples
    --------
    >>> _ = Path("y.txt").write_text("3\n1\n")
    >>> line_labels(Path("y.txt"))[0].load()
    array([3, 1])
    """
    lines = _text(path).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    blank = next((k for k, line in enumerate(lines) if not line.strip()), None)
    if blank is not None:
        raise ValueError(f"line {blank + 1} of {path.name!r} is blank; there is one label a line, for each row.")
    values = _integers_or_text([line.strip() for line in lines])
    return [NamedArray("", values.shape, lambda: values)]


def csv_labels(path: Path, key: str | None) -> NamedArray:
    r"""Return a column of a CSV file with a line of names.

    Parameters
    ----------
    path : Path
    key : str or None
        Name of the column; not needed if there is only one.

    Returns
    -------
    NamedArray
        Integers where all cells are, otherwise text.

    Raises
    ------
    ValueError
        If the file cannot be parsed, there is no such column, or a cell is blank.

    Examples
    --------
    >>> _ = Path("y.csv").write_text("file,label\na.jpg,cat\nb.jpg,dog\n")
    >>> csv_labels(Path("y.csv"), "label").load().tolist()
    ['cat', 'dog']
    """
    _text(path)
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    try:
        with pc.open_csv(path, parse_options=pc.ParseOptions(delimiter=delimiter)) as reader:
            names = reader.schema.names
        column = choose_array([NamedArray(name, (0,), list) for name in names], key, 1, path.name).name
        if len(names) == 1 and INTEGER.fullmatch(names[0]):
            raise ValueError(
                f"the first line of {path.name!r}, {names[0]!r}, would be the name of its column. Labels without a "
                "name belong in a .txt file, one a line."
            )
        types = pc.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        table = pc.read_csv(path, parse_options=pc.ParseOptions(delimiter=delimiter), convert_options=types)
    except pa.ArrowException as error:
        raise ValueError(f"{path.name!r} is not a CSV file: {str(error).splitlines()[0]}") from None
    cells = [cell.strip() for cell in table.column(column).to_pylist()]
    blank = next((k for k, cell in enumerate(cells) if not cell), None)
    if blank is not None:
        raise ValueError(f"row {blank} of the column {column!r} of {path.name!r} has no label; leave such rows out.")
    values = _integers_or_text(cells)
    return NamedArray(column, values.shape, lambda: values)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name!r} is not text in UTF-8 (byte {error.start}); save it in this encoding."
        ) from None


def _integers_or_text(values: list[str]) -> Array:
    """Return labels as integers where all are, otherwise as text."""
    if values and all(INTEGER.fullmatch(value) for value in values):
        return np.array([int(value) for value in values], dtype=np.int64)
    return np.array(values, dtype=np.str_)
