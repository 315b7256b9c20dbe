"""Features as users hand them in, made into what the solver takes: arrays, sparse matrices and frames."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence, Set
from decimal import Decimal
from numbers import Real
from typing import Any, NoReturn

import narwhals as nw
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, validate_data

from softreg.models.inputs.sparse_matrices import checked_sparse
from softreg.probability.label_arrays import MISSING, spell
from softreg.rows import Array
from softreg.rows.gpu.interop import is_tensor, to_numpy

_TABLE = "or use softreg.TableClassifier, which takes columns of mixed kinds"
LARGE = 1 << 26
"""Numbers that are not finite are looked for in so many bytes at a time."""
_FLOATS = [np.float64, np.float32]


def features(estimator: Any, X: Any, reset: bool, finite: bool = True) -> Any:
    """X as float64, or float32 where it is that, dense or CSR; columns of a frame are matched by name.

    Who sees in another way whether all numbers are finite (`finite=False`) spares X one reading.

    Raises `ValueError` that names the column and row of what is no finite number, and scikit-learn's errors for shapes
    and names.
    """
    if type(X) is np.ndarray:
        if not reset and _already_valid(estimator, X):
            if finite:
                check_finite(X)
            return X
    else:
        if in_batches(X):
            raise ValueError(
                f"X is {type(X).__name__}, which gives batches of rows; only fit, predict and predict_proba of "
                "SoftmaxRegression take these. Hand in an array or a frame."
            )
        X = to_numpy(X) if is_tensor(X) else checked_sparse(X) if sp.issparse(X) else _eager(X)
        if nw.dependencies.is_into_dataframe(X):
            return _of_frame(estimator, X, reset)
    X = _reject_lossy_array(X)
    X = validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr",
        dtype=_FLOATS,
        accept_large_sparse=True,
        ensure_all_finite=False,
    )
    if finite:
        check_finite(X)
    return X


def in_batches(X: Any) -> bool:
    """Whether X is neither array nor frame nor list, but something that gives batches.

    Example:
        >>> in_batches(iter([])), in_batches([[1.0]]), in_batches(np.eye(2))
        (True, False, False)
    """
    if X is None or isinstance(X, (str, bytes, list, tuple, Mapping, Set)):
        return False
    if any(hasattr(X, name) for name in ("shape", "__array__", "__dataframe__", "__arrow_c_stream__", "collect")):
        return False
    return callable(X) or hasattr(X, "__iter__")


def _already_valid(estimator: Any, X: NDArray[Any]) -> bool:
    """Whether nothing is left to check but that the numbers are finite: one row is to be answered fast."""
    return (
        X.ndim == 2
        and X.dtype in _FLOATS
        and X.dtype.isnative
        and len(X) > 0
        and X.shape[1] == getattr(estimator, "n_features_in_", 0)
        and not hasattr(estimator, "feature_names_in_")
    )


def check_finite(X: Any, names: Sequence[Any] | None = None, what: str = "X", first: int = 0) -> None:
    """Raise `ValueError` that names column and row of the first number of X (n, d), dense or CSR, that is not finite.

    `first` is the number of the first row.

    Example:
        >>> check_finite(np.array([[1.0, 2.0], [np.nan, 3.0]]))
        Traceback (most recent call last):
        ...
        ValueError: Input X contains NaN: column 0 has a missing value in row 1. Fill it, or leave the row out.
    """
    data = X.data if sp.issparse(X) else X
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(data.sum()):  # nan and infinity show in the sum: one pass and no mask where all is well
            return
    if data is X and len(X) > 1 and X.nbytes > LARGE:  # a mask of all might not fit where X is mapped
        for a in range(0, len(X), step := -(-len(X) * LARGE // X.nbytes)):
            check_finite(X[a : a + step], names, what, first + a)
        return
    bad = ~np.isfinite(data)
    if not bad.any():
        return  # large numbers, of which only the sum is infinite
    if sp.issparse(X):
        place = int(bad.argmax())
        row, column, value = int(np.searchsorted(X.indptr, place, side="right")) - 1, X.indices[place], data[place]
    else:
        row, column = np.argwhere(bad)[0]
        value, row = data[row, column], row + first
    where = f"column {int(column)}" if names is None else f"column {names[column]!r}"
    refuse_number(value, int(row), where, names, what)


def refuse_number(value: Any, row: int, where: str, names: Sequence[Any] | None = None, what: str = "X") -> NoReturn:
    """Raise `ValueError` for a number that is not finite, with its column (`where`) and row."""
    if np.isnan(value):
        table = ", or use softreg.TableClassifier, which gives missing values their own indicator" if names else ""
        raise ValueError(
            f"Input {what} contains NaN: {where} has a missing value in row {row}. Fill it, or leave the row out"
            f"{table if what == 'X' else ''}."
        )
    raise ValueError(
        f"Input {what} contains infinity: {where} holds {value} in row {row}. Look for a division by zero or an "
        "overflow where it was computed, and correct it or leave the row out."
    )


# --- frames ---------------------------------------------------------------------------------------------------------


def _eager(X: Any) -> Any:
    """X, with a pyarrow batch as the table that it is; raises `ValueError` for a frame that is not read yet."""
    if hasattr(X, "collect") and hasattr(X, "collect_schema"):
        raise ValueError("X is a lazy frame, whose rows are not read yet; call .collect() on it first.")
    pyarrow = sys.modules.get("pyarrow")  # who hands in a batch has imported it
    if pyarrow is not None and isinstance(X, pyarrow.RecordBatch):
        return pyarrow.Table.from_batches([X])
    return X


def _of_frame(estimator: Any, X: Any, reset: bool) -> Any:
    frame = nw.from_native(X, eager_only=True)
    known = getattr(estimator, "feature_names_in_", None)
    if not reset and known is not None and set(frame.columns) == set(known):
        frame = frame.select(*known)  # the order of columns is the file's business, not the model's
    validate_data(estimator, frame.to_native(), reset=reset, skip_check_array=True)
    return check_array(frame_array(frame), dtype=_FLOATS, ensure_all_finite=False)


def frame_array(frame: Any, what: str = "X") -> Array:
    """The columns of a narwhals frame as an array (n, d), float32 where all are that; each must hold finite numbers."""
    single = all(kind == nw.Float32 for kind in frame.schema.values())
    out = np.empty((len(frame), len(frame.columns)), dtype=np.float32 if single else np.float64)
    for place, name in enumerate(frame.columns):
        out[:, place] = _column(frame.get_column(name), f"column {name!r}", what)
    check_finite(out, frame.columns, what)
    return out


def _column(column: Any, name: str, what: str) -> NDArray[Any]:
    """The numbers of a column; what is missing comes as nan."""
    if column.dtype in (nw.Int128, nw.UInt128):  # which NumPy lacks
        column = column.cast(nw.Float64)
    kind = column.dtype
    if kind.is_numeric() or kind in (nw.Boolean, nw.Object, nw.Unknown):
        values: NDArray[Any] = np.asarray(column.to_numpy())
        if values.dtype.kind in "biuf" and values.ndim == 1:
            return values
        if values.dtype.kind == "O":
            missing = np.asarray(column.is_null().to_numpy(), dtype=bool)
            values = values.copy()
            values[missing] = None
            numbers, strange = object_numbers(values)
            if not len(strange):
                return numbers
            refuse_huge(values[strange[0]], f"{name} of {what}, row {strange[0]}")
            _refuse_column(values, int(strange[0]), kind, name, what)
    values = np.array(column.to_list(), dtype=object) if len(column) else np.empty(0, dtype=object)
    is_text = [isinstance(v, str) and not _is_number(v) for v in values]
    _refuse_column(values, is_text.index(True) if any(is_text) else 0, kind, name, what)


def _refuse_column(values: NDArray[Any], row: int, kind: Any, name: str, what: str) -> NoReturn:
    seen = f" (row {row}: {spell(values[row])})" if len(values) else ""
    if kind in (nw.Date, nw.Datetime, nw.Duration, nw.Time):
        advice = "Turn it into a number first, for example of days since a date that you choose"
    elif kind == nw.String and len(values) and all(v is None or _is_number(v) for v in values):
        advice = "Its numbers are written as text: convert the column to numbers"
    else:
        advice = "Encode it as numbers first"
    raise ValueError(
        f"{name} of {what} holds {str(kind).split('(')[0]}, not numbers{seen}. {advice}"
        f"{', ' + _TABLE if what == 'X' else ''}."
    )


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


# --- arrays ---------------------------------------------------------------------------------------------------------


def _reject_lossy_array(X: Any) -> Any:
    """X, lists as an array; raises `ValueError` for what NumPy would convert in silence: masks, text, dates."""
    if isinstance(X, (list, tuple, str, bytes)):
        X = _from_lists(X)
    if isinstance(X, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(X)
        if mask.any():
            row, *column = (int(i) for i in np.argwhere(mask)[0])
            raise ValueError(
                f"Input X contains NaN: row {row}{f', column {column[0]}' if column else ''} is masked, that is "
                "missing. Fill it, or leave the row out."
            )
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind in ("M", "m"):
        raise ValueError(
            f"X holds {X.dtype}, not numbers; turn it into numbers first, for example of days since a date."
        )
    if kind in ("U", "S", "T", "O") and isinstance(X, np.ndarray):
        _refuse_text(X)
    return _of_objects(X) if kind == "O" and isinstance(X, np.ndarray) else X


def _of_objects(X: NDArray[Any]) -> NDArray[np.float64]:
    """An array of objects as numbers, nan for what is missing.

    Raises an error that names the cell: `ValueError` for a number beyond float64, `TypeError` for what is no number.
    """
    numbers, strange = object_numbers(X.ravel())
    if len(strange):
        place, value = np.unravel_index(strange[0], X.shape), X.ravel()[strange[0]]
        where = ", ".join(f"{axis} {i}" for axis, i in zip(("row", "column"), place, strict=False))
        refuse_huge(value, f"X, {where}")
        raise TypeError(  # in the words of float(), which scikit-learn's checks of estimators look for
            f"X holds {type(value).__name__} objects, not numbers ({where}: {spell(value):.60}); the "
            f"argument must be a real number, not a string or another object. Encode it as numbers first, {_TABLE}."
        )
    return numbers.reshape(X.shape)


def object_numbers(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Objects (n,) as float64, nan where a value is missing, and the places of those that are no such number.

    Numbers are integers (huge ones only where float64 reaches them), floats, booleans, decimals and fractions.

    Example:
        >>> numbers, strange = object_numbers(np.array([1, Decimal("0.5"), None, 10**400, 1j], dtype=object))
        >>> numbers[:3], strange
        (array([1. , 0.5, nan]), array([3, 4]))
    """
    kinds = {kind: _is_number_type(kind) for kind in set(map(type, values))}
    if all(kinds.values()):
        try:
            return values.astype(np.float64), np.zeros(0, dtype=np.intp)
        except (OverflowError, TypeError, ValueError):
            pass
    numbers, strange = np.full(len(values), np.nan), []
    for row, value in enumerate(values):
        if type(value).__name__ in MISSING:
            continue
        try:
            if not kinds[type(value)]:
                raise TypeError
            numbers[row] = float(value)
        except (OverflowError, TypeError, ValueError):
            strange.append(row)
    return numbers, np.array(strange, dtype=np.intp)


