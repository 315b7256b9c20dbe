"""What a worker process computes: results of reductions on the rows of fragments that it has loaded once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np

from softreg.rows.backend_protocol import Reduction
from softreg.rows.cluster.fragments import Fragment
from softreg.rows.logits import Sums
from softreg.rows.parallel import one_blas_thread
from softreg.rows.sampling import class_codes
from softreg.splitmix import keyed_uniform
from softreg.typing import Array

Result = TypeVar("Result")

SAMPLE_STREAM = 5
"""Stream of the hashed row numbers that decide on the rows of a sample."""
PLACE_BITS = 40
"""A fragment has fewer than 2**40 rows: `Block.place` is the number of the fragment, then that of the row."""

_loaded: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()
"""What is loaded for the fragments that are in use in this process."""
_kept: dict[Hashable, Any] = {}
"""What is loaded for fragments that stay until the process ends."""
_viewed: WeakKeyDictionary[Any, tuple[bytes, Any]] = WeakKeyDictionary()
"""The last view of the rows of a fragment."""
_loading = Lock()


def loaded_rows(fragment: Any, *, keep: bool = False, load: Callable[[], Any] | None = None) -> Any:
    """Return what `fragment.load()` returns, loaded where no other object of this process holds it.

    Parameters
    ----------
    fragment : Fragment
        The fragment.
    keep : bool
        Whether the rows stay until the process ends.
    load : callable, optional
        Loads the rows in place of `fragment.load`.

    Returns
    -------
    Rows
        The rows; or another object, for fragments of a caller of its own.
    """
    rows = _loaded.get(fragment)
    if rows is None:
        rows = (load or fragment.load)()
        with _loading:
            rows = _loaded.setdefault(fragment, rows)
    if keep:
        _kept[fragment] = rows
    return rows


def forget(fragments: Any) -> None:
    """Free the rows of fragments that were kept, once no other object holds them."""
    for fragment in fragments:
        _kept.pop(fragment, None)


@dataclass(frozen=True, eq=False)
class View:
    """Shift, scale and precision of the products, as in `Rows.precise`; None for the stored numbers."""

    shift: Array | None = None
    scale: Array | None = None
    dtype: str | None = None

    @cached_property
    def key(self) -> bytes:
        """A name that views with other numbers do not have."""
        digest = sha256(str(self.dtype).encode())
        for array in (self.shift, self.scale):
            digest.update(b"-" if array is None else array.tobytes())
        return digest.digest()

    def on(self, fragment: Fragment) -> Any:
        """Return the rows of a fragment in this view."""
        rows = loaded_rows(fragment)
        if self.shift is not None or self.scale is not None or self.dtype is not None:
            key, viewed = _viewed.get(rows, (b"", None))
            if key != self.key:
                viewed = rows.precise(self.shift, self.scale, None if self.dtype is None else np.dtype(self.dtype))
                _viewed[rows] = self.key, viewed
            rows = viewed
        rows.first_place = fragment.number << PLACE_BITS
        return rows


@dataclass(frozen=True, eq=False)
class SumTask:
    """The sum of a reduction over the rows of a fragment."""

    view: View
    reduction: Reduction[Sums]

    @property
    def name(self) -> str:
        """Name of the reduction, for displays of tasks."""
        return type(self.reduction).__name__

    def __call__(self, fragment: Fragment) -> Sums:
        """Return the sums, which do not depend on the threads of the worker."""
        with one_blas_thread():
            sums: Sums = self.view.on(fragment).sum(self.reduction)
        return sums


@dataclass(frozen=True, eq=False)
class MapTask(Generic[Result]):
    """The results of a reduction on the blocks of a fragment, concatenated."""

    view: View
    reduction: Reduction[Array]

    @property
    def name(self) -> str:
        """Name of the reduction, for displays of tasks."""
        return type(self.reduction).__name__

    def __call__(self, fragment: Fragment) -> Array:
        """Return the results of one fragment."""
        with one_blas_thread():
            result: Array = self.view.on(fragment).map(self.reduction)
        return result


@dataclass(frozen=True)
class FragmentFacts:
    """What the client knows about the rows of a fragment."""

    n: int
    d: int
    dtype: str
    sparse: bool
    stored: int
    counts: Array
    """Rows of each class; a row with label probabilities belongs to its most likely one."""
    has_offset: bool

    @property
    def form(self) -> tuple[int, bool, str]:
        """Columns, whether they are sparse, and their precision."""
        return self.d, self.sparse, self.dtype

    def __str__(self) -> str:
        return f"{self.d} {'sparse' if self.sparse else 'dense'} columns of {np.dtype(self.dtype)}"


@dataclass(frozen=True)
class Describe:
    """The facts about a fragment."""

    def __call__(self, fragment: Fragment) -> FragmentFacts:
        """Return the facts about one fragment."""
        rows = loaded_rows(fragment)
        counts = np.bincount(class_codes(rows.labels))
        return FragmentFacts(rows.n, rows.d, rows.dtype.str, not rows.can_shift, rows.stored, counts, rows.has_offset)


@dataclass(frozen=True)
class SampledRows:
    """Sampled rows of a fragment: numbers, labels, weights (m, b) or None, offsets (q, b) or None, and hashed numbers.

    `drawn` (b,) holds the hashed number of each row, in [0, 1).
    """

    X: Any
    labels: Array
    weights: Array | None
    offset: Array | None
    drawn: Array


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows of a fragment whose hashed number is below the share of its class, `share` (q,)."""

    seed: int
    share: Array

    def __call__(self, fragment: Fragment) -> SampledRows:
        """Return the sampled rows of one fragment, in their order."""
        rows = loaded_rows(fragment)
        numbers = np.arange(rows.n, dtype=np.uint64) + np.uint64(fragment.number << PLACE_BITS)
        drawn = keyed_uniform(numbers, self.seed, SAMPLE_STREAM)
        index = np.flatnonzero(drawn < self.share[class_codes(rows.labels)])
        weights, offset = (part if part is None else part[:, index] for part in (rows.weights, rows.offset))
        return SampledRows(rows.X[index], rows.labels[index], weights, offset, drawn[index])
