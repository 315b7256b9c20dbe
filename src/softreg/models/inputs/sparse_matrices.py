"""Validation of sparse features before compiled code reads them, and their conversion to CSR.

The kernels of SciPy and of softreg do not check the indices of a sparse matrix: an index outside the matrix reads or
writes other memory. Therefore one vectorised pass compares every index with the shape first.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp

from softreg.typing import Array

KINDS = "biuf"
"""Kinds of dtypes (NumPy's `dtype.kind`) that are real numbers."""
ADVICE = "Build the matrix anew, for example with scipy.sparse.coo_array((values, (rows, columns)), shape=(n, d))."
"""End of messages about a damaged matrix."""


def checked_sparse(X: Any) -> sp.csr_array:
    """Return a sparse matrix in CSR format after checking its structure.

    Duplicate and unsorted indices are allowed; duplicates stand for their sum.

    Parameters
    ----------
    X : sparse matrix or array of shape (n, d)
        A matrix in any format of SciPy. It is not changed.

    Returns
    -------
    csr_array or csr_matrix of shape (n, d)
        The matrix; it shares the arrays of a CSR matrix whose indices are 32- or 64-bit integers.

    Raises
    ------
    ValueError
        If an index is outside the shape, `indptr` decreases or exceeds the stored numbers, lengths of arrays do not
        match, or stored values are not real numbers. The message names the row and the value.

    Examples
    --------
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
        X = X.tocoo()  # SciPy converts a dictionary without kernels
    if X.format == "lil":
        X = _lil_to_coo(X)
    if X.format == "coo":
        return _checked_coo(X).tocsr()
    if X.format in ("csr", "csc", "bsr"):
        X = _checked_compressed(X)
        return X if X.format == "csr" else X.tocsr()
    if X.format == "dia":
        return _checked_compressed(_checked_dia(X).tocsr())
    raise ValueError(f"X is a sparse matrix in the format {X.format!r}, which is not supported; pass X.tocsr().")


def _checked_compressed(X: Any) -> Any:
    """Return a CSR, CSC or BSR matrix of the same numbers after checking its arrays."""
    name, by_rows = X.format.upper(), X.format != "csc"
    data, indices, indptr = (
        np.asarray(X.data),
        _integers(X.indices, name, "indices"),
        _integers(X.indptr, name, "indptr"),
    )
    _check_numbers(data, name, 3 if X.format == "bsr" else 1)
    if X.format == "bsr":
        n_major, n_minor = _block_counts(X, data)
    else:
        n_major, n_minor = X.shape if by_rows else X.shape[::-1]
    if len(indptr) != n_major + 1:
        axis = "rows" if by_rows else "columns"
        _raise_damaged(name, f"indptr has {len(indptr)} entries, and {n_major} {axis} need {n_major + 1}")
    if len(indices) != len(data):
        _raise_damaged(name, f"there are {len(indices)} indices for {len(data)} stored numbers")
    if indptr[0] != 0:
        _raise_damaged(name, f"indptr begins with {indptr[0]}, not with 0")
    decreases = indptr[1:] < indptr[:-1]
    if decreases.any():
        at = int(decreases.argmax())
        _raise_damaged(name, f"indptr decreases from {indptr[at]} to {indptr[at + 1]} at its entry {at + 1}")
    stored = int(indptr[-1])
    if stored > len(indices):
        _raise_damaged(name, f"indptr ends with {stored}, but only {len(indices)} numbers are stored")
    data, indices = data[:stored], indices[:stored]
    outside = _first_outside(indices, n_minor)
    if outside is not None:
        major, minor = int(np.searchsorted(indptr, outside, side="right")) - 1, int(indices[outside])
        row, column = (major, minor) if by_rows else (minor, major)
        _raise_outside(name, row, column, X, size=n_minor, is_column=by_rows)
    return _rebuild(X, (data, indices, indptr))


def _rebuild(X: Any, parts: tuple[Any, ...]) -> Any:
    """Return a matrix of the format and shape of X from these arrays; half precision becomes single."""
    data = parts[0].astype(np.float32) if parts[0].dtype == np.float16 else parts[0]
    make = getattr(sp, f"{X.format}_{'array' if isinstance(X, sp.sparray) else 'matrix'}")
    return make((data, *parts[1:]), shape=X.shape)


def _block_counts(X: Any, data: Array) -> tuple[int, int]:
    """Return the numbers of block rows and block columns of a BSR matrix."""
    height, width = data.shape[1:]
    if not (height and width) or X.shape[0] % height or X.shape[1] % width:
        _raise_damaged("BSR", f"blocks of {height} x {width} do not divide the shape {X.shape}")
    return X.shape[0] // height, X.shape[1] // width


def _checked_coo(X: Any) -> Any:
    """Return a COO matrix of the same numbers after checking its arrays."""
    row, column = (_integers(part, "COO", name) for part, name in zip((X.row, X.col), ("row", "col"), strict=True))
    data = np.asarray(X.data)
    _check_numbers(data, "COO", 1)
    if not len(row) == len(column) == len(data):
        _raise_damaged("COO", f"there are {len(row)} rows and {len(column)} columns for {len(data)} stored numbers")
    for indices, size, is_column in ((row, X.shape[0], False), (column, X.shape[1], True)):
        outside = _first_outside(indices, size)
        if outside is not None:
            _raise_outside("COO", int(row[outside]), int(column[outside]), X, size=size, is_column=is_column)
    return _rebuild(X, (data, (row, column)))


def _lil_to_coo(X: Any) -> Any:
    """Return a LIL matrix as COO after checking its lists."""
    lists, n = list(zip(X.rows, X.data, strict=False)), X.shape[0]
    if not len(X.rows) == len(X.data) == n:
        _raise_damaged("LIL", f"there are {len(X.rows)} lists of columns and {len(X.data)} of numbers for {n} rows")
    for i, (columns, values) in enumerate(lists):
        match = isinstance(columns, list) and isinstance(values, list) and len(columns) == len(values)
        if not match or not all(isinstance(j, int | np.integer) and 0 <= j < X.shape[1] for j in columns):
            _raise_damaged(
                "LIL", f"row {i} has the columns {columns!r:.60} of {X.shape[1]}, and as numbers {values!r:.40}"
            )
    row = np.repeat(np.arange(n), [len(columns) for columns, _ in lists])
    column = np.array([j for columns, _ in lists for j in columns], dtype=np.int64)
    coo = sp.coo_array(X.shape, dtype=X.dtype)
    coo.data, coo.coords = np.array([v for _, values in lists for v in values], dtype=X.dtype), (row, column)
    return coo


def _checked_dia(X: Any) -> Any:
    """Return a DIA matrix of the same numbers after checking its offsets."""
    data, offsets = np.asarray(X.data), _integers(X.offsets, "DIA", "offsets")
    _check_numbers(data, "DIA", 2)
    if len(offsets) != len(data) or len(np.unique(offsets)) < len(offsets):
        _raise_damaged("DIA", f"there are {len(np.unique(offsets))} offsets for {len(data)} diagonals")
    largest = max(X.shape[0] + data.shape[1], *X.shape, 1)
    if len(offsets) and (offsets.min() < -largest or offsets.max() > largest):
        _raise_damaged("DIA", f"an offset is {offsets.min()} or {offsets.max()}, beyond the shape {X.shape}")
    return _rebuild(X, (data, offsets))


def _integers(values: Any, name: str, what: str) -> Array:
    """Return an array of indices (k,) in native byte order."""
    indices = np.asarray(values)
    if (
        indices.ndim != 1
        or (indices.dtype.kind not in "iu" and indices.size)
        or (what == "indptr" and not indices.size)
    ):
        _raise_damaged(name, f"{what} is {indices.dtype} of shape {indices.shape}, not a list of integers")
    if indices.dtype.kind not in "iu":
        return np.zeros(0, dtype=np.int32)
    return indices if indices.dtype.isnative else indices.astype(indices.dtype.newbyteorder("="))


def _check_numbers(data: Array, name: str, axes: int) -> None:
    """Raise `ValueError` if the stored values are not real numbers or have another number of axes."""
    if data.ndim != axes:
        _raise_damaged(name, f"its stored numbers have the shape {data.shape}, and {axes} axes are expected")
    if data.dtype.kind not in KINDS:
        raise ValueError(
            f"X is a sparse matrix of {data.dtype}, and features are real numbers"
            f"{': Complex data not supported' if data.dtype.kind == 'c' else ''}. Convert it, for example with "
            "X.astype(float)."
        )


def _first_outside(indices: Array, size: int) -> int | None:
    """Return the position of the first index outside 0 .. size - 1, or None."""
    if not len(indices) or (int(indices.min()) >= 0 and int(indices.max()) < size):
        return None
    return int(((indices < 0) | (indices >= size)).argmax())


def _raise_outside(name: str, row: int, column: int, X: Any, *, size: int, is_column: bool) -> NoReturn:
    """Raise `ValueError` for a stored number outside the `size` columns (or rows, or blocks of them) of a matrix."""
    part, count = ("columns", X.shape[1]) if is_column else ("rows", X.shape[0])
    unit = f" blocks of {part}" if size != count else f" {part}"
    _raise_damaged(
        name, f"row {row} has a stored number in column {column}, but there are {size}{unit}, 0 to {size - 1}"
    )


def _raise_damaged(name: str, what: str) -> NoReturn:
    """Raise `ValueError` for a matrix whose arrays contradict each other."""
    raise ValueError(f"X is a damaged {name} matrix: {what}. {ADVICE}")
