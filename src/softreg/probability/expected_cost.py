"""Decisions from probabilities: most likely class, threshold, least expected cost, and rejection."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.check_distributions import as_float, check_probabilities
from softreg.probability.labels import check_codes
from softreg.probability.stable_softmax import largest
from softreg.typing import FloatArray, IntArray


def most_likely(scores: ArrayLike, axis: int = -1) -> IntArray:
    """Return the code of the most likely class of each row, from probabilities or logits.

    `argmax_k p_k = argmax_k o_k`, because softmax keeps the order

    Parameters
    ----------
    scores : array_like of shape (..., q)
        Probabilities or logits with the classes on `axis`.
    axis : int, default -1
        Axis of the classes.

    Returns
    -------
    ndarray of int of shape (...)
        Codes; of equal scores, the first class. Logits may differ where their probabilities round to the same float.

    Raises
    ------
    ValueError
        For a row with nan or +inf, for a row of -inf only, and if there is no class.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning" (2006), section 1.5.1.

    Examples
    --------
    >>> most_likely([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])
    array([1, 0])
    """
    codes, _ = largest(as_float(scores, "scores"), axis, "scores")
    return codes.squeeze(axis)[()]


def above_threshold(P: ArrayLike, threshold: float, positive: int = 1) -> NDArray[np.bool_]:
    """Return whether the positive class has a probability above the threshold.

    `p_positive > threshold`

    Parameters
    ----------
    P : array_like of shape (..., q)
        Probabilities.
    threshold : float
        Threshold, between 0 and 1.
    positive : int, default 1
        Code of the positive class.

    Returns
    -------
    ndarray of bool of shape (...)
        False for a probability equal to the threshold: with two classes and 0.5, the decision is that of `most_likely`.
        For costs of a false alarm a and of a miss b, the threshold of least expected cost is a / (a + b).

    Raises
    ------
    ValueError
        For a row that is no distribution, and for a threshold or class outside its range.

    References
    ----------
    Elkan, "The foundations of cost-sensitive learning" (2001).

    Examples
    --------
    >>> above_threshold([[0.7, 0.3], [0.5, 0.5]], 0.25)
    array([ True,  True])
    """
    P = check_probabilities(P)
    code = int(check_codes(positive, P.shape[-1], "positive"))
    above: NDArray[np.bool_] = P[..., code] > _check_threshold(threshold)
    return above


def expected_cost(P: ArrayLike, cost: ArrayLike) -> FloatArray:
    """Return the expected cost of each possible decision for each row.

    `expected_cost_j = sum_k p_k cost_kj`

    Parameters
    ----------
    P : array_like of shape (..., q)
        Probabilities.
    cost : array_like of shape (q, k)
        `cost[true, decided]`: finite cost of the decision `decided` for a row of class `true`; gains are negative.
        Decisions need not be the classes: "ask a person" may be one.

    Returns
    -------
    ndarray of shape (..., k)
        Expected costs, in the unit of `cost`.

    Raises
    ------
    ValueError
        For a row that is no distribution, and for costs that are not finite or not of this shape.

    References
    ----------
    Bishop (2006), section 1.5.2.

    Examples
    --------
    >>> expected_cost([0.9, 0.1], [[0, 1], [20, 0]])
    array([2. , 0.9])
    """
    P = check_probabilities(P)
    return _expected_cost(P, cost).astype(P.dtype, copy=False)


def least_expected_cost(P: ArrayLike, cost: ArrayLike) -> IntArray:
    """Return the decision of least expected cost for each row.

    `argmin_j sum_k p_k cost_kj`

    Parameters
    ----------
    P : array_like of shape (..., q)
        Probabilities.
    cost : array_like of shape (q, k)
        Costs as in `expected_cost`.

    Returns
    -------
    ndarray of int of shape (...)
        Index of the decision, a column of `cost`; of equal costs, the first. With cost 0 on the diagonal and 1
        elsewhere it is the most likely class.

    Raises
    ------
    ValueError
        As `expected_cost`.

    References
    ----------
    Elkan (2001).
    Bishop (2006), section 1.5.2.

    Examples
    --------
    >>> least_expected_cost([[0.9, 0.1], [0.99, 0.01]], [[0, 1], [20, 0]])
    array([1, 0])
    """
    decided: IntArray = np.argmin(_expected_cost(check_probabilities(P), cost), axis=-1)
    return decided


def reject(P: ArrayLike, threshold: float) -> IntArray:
    """Return the code of the most likely class, or -1 (no decision) where its probability is below the threshold.

    `argmax_k p_k if max_k p_k >= threshold, else -1`

    Parameters
    ----------
    P : array_like of shape (..., q)
        Probabilities.
    threshold : float
        Least probability of a decision, between 0 and 1; at most 1/q rejects nothing.

    Returns
    -------
    ndarray of int of shape (...)
        Codes; of equal probabilities, the first class. -1 is not a class: `Classes.decode` refuses it.

    Raises
    ------
    ValueError
        For a row that is no distribution, and for a threshold outside 0..1.

    References
    ----------
    Chow, "On optimum recognition error and reject tradeoff" (1970).

    Examples
    --------
    >>> reject([[0.9, 0.1], [0.6, 0.4]], 0.8)
    array([ 0, -1])
    """
    P = check_probabilities(P)
    confident = P.max(axis=-1) >= _check_threshold(threshold)
    return np.where(confident, most_likely(P), -1)[()]


def _expected_cost(P: FloatArray, cost: ArrayLike) -> NDArray[np.float64]:
    """Return expected costs in float64, so that rounding of float32 probabilities does not decide between costs."""
    costs = np.asarray(as_float(cost, "cost"), dtype=np.float64)
    q = P.shape[-1]
    if costs.ndim != 2 or costs.shape[0] != q or costs.shape[1] == 0:
        raise ValueError(
            f"cost has shape {costs.shape}, but it needs a row for each of the {q} classes and a column "
            f"for each decision: cost[true, decided], shape ({q}, k)."
        )
    if not np.isfinite(costs).all():
        true, decided = (int(i) for i in np.argwhere(~np.isfinite(costs))[0])
        raise ValueError(
            f"cost[{true}, {decided}] is {costs[true, decided]}, but costs must be finite numbers; for "
            "a decision that must not happen, use a cost far above the others."
        )
    product: NDArray[np.float64] = P.astype(np.float64, copy=False) @ costs
    return product


def _check_threshold(threshold: float) -> float:
    """Return the threshold if it lies between 0 and 1."""
    if not 0 <= threshold <= 1:
        raise ValueError(
            f"threshold is {threshold}, but it is compared with a probability and must lie between 0 and 1."
        )
    return threshold
