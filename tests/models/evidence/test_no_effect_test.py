"""The test of the weights of a penalised term, and the tail of its statistic under the null hypothesis."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.integrate import quad

from softreg import SoftmaxRegression, infer
from softreg.models.evidence.mixture_tail import mixture_tail
from softreg.models.evidence.no_effect_test import Reference, no_effect_test


def imhof(statistic: float, weights: np.ndarray) -> float:
    """The tail by Imhof's inversion of the characteristic function."""

    def integrand(u: float) -> float:
        theta = np.arctan(weights * u).sum() / 2 - statistic * u / 2
        return float(np.sin(theta) / (u * np.prod((1 + (weights * u) ** 2) ** 0.25)))

    value, _ = quad(integrand, 0, 2_000, limit=20_000, epsabs=1e-10)
    return 0.5 + value / np.pi


@pytest.mark.parametrize(
    "weights", [(1.0, 0.5, 0.3), (1.0, 0.9, 0.5, 0.1, 0.01), (0.3, 0.2, 0.1), tuple(np.geomspace(1, 1e-3, 20))]
)
def test_the_tail_is_that_of_imhof(weights: tuple[float, ...]) -> None:
    w = np.array(weights)
    for factor in (0.3, 1.0, 2.0, 4.0):
        exact = imhof(factor * w.sum(), w)
        assert mixture_tail(factor * w.sum(), w) == pytest.approx(exact, rel=0.08, abs=1e-5)


def test_equal_weights_have_the_chi_squared_distribution() -> None:
    for m, x in ((1, 3.84), (4, 20.0), (30, 10.0)):
        assert mixture_tail(0.2 * x, np.full(m, 0.2)) == pytest.approx(stats.chi2.sf(x, m), rel=1e-12)
    assert mixture_tail(0.0, np.ones(2)) == mixture_tail(-1.0, np.ones(2)) == 1.0
    assert mixture_tail(1.0, np.zeros(2)) == 0.0


def test_the_tail_falls_without_a_jump_at_the_mean_and_far_out() -> None:
    w = np.array([1.0, 0.4, 0.1])
    near = [mixture_tail(x, w) for x in np.linspace(1.49, 1.51, 401)]
    assert np.all(np.diff(near) < 1e-9)
    assert np.ptp(near) < 0.01
    far = [mixture_tail(x, w) for x in (10.0, 100.0, 1_000.0)]
    assert far[0] > far[1] > far[2] > 0
    assert far[2] == pytest.approx(stats.chi2.sf(1_000, 1) / np.sqrt(0.6 * 0.9), rel=0.15)  # the largest weight decides
    assert mixture_tail(1e6, w) == 0.0


def test_the_statistic_is_normal_theory() -> None:
    """In a linear normal model with known priors the statistic and its distribution are exact."""
    random = np.random.default_rng(0)
    Z = random.normal(size=(60, 7))
    S = np.array([0.5, 0.5, 0.5, 8.0, 8.0, 8.0, 8.0])
    C = np.linalg.inv(Z.T @ Z + np.diag(S))
    tested = np.arange(3, 7)
    p_values, statistics = [], []
    for _ in range(4_000):
        w = np.concatenate([random.normal(size=3) / np.sqrt(0.5), np.zeros(4)])
        y = Z @ w + random.normal(size=60)
        found = no_effect_test((C @ Z.T @ y)[tested], C[np.ix_(tested, tested)], S[tested])
        p_values.append(found.p_value)
        statistics.append(found.statistic)
    assert np.mean(statistics) == pytest.approx(found.degrees, rel=0.05)
    assert found.degrees == pytest.approx(4 - np.trace(S[tested, None] * C[np.ix_(tested, tested)]))
    assert stats.kstest(p_values, "uniform").pvalue > 0.001
    # twice the log ratio of the marginal likelihoods, up to the constant
    V0 = np.eye(60) + Z[:, :3] @ Z[:, :3].T / 0.5
    V1 = V0 + Z[:, 3:] @ Z[:, 3:].T / 8
    assert found.statistic == pytest.approx(y @ np.linalg.solve(V0, y) - y @ np.linalg.solve(V1, y))


