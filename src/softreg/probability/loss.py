"""Loss of softmax regression: cross-entropy on logits, its gradient and curvature, and the likelihood.

Labels are codes (one integer for each row) or label probabilities (one distribution for each row); a code k is
equivalent to the one-hot row with its 1 at k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from softreg.probability.check_distributions import as_float, check_probabilities
from softreg.probability.information import cross_entropy, surprisal
from softreg.probability.labels import codes_or_probabilities, label_probabilities
from softreg.probability.stable_softmax import log_softmax, softmax
from softreg.typing import FloatArray


def cross_entropy_with_logits(o: ArrayLike, Y: ArrayLike) -> FloatArray:
    """Return the cross-entropy of each row: the expected surprisal of its label under the softmax of its logits.

    `CE(Y, o) = -sum_k Y_k log_softmax(o)_k = logsumexp(o) - sum_k Y_k o_k`

    Parameters
    ----------
    o : array_like of shape (..., q)
        Logits.
    Y : array_like of shape (...) or (..., q)
        Codes or label probabilities.

    Returns
    -------
    ndarray of shape (...)
        Loss in nats, at least the entropy of the label. It is finite for finite logits (a logit 1000 too low costs
        1000), and inf where the label gives mass to a class with logit -inf.

    Raises
    ------
    ValueError
        For nan or +inf among the logits, for label rows that are no distributions, for codes outside 0 .. q - 1 and for
        shapes that do not fit.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning" (2006), equation 4.108.

    Examples
    --------
    >>> print(cross_entropy_with_logits([[0.0, 0.0], [0.0, 1000.0]], [1, 0]))
    [6.93147181e-01 1.00000000e+03]
    """
    o = as_float(o, "o")
    s = 0 - log_softmax(o)
    Y = codes_or_probabilities(Y, o)
    if Y.ndim < o.ndim:
        return np.take_along_axis(s, Y[..., None], axis=-1).squeeze(-1)[()]
    Y = Y.astype(o.dtype, copy=False)
    products = np.multiply(Y, s, where=Y > 0, out=np.zeros_like(s))  # 0 times inf is 0 here
    losses: FloatArray = products.sum(axis=-1)
    return losses


def residual(o: ArrayLike, Y: ArrayLike) -> FloatArray:
    """Return the gradient of the cross-entropy with respect to the logits: predicted minus given probability.

    `R = softmax(o) - Y`

    Parameters
    ----------
    o : array_like of shape (..., q)
        Logits.
    Y : array_like of shape (...) or (..., q)
        Codes or label probabilities.

    Returns
    -------
    ndarray of shape (..., q)
        Residuals in -1..1; each row sums to 0.

    Raises
    ------
    ValueError
        As `cross_entropy_with_logits`.

    References
    ----------
    Bishop (2006), equation 4.109.

    Examples
    --------
    >>> residual([[0.0, 0.0]], [1])
    array([[ 0.5, -0.5]])
    """
    o = as_float(o, "o")
    R = softmax(o)
    Y = codes_or_probabilities(Y, o)
    if Y.ndim == o.ndim:
        return R - Y.astype(o.dtype, copy=False)
    index = Y[..., None]
    np.put_along_axis(R, index, np.take_along_axis(R, index, axis=-1) - 1, axis=-1)
    return R


def curvature(P: ArrayLike) -> FloatArray:
    """Return the Hessian of the cross-entropy with respect to the logits, which does not depend on the label.

    `C = diag(p) - p p^T`, whose diagonal `p_k (1 - p_k)` is computed as `sum_{j != k} p_k p_j`, so that probabilities
    near 1 keep their digits and every row of C sums to 0

    Parameters
    ----------
    P : array_like of shape (..., q)
        Probabilities.

    Returns
    -------
    ndarray of shape (..., q, q)
        Symmetric and positive semi-definite matrices; the constant vector is in their null space.

    Raises
    ------
    ValueError
        For a row that is no distribution.

    References
    ----------
    Bishop (2006), equation 4.110.
    Böhning, "Multinomial logistic regression algorithm" (1992).

    Examples
    --------
    >>> curvature([0.5, 0.5])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    P = check_probabilities(P)
    C = -P[..., :, None] * P[..., None, :]
    k = np.arange(P.shape[-1])
    C[..., k, k] = 0
    C[..., k, k] = 0 - C.sum(axis=-1)
    return C


def likelihood(P: ArrayLike, y: ArrayLike) -> float:
    """Return the likelihood of all labels of a data set with independent rows.

    `L = prod_i P_{i, y_i}`, and for label probabilities Y `L = prod_i prod_k P_ik^Y_ik`, with 0^0 = 1

    Parameters
    ----------
    P : array_like of shape (..., q)
        Probabilities of any number of rows.
    y : array_like of shape (...) or (..., q)
        Codes or label probabilities.

    Returns
    -------
    float
        Likelihood in 0..1; 1 for no rows. It decreases exponentially with the number of rows and underflows to 0:
        1,000 rows at 0.4 give 1e-398, below the smallest float (5e-324). Use `negative_log_likelihood` for many rows.

    Raises
    ------
    ValueError
        For rows that are no distributions, codes outside 0 .. q - 1 and shapes that do not fit.

    References
    ----------
    Fisher, "On the mathematical foundations of theoretical statistics" (1922).

    Examples
    --------
    >>> print(likelihood([[0.5, 0.5], [0.25, 0.75]], [0, 1]))
    0.375
    """
    P = check_probabilities(P)
    Y = codes_or_probabilities(y, P)
    if Y.ndim < P.ndim:
        Y = label_probabilities(Y, n_classes=P.shape[-1])
    return float(np.prod(P.astype(np.float64) ** Y))


def negative_log_likelihood(P: ArrayLike, y: ArrayLike) -> float:
    """Return the negative log-likelihood of all labels of a data set.

    `NLL = -log L = sum_i H(Y_i, P_i)`, the summed cross-entropy

    Parameters
    ----------
    P : array_like of shape (..., q)
        Probabilities of any number of rows.
    y : array_like of shape (...) or (..., q)
        Codes or label probabilities.

    Returns
    -------
    float
        Nats, summed in float64, from 0 to inf (inf where a label has mass on a class of probability 0); 0 for no rows.

    Raises
    ------
    ValueError
        As `likelihood`.

    References
    ----------
    Bishop (2006), equation 4.108.

    Examples
    --------
    >>> print(round(negative_log_likelihood([[0.5, 0.5], [0.25, 0.75]], [0, 1]), 6))
    0.980829
    """
    return float(row_losses(P, y).sum(dtype=np.float64))


def row_losses(P: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return the cross-entropy of each row from probabilities.

    Parameters
    ----------
    P : array_like of shape (..., q)
        Probabilities.
    y : array_like of shape (...) or (..., q)
        Codes or label probabilities.

    Returns
    -------
    ndarray of shape (...)
        Loss in nats.

    Raises
    ------
    ValueError
        As `likelihood`.

    Examples
    --------
    >>> print(row_losses([[0.5, 0.5], [1.0, 0.0]], [0, 1]))
    [0.69314718        inf]
    """
    P = check_probabilities(P)
    Y = codes_or_probabilities(y, P)
    if Y.ndim < P.ndim:
        return surprisal(np.take_along_axis(P, Y[..., None], axis=-1).squeeze(-1))
    return cross_entropy(Y, P)
