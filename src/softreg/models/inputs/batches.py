"""Rows that arrive in batches: collected once into a cache on the disk, then fitted like rows in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import narwhals as nw
import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from softreg.models.inputs.class_collector import ClassCollector, offset_column_order
from softreg.models.inputs.features import validate_features
from softreg.models.inputs.labels import check_classes, check_lengths, classes_and_labels
from softreg.models.inputs.offsets import offset_array
from softreg.models.inputs.sample_and_class_weights import class_weights, rescale_extreme_weights, sample_weights
from softreg.optimize import Progress
from softreg.probability import Classes
from softreg.rows import Rows, RowWriter
from softreg.typing import Array, Float64Array

BATCH_ROWS = 1 << 16
"""Rows of an array or a file in one batch."""
REPORT_INTERVAL = 0.2
"""Seconds between two progress reports while batches are read."""


def iter_batches(source: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the non-empty batches of a source as tuples (X,), (X, y), (X, y, weight) or (X, y, weight, offset).

    Parameters
    ----------
    source : iterable or callable
        Batches, or a function that returns an iterable of them.

    Yields
    ------
    tuple
        The parts of a batch.

    Raises
    ------
    ValueError
        If a batch has no or more than four parts.
    """
    batches = iter(source()) if callable(source) and not hasattr(source, "__iter__") else iter(source)
    for number, batch in enumerate(batches):
        parts = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
        if not 1 <= len(parts) <= 4:
            raise ValueError(
                f"batch {number} has {len(parts)} parts: a batch is (X, y), (X, y, weight) with a weight a row, or "
                "(X, y, weight, offset)."
            )
        if (parts[0].shape[0] if hasattr(parts[0], "shape") else len(parts[0])) > 0:
            yield parts


def iter_features(source: Any) -> Iterator[Any]:
    """Yield the features X of each batch, without labels and weights."""
    return (batch[0] for batch in iter_batches(source))


@dataclass(frozen=True)
class ArrayBatches:
    """Batches of consecutive rows of arrays, for memory maps that would not fit into memory in another dtype.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features.
    y : ndarray of shape (n,) or (n, q)
        Codes of the classes or label probabilities.
    weight : ndarray of shape (n,), optional
        Row weights.
    offset : ndarray of shape (n, q), optional
        Fixed part of the logits.
    """

    X: Array
    y: Array
    weight: Array | None = None
    offset: Array | None = None

    def __iter__(self) -> Iterator[tuple[Array | None, ...]]:
        for a in range(0, len(self.X), BATCH_ROWS):
            X = self.X[a : a + BATCH_ROWS]
            if X.dtype.kind in "biuf" and X.dtype.itemsize <= 2:
                X = X.astype(np.float32)  # exact for all of these dtypes
            weight = None if self.weight is None else self.weight[a : a + BATCH_ROWS]
            offset = None if self.offset is None else self.offset[a : a + BATCH_ROWS]
            yield np.asarray(X), self.y[a : a + BATCH_ROWS], weight, offset


