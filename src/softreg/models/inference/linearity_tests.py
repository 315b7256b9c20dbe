"""Score tests of linearity: the logit linear in a feature, against a restricted cubic spline of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.deprecated import accept_deprecated_arguments
from softreg.probability import softmax

Floats = NDArray[np.float64]
KNOTS = (0.05, 0.35, 0.65, 0.95)
"""Quantiles of the feature at which the spline has its knots."""
NEWTON_STEPS = 3
"""Newton steps from the given probabilities towards maximum likelihood, which undo the shrinkage of a penalty."""
LEAST_ROWS = 10
"""Least number of rows of each class."""
LEAST_MISTAKES = 10.0
"""Least expected number of misclassified rows; with fewer, the classes are nearly separated."""
MOST_WORK = 1e9
"""Largest number of multiplications; beyond it, a subset of the rows is used."""
MOST_PARAMETERS = 800
"""Largest number of parameters of the model with all splines; beyond it, no test is made."""
RIDGE = 1e-10
"""Share of the mean diagonal that is added to the information, which may be singular."""


@dataclass(frozen=True)
class LinearityTest:
    """Test whether the logits are linear in one feature, made by `linearity_tests`.

    Attributes
    ----------
    name : str
        Name of the feature.
    statistic : float
        Score statistic, chi-squared with `freedom` degrees of freedom if the logits are linear.
    freedom : int
        Degrees of freedom.
    p_value : float
        Upper tail probability of the statistic.
    corrected : float
        p-value with Holm's correction for all tested features: if the logits are linear in all of them, the probability
        that any `corrected` is at most 0.05 is at most 5%.
    """

    name: str
    statistic: float
    freedom: int
    p_value: float
    corrected: float


@accept_deprecated_arguments("linearity_tests()")
def linearity_tests(X: ArrayLike, codes: ArrayLike, P: ArrayLike, columns: Mapping[str, int]) -> list[LinearityTest]:
    """Test for each feature whether a spline of it improves the fit significantly.

    With B the nonlinear terms of a restricted cubic spline of the feature, R = Y - P and W the information of a row,
    the efficient score `u = B'R - B'WX (X'WX)^-1 X'R` has mean 0 and variance `V = B'WB - B'WX (X'WX)^-1 X'WB` if the
    logits are linear in X, and the statistic is `u' V^-1 u`. It is Rao's score test in Neyman's form, which is valid
    for estimates that are not exactly those of maximum likelihood. P is moved towards these by Newton's method first,
    so that the result does not depend on the penalty.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Features of the model.
    codes : array_like of shape (n,)
        Labels in 0..q-1, of independent rows.
    P : array_like of shape (n, q)
        Probabilities of the model.
    columns : mapping of str to int
        Features to test: the column of X by name.

    Returns
    -------
    list of LinearityTest
        One test for each feature with at least three different values. Empty if a class has fewer than 10 rows, the
        classes are nearly separated, or the model has too many parameters.

    References
    ----------
    Rao, "Large sample tests of statistical hypotheses concerning several parameters" (1948).
    Neyman, "Optimal asymptotic tests of composite statistical hypotheses" (1959).
    Harrell, "Regression Modeling Strategies" (2015), for the spline.
    Holm, "A simple sequentially rejective multiple test procedure" (1979).

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = random.normal(size=(2000, 2))
    >>> P = np.column_stack([1 - (p := 1 / (1 + np.exp(-X[:, 0] - X[:, 1] ** 2))), p])
    >>> y = (random.random(2000) < p).astype(int)
    >>> flat = np.tile([0.5, 0.5], (2000, 1))
    >>> a, b = linearity_tests(X, y, flat, {"a": 0, "b": 1})
    >>> a.p_value > 0.01, b.corrected < 1e-6
    (True, True)
    """
    X, y, P = np.asarray(X, np.float64), np.asarray(codes, np.int64), np.asarray(P, np.float64)
    q = P.shape[1]
    if q < 2:
        return []
    width = X.shape[1] + 1 + 2 * len(columns)
    if width * (q - 1) > MOST_PARAMETERS:
        return []
    step = max(1, int(np.ceil(len(X) * width**2 * q * (q - 1) / 2 / MOST_WORK)))
    X, y, P = X[::step], y[::step], P[::step]
    splines = {name: basis for name, j in columns.items() if (basis := spline_terms(X[:, j])) is not None}
    if not splines or np.bincount(y, minlength=q).min() < LEAST_ROWS:
        return []
    A = np.column_stack([np.ones(len(X)), X, *splines.values()])
    A = A / np.maximum(np.abs(A).max(axis=0), 1e-300)
    linear = X.shape[1] + 1
    P = _refined(A[:, :linear], y, P)
    if (P * (1 - P)).sum() / 2 < LEAST_MISTAKES:
        return []
    information, score = _information(A, P), (A.T @ (_one_hot(y, q) - P))[:, 1:]
    base = np.arange(linear)
    tested, start = [], linear
    for name, basis in splines.items():
        added = np.arange(start, start + basis.shape[1])
        start += basis.shape[1]
        statistic, freedom = _statistic(information, score, base, added)
        if freedom:
            tested.append((name, statistic, freedom))
    return _corrected(tested)


def spline_terms(x: Floats) -> Floats | None:
    """Return the nonlinear terms of a restricted cubic spline of a feature.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Feature.

    Returns
    -------
    ndarray of shape (n, 1) or (n, 2), or None
        The terms; the centred square for few distinct values or knots, None for fewer than three distinct values.

    Examples
    --------
    >>> spline_terms(np.arange(100.0)).shape, spline_terms(np.array([0.0, 1.0, 0.0]))
    ((100, 2), None)
    """
    values = np.unique(x)
    if len(values) < 3:
        return None
    x = (x - values[0]) / (values[-1] - values[0])
    knots = np.unique(np.quantile(x, KNOTS))
    if len(knots) < 3 or len(values) < 5:
        return np.asarray(((x - x.mean()) ** 2)[:, None])
    last, before = knots[-1], knots[-2]

    def cube(knot: float) -> Floats:
        return np.asarray(np.maximum(x - knot, 0.0) ** 3)

    return np.column_stack(
        [
            cube(knot) - cube(before) * (last - knot) / (last - before) + cube(last) * (before - knot) / (last - before)
            for knot in knots[:-2]
        ]
    )


def _one_hot(y: NDArray[np.int64], q: int) -> Floats:
    """Return codes (n,) as rows (n, q) with a 1 at the code."""
    return np.asarray(np.eye(q)[y])


def _refined(A: Floats, y: NDArray[np.int64], P: Floats) -> Floats:
    """Return the probabilities after `NEWTON_STEPS` steps from P on the likelihood of a model linear in A."""
    q = P.shape[1]
    o = np.log(np.maximum(P, 1e-12))
    loss = _loss(o, y)
    for _ in range(NEWTON_STEPS):
        P = np.asarray(softmax(o), dtype=np.float64)
        gradient = (A.T @ (_one_hot(y, q) - P))[:, 1:]
        direction = _solved(_information(A, P), gradient.T.ravel()).reshape(q - 1, -1).T
        step = np.column_stack([np.zeros(len(A)), A @ direction])
        scales = [scale for scale in (1.0, 0.5, 0.25) if _loss(o + scale * step, y) <= loss]
        if not scales:
            break
        o = o + scales[0] * step
        loss = _loss(o, y)
    return np.asarray(softmax(o), dtype=np.float64)


def _loss(o: Floats, y: NDArray[np.int64]) -> float:
    """Return the summed cross-entropy of logits o (n, q) and codes y (n,)."""
    largest = o.max(axis=1)
    return float((largest + np.log(np.exp(o - largest[:, None]).sum(axis=1)) - o[np.arange(len(y)), y]).sum())


def _information(A: Floats, P: Floats) -> Floats:
    """Return the information (m (q - 1), m (q - 1)) of the parameters of all classes but the first."""
    m, r = A.shape[1], P.shape[1] - 1
    information = np.empty((r, m, r, m))
    for k in range(r):
        for j in range(k, r):
            weight = P[:, k + 1] * ((k == j) - P[:, j + 1])
            information[k, :, j] = A.T @ (weight[:, None] * A)
            information[j, :, k] = information[k, :, j].T
    return information.reshape(r * m, r * m)


def _statistic(
    information: Floats, score: Floats, base: NDArray[np.int64], added: NDArray[np.int64]
) -> tuple[float, int]:
    """Return the score statistic of the columns `added` to the columns `base`, and its degrees of freedom."""
    m, r = score.shape
    first, tested = ((np.arange(r)[:, None] * m + columns).ravel() for columns in (base, added))
    u, u_base = score.T.ravel()[tested], score.T.ravel()[first]
    cross = information[np.ix_(first, tested)]
    solved = _solved(information[np.ix_(first, first)], np.column_stack([cross, u_base]))
    u = u - cross.T @ solved[:, -1]
    V = information[np.ix_(tested, tested)]
    rest = V - cross.T @ solved[:, :-1]
    scale = np.sqrt(np.maximum(np.diag(V), 1e-300))
    values, vectors = np.linalg.eigh((rest + rest.T) / 2 / np.outer(scale, scale))
    kept = values > 1e-7
    return float(((vectors[:, kept].T @ (u / scale)) ** 2 / values[kept]).sum()), int(kept.sum())


def _solved(H: Floats, b: Floats) -> Floats:
    """Return the solution of `H x = b` with a small ridge."""
    damped = H + RIDGE * max(float(np.trace(H)) / len(H), 1e-300) * np.eye(len(H))
    return np.asarray(np.linalg.solve(damped, b))


def _corrected(tested: list[tuple[str, float, int]]) -> list[LinearityTest]:
    """Return the tests with their p-values and Holm's correction."""
    from scipy.special import gammaincc

    p = np.array([float(gammaincc(freedom / 2, statistic / 2)) for _, statistic, freedom in tested])
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))), 1.0)
    return [
        LinearityTest(name, statistic, freedom, float(p_value), float(corrected))
        for (name, statistic, freedom), p_value, corrected in zip(tested, p, adjusted, strict=True)
    ]
