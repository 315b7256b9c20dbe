"""Probabilities where classes have become more or less frequent, and nothing else about them has changed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.check_distributions import check_probabilities

NEAR = 1e-10
"""The estimate ends where no rate moves further in a step."""
STEPS = 10_000


def shift_rates(P: ArrayLike, before: ArrayLike, after: ArrayLike) -> NDArray[np.float64]:
    """Probabilities for other class rates, by Bayes' rule: what a row says about its class stays as it was.

    `P'_ik = P_ik after_k / before_k / sum_l P_il after_l / before_l`

    Parameters
    ----------
    P : array_like
        (n, q), under the rates `before` (q,), such as those of the training rows.
    after : array_like
        (q,).

    Returns
    -------
    ndarray of float64
        (n, q). A class of rate 0 before keeps its probability only if it is 0.

    Raises
    ------
    ValueError
        For rates or rows that are no distributions, and for a row that no class with a rate above 0 explains.

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
    """Return class rates of rows without labels, from calibrated probabilities: the most likely rates, found by EM.

    Maximises `sum_i log sum_k P_ik r_k / before_k` over rates r; each step is the mean of the probabilities shifted to
    the last rates.

    Parameters
    ----------
    P : array_like
        (n, q), under the rates `before` (q,).

    Returns
    -------
    ndarray of float64
        (q,). The objective is concave, so that the start does not matter; where the features tell little, few rows
        leave the rates open. The probabilities must be calibrated.

    Raises
    ------
    ValueError
        As `shift_rates` does, and for no rows.

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
    for _ in range(STEPS):
        weighted = likelihood * rates
        after = (weighted / weighted.sum(axis=1, keepdims=True)).mean(axis=0)
        moved = float(np.abs(after - rates).max())
        rates = after
        if moved < NEAR:
            break
    return np.asarray(rates / rates.sum())


def _ratio(P: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
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
    P = np.asarray(check_probabilities(P), dtype=np.float64)
    rates = [
        np.asarray(check_probabilities(r, name=name), dtype=np.float64)
        for r, name in ((before, "before"), (after, "after"))
    ]
    if P.ndim != 2 or any(r.shape != (P.shape[1],) for r in rates):
        shapes = f"P {P.shape}, before {rates[0].shape}, after {rates[1].shape}"
        raise ValueError(f"P must be (n, q) and the rates (q,), one for each class; seen: {shapes}.")
    return P, rates[0], rates[1]
