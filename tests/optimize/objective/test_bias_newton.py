"""The bias of many classes is balanced by products with its curvature, to the same place as by a factorisation."""

import time

import numpy as np
import pytest

from softreg import SoftmaxRegression
from softreg.optimize.objective import bias_newton as bias


@pytest.mark.parametrize("kind", ["soft", "hard", "weighted"])
def test_products_balance_as_a_factorisation_does(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    n, q = (30, 40) if kind == "soft" else (60, 20)
    X = random.normal(size=(n, 3))
    y = random.dirichlet(np.full(q, 0.3), size=n) if kind == "soft" else np.arange(n) % q
    weights = random.uniform(0.5, 2.0, size=n) if kind == "weighted" else None
    dense = SoftmaxRegression(1e-3, tol=1e-10).fit(X, y, weights)
    monkeypatch.setattr(bias, "MAX_FACTORIZED_CLASSES", 2)
    products = SoftmaxRegression(1e-3, tol=1e-10).fit(X, y, weights)
    assert products.solution_.certified
    assert products.solution_.gap <= 1e-10
    assert products.solution_.bound == dense.solution_.bound
    assert np.allclose(products.predict_proba(X), dense.predict_proba(X), atol=1e-5)


def test_thousands_of_classes_on_a_few_rows_take_seconds_at_most() -> None:
    random = np.random.default_rng(0)
    X, P = random.normal(size=(8, 3)), random.dirichlet(np.ones(5000), size=8)
    start = time.process_time()
    model = SoftmaxRegression().fit(X, P)
    assert time.process_time() - start < 20  # a dense system in all classes takes minutes
    assert model.solution_.certified
    assert model.solution_.gap <= 1e-6
