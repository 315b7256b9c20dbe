"""An engine of Dask workers (`softreg[dask]`)."""

from __future__ import annotations

import platform
import warnings
from asyncio import CancelledError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from itertools import count
from typing import Any
from uuid import uuid4

import numpy as np

from softreg.rows.cluster.aligned_arrays import aligned_rows
from softreg.rows.cluster.engine import FAN_IN, Failure, Nodes, Task, add_nodes, checked, evaluated
from softreg.rows.cluster.fragments import FragmentError
from softreg.rows.cluster.versions import ClusterError, Versions
from softreg.rows.cluster.worker import loaded_rows
from softreg.rows.logits import Sums
from softreg.version import __version__

PASSES_PER_GROUPING = 8
"""Passes after which the workers are asked again which fragments they hold."""
LARGE_BYTES = 1 << 20
"""A task whose arrays have more bytes is sent once and passed on by workers, which also add its sums."""
START_SECONDS = 30
"""Seconds that a cluster without workers is waited for."""


class LoadedFragment:
    """A fragment that a worker has loaded.

    Another process that receives it loads the rows from their source, or receives them if the worker was given them as
    partitions of a Dask collection.

    Parameters
    ----------
    fragment : Fragment
        The fragment.
    given : LoadedFragment or sequence, optional
        The loaded fragment that it is a view of, or the parts that `fragment.load_from` takes.
    client : Versions
        Versions of the client.
    """

    def __init__(self, fragment: Any, given: Any, client: Versions) -> None:
        client.check(Versions.here(), platform.node())  # a worker may join after the start
        self.fragment, self.client = fragment, client
        has_source = isinstance(given, LoadedFragment)
        self.by_value = given.by_value if has_source else given is not None
        self.rows: Any = None
        self.failure: Failure | None = given.failure if has_source else None
        if self.failure is None:
            load = None if has_source or given is None else lambda: fragment.load_from(given)
            try:
                self.rows = loaded_rows(fragment, load=load)
            except (ValueError, TypeError, FragmentError) as error:
                self.failure = Failure(error)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        if self.by_value or self.failure is not None:
            return _received, (self.fragment, self.rows, self.failure, self.client)
        return LoadedFragment, (self.fragment, None, self.client)

    def __sizeof__(self) -> int:
        """Return the bytes of the rows, so that the scheduler places tasks where they are."""
        return 64 if self.rows is None else int(self.rows.stored * self.rows.dtype.itemsize)


def _received(fragment: Any, rows: Any, failure: Failure | None, client: Versions) -> LoadedFragment:
    """Return a loaded fragment whose rows, or whose failure, were received."""
    loaded = object.__new__(LoadedFragment)
    loaded.fragment, loaded.client, loaded.by_value, loaded.failure = fragment, client, True, failure
    loaded.rows = None if rows is None else loaded_rows(fragment, load=lambda: aligned_rows(rows))
    return loaded


def evaluate(loaded: Sequence[LoadedFragment], task: Task) -> list[Any]:
    """Return the result of a task for each of some loaded fragments, or its failure."""
    return [one.failure or evaluated(one.fragment, task) for one in loaded]


def evaluate_nodes(loaded: Sequence[LoadedFragment], positions: Sequence[int], count: int, task: Task) -> Nodes:
    """Return the sums of a task for fragments at these positions among all, added as far as neighbours are there."""
    return add_nodes({(0, k): part for k, part in zip(positions, evaluate(loaded, task), strict=True)}, count)


def unchanged(task: Task) -> Task:
    """Return a task."""
    return task


def merge_nodes(parts: Sequence[Nodes], count: int) -> Nodes:
    """Return the sums of several parts of the tree, added as far as neighbours are there."""
    return add_nodes({node: sums for part in parts for node, sums in part.items()}, count)


def array_bytes(task: Any) -> int:
    """Return the bytes of the arrays that the reduction of a task carries."""
    reduction = getattr(task, "reduction", None)
    names = [field.name for field in fields(reduction)] if is_dataclass(reduction) else []
    return sum(int(getattr(getattr(reduction, name), "nbytes", 0)) for name in names)


