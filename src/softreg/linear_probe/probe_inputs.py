"""Training and test rows of a probe from arrays or files, checked and with the wanted scale."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.linear_probe.embedding_arrays import ColumnScale, Embeddings, check_embeddings, column_scale, unit_length
from softreg.linear_probe.files.array_files import ArraySource, array_source, read_embeddings, read_labels
from softreg.linear_probe.label_values import check_row_count, codes_of_test, label_values
from softreg.linear_probe.strength_path import ProbeData
from softreg.probability import Classes
from softreg.typing import Array, Codes


@dataclass(frozen=True, eq=False)
class LabelledArrays:
    """Embeddings and labels as given, with their names for messages."""

    X: Any
    y: Any
    name: str
    labels_name: str


@dataclass(frozen=True, eq=False)
class TrainingInput:
    """Training rows, their classes, and the scale of their columns where they are standardised."""

    data: ProbeData
    classes: Classes
    scale: ColumnScale | None


@dataclass(frozen=True, eq=False)
class TestInput:
    """Test embeddings X, the numbers and codes of the rows with known labels, and the count and first of the others."""

    X: Array
    rows: Array
    codes: Codes
    unknown: int
    first_unknown: str


def labelled_arrays(X: Any, y: Any, name: str = "X", labels_name: str = "y") -> LabelledArrays:
    """Return embeddings and labels, read from files where paths are given.

    Parameters
    ----------
    X : array, tensor or path
    y : array, tensor, list or path
        A text that is no file is an array or a column of the file of X.
    name, labels_name : str
        Names of arrays for messages; files have their own.

    Returns
    -------
    LabelledArrays

    Raises
    ------
    ValueError
        If a file is damaged or holds no such array.
    FileNotFoundError
        If a file does not exist.
    """
    file = array_source(X) if isinstance(X, str | os.PathLike) else None
    labels, key = y, None
    if isinstance(y, str | os.PathLike):
        source = _label_source(y, file)
        key = source.key if file is not None and source.path == file.path else None
        labels, labels_name = read_labels(source), repr(source.name)
    if file is not None:
        X, name = read_embeddings(file, key), repr(file.name)
    return LabelledArrays(X, labels, name, labels_name)


def _label_source(y: str | os.PathLike[str], file: ArraySource | None) -> ArraySource:
    """Return the file and key of labels: those of a path, or a key in the file of the embeddings."""
    written = os.fspath(y)
    if file is None or os.path.sep in written:
        return array_source(y)
    try:
        return array_source(y)
    except FileNotFoundError:
        if os.path.splitext(written)[1]:
            raise
        return ArraySource(file.path, written)


def training_input(given: LabelledArrays, *, unit_rows: bool, standardize: bool) -> TrainingInput:
    """Return checked training rows.

    Parameters
    ----------
    given : LabelledArrays
    unit_rows, standardize : bool
        Whether to divide rows by their length, and to standardise columns.

    Returns
    -------
    TrainingInput

    Raises
    ------
    ValueError
        If the embeddings or the labels cannot be used, or do not belong together.
    """
    labels = label_values(given.y, given.labels_name)
    embeddings = check_embeddings(given.X, given.name, copied=unit_rows or standardize)
    check_row_count(len(embeddings.X), labels, given.name, given.labels_name)
    try:
        classes = Classes(labels)
    except ValueError as error:
        raise ValueError(f"{given.labels_name}: {error}") from None
    if len(classes) < 2:
        raise ValueError(f"all labels of {given.labels_name} are {classes.listing()}; a probe needs two classes.")
    X, scale = embeddings.X, None
    if unit_rows:
        X = unit_length(X, given.name)
    if standardize:
        scale = column_scale(X)
        X = scale.apply(X)
    codes = classes.encode(labels).astype(np.int64)
    return TrainingInput(ProbeData(Embeddings(X, embeddings.kind), codes, len(classes)), classes, scale)


def test_input(given: LabelledArrays, classes: Classes, d: int, *, unit_rows: bool) -> TestInput:
    """Return checked test rows, whose columns are not standardised, as the weights belong to columns as given.

    Parameters
    ----------
    given : LabelledArrays
    classes : Classes
        Classes of the training rows.
    d : int
        Columns of the training rows.
    unit_rows : bool

    Returns
    -------
    TestInput

    Raises
    ------
    ValueError
        If the rows cannot be used, or do not match the training rows.
    """
    labels = label_values(given.y, given.labels_name)
    X = check_embeddings(given.X, given.name, copied=unit_rows).X
    if X.shape[1] != d:
        raise ValueError(
            f"{given.name} has {X.shape[1]:,} columns and the training embeddings have {d:,}; both must come from the "
            "same model."
        )
    check_row_count(len(X), labels, given.name, given.labels_name)
    known = codes_of_test(labels, classes, given.labels_name)
    X = unit_length(X, given.name) if unit_rows else X
    return TestInput(X, known.rows, known.codes, known.unknown, known.first_unknown)
