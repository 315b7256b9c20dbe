"""What users hand in, made into what the solver takes: arrays, frames, labels of any kind, weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import check_array, validate_data

from softreg.probability import Classes, check_probabilities
from softreg.rows import Array


def features(estimator: Any, X: Any, reset: bool) -> Any:
    """X as float64, or float32 where it is that, dense or CSR; columns of a frame are matched by name.

    Raises `ValueError` that names the column and row of what is no number, and scikit-learn's errors for shapes,
    names, missing and infinite values.
    """
    if not nw.dependencies.is_into_dataframe(X):
        return validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            accept_large_sparse=True,
        )
    frame = nw.from_native(X, eager_only=True)
    known = getattr(estimator, "feature_names_in_", None)
    if not reset and known is not None and set(frame.columns) == set(known):
        frame = frame.select(*known)  # the order of columns is the file's business, not the model's
    validate_data(estimator, frame.to_native(), reset=reset, skip_check_array=True)
    return check_array(_frame_array(frame), dtype=[np.float64, np.float32])


def _frame_array(frame: Any) -> Array:
    single = all(kind == nw.Float32 for kind in frame.schema.values())
    out = np.empty((len(frame), len(frame.columns)), dtype=np.float32 if single else np.float64)
    for place, name in enumerate(frame.columns):
        column = frame.get_column(name)
        empty = column.is_null().to_numpy()
        if empty.any():
            raise ValueError(
                f"Input X contains NaN: column {name!r} has a missing value in row {int(empty.argmax())}. Fill it, "
                "drop the row, or use softreg.TableClassifier, which gives missing values their own indicator."
            )
        try:
            out[:, place] = column.to_numpy()
        except (ValueError, TypeError):
            raise ValueError(
                f"column {name!r} holds {column.dtype}, not numbers (row 0: {column[0]!r}). Encode it first, or use "
                "softreg.TableClassifier, which takes columns of mixed kinds."
            ) from None
    return out


def known_labels(y: Any) -> tuple[NDArray[Any], Array]:
    """The classes (q,) and what the solver takes as labels: codes (n,) or label probabilities (n, q).

    Hard labels may be text, integers, booleans, categorical or nullable series, or objects; the classes are sorted. A
    matrix (n, q) is taken as label probabilities of the classes 0 .. q - 1, a frame as those of its columns.
    """
    if nw.dependencies.is_into_dataframe(y):
        frame = nw.from_native(y, eager_only=True)
        if len(frame.columns) > 1:
            return _column_names(frame), check_probabilities(_frame_array(frame), name="y")
        y = frame.get_column(frame.columns[0]).to_native()
    if sp.issparse(y):
        raise ValueError(
            "Sparse y is not supported: hand in one label a row, or a dense matrix of label probabilities."
        )
    values = label_values(y)
    if values.ndim == 2 and values.shape[1] > 1:
        if values.dtype.kind not in "biuf":
            raise ValueError(
                f"y has shape {values.shape} and dtype {values.dtype}: label probabilities must be numbers."
            )
        return np.arange(values.shape[1]), check_probabilities(values.astype(np.float64, copy=False), name="y")
    values = one_column(values)
    try:
        classes = Classes(values)
    except ValueError as error:
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"Input y contains NaN or infinity: {error}") from None
        raise
    return classes.labels, classes.encode(values)


def _column_names(frame: Any) -> NDArray[Any]:
    names = frame.columns
    return np.asarray(names, dtype=object) if not all(isinstance(n, str) for n in names) else np.asarray(names)


def label_values(y: Any) -> NDArray[Any]:
    """Labels as a NumPy array, from a series of pandas, polars or pyarrow, a list or an array."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None: hand in one label a row.")
    if nw.dependencies.is_into_series(y):
        series = nw.from_native(y, series_only=True)
        if isinstance(series.dtype, nw.Categorical | nw.Enum):
            series = series.cast(nw.String)
        return np.asarray(series.to_numpy())
    if type(y).__module__.split(".")[0] == "pyarrow":  # a pyarrow Array, which is no series for narwhals
        return np.asarray(y.to_pylist(), dtype=object) if y.null_count else np.asarray(y.to_numpy(zero_copy_only=False))
    return np.asarray(y)


def one_column(values: NDArray[Any]) -> NDArray[Any]:
    """Labels (n,) from (n,) or, with scikit-learn's warning, (n, 1)."""
    if values.ndim == 2 and values.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
            "(n_samples,), for example using ravel().",
            DataConversionWarning,
            stacklevel=4,
        )
        return values.ravel()
    if values.ndim != 1:
        raise ValueError(f"y should be a 1d array of labels, got an array of shape {values.shape} instead.")
    return values


def row_weights(
    sample_weight: Any,
    n: int,
    classes: NDArray[Any],
    labels: Array,
    class_weight: Mapping[Any, float] | str | None,
) -> Array | None:
    """The weight of each row, (n,), from sample and class weights; None where all are 1.

    Raises `ValueError` for weights that are negative, not finite, all zero or of another length, naming the row.
    """
    weight = None if sample_weight is None else _checked(sample_weight, n)
    if class_weight is None:
        return weight
    ones = np.ones(n) if weight is None else weight
    per_class = _per_class(class_weight, classes, labels, ones)
    share = per_class[labels] if labels.ndim == 1 else labels @ per_class
    return np.asarray(ones * share)


def _checked(sample_weight: Any, n: int) -> Array:
    weight = np.asarray(label_values(sample_weight), dtype=np.float64)
    if weight.ndim == 0:
        weight = np.full(n, float(weight))
    if weight.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got shape {weight.shape}.")
    if weight.shape != (n,):
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected {(n,)}: one weight for each of the {n} rows."
        )
    bad = ~np.isfinite(weight) | (weight < 0)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"the sample weight of row {row} is {weight[row]}: weights count rows, so they are finite and >= 0."
        )
    if n and not weight.any():
        raise ValueError(
            "all sample weights are zero, so there is nothing to fit; leave sample_weight out to count each row once."
        )
    return weight


def _per_class(class_weight: Mapping[Any, float] | str, classes: NDArray[Any], labels: Array, weight: Array) -> Array:
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight={class_weight!r}: it is 'balanced', a dict from class to weight, or None.")
        hard = labels.ndim == 1
        mass = np.bincount(labels, weights=weight, minlength=len(classes)) if hard else weight @ labels
        return np.asarray(np.divide(weight.sum(), len(classes) * mass, out=np.zeros(len(classes)), where=mass > 0))
    out = np.ones(len(classes))
    places = {label: k for k, label in enumerate(classes.tolist())}
    for label, value in class_weight.items():
        if label not in places:
            raise ValueError(f"class_weight names the class {label!r}, which is not among {list(places)[:10]}.")
        if not np.isfinite(value) or value < 0:
            raise ValueError(f"class_weight of {label!r} is {value}: weights are finite and >= 0.")
        out[places[label]] = float(value)
    return out
