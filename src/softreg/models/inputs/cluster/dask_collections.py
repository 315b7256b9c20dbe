"""Dask arrays and frames: as training rows on the workers of a cluster, and for predictions that are computed later."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np
from sklearn.utils.validation import check_is_fitted

from softreg.models.inputs.cluster.fragmented_batches import FragmentedBatches, ValidatedFragment
from softreg.models.inputs.offsets import check_offset_is_given
from softreg.models.inputs.sample_and_class_weights import sample_weights
from softreg.rows.cluster.fragments import FragmentError
from softreg.typing import Array

MAX_LISTED = 5
"""Columns that a message lists."""


def is_dask_collection(X: Any) -> bool:
    """Return True for an array or a frame of Dask, whose rows are computed later.

    Parameters
    ----------
    X : object
        What a caller passed as features.

    Returns
    -------
    bool
        True for a collection of Dask.

    Examples
    --------
    >>> is_dask_collection(np.eye(2))
    False
    """
    base = sys.modules.get("dask.base")  # already imported if X is one of its objects
    return base is not None and bool(base.is_dask_collection(X))


@dataclass(frozen=True)
class DaskPartition:
    """A partition of Dask collections, which the scheduler computes; `fit` names the fit that it belongs to."""

    number: int
    fit: str

    @property
    def name(self) -> str:
        """Text that names the partition in messages."""
        return f"partition {self.number}"

    def read(self) -> tuple[Any, ...]:
        """Raise `FragmentError`: the scheduler gives the parts."""
        raise FragmentError(f"{self.name} is not there, and only the scheduler can compute it; fit again.")


def dask_batches(X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> FragmentedBatches:
    """Return the partitions of Dask collections as batches on the workers of the current client.

    Parameters
    ----------
    X : dask array or frame of shape (n, d)
        Features.
    y : dask array, series or frame of shape (n,) or (n, q)
        Labels or label probabilities, in the same partitions; arrays are cut like X.
    sample_weight : dask array or series of shape (n,), optional
        Weights of the rows.
    offset : dask array or frame of shape (n, q), optional
        Fixed part of the logits.

    Returns
    -------
    FragmentedBatches
        The batches.

    Raises
    ------
    ValueError
        If there is no client, or the collections are cut into different partitions.
    """
    from distributed import get_client

    from softreg.rows.cluster.dask_engine import DaskEngine

    try:
        client = get_client()
    except ValueError:
        raise ValueError(
            "X is a Dask collection, whose rows are summed by the workers of a cluster, and there is no client of one. "
            "Start one first: from distributed import Client; client = Client(), or Client(address)."
        ) from None
    _leave_thread_of_task()
    _check_is_table(X)
    columns = [
        _partitions(part, X, name)
        for name, part in (("X", X), ("y", y), ("sample_weight", sample_weight), ("offset", offset))
    ]
    fit = uuid4().hex
    batches = [DaskPartition(k, fit) for k in range(len(columns[0]))]
    engine = DaskEngine(client)
    engine.load([ValidatedFragment(batch) for batch in batches], list(zip(*columns, strict=True)))
    return FragmentedBatches(batches, engine)


def batches_on_workers(X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> FragmentedBatches:
    """Return batches on workers, from Dask collections or as they are.

    Parameters
    ----------
    X : FragmentedBatches, dask array or frame
        Batches, which hold their labels, or features.
    y, sample_weight, offset : dask collections, optional
        Labels, weights and offsets of features.

    Returns
    -------
    FragmentedBatches
        The batches.

    Raises
    ------
    ValueError
        If batches come with other labels, or the collections do not fit together.
    """
    if not isinstance(X, FragmentedBatches):
        return dask_batches(X, y, sample_weight, offset)
    if any(part is not None for part in (y, sample_weight, offset)):
        raise ValueError("batches hold their labels, weights and offsets; leave y, sample_weight and offset out.")
    return X


def _partitions(part: Any, X: Any, name: str) -> Sequence[Any]:
    """Return the delayed partitions of a collection, cut like those of X; None for each without a collection."""
    count = X.npartitions if hasattr(X, "npartitions") and not hasattr(X, "numblocks") else X.numblocks[0]
    if part is None and name != "y":
        return [None] * count
    if not is_dask_collection(part):
        raise ValueError(
            f"X is a Dask collection and {name} is {type(part).__name__}; pass {name} as a Dask collection with the "
            "same partitions, such as a column of the same frame, or dask.array.from_array(values, chunks=X.chunks[0])."
        )
    if hasattr(part, "numblocks"):
        part = _cut_like(part, X, name)
    partitions: list[Any] = np.ravel(np.array(part.to_delayed(), dtype=object)).tolist()
    if len(partitions) != count:
        raise ValueError(
            f"X has {count} partitions and {name} has {len(partitions)}; give both the same, as columns of one frame "
            f"have, or repartition {name}."
        )
    return partitions


def _listing(names: Sequence[str]) -> str:
    """Return names for a message."""
    more = f" and {len(names) - MAX_LISTED} others" if len(names) > MAX_LISTED else ""
    return ", ".join(repr(str(name)) for name in names[:MAX_LISTED]) + more


def _leave_thread_of_task() -> None:
    """In a task of Dask, free the thread of the worker: the fit waits for other tasks, which need one."""
    from distributed import secede
    from distributed.worker import thread_state

    if getattr(thread_state, "start_time", None) is not None:
        with suppress(KeyError, ValueError):  # the thread has left the pool before
            secede()


def _check_is_table(X: Any) -> None:
    """Raise `ValueError` for a collection that is no array (n, d) and no frame."""
    if getattr(X, "ndim", None) != 2 or not hasattr(X, "to_delayed"):
        shape = f" with {X.ndim} dimensions" if hasattr(X, "ndim") else ""
        raise ValueError(
            f"X is a Dask {type(X).__name__}{shape}; expected an array with rows and columns, or a frame. A single "
            "column is X[:, None], or frame[['name']]."
        )


def _cut_like(part: Any, X: Any, name: str) -> Any:
    """Return an array with whole rows in each chunk, cut like X where that is known."""
    if part.ndim not in (1, 2):
        raise ValueError(f"{name} has {part.ndim} dimensions; expected rows, and columns at most.")
    if part.ndim == 2 and part.numblocks[1] > 1:
        part = part.rechunk({1: -1})
    if not hasattr(X, "numblocks") or part.chunks[0] == X.chunks[0]:
        return part
    rows = [sum(array.chunks[0]) for array in (X, part)]
    if np.isnan(rows).any():
        if part.numblocks[0] == X.numblocks[0]:
            return part  # workers compare the rows of each chunk
        raise ValueError(
            f"the chunks of X and {name} are cut differently and their sizes are not known; call "
            ".compute_chunk_sizes() on both, or take them from one collection."
        )
    if rows[0] != rows[1]:
        raise ValueError(f"X has {rows[0]:,} rows and {name} has {rows[1]:,}; each row needs one.")
    return part.rechunk({0: X.chunks[0]})


def lazy_prediction(model: Any, method: str, X: Any, offset: Any) -> Any:
    """Return the prediction of a method as a Dask array, computed block by block when it is asked for.

    Parameters
    ----------
    model : estimator
        The fitted model.
    method : str
        Name of the method.
    X : dask array or frame of shape (n, d)
        Features.
    offset : dask array or frame of shape (n, q), optional
        Fixed part of the logits, in the same partitions.

    Returns
    -------
    dask array
        Of shape (n, q) or (n,); with unknown chunk sizes for a frame.

    Raises
    ------
    ValueError
        If X and offset are cut into different partitions.
    """
    from dask.array import concatenate, from_delayed
    from dask.delayed import delayed

    check_is_fitted(model, "coef_")
    check_offset_is_given(model, offset)
    kind, q = _result_of(model, method)
    _check_is_table(X)
    known = getattr(model, "feature_names_in_", None)
    if known is not None and hasattr(X, "columns"):
        given = [str(name) for name in X.columns]
        missing, other = [n for n in known if n not in given], [n for n in given if n not in known]
        if missing or other:
            faults = [f"lacks {_listing(missing)}" if missing else "", f"has {_listing(other)}" if other else ""]
            raise ValueError(
                f"the frame {' and '.join(filter(None, faults))}; the model was fitted to the columns "
                f"{_listing(known)}."
            )
    if X.shape[1] != model.n_features_in_:
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(model).__name__} is expecting {model.n_features_in_} features as "
            "input."
        )
    if hasattr(X, "numblocks") and X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    parts = zip(_partitions(X, X, "X"), _partitions(offset, X, "offset"), strict=True)
    apply = delayed(_apply, pure=True)
    shared = delayed(model)
    rows = X.chunks[0] if hasattr(X, "numblocks") else [np.nan] * X.npartitions
    blocks = [
        from_delayed(apply(shared, method, number, part, fixed), shape=(size, *q), dtype=kind)
        for number, (size, (part, fixed)) in enumerate(zip(rows, parts, strict=True))
    ]
    return concatenate(blocks, allow_unknown_chunksizes=True)


def lazy_accuracy(model: Any, X: Any, y: Any, sample_weight: Any, offset: Any) -> float:
    """Return the accuracy of a model on Dask collections, computed partition by partition.

    Parameters
    ----------
    model : estimator
        The fitted model.
    X, y, sample_weight, offset : dask collections
        Rows in the same partitions.

    Returns
    -------
    float
        Weighted share of correct rows; nan without any row.

    Raises
    ------
    ValueError
        If the collections are cut into different partitions.
    """
    from dask.base import compute
    from dask.delayed import delayed

    names = {"X": X, "y": y, "sample_weight": sample_weight, "offset": offset}
    columns = [_partitions(part, X, name) for name, part in names.items()]
    shared, count = delayed(model), delayed(_correct, pure=True)
    sums = compute(*(count(shared, *parts) for parts in zip(*columns, strict=True)))
    correct, total = np.sum(sums, axis=0)
    return float(correct / total) if total else float("nan")


def _correct(model: Any, X: Any, y: Any, weight: Any, offset: Any) -> tuple[float, float]:
    """Return the weight of the correct rows and of all rows of a partition."""
    n = np.shape(X)[0]
    if n == 0:
        return 0.0, 0.0
    total = float(n if weight is None else np.sum(sample_weights(weight, n, allow_all_zero=True)))
    share = model.score(X, y, sample_weight=weight, offset=offset) if total else 0.0
    return share * total, total


def _result_of(model: Any, method: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the dtype of a prediction, and its shape without the rows."""
    classes: Array = model.classes_
    if method == "predict":
        return classes.dtype, ()
    if method == "decision_function" and len(classes) == 2:
        return np.dtype(float), ()
    return np.dtype(float), (len(classes),)


def _apply(model: Any, method: str, number: int, X: Any, offset: Any) -> Array:
    """Return the prediction of a method for one partition, which may have no rows."""
    kind, q = _result_of(model, method)
    if np.shape(X)[0] == 0:
        return np.zeros((0, *q), kind)
    try:
        return np.asarray(getattr(model, method)(X, offset=offset))
    except ValueError as error:
        raise ValueError(f"in partition {number}: {error}") from None
