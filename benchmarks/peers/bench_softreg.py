"""softreg itself: tolerances from coarse to fine, each a whole fit with its certificate."""

from __future__ import annotations

from typing import Any

from peers import Contestant, Facts, estimator_weights

PACKAGE = MODULE = "softreg"


def contestants(facts: Facts) -> list[Contestant]:
    from softreg import SoftmaxRegression

    def fit(X: Any, y: Any, setting: float | None) -> Any:
        options = {} if setting is None else {"tol": setting}
        if facts.l1_ratio:
            options |= {"penalty": "elasticnet", "l1_ratio": facts.l1_ratio}
        return SoftmaxRegression(facts.strength, **options).fit(X, y)

    return [Contestant("softreg", fit, estimator_weights, (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9))]
