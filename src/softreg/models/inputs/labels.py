"""Validation of labels: hard ones of any type, or label probabilities whose columns may be named by classes."""

from __future__ import annotations

import warnings
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import DataConversionWarning

from softreg.models.inputs.dataframe_arrays import frame_to_array
from softreg.probability import Classes, check_probabilities
from softreg.probability.label_arrays import exact_text, kind_of, spell
from softreg.rows.gpu.interop import is_tensor, to_numpy
from softreg.typing import Array, Float64Array, IntArray


def classes_and_labels(y: Any) -> tuple[Array, Array]:
    """Return the classes, and the labels in the form that solvers take.

    Parameters
    ----------
    y : array, list, series or frame
        Hard labels (n,): text, integers, booleans, dates, categorical or nullable series, or objects. Or label
        probabilities (n, q): a matrix, of the classes 0 .. q - 1, or a frame, of the classes that name its columns.

    Returns
    -------
    classes : ndarray of shape (q,)
        The classes; sorted for hard labels.
    labels : ndarray of shape (n,) or (n, q)
        Codes of the classes or label probabilities.

    Raises
    ------
    ValueError
        If a label is missing or not a value that labels can have; the message names the row.
    """
    values, columns = parse_labels(y)
    if are_probabilities(values):
        return np.arange(values.shape[1]) if columns is None else columns, values
    try:
        classes, codes = Classes.with_codes(values)
    except ValueError as error:
        kind = getattr(getattr(values, "dtype", None), "kind", "")
        if kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"Input y contains NaN or infinity: {error}") from None
        raise
    return classes.labels, codes


def encode_known_labels(y: Any, known: Classes, names: Array | None = None) -> Array:
    """Return labels in the form that solvers take, for classes that are known already.

    Parameters
    ----------
    y : array, list, series or frame
        Hard labels (n,) or label probabilities (n, q).
    known : Classes
        The classes.
    names : ndarray of shape (q,), optional
        Class of each column of a matrix of label probabilities; by default the known classes in their order. The
        columns of a frame are matched by name.

    Returns
    -------
    ndarray of shape (n,) or (n, q)
        Codes of the known classes, or label probabilities in their order.

    Raises
    ------
    ValueError
        If a label or a column is not a known class.
    """
    values, columns = parse_labels(y)
    if not are_probabilities(values):
        return known.encode(values)
    return reorder_columns(values, names if columns is None else columns, known)


def hard_codes(y: Any, known: Classes) -> IntArray:
    """Return codes of labels; of label probabilities, the code of the most probable class.

    Parameters
    ----------
    y : array, list, series or frame
        Hard labels (n,) or label probabilities (n, q).
    known : Classes
        The classes.

    Returns
    -------
    ndarray of int, shape (n,)
        The codes; -1 for a label that is not a known class.

    Raises
    ------
    ValueError
        If labels are text and classes are not, or the other way round.
    """
    values, columns = parse_labels(y)
    if are_probabilities(values):
        return np.asarray(reorder_columns(values, columns, known).argmax(axis=1))
    codes = known.find(values)
    if len(codes) and (codes < 0).all():
        label_kind, class_kind = kind_of(values[0]), kind_of(known.labels[0])
        if (label_kind == "text") != (class_kind == "text"):
            raise ValueError(
                f"the labels y are {label_kind} and the classes {class_kind}, so none can be right; use one kind."
            )
    return codes


def reorder_columns(P: Float64Array, names: Array | None, known: Classes) -> Float64Array:
    """Return label probabilities (n, q) with columns in the order of the known classes; raise for other columns."""
    if P.shape[1] != len(known):
        raise ValueError(f"y has {P.shape[1]} columns of label probabilities; there are {len(known)} classes.")
    if names is None:
        return P
    try:
        return np.ascontiguousarray(P[:, np.argsort(known.encode(names))])
    except ValueError as error:
        raise ValueError(f"the columns of y are named by classes, but {error}") from None


def are_probabilities(values: Any) -> bool:
    """Return True if the values that `parse_labels` returned are label probabilities."""
    return isinstance(values, np.ndarray) and values.ndim == 2


