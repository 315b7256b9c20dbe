"""Threads over blocks of rows: the order of the sums is fixed, so the answer does not know how many there are."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any, NoReturn, TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")

_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def thread_count() -> int:
    """How many threads a sum over rows uses: `SOFTREG_NUM_THREADS`, else `OMP_NUM_THREADS`, else the cores at hand.

    Tools that start many processes (joblib among them) set `OMP_NUM_THREADS` in each, so they are respected.

    Example:
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
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Within this context each matrix product runs in the thread that asks for it.

    The parallelism is over blocks of rows instead: BLAS libraries split a product by the number of their threads,
    and the last bits of the result with it. The limit belongs to the process and is lifted by the thread that set it:
    of fits that overlap in several Python threads, those that outlast the first may lose it.
    """
    return _controller().limit(limits=1, user_api="blas")  # type: ignore[no-any-return]


def in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `work(item)` for each item, in the order of the items, computed by `thread_count()` threads.

    The thread that asks is one of them: one that only waited would take turns with those that compute.
    """
    todo = list(items)
    threads = min(thread_count(), len(todo)) if len(todo) > 1 else 1  # one item: nobody asks the environment
    return map(work, todo) if threads <= 1 else _shared(work, todo, threads)


def _shared(work: Callable[[Item], Result], items: list[Item], threads: int) -> Iterator[Result]:
    """`in_order` for two threads or more: each takes the next item until none is left."""
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
                wait([helper for helper in helpers if not helper.cancel()])  # who has not begun is not needed any more
            while given in done:
                yield done.pop(given)()
                given += 1
    finally:  # after an error, or when nobody asks for the rest, no more items are taken
        todo.clear()
        wait(helpers)


def _outcome(work: Callable[[Item], Result], item: Item) -> Callable[[], Result]:
    """A function that returns or raises what `work(item)` does, whoever calls it."""
    try:
        result = work(item)
    except BaseException as error:  # it belongs to the thread that asks for the results, in their order
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


def _forget_pool() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads: waiting for them would hang
    os.register_at_fork(after_in_child=_forget_pool)
