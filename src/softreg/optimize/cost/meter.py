"""The meter of a fit: it adds up seconds, bytes and operations while the fit runs.

`minimise` opens a meter with `metered`; whatever runs within finds it by `current_meter`. The sums over rows of an
`Objective` are counted by themselves. A solver that reads rows in another way counts like this:

    meter = current_meter()
    with meter.passes(bytes_read, operations, dtype):
        ...                      # sums over the rows
    with meter.curvature():
        ...                      # search directions
    with meter.certificate():
        ...                      # proofs; passes within count as part of them

Of parts that lie within each other, the outermost has the seconds, so that no second counts twice. A meter belongs to
the thread that runs the fit: threads that it starts count nothing, and their work is counted by who waits for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter, process_time
from types import TracebackType
from typing import Any

import numpy as np

from softreg.optimize.cost.fit_cost import FitCost
from softreg.rows import Rows, thread_count

PASSES, CURVATURE, CERTIFICATE = range(3)
DOUBLE_BYTES = 8


class Part:
    """A context whose seconds belong to one part of the fit, unless another part is open already."""

    __slots__ = ("_meter", "_part")

    def __init__(self, meter: CostMeter, part: int) -> None:
        self._meter, self._part = meter, part

    def __enter__(self) -> None:
        meter = self._meter
        if not meter.depth:
            meter.part_start = perf_counter()
        meter.depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        meter = self._meter
        meter.depth -= 1
        if not meter.depth:
            meter.seconds[self._part] += perf_counter() - meter.part_start


class CostMeter:
    """Adds up what a fit costs.

    Examples
    --------
    >>> meter = CostMeter()
    >>> with meter.passes(800, 1600.0):
    ...     pass
    >>> with meter.certificate(), meter.passes(800, 800.0, np.dtype(np.float32)):
    ...     pass
    >>> cost = meter.finish()
    >>> cost.bytes_read, cost.operations, cost.double_operations, cost.readings
    (1600.0, 2400.0, 1600.0, 2)
    """

    def __init__(self) -> None:
        self.start, self.processor_start = perf_counter(), process_time()
        self.bytes_read = self.operations = self.double_operations = 0.0
        self.readings = 0
        self.seconds = [0.0, 0.0, 0.0]
        self.depth, self.part_start = 0, 0.0
        """Parts that are open, each within the one before, and when the outermost began."""
        self.parts = tuple(Part(self, part) for part in (PASSES, CURVATURE, CERTIFICATE))
        self.row_bytes, self.storage = 0, "memory"
        """Bytes of one reading of the largest rows so far, and where these are."""

    def count(self, bytes_read: float, operations: float, dtype: np.dtype[Any] | None = None) -> None:
        """Add bytes of stored rows and floating-point operations, in float64 by default."""
        self.bytes_read += bytes_read
        self.operations += operations
        if dtype is None or dtype.itemsize >= DOUBLE_BYTES:
            self.double_operations += operations

    def see(self, rows: Rows) -> None:
        """Keep the size and place of the rows, if they are the largest so far."""
        size = rows.stored_bytes
        if size > self.row_bytes:
            self.row_bytes, self.storage = size, rows.storage

    def add(self, inner: CostMeter) -> None:
        """Add what a fit within has cost."""
        self.bytes_read += inner.bytes_read
        self.operations += inner.operations
        self.double_operations += inner.double_operations
        self.readings += inner.readings
        if inner.row_bytes > self.row_bytes:
            self.row_bytes, self.storage = inner.row_bytes, inner.storage
        if not self.depth:  # otherwise the part that is open has these seconds
            self.seconds = [sum(pair) for pair in zip(self.seconds, inner.seconds, strict=True)]

    def passes(self, bytes_read: float = 0.0, operations: float = 0.0, dtype: np.dtype[Any] | None = None) -> Part:
        """Count one sum over the rows, and return the context in which it runs."""
        self.readings += 1
        self.count(bytes_read, operations, dtype)
        return self.parts[PASSES]

    def curvature(self) -> Part:
        """Return a context for Hessians, preconditioners and search directions."""
        return self.parts[CURVATURE]

    def certificate(self) -> Part:
        """Return a context for proofs of the gap."""
        return self.parts[CERTIFICATE]

    def finish(self, rows: Rows | None = None, models: int = 1) -> FitCost:
        """Return what the fit has cost since the meter was made.

        Parameters
        ----------
        rows : Rows, optional
            The rows of the fit; by default the largest that it has read.
        models : int
            Models that were fitted together.

        Returns
        -------
        FitCost
        """
        passes, curvature, certificate = self.seconds
        return FitCost(
            seconds=perf_counter() - self.start,
            passes_seconds=passes,
            curvature_seconds=curvature,
            certificate_seconds=certificate,
            processor_seconds=process_time() - self.processor_start,
            threads=thread_count(),
            bytes_read=self.bytes_read,
            operations=self.operations,
            double_operations=self.double_operations,
            readings=self.readings,
            row_bytes=self.row_bytes if rows is None else rows.stored_bytes,
            storage=self.storage if rows is None else rows.storage,
            models=models,
        )


_METER: ContextVar[CostMeter | None] = ContextVar("softreg_cost_meter", default=None)


def current_meter() -> CostMeter:
    """Return the meter of the fit that runs in this thread, or a new one that nobody reads.

    Returns
    -------
    CostMeter

    Examples
    --------
    >>> with metered() as meter:
    ...     current_meter() is meter
    True
    """
    return _METER.get() or CostMeter()


@contextmanager
def metered() -> Iterator[CostMeter]:
    """Open a meter for the fit that runs within; one around it, such as that of a search, includes it.

    Yields
    ------
    CostMeter
        The meter that `current_meter` returns within.

    Examples
    --------
    >>> with metered() as meter, meter.curvature():
    ...     pass
    >>> meter.finish().curvature_seconds >= 0
    True
    """
    outer, meter = _METER.get(), CostMeter()
    token = _METER.set(meter)
    try:
        yield meter
    finally:
        _METER.reset(token)
        if outer is not None:
            outer.add(meter)
