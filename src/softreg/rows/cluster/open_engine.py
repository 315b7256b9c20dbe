"""An engine of worker processes from the text of an option: processes of this machine, or a Dask cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from softreg.rows.cluster.dask_engine import DaskEngine
from softreg.rows.cluster.engine import Engine
from softreg.rows.cluster.local_processes import LocalProcesses
from softreg.rows.parallel import thread_count

CONNECT_SECONDS = 10
"""Seconds in which a scheduler has to answer."""
LOCAL = re.compile(r"local(?::([1-9]\d{0,3}))?")
"""Processes of this machine: one a core, or the given number."""
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+")
"""Address of a Dask scheduler."""
EXPECTED = "expected local, local:4 (four processes) or the address of a Dask scheduler such as tcp://host:8786"
"""What the text may be, for messages."""


class EngineError(ValueError):
    """There are no workers under the given address.

    Examples
    --------
    >>> issubclass(EngineError, ValueError)
    True
    """


@contextmanager
def open_engine(text: str) -> Iterator[Engine]:
    """Open the engine that a text names, and close its processes or its connection at the end.

    Parameters
    ----------
    text : str
        `local` for one worker process a core of this machine, `local:N` for N of them, or the address of the scheduler
        of a Dask cluster, `tcp://host:port` or `tls://host:port`, whose workers have softreg installed.

    Yields
    ------
    Engine
        The engine.

    Raises
    ------
    EngineError
        If the text is none of these, Dask is not installed, or the scheduler does not answer.

    Examples
    --------
    >>> with open_engine("local:1") as engine:
    ...     engine.map([], None)
    []
    """
    local = LOCAL.fullmatch(text.strip())
    if local is not None:
        with LocalProcesses(int(local[1]) if local[1] else thread_count()) as processes:
            yield processes
        return
    with _dask_engine(text.strip()) as engine:
        yield engine


@contextmanager
def _dask_engine(address: str) -> Iterator[DaskEngine]:
    """Open the engine of the Dask scheduler at an address."""
    if ADDRESS.fullmatch(address) is None:
        raise EngineError(f"the cluster {address!r} is not known: {EXPECTED}.")
    try:
        from distributed import Client
    except ImportError:
        raise EngineError(
            f"the cluster {address!r} needs Dask, which is not installed: pip install 'softreg[dask]'. Without it, "
            "local:4 uses four processes of this machine."
        ) from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise EngineError(f"no Dask scheduler answers at {address!r} ({reason}): {EXPECTED}.") from None
    with client:
        yield DaskEngine(client)
