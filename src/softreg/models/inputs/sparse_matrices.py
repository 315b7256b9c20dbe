"""Sparse features as users hand them in: checked before any compiled code reads them, and made into CSR.

The kernels of SciPy and of softreg follow the indices of a sparse matrix without looking at them: an index outside the
matrix reads or writes memory that belongs to something else. So every index is compared with the shape first, once, in
a vectorised pass over the stored numbers.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

KINDS = "biuf"
"""Kinds of stored numbers (NumPy's `dtype.kind`) that are real numbers."""
ADVICE = "Build the matrix anew, for example with scipy.sparse.coo_array((values, (rows, columns)), shape=(n, d))."


def checked_sparse(X: Any) -> Any:
    """X in CSR format, after its structure was checked; duplicate and unsorted indices are allowed and mean their sum.

    X is a sparse matrix or array of SciPy of any format, (n, d). The answer shares the arrays of a CSR matrix whose
    indices are 32- or 64-bit integers, and X itself is not changed. Raises `ValueError` that names the row and the
    value for an index outside the shape, an `indptr` that decreases or exceeds the stored numbers, arrays whose lengths
    do not fit together, and stored values that are no real numbers.

    Example:
        >>> X = sp.csr_array([[0.0, 2.0], [1.0, 0.0]])
        >>> X.indices[1] = 7
        >>> checked_sparse(X)
        Traceback (most recent call last):
        ...
        ValueError: X is a damaged CSR matrix: row 1 has a stored number in column 7, but there are 2 columns, 0 to 1. \
Build the matrix anew, for example with scipy.sparse.coo_array((values, (rows, columns)), shape=(n, d)).
    """
    if len(X.shape) != 2:
        raise ValueError(
            f"Expected 2D array: X is a sparse array of shape {X.shape}; rows of features have shape (n, d)."
        )
    if X.format == "dok":
        X = X.tocoo()  # of a dictionary, without kernels
    if X.format == "lil":
        X = _coo_of_lists(X)
    if X.format == "coo":
        return _checked_coo(X).tocsr()
    if X.format in ("csr", "csc", "bsr"):
        X = _checked_compressed(X)
        return X if X.format == "csr" else X.tocsr()
    if X.format == "dia":
        return _checked_compressed(_checked_dia(X).tocsr())
    raise ValueError(f"X is a sparse matrix in the format {X.format!r}, which is not known; hand in X.tocsr().")


def _checked_compressed(X: Any) -> Any:
    """A CSR, CSC or BSR matrix of the same numbers, whose arrays were checked."""
    name, rows = X.format.upper(), X.format != "csc"
    data, indices, indptr = (
        np.asarray(X.data),
        _integers(X.indices, name, "indices"),
        _integers(X.indptr, name, "indptr"),
    )
    _check_numbers(data, name, 3 if X.format == "bsr" else 1)
    tall, wide = _blocks(X, data) if X.format == "bsr" else (X.shape if rows else X.shape[::-1])
    if len(indptr) != tall + 1:
        _refuse(name, f"indptr has {len(indptr)} entries, and {tall} {'rows' if rows else 'columns'} need {tall + 1}")
    if len(indices) != len(data):
        _refuse(name, f"there are {len(indices)} indices for {len(data)} stored numbers")
    if indptr[0] != 0:
        _refuse(name, f"indptr begins with {indptr[0]}, not with 0")
    falls = indptr[1:] < indptr[:-1]
    if falls.any():
        at = int(falls.argmax())
        _refuse(name, f"indptr decreases from {indptr[at]} to {indptr[at + 1]} at its entry {at + 1}")
    stored = int(indptr[-1])
    if stored > len(indices):
        _refuse(name, f"indptr ends with {stored}, but only {len(indices)} numbers are stored")
    data, indices = data[:stored], indices[:stored]
    bad = _outside(indices, wide)
    if bad is not None:
        major, minor = int(np.searchsorted(indptr, bad, side="right")) - 1, int(indices[bad])
        _refuse_place(name, *((major, minor) if rows else (minor, major)), X, (wide, rows))
    return _like(X, (data, indices, indptr))


def _like(X: Any, parts: tuple[Any, ...]) -> Any:
    """A matrix or array of the format and the shape of X, of these arrays; half precision becomes single."""
    data = parts[0].astype(np.float32) if parts[0].dtype == np.float16 else parts[0]
    make = getattr(sp, f"{X.format}_{'array' if isinstance(X, sp.sparray) else 'matrix'}")
    return make((data, *parts[1:]), shape=X.shape)


def _blocks(X: Any, data: NDArray[Any]) -> tuple[int, int]:
    """How many blocks a BSR matrix has in its two directions."""
    high, wide = data.shape[1:]
    if not (high and wide) or X.shape[0] % high or X.shape[1] % wide:
        _refuse("BSR", f"blocks of {high} x {wide} do not divide the shape {X.shape}")
    return X.shape[0] // high, X.shape[1] // wide


def _checked_coo(X: Any) -> Any:
    """A COO matrix of the same numbers, whose arrays were checked."""
    row, column = (_integers(part, "COO", name) for part, name in zip((X.row, X.col), ("row", "col"), strict=True))
    data = np.asarray(X.data)
    _check_numbers(data, "COO", 1)
    if not len(row) == len(column) == len(data):
        _refuse("COO", f"there are {len(row)} rows and {len(column)} columns for {len(data)} stored numbers")
    for part, size, is_row in ((row, X.shape[0], True), (column, X.shape[1], False)):
        bad = _outside(part, size)
        if bad is not None:
            _refuse_place("COO", int(row[bad]), int(column[bad]), X, (size, not is_row))
    return _like(X, (data, (row, column)))


def _coo_of_lists(X: Any) -> Any:
    """A LIL matrix as COO, whose lists were found to fit together."""
    lists, n = list(zip(X.rows, X.data, strict=False)), X.shape[0]
    if not len(X.rows) == len(X.data) == n:
        _refuse("LIL", f"there are {len(X.rows)} lists of columns and {len(X.data)} of numbers for {n} rows")
    for i, (columns, values) in enumerate(lists):
        fit = isinstance(columns, list) and isinstance(values, list) and len(columns) == len(values)
        if not fit or not all(isinstance(j, int | np.integer) and 0 <= j < X.shape[1] for j in columns):
            _refuse("LIL", f"row {i} has the columns {columns!r:.60} of {X.shape[1]}, and as numbers {values!r:.40}")
    row = np.repeat(np.arange(n), [len(columns) for columns, _ in lists])
    column = np.array([j for columns, _ in lists for j in columns], dtype=np.int64)
    found = sp.coo_array(X.shape, dtype=X.dtype)
    found.data, found.coords = np.array([v for _, values in lists for v in values], dtype=X.dtype), (row, column)
    return found


def _checked_dia(X: Any) -> Any:
    """The same DIA matrix, whose offsets fit its diagonals."""
    data, offsets = np.asarray(X.data), _integers(X.offsets, "DIA", "offsets")
    _check_numbers(data, "DIA", 2)
    if len(offsets) != len(data) or len(np.unique(offsets)) < len(offsets):
        _refuse("DIA", f"there are {len(np.unique(offsets))} offsets for {len(data)} diagonals")
    reach = max(X.shape[0] + data.shape[1], *X.shape, 1)
    if len(offsets) and (offsets.min() < -reach or offsets.max() > reach):
        _refuse("DIA", f"an offset is {offsets.min()} or {offsets.max()}, beyond the shape {X.shape}")
    return _like(X, (data, offsets))


def _integers(values: Any, name: str, what: str) -> NDArray[Any]:
    """An array of indices, (k,), in the machine's byte order."""
    found = np.asarray(values)
    if found.ndim != 1 or (found.dtype.kind not in "iu" and found.size) or (what == "indptr" and not found.size):
        _refuse(name, f"{what} is {found.dtype} of shape {found.shape}, not a list of integers")
    if found.dtype.kind not in "iu":
        return np.zeros(0, dtype=np.int32)
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))


