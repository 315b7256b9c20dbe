"""scikit-learn-intelex: oneDAL's L-BFGS. Sparse rows are left out: there it hands the work to scikit-learn."""

from __future__ import annotations

from typing import Any

from peers import Contestant, Facts, estimator_weights, scikit_learn_penalty

PACKAGE, MODULE = "scikit-learn-intelex", "sklearnex"


def contestants(facts: Facts) -> list[Contestant]:
    from sklearnex.linear_model import LogisticRegression

    def fit(X: Any, y: Any, setting: float | None) -> Any:
        options = {} if setting is None else {"max_iter": int(setting), "tol": 1e-12}
        return LogisticRegression(C=scikit_learn_penalty(facts)["C"], solver="lbfgs", **options).fit(X, y)

    if facts.sparse or facts.l1_ratio:
        return []
    ladder = (10, 30, 100, 300, 1000, 3000, 10000, 30000)
    return [Contestant("scikit-learn-intelex", fit, estimator_weights, ladder, whole=True)]
