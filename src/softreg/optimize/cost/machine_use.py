"""How much of a fit's time the limits of a machine explain, and the sentence that says so.

Three lower bounds of the time are compared with the time on the clock:

    memory      bytes read / bytes a second that a matrix of this size is read with
    arithmetic  operations / operations a second of matrix products, in either precision
    overhead    the steps outside passes, curvature and proofs, and the start of each sum over the rows in Python

Where one explains half of the time or more, it binds the fit. Otherwise the processor time decides: cores that are busy
for most of the time compute what is not counted (exponentials, short products, accesses out of order), and would be
relieved by more or faster ones; cores that are idle wait for steps that use one core. A fit always has one thread at
work, so one that had less than a core waited for the disk or for other processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from softreg.optimize.cost.machine_limits import SHORTEST, MachineLimits

BINDS = 0.5
"""Share of the time from which a limit binds the fit."""
BUSY = 0.75
"""Share of the cores' time from which they count as busy. Of two cores, one at work alone is a half."""
SMALL_OPERATIONS = 150
"""A sum over the rows costs about as much in Python as so many NumPy operations on a few numbers, with the step of the
solver that it belongs to (measured on 30 rows x 2 columns: 170 to 390)."""
ALONE = 0.8
"""Cores that work on average, below which the fit waited: one of its threads always has work."""
ALL = 0.995
"""Share that is written as "all": measured limits vary, and the least time of one may exceed the time of the fit."""
GIGA, MILLI = 1e9, 1e3


class Bottleneck(StrEnum):
    """What binds a fit."""

    MEMORY = "memory"
    """Reading the rows takes at least half of the time."""
    COMPUTE = "compute"
    """Arithmetic takes at least half of the time, or the cores are busy with what is not counted."""
    OVERHEAD = "overhead"
    """Python, or steps that use one core, take most of the time."""
    WAITING = "waiting"
    """The fit had less than one core on average: other processes had the cores, or it waited for the disk."""
    UNKNOWN = "unknown"
    """The rows are on another machine or on a device, whose limits are not measured."""


@dataclass(frozen=True)
class Work:
    """What a fit did, as `FitCost` has it."""

    seconds: float
    other_seconds: float
    processor_seconds: float
    threads: int
    bytes_read: float
    single_operations: float
    double_operations: float
    readings: int
    row_bytes: int
    storage: str


@dataclass(frozen=True)
class MachineUse:
    """How much of a fit's time the limits of a machine explain.

    Each share is a part of the seconds on the clock, of the whole fit. The shares are of different limits that act at
    the same time, so they do not sum to 1; measured limits vary, so one may exceed 1 by a little.

    Attributes
    ----------
    memory : float
        Least time to read the bytes at the machine's rate.
    arithmetic : float
        Least time for the operations at the machine's rate.
    overhead : float
        Time outside passes, curvature and proofs, and of Python in each sum over the rows.
    busy : float
        Processor time as a share of the time of all threads.
    bottleneck : Bottleneck
        What binds the fit.
    sentence : str
        The same in words, with what would help.
    limits : MachineLimits
        The limits compared with.

    Examples
    --------
    >>> limits = MachineLimits("a machine", 2, ((1 << 30, 1e10),), 1e11, 5e10, 1e-6)
    >>> work = Work(1.0, 0.1, 1.9, 2, 1e9, 0.0, 4e10, 100, 10_000_000, "memory")
    >>> use = machine_use(work, limits)
    >>> use.bottleneck.value, round(use.memory, 2), round(use.arithmetic, 2)
    ('compute', 0.1, 0.8)
    """

    memory: float
    arithmetic: float
    overhead: float
    busy: float
    bottleneck: Bottleneck
    sentence: str
    limits: MachineLimits

    @property
    def is_known(self) -> bool:
        """Whether the rows are on this machine, so that its limits apply."""
        return self.bottleneck is not Bottleneck.UNKNOWN


