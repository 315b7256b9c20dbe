"""Dual coordinate ascent of a stack of models with many classes, one model after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from softreg.optimize.cost.meter import current_meter
from softreg.optimize.dual.coordinate_ascent import (
    FLOAT32_GAP,
    TARGET_SHRINK,
    exceeds_budget,
    has_stalled,
)
from softreg.optimize.many_classes.class_rows import ClassRows
from softreg.optimize.many_classes.dual_codes import CodedIterate, initial_codes
from softreg.optimize.many_classes.dual_gap import DualCertificate, certify_codes
from softreg.optimize.problem.result import Progress, Solution, Status
from softreg.optimize.problem.solver_plan import Plan
from softreg.rows import SparseRows
from softreg.typing import FloatArray

MAX_FAILURES, LEAST_SHRINK = 2, 2.0
"""Certificates that have not shrunk the gap by the second number, after which the next rule goes on."""
FIRST_TARGET = 3.0
"""The estimated gap at which a certificate is tried, as a part of the tolerance: rows that sweeps have left out have
grown parts by then."""


def fit_dual(
    rows: SparseRows,
    n_classes: int,
    strengths: Sequence[float],
    plan: Plan,
    *,
    fit_intercept: bool,
    tol: float,
    max_iter: int,
    seed: int = 0,
    start: tuple[FloatArray, FloatArray] | None = None,
    budgets: Sequence[float] | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> tuple[Solution, ...] | None:
    """Fit each model of a stack by dual coordinate ascent.

    Parameters
    ----------
    rows : SparseRows
        Rows in the user's columns.
    n_classes : int
    strengths : sequence of float
        The l2 strength of each model.
    plan : Plan
        The plan that the solutions carry.
    fit_intercept : bool
    tol : float
        Gap in nats to be certified.
    max_iter : int
        Sweeps at most.
    seed : int
        Seed of the order of the rows.
    start : tuple of ndarray, optional
        Weights (m, d, q) and bias (m, q).
    budgets : sequence of float, optional
        Sweeps that each model may take.
    on_progress : callable, optional
        Called after each sweep.

    Returns
    -------
    tuple of Solution, or None
        None where a class has no row, where the sweeps would exceed the budgets, or where a gap cannot be proved.
    """
    solutions = []
    for j, strength in enumerate(strengths):
        data = ClassRows.of(rows, n_classes, j)
        if not (data.class_mass > 0).all():
            return None
        begin = None if start is None else (start[0][j], start[1][j])
        ascent = _Ascent(tol, max_iter, fit_intercept, np.inf if budgets is None else budgets[j], on_progress)
        iterate = initial_codes(data, strength, _squares(rows), fit_intercept, seed, begin)
        certificate = ascent.run(iterate)
        if certificate is None:
            return None
        solutions.append(_solution(iterate, certificate, ascent, plan, rows.dtype))
    return tuple(solutions)


def _squares(rows: SparseRows) -> FloatArray:
    squares = rows.row_squares()
    if squares is None:  # without compiled kernels
        return np.asarray(rows.X.power(2).sum(axis=1), dtype=np.float32).ravel()
    return squares


class _Ascent:
    """The sweeps of one model until its gap is proved."""

    def __init__(
        self,
        tol: float,
        max_iter: int,
        fit_intercept: bool,
        budget: float,
        on_progress: Callable[[Progress], object] | None,
    ) -> None:
        self.tol, self.max_iter, self.fit_intercept, self.budget = tol, max_iter, fit_intercept, budget
        self.on_progress, self.start_time, self.certificate_passes = on_progress, perf_counter(), 0
        self.history: list[Progress] = []

    def run(self, iterate: CodedIterate) -> DualCertificate | None:
        """Sweep and certify; return None beyond the budget or where the proof fails."""
        target, last, failures = max(self.tol / FIRST_TARGET, FLOAT32_GAP), np.inf, 0
        while True:
            certified = len(iterate.gaps)
            while len(iterate.gaps) == certified or (
                iterate.gaps[-1] > target and not has_stalled(iterate.gaps[certified:])
            ):
                if len(iterate.gaps) >= self.max_iter:
                    break
                iterate.sweep()
                self._report(iterate, np.nan, iterate.gaps[-1])
                if self._exceeds_budget(iterate, target, certified):
                    return None
            certificate = self._certify(iterate)
            self._report(iterate, certificate.value, certificate.gap)
            failures += not certificate.gap <= last / LEAST_SHRINK
            if certificate.gap <= self.tol or len(iterate.gaps) >= self.max_iter:
                return certificate
            if failures >= MAX_FAILURES:
                return None
            target, last = target / TARGET_SHRINK, certificate.gap

    def _exceeds_budget(self, iterate: CodedIterate, target: float, certified: int) -> bool:
        """Return whether to give up; a certificate moves the bias, so that the rate of gaps across it means nothing."""
        most = self.budget * iterate.rows.n
        if certified:
            return not np.isfinite(iterate.gaps[-1]) or iterate.visits > most
        return exceeds_budget(iterate, most, target)

    def _certify(self, iterate: CodedIterate) -> DualCertificate:
        with current_meter().certificate():
            certificate = certify_codes(iterate, self.tol, self.fit_intercept)
        self.certificate_passes += certificate.passes
        return certificate

    def passes(self, iterate: CodedIterate) -> int:
        """Return the passes over the rows so far."""
        return self.certificate_passes + round(iterate.visits / max(1, iterate.rows.n))

    def _report(self, iterate: CodedIterate, value: float, gap: float) -> None:
        now = Progress(self.passes(iterate), value, gap, perf_counter() - self.start_time, iterate.visits)
        if np.isfinite(value):  # between certificates only the gap is estimated
            self.history.append(now)
        if self.on_progress is not None:
            self.on_progress(now)


def _solution(
    iterate: CodedIterate, certificate: DualCertificate, ascent: _Ascent, plan: Plan, dtype: np.dtype
) -> Solution:
    """Return the solution; its weights are of the precision of the rows."""
    W, bias = iterate.take_weights()
    return Solution(
        W=np.array(W, dtype=dtype, order="C"),
        b=bias - (bias.mean() if ascent.fit_intercept else 0.0),
        value=certificate.value,
        gap=certificate.gap,
        bound="duality",
        status=Status.CONVERGED if certificate.gap <= ascent.tol else Status.STOPPED,
        passes=ascent.passes(iterate),
        n_iter=len(iterate.gaps),
        history=tuple(ascent.history),
        plan=plan,
    )
