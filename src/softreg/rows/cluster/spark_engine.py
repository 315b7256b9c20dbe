"""An engine of Spark's Python workers (`softreg[spark]`)."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from types import TracebackType
from typing import Any
from uuid import uuid4

from softreg.rows.backend_protocol import sum_parts
from softreg.rows.cluster.engine import FAN_IN, Failure, Task, checked, sum_tree
from softreg.rows.cluster.fragments import FragmentError
from softreg.rows.cluster.versions import ClusterError, Versions
from softreg.rows.cluster.worker import loaded_rows
from softreg.rows.logits import Sums

MAX_JOBS = 3
"""Jobs of one pass before the loss of a worker is an error. In local mode Spark does not repeat a failed task."""
GROUPS_PER_SLOT = 4
"""Groups of `FAN_IN` fragments for each task that runs at a time, from which on a group is not divided between tasks:
the last tasks of a pass then leave at most about a quarter of the workers without work."""
MAX_CLIENT_PARTS = FAN_IN * FAN_IN
"""Results of single fragments that the client adds itself: a second stage on the workers took 0.3 s more a pass."""

_SCHEMA = "number long, cell binary"
_held: dict[str, dict[Any, Any]] = {}
"""In a worker: what it has loaded for fragments that the engine uses, by the key of their description."""


@dataclass(frozen=True)
class Described:
    """A cached DataFrame with the number and the pickled description of each fragment, and a key of it."""

    frame: Any
    key: str


@dataclass(frozen=True)
class Pass:
    """What a worker needs for a pass: the task, and the keys of fragments of which it holds the rows.

    `group` neighbours are added; `client` has the versions of the client.
    """

    task: Task
    group: int
    key: str
    in_use: tuple[str, ...]
    client: Versions

    def results(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield the result of each fragment of a partition, or of the sum of each group."""
        for key in _held.keys() - set(self.in_use):
            _held.pop(key)
        held = _held.setdefault(self.key, {})

        def result(cell: Any) -> Any:
            self.client.check(Versions.here(), platform.node())
            fragment = _loads(cell.as_buffer())
            held[fragment] = loaded_rows(fragment)
            return self.task(fragment)

        cells = ((number.as_py(), cell) for batch in batches for number, cell in zip(*batch.columns, strict=True))
        for number, members in groupby(cells, lambda member: member[0] // self.group):
            results = (result(cell) for _, cell in members)
            add = next if self.group == 1 else sum_parts
            yield _cell(number, _attempt(partial(add, results)))


class SparkEngine:
    """Tasks in the Python workers of a Spark cluster; the rows never pass through the JVM.

    A small cached DataFrame has a row for each fragment and about as many partitions as tasks run at a time. Each pass
    is one job: `mapInArrow` evaluates the task on the fragments of a partition, one after another, and returns one
    binary cell for each fragment, or for each sum of `FAN_IN` neighbours where a partition has them all. Otherwise the
    client adds these sums, or a second stage does if there are more than `MAX_CLIENT_PARTS` parts. The order of the
    additions is that of `sum_tree` in each case.

    Spark starts tasks on the executor that has the cached partition, if one of its cores is free. A Python worker keeps
    the rows that it has loaded until they are released or it works for another engine. Spark does not choose the same
    worker of an executor each time: the workers of an executor with c cores hold up to c copies of the rows of its
    partitions after some passes. With `spark.executor.cores=1` there is one copy.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        The session. softreg must be installed on the workers.
    slots : int, optional
        Tasks that the cluster runs at a time; `spark.sparkContext.defaultParallelism` by default. Sums do not depend
        on it.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import mkdtemp
    >>> from pyspark.sql import SparkSession
    >>> from softreg.rows.cluster.cluster_rows import ClusterRows
    >>> from softreg.rows.cluster.fragments import NpyFragment
    >>> X, y = (mkdtemp() + "/" + name for name in ("X.npy", "y.npy"))
    >>> np.save(X, np.eye(5)), np.save(y, np.array([0, 1, 1, 0, 1]))
    (None, None)
    >>> with SparkEngine(SparkSession.builder.getOrCreate()) as engine:
    ...     rows = ClusterRows(NpyFragment.of(X, y, rows=3), engine)
    >>> rows.n, rows.d
    (5, 5)
    """

    def __init__(self, spark: Any, slots: int | None = None) -> None:
        self.spark, self.slots = spark, slots or int(spark.sparkContext.defaultParallelism)
        self._described: dict[tuple[Any, ...], Described] = {}
        self._partitions: dict[int, Any] = {}
        self._versions = Versions.here()

    def __enter__(self) -> SparkEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the descriptions of all fragments from Spark's cache."""
        for frame in (*(described.frame for described in self._described.values()), *self._partitions.values()):
            frame.unpersist()
        self._described, self._partitions = {}, {}

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
            If a worker has no softreg, or another version of it.
        """
        return self._collect(self._evaluate(fragments, task), len(fragments)) if fragments else []

    def map_reduce(self, fragments: Sequence[Any], task: Task) -> Sums:
        """Return the sum of the results of a task, added as `sum_tree` does; raise the errors of `map`."""
        n = len(fragments)
        whole_groups = self._has_whole_groups(n)
        results = self._evaluate(fragments, task, FAN_IN if whole_groups else 1)
        if not whole_groups and n > MAX_CLIENT_PARTS:
            results = _sums_of_groups(results, self.slots)
        return sum_tree(self._collect(results, n))

    def release(self, fragments: Sequence[Any]) -> None:
        """Free what workers hold of these fragments, as soon as they have the next task."""
        described = self._described.pop(tuple(fragments), None)
        if described is not None:
            described.frame.unpersist()

    def _has_whole_groups(self, n: int) -> bool:
        """Return True if all fragments of a group, which are added first, are in one partition."""
        return n >= GROUPS_PER_SLOT * self.slots * FAN_IN

    def _evaluate(self, fragments: Sequence[Any], task: Task, group: int = 1) -> Any:
        """Return the DataFrame of the results of a task, added for each `group` neighbours."""
        described = self._describe(tuple(fragments))
        in_use = tuple(other.key for other in self._described.values())
        of_pass = Pass(task, group, described.key, in_use, self._versions)
        return described.frame.mapInArrow(lambda batches: of_pass.results(batches), _SCHEMA)

    def _describe(self, fragments: tuple[Any, ...]) -> Described:
        """Return the cached descriptions of fragments, on the executors that have others of the same number."""
        if fragments in self._described:
            return self._described[fragments]
        unit = FAN_IN if self._has_whole_groups(len(fragments)) else 1
        units = -(-len(fragments) // unit)
        tasks = min(self.slots, units)
        cells = [_dumps(fragment) for fragment in fragments]

        def describe(batches: Iterable[Any]) -> Iterator[Any]:
            for batch in batches:
                for k in batch.column(0).to_pylist():
                    first, stop = unit * (k * units // tasks), unit * ((k + 1) * units // tasks)
                    yield from (_cell(first + j, cell) for j, cell in enumerate(cells[first:stop]))

        if tasks not in self._partitions:
            self._partitions[tasks] = self.spark.range(0, tasks, 1, tasks).persist()
        frame = self._partitions[tasks].mapInArrow(describe, _SCHEMA).persist()
        return self._described.setdefault(fragments, Described(frame, uuid4().hex))

    def _collect(self, frame: Any, n: int) -> list[Any]:
        """Return the results in a DataFrame, in order; raise the error of a task where one is among them."""
        from py4j.protocol import Py4JJavaError
        from pyspark.errors import PySparkException, PythonException

        for _ in range(MAX_JOBS):
            try:
                table = frame.toArrow().sort_by("number")
                break
            except PythonException as error:
                reason = f"a worker of Spark failed: {_last_line(error)}"
                if "No module named" not in reason:
                    raise FragmentError(reason) from error
                raise ClusterError(
                    f"{reason}; install softreg {self._versions.softreg} in the Python of all workers, which "
                    "PYSPARK_PYTHON names."
                ) from error
            except (Py4JJavaError, PySparkException) as error:
                lost: Exception = error  # the job is repeated: the workers that are left load the rows again
        else:
            raise FragmentError(
                f"Spark gave a pass over {n:,} fragments up {MAX_JOBS} times after its workers were lost; they may "
                "need more memory than they have. Use smaller fragments, or workers with more memory "
                f"(spark.executor.memoryOverhead). The last error: {_reason(lost)}"
            ) from lost
        return checked([_loads(cell.as_buffer()) for cell in table.column("cell")])


def _sums_of_groups(frame: Any, tasks: int) -> Any:
    """Return the DataFrame of the sums of `FAN_IN` neighbours each: a second stage of so many tasks on the workers."""

    def add(table: Any) -> Any:
        import pyarrow as pa

        table = table.sort_by("number")
        parts = [_loads(cell.as_buffer()) for cell in table.column("cell")]
        failed = [part for part in parts if isinstance(part, Failure)]
        cell = _dumps(failed[0]) if failed else _dumps(sum_parts(parts))
        return pa.Table.from_batches([_cell(table.column("number")[0].as_py() // FAN_IN, cell)])

    of_group = frame.selectExpr("number", "cell", f"number div {FAN_IN} as of_group").repartition(tasks, "of_group")
    return of_group.groupBy("of_group").applyInArrow(add, _SCHEMA)


def _attempt(evaluate: Any) -> bytes:
    """Return a result in bytes, or its `Failure`: Spark would repeat a task that raises, and show its own traceback."""
    try:
        return _dumps(evaluate())
    except MemoryError:
        raise
    except Exception as error:
        return _dumps(Failure(error))


def _cell(number: int, cell: bytes) -> Any:
    """Return a batch of one row."""
    import pyarrow as pa

    return pa.record_batch([pa.array([number], pa.int64()), pa.array([cell], pa.binary())], names=["number", "cell"])


def _dumps(value: Any) -> bytes:
    """Return a value in bytes, for another process of the same Spark application."""
    from pyspark.serializers import CloudPickleSerializer

    data: bytes = CloudPickleSerializer().dumps(value)
    return data


def _loads(data: Any) -> Any:
    """Return the value in bytes that a process of the same Spark application wrote."""
    from pyspark.serializers import CloudPickleSerializer

    return CloudPickleSerializer().loads(data)


def _last_line(error: Exception) -> str:
    """Return the last line of the Python traceback in an error of Spark."""
    return [line for line in str(error).splitlines() if line.strip()][-1].strip()


def _reason(error: Exception) -> str:
    """Return the sentence of an error of Spark that says why a task failed."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line.startswith("Caused by: ") and "Exception" in line), lines[0])
