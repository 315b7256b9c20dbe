"""statsmodels: a binomial GLM with a ridge penalty (its MNLogit has none), for two classes; no tolerance can be set."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers import Contestant, Facts, Weights

PACKAGE = MODULE = "statsmodels"


def contestants(facts: Facts) -> list[Contestant]:
    import statsmodels.api as sm

    def fit(X: Any, y: Any, setting: float | None) -> Any:
        del setting
        alpha = np.full(facts.d + 1, facts.strength / 2)
        alpha[0] = 0  # the bias is not penalised
        return sm.GLM(y, sm.add_constant(X), sm.families.Binomial()).fit_regularized(alpha=alpha, L1_wt=0)

    def weights(model: Any) -> Weights:
        w, b = model.params[1:, None], model.params[:1]
        return np.concatenate([-w, w], axis=1) / 2, np.concatenate([-b, b]) / 2

    if facts.q != 2 or facts.sparse or facts.l1_ratio:
        return []
    return [Contestant("statsmodels GLM", fit, weights, ())]
