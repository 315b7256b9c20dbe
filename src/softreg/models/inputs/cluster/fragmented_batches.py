"""Batches that worker processes read, validate and keep: the source of a fit on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import narwhals as nw
import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from softreg.models.inputs.batches import EncodedLabels
from softreg.models.inputs.features import validate_features
from softreg.models.inputs.labels import check_lengths, classes_and_labels
from softreg.models.inputs.offsets import offset_array
from softreg.models.inputs.sample_and_class_weights import sample_weights
from softreg.rows import as_rows
from softreg.rows.cluster.aligned_arrays import aligned
from softreg.rows.cluster.engine import Engine
from softreg.rows.cluster.worker import loaded_rows
from softreg.typing import Array


class BatchFragment(Protocol):
    """A description of a batch, which can be pickled and hashed, and which any worker can read."""

    @property
    def name(self) -> str:
        """Text that names the batch in messages."""
        ...

    def read(self) -> tuple[Any, ...]:
        """Return the batch: (X, y), (X, y, weight) or (X, y, weight, offset)."""
        ...


@dataclass(frozen=True)
class FragmentedBatches:
    """A source of training rows for `SoftmaxRegression.fit`: batches that the workers of an engine read.

    Parameters
    ----------
    fragments : sequence of BatchFragment
        The batches, in order.
    engine : Engine
        The workers.
    """

    fragments: Sequence[BatchFragment]
    engine: Engine


@dataclass(frozen=True)
class BatchFacts:
    """What the client knows about a batch without its rows.

    `classes` are those of its labels, or of its columns of label probabilities where `probabilities`; `mass` (k,) is
    the weight of each of them.
    """

    n: int
    d: int
    dtype: str
    sparse: bool
    names: tuple[str, ...] | None
    classes: Array
    probabilities: bool
    from_file: bool
    mass: Array
    weighted: bool
    least_weight: float
    largest_weight: float
    offset_names: tuple[str, ...] | None
    offset_columns: int


@dataclass(eq=False)
class ReadBatch:
    """A validated batch without its rows of weight zero, in the memory of a worker.

    `labels` are codes (n,) of its own classes or label probabilities (n, k).
    """

    X: Any
    labels: Array
    weight: Array | None
    offset: Array | None
    facts: BatchFacts

    @property
    def stored(self) -> int:
        """Count of stored numbers."""
        return int(self.X.nnz if sp.issparse(self.X) else self.X.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision of the numbers."""
        dtype: np.dtype[Any] = self.X.dtype
        return dtype


@dataclass(frozen=True)
class ValidatedFragment:
    """A batch as `validated_batch` returns it, loaded once by a worker."""

    source: BatchFragment

    @property
    def name(self) -> str:
        """Text that names the batch in messages."""
        return self.source.name

    def load(self) -> ReadBatch:
        """Return the validated batch."""
        return self.load_from(self.source.read())

    def load_from(self, parts: Sequence[Any]) -> ReadBatch:
        """Return the validated batch of parts (X, y, ...); raise `ValueError` or `TypeError` with its name."""
        try:
            return validated_batch(*parts)
        except (ValueError, TypeError) as error:
            kind = ValueError if isinstance(error, ValueError) else TypeError
            raise kind(f"in {self.name}: {error}") from None


@dataclass(frozen=True)
class DescribeBatch:
    """The facts about a batch."""

    name = "DescribeBatch"

    def __call__(self, fragment: ValidatedFragment) -> BatchFacts:
        """Return the facts about one batch."""
        facts: BatchFacts = loaded_rows(fragment).facts
        return facts


