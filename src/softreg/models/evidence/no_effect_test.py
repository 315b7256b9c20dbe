"""Test that the weights of a penalised term are zero, from the Gaussian approximation at the optimum.

With information I of the rows and precision S of the penalty, C = (I + S)^-1 is the posterior covariance of all
weights. For the weights w of a term, let A be its block of C and S_t that of S. The other weights integrated out under
their priors, `K = A^-1 - S_t` is the information about w, and `b = A^-1 w^` the score at w = 0, whose distribution
under the null hypothesis is normal with mean 0 and covariance K. The statistic

    T = b^T A b = w^T A^-1 w

is, up to a constant, twice the logarithm of the ratio of the marginal likelihoods with and without the term at the
given strengths: among all tests it has the largest power against weights drawn from the prior of the term. Under the
null hypothesis it is distributed as `sum_i f_i X_i` with independent X_i, chi-squared with one degree of freedom, where
f_i are the eigenvalues of `1 - A^1/2 S_t A^1/2`, between 0 and 1. Their sum, the mean of T, is the number of effective
degrees of freedom of the term. Without a penalty it is Wald's test.

References
----------
Wood (2013), A simple test for random effects in regression models. Wood (2013), On p-values for smooth components of
an extended generalized additive model. Zhang and Lin (2003), Hypothesis testing in semiparametric additive mixed
models.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.linalg import TINY
from softreg.models.evidence.mixture_tail import mixture_tail
from softreg.typing import BoolArray, Float64Array

LEAST_DEGREES = 1e-6
"""Effective degrees of freedom below which there is nothing to test: the penalty alone determines the weights."""


@dataclass(frozen=True)
class NoEffectTest:
    """A test that the weights of a term are zero.

    Attributes
    ----------
    degrees : float
        Effective degrees of freedom, the mean of the statistic under the null hypothesis.
    statistic : float
        The statistic T.
    p_value : float
        Probability of a statistic at least this large under the null hypothesis, for strengths given in advance; nan
        where the penalty alone determines the weights.
    """

    degrees: float
    statistic: float
    p_value: float


def no_effect_test(
    estimate: Float64Array, covariance: Float64Array, precision: Float64Array, free: BoolArray | None = None
) -> NoEffectTest:
    """Test that weights are zero.

    Parameters
    ----------
    estimate : array of float64 (p,)
        Estimates at the optimum.
    covariance : array of float64 (p, p)
        Their block of the posterior covariance, positive definite.
    precision : array of float64 (p,)
        Precision of each weight in the penalty; 0 without a penalty.
    free : array of bool (p,), optional
        Weights that are not tested, and have no penalty in this test: the null hypothesis is that the others are zero,
        whatever these are.

    Returns
    -------
    NoEffectTest
        The test.

    Examples
    --------
    >>> no_effect_test(np.array([2.0]), np.array([[1.0]]), np.zeros(1)).p_value.__round__(4)
    0.0455
    >>> shrunk = no_effect_test(np.array([1.0]), np.array([[0.5]]), np.ones(1))  # the same data under a prior
    >>> shrunk.degrees, shrunk.statistic, round(shrunk.p_value, 4)
    (0.5, 2.0, 0.0455)
    """
    inverse = np.asarray(np.linalg.inv((covariance + covariance.T) / 2), dtype=np.float64)
    score: Float64Array = inverse @ estimate
    information: Float64Array = inverse - np.diag(precision)
    if free is not None and free.any():
        score, information = _without_free(score, information, free)
        precision = precision[~free]
    half = _root(information)
    # eigenvalues of half (K + S)^-1 half, which are those of 1 - A^1/2 S A^1/2 where K has full rank
    joint = information + np.diag(precision)
    shares = np.clip(np.linalg.eigvalsh(half @ np.linalg.pinv(joint, hermitian=True) @ half), 0.0, 1.0)
    statistic = float(score @ np.linalg.pinv(joint, hermitian=True) @ score)
    degrees = float(shares.sum())
    p_value = mixture_tail(statistic, shares) if degrees > LEAST_DEGREES else float("nan")
    return NoEffectTest(degrees, max(statistic, 0.0), p_value)


def _without_free(score: Float64Array, information: Float64Array, free: BoolArray) -> tuple[Float64Array, Float64Array]:
    """Return score and information of the weights that are not free, at the maximum over the free ones."""
    tested = ~free
    across = information[np.ix_(tested, free)] @ np.linalg.pinv(information[np.ix_(free, free)], hermitian=True)
    return (
        score[tested] - across @ score[free],
        information[np.ix_(tested, tested)] - across @ information[np.ix_(free, tested)],
    )


def _root(matrix: Float64Array) -> Float64Array:
    """Return the symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, TINY))) @ vectors.T)