def test_a_reference_does_not_depend_on_strengths_that_the_labels_chose() -> None:
    """With variances that the same labels chose, p-values are not uniform; those with a reference are."""
    random = np.random.default_rng(4)
    Z = random.normal(size=(60, 9)) * np.geomspace(1, 0.2, 9)
    part, shape, variances = np.repeat([0, 1, 2], 3), np.ones(9), (1e-8, 0.03, 0.1, 0.3, 1.0)
    grid = [np.repeat(of_parts, 3) for of_parts in product(variances, repeat=3)]
    covariances = [np.eye(60) + (Z * variance) @ Z.T for variance in grid]
    inverses, logs = np.linalg.inv(covariances), np.linalg.slogdet(covariances)[1]
    adaptive, reference = [], []
    for _ in range(1_000):
        y = random.normal(size=60)
        S = 1 / grid[int(np.argmin(logs + inverses @ y @ y))]
        C = np.linalg.inv(Z.T @ Z + np.diag(S))
        w = C @ Z.T @ y
        adaptive.append(no_effect_test(w, C, S).p_value)
        found = no_effect_test(w, C, S, reference=Reference(part, shape, 1))
        reference.append(found.p_value)
    assert np.mean(np.array(adaptive) < 0.1) > 0.15
    assert stats.kstest(reference, "uniform").pvalue > 0.001
    K = np.linalg.inv(C) - np.diag(S)
    R = Reference(part, shape, 1).precision(K)
    for first in (0, 3, 6):
        of = slice(first, first + 3)
        assert np.trace(np.linalg.solve(K[of, of] + np.diag(R[of]), K[of, of])) == pytest.approx(np.sqrt(3))
    assert found.null_mean == pytest.approx(np.trace(np.linalg.solve(K + np.diag(R), K)))


def test_free_weights_are_maximised_over_without_their_penalty() -> None:
    random = np.random.default_rng(1)
    Z = random.normal(size=(50, 5)) @ (np.eye(5) + 0.4)
    y = random.normal(size=50) + Z[:, 0]
    S = np.array([1e6, 1.0, 2.0, 3.0, 0.5])
    C = np.linalg.inv(Z.T @ Z + np.diag(S))
    free = np.array([True, False, False, False])
    found = no_effect_test((C @ Z.T @ y)[:4], C[:4, :4], S[:4], free)
    loose = S.copy()
    loose[0] = 0.0
    D = np.linalg.inv(Z.T @ Z + np.diag(loose))
    expected = no_effect_test((D @ Z.T @ y)[1:4], D[1:4, 1:4], S[1:4])
    assert_allclose([found.degrees, found.statistic], [expected.degrees, expected.statistic], rtol=1e-5)
    assert found.p_value == pytest.approx(expected.p_value, rel=1e-4)


def test_without_a_penalty_it_is_walds_test() -> None:
    random = np.random.default_rng(2)
    X = random.normal(size=(300, 3))
    y = (X @ random.normal(size=(3, 3)) + random.gumbel(size=(300, 3))).argmax(axis=1)
    inference = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    relative = inference.relative_to(0)
    w = relative.coefficients.estimate[:, 2:].ravel()
    C = relative.covariance.reshape(2, 4, 2, 4)[:, 2:, :, 2:].reshape(4, 4)
    found, wald = no_effect_test(w, C, np.zeros(4)), inference.wald([1, 2])
    assert found.degrees == pytest.approx(4)
    assert_allclose([found.statistic, found.p_value], [wald.statistic, wald.p_value], rtol=1e-6)


def test_weights_that_the_penalty_alone_determines_have_no_p_value() -> None:
    found = no_effect_test(np.zeros(2), np.eye(2) / 3, np.full(2, 3.0))
    assert found.degrees == pytest.approx(0, abs=1e-12)
    assert np.isnan(found.p_value)
    assert found.statistic == 0
