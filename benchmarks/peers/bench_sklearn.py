"""scikit-learn's LogisticRegression, every solver that fits the same model."""

from __future__ import annotations

from typing import Any

from peers import Contestant, Facts, estimator_weights, scikit_learn_penalty

PACKAGE, MODULE = "scikit-learn", "sklearn"
HESSIAN = 3000
"""newton-cholesky enters up to this many parameters: beyond, its Hessian alone takes longer than the time limit."""


def contestants(facts: Facts) -> list[Contestant]:
    from sklearn.linear_model import LogisticRegression

    penalty = scikit_learn_penalty(facts)

    def solver(name: str, by: str, **fixed: Any) -> Any:
        def fit(X: Any, y: Any, setting: float | None) -> Any:
            options = {} if setting is None else {by: int(setting) if by == "max_iter" else setting, **fixed}
            return LogisticRegression(**penalty, solver=name, **options).fit(X, y)

        return fit

    def enter(name: str, by: str, ladder: tuple[float, ...], dtype: str | None = None, **fixed: Any) -> Contestant:
        title = f"scikit-learn {name}" + (f", {dtype}" if dtype else "")
        return Contestant(title, solver(name, by, **fixed), estimator_weights, ladder, by == "max_iter", dtype=dtype)

    iterations = (10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000)
    tolerances = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
    saga = enter("saga", "max_iter", (3, 10, 30, 100, 300, 1000, 3000, 10000, 30000), tol=1e-12, random_state=0)
    if facts.l1_ratio:
        return [saga]
    found = [
        enter("lbfgs", "max_iter", iterations, tol=1e-12),
        enter("newton-cg", "tol", tolerances, max_iter=10000),
        saga,
    ]
    if facts.dtype == "float32":
        found.insert(1, enter("lbfgs", "max_iter", iterations, dtype="float64", tol=1e-12))
    if facts.d * facts.q <= HESSIAN and facts.q > 1:
        found.append(enter("newton-cholesky", "tol", tolerances, max_iter=1000))
    return found
