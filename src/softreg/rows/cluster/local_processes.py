"""An engine of processes on this machine, each with one thread."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from types import TracebackType
from typing import Any

from softreg.rows.cluster.engine import Task, checked, evaluated, sum_tree
from softreg.rows.cluster.fragments import FragmentError
from softreg.rows.cluster.versions import ClusterError
from softreg.rows.cluster.worker import forget, loaded_rows
from softreg.rows.logits import Sums

MAX_ATTEMPTS = 5
"""Times that a fragment is evaluated in one pass before the loss of its worker is an error."""


class LocalProcesses:
    """Worker processes on this machine; a process that is lost is started again.

    Fragment k is evaluated by process `k % workers`, which keeps its rows.

    Parameters
    ----------
    workers : int
        Number of processes. They import the script that starts them, so its calls stand under
        `if __name__ == "__main__":`.

    Raises
    ------
    ValueError
        If `workers` is below 1.
    ClusterError
        If the processes cannot start.

    Examples
    --------
    >>> with LocalProcesses(2) as engine:
    ...     engine.map([], len)
    []
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError(f"workers={workers} must be 1 or more.")
        self._pools = [_start() for _ in range(workers)]
        try:
            for ready in [pool.submit(os.getpid) for pool in self._pools]:
                ready.result()
        except BrokenProcessPool as error:
            self.close()
            raise ClusterError(
                "the worker processes could not start. They import the script that starts them: put its calls under "
                'if __name__ == "__main__":'
            ) from error

    def __enter__(self) -> LocalProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)

    def map(self, fragments: Sequence[Any], task: Task) -> list[Any]:
        """Return the results of a task for each fragment, in order.

        Parameters
        ----------
        fragments : sequence of Fragment
        task : callable

        Returns
        -------
        list

        Raises
        ------
        FragmentError
            If a fragment cannot be loaded, or ends each process that evaluates it.
        """
        slots = min(len(self._pools), len(fragments))
        results = self._attempt([list(range(slot, len(fragments), slots)) for slot in range(slots)], fragments, task)
        for _ in range(MAX_ATTEMPTS - 1):
            if len(results) == len(fragments):
                return checked([results[k] for k in range(len(fragments))])
            waiting = [[k] for k in range(len(fragments)) if k not in results]  # one by one, to find the cause
            results |= self._attempt(waiting, fragments, task)
        if len(results) == len(fragments):
            return checked([results[k] for k in range(len(fragments))])
        lost = next(k for k in range(len(fragments)) if k not in results)
        raise FragmentError(
            f"the worker process ended {MAX_ATTEMPTS} times while it evaluated {fragments[lost].name}; it may need "
            "more memory than there is. Use smaller fragments or fewer workers."
        )

    def map_reduce(self, fragments: Sequence[Any], task: Task) -> Sums:
        """Return the sum of the results of a task, added as `sum_tree` does."""
        return sum_tree(self.map(fragments, task))

    def release(self, fragments: Sequence[Any]) -> None:
        """Free what the processes hold of these fragments."""
        kept = [
            [fragment for k, fragment in enumerate(fragments) if k % len(self._pools) == slot]
            for slot in range(len(self._pools))
        ]
        for pool, own in zip(self._pools, kept, strict=True):
            with suppress(BrokenProcessPool):
                pool.submit(forget, own)

    def _attempt(self, groups: list[list[int]], fragments: Sequence[Any], task: Task) -> dict[int, Any]:
        """Return the results for groups of fragments, by position; those of processes that are lost are missing."""
        futures = [(group, self._submit(group[0], task, [fragments[k] for k in group])) for group in groups]
        results: dict[int, Any] = {}
        for group, future in futures:
            with suppress(BrokenProcessPool):
                results.update(zip(group, future.result(), strict=True))
        return results

    def _submit(self, k: int, task: Task, fragments: list[Any]) -> Future[list[Any]]:
        """Submit a task to the process of fragment k, which is started again if it was lost."""
        slot = k % len(self._pools)
        try:
            return self._pools[slot].submit(_evaluate, fragments, task)
        except BrokenProcessPool:
            self._pools[slot] = _start()
            return self._pools[slot].submit(_evaluate, fragments, task)


def _start() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_prepare_process)


def _evaluate(fragments: list[Any], task: Task) -> list[Any]:
    """Return the results of a task for fragments whose rows stay in this process."""
    for fragment in fragments:
        evaluated(fragment, partial(loaded_rows, keep=True))
    return [evaluated(fragment, task) for fragment in fragments]


def _prepare_process() -> None:
    """Use one thread, leave Ctrl-C to the parent process, and end when that has ended, by `kill -9` too."""
    os.environ["SOFTREG_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, name="softreg-parent", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
