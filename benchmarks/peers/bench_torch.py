"""PyTorch: a linear layer, cross_entropy and torch.optim.LBFGS with its strong Wolfe line search; dense rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from peers import Contestant, Facts, Weights

PACKAGE = MODULE = "torch"


def contestants(facts: Facts) -> list[Contestant]:
    import torch

    def fit(X: Any, y: Any, setting: float | None) -> Any:
        X, y = torch.from_numpy(X), torch.from_numpy(y)
        W = torch.zeros(facts.d, facts.q, dtype=X.dtype, requires_grad=True)
        b = torch.zeros(facts.q, dtype=X.dtype, requires_grad=True)
        search = torch.optim.LBFGS(
            [W, b],
            max_iter=int(setting or 0),
            max_eval=10 * int(setting or 0),
            tolerance_grad=1e-12,
            tolerance_change=0,
            history_size=10,
            line_search_fn="strong_wolfe",
        )

        def loss() -> Any:
            search.zero_grad()
            value = torch.nn.functional.cross_entropy(torch.addmm(b, X, W), y)
            value = value + facts.strength / 2 * W.square().sum()
            value.backward()
            return value

        search.step(loss)
        return W, b

    def weights(model: Any) -> Weights:
        return tuple(part.detach().numpy().astype(np.float64) for part in model)

    if facts.sparse or facts.l1_ratio:
        return []
    ladder = (10, 30, 100, 300, 1000, 3000, 10000, 30000)
    return [Contestant("torch L-BFGS", fit, weights, ladder, whole=True, defaults=False)]