@dataclass(frozen=True)
class EncodedLabels:
    """Hard labels as codes among distinct values, as in a dictionary column of a file.

    Parameters
    ----------
    values : list
        The distinct labels.
    codes : ndarray of int, shape (n,)
        Position of each row's label in `values`; -1 for a row without a label.
    """

    values: list[Any]
    codes: Array

    def __len__(self) -> int:
        return len(self.codes)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        """Return the label of each row."""
        return np.array([*self.values, None], dtype=object)[self.codes].astype(dtype or object)

    def classes_and_codes(self) -> tuple[Array, Array]:
        """Return the classes that occur, and the code of each row among them.

        Returns
        -------
        classes : ndarray of shape (q,)
            The labels that occur, sorted.
        codes : ndarray of int, shape (n,)
            Position of each row's label in `classes`.

        Raises
        ------
        ValueError
            If a row has no label.
        """
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
    """Writes batches to a cache on the disk, and collects their classes, class masses and weights on the way.

    Parameters
    ----------
    estimator : estimator
        Receives the number and names of the features.
    on_progress : callable, optional
        Called with `Progress` records while batches are read.
    """

    def __init__(self, estimator: BaseEstimator, on_progress: Callable[[Progress], Any] | None = None) -> None:
        self.estimator, self.on_progress, self._began = estimator, on_progress, perf_counter()
        self.writer = RowWriter()
        self._classes = ClassCollector()
        self._class_mass: Float64Array = np.zeros(0)
        self._min_weight, self._max_weight = np.inf, 0.0
        self._format: tuple[bool, Any] | None = None
        """Whether the first batch was sparse, and its dtype."""
        self._reported = -np.inf
        self._offset_names: list[str] | None = None
        """Names of the offset's columns in the first batch, which are classes; None for an array."""

    def collect(self, source: Any) -> None:
        """Read all batches of a source.

        Parameters
        ----------
        source : iterable or callable
            Batches (X, y), (X, y, weight) or (X, y, weight, offset), or a function that returns an iterable of them.

        Raises
        ------
        ValueError
            If a batch cannot be used (the message names the batch and its first row), or if there is none.
        TypeError
            If a batch holds objects that are not numbers.
        """
        first_row, total = 0, getattr(source, "n_rows", None)
        for number, batch in enumerate(iter_batches(source)):
            try:
                first_row += self._append(batch, first=number == 0)
            except (ValueError, TypeError) as error:
                where = f"batch {number}, whose first row is row {first_row} of all" if number else "the first batch"
                raise (ValueError if isinstance(error, ValueError) else TypeError)(f"in {where}: {error}") from error
            self._report_progress(first_row, total)
        if first_row == 0:
            raise ValueError(
                "the source yields no batch of rows. An iterator or a generator can be read only once and is empty the "
                "second time: pass a new one, or a callable that returns one."
            )

    def _append(self, batch: tuple[Any, ...], first: bool) -> int:
        """Write one batch and return its number of rows."""
        if len(batch) < 2:
            raise ValueError("a batch for training is (X, y) or (X, y, weight), but this one has no labels.")
        _, y, given_weight, given_offset = (*batch, None, None)[:4]
        X = validate_features(self.estimator, batch[0], reset=first)
        n = X.shape[0]
        labels = self._encode(y)
        check_lengths(X, labels)
        weight = None if given_weight is None else sample_weights(given_weight, n, allow_all_zero=True)
        offset = self._offset(given_offset, n, first)
        if (weight is None) != (self.writer.weights is None) and not first:
            raise ValueError("some batches have weights and others have none; give each a weight a row, or none.")
        batch_format = (sp.issparse(X), X.dtype)
        self._format = self._format or batch_format
        if batch_format[0] != self._format[0] or not np.can_cast(X.dtype, self._format[1]):
            raise ValueError(
                f"the batch is {_format_text(*batch_format)}, the first one was {_format_text(*self._format)}; all "
                "batches need the same format."
            )
        if weight is not None and not weight.all():
            positive = weight > 0
            X, labels, weight = X[positive], labels[positive], weight[positive]
            offset = None if offset is None else offset[positive]
        self._add_weights(labels, weight)
        if sp.issparse(X):
            X = sp.csr_array(X)
        self.writer.append(X.astype(self._format[1], copy=False), labels, weight, offset)
        return int(n)

    def _offset(self, offset: Any, n: int, first: bool) -> Float64Array | None:
        """Return the offsets of a batch, with the columns of the first one; the classes are known at the end."""
        if (offset is None) != (self.writer.offset is None) and not first:
            raise ValueError("some batches have offsets and others have none; give each an offset, or none.")
        if offset is None:
            return None
        if first and nw.dependencies.is_into_dataframe(offset):
            self._offset_names = list(nw.from_native(offset, eager_only=True).columns)
        columns = self.writer.offset.shape[1] if self.writer.offset is not None else np.shape(offset)[-1]
        return offset_array(offset, n, np.array(self._offset_names or range(columns), dtype=object))

    def _encode(self, y: Any) -> Array:
        """Return codes (n,) in order of first appearance, or label probabilities (n, q)."""
        encoded = isinstance(y, EncodedLabels)
        classes, labels = y.classes_and_codes() if encoded else classes_and_labels(y)
        soft = labels.ndim == 2
        numbers = self._classes.add(classes, probabilities=soft, from_file=encoded)
        return labels if soft else numbers[labels]

    def _add_weights(self, labels: Array, weight: Array | None) -> None:
        """Add the weights of these rows to the mass of each class and to the range of weights."""
        ones = np.ones(len(labels)) if weight is None else weight
        if labels.ndim == 1:
            mass = np.bincount(labels, weights=ones, minlength=len(self._classes)).astype(float)
        else:
            mass = ones @ labels
        mass[: len(self._class_mass)] += self._class_mass
        self._class_mass = mass
        self._min_weight = min(self._min_weight, ones.min(initial=np.inf))
        self._max_weight = max(self._max_weight, ones.max(initial=0.0))

    def _report_progress(self, rows: int, total: int | None) -> None:
        """Call `on_progress` with the number of rows read, at most once in `REPORT_INTERVAL`."""
        seconds = perf_counter() - self._began
        if self.on_progress is not None and (seconds > self._reported + REPORT_INTERVAL or rows == total):
            self._reported = seconds
            self.on_progress(Progress(0, np.nan, np.inf, seconds, rows, total))

    def finish(self, class_weight: Any) -> tuple[Rows, Array]:
        """Return the rows in the cache and their classes.

        Parameters
        ----------
        class_weight : None, "balanced" or dict
            Weights of the classes.

        Returns
        -------
        rows : Rows
            Rows on the disk, with weights scaled into the range of floats.
        classes : ndarray of shape (q,)
            The classes, sorted.

        Raises
        ------
        ValueError
            If all weights are zero, or a class has no weight.
        """
        if self._max_weight == 0:
            raise ValueError("all sample weights are zero, so there is nothing to fit; leave the weights out.")
        classes, codes = self._classes.finish()
        mass = np.zeros(len(classes))
        np.add.at(mass, codes, np.pad(self._class_mass, (0, len(codes) - len(self._class_mass))))
        check_classes(classes, np.arange(len(classes)), mass)
        factor = None
        scale = float((rescale_extreme_weights(np.array([self._max_weight])) / self._max_weight)[0])
        if class_weight is not None:
            factor = class_weights(class_weight, classes, np.arange(len(classes)), mass * scale)
            check_classes(classes, np.arange(len(classes)), mass * factor)
        weighted = self._min_weight < self._max_weight or factor is not None
        given = self.writer.offset
        order = None if given is None else offset_column_order(self._offset_names, given.shape[1], classes)
        codes_written = codes if self._classes.hard else None
        rows = self.writer.finish(codes_written, factor, scale, weighted=weighted, offset_order=order)
        return rows, classes


def _format_text(is_sparse: bool, dtype: Any) -> str:
    """Return "sparse float32" or the like."""
    return f"{'sparse' if is_sparse else 'dense'} {dtype}"
