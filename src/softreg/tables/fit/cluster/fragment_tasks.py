"""Tasks on fragments of a table, and their results in the order of the fragments."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any, TypeVar

from softreg.optimize import Progress
from softreg.rows.cluster.engine import Engine

Result = TypeVar("Result")

FRAGMENTS_AT_A_TIME = 64
"""Fragments whose results the client holds before it merges them. The results do not depend on it."""


def run_on_fragments(
    engine: Engine,
    fragments: Sequence[Any],
    function: Callable[[Any], Result],
    on_progress: Callable[[Progress], Any] | None = None,
) -> Iterator[Result]:
    """Yield the results of a function for each fragment, in order.

    Parameters
    ----------
    engine : Engine
        The workers.
    fragments : sequence
        Fragments.
    function : callable
        Function of a fragment that can be pickled.
    on_progress : callable, optional
        Called with the number of rows that were read, as `Progress`, after each group of fragments.

    Yields
    ------
    result
        Result of the function.

    Raises
    ------
    TableError
        The first one that a fragment raised.
    FragmentError
        If a fragment cannot be read, or ends each process that evaluates it.
    """
    began, rows, total = perf_counter(), 0, sum(fragment.n_rows for fragment in fragments)
    for start in range(0, len(fragments), FRAGMENTS_AT_A_TIME):
        group = fragments[start : start + FRAGMENTS_AT_A_TIME]
        results: list[Result] = engine.map(group, function)
        engine.release(group)
        yield from results
        rows += sum(fragment.n_rows for fragment in group)
        if on_progress is not None:
            on_progress(Progress(0, math.nan, math.inf, perf_counter() - began, rows, total))
