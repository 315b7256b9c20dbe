"""The loss of softmax regression: cross-entropy on logits, its residual and curvature, and the likelihood.

Labels come as codes (one integer a row) or as label probabilities (one distribution a row); a code k is the
same as the one-hot row with its 1 at k.
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
    """Loss of each row: the expected surprisal of its label under the probabilities that its logits give.

    `CE(Y, o) = -sum_k Y_k log_softmax(o)_k = logsumexp(o) - sum_k Y_k o_k`

    Parameters
    ----------
    o : array_like
        Logits (..., q).
    Y : array_like
        Label probabilities (..., q), or codes (...).

    Returns
    -------
    ndarray
        (...) in nats, at least the entropy of the label, so at least 0. However wrong the logits are, the loss is as
        finite as their distance (a logit 1000 too low costs 1000); it is inf where the label gives mass to a class with
        logit -inf.

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
    """Return gradient of the cross-entropy with respect to the logits: predicted minus given probability.

    `R = softmax(o) - Y`

    Parameters
    ----------
    o : array_like
        Logits (..., q).
    Y : array_like
        Label probabilities (..., q), or codes (...).

    Returns
    -------
    ndarray
        (..., q); each row sums to 0, and each entry lies in -1..1.

    Raises
    ------
    ValueError
        As `cross_entropy_with_logits` does.

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
    at = Y[..., None]
    np.put_along_axis(R, at, np.take_along_axis(R, at, axis=-1) - 1, axis=-1)
    return R


def curvature(P: ArrayLike) -> FloatArray:
    """Second derivative of the cross-entropy with respect to the logits, whatever the label is.

    `C = diag(p) - p p^T`, whose diagonal `p_k (1 - p_k)` is taken as `sum_{j != k} p_k p_j`, so that a sure row keeps
    its digits and every row of C sums to 0

    Parameters
    ----------
    P : array_like
        Probabilities (..., q).

    Returns
    -------
    ndarray
        (..., q, q), symmetric and positive semi-definite; its null vector is the shift of all logits by a constant.

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
    """Probability that the model gives to all labels of a data set together, rows being independent.

    `L = prod_i P_{i, y_i}`, and for label probabilities Y `L = prod_i prod_k P_ik^Y_ik`, with 0^0 = 1

    Parameters
    ----------
    P : array_like
        Probabilities (..., q), of any number of rows.
    y : array_like
        Codes (...) or label probabilities (..., q).

    Returns
    -------
    float
        A number in 0..1; 1 for no rows. It falls exponentially with the number of rows: a thousand rows at 0.4 each
        make 1e-398, which is less than the smallest float (5e-324) and comes out as 0. That is why one computes with
        its logarithm, see `negative_log_likelihood`.

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
    """Surprisal of all labels of a data set together: minus the logarithm of the likelihood.

    `NLL = -log L = sum_i H(Y_i, P_i)`, the summed cross-entropy, so the most likely model is the one of least loss

    Parameters
    ----------
    P : array_like
        Probabilities (..., q), of any number of rows.
    y : array_like
        Codes (...) or label probabilities (..., q).

    Returns
    -------
    float
        Nats, from 0 to inf (inf where a label has mass on a class of probability 0); 0 for no rows. Summed in float64.

    Raises
    ------
    ValueError
        As `likelihood` does.

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
    """Cross-entropy of each row from probabilities: the expected surprisal of its label, in nats.

    Parameters
    ----------
    P : array_like
        (..., q);
    y : array_like
        Codes (...) or label probabilities (..., q).

    Returns
    -------
    ndarray
        (...).

    Raises
    ------
    ValueError
        As `likelihood` does.

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
