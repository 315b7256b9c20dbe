"""Fits of thousands of classes take far less memory than an array with a number for every row and class."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from softreg.rows.kernels import products as kernels

MEASURED = """
    import numpy as np
    import scipy.sparse as sp

    from softreg.optimize import l2, minimise
    from softreg.rows import as_rows


    def resident(name):
        return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1024


    def fit(X, y, q, solver, max_iter=1000):
        minimise(as_rows(X[:300], y[:300] % 3), 3, l2(1.0), solver=solver)  # imports and small buffers
        before = resident("VmRSS")
        (found,) = minimise(as_rows(X, y), q, l2(1e-3), solver=solver, tol=1e-3, max_iter=max_iter)
        print(found.plan.name, found.gap, resident("VmHWM") - before)
"""


def measured(code: str) -> tuple[str, float, float]:
    """Run code in a fresh process; return plan, gap and the peak of resident memory in MB above that before the fit."""
    command = [sys.executable, "-c", textwrap.dedent(MEASURED) + textwrap.dedent(code)]
    plan, gap, extra = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return plan, float(gap), float(extra)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.skipif(kernels._module is None, reason="no compiled kernels here")
def test_sparse_rows() -> None:
    plan, gap, extra = measured("""
        n, d, q = 20_000, 2_000, 3_000
        random = np.random.default_rng(0)
        y = np.r_[np.arange(q), random.integers(0, q, n - q)]
        own = (y[:, None] * 7 + np.arange(8)) % d
        columns = np.where(random.random((n, 8)) < 0.5, own, random.integers(0, d, (n, 8)))
        X = sp.csr_array((np.ones(8 * n), columns.ravel(), np.arange(0, 8 * n + 1, 8)), shape=(n, d))
        X.sum_duplicates()
        fit(X, y, q, "wide-dual-ascent")
    """)
    assert plan == "wide-dual-ascent"
    assert gap <= 1e-3
    assert extra < 320  # (n, q) takes 480 MB in float64, 120 MB as codes; W takes 24 MB in float32 and 48 in float64


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_dense_rows() -> None:
    plan, _, extra = measured("""
        n, d, q = 20_000, 64, 5_000
        random = np.random.default_rng(0)
        y = np.r_[np.arange(q), random.integers(0, q, n - q)]
        X = (random.normal(size=(q, d))[y] + random.normal(size=(n, d))).astype(np.float32)
        fit(X, y, q, "streamed-lbfgs", max_iter=12)
    """)
    assert plan == "streamed-lbfgs"
    assert extra < 250  # (n, q) takes 800 MB in float64, 400 in float32; W takes 1.3 MB
