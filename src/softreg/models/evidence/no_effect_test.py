"""Test that the weights of a penalised term are zero, from the Gaussian approximation at the optimum.

With information I of the rows and precision S of the penalty, C = (I + S)^-1 is the posterior covariance of all
weights. For the weights w of a term, let A be its block of C and S_t that of S. The other weights integrated out under
their priors, `K = A^-1 - S_t` is the information about w, and `b = A^-1 w^` the score at w = 0, whose distribution
under the null hypothesis is normal with mean 0 and covariance K. The statistic

    T = b^T A b = w^T A^-1 w

is, up to a constant, twice the logarithm of the ratio of the marginal likelihoods with and without the term at the
given strengths: among all tests it has the largest power against weights drawn from the prior of the term. Under the
null hypothesis, and for strengths that do not depend on the labels, it is distributed as `sum_i f_i X_i` with
independent X_i, chi-squared with one degree of freedom, where f_i are the eigenvalues of `1 - A^1/2 S_t A^1/2`, between
0 and 1. Their sum, the mean of T, is the number of effective degrees of freedom of the term. Without a penalty it is
Wald's test.

Strengths that the same labels chose are large where the labels happen to show no effect, and small where they happen to
show one, so that T is too often large. K and b do not depend on S_t: the statistic `b^T (K + R)^-1 b` with another
precision R that does not depend on the labels, but for the probabilities at which K is evaluated, has a known
distribution as well. `Reference` takes multiples of the
precision of each part of the term at which the part has the root of its number of weights as effective degrees of
freedom for each contrast of the classes.

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
from softreg.typing import BoolArray, Float64Array, IntArray

LEAST_DEGREES = 1e-6
"""Effective degrees of freedom below which there is nothing to test: the penalty alone determines the weights."""
LOG_MULTIPLES = (-40.0, 40.0)
"""Interval of the logarithm of the multiple of a precision in which that of the reference is searched."""
HALVINGS = 60
"""Halvings of this interval."""
LEAST_INFORMATION = 1e-9
"""Information about a direction, relative to the largest one, below which the rows say nothing about it."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Parts of a term whose precision in the test does not depend on the labels.

    Attributes
    ----------
    part : array of int (p,)
        Part of each weight.
    shape : array of float64 (p,)
        Precision of each weight, up to a factor for each part; 0 for a weight without a penalty.
    contrasts : int
        Contrasts of the classes, each of which has p / `contrasts` of the weights.
    """

    part: IntArray
    shape: Float64Array
    contrasts: int

    def take(self, kept: BoolArray) -> Reference:
        """Return the reference of some of the weights."""
        return Reference(self.part[kept], self.shape[kept], self.contrasts)

    def precision(self, information: Float64Array) -> Float64Array:
        """Return the precision (p,) of each weight.

        Parameters
        ----------
        information : array of float64 (p, p)
            Information about the weights.

        Returns
        -------
        array of float64 (p,)
            Multiples of `shape` at which m weights a contrast have sqrt(m) effective degrees of freedom a contrast; 0
            where the rows do not say more than that.
        """
        found = np.zeros(len(self.part))
        for part in np.unique(self.part):
            of_part = (self.part == part) & (self.shape > 0)
            root = np.sqrt(self.shape[of_part])
            scaled = information[np.ix_(of_part, of_part)] / np.outer(root, root)
            values = np.maximum(np.linalg.eigvalsh(scaled), 0.0) if of_part.any() else np.zeros(0)
            target = np.sqrt(self.contrasts * len(values))  # contrasts * sqrt(len(values) / contrasts)
            if (values > LEAST_INFORMATION * values.max(initial=0.0)).sum() > target:
                found[of_part] = np.exp(_log_multiple(values, target)) * self.shape[of_part]
        return found


def _log_multiple(values: Float64Array, degrees: float) -> float:
    """Return the logarithm of the precision at which eigenvalues have these effective degrees of freedom."""
    low, high = LOG_MULTIPLES
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if (values / (values + np.exp(middle))).sum() > degrees:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True)
class NoEffectTest:
    """A test that the weights of a term are zero.

    Attributes
    ----------
    degrees : float
        Effective degrees of freedom with the precision of the penalty.
    null_mean : float
        Mean of the statistic under the null hypothesis: the effective degrees of freedom with the precision of the
        test.
    statistic : float
        The statistic.
    p_value : float
        Probability of a statistic at least this large under the null hypothesis; nan where the penalty alone determines
        the weights.
    """

    degrees: float
    null_mean: float
    statistic: float
    p_value: float


def no_effect_test(
    estimate: Float64Array,
    covariance: Float64Array,
    precision: Float64Array,
    free: BoolArray | None = None,
    reference: Reference | None = None,
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
    reference : Reference, optional
        Precision of the test, for strengths that the same labels chose; that of the penalty by default.

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
        precision, reference = precision[~free], None if reference is None else reference.take(~free)
    half = _root(information)
    shares, statistic = _quadratic_form(score, information, half, precision)
    degrees = float(shares.sum())
    if reference is not None:
        shares, statistic = _quadratic_form(score, information, half, reference.precision(information))
    null_mean = float(shares.sum())
    p_value = mixture_tail(statistic, shares) if null_mean > LEAST_DEGREES else float("nan")
    return NoEffectTest(degrees, null_mean, statistic, p_value)


def _quadratic_form(
    score: Float64Array, information: Float64Array, half: Float64Array, precision: Float64Array
) -> tuple[Float64Array, float]:
    """Return the weights of the distribution with a precision S, and the statistic; `half` is the root of K.

    Returns
    -------
    array of float64 (p,)
        The eigenvalues of `K^1/2 (K + S)^-1 K^1/2`, which are those of 1 - A^1/2 S A^1/2 where K has full rank.
    float
        The statistic.
    """
    inverse = np.linalg.pinv(information + np.diag(precision), hermitian=True)
    shares = np.clip(np.linalg.eigvalsh(half @ inverse @ half), 0.0, 1.0)
    return shares, max(float(score @ inverse @ score), 0.0)


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
