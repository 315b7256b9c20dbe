"""Profile-likelihood intervals by a general optimiser and by ratio tests; published ones are in test_firth.py."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

from softreg import SoftmaxRegression, infer


def draw(n: int = 120, q: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 2)) * [1, 20] + [0, 50]
    o = X @ np.array([[0.0, 1.0, -0.5], [0.0, 0.02, 0.05]])[:, :q] + random.gumbel(size=(n, q))
    return X, o.argmax(axis=1)


def test_an_interval_ends_where_a_general_optimiser_says() -> None:
    X, y = draw()
    found = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    intervals = found.profile()

    def fall(held: float, e: int, j: int) -> float:
        """Twice the fall of the log-likelihood with one weight against class 0 held."""

        def negative(free: np.ndarray) -> float:
            W = np.insert(free, e * 3 + j, held).reshape(2, 3)
            Z = np.column_stack([np.ones(len(X)), X[:, 0], X[:, 1] / 20])
            o = np.column_stack([np.zeros(len(X)), Z @ W.T])
            return float((np.logaddexp.reduce(o, axis=1) - o[np.arange(len(y)), y]).sum())

        best = scipy.optimize.minimize(negative, np.zeros(5), method="BFGS", options={"gtol": 1e-7})
        return 2 * (float(best.fun) + found.log_likelihood)

    for e in range(2):
        for j, unit in ((1, 1.0), (2, 20.0)):
            for end in (intervals.lower, intervals.upper):
                assert fall(float(end[e, j]) * unit, e, j) == pytest.approx(3.841459, abs=1e-4)


def test_the_root_for_zero_is_the_ratio_test() -> None:
    X, y = draw(q=2)
    found = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    intervals = found.profile([1, 0])
    assert intervals.columns == ("column 1", "column 0")
    assert intervals.z is not None
    for place, column in ((0, 1), (1, 0)):
        assert intervals.z[0, place] ** 2 == pytest.approx(found.likelihood_ratio([column]).statistic, rel=1e-6)
        inside = intervals.lower[0, place] <= 0 <= intervals.upper[0, place]
        assert inside == (found.likelihood_ratio([column]).p_value >= 0.05)


def test_with_many_rows_they_are_walds() -> None:
    X, y = draw(20_000)
    found = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    near = found.profile()
    assert near.lower == pytest.approx(found.coefficients.lower, abs=0.02 * found.coefficients.std_error.max())
    assert near.upper == pytest.approx(found.coefficients.upper, abs=0.02 * found.coefficients.std_error.max())


def test_they_follow_the_reference_and_the_unit() -> None:
    X, y = draw()
    found = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    there, back = found.profile([0]), found.relative_to(1).profile([0])
    assert back.lower[0] == pytest.approx(-there.upper[0], abs=1e-5)  # 1 against 0, and 0 against 1
    small = X * [1e-3, 1]
    scaled = infer(SoftmaxRegression(penalty=None).fit(small, y), small, y).profile([0])
    assert scaled.upper == pytest.approx(1e3 * there.upper, rel=1e-6)


def test_the_summary_takes_them_and_a_penalty_is_refused() -> None:
    X, y = draw()
    found = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    text = found.summary(intervals="profile").text()
    assert "by the profile likelihood" in text
    with pytest.raises(ValueError, match="neither 'Wald' nor 'profile'"):
        found.summary(intervals="likelihood")
    with pytest.raises(ValueError, match="L2 penalty"):
        infer(SoftmaxRegression(strength=0.1).fit(X, y), X, y).profile()
    weighted = SoftmaxRegression(penalty=None, class_weight="balanced").fit(X, y)
    with pytest.raises(ValueError, match="class weights"):
        infer(weighted, X, y).profile()


def test_an_interval_need_not_be_symmetric() -> None:
    """But for one row, the column is 1 in rows of one class only: the upper end lies far out."""
    x = np.repeat([0.0, 1.0], [40, 12])
    y = np.r_[np.zeros(25), np.ones(15), np.zeros(1), np.ones(11)].astype(int)
    found = infer(SoftmaxRegression(penalty=None).fit(x[:, None], y), x[:, None], y)
    interval = found.profile([0])
    assert (
        interval.upper[0, 0] - found.coefficients.estimate[0, 1]
        > found.coefficients.estimate[0, 1] - interval.lower[0, 0]
    )
