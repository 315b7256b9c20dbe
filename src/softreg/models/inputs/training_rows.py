"""What a fit is given, as rows in their home: checked, with classes and weights."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from softreg.models.inputs.batches import ArrayBatches, BatchCollector
from softreg.models.inputs.features import is_batch_source
from softreg.models.inputs.labels import check_classes, check_lengths, classes_and_labels
from softreg.models.inputs.sample_weights import drop_zero_weight_rows, row_weights, sample_weights
from softreg.models.inputs.tensors import to_host, training_features
from softreg.optimize import Progress
from softreg.rows import Array, JournalRows, Log, Rows, RowWriter, as_rows, is_large_memmap, kernels_in_use
from softreg.version import __version__

Listener = Callable[[Progress], Any] | None


@dataclass(frozen=True)
class TrainingRows:
    """Rows that count, in their home, and the classes of their labels."""

    rows: Rows
    classes: NDArray[Any]
    X: Any = None
    labels: Array | None = None
    counts: Array | None = None
    """Weights (n,) of the rows, before they are scaled; None where all are 1."""
    writer: RowWriter | None = None

    def close(self) -> None:
        """Give back what the rows take on the disk."""
        if self.writer is not None:
            self.writer.close()

    def arrays(self, what: str) -> tuple[Any, Array, Array | None]:
        """X, labels and weights as arrays; raises `ValueError` where the rows came in batches."""
        if self.labels is None:
            raise ValueError(f"{what} needs all rows in memory at once; hand in arrays, or choose penalty='l2'.")
        return to_host(self.X), self.labels, self.counts


def gather_training_rows(seen: Any, X: Any, y: Any, sample_weight: Any, listener: Listener) -> TrainingRows:
    """The rows that a fit is given; `seen`, a copy of the model, takes note of their columns.

    Raises `ValueError` for input that cannot be learned from.
    """
    if is_batch_source(X):
        if y is not None or sample_weight is not None:
            raise ValueError(
                "batches bring their labels and weights, (X, y) or (X, y, weight); leave y and weights out."
            )
        if seen.device is not None:
            raise ValueError("batches are multiplied on the host; leave device out, or hand in X as one array.")
        return _from_batches(seen, X, listener)
    if seen.device is None and _too_large_to_copy(X, sample_weight):
        return _from_file(seen, X, y, sample_weight, listener)
    X = training_features(seen, X, seen.device)
    classes, labels = classes_and_labels(y)
    check_lengths(X, labels)
    weight = row_weights(sample_weight, X.shape[0], classes, labels, seen.class_weight)
    counts = weight if weight is None else weight[weight > 0]
    X, labels, weight = drop_zero_weight_rows(X, labels, weight)
    check_classes(classes, labels, weight)
    rows = as_rows(X, labels, None if weight is None else weight[None, :])
    return TrainingRows(rows, classes, X, labels, counts)


def _too_large_to_copy(X: Any, sample_weight: Any) -> bool:
    """Whether X is a mapped array of which a fit in memory would need a copy: in another dtype, or of fewer rows."""
    if not (is_large_memmap(X) and X.ndim == 2):
        return False
    some_zero = sample_weight is not None and not sample_weights(sample_weight, len(X)).all()
    return X.dtype not in (np.float32, np.float64) or some_zero


def _from_batches(seen: Any, source: Any, listener: Listener) -> TrainingRows:
    return _cached(BatchCollector(seen, listener), source, seen.class_weight)


def _cached(gathering: BatchCollector, source: Any, class_weight: Any) -> TrainingRows:
    """All rows of the source in their home; after an error nothing is left on the disk."""
    try:
        gathering.read(source)
        return TrainingRows(*gathering.home(class_weight), writer=gathering.writer)
    except BaseException:
        gathering.writer.close()
        raise


def _from_file(seen: Any, X: Any, y: Any, sample_weight: Any, listener: Listener) -> TrainingRows:
    """A mapped array that memory may not hold in another dtype, or without the rows that do not count."""
    classes, labels = classes_and_labels(y)
    check_lengths(X, labels)
    weight = row_weights(sample_weight, len(X), classes, labels, seen.class_weight)
    return replace(_cached(BatchCollector(seen, listener), ArrayBatches(X, labels, weight), None), classes=classes)


@contextmanager
def checkpointed_rows(
    model: Any, data: TrainingRows, start: Any, seed: int, checkpoint: str | os.PathLike[str] | None
) -> Iterator[Rows]:
    """The rows, with a journal of their sums in the folder `checkpoint`, which is gone after a fit that has ended.

    Raises `ValueError` for a fit that keeps more beside its rows than their sums, and where the folder holds the
    journal of another fit.
    """
    if checkpoint is None:
        yield data.rows
        return
    if data.rows.reduced_precision or model.device is not None:
        raise ValueError("a fit with a checkpoint computes on the host; leave device out.")
    share = {"l2": 0.0, "l1": 1.0, "elasticnet": model.l1_ratio}.get(model.penalty)
    if share != 0.0 or model.strength == 0:
        raise ValueError("a fit with a checkpoint needs penalty='l2' and a strength above 0.")
    log = Log(Path(checkpoint), _told(model, data, start, seed))
    finished = False
    try:
        yield JournalRows(data.rows, log)
        finished = True
    finally:
        log.close(finished)


def _told(model: Any, data: TrainingRows, start: Any, seed: int) -> dict[str, Any]:
    """All that a fit depends on beside the rows themselves, as strict JSON."""
    digest = hashlib.sha256(repr(data.classes.tolist()).encode())
    for array in start or ():
        digest.update(np.ascontiguousarray(array).tobytes())
    told = {name: getattr(model, name) for name in ("strength", "fit_intercept", "solver", "tol", "max_iter")}
    shape = {"rows": data.rows.n, "columns": data.rows.d, "dtype": str(data.rows.dtype), "classes": len(data.classes)}
    numbers = {"softreg": __version__, "numpy": np.__version__, "scipy": scipy.__version__}
    told |= {"class_weight": repr(model.class_weight), "kernels": kernels_in_use().level or "numpy"}
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in told.items()}
    return {**plain, **shape, **numbers, "seed": seed, "labels and start": digest.hexdigest()}