def _is_number_type(kind: type) -> bool:
    return issubclass(kind, Real | Decimal | np.bool_) and not issubclass(kind, np.timedelta64)


def refuse_huge(value: Any, where: str) -> None:
    """Raise `ValueError` for an integer or fraction beyond the largest float64."""
    if isinstance(value, Real | Decimal) and not isinstance(value, np.timedelta64 | float):
        size = f"an integer of {int(abs(value)).bit_length()} bits" if isinstance(value, int) else "a number"
        raise ValueError(
            f"{where}, holds {size} beyond 1.8e308, the largest number of float64. Divide the column by a power of "
            "ten, or take logarithms; an identifier is no number to learn from."
        )


def _from_lists(X: Any) -> Any:
    try:
        return np.asarray(X)
    except ValueError:
        sizes = [len(row) if hasattr(row, "__len__") else 0 for row in X]
        odd = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
        if odd is None:
            raise
        raise ValueError(
            f"the rows of X differ in length: row 0 has {sizes[0]} numbers and row {odd} has {sizes[odd]}; give every "
            "row a number for every column."
        ) from None


def _refuse_text(X: NDArray[Any]) -> None:
    """Raise `ValueError` that names the first text in X, if any; best one that is not even a number written as text."""
    texts = [(place, v) for place, v in np.ndenumerate(X) if isinstance(v, (str, bytes))]
    if not texts:
        return
    place, value = next(((p, v) for p, v in texts if not _is_number(v)), texts[0])
    where = ", ".join(f"{axis} {i}" for axis, i in zip(("row", "column"), place, strict=False))
    raise ValueError(
        f"X holds text, not numbers ({where + ': ' if where else ''}{spell(value)}). Encode it as numbers "
        f"first, {_TABLE}."
    )
