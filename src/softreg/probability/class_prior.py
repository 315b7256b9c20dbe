"""Prior shift: adjust probabilities to other class rates, and estimate the class rates of unlabelled rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.check_distributions import check_probabilities

RATE_TOLERANCE = 1e-10
"""Largest change of a rate in the last EM step."""
MAX_STEPS = 10_000
"""Largest number of EM steps."""


def shift_rates(P: ArrayLike, before: ArrayLike, after: ArrayLike) -> NDArray[np.float64]:
    """Return the probabilities under other class rates, by Bayes' rule with unchanged class-conditional densities.

    `P'_ik = P_ik after_k / before_k / sum_l P_il after_l / before_l`

    Parameters
    ----------
    P : array_like of shape (n, q)
        Probabilities under the rates `before`.
    before : array_like of shape (q,)
        Class rates of the training rows.
    after : array_like of shape (q,)
        Class rates of the rows to predict.

    Returns
    -------
    ndarray of float64 of shape (n, q)
        Probabilities under the rates `after`.

    Raises
    ------
    ValueError
        For rates or rows that are no distributions, for a class of rate 0 in `before` with a positive probability, and
        for a row whose classes all have rate 0 in `after`.

    References
    ----------
    Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities" (2002).

    Examples
    --------
    >>> shift_rates([[0.5, 0.5]], [0.5, 0.5], [0.9, 0.1])
    array([[0.9, 0.1]])
    """
    P, before, after = _checked(P, before, after)
    weighted = P * _ratio(P, before, after)
    mass = weighted.sum(axis=1, keepdims=True)
    if (mass <= 0).any():
        row = int(np.argmax(mass[:, 0] <= 0))
        raise ValueError(
            f"row {row} of P gives all its mass to classes whose new rate is 0, so no class is left for it."
        )
    return np.asarray(weighted / mass)


def estimate_rates(P: ArrayLike, before: ArrayLike) -> NDArray[np.float64]:
    """Estimate the class rates of unlabelled rows from calibrated probabilities, by maximum likelihood with EM.

    Maximises `sum_i log sum_k P_ik r_k / before_k` over rates r. Each EM step is the mean of the probabilities shifted
    to the current rates. The objective is concave, so the result does not depend on the start. Where the features
    discriminate poorly, the estimate from few rows has a large variance.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Calibrated probabilities under the rates `before`.
    before : array_like of shape (q,)
        Class rates of the training rows.

    Returns
    -------
    ndarray of float64 of shape (q,)
        Estimated class rates.

    Raises
    ------
    ValueError
        As `shift_rates`, and if there are no rows.

    References
    ----------
    Saerens, Latinne and Decaestecker (2002).

    Examples
    --------
    >>> P = np.array([[0.9, 0.1]] * 8 + [[0.1, 0.9]] * 2)
    >>> estimate_rates(P, [0.5, 0.5]).round(3)
    array([0.875, 0.125])
    """
    P, before, rates = _checked(P, before, before)
    if len(P) == 0:
        raise ValueError("there are no rows to estimate rates from; at least one is needed.")
    likelihood = P * _ratio(P, before, (before > 0).astype(np.float64))
    for _ in range(MAX_STEPS):
        weighted = likelihood * rates
        after = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        change = float(np.abs(after - rates).max())
        rates = after
        if change < RATE_TOLERANCE:
            break
    return np.asarray(rates / rates.sum())


def _ratio(P: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return after / before (q,), and 0 for a class of rate 0 before, whose probabilities must be 0."""
    impossible = (before <= 0) & (P > 0).any(axis=0)
    if impossible.any():
        k = int(np.argmax(impossible))
        raise ValueError(
            f"class {k} had the rate 0, but rows of P give it a probability above 0, so nothing is known of how its "
            "probability changes with its rate. Give it a rate above 0."
        )
    return np.divide(after, before, out=np.zeros_like(before), where=before > 0)


def _checked(
    P: ArrayLike, before: ArrayLike, after: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return probabilities (n, q) and rates (q,) before and after as checked float64 arrays."""
    P = np.asarray(check_probabilities(P), dtype=np.float64)
    rates = [
        np.asarray(check_probabilities(r, name=name), dtype=np.float64)
        for r, name in ((before, "before"), (after, "after"))
    ]
    if P.ndim != 2 or any(r.shape != (P.shape[1],) for r in rates):
        shapes = f"P {P.shape}, before {rates[0].shape}, after {rates[1].shape}"
        raise ValueError(f"P must be (n, q) and the rates (q,), one for each class; seen: {shapes}.")
    return P, rates[0], rates[1]
