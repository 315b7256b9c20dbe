"""What a machine's memory and cores can do: measured once, and kept in a file in the user's cache folder.

Nothing is measured unless it is asked for. The limits are those that NumPy reaches with as many threads as a fit uses,
not those of a data sheet, and those of free cores: other processes do not lower them.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from time import get_clock_info, perf_counter, process_time
from typing import Any

import numpy as np

from softreg.atomic_files import atomic_path
from softreg.rows import in_order, one_blas_thread, thread_count
from softreg.typing import Array
from softreg.version import __version__

FILE = "machine-limits.json"
SIZES = tuple(1 << power for power in (20, 22, 24, 26, 28))
"""Bytes of the arrays whose reading is timed: small ones are read from caches, large ones from memory."""
READ_BYTES = 1 << 26
"""Bytes that a timing of reads reads at least, by reading small arrays several times."""
PRODUCT_SIZE = 640
"""Rows and columns of the matrices whose product is timed."""
SHORTEST = 1e-9
"""Smallest time in seconds that is divided by: the resolution of clocks."""
FINE_CLOCK = 1e-4
"""Resolution in seconds from which the clock of processor time is too coarse, as on Windows."""
REPEATS = 3
"""Timings, of which the fastest counts: the others were disturbed."""
DOUBLE = 8
"""Bytes of a number in float64."""
SMALL_NUMBERS, SMALL_REPEATS = 16, 2000
"""Size of an array in whose operations Python takes all the time, and how many are timed."""


@dataclass(frozen=True)
class MachineLimits:
    """What a machine's memory and cores can do.

    Attributes
    ----------
    processor : str
        Its name.
    threads : int
        Threads with which was measured.
    read_rates : tuple of (int, float)
        Sizes of arrays in bytes, increasing, and the bytes a second at which one of that size is read.
    single_rate, double_rate : float
        Floating-point operations a second of matrix products in float32 and float64.
    small_operation : float
        Seconds of a NumPy operation on a few numbers, which is the time of Python.

    Examples
    --------
    >>> limits = MachineLimits("a machine", 2, ((1 << 20, 4e10), (1 << 28, 1e10)), 1e11, 5e10, 1e-6)
    >>> limits.read_rate(1000), limits.read_rate(1 << 24), limits.read_rate(1 << 40)
    (40000000000.0, 20000000000.0, 10000000000.0)
    """

    processor: str
    threads: int
    read_rates: tuple[tuple[int, float], ...]
    single_rate: float
    double_rate: float
    small_operation: float

    def read_rate(self, size: float) -> float:
        """Return the bytes a second at which an array of this size is read again and again."""
        sizes, rates = zip(*self.read_rates, strict=True)
        return float(np.exp(np.interp(np.log(max(size, 1.0)), np.log(sizes), np.log(rates))).round())


def machine_limits(*, measure_again: bool = False) -> MachineLimits:
    """Return the limits of this machine, from the user's cache file or measured, which takes about a second.

    Parameters
    ----------
    measure_again : bool
        Measure even if the file holds the limits.

    Returns
    -------
    MachineLimits

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from unittest.mock import patch
    >>> with patch.dict(os.environ, XDG_CACHE_HOME=mkdtemp()):
    ...     limits = machine_limits()
    ...     limits == machine_limits(), limits.single_rate > 0
    (True, True)
    """
    path = cache_file()
    if not measure_again:
        kept = _read(path).get(_key(thread_count()))
        known = None if kept is None else _from_json(kept)
        if known is not None:
            return known
    limits = measure()
    _write(path, limits)
    return limits


def cache_file() -> Path | None:
    """Return the file that holds the limits of machines; None where the user has no folder for it.

    It is `softreg/machine-limits.json` in `XDG_CACHE_HOME`, or else in the cache folder of the operating system.

    Returns
    -------
    Path or None

    Examples
    --------
    >>> cache_file().name
    'machine-limits.json'
    """
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(chosen):  # others are to be ignored, says the XDG Base Directory Specification
        return Path(chosen) / "softreg" / FILE
    if sys.platform == "win32":
        folder = os.environ.get("LOCALAPPDATA", "")
        return Path(folder) / "softreg" / "Cache" / FILE if folder else None
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "softreg" / FILE


def measure() -> MachineLimits:
    """Measure the limits of this machine with as many threads as sums over rows use.

    Returns
    -------
    MachineLimits
    """
    threads = thread_count()
    with one_blas_thread():
        return MachineLimits(
            processor=processor_name(),
            threads=threads,
            read_rates=_read_rates(threads),
            single_rate=_product_rate(np.dtype(np.float32), threads),
            double_rate=_product_rate(np.dtype(np.float64), threads),
            small_operation=_small_operation(),
        )


def processor_name() -> str:
    """Return the name of the processor, or of its architecture where it has none."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine() or "unknown"