def parse_labels(y: Any) -> tuple[Any, Array | None]:
    """Return hard labels or checked label probabilities, and the classes that name their columns.

    Parameters
    ----------
    y : array, list, series or frame
        Labels as a caller passed them.

    Returns
    -------
    values : ndarray or list
        Hard labels (n,) or label probabilities (n, q). A list of hard labels stays one, so that `Classes` can check
        values that NumPy would convert.
    columns : ndarray of shape (q,) or None
        Names of the columns of a frame of label probabilities.

    Raises
    ------
    ValueError
        If y is sparse, masked, of another shape, or holds rows that are not probability distributions.
    """
    if not isinstance(y, np.ndarray) and nw.dependencies.is_into_dataframe(y):
        frame = nw.from_native(y, eager_only=True)
        if len(frame.columns) > 1:
            return check_probabilities(frame_to_array(frame, "y"), name="y"), Classes.of(frame.columns).labels
        y = frame.get_column(frame.columns[0]).to_native()
    if sp.issparse(y):
        raise ValueError(
            "Sparse y is not supported: pass one label for each row, or a dense matrix of label probabilities."
        )
    values = label_values(y)
    if not isinstance(values, np.ndarray):
        return values, None
    if values.ndim != 2 or values.shape[1] < 2:
        return _one_column(values), None
    if values.dtype.kind not in "biuf":
        raise ValueError(f"y has shape {values.shape} and dtype {values.dtype}: label probabilities must be numbers.")
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        row = int(np.argwhere(np.ma.getmaskarray(values))[0, 0])
        raise ValueError(f"y is masked, that is missing, in row {row}; fill it, or leave the row out.")
    return check_probabilities(np.asarray(values, dtype=np.float64), name="y"), None


def label_values(y: Any) -> Any:
    """Return labels as an array; a list or tuple of single values stays as it is.

    Parameters
    ----------
    y : array, tensor, list, or series of pandas, polars or pyarrow
        One value for each row.

    Returns
    -------
    ndarray, list or tuple
        The values.

    Raises
    ------
    ValueError
        If y is None.
    """
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None: pass one label for each row."
        )
    if isinstance(y, np.ndarray):
        return y
    if is_tensor(y):
        return to_numpy(y)
    if isinstance(y, (list, tuple)):
        nested = bool(y) and isinstance(y[0], (list, tuple, np.ndarray))
        return np.asarray(y) if nested else y
    if nw.dependencies.is_into_series(y):
        return exact_text(y, np.asarray(nw.from_native(y, series_only=True).to_numpy()))
    if type(y).__module__.split(".")[0] == "pyarrow":  # a pyarrow Array, which narwhals does not take for a series
        return np.asarray(y.to_pylist(), dtype=object) if y.null_count else np.asarray(y.to_numpy(zero_copy_only=False))
    return np.asarray(y)


def _one_column(values: Array) -> Array:
    """Return labels (n,) from (n,) or, with scikit-learn's warning, from (n, 1)."""
    if values.ndim == 2 and values.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
            "(n_samples,), for example using ravel().",
            DataConversionWarning,
            stacklevel=5,
        )
        return values.ravel()
    if values.ndim != 1:
        raise ValueError(f"y should be a 1d array of labels, got an array of shape {values.shape} instead.")
    return values


def check_lengths(X: Any, labels: Array) -> None:
    """Raise `ValueError` if features and labels have different numbers of rows."""
    if X.shape[0] != len(labels):
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {[X.shape[0], len(labels)]}")


def check_classes(classes: Array, labels: Array, weight: Array | None) -> None:
    """Check that there are two classes at least, each with a positive weight.

    Parameters
    ----------
    classes : ndarray of shape (q,)
        The classes.
    labels : ndarray of shape (n,) or (n, q)
        Codes of the classes or label probabilities.
    weight : ndarray of shape (n,) or None
        Weights of the rows.

    Raises
    ------
    ValueError
        If there is one class only, or one without weight: its bias would diverge to minus infinity.
    """
    if len(classes) < 2:
        raise ValueError(
            "This solver needs samples of at least 2 classes in the data, but the data contains only one class: "
            f"{spell(classes[0])}. A classifier needs two classes."
        )
    if labels.ndim == 1:
        mass = np.bincount(labels, weights=weight, minlength=len(classes))
    else:
        mass = labels.sum(axis=0) if weight is None else weight @ labels
    if (mass == 0).any():
        absent = classes[int((mass == 0).argmax())]
        raise ValueError(
            f"the class {spell(absent)} has no row with a weight above zero, so its probability cannot be estimated; "
            "leave it out, or give it rows."
        )
