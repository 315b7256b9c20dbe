"""LIBLINEAR through scikit-learn: the same model for two classes only, and nearly so.

LIBLINEAR penalises the bias; an `intercept_scaling` of 1,000 makes that penalty a millionth.
"""

from __future__ import annotations

from typing import Any

from peers import Contestant, Facts, estimator_weights, scikit_learn_penalty

PACKAGE, MODULE = "scikit-learn", "sklearn"


def contestants(facts: Facts) -> list[Contestant]:
    from sklearn.linear_model import LogisticRegression

    penalty = scikit_learn_penalty(facts)

    def fit(X: Any, y: Any, setting: float | None) -> Any:
        options = {} if setting is None else {"tol": setting, "max_iter": 10000}
        model = LogisticRegression(**penalty, solver="liblinear", intercept_scaling=1000, **options)
        return model.fit(X, y)

    if facts.q != 2 or 0 < facts.l1_ratio < 1:
        return []
    return [Contestant("LIBLINEAR", fit, estimator_weights, (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8))]
