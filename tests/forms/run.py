"""Runs properties on generated cases: a few with a fixed seed, or as many as an hour allows with random ones.

With the environment variable SOFTREG_FORMS_SECONDS=3600, `python -m pytest tests/tables/test_forms.py
tests/models/test_array_forms.py -s -k hour` runs the properties of tables for three quarters of an hour and those of
arrays for one, and prints how many cases were compared and each failure with its smallest example.
"""

from __future__ import annotations

import os
import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("SOFTREG_FORMS_SECONDS", "0"))
COMPARED: Counter[str] = Counter()
MOST_FAILURES = 2
"""Different failures of a property after which an hour goes on without it."""
ROUND = 20
"""Examples of a property before the next one has its turn."""

Property = tuple[str, Callable[[Any], None], st.SearchStrategy[Any]]


def check(property_: Callable[[Any], None], cases: st.SearchStrategy[Any], examples: int) -> None:
    """Run a property on so many cases, the same ones at each call."""
    _run(property_, cases, examples, derandomize=True)


def _run(property_: Callable[[Any], None], cases: st.SearchStrategy[Any], examples: int, **how: Any) -> None:
    phases = (Phase.generate, Phase.shrink)
    quiet = [
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.large_base_example,
    ]
    options = settings(
        max_examples=examples, deadline=None, database=None, phases=phases, suppress_health_check=quiet, **how
    )

    def test(case: Any) -> None:
        property_(case)

    options(given(cases)(test))()


def hour(properties: Sequence[Property], seconds: float) -> list[str]:
    """Run all properties in turn with random seeds; prints what was compared, returns the failures."""
    end, failures, rounds = time.monotonic() + seconds, dict[tuple[str, str], str](), 0
    while time.monotonic() < end:
        for name, property_, cases in properties:
            if time.monotonic() > end or sum(known == name for known, _ in failures) >= MOST_FAILURES:
                continue
            drawn = random.SystemRandom().randrange(2**32)
            try:
                _seeded(property_, cases, drawn)
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                place = f"{type(error).__name__} in {last.name}"
                if (name, place) not in failures:
                    failures[name, place] = f"{name} (seed {drawn}): {_told(error)}"
                    print(f"\n--- {failures[name, place]}", flush=True)
        rounds += 1
    print(f"\n{sum(COMPARED.values()):,} cases compared in {rounds:,} rounds, {len(failures)} different failures")
    for name, count in sorted(COMPARED.items()):
        print(f"  {count:8,}  {name}")
    return list(failures.values())


def _seeded(property_: Callable[[Any], None], cases: st.SearchStrategy[Any], drawn: int) -> None:
    phases = (Phase.generate, Phase.shrink)
    options = settings(
        max_examples=ROUND, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck)
    )

    def test(case: Any) -> None:
        property_(case)

    seed(drawn)(options(given(cases)(test)))()


def _told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error, limit=-3))
