"""Labels as users hand them in: hard ones of any kind, or label probabilities whose columns may have names."""

from __future__ import annotations

import warnings
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.exceptions import DataConversionWarning

from softreg.models.inputs.frames import frame_to_array
from softreg.probability import Classes, check_probabilities
from softreg.probability.label_arrays import exact_text, kind_of, spell
from softreg.rows import Array
from softreg.rows.gpu.interop import is_tensor, to_numpy


def classes_and_labels(y: Any) -> tuple[NDArray[Any], Array]:
    """The classes (q,) and what the solver takes as labels: codes (n,) or label probabilities (n, q).

    Hard labels may be text, integers, booleans, categorical or nullable series, or objects; the classes are sorted. A
    matrix (n, q) is taken as label probabilities of the classes 0 .. q - 1, a frame as those of its columns.
    """
    values, names = parse_labels(y)
    if are_probabilities(values):
        return np.arange(values.shape[1]) if names is None else names, values
    try:
        classes = Classes(values)
    except ValueError as error:
        kind = getattr(getattr(values, "dtype", None), "kind", "")
        if kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"Input y contains NaN or infinity: {error}") from None
        raise
    return classes.labels, classes.encode(values)


def encode_known_labels(y: Any, known: Classes, names: NDArray[Any] | None = None) -> Array:
    """Codes (n,) of hard labels among the known classes, or label probabilities (n, q) in the order of the classes.

    Columns of a frame are matched by name; those of a matrix are named by `names`, or are the classes in their order.
    Raises `ValueError` for a label or a column that is no class.
    """
    values, columns = parse_labels(y)
    if not are_probabilities(values):
        return known.encode(values)
    return reorder_columns(values, names if columns is None else columns, known)


def hard_codes(y: Any, known: Classes) -> Array:
    """Codes (n,) of labels, -1 for one that is no known class; of label probabilities, the heaviest.

    Raises `ValueError` where all labels are text and no class is, or the other way round: that is a mistake.
    """
    values, columns = parse_labels(y)
    if are_probabilities(values):
        return np.asarray(reorder_columns(values, columns, known).argmax(axis=1))
    codes = known.find(values)
    if len(codes) and (codes < 0).all():
        here, there = kind_of(values[0]), kind_of(known.labels[0])
        if (here == "text") != (there == "text"):
            raise ValueError(f"the labels y are {here} and the classes {there}, so none can be right; use one kind.")
    return codes


def reorder_columns(P: Array, names: NDArray[Any] | None, known: Classes) -> Array:
    """Label probabilities (n, q) with their columns in the order of the known classes."""
    if P.shape[1] != len(known):
        raise ValueError(f"y has {P.shape[1]} columns of label probabilities; there are {len(known)} classes.")
    if names is None:
        return P
    try:
        return np.ascontiguousarray(P[:, np.argsort(known.encode(names))])
    except ValueError as error:
        raise ValueError(f"the columns of y are named by classes, but {error}") from None


def are_probabilities(values: Any) -> bool:
    """Whether labels that `parse_labels` gave are label probabilities."""
    return isinstance(values, np.ndarray) and values.ndim == 2


def parse_labels(y: Any) -> tuple[Any, NDArray[Any] | None]:
    """Hard labels, one-dimensional, or checked label probabilities (n, q) and the names of their columns, if any."""
    if nw.dependencies.is_into_dataframe(y):
        frame = nw.from_native(y, eager_only=True)
        if len(frame.columns) > 1:
            return check_probabilities(frame_to_array(frame, "y"), name="y"), Classes.of(frame.columns).labels
        y = frame.get_column(frame.columns[0]).to_native()
    if sp.issparse(y):
        raise ValueError(
            "Sparse y is not supported: hand in one label a row, or a dense matrix of label probabilities."
        )
    values = label_values(y)
    if not isinstance(values, np.ndarray):
        return values, None  # a list stays one, for `Classes` to see what NumPy would convert
    if values.ndim != 2 or values.shape[1] < 2:
        return _one_column(values), None
    if values.dtype.kind not in "biuf":
        raise ValueError(f"y has shape {values.shape} and dtype {values.dtype}: label probabilities must be numbers.")
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        row = int(np.argwhere(np.ma.getmaskarray(values))[0, 0])
        raise ValueError(f"y is masked, that is missing, in row {row}; fill it, or leave the row out.")
    return check_probabilities(np.asarray(values, dtype=np.float64), name="y"), None


def label_values(y: Any) -> Any:
    """Labels as an array, from a series of pandas, polars or pyarrow or an array; a list of single values stays one."""
    if y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None: hand in one label a row.")
    if isinstance(y, np.ndarray):
        return y
    if is_tensor(y):
        return to_numpy(y)
    if isinstance(y, (list, tuple)):
        nested = bool(y) and isinstance(y[0], (list, tuple, np.ndarray))
        return np.asarray(y) if nested else y
    if nw.dependencies.is_into_series(y):
        return exact_text(y, np.asarray(nw.from_native(y, series_only=True).to_numpy()))
    if type(y).__module__.split(".")[0] == "pyarrow":  # a pyarrow Array, which is no series for narwhals
        return np.asarray(y.to_pylist(), dtype=object) if y.null_count else np.asarray(y.to_numpy(zero_copy_only=False))
    return np.asarray(y)


def _one_column(values: NDArray[Any]) -> NDArray[Any]:
    """Labels (n,) from (n,) or, with scikit-learn's warning, (n, 1)."""
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
    """Raise `ValueError` where features and labels differ in number."""
    if X.shape[0] != len(labels):
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {[X.shape[0], len(labels)]}")


def check_classes(classes: NDArray[Any], labels: Array, weight: Array | None) -> None:
    """Raise `ValueError` for a single class, or one without any weight: its bias would go to minus infinity."""
    if len(classes) < 2:
        raise ValueError(
            "This solver needs samples of at least 2 classes in the data, but the data contains only one class: "
            f"{spell(classes[0])}. There is nothing to tell apart."
        )
    ones = np.ones(len(labels)) if weight is None else weight
    mass = np.bincount(labels, weights=ones, minlength=len(classes)) if labels.ndim == 1 else ones @ labels
    if (mass == 0).any():
        lost = classes[int((mass == 0).argmax())]
        raise ValueError(
            f"the class {spell(lost)} has no row with a weight above zero, so nothing can be learned of it; leave it "
            "out, or give it rows."
        )
