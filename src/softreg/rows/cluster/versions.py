"""Versions on the client and the workers of a cluster, on which the numbers of a fit depend."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from softreg.rows.kernels.products import kernels_in_use
from softreg.version import __version__


class ClusterError(RuntimeError):
    """The cluster cannot be used, or was lost; the message names the reason."""


@dataclass(frozen=True)
class Versions:
    """Versions on which the numbers of a fit depend."""

    softreg: str
    python: str
    kernels: str

    @classmethod
    def here(cls) -> Versions:
        """Return the versions of this process."""
        return cls(__version__, ".".join(platform.python_version_tuple()[:2]), kernels_in_use().level or "numpy")

    def check(self, worker: Versions, address: str) -> None:
        """Raise `ClusterError` unless a worker has the same softreg and Python as the client of these versions."""
        if (self.softreg, self.python) != (worker.softreg, worker.python):
            raise ClusterError(
                f"the worker {address} has softreg {worker.softreg} on Python {worker.python}, and the client softreg "
                f"{self.softreg} on Python {self.python}; install the same versions on the client and all workers."
            )
