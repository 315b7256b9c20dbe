"""What a worker process computes: results of reductions on the rows of fragments that it has loaded once."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from softreg.rows.backend_protocol import Reduction, Rows
from softreg.rows.cluster.fragments import Fragment
from softreg.rows.logits import Sums
from softreg.rows.parallel import one_blas_thread
from softreg.rows.sampling import class_codes
from softreg.typing import Array

Result = TypeVar("Result")

_loaded: WeakValueDictionary[Fragment, Rows] = WeakValueDictionary()
"""The rows of fragments that are in use in this process."""
_kept: dict[Fragment, Rows] = {}
"""The rows of fragments that stay until the process ends."""
_loading = Lock()


def loaded_rows(fragment: Fragment, *, keep: bool = False) -> Rows:
    """Return the rows of a fragment, loaded where no other object of this process holds them; `keep` holds them."""
    with _loading:
        rows = _loaded.get(fragment)
        if rows is None:
            rows = _loaded[fragment] = fragment.load()
        if keep:
            _kept[fragment] = rows
        return rows


@dataclass(frozen=True, eq=False)
class View:
    """Shift, scale and precision of the products, as in `Rows.precise`; None for the stored numbers."""

    shift: Array | None = None
    scale: Array | None = None
    dtype: str | None = None

    def on(self, fragment: Fragment) -> Any:
        """Return the rows of a fragment in this view."""
        rows: Any = loaded_rows(fragment)
        if self.shift is None and self.dtype is None:
            return rows
        return rows.precise(self.shift, self.scale, None if self.dtype is None else np.dtype(self.dtype))


@dataclass(frozen=True, eq=False)
class SumTask:
    """The sum of a reduction over the rows of a fragment."""

    view: View
    reduction: Reduction[Sums]

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

    def __call__(self, fragment: Fragment) -> Array:
        """Return the results of one fragment."""
        with one_blas_thread():
            result: Array = self.view.on(fragment).map(self.reduction)
        return result


@dataclass(frozen=True)
class FragmentFacts:
    """Shape of a fragment: rows, columns, precision, and rows of each class."""

    n: int
    d: int
    dtype: str
    counts: Array


@dataclass(frozen=True)
class Describe:
    """The facts about a fragment; a row with label probabilities belongs to its most likely class."""

    def __call__(self, fragment: Fragment) -> FragmentFacts:
        """Return the facts about one fragment."""
        rows: Any = loaded_rows(fragment)
        return FragmentFacts(rows.n, rows.d, rows.dtype.str, np.bincount(class_codes(rows.labels)))


@dataclass(frozen=True, eq=False)
class Sample:
    """Stored numbers and labels of `take[k]` rows of each class k, drawn without replacement."""

    seed: int
    takes: dict[Fragment, Array]

    def __call__(self, fragment: Fragment) -> tuple[Array, Array]:
        """Return the sampled rows of one fragment, in their order."""
        rows: Any = loaded_rows(fragment)
        number = list(self.takes).index(fragment)
        random, codes = np.random.default_rng([self.seed, number]), class_codes(rows.labels)
        drawn = [
            random.choice(np.flatnonzero(codes == k), size, replace=False)
            for k, size in enumerate(self.takes[fragment].tolist())
            if size
        ]
        index = np.sort(np.concatenate(drawn)) if drawn else np.zeros(0, np.int64)
        return rows.X[index], rows.labels[index]
