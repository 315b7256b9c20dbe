"""Reading of batches ahead in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

PREFETCH_DEPTH = 2
"""Batches read in advance."""


def prefetch(source: Callable[[], Iterator[Any]], depth: int = PREFETCH_DEPTH) -> Iterator[Any]:
    """Yield the items of an iterator, of which a thread computes up to `depth` in advance.

    Parameters
    ----------
    source : callable
        Returns the iterator.
    depth : int, default=PREFETCH_DEPTH
        Largest number of items computed in advance.

    Yields
    ------
    item
        Items in order; an exception of the thread is raised here.

    Examples
    --------
    >>> list(prefetch(lambda: iter("abc")))
    ['a', 'b', 'c']
    """
    items: queue.Queue[tuple[str, Any]] = queue.Queue(depth)
    stopped = threading.Event()

    def put(kind: str, item: Any) -> bool:
        while not stopped.is_set():
            try:
                items.put((kind, item), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in source():
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # raised in the consuming thread
            put("error", error)

    thread = threading.Thread(target=work, name="softreg-reader", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = items.get()
            if kind == "end":
                return
            if kind == "error":
                raise item
            yield item
    finally:
        stopped.set()
