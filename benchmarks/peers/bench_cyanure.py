"""cyanure: variance-reduced gradients under a quasi-Newton outer loop (QNing), chosen by its "auto"."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers import Contestant, Facts, Weights, one_column_penalty

PACKAGE = MODULE = "cyanure"


def contestants(facts: Facts) -> list[Contestant]:
    from cyanure.estimators import Classifier

    binary = facts.q == 2
    loss = "logistic" if binary else "multiclass-logistic"
    l1, l2 = one_column_penalty(facts)
    penalty, strengths = "elasticnet", {"lambda_1": l1, "lambda_2": l2}
    if not l1 or not l2:
        penalty, strengths = ("l1" if l1 else "l2"), {"lambda_1": l1 or l2}

    def fit(X: Any, y: Any, setting: float | None) -> Any:
        options = {} if setting is None else {"tol": setting, "max_iter": 100000}
        model = Classifier(loss=loss, penalty=penalty, fit_intercept=True, verbose=False, **strengths, **options)
        return model.fit(X, y)

    def weights(model: Any) -> Weights:
        W, b = np.asarray(model.coef_, dtype=np.float64), np.asarray(model.intercept_, dtype=np.float64).ravel()
        if binary:
            W, b = np.stack([-W.ravel(), W.ravel()], axis=1) / 2, np.array([-b[0], b[0]]) / 2
        return W if W.shape == (facts.d, facts.q) else W.T, b

    return [Contestant("cyanure", fit, weights, (1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9))]