def _check_numbers(data: NDArray[Any], name: str, axes: int) -> None:
    if data.ndim != axes:
        _refuse(name, f"its stored numbers have the shape {data.shape}, and {axes} axes are expected")
    if data.dtype.kind not in KINDS:
        raise ValueError(
            f"X is a sparse matrix of {data.dtype}, and features are real numbers"
            f"{': Complex data not supported' if data.dtype.kind == 'c' else ''}. Convert it, for example with "
            "X.astype(float)."
        )


def _outside(indices: NDArray[Any], size: int) -> int | None:
    """The place of the first index outside 0 .. size - 1, or None."""
    if not len(indices) or (int(indices.min()) >= 0 and int(indices.max()) < size):
        return None
    return int(((indices < 0) | (indices >= size)).argmax())


def _refuse_place(name: str, row: int, column: int, X: Any, bound: tuple[int, bool]) -> NoReturn:
    """Raise `ValueError` for a stored number outside the shape; `bound` is the size that was passed, and whether it is
    that of the columns."""
    size, is_column = bound
    part, count = ("columns", X.shape[1]) if is_column else ("rows", X.shape[0])
    unit = f" blocks of {part}" if size != count else f" {part}"
    _refuse(name, f"row {row} has a stored number in column {column}, but there are {size}{unit}, 0 to {size - 1}")


def _refuse(name: str, what: str) -> NoReturn:
    raise ValueError(f"X is a damaged {name} matrix: {what}. {ADVICE}")
