"""Threads over blocks of rows, with sums in an order that does not depend on the number of threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from typing import Any, NoReturn, TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")

_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def thread_count() -> int:
    """Return the number of threads that sums over rows use.

    It is `SOFTREG_NUM_THREADS`, else `OMP_NUM_THREADS`, else the number of cores available to the process. Tools that
    start many processes, such as joblib, set `OMP_NUM_THREADS` in each.

    Returns
    -------
    int

    Examples
    --------
    >>> thread_count() >= 1
    True
    """
    for name in ("SOFTREG_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(name, "").split(",")[0].strip()
        if text.isdigit() and int(text) > 0:
            return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _blas() -> ThreadpoolController:
    """Return the controller of the BLAS libraries alone: fewer libraries are asked for their threads in each fit."""
    return ThreadpoolController().select(user_api="blas")


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context in which each matrix product runs in the thread that calls it.

    The parallelism is over blocks of rows instead: BLAS libraries split a product by the number of their threads, and
    the last bits of the result depend on the split. The limit belongs to the process and is lifted by the thread that
    set it: of fits that overlap in several Python threads, those that outlast the first may lose it.

    Returns
    -------
    context manager

    Examples
    --------
    >>> with one_blas_thread():
    ...     pass
    """
    blas = _blas()
    if all(library.num_threads == 1 for library in blas.lib_controllers):
        return nullcontext()
    return blas.limit(limits=1, user_api="blas")  # type: ignore[no-any-return]


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Return `work(item)` for each item, in the order of the items, computed by `thread_count()` threads.

    The calling thread is one of them, since a thread that only waits would compete with those that compute.

    Parameters
    ----------
    work : callable
    items : iterable

    Returns
    -------
    iterator
        The results; an exception of `work` is raised when its item is reached.

    Examples
    --------
    >>> list(in_order(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    todo = list(items)
    threads = min(thread_count(), len(todo)) if len(todo) > 1 else 1
    return map(work, todo) if threads <= 1 else _shared(work, todo, threads)


def _shared(work: Callable[[Item], Result], items: list[Item], threads: int) -> Iterator[Result]:
    """Yield the results of `in_order` with two or more threads; each takes the next item until none is left."""
    todo = deque(enumerate(items))
    done: dict[int, Callable[[], Result]] = {}

    def take_one() -> bool:
        try:
            place, item = todo.popleft()
        except IndexError:
            return False
        done[place] = _outcome(work, item)
        return True

    def take_all() -> None:
        while take_one():
            pass

    helpers = [_threads(thread_count()).submit(take_all) for _ in range(threads - 1)]
    given, busy = 0, True
    try:
        while busy:
            busy = take_one()
            if not busy:
                wait([helper for helper in helpers if not helper.cancel()])  # cancels those that have not started
            while given in done:
                yield done.pop(given)()
                given += 1
    finally:  # after an error, or if the caller stops early, no more items are taken
        todo.clear()
        wait(helpers)


def _outcome(work: Callable[[Item], Result], item: Item) -> Callable[[], Result]:
    """Return a function that returns or raises what `work(item)` does, in any thread."""
    try:
        result = work(item)
    except BaseException as error:  # raised in the calling thread, in the order of the items
        return partial(_raise, error)
    return lambda: result


def _raise(error: BaseException) -> NoReturn:
    raise error


def _threads(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    if _pool is None or _pool_size != size:
        if _pool is not None:
            _pool.shutdown(wait=False)
        _pool, _pool_size = ThreadPoolExecutor(size, thread_name_prefix="softreg"), size
    return _pool


def _reset_pool() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_reset_pool)
