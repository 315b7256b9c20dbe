"""The labels of a table: read exactly, checked, and split into training and test rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.tables.cells import parse_numbers
from softreg.tables.errors import TableError, listed, no_such_column, plural, shown
from softreg.tables.kinds import SMALL


def labels(table: pa.Table, target: str, whole: bool | None = None) -> NDArray[np.str_]:
    """The labels as text, exactly as written: "007" stays "007", "NA" and "None" are labels like others.

    Labels of an Arrow type other than text become the text that Arrow writes for them: true and false, 7,
    2020-01-31; floats that are all whole numbers are written without a fraction (1.0 as "1"), as they mostly
    come from whole numbers. `whole` says whether they are where the table is a part of another.

    Raises `TableError`: no such column, a label missing (an empty or blank field, a null, or nan).

    Example:
        >>> labels(pa.table({"grade": ["007", "NA"]}), "grade").tolist()
        ['007', 'NA']
    """
    text = label_text(table, target, whole)
    return np.array(text.to_pylist(), dtype=np.str_) if len(text) else np.zeros(0, dtype="<U1")


def label_text(table: pa.Table, target: str, whole: bool | None = None) -> Any:
    """The labels as an Arrow array of text; errors are those of `labels`.

    `whole` says whether floats are written without a fraction; None looks whether all of them are whole numbers.
    """
    if target not in table.column_names:
        raise no_such_column(target, table.column_names, "target column")
    text = _as_text(table.column(target), target, whole)
    blank = np.asarray(pc.fill_null(pc.equal(pc.utf8_trim_whitespace(text), ""), True), dtype=bool)
    if blank.any():
        rows = np.flatnonzero(blank) + 1
        raise TableError(
            f"The target {shown(target)} has no label in {plural(len(rows), 'row')}: "
            f"{', '.join(f'{row:,}' for row in rows[:6])}{' and more' if len(rows) > 6 else ''} (counted "
            "from 1, without the header). Give each row its label, or remove rows without one from the "
            "training data.",
            rows - 1,
        )
    return text


def _as_text(column: pa.ChunkedArray, target: str, whole: bool | None) -> Any:
    """A column cast to text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = pc.cast(column, kind.value_type), kind.value_type
    if pa.types.is_floating(kind):
        values = np.array(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
        known = values[np.isfinite(values)]
        whole = bool((known == np.floor(known)).all()) if whole is None else whole
        words = [None if np.isnan(v) else (f"{v:.0f}" if whole else repr(float(v))) for v in values]
        return pa.array(words, pa.large_string())
    try:
        return pc.cast(column, pa.large_string())
    except pa.ArrowException:
        raise TableError(
            f"The target {shown(target)} has the type {kind}; labels are text, numbers or booleans."
        ) from None


def check_labels(y: NDArray[np.str_], target: str) -> None:
    """Refuse labels that no classifier can learn from.

    Raises `TableError`: one class only; more classes than 20 and than half of the rows (a tenth of the rows
    where every label is a number); a class with a single row.

    Example:
        >>> check_labels(np.array(["no", "no"]), "buys")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        softreg.tables.errors.TableError: The target 'buys' has one class only: every row is 'no'. A ...
    """
    check_counts(*np.unique(y, return_counts=True), len(y), target)


def check_counts(classes: NDArray[np.str_], counts: NDArray[np.int64], n: int, target: str) -> None:
    """The same as `check_labels`, for the different labels of n rows and how often each occurs."""
    if len(classes) == 1:
        raise TableError(
            f"The target {shown(target)} has one class only: every row is {shown(classes[0])}. A classifier "
            "needs rows of at least two classes; is it the right column?"
        )
    numeric = bool(parse_numbers(pa.array(classes.tolist(), pa.large_string()))[1].all())
    if len(classes) > max(SMALL, n / (10 if numeric else 2)):
        kind = "a number to regress on" if numeric else "an identifier or free text"
        raise TableError(
            f"The target {shown(target)} has {len(classes):,} different values in {plural(n, 'row')}, "
            f"such as {listed(classes[:3])}; it looks like {kind}, not like classes. Choose another column, "
            "or group its values into classes first."
        )
    single = classes[counts == 1]
    if len(single):
        what = "the class" if len(single) == 1 else f"{len(single):,} classes"
        only = "a single row" if len(single) == 1 else "a single row each"
        raise TableError(
            f"The target {shown(target)} has {only} for {what} {listed(single)}; a class needs at least two "
            "rows, one to learn from and one to test on. Add rows, merge the class with another, or remove "
            "its row."
        )


def split_rows(
    codes: NDArray[np.integer[Any]], test_size: float | int = 0.2, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers for training and for test, each class in nearly the same share of both.

    Of a class with n_c of n rows, n_c T / n rows go to the test part of T rows, rounded so that the sum is T
    (largest remainders), and at least one row stays for training. `codes` (n,) are class codes; `test_size`
    is a fraction of the rows in (0, 1) or a count of rows, 0 for no test part. The same arguments give the
    same split.

    Returns `(train, test)`, sorted row numbers from 0. Raises `ValueError` where the size is impossible.

    Example:
        >>> train, test = split_rows(np.array([0, 0, 0, 0, 1, 1, 1, 1]), 0.25)
        >>> len(train), np.array([0, 0, 0, 0, 1, 1, 1, 1])[test].tolist()
        (6, [0, 1])
    """
    _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    n = int(counts.sum())
    whole = isinstance(test_size, int | np.integer) and not isinstance(test_size, bool)
    if not (whole and test_size >= 0) and not 0 < test_size < 1:
        raise ValueError(
            f"test_size is {test_size!r}; expected a fraction between 0 and 1, or a whole number of rows, "
            "such as 0.2 or 500"
        )
    size = int(test_size) if whole else max(1, round(float(test_size) * n))
    if size > (counts - 1).sum():
        raise ValueError(
            f"test_size={test_size!r} asks for {plural(size, 'test row')} of {n:,}, but one row of each "
            f"class ({len(counts):,} in all) must stay for training; choose a smaller test part"
        )
    share = _shares(counts, size)
    order = np.random.default_rng(seed).permutation(n)
    order = order[np.argsort(inverse[order], kind="stable")]  # shuffled within classes, class after class
    place = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = place < np.repeat(share, counts)
    return np.sort(order[~chosen]), np.sort(order[chosen])


def _shares(counts: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """How many test rows each class gives: largest remainders, never the last row of a class."""
    exact = counts * (size / counts.sum())
    share: NDArray[np.int64] = np.floor(exact).astype(np.int64)  # below counts, as size is below n
    while (left := size - int(share.sum())) > 0:
        open_ = np.flatnonzero(share < counts - 1)
        first = open_[np.argsort(share[open_] - exact[open_], kind="stable")][:left]
        share[first] += 1
    return share
