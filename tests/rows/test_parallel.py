"""Threads over a list of things to do."""

from __future__ import annotations

import threading
import time

import pytest

from softreg.rows import in_order


@pytest.fixture(autouse=True, params=["1", "2", "5"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("SOFTREG_NUM_THREADS", request.param)
    return int(request.param)


def slowly(x: int) -> int:
    time.sleep(0.002 * (x % 3))
    return x * x


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(in_order(slowly, range(30))) == [x * x for x in range(30)]
    assert list(in_order(slowly, [])) == []
    assert list(in_order(slowly, iter([7]))) == [49]


def test_several_threads_work_and_the_one_that_asks_is_among_them(threads: int) -> None:
    seen: set[str] = set()

    def note(_: int) -> None:
        seen.add(threading.current_thread().name)
        time.sleep(0.005)

    list(in_order(note, range(20)))
    assert threading.current_thread().name in seen
    assert len(seen) == threads


def test_the_first_error_in_the_order_of_the_items_is_raised() -> None:
    def fail(x: int) -> int:
        if x >= 3:
            time.sleep(0.01 if x == 3 else 0)
            raise ZeroDivisionError(str(x))
        return x

    results = in_order(fail, range(40))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError, match=r"^3$"):
        next(results)


def test_who_stops_asking_stops_the_work(threads: int) -> None:
    begun: list[int] = []

    def note(x: int) -> int:
        begun.append(x)
        time.sleep(0.002)
        return x

    results = iter(in_order(note, range(1000)))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    if threads > 1:
        results.close()  # type: ignore[attr-defined]
    count = len(begun)
    assert count < 100
    time.sleep(0.02)
    assert len(begun) == count


def test_work_may_share_work_of_its_own() -> None:
    done = list(in_order(lambda x: sum(in_order(slowly, range(x))), range(12)))
    assert done == [sum(y * y for y in range(x)) for x in range(12)]
