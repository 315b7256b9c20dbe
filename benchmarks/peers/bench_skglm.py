"""skglm: proximal Newton on working sets, for two classes with an l1 part."""

from __future__ import annotations

import sys
from typing import Any

from peers import Contestant, Facts, estimator_weights, one_column_penalty

PACKAGE = MODULE = "skglm"


def contestants(facts: Facts) -> list[Contestant]:
    if facts.q != 2 or not facts.l1_ratio:
        return []
    # Numba imports the package coverage if there is one, and would find benchmarks/coverage.py in its place
    shadowed = "coverage" not in sys.modules
    if shadowed:
        sys.modules["coverage"] = None
    from skglm import SparseLogisticRegression

    if shadowed:
        del sys.modules["coverage"]
    l1, l2 = one_column_penalty(facts)

    def fit(X: Any, y: Any, setting: float | None) -> Any:
        options = {} if setting is None else {"tol": setting, "max_iter": 1000, "max_epochs": 100000}
        return SparseLogisticRegression(alpha=l1 + l2, l1_ratio=l1 / (l1 + l2), **options).fit(X, y)

    return [Contestant("skglm", fit, estimator_weights, (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9))]