def machine_use(work: Work, limits: MachineLimits) -> MachineUse:
    """Return how much of the time of a fit these limits explain.

    Parameters
    ----------
    work : Work
        What the fit did.
    limits : MachineLimits
        What the machine can do.

    Returns
    -------
    MachineUse
    """
    seconds = max(work.seconds, SHORTEST)
    arithmetic = work.single_operations / limits.single_rate + work.double_operations / limits.double_rate
    starts = min(work.readings * SMALL_OPERATIONS * limits.small_operation, seconds - work.other_seconds)
    memory, arithmetic = work.bytes_read / limits.read_rate(work.row_bytes) / seconds, arithmetic / seconds
    overhead, busy = (work.other_seconds + starts) / seconds, work.processor_seconds / seconds / work.threads
    shares = {Bottleneck.MEMORY: memory, Bottleneck.COMPUTE: arithmetic, Bottleneck.OVERHEAD: overhead}
    bound = max(shares, key=lambda name: shares[name])
    if work.storage in ("workers", "device"):
        bound, sentence = Bottleneck.UNKNOWN, _elsewhere(work)
    elif shares[bound] >= BINDS:
        sentence = {Bottleneck.MEMORY: _memory, Bottleneck.COMPUTE: _compute, Bottleneck.OVERHEAD: _overhead}[bound](
            work, limits, shares[bound], starts / seconds
        )
    else:
        bound = Bottleneck.COMPUTE if busy >= BUSY else Bottleneck.OVERHEAD
        bound = bound if busy * work.threads >= ALONE else Bottleneck.WAITING
        describe = {Bottleneck.COMPUTE: _busy, Bottleneck.OVERHEAD: _idle, Bottleneck.WAITING: _waiting}[bound]
        sentence = describe(work, memory, arithmetic, busy)
    return MachineUse(memory, arithmetic, overhead, busy, bound, sentence, limits)


def _memory(work: Work, limits: MachineLimits, share: float, starts: float) -> str:
    rate = limits.read_rate(work.row_bytes) / GIGA
    return (
        f"Memory-bound: reading the rows takes {_percent(share)} of the time at the {rate:.3g} GB/s at which this "
        "machine reads arrays of their size. A machine that reads memory faster would help; faster arithmetic would "
        "not."
    )


def _compute(work: Work, limits: MachineLimits, share: float, starts: float) -> str:
    return (
        f"Compute-bound: the operations take {_percent(share)} of the time at the full speed of this machine's "
        f"{_threads(limits.threads)}. {_cores(work)}"
    )


def _overhead(work: Work, limits: MachineLimits, share: float, starts: float) -> str:
    outside = share - starts
    if outside < BINDS:
        return (
            f"Overhead-bound: the fit takes {_duration(work.seconds)} with {work.readings:,} short sums over the rows; "
            f"Python, in and between them, takes about {_percent(share)} of the time. A bigger machine would not help."
        )
    return (
        f"Overhead-bound: {_percent(outside)} of the time lies outside passes, curvature and proofs, in steps that "
        "mostly use one core. A faster core would help; more cores would help little."
    )


def _busy(work: Work, memory: float, arithmetic: float, busy: float) -> str:
    return (
        f"Compute-bound: the cores are busy for {_percent(busy)} of the time, though reading the rows explains only "
        f"{_percent(memory)} of it and the counted operations {_percent(arithmetic)}; exponentials, short products and "
        f"scattered accesses take the rest. {_cores(work)}"
    )


def _idle(work: Work, memory: float, arithmetic: float, busy: float) -> str:
    return (
        f"Overhead-bound: {_explained(work, memory, arithmetic, busy)}; steps that use one core take much of the rest. "
        "A faster core would help; more cores would help little."
    )


def _waiting(work: Work, memory: float, arithmetic: float, busy: float) -> str:
    if work.storage == "disk":
        cause, helps = "the fit waited for the disk, or for other processes", "A faster disk or more memory would help."
    else:
        cause = "the fit waited: other processes, or a limit of the container, had the cores"
        helps = "Fit again on an idle machine to see what binds it."
    return f"Waiting: {_explained(work, memory, arithmetic, busy)}. For the rest {cause}. {helps}"


def _explained(work: Work, memory: float, arithmetic: float, busy: float) -> str:
    return (
        f"on average {busy * work.threads:.1f} of {_threads(work.threads)} worked; reading the rows explains "
        f"{_percent(memory)} of the time, the counted operations {_percent(arithmetic)}"
    )


def _elsewhere(work: Work) -> str:
    where = "on the workers of a cluster" if work.storage == "workers" else "on a device"
    return f"The rows are {where}, whose limits are not measured here, so what binds the fit is unknown."


def _cores(work: Work) -> str:
    """Return what would help a fit whose cores are busy."""
    if work.threads == 1:
        return "A faster core would help; with one thread the figures do not show whether more cores would."
    return "More or faster cores would help."


def _percent(share: float) -> str:
    """Return a share in whole percent; "all" where a measured limit explains everything."""
    return "all" if share >= ALL else f"{share:.0%}"


def _threads(threads: int) -> str:
    return "1 core" if threads == 1 else f"{threads} cores"


def _duration(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 1 else f"{seconds * MILLI:.2g} ms"
