"""Factors of one matrix a class: small ones inverted, large ones solved with, both against NumPy's solution."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.optimize.curvature.class_factors import MAX_INVERTED_ORDER, Gram, Inverses, Triangles, factors


def grams(q: int, k: int, dtype: type, seed: int = 0) -> list[Gram]:
    random = np.random.default_rng(seed)
    halves = random.normal(size=(q, 2 * k, k))
    return [Gram((half.T @ half / k).astype(dtype), random.uniform(0.1, 2, k)) for half in halves]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 5, MAX_INVERTED_ORDER, MAX_INVERTED_ORDER + 1, 200])
@pytest.mark.parametrize("q", [1, 3])
@pytest.mark.parametrize("m", [1, 2, 13])
def test_solving_is_multiplying_by_the_inverse(m: int, q: int, k: int, dtype: type) -> None:
    some = grams(q, k, dtype)
    G = np.random.default_rng(1).normal(size=(m, 3, k)).astype(dtype)
    found = factors([lambda gram=gram: gram for gram in some], k).solve(G)
    whole = [some[c % q].as_float64() for c in range(3)]
    expected = np.stack([np.linalg.solve(whole[c], G[:, c].T).T for c in range(3)], axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=(2e-3 if dtype is np.float32 else 1e-10))
    assert isinstance(
        factors([lambda gram=gram: gram for gram in some], k), Inverses if k <= MAX_INVERTED_ORDER else Triangles
    )


@pytest.mark.parametrize(("q", "m"), [(1, 40), (3, 5), (3, 40)])
def test_solving_is_the_same_to_the_bit_for_any_number_of_threads(
    q: int, m: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softreg.optimize.curvature.class_factors.MIN_THREADED_NUMBERS", 0)
    k = MAX_INVERTED_ORDER + 20
    kept = Triangles.of([lambda gram=gram: gram for gram in grams(q, k, np.float32)])
    G, answers = np.random.default_rng(2).normal(size=(m, 3, k)).astype(np.float32), []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("SOFTREG_NUM_THREADS", threads)
        answers.append(kept.solve(G))
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])
    assert answers[0].dtype == G.dtype
    assert answers[0].flags.c_contiguous


@pytest.mark.parametrize("k", [4, MAX_INVERTED_ORDER + 4])
def test_a_huge_ridge_on_one_column_leaves_the_others_their_digits(k: int) -> None:
    (gram,) = grams(1, k, np.float32)
    more = gram.diagonal.copy()
    more[0] = 1e60
    g = np.random.default_rng(1).normal(size=(1, 1, k)).astype(np.float32)
    found = factors([lambda: Gram(gram.H, more)], k).solve(g)[0, 0]
    expected = np.linalg.solve(Gram(gram.H, more).as_float64()[1:, 1:], g[0, 0, 1:])
    assert abs(found[0]) < 1e-30
    np.testing.assert_allclose(found[1:], expected, atol=1e-3)


@pytest.mark.parametrize("k", [4, MAX_INVERTED_ORDER + 4])
def test_a_matrix_that_rounding_has_made_indefinite_still_gives_a_descent_direction(k: int) -> None:
    ones = np.ones((k, k))
    ones[0, 1] = ones[1, 0] = 1 + 1e-5  # an eigenvalue of -1e-5
    g = np.random.default_rng(1).normal(size=(1, 1, k))
    found = factors([lambda: Gram(ones, np.zeros(k))], k).solve(g)
    assert np.isfinite(found).all()
    assert float((found * g).sum()) > 0