class DaskEngine:
    """Tasks on the workers of a Dask cluster; the scheduler repeats those of a worker that is lost.

    Arguments travel with the tasks. A pass is one task for each thread of the workers, for the fragments that are
    there. Sums are added in an order that the fragments fix: on the workers where neighbours are there, the rest by
    the client, or by tasks if they are large. Each task is named after its reduction, as dashboards show it.

    Parameters
    ----------
    client : distributed.Client
        A client of the cluster.

    Raises
    ------
    ClusterError
        If the cluster has no workers, or these have another version of softreg or Python.

    Examples
    --------
    >>> import pytest
    >>> distributed = pytest.importorskip("distributed")
    >>> with distributed.Client(processes=False, n_workers=1, dashboard_address=None) as client:
    ...     DaskEngine(client).map([], len)
    []
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._loaded: dict[Any, Any] = {}
        self._groups: dict[tuple[str, str, int], tuple[list[list[int]], int]] = {}
        self._passes, self._name = count(), uuid4().hex[:8]
        self._versions = Versions.here()
        self._check_workers()

    def load(self, fragments: Sequence[Any], parts: Sequence[Sequence[Any]]) -> None:
        """Load fragments from parts that are given as delayed objects of Dask.

        Parameters
        ----------
        fragments : sequence
            Fragments with a method `load_from(parts)`.
        parts : sequence of sequences
            Delayed objects and values, for each fragment.
        """
        from dask.delayed import delayed

        load, key = delayed(LoadedFragment, pure=False), self._key("load")
        tasks = [
            load(fragment, list(given), self._versions, dask_key_name=f"{key}-{k}")
            for k, (fragment, given) in enumerate(zip(fragments, parts, strict=True))
        ]
        self._loaded.update(zip(fragments, self.client.compute(tasks), strict=True))

    def map(self, fragments: Sequence[Any], task: Task) -> list[Any]:
        """Return the results of a task for each fragment, in order.

        Parameters
        ----------
        fragments : sequence of Fragment
            The fragments.
        task : callable
            The task.

        Returns
        -------
        list
            The results.

        Raises
        ------
        FragmentError
            If a fragment cannot be loaded, or ends the workers that evaluate it.
        ClusterError
            If the connection to the scheduler is lost.
        ValueError, TypeError
            If the rows of a fragment cannot be used.
        """
        with self._named_errors():
            loaded = self._load(fragments)
            groups = self._groups_of(loaded)
            key = self._key(getattr(task, "name", type(task).__name__))
            sent = self._argument(task)
            futures = [
                self.client.submit(evaluate, [loaded[k] for k in group], sent, key=f"{key}-{number}", pure=False)
                for number, group in enumerate(groups)
            ]
            results: dict[int, Any] = {}
            for group, part in zip(groups, self.client.gather(futures), strict=True):
                results.update(zip(group, part, strict=True))
        return self._checked([results[k] for k in range(len(fragments))])

    def map_reduce(self, fragments: Sequence[Any], task: Task) -> Sums:
        """Return the sum of the results of a task, added as `sum_tree` does; raise the errors of `map`."""
        with self._named_errors():
            loaded, count = self._load(fragments), len(fragments)
            key = self._key(getattr(task, "name", type(task).__name__))
            sent = self._argument(task)
            futures = [
                self.client.submit(
                    evaluate_nodes, [loaded[k] for k in group], group, count, sent, key=f"{key}-{number}", pure=False
                )
                for number, group in enumerate(self._groups_of(loaded))
            ]
            while len(futures) > FAN_IN and array_bytes(task) > LARGE_BYTES:
                key = self._key("add")
                parts = [futures[a : a + FAN_IN] for a in range(0, len(futures), FAN_IN)]
                futures = [
                    self.client.submit(merge_nodes, part, count, key=f"{key}-{number}", pure=False)
                    for number, part in enumerate(parts)
                ]
            (total,) = merge_nodes(self.client.gather(futures), count).values()
        (sums,) = self._checked([total])
        return tuple(np.array(piece) for piece in sums)  # arrays that are sent may be read-only

    def release(self, fragments: Sequence[Any]) -> None:
        """Free what workers hold of these fragments, unless others are views of them."""
        for fragment in fragments:
            self._loaded.pop(fragment, None)

    def _check_workers(self) -> None:
        """Raise `ClusterError` if there are no workers or they cannot be used; warn of other kernels."""
        if self.client.asynchronous:
            raise ClusterError("the client is asynchronous, and a fit waits for its results; use Client(address).")
        try:
            self.client.wait_for_workers(1, timeout=START_SECONDS)
            found: dict[str, Versions] = self.client.run(Versions.here)
        except TimeoutError as error:
            raise ClusterError(f"the cluster has no workers after {START_SECONDS} s; start some.") from error
        except (ImportError, AttributeError) as error:
            raise ClusterError(
                f"a worker cannot import softreg ({error}); install softreg {__version__} on all workers."
            ) from error
        for address, versions in found.items():
            self._versions.check(versions, address)
        kernels = {versions.kernels for versions in found.values()}
        if len(kernels) > 1:
            warnings.warn(
                f"the workers compute with different instructions ({', '.join(sorted(kernels))}), so the last bits of "
                "a model depend on which worker has which rows.",
                stacklevel=3,
            )

    def _argument(self, task: Task) -> Any:
        """Return a task as an argument of others: itself, or a future of a large one, which workers pass on."""
        if array_bytes(task) <= LARGE_BYTES:
            return task
        return self.client.submit(unchanged, task, key=self._key("parameters"), pure=False)

    def _checked(self, results: list[Any]) -> list[Any]:
        """Return results; raise the first failure, whose fragment is loaded again by a later call."""
        try:
            return checked(results)
        except (ValueError, TypeError, FragmentError):
            self._loaded.clear()
            raise

    def _load(self, fragments: Sequence[Any]) -> list[Any]:
        """Return the futures of loaded fragments."""
        missing = [fragment for fragment in fragments if fragment not in self._loaded]
        if missing:
            sources = [self._loaded.get(getattr(fragment, "source", None)) for fragment in missing]
            key = self._key("load")
            keys = [f"{key}-{k}" for k in range(len(missing))]
            more = {"client": self._versions, "key": keys, "pure": False}
            self._loaded.update(zip(missing, self.client.map(LoadedFragment, missing, sources, **more), strict=True))
        return [self._loaded[fragment] for fragment in fragments]

    def _groups_of(self, loaded: list[Any]) -> list[list[int]]:
        """Return the positions of the fragments of each thread of each worker.

        A task costs the scheduler about a millisecond, whatever it computes. The groups do not change the results. A
        group of a worker that was lost is evaluated by another one, and the groups are made anew every
        `PASSES_PER_GROUPING` passes.

        Returns
        -------
        list of list of int
        """
        from distributed import wait

        name = (loaded[0].key, loaded[-1].key, len(loaded)) if loaded else ("", "", 0)
        groups, passes = self._groups.get(name, ([], 0))
        if passes % PASSES_PER_GROUPING == 0:
            wait(loaded)
            where, threads = self.client.who_has(loaded), self.client.nthreads()
            of_worker: dict[str, list[int]] = {address: [] for address in threads or [""]}
            for k, future in enumerate(loaded):
                holders = [address for address in where.get(future.key, ()) if address in of_worker]
                of_worker[min(holders or of_worker, key=lambda address: len(of_worker[address]))].append(k)
            groups = [
                part.tolist()
                for address, own in sorted(of_worker.items(), key=lambda item: item[1])
                for part in np.array_split(np.array(own, dtype=np.intp), max(1, threads.get(address, 1)))
                if len(part)
            ]
        self._groups[name] = groups, passes + 1
        return groups

    def _key(self, name: str) -> str:
        """Return a name of tasks that no others have; what precedes the first hyphen groups them in displays."""
        return f"{name}-{self._name}-{next(self._passes)}"

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Raise `FragmentError` where workers are lost too often, and `ClusterError` where the scheduler is lost."""
        from distributed import client
        from distributed.scheduler import KilledWorker

        names = ("FutureCancelledError", "FuturesCancelledError", "ClosedClientError")
        lost = tuple(getattr(client, name) for name in names if hasattr(client, name))
        try:
            yield
        except KilledWorker as error:
            raise FragmentError(
                f"the cluster gave a task up after its workers were lost ({error.task}); they may need more memory "
                "than they have. Use smaller fragments, or workers with more memory."
            ) from error
        except (*lost, CancelledError, OSError) as error:
            if isinstance(error, OSError) and self.client.status == "running":
                raise
            raise ClusterError(
                "the connection to the scheduler of the cluster was lost, or its tasks were cancelled; start the "
                "cluster again and repeat the call. With a checkpoint the fit goes on from its last pass."
            ) from error
