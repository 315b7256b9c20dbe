"""Rows that come in batches: read once into a cache on the disk, then fitted like any others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.models.inputs.features import validate_features
from softreg.models.inputs.labels import check_classes, check_lengths, classes_and_labels
from softreg.models.inputs.sample_weights import class_weights, rescale_extreme_weights, sample_weights
from softreg.optimize import Progress
from softreg.probability import Classes
from softreg.rows import Array, Rows, RowWriter
from softreg.spelling import unify_spellings

BATCH_ROWS = 1 << 16
"""Rows of an array that are one batch."""


def iter_batches(source: Any) -> Iterator[tuple[Any, ...]]:
    """The batches of a source, each (X,), (X, y) or (X, y, weight); raises `ValueError` for anything else."""
    given = iter(source()) if callable(source) and not hasattr(source, "__iter__") else iter(source)
    for number, batch in enumerate(given):
        parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        if not 1 <= len(parts) <= 3:
            raise ValueError(
                f"batch {number} has {len(parts)} parts: a batch is (X, y), or (X, y, weight) with a weight a row."
            )
        if (parts[0].shape[0] if hasattr(parts[0], "shape") else len(parts[0])) > 0:
            yield parts


def iter_features(source: Any) -> Iterator[Any]:
    """The features X of each batch: what there is to predict."""
    return (batch[0] for batch in iter_batches(source))


@dataclass(frozen=True)
class ArrayBatches:
    """Arrays a run of rows at a time: mapped files that would not fit into memory in another form."""

    X: Any
    y: Any
    weight: Array | None = None

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for a in range(0, len(self.X), BATCH_ROWS):
            X = self.X[a : a + BATCH_ROWS]
            if X.dtype.kind in "biuf" and X.dtype.itemsize <= 2:
                X = X.astype(np.float32)  # which holds all of these numbers
            weight = () if self.weight is None else (self.weight[a : a + BATCH_ROWS],)
            yield np.asarray(X), self.y[a : a + BATCH_ROWS], *weight


@dataclass(frozen=True)
class EncodedLabels:
    """Hard labels as places in a list of labels, each of which is there once: as a file with a dictionary has them.

    The code of a row without a label is -1.
    """

    values: list[Any]
    codes: Array

    def __len__(self) -> int:
        return len(self.codes)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[Any]:
        """The label of each row."""
        return np.array([*self.values, None], dtype=object)[self.codes].astype(dtype or object)

    def known(self) -> tuple[NDArray[Any], Array]:
        """The classes that occur, and the code of each row among them; `ValueError` for a row without a label."""
        missing = np.flatnonzero(np.asarray(self.codes) < 0)
        if missing.size:
            raise ValueError(
                f"y has no label in row {missing[0]} ({missing.size:,} of {len(self):,} rows are without one). A "
                "missing label is no class: leave these rows out, or give them a label of their own."
            )
        used, codes = np.unique(self.codes, return_inverse=True)
        classes = Classes([self.values[k] for k in used])
        return classes.labels, classes.encode([self.values[k] for k in used])[codes]


class BatchCollector:
    """Batches on their way into the cache, and what is learned of them there: classes, weights, names of columns."""

    def __init__(self, seen: Any, listener: Callable[[Progress], Any] | None = None) -> None:
        self.seen, self.listener, self.began = seen, listener, perf_counter()
        self.writer = RowWriter()
        self.codes: dict[Any, int] = {}
        self.kinds: list[NDArray[Any]] = []
        self.names: NDArray[Any] | None = None
        """Classes of label probabilities."""
        self.mass = np.zeros(0)
        self.least, self.most = np.inf, 0.0
        self.dtype: Any = None
        self.told = -np.inf
        self.from_file = False
        """Whether labels are those of files, where true and True of two writers are one class."""

    def read(self, source: Any) -> None:
        """All batches; errors name the batch and the row at which it begins."""
        start, total = 0, getattr(source, "n_rows", None)
        for number, batch in enumerate(iter_batches(source)):
            try:
                start += self._take(batch, first=number == 0)
            except (ValueError, TypeError) as error:
                where = f"batch {number}, whose first row is row {start} of all" if number else "the first batch"
                raise (ValueError if isinstance(error, ValueError) else TypeError)(f"in {where}: {error}") from error
            self._tell(start, total)
        if start == 0:
            raise ValueError(
                "the source gave no batch of rows. One that can be gone through only once (an iterator, a generator) "
                "is empty the second time: hand in a new one, or a callable that makes one."
            )

    def _take(self, batch: tuple[Any, ...], first: bool) -> int:
        """Write one batch; returns its number of rows."""
        if len(batch) < 2:
            raise ValueError("a batch to learn from is (X, y) or (X, y, weight), but this one brings no labels.")
        X = validate_features(self.seen, batch[0], reset=first)
        n = X.shape[0]
        labels = self._labels(batch[1])
        check_lengths(X, labels)
        weight = sample_weights(batch[2], n, some=False) if len(batch) == 3 and batch[2] is not None else None
        if (weight is None) != (self.writer.weights is None) and not first:
            raise ValueError("some batches have weights and others have none; give each a weight a row, or none.")
        kind = (sp.issparse(X), X.dtype)
        self.dtype = self.dtype or kind
        if kind[0] != self.dtype[0] or not np.can_cast(X.dtype, self.dtype[1]):
            raise ValueError(
                f"the batch is {_words(kind)}, the first one was {_words(self.dtype)}; give all as one kind."
            )
        if weight is not None and not weight.all():
            keep = weight > 0
            X, labels, weight = X[keep], labels[keep], weight[keep]
        self._weigh(labels, weight)
        if sp.issparse(X):
            X = sp.csr_array(X)
        self.writer.append(X.astype(self.dtype[1], copy=False), labels, weight)
        return int(n)

    def _labels(self, y: Any) -> Array:
        """Codes in the order in which classes turn up, or label probabilities."""
        self.from_file |= isinstance(y, EncodedLabels)
        found, labels = y.known() if isinstance(y, EncodedLabels) else classes_and_labels(y)
        if labels.ndim == 2:
            if self.names is None and not self.codes:
                self.names = found
            if self.names is None or not np.array_equal(found, self.names):
                raise ValueError("batches differ in their classes: label probabilities need the same columns in each.")
            return labels
        if self.names is not None:
            raise ValueError("this batch has hard labels, those before had label probabilities; give one kind.")
        plain = list(found) if found.dtype.kind in "Mm" else found.tolist()
        if any(label not in self.codes for label in plain):
            self.kinds.append(found)
        return np.array([self.codes.setdefault(label, len(self.codes)) for label in plain])[labels]

    def _weigh(self, labels: Array, weight: Array | None) -> None:
        ones = np.ones(len(labels)) if weight is None else weight
        hard = labels.ndim == 1
        mass = np.bincount(labels, weights=ones, minlength=len(self.codes)).astype(float) if hard else ones @ labels
        mass[: len(self.mass)] += self.mass
        self.mass = mass
        self.least, self.most = min(self.least, ones.min(initial=np.inf)), max(self.most, ones.max(initial=0.0))

    def _tell(self, rows: int, total: int | None) -> None:
        seconds = perf_counter() - self.began
        if self.listener is not None and (seconds > self.told + 0.2 or rows == total):
            self.told = seconds
            self.listener(Progress(0, np.nan, np.inf, seconds, rows, total))

    def home(self, class_weight: Any) -> tuple[Rows, NDArray[Any]]:
        """The rows in their home, and the classes."""
        if self.most == 0:
            raise ValueError("all sample weights are zero, so there is nothing to fit; leave the weights out.")
        classes, codes = self._classes()
        mass = np.zeros(len(classes))
        np.add.at(mass, codes, np.pad(self.mass, (0, len(codes) - len(self.mass))))
        check_classes(classes, np.arange(len(classes)), mass)
        factor = None
        scale = float((rescale_extreme_weights(np.array([self.most])) / self.most)[0])
        if class_weight is not None:
            factor = class_weights(class_weight, classes, np.arange(len(classes)), mass * scale)
            check_classes(classes, np.arange(len(classes)), mass * factor)
        hard = self.names is None
        home = self.writer.finish(
            codes if hard else None, factor, scale, weighted=self.least < self.most or factor is not None
        )
        return home, classes

    def _classes(self) -> tuple[NDArray[Any], Array]:
        """The classes in order, and which of them each code stands for."""
        if self.names is not None:
            return self.names, np.arange(len(self.names))
        text = all(isinstance(label, str) for label in self.codes)
        same = unify_spellings(list(self.codes)) if text and self.from_file else {}
        if same:
            known = Classes(list(same.values()))
            return known.labels, known.encode([same[label] for label in self.codes])
        one_kind = len({found.dtype.kind for found in self.kinds}) == 1
        known = Classes(np.concatenate(self.kinds) if one_kind else list(self.codes))
        return known.labels, known.encode(list(self.codes))


def _words(kind: tuple[bool, Any]) -> str:
    return f"{'sparse' if kind[0] else 'dense'} {kind[1]}"
