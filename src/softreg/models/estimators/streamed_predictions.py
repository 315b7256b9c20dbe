"""Predictions of fitted linear classifiers that need no array (n, q): of the most likely and of chosen classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from softreg.models.class_blocks.logit_blocks import LogitBlocks, is_streamed
from softreg.models.class_blocks.top_classes import (
    TopClasses,
    checked_count,
    chosen_log_probabilities,
    most_likely_codes,
    top_classes,
)
from softreg.models.inputs.batches import iter_batches
from softreg.models.inputs.cluster.dask_collections import is_dask_collection
from softreg.models.inputs.features import is_batch_source, validate_features
from softreg.models.inputs.labels import label_values
from softreg.models.inputs.offsets import check_offset_is_given, offset_array
from softreg.probability import Classes
from softreg.probability.label_arrays import spell
from softreg.rows.gpu.interop import is_tensor
from softreg.typing import Array, Float64Array, IntArray

Result = TypeVar("Result")


def logit_blocks(model: Any, X: Any, offset: Any = None) -> LogitBlocks:
    """Return the logits of rows as blocks, after validation.

    Parameters
    ----------
    model : LinearClassifier
        A fitted model.
    X : array, sparse matrix, frame or tensor of shape (n, d)
        Features.
    offset : array or frame of shape (n, q) or (n,), optional
        Fixed part of the logits.

    Returns
    -------
    LogitBlocks

    Raises
    ------
    ValueError
        If X does not fit the model, or an offset is missing.
    """
    check_is_fitted(model, "coef_")
    if is_dask_collection(X):
        raise ValueError(
            "top_k and classes=... take the rows of one partition: call them by X.map_partitions or X.map_blocks, or "
            "pass X.compute()."
        )
    check_offset_is_given(model, offset)
    X = validate_features(model, X, reset=False)
    if sp.issparse(X):
        X = X.tocsr()
    fixed = None if offset is None else offset_array(offset, X.shape[0], model.classes_)
    return LogitBlocks(model.coef_, model.intercept_, X, fixed)


def over_batches(X: Any, offset: Any, compute: Callable[[Any, Any], Result]) -> list[Result]:
    """Return what `compute(X, offset)` returns for the rows, or for each batch of a source of batches.

    Parameters
    ----------
    X : array or batches
        Features, or batches (X, y, weight, offset) of which y, weight and offset may be missing.
    offset : array or None
        Offsets of rows that are no batches.
    compute : callable
        Function of features and offsets.

    Returns
    -------
    list
        One result, or one of each batch.
    """
    if offset is not None or not is_batch_source(X):
        return [compute(X, offset)]
    parts = ((*batch, None, None, None)[:4] for batch in iter_batches(X))
    return [compute(part[0], part[3]) for part in parts]


def streamed_codes(model: Any, X: Any, offset: Any) -> IntArray | None:
    """Return the most likely class (n,) of each row by blocks; None where rows and classes are few, or X is a tensor.

    Parameters
    ----------
    model : LinearClassifier
        A fitted model.
    X : array, sparse matrix or frame of shape (n, d)
        Features.
    offset : array, optional
        Fixed part of the logits.

    Returns
    -------
    ndarray of int of shape (n,) or None
    """
    n = getattr(X, "shape", (0,))[0]
    if is_tensor(X) or not isinstance(n, (int, np.integer)) or not is_streamed(int(n), len(model.classes_)):
        return None
    return most_likely_codes(logit_blocks(model, X, offset))


def top_k(model: Any, X: Any, k: Any, offset: Any) -> TopClasses:
    """Return the k most likely classes of the rows; see `LinearClassifier.top_k`."""
    check_is_fitted(model, "coef_")
    checked_count(k)
    parts = over_batches(X, offset, lambda X, o: top_classes(logit_blocks(model, X, o), k, model.classes_))
    if len(parts) == 1:
        return parts[0]
    return TopClasses(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "probabilities", "codes"))
    )


def log_probabilities_of(model: Any, X: Any, offset: Any, classes: Any) -> Float64Array:
    """Return the log-probabilities (n, c) of chosen classes of the rows.

    Parameters
    ----------
    model : LinearClassifier
        A fitted model.
    X : array, sparse matrix, frame, tensor or batches
        Features.
    offset : array, optional
        Fixed part of the logits.
    classes : array-like of shape (c,)
        Classes, in the order of the columns of the result.

    Returns
    -------
    ndarray of shape (n, c)

    Raises
    ------
    ValueError
        If a class is not one of the model.
    """
    check_is_fitted(model, "coef_")
    codes = codes_of_classes(classes, model.classes_)
    parts = over_batches(X, offset, lambda X, o: chosen_log_probabilities(logit_blocks(model, X, o), codes))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def codes_of_classes(classes: Any, known: Array) -> IntArray:
    """Return the positions of the classes that a caller chose.

    Parameters
    ----------
    classes : array-like of shape (c,)
        Classes of the model, in any order; one may be named twice.
    known : ndarray of shape (q,)
        The classes of the model.

    Returns
    -------
    ndarray of int of shape (c,)

    Raises
    ------
    ValueError
        If there is none, or one is not a class of the model.

    Examples
    --------
    >>> codes_of_classes(["c", "a"], np.array(["a", "b", "c"]))
    array([2, 0])
    """
    if isinstance(classes, (str, bytes)) or np.ndim(classes) != 1:
        raise ValueError(f"classes={classes!r} must be a list of classes of the model, such as [{spell(known[0])}].")
    if len(classes) == 0:
        raise ValueError("classes=[] names no class; leave it out for the probabilities of all classes.")
    all_known = Classes.of(known)
    values = label_values(classes)
    codes = all_known.find(values)
    missing = np.flatnonzero(codes < 0)
    if len(missing):
        count = "" if len(missing) == 1 else f" ({len(missing):,} of {len(codes):,} are not)"
        raise ValueError(
            f"classes names {spell(values[int(missing[0])])}, which is not a class of the model{count}; "
            f"its classes are {all_known.listing()}."
        )
    return codes
