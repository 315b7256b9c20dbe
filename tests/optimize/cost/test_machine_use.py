"""What binds a fit, and that the sentence says what the figures say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from softreg.optimize import Bottleneck, FitCost, MachineLimits

LIMITS = MachineLimits("a machine", 2, ((1 << 20, 4e10), (1 << 28, 1e10)), 1e11, 5e10, 1e-6)
COST = FitCost(
    seconds=10.0,
    passes_seconds=8.0,
    curvature_seconds=1.0,
    certificate_seconds=0.5,
    processor_seconds=19.0,
    threads=2,
    bytes_read=1e9,
    operations=1e10,
    double_operations=0.0,
    readings=100,
    row_bytes=1 << 28,
)


@pytest.mark.parametrize(
    ("changes", "bottleneck", "says"),
    [
        ({"bytes_read": 8e10}, "memory", "Memory-bound: reading the rows takes 80% of the time at the 10 GB/s"),
        ({"bytes_read": 8e10, "row_bytes": 1000}, "compute", "reading the rows explains only 20%"),  # from the cache
        ({"bytes_read": 1.2e11}, "memory", "takes all of the time"),
        ({"operations": 6e11}, "compute", "the operations take 60% of the time at the full speed of this machine's 2"),
        ({"operations": 3e11, "double_operations": 3e11}, "compute", "take 60% of the time"),
        ({}, "compute", "the cores are busy for 95% of the time, though reading the rows explains only 1%"),
        ({"processor_seconds": 11.0}, "overhead", "on average 1.1 of 2 cores worked"),
        ({"processor_seconds": 4.0}, "waiting", "other processes, or a limit of the container, had the cores"),
        ({"processor_seconds": 4.0, "storage": "disk"}, "waiting", "the fit waited for the disk"),
        ({"threads": 1, "processor_seconds": 9.9}, "compute", "do not show whether more cores would."),
        ({"threads": 1, "processor_seconds": 5.0}, "waiting", "0.5 of 1 core worked"),
        ({"passes_seconds": 2.0}, "overhead", "65% of the time lies outside passes, curvature and proofs"),
        ({"readings": 60_000}, "overhead", "60,000 short sums over the rows; Python, in and between them, takes about"),
        ({"storage": "workers"}, "unknown", "on the workers of a cluster"),
        ({"storage": "device", "bytes_read": 8e10}, "unknown", "on a device"),
    ],
)
def test_the_largest_limit_that_explains_half_of_the_time_binds(
    changes: dict[str, Any], bottleneck: str, says: str
) -> None:
    use = replace(COST, **changes).on_this_machine(LIMITS)
    assert use.bottleneck is Bottleneck(bottleneck)
    assert says in use.sentence
    names = {"memory": "Memory-bound", "compute": "Compute-bound", "overhead": "Overhead-bound", "waiting": "Waiting"}
    assert use.sentence.startswith(names.get(bottleneck, "The rows are"))


def test_shares_are_worked_by_hand() -> None:
    cost = replace(COST, operations=1e11, double_operations=5e10)
    use = cost.on_this_machine(LIMITS)
    assert use.memory == pytest.approx(1e9 / 1e10 / 10)
    assert use.arithmetic == pytest.approx((5e10 / 1e11 + 5e10 / 5e10) / 10)
    assert use.busy == pytest.approx(0.95)
    assert use.overhead == pytest.approx((0.5 + 100 * 150e-6) / 10)
    assert use.limits is LIMITS


def test_a_fit_of_no_time_has_shares() -> None:
    use = replace(
        COST, seconds=0.0, passes_seconds=0.0, curvature_seconds=0.0, certificate_seconds=0.0
    ).on_this_machine(LIMITS)
    assert use.sentence