@dataclass(frozen=True)
class LabelledFragment:
    """The rows of a batch with codes among the classes of all batches, and with their weights.

    Parameters
    ----------
    source : ValidatedFragment
        The batch.
    number : int
        Position among all batches.
    dtype : str
        Precision of the numbers.
    codes : tuple of int or None
        Class of each code of the batch; None for label probabilities.
    class_weights : tuple of float or None
        Factor of the weights of each class of all batches.
    scale : float
        Factor of all weights.
    weighted : bool
        Whether the weights of the batch are used.
    offset_order : tuple of int or None
        Column of the offsets of each class.
    """

    source: ValidatedFragment
    number: int
    dtype: str
    codes: tuple[int, ...] | None
    class_weights: tuple[float, ...] | None
    scale: float
    weighted: bool
    offset_order: tuple[int, ...] | None

    @property
    def name(self) -> str:
        """Text that names the batch in messages."""
        return self.source.name

    def load(self) -> Any:
        """Return the rows of the batch; its numbers are not copied."""
        batch: ReadBatch = loaded_rows(self.source)
        labels = batch.labels if self.codes is None else np.array(self.codes, np.int32)[batch.labels]
        weight = None
        if self.weighted or self.class_weights is not None:
            weight = np.ones(batch.facts.n) if batch.weight is None else batch.weight * self.scale
        if weight is not None and self.class_weights is not None:
            factor = np.array(self.class_weights)
            weight = weight * (factor[labels] if labels.ndim == 1 else labels @ factor)
        offset = batch.offset if self.offset_order is None else batch.offset[:, list(self.offset_order)]  # type: ignore[index]
        X = batch.X.astype(self.dtype, copy=False)
        return as_rows(X, labels, None if weight is None else weight[None], offset)


def validated_batch(X: Any, y: Any, weight: Any = None, offset: Any = None) -> ReadBatch:
    """Return a validated batch without its rows of weight zero.

    Parameters
    ----------
    X : array, sparse matrix or frame of shape (n, d)
        Features; n may be 0.
    y : array of shape (n,) or (n, k), or EncodedLabels
        Labels or label probabilities.
    weight : array of shape (n,), optional
        Weights of the rows.
    offset : array or frame of shape (n, k), optional
        Fixed part of the logits.

    Returns
    -------
    ReadBatch
        The batch.

    Raises
    ------
    ValueError
        If the rows cannot be used for training; the message names column, row and value.

    Examples
    --------
    >>> batch = validated_batch(np.eye(3), np.array(["no", "yes", "no"]), [1.0, 2.0, 0.0])
    >>> batch.facts.n, batch.facts.mass.tolist()
    (2, [1.0, 2.0])
    """
    if np.shape(X)[0] == 0:
        return _empty(X)
    validator = BaseEstimator()
    X = validate_features(validator, X, reset=True)
    n = int(X.shape[0])
    encoded = isinstance(y, EncodedLabels)
    classes, labels = y.classes_and_codes() if encoded else classes_and_labels(y)
    check_lengths(X, labels)
    given = weight is not None
    weight = sample_weights(weight, n, allow_all_zero=True) if given else None
    offset_names, columns = None, 0
    if offset is not None:
        if nw.dependencies.is_into_dataframe(offset):
            offset_names = tuple(map(str, nw.from_native(offset, eager_only=True).columns))
        if np.ndim(offset) == 1:  # the log-odds of the second of two classes
            offset = np.stack([np.zeros(n), np.asarray(offset, dtype=np.float64)], axis=1)
        columns = int(np.shape(offset)[-1])
        offset = offset_array(offset, n, np.array(offset_names or range(columns), dtype=object))
    if weight is not None and not weight.all():
        positive = np.flatnonzero(weight > 0)
        X, labels, weight = X[positive], labels[positive], weight[positive]
        offset = None if offset is None else offset[positive]
        n = len(positive)
    ones = np.ones(n) if weight is None else weight
    mass = np.bincount(labels, ones, len(classes)) if labels.ndim == 1 else ones @ labels
    names = getattr(validator, "feature_names_in_", None)
    facts = BatchFacts(
        n, X.shape[1], X.dtype.str, sp.issparse(X), None if names is None else tuple(names.tolist()), classes,
        labels.ndim == 2, encoded, mass, given, float(ones.min(initial=np.inf)), float(ones.max(initial=0.0)),
        offset_names, columns,
    )  # fmt: skip
    X, labels, weight, offset = (aligned(part) for part in (X, labels, weight, offset))
    return ReadBatch(X, labels.astype(np.int32) if labels.ndim == 1 else labels, weight, offset, facts)


def _empty(X: Any) -> ReadBatch:
    """Return a batch without rows, which is left out."""
    none = np.zeros(0)
    facts = BatchFacts(0, 0, "", False, None, none, False, False, none, False, np.inf, 0.0, None, 0)
    return ReadBatch(np.zeros((0, 0)), none, None, None, facts)
