"""Validation of features: from what users hand in to a dense array or a CSR matrix of floats."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Set
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from softreg.models.inputs.array_values import reject_lossy_array
from softreg.models.inputs.dataframe_arrays import frame_to_array
from softreg.models.inputs.finite_values import check_finite
from softreg.models.inputs.sparse_matrices import checked_sparse
from softreg.rows.gpu.interop import is_tensor, to_numpy
from softreg.typing import Array

FLOATS = [np.float64, np.float32]
"""Dtypes of validated features; every other dtype is converted to the first."""


def validate_features(estimator: BaseEstimator, X: Any, reset: bool, finite: bool = True) -> Any:
    """Return features (n, d) as float64, or as float32 if they are float32, dense or CSR.

    Parameters
    ----------
    estimator : estimator
        Gets `n_features_in_` and `feature_names_in_` where `reset`; otherwise X is compared with these, and the columns
        of a frame are matched by name.
    X : array, sparse matrix, frame, tensor or list of lists
        Features of n rows.
    reset : bool
        Whether this is the first data that the estimator receives.
    finite : bool
        Pass False if finiteness is checked elsewhere; avoids a pass over X.

    Returns
    -------
    ndarray or csr_array of shape (n, d)
        The features; the array of the caller where it needs no conversion.

    Raises
    ------
    ValueError
        If a value is not a finite number (the message names its column and row), or if shape or names do not match.
    """
    if type(X) is np.ndarray:
        if _needs_no_conversion(X) and (reset or _matches(estimator, X)):
            if reset:
                _set_feature_count(estimator, X)
            if finite:
                check_finite(X)
            return X
    else:
        if is_batch_source(X):
            raise ValueError(
                f"X is {type(X).__name__}, which yields batches of rows; only fit, predict and predict_proba of "
                "SoftmaxRegression accept these. Pass an array or a frame."
            )
        X = to_numpy(X) if is_tensor(X) else checked_sparse(X) if sp.issparse(X) else _eager_frame(X)
        if nw.dependencies.is_into_dataframe(X):
            return _validate_frame(estimator, X, reset)
    X = reject_lossy_array(X)
    X = validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr",
        dtype=FLOATS,
        accept_large_sparse=True,
        ensure_all_finite=False,
    )
    if finite:
        check_finite(X)
    return X


def is_batch_source(X: Any) -> bool:
    """Return True if X yields batches of rows: an iterable or a callable that is no array, frame or list.

    Parameters
    ----------
    X : object
        What a caller passed as features.

    Returns
    -------
    bool
        True for a source of batches.

    Examples
    --------
    >>> is_batch_source(iter([])), is_batch_source([[1.0]]), is_batch_source(np.eye(2))
    (True, False, False)
    """
    if X is None or isinstance(X, (np.ndarray, str, bytes, list, tuple, Mapping, Set)):
        return False
    if any(hasattr(X, name) for name in ("shape", "__array__", "__dataframe__", "__arrow_c_stream__", "collect")):
        return False
    return callable(X) or hasattr(X, "__iter__")


def copy_feature_attributes(model: BaseEstimator, source: BaseEstimator) -> None:
    """Copy the number and the names of the features from one estimator to another."""
    model.n_features_in_ = source.n_features_in_
    if hasattr(source, "feature_names_in_"):
        model.feature_names_in_ = source.feature_names_in_
    elif hasattr(model, "feature_names_in_"):
        del model.feature_names_in_


def _needs_no_conversion(X: Array) -> bool:
    """Return True if scikit-learn's `check_array` would return X itself, so that this slow check can be left out."""
    return X.ndim == 2 and X.size > 0 and X.dtype in FLOATS and X.dtype.isnative


def _matches(estimator: BaseEstimator, X: Array) -> bool:
    """Return True if a fitted estimator has as many features as X, and no names that X would lack."""
    return X.shape[1] == getattr(estimator, "n_features_in_", 0) and not hasattr(estimator, "feature_names_in_")


def _set_feature_count(estimator: BaseEstimator, X: Array) -> None:
    """Set the number of features of an estimator to that of an array, whose features have no names."""
    estimator.n_features_in_ = X.shape[1]
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_


def _eager_frame(X: Any) -> Any:
    """Return X with a pyarrow batch as a table; raise `ValueError` for a lazy frame."""
    if hasattr(X, "collect") and hasattr(X, "collect_schema"):
        raise ValueError("X is a lazy frame, whose rows are not read yet; call .collect() on it first.")
    pyarrow = sys.modules.get("pyarrow")  # already imported if X is one of its objects
    if pyarrow is not None and isinstance(X, pyarrow.RecordBatch):
        return pyarrow.Table.from_batches([X])
    return X


def _validate_frame(estimator: BaseEstimator, X: Any, reset: bool) -> Array:
    """Return the columns of a frame as an array (n, d), in the order of the estimator's feature names."""
    frame = nw.from_native(X, eager_only=True)
    known = getattr(estimator, "feature_names_in_", None)
    if not reset and known is not None and set(frame.columns) == set(known):
        frame = frame.select(*known)
    validate_data(estimator, frame.to_native(), reset=reset, skip_check_array=True)
    return np.asarray(check_array(frame_to_array(frame), dtype=FLOATS, ensure_all_finite=False))
