"""The record of what a fit costs."""

from __future__ import annotations

from dataclasses import dataclass

from softreg.optimize.cost.machine_limits import MachineLimits, machine_limits
from softreg.optimize.cost.machine_use import MachineUse, Work, machine_use


@dataclass(frozen=True)
class FitCost:
    """What a fit costs; of a stack of models, all of them together.

    The seconds are those on a clock, and the four parts sum to `seconds`. Work is counted from the sizes of the arrays
    and of the sums over the rows, not by the processor: `bytes_read` are the bytes of the stored rows, once for each
    sum that reads them, without labels, kept logits and weights; `operations` are additions and multiplications of
    products with the rows, of Hessians and of their factorizations (a symmetric product counts half), without
    exponentials and the arithmetic of vectors. Both are the least that the fit must do.

    Attributes
    ----------
    seconds : float
        Duration of the fit, from the standardization of the columns to the certificate.
    passes_seconds : float
        In sums over the rows: values and gradients, and the statistics of the columns.
    curvature_seconds : float
        In search directions: Hessians (a pass that gives one belongs here), preconditioners, linear systems.
    certificate_seconds : float
        In proofs of the gap, with the passes that they need.
    processor_seconds : float
        Processor time of the process during the fit, all threads together.
    threads : int
        Threads that sums over rows use.
    bytes_read : float
        Bytes of the stored rows that were read, from memory or disk.
    operations : float
        Floating-point operations.
    double_operations : float
        Those of them in float64.
    readings : int
        Sums over the rows, among them those of kept logits alone.
    row_bytes : int
        Bytes of one reading of all rows.
    storage : str
        Where the rows are: "memory", "disk", "workers" (of a cluster) or "device" (a GPU).
    models : int
        Models of the stack, which were fitted together.

    Examples
    --------
    >>> import numpy as np
    >>> from softreg import SoftmaxRegression
    >>> X, y = np.arange(20.0).reshape(10, 2) % 7, np.arange(10) % 2
    >>> cost = SoftmaxRegression(0.1).fit(X, y).solution_.cost
    >>> cost.row_bytes, cost.storage, cost.bytes_read >= 2 * cost.row_bytes
    (160, 'memory', True)
    """

    seconds: float
    passes_seconds: float
    curvature_seconds: float
    certificate_seconds: float
    processor_seconds: float
    threads: int
    bytes_read: float
    operations: float
    double_operations: float
    readings: int
    row_bytes: int
    storage: str = "memory"
    models: int = 1

    @property
    def other_seconds(self) -> float:
        """Seconds outside passes, curvature and certificates: steps of the solver, copies, Python."""
        known = self.passes_seconds + self.curvature_seconds + self.certificate_seconds
        return max(0.0, self.seconds - known)

    def on_this_machine(self, limits: MachineLimits | None = None, *, measure_again: bool = False) -> MachineUse:
        """Return how much of the fit's time the limits of this machine explain.

        The limits are measured once, in about a second, and kept in a file in the user's cache folder.

        Parameters
        ----------
        limits : MachineLimits, optional
            Limits to compare with, such as those of another machine.
        measure_again : bool
            Measure the limits even if they are kept.

        Returns
        -------
        MachineUse
            Shares of the seconds, what binds the fit, and a sentence that says so.

        Examples
        --------
        >>> from softreg.optimize.cost.machine_limits import MachineLimits
        >>> limits = MachineLimits("a machine", 2, ((1 << 30, 1e10),), 1e11, 5e10, 1e-6)
        >>> cost = FitCost(1.0, 0.9, 0.0, 0.05, 1.9, 2, 8e9, 4e9, 4e9, 100, 80_000_000)
        >>> cost.on_this_machine(limits).bottleneck.value
        'memory'
        """
        if limits is None:
            limits = machine_limits(measure_again=measure_again)
        work = Work(
            seconds=self.seconds,
            other_seconds=self.other_seconds,
            processor_seconds=self.processor_seconds,
            threads=self.threads,
            bytes_read=self.bytes_read,
            single_operations=self.operations - self.double_operations,
            double_operations=self.double_operations,
            readings=self.readings,
            row_bytes=self.row_bytes,
            storage=self.storage,
        )
        return machine_use(work, limits)
