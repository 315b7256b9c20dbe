"""The objective does not depend on the scale of the row weights, and neither does the work of dual ascent."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from softreg.optimize import l2, minimise
from softreg.rows import as_rows
from softreg.rows.kernels import products as kernels


@pytest.mark.parametrize("plan", ["dual-ascent", "wide-dual-ascent"])
@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_sweeps_do_not_depend_on_the_scale_of_the_weights(plan: str, factor: float) -> None:
    if kernels._module is None:
        pytest.skip("no compiled kernels here")
    random = np.random.default_rng(0)
    X = sp.csr_array((random.random((1000, 200)) < 0.05).astype(float))
    y = (X @ random.normal(size=(200, 5)) + random.gumbel(size=(1000, 5))).argmax(axis=1)
    (one,), (other,) = (
        minimise(as_rows(X, y, np.full((1, 1000), v)), 5, l2(1e-3), solver=plan, max_iter=200) for v in (1.0, factor)
    )
    assert one.converged
    assert other.converged
    assert other.n_iter <= one.n_iter + 5
    assert other.value == pytest.approx(one.value, abs=2e-6)
