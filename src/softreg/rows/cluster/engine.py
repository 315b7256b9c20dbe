"""The interface to a scheduler of worker processes, and the order in which their results are added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from softreg.rows.backend_protocol import sum_parts
from softreg.rows.cluster.fragments import Fragment, FragmentError
from softreg.rows.logits import Sums

FAN_IN = 16
"""Results that are added at a time. The tree of additions depends on the number of fragments alone, so that sums are
the same to the last bit for any number of workers."""

Task = Callable[[Any], Any]
"""A function of a fragment that can be pickled."""


@dataclass(frozen=True)
class Failure:
    """An error in the data of a fragment, as the result of a task: workers log what tasks raise."""

    error: Exception


def evaluated(fragment: Fragment, task: Task) -> Any:
    """Return the result of a task for a fragment, or its `Failure`."""
    try:
        return task(fragment)
    except (ValueError, TypeError, FragmentError) as error:
        return Failure(error)


def checked(results: list[Any]) -> list[Any]:
    """Return results of tasks; raise the error of the first one that failed."""
    for result in results:
        if isinstance(result, Failure):
            raise result.error
    return results


Nodes = dict[tuple[int, int], Any]
"""Sums by level and position in the tree of `sum_tree`: level 0 has a sum for each fragment."""


def add_nodes(nodes: Nodes, count: int) -> Nodes:
    """Return the nodes of a tree of sums after all additions whose parts are there.

    Parameters
    ----------
    nodes : dict
        Sums, or failures, by level and position; parts of the tree.
    count : int
        Number of fragments.

    Returns
    -------
    dict
        The nodes that are not part of another one; `{(levels, 0): sums}` for those of the whole tree.

    Examples
    --------
    >>> some = add_nodes({(0, k): (float(k),) for k in range(20)}, 40)
    >>> {node: float(sums[0]) for node, sums in some.items()}
    {(0, 16): 16.0, (0, 17): 17.0, (0, 18): 18.0, (0, 19): 19.0, (1, 0): 120.0}
    """
    nodes, level, size = dict(nodes), 0, count
    while True:
        above = -(-size // FAN_IN)
        for k in sorted({at // FAN_IN for on, at in nodes if on == level}):
            parts = [(level, at) for at in range(k * FAN_IN, min((k + 1) * FAN_IN, size))]
            if all(part in nodes for part in parts):
                sums = [nodes.pop(part) for part in parts]
                failures = [one for one in sums if isinstance(one, Failure)]
                nodes[level + 1, k] = failures[0] if failures else sum_parts(sums)
        level, size = level + 1, above
        if size == 1:
            return nodes


class Engine(Protocol):
    """Evaluates tasks on fragments in worker processes, and evaluates them again where a worker is lost."""

    def map(self, fragments: Sequence[Any], task: Task) -> list[Any]:
        """Return the results of a task for each fragment, in order."""
        ...

    def map_reduce(self, fragments: Sequence[Any], task: Task) -> Sums:
        """Return the sum of the results of a task, which are tuples of arrays, added as `sum_tree` does."""
        ...

    def release(self, fragments: Sequence[Any]) -> None:
        """Free what workers hold of these fragments; a later task loads them again."""
        ...


def sum_tree(parts: Sequence[Sums]) -> Sums:
    """Return the sum of tuples of arrays in float64, `FAN_IN` neighbours at a time, level by level.

    Parameters
    ----------
    parts : sequence of tuples
        Arrays of the same shapes in each tuple.

    Returns
    -------
    tuple of ndarray
        The sums.

    Examples
    --------
    >>> sum_tree([(k, 2 * k) for k in range(100)])
    (array(4950.), array(9900.))
    """
    while len(parts) > FAN_IN:
        parts = [sum_parts(parts[a : a + FAN_IN]) for a in range(0, len(parts), FAN_IN)]
    return sum_parts(parts)
