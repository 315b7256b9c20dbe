"""Strengths of terms by the evidence: traces, the optimum, the exact integral, and cross-validation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, log_expit, logsumexp, softmax

from softreg import SoftmaxRegression
from softreg.models.evidence.precision_step import MAX_PRECISION, PRIOR_RATE, SHARED_DEGREES
from softreg.models.evidence.term_curvature import INTERCEPT_PRECISION, MAX_FULL_PARAMETERS
from softreg.models.evidence.term_strengths import (
    TermRefits,
    TermStrengths,
    choose_term_strengths,
    degrees_at,
)
from softreg.models.evidence.term_traces import term_traces
from softreg.optimize.objective.hessian import contrasts
from softreg.tables.encode.terms.curve_basis import curve_knots, random_walk_basis


def features(x: np.ndarray) -> np.ndarray:
    """The standardised values of x and the values of its curve's basis functions."""
    knots, share = curve_knots(x)
    basis = random_walk_basis(knots, share)
    curves = [np.interp(x, knots, column) for column in basis.values.T]
    return np.column_stack([(x - x.mean()) / x.std(), *curves])


def problem(q: int, seed: int, n: int = 600) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of two curves and a category, their terms, and codes of q classes."""
    random = np.random.default_rng(seed)
    x, z, group = random.uniform(-2, 2, n), random.normal(size=n), random.integers(0, 6, n)
    logits = np.zeros((n, q))
    logits[:, 1] = 2 * np.sin(2 * x) + 0.8 * z + random.normal(size=6)[group]
    if q > 2:
        logits[:, 2] = x**2 / 2 - 0.5 * z
    codes = (logits + random.gumbel(size=(n, q))).argmax(axis=1)
    parts = [features(x), features(z), np.eye(6)[group]]
    X = np.column_stack(parts)
    curves = [part.shape[1] - 1 for part in parts[:2]]
    terms = np.concatenate([[0], np.full(curves[0], 1), [2], np.full(curves[1], 3), np.full(6, 4)])
    return X, terms, codes


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_traces_are_those_of_the_dense_matrix(q: int, weighted: bool) -> None:
    random = np.random.default_rng(q)
    X, terms = random.normal(size=(80, 5)), np.array([0, 1, 1, 2, 2])
    weight = random.uniform(0, 3, 80) if weighted else None
    offset = random.normal(size=(80, q))
    P = softmax(X @ random.normal(size=(5, q)) + offset, axis=1)
    precision = np.array([0.0, 2.0, 2.0, 30.0, 30.0])
    T, Z = contrasts(q), np.column_stack([X, np.ones(80)])
    v = np.ones(80) if weight is None else weight
    H = sum(v[i] * np.kron(T.T @ (np.diag(P[i]) - np.outer(P[i], P[i])) @ T, np.outer(Z[i], Z[i])) for i in range(80))
    H = H + np.diag(np.tile(np.append(precision, INTERCEPT_PRECISION), q - 1))
    variance = np.diag(np.linalg.inv(H)).reshape(q - 1, 6)[:, :5].sum(axis=0)
    found = term_traces(X, P, weight, precision, terms, 3)
    assert_allclose(found.trace, np.bincount(terms, variance), rtol=1e-7)
    assert found.log_determinant == pytest.approx(np.linalg.slogdet(H)[1], rel=1e-9)


def test_many_parameters_of_two_classes_have_exact_traces() -> None:
    random = np.random.default_rng(0)
    d = MAX_FULL_PARAMETERS
    X, p = random.normal(size=(40, d)), random.uniform(0.1, 0.9, 40)
    found = term_traces(X, np.column_stack([1 - p, p]), None, np.full(d, 2.0), np.arange(d) % 2, 2)
    # the inverse of 2 + Z^T V Z by the rows, with the intercept's precision
    Z, S = np.column_stack([X, np.ones(40)]), np.append(np.full(d, 2.0), INTERCEPT_PRECISION)
    root = Z * np.sqrt(2 * p * (1 - p))[:, None]
    inner = np.linalg.inv(np.eye(40) + (root / S) @ root.T)
    variance = 1 / S - np.einsum("ij,ik,kj->j", root, inner, root) / S**2
    assert_allclose(found.trace, np.bincount(np.arange(d) % 2, variance[:d]), rtol=1e-6)


def log_posterior(fit: TermStrengths) -> float:
    """The logarithm of evidence times the prior of the standard deviations, which the choice maximises."""
    alive = fit.precision < MAX_PRECISION
    return fit.log_evidence - PRIOR_RATE * float(np.log1p(1 / np.sqrt(fit.precision[alive])).sum())


@pytest.mark.parametrize(("q", "seed"), [(2, 0), (2, 1), (3, 1)])
def test_the_chosen_strengths_maximise_the_evidence(q: int, seed: int) -> None:
    """Strong terms are at the maximum; of weak ones, with flat evidence, the iteration may stop short."""
    X, terms, codes = problem(q, seed)
    chosen = choose_term_strengths(X, codes, q, terms)
    assert chosen.settled

    def moved(term: int, step: float) -> float:
        """The objective with the logarithm of one precision moved."""
        other = chosen.precision.copy()
        other[term] *= np.exp(step)
        return log_posterior(choose_term_strengths(X, codes, q, terms, start=other, fixed=other))

    alive = np.flatnonzero(np.isfinite(chosen.precision))
    top = moved(int(alive[0]), 0.0)
    strong = [term for term in alive if chosen.degrees[term] > 3]
    assert strong
    for term in alive:
        below, above = moved(term, -1.1), moved(term, 1.1)
        assert max(below, above) < top + 0.5, term
        if term in strong:
            slope, curvature = (above - below) / 2.2, (above + below - 2 * top) / 1.21
            assert curvature < -0.1
            assert abs(slope / curvature) < 0.45  # distance to the vertex of the parabola


def test_a_shared_prior_is_part_of_what_is_maximised() -> None:
    """With the common precision fixed, evidence times the priors falls when one of the precisions is moved."""
    random = np.random.default_rng(5)
    X, terms = random.normal(size=(400, 6)), np.arange(6)
    codes = (random.random(400) < expit(X @ np.array([1.0, -0.8, 0.5, 0.6, -0.3, 0.2]))).astype(np.int64)
    shared = np.array([True] * 4 + [False] * 2)
    chosen = choose_term_strengths(X, codes, 2, terms, shared=shared)
    squares = (chosen.coef**2).sum(axis=0)
    common = chosen.degrees[shared].sum() / squares[shared].sum()

    def posterior(precision: np.ndarray) -> float:
        log = np.log(precision[shared])
        prior = SHARED_DEGREES / 2 * float((log - np.exp(log) / common).sum())
        return prior + log_posterior(choose_term_strengths(X, codes, 2, terms, start=precision, fixed=precision))

    top = posterior(chosen.precision)
    for term in np.flatnonzero(shared):
        for factor in (0.25, 4.0):
            moved = chosen.precision.copy()
            moved[term] *= factor
            assert posterior(moved) < top


def test_shared_strengths_are_closer_to_each_other() -> None:
    """Twenty columns of equal weights: separate strengths leave some out, shared ones do not, and predict better."""
    random = np.random.default_rng(6)
    X, w = random.normal(size=(5_200, 20)), np.full(20, 0.5)
    codes = (random.random(len(X)) < expit(X @ w)).astype(np.int64)
    spread, loss = [], []
    for shared in (None, np.ones(20, dtype=bool)):
        fit = choose_term_strengths(X[:200], codes[:200], 2, np.arange(20), shared=shared)
        spread.append(np.log(np.minimum(fit.precision, 1e4)).std())
        logits = X[200:] @ (fit.coef[1] - fit.coef[0]) + fit.intercept[1] - fit.intercept[0]
        loss.append(-log_expit(np.where(codes[200:] == 1, logits, -logits)).mean())
    assert spread[1] < 0.5 * spread[0]
    assert loss[1] < loss[0] - 0.01


def test_the_evidence_is_nearly_the_integral() -> None:
    """One category of two classes: the effects of levels are integrated one by one, the intercept on a grid."""
    random = np.random.default_rng(3)
    groups, sizes = 12, 15
    effect = random.normal(size=groups) * 0.8
    group = np.repeat(np.arange(groups), sizes)
    codes = (random.random(len(group)) < expit(0.4 + np.sqrt(2) * effect[group])).astype(np.int64)
    X, counts = np.eye(groups)[group], np.bincount(group, codes)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    grid = np.linspace(-4, 4, 401)
    laplace, exact = [], []
    for precision in (0.5, 2.0, 8.0, 50.0):
        given = np.array([precision])
        fit = choose_term_strengths(X, codes, 2, np.zeros(groups, dtype=np.int64), start=given, fixed=given)
        laplace.append(fit.log_evidence)
        # the difference of the logits is the root of 2 times the contrast
        eta = np.sqrt(2) * (grid[:, None] + nodes / np.sqrt(precision))
        of_group = counts[:, None, None] * log_expit(eta) + (sizes - counts)[:, None, None] * log_expit(-eta)
        inner = logsumexp(of_group + np.log(weights / weights.sum()), axis=2).sum(axis=0)
        exact.append(logsumexp(inner))
    assert_allclose(np.diff(laplace), np.diff(exact), atol=0.3)
    assert np.ptp(exact) > 2


@pytest.mark.parametrize("q", [2, 3])
def test_cross_validation_prefers_no_other_multiple_by_much(q: int) -> None:
    multiples = 2.0 ** np.arange(-3, 4)
    X, terms, codes = problem(q, seed=5)
    chosen = choose_term_strengths(X, codes, q, terms)
    factors = np.minimum(chosen.precision, MAX_PRECISION)[terms]
    fold = np.random.default_rng(0).permutation(len(codes)) % 5
    losses = np.zeros((len(multiples), len(codes)))
    for k in range(5):
        train, test = fold != k, fold == k
        for j, multiple in enumerate(multiples):
            model = SoftmaxRegression(1 / train.sum(), penalty_factors=multiple * factors)
            P = model.fit(X[train], codes[train]).predict_proba(X[test])
            losses[j, test] = -np.log(P[np.arange(test.sum()), codes[test]])
    mean = losses.mean(axis=1)
    best, own = int(np.argmin(mean)), int(np.flatnonzero(multiples == 1)[0])
    difference = losses[own] - losses[best]
    assert difference.mean() <= 0.01 * mean[own]
    assert 1 / 4 <= multiples[best] <= 4
    assert mean[0] > mean[own] or mean[-1] > mean[own]


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_at_other_precisions_is_that_of_the_regression(q: int, weighted: bool) -> None:
    random = np.random.default_rng(q)
    X, terms, codes = problem(q, seed=7)
    weight = random.uniform(0.5, 2, len(codes)) if weighted else None
    chosen = choose_term_strengths(X, codes, q, terms, weight=weight)
    precision = chosen.precision / 8
    refits = TermRefits(X, codes, terms, chosen, weight=weight)
    refits.at(chosen.precision * 1e6)  # leaves terms out, which the next fit has again
    found = refits.at(precision)
    total = len(codes) if weight is None else weight.sum()
    kept = precision[terms] < MAX_PRECISION
    model = SoftmaxRegression(1 / total, penalty_factors=precision[terms][kept], tol=1e-10)
    model.fit(X[:, kept], codes, weight)
    P = softmax(X @ found.coef.T + found.intercept, axis=1)
    assert_allclose(P, model.predict_proba(X[:, kept]), atol=0.01)
    assert (found.coef[:, ~kept] == 0).all()


@pytest.mark.parametrize("q", [2, 3])
def test_degrees_at_other_precisions_are_those_of_fixed_ones(q: int) -> None:
    X, terms, codes = problem(q, seed=8)
    chosen = choose_term_strengths(X, codes, q, terms)
    precision = np.minimum(chosen.precision, 1e4) / 4
    found = degrees_at(X, codes, terms, chosen, precision)
    fixed = choose_term_strengths(X, codes, q, terms, fixed=precision)
    assert_allclose(found.degrees, fixed.degrees, rtol=0.02, atol=0.02)
    assert found.log_evidence == pytest.approx(fixed.log_evidence, abs=0.5)
    assert found.degrees.sum() > chosen.degrees.sum() + 1
    assert found.log_evidence < chosen.log_evidence


def test_a_term_left_out_at_the_end_leaves_the_evidence_comparable() -> None:
    """Evidence of a model with a term that has none, and without it: the term costs little."""
    random = np.random.default_rng(11)
    X, terms, codes = problem(2, seed=11)
    noise = features(random.normal(size=len(codes)))[:, 1:]
    plain = choose_term_strengths(X, codes, 2, terms)
    more = choose_term_strengths(np.hstack([X, noise]), codes, 2, np.append(terms, np.full(noise.shape[1], 5)))
    assert more.log_evidence == pytest.approx(plain.log_evidence, abs=2.0)