# --- measurements ---------------------------------------------------------------------------------------------------


def _fastest(work: Callable[[], Any], threads: int = 1) -> float:
    """Return the seconds of the fastest of a few runs on that many free cores, after one that does not count.

    They are the processor time of each thread: on the clock, other processes that use the cores would count as well.

    Returns
    -------
    float
        Seconds.
    """
    work()
    seconds = []
    for _ in range(REPEATS):
        start, processor_start = perf_counter(), process_time()
        work()
        elapsed, processor = perf_counter() - start, process_time() - processor_start
        fine = get_clock_info("process_time").resolution < FINE_CLOCK
        seconds.append(processor / threads if fine else elapsed)
    return max(min(seconds), SHORTEST)


def _read_rates(threads: int) -> tuple[tuple[int, float], ...]:
    """Return bytes a second of reading arrays of each size, each thread its part."""
    whole = np.ones(SIZES[-1] // DOUBLE)
    rates = []
    for size in SIZES:
        parts = np.array_split(whole[: size // DOUBLE], threads)
        times = max(1, READ_BYTES // size)
        rates.append((size, size * times / _fastest(partial(_read_parts, parts, times), threads)))
    return tuple(rates)


def _read_parts(parts: list[Array], times: int) -> None:
    """Read the arrays so many times, each in a thread of its own."""
    list(in_order(partial(_read_part, times), parts))


def _read_part(times: int, part: Array) -> None:
    for _ in range(times):
        np.dot(part, part)  # one instruction of arithmetic a number: the reading takes the time


def _product_rate(dtype: np.dtype[Any], threads: int) -> float:
    """Return operations a second of matrix products, one in each thread."""
    A = np.ones((PRODUCT_SIZE, PRODUCT_SIZE), dtype)
    outs = [np.empty_like(A) for _ in range(threads)]

    def product(out: Array) -> None:
        np.dot(A, A, out=out)

    return 2.0 * PRODUCT_SIZE**3 * threads / _fastest(lambda: list(in_order(product, outs)), threads)


def _small_operation() -> float:
    """Return the seconds of a NumPy operation on a few numbers."""
    x = np.ones(SMALL_NUMBERS)

    def many() -> None:
        for _ in range(SMALL_REPEATS):
            np.add(x, x)

    return _fastest(many) / SMALL_REPEATS


# --- the file -------------------------------------------------------------------------------------------------------


def _key(threads: int) -> str:
    return f"{processor_name()}, {threads} threads, softreg {__version__}"


def _read(path: Path | None) -> dict[str, Any]:
    """Return the limits in the file by key; none where it is absent or damaged."""
    if path is None:
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _from_json(stored: Any) -> MachineLimits | None:
    """Return the limits, or None where they are not what `_write` writes."""
    try:
        limits = MachineLimits(
            processor=str(stored["processor"]),
            threads=int(stored["threads"]),
            read_rates=tuple((int(size), float(rate)) for size, rate in stored["read_rates"]),
            single_rate=float(stored["single_rate"]),
            double_rate=float(stored["double_rate"]),
            small_operation=float(stored["small_operation"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    sizes = [size for size, _ in limits.read_rates]
    numbers = [rate for _, rate in limits.read_rates]
    numbers += [limits.single_rate, limits.double_rate, limits.small_operation, *sizes, limits.threads]
    usable = bool(sizes) and sizes == sorted(set(sizes)) and all(isfinite(n) and n > 0 for n in numbers)
    return limits if usable else None


def _write(path: Path | None, limits: MachineLimits) -> None:
    """Add the limits to the file; a file that cannot be written only means that they are measured again."""
    if path is None:
        return
    stored = {**_read(path), _key(limits.threads): asdict(limits)}
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as draft:
            draft.write_text(json.dumps(stored, indent=1), encoding="utf-8")
