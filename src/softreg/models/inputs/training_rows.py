"""Training rows: what `fit` receives as rows in a backend, validated, with classes and weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from sklearn.base import BaseEstimator

from softreg.models.inputs.batches import ArrayBatches, BatchCollector
from softreg.models.inputs.cluster.cluster_training_rows import cluster_rows
from softreg.models.inputs.cluster.dask_collections import batches_on_workers, is_dask_collection
from softreg.models.inputs.cluster.fragmented_batches import FragmentedBatches
from softreg.models.inputs.features import is_batch_source
from softreg.models.inputs.labels import check_classes, check_lengths, classes_and_labels
from softreg.models.inputs.offsets import offset_array
from softreg.models.inputs.sample_and_class_weights import drop_zero_weight_rows, row_weights, sample_weights
from softreg.models.inputs.tensors import to_host, training_features
from softreg.optimize import Progress
from softreg.rows import CheckpointLog, CheckpointRows, Rows, RowWriter, as_rows, is_large_memmap, kernels_in_use
from softreg.typing import Array
from softreg.version import __version__

Listener = Callable[[Progress], Any] | None
"""Receives progress records."""


@dataclass(frozen=True)
class InMemoryRows:
    """Features, labels and weights of rows in the memory of the host.

    Parameters
    ----------
    X : ndarray or csr_array of shape (n, d)
        Features.
    labels : ndarray of shape (n,) or (n, q)
        Codes of the classes or label probabilities.
    counts : ndarray of shape (n,) or None
        Weights of the rows; None if all are 1.
    offset : ndarray of shape (n, q) or None
        Fixed part of the logits.
    """

    X: Any
    labels: Array
    counts: Array | None
    offset: Array | None = None


@dataclass(frozen=True)
class TrainingRows:
    """Rows with positive weights in a backend, and the classes of their labels.

    Parameters
    ----------
    rows : Rows
        The rows.
    classes : ndarray of shape (q,)
        The classes.
    X : ndarray, csr_array or OnDevice of shape (n, d), optional
        Features; None if the rows came in batches.
    labels : ndarray of shape (n,) or (n, q), optional
        Codes of the classes or label probabilities; None if the rows came in batches.
    counts : ndarray of shape (n,), optional
        Weights of the rows before they were scaled; None if all are 1.
    offset : ndarray of shape (n, q), optional
        Fixed part of the logits; None without one, or if the rows came in batches.
    writer : RowWriter, optional
        Cache on the disk, for rows that came in batches.
    release : callable, optional
        Frees the rows on the workers of a cluster.
    """

    rows: Rows
    classes: Array
    X: Any = None
    labels: Array | None = None
    counts: Array | None = None
    offset: Array | None = None
    writer: RowWriter | None = None
    release: Callable[[], None] | None = None

    def close(self) -> None:
        """Delete the cache on the disk, or that of the workers."""
        if self.release is not None:
            self.release()
        if self.writer is not None:
            self.writer.close()

    def in_memory(self, what: str) -> InMemoryRows:
        """Return these rows in the memory of the host.

        Parameters
        ----------
        what : str
            What needs the rows in memory, for the message.

        Returns
        -------
        InMemoryRows
            The rows.

        Raises
        ------
        ValueError
            If the rows came in batches.
        """
        if self.labels is None:
            raise ValueError(f"{what} needs all rows in memory at once; pass arrays, or choose penalty='l2'.")
        return InMemoryRows(to_host(self.X), self.labels, self.counts, self.offset)


def gather_training_rows(
    estimator: Any, X: Any, y: Any, sample_weight: Any, listener: Listener, offset: Any = None
) -> TrainingRows:
    """Return the rows for a fit.

    Parameters
    ----------
    estimator : estimator
        A copy of the model, which receives the number and names of the features.
    X, y, sample_weight
        Arguments of `fit`.
    listener : callable or None
        Receives progress records while batches are read.
    offset : array or frame of shape (n, q), optional
        Fixed part of the logits.

    Returns
    -------
    TrainingRows
        The rows.

    Raises
    ------
    ValueError
        If the rows cannot be used for training.
    """
    if isinstance(X, FragmentedBatches) or is_dask_collection(X):
        if estimator.device is not None:
            raise ValueError("rows on a cluster are multiplied by its workers; leave device out.")
        X = batches_on_workers(X, y, sample_weight, offset)
        held, classes = cluster_rows(estimator, X, estimator.class_weight)
        return TrainingRows(held, classes, release=partial(X.engine.release, held.fragments))
    if is_batch_source(X):
        if y is not None or sample_weight is not None or offset is not None:
            raise ValueError(
                "batches hold their labels, weights and offsets, (X, y), (X, y, weight) or (X, y, weight, offset); "
                "leave y, sample_weight and offset out."
            )
        if estimator.device is not None:
            raise ValueError("batches are multiplied on the host; leave device out, or pass X as one array.")
        return _collect(BatchCollector(estimator, listener), X, estimator.class_weight)
    if estimator.device is None and _copy_exceeds_memory(X, sample_weight):
        return _collect_memmap(estimator, X, y, sample_weight, listener, offset)
    X = training_features(estimator, X, estimator.device)
    classes, labels = classes_and_labels(y)
    check_lengths(X, labels)
    weight = row_weights(sample_weight, X.shape[0], classes, labels, estimator.class_weight)
    counts = weight if weight is None else weight[weight > 0]
    fixed = None if offset is None else offset_array(offset, X.shape[0], classes)
    positive = drop_zero_weight_rows(X, labels, weight, fixed)
    if not _has_prior_of_all_parameters(estimator):  # which has the classes that the rows lack
        check_classes(classes, positive.labels, positive.weight)
    V = None if positive.weight is None else positive.weight[None, :]
    rows = as_rows(positive.X, positive.labels, V, positive.offset)
    return TrainingRows(rows, classes, positive.X, positive.labels, counts, positive.offset)


def _has_prior_of_all_parameters(estimator: Any) -> bool:
    """Return True if the prior is the posterior of another fit, or that fit."""
    prior = getattr(estimator, "prior", None)
    return hasattr(prior, "classes") or hasattr(prior, "posterior")


def _copy_exceeds_memory(X: Any, sample_weight: Any) -> bool:
    """Return True if X is a large memory map that a fit in memory would copy: another dtype, or rows of weight zero."""
    if not (is_large_memmap(X) and X.ndim == 2):
        return False
    has_zeros = sample_weight is not None and not sample_weights(sample_weight, len(X)).all()
    return X.dtype not in (np.float32, np.float64) or has_zeros


def _collect(collector: BatchCollector, source: Any, class_weight: Any) -> TrainingRows:
    """Return all rows of a source in a cache on the disk, which is deleted after an error."""
    try:
        collector.collect(source)
        return TrainingRows(*collector.finish(class_weight), writer=collector.writer)
    except BaseException:
        collector.writer.close()
        raise


def _collect_memmap(
    estimator: BaseEstimator, X: Array, y: Any, sample_weight: Any, listener: Listener, offset: Any
) -> TrainingRows:
    """Return the rows of a memory map in a cache on the disk, in a float dtype and without rows of weight zero."""
    classes, labels = classes_and_labels(y)
    check_lengths(X, labels)
    weight = row_weights(sample_weight, len(X), classes, labels, estimator.class_weight)
    batches = ArrayBatches(X, labels, weight, None if offset is None else offset_array(offset, len(X), classes))
    return replace(_collect(BatchCollector(estimator, listener), batches, None), classes=classes)


@contextmanager
def checkpointed_rows(
    model: Any,
    data: TrainingRows,
    *,
    start: Sequence[Array] | None,
    seed: int,
    checkpoint: str | os.PathLike[str] | None,
) -> Iterator[Rows]:
    """Provide the rows with a journal of their sums, from which an interrupted fit resumes.

    Parameters
    ----------
    model : estimator
        The model that is fitted.
    data : TrainingRows
        Its rows.
    start : pair of ndarray or None
        Weights and bias of the warm start.
    seed : int
        Seed of the row sample.
    checkpoint : path or None
        Folder of the journal, which is deleted after a completed fit; None for no journal.

    Yields
    ------
    Rows
        The rows.

    Raises
    ------
    ValueError
        If the fit keeps more state than sums over rows, or if the folder holds the journal of another fit.
    """
    if checkpoint is None:
        yield data.rows
        return
    if data.rows.reduced_precision or model.device is not None:
        raise ValueError("a fit with a checkpoint computes on the host; leave device out.")
    l1_ratio = {"l2": 0.0, "l1": 1.0, "elasticnet": model.l1_ratio}.get(model.penalty)
    if l1_ratio != 0.0 or model.strength == 0:
        raise ValueError("a fit with a checkpoint needs penalty='l2' and a strength above 0.")
    if model.penalty_factors is not None or model.bounds is not None:
        raise ValueError("a fit with a checkpoint takes neither penalty_factors nor bounds.")
    log = CheckpointLog(Path(checkpoint), _fit_description(model, data, start, seed))
    finished = False
    try:
        yield CheckpointRows(data.rows, log)
        finished = True
    finally:
        log.close(finished)


def _fit_description(model: Any, data: TrainingRows, start: Sequence[Array] | None, seed: int) -> dict[str, Any]:
    """Return everything that the result of a fit depends on apart from the rows themselves, as strict JSON."""
    digest = hashlib.sha256(repr(data.classes.tolist()).encode())
    for array in start or ():
        digest.update(np.ascontiguousarray(array).tobytes())
    parameters = {name: getattr(model, name) for name in ("strength", "fit_intercept", "solver", "tol", "max_iter")}
    parameters |= {"class_weight": repr(model.class_weight), "kernels": kernels_in_use().level or "numpy"}
    parameters = {name: value.item() if isinstance(value, np.generic) else value for name, value in parameters.items()}
    shape = {"rows": data.rows.n, "columns": data.rows.d, "dtype": str(data.rows.dtype), "classes": len(data.classes)}
    versions = {"softreg": __version__, "numpy": np.__version__, "scipy": scipy.__version__}
    return {**parameters, **shape, **versions, "seed": seed, "labels and start": digest.hexdigest()}
