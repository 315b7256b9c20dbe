"""An engine of Dask workers (`softreg[dask]`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from softreg.rows.backend_protocol import sum_parts
from softreg.rows.cluster.engine import Task, sum_tree
from softreg.rows.cluster.fragments import Fragment, FragmentError
from softreg.rows.cluster.worker import loaded_rows
from softreg.rows.logits import Sums


class LoadedFragment:
    """A fragment that the worker has loaded; another process that receives it loads the rows from their source."""

    def __init__(self, fragment: Fragment) -> None:
        self.fragment, self.rows = fragment, loaded_rows(fragment)

    def __reduce__(self) -> tuple[type[LoadedFragment], tuple[Fragment]]:
        return LoadedFragment, (self.fragment,)

    def __sizeof__(self) -> int:
        """Return the bytes of the rows, so that the scheduler places tasks where they are."""
        return self.rows.stored * self.rows.dtype.itemsize


def evaluate(loaded: LoadedFragment, task: Task) -> Any:
    """Return the result of a task for a loaded fragment."""
    return task(loaded.fragment)


class DaskEngine:
    """Tasks on the workers of a Dask cluster; the scheduler repeats those of a worker that is lost.

    Arguments travel with the tasks, and sums are added on the workers by a tree that the fragments fix.

    Parameters
    ----------
    client : distributed.Client
        A client of the cluster.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._loaded: dict[Fragment, Any] = {}

    def map(self, fragments: Sequence[Fragment], task: Task) -> list[Any]:
        """Return the results of a task for each fragment, in order."""
        results: list[Any] = self._gather(self._evaluate(fragments, task))
        return results

    def map_reduce(self, fragments: Sequence[Fragment], task: Task) -> Sums:
        """Return the sum of the results of a task, added as `sum_tree` does."""
        parts = self._evaluate(fragments, task)
        total = sum_tree(parts, add=lambda group: self.client.submit(sum_parts, group, pure=False))
        (sums,) = self._gather([total])
        return tuple(np.array(piece) for piece in sums)  # arrays that are sent may be read-only

    def _evaluate(self, fragments: Sequence[Fragment], task: Task) -> list[Any]:
        """Return the futures of a task for each fragment."""
        for fragment in fragments:
            if fragment not in self._loaded:
                self._loaded[fragment] = self.client.submit(LoadedFragment, fragment, pure=False)
        loaded = [self._loaded[fragment] for fragment in fragments]
        futures: list[Any] = self.client.map(evaluate, loaded, task=task, pure=False)
        return futures

    def _gather(self, futures: list[Any]) -> Any:
        """Return the results of futures; raise `FragmentError` where workers are lost too often."""
        from distributed.scheduler import KilledWorker

        try:
            return self.client.gather(futures)
        except KilledWorker as error:
            raise FragmentError(
                f"the cluster gave a task up after its workers were lost ({error.task}); they may need more memory "
                "than they have. Use smaller fragments, or workers with more memory."
            ) from error
