"""Structured recalibration: temperature, vector, matrix and bias, each part with a strength of its own.

With log-probabilities l of a row, bounded below by `LEAST_LOG`, the recalibrated logits are

    (t I + diag(v) + M) l + b + c curve(l),   sum v = 0,   diag(M) = 0,   curve(l) = -log(1 - l).

The fit minimises the mean cross-entropy plus `(a (t - 1)^2 + s ||v||^2 + m ||M||^2 + s ||b||^2 + k c^2) / (2 n)`, which
is a softmax regression on log-probabilities with a Gaussian prior around the identity. By default `s = 2 q f` and
`m = 2 q (q - 1) f`: the more weights a part has, the stronger its penalty. The factor f is chosen by leave-one-out
losses. With f = 1, no curve and t fixed at the optimum of temperature scaling, this is the structured matrix scaling of
Berta et al. (SMS), and without M their structured vector scaling (SVS).

References
----------
Berta, Holzmueller, Jordan and Bach (2025), Structured matrix scaling for multi-class calibration, arXiv:2511.03685.
"""

from __future__ import annotations

import numpy as np

from softreg.models.calibration.maps.map_designs import MatrixDesign
from softreg.models.calibration.maps.newton_fit import ARMIJO, SHORTEST, STEPS, TOLERANCE, NewtonFit, fit_map
from softreg.models.calibration.maps.structured_map import (
    CURVE_STRENGTH,
    TEMPERATURE_STRENGTH,
    HeldOutFit,
    StructuredMap,
    bounded_logs,
)
from softreg.models.calibration.maps.two_classes import fit_two_classes
from softreg.models.calibration.maps.vector_fit import fit_vector
from softreg.optimize.certificate.self_concordance import self_concordant_gap
from softreg.probability import log_softmax
from softreg.typing import Float64Array, IntArray

FACTORS = (3.0, 0.3)
"""Factors of the strengths that are compared, strongest first."""
MOST_MIXED = 31
"""Largest number of classes of the matrix part; its Hessian has (q (q + 1))^2 numbers."""
MOST_WORK = 2e10
"""Largest n (q (q + 1))^2 of the matrix part: multiplications of a Hessian, about a second."""


def mixes(n: int, q: int) -> bool:
    """Return True if the matrix part of so many rows and classes is fitted.

    Parameters
    ----------
    n, q : int
        Rows and classes.

    Returns
    -------
    bool
        Whether q and the work are small enough.

    Examples
    --------
    >>> mixes(1000, 10), mixes(1000, 1000)
    (True, False)
    """
    return q <= MOST_MIXED and n * float(q * (q + 1)) ** 2 <= MOST_WORK


def penalty_matrix(q: int, factor: float, curved: bool) -> Float64Array:
    """Return the matrix of the penalty for the parameters of `MatrixDesign`.

    Parameters
    ----------
    q : int
        Classes.
    factor : float
        Factor of the strengths of v, M, b and c.
    curved : bool
        Whether c is the last parameter.

    Returns
    -------
    ndarray of shape (p, p)
        The penalty is half its quadratic form, divided by n.

    Examples
    --------
    >>> penalty_matrix(2, 1.0, curved=False).diagonal().tolist()
    [2.25, 4.0, 4.0, 4.0, 2.25, 4.0]
    """
    strength = np.full((q, q + 1), 2.0 * q * (q - 1) * factor)
    strength[:, q] = 2.0 * q * factor
    matrix = np.diag(np.append(strength.ravel(), np.full(int(curved), CURVE_STRENGTH * factor)))
    k = np.arange(q)
    scales = k * (q + 1) + k
    matrix[np.ix_(scales, scales)] = 2.0 * q * factor * (np.eye(q) - 1 / q) + TEMPERATURE_STRENGTH / q**2
    return matrix


def fit_structured(
    P: Float64Array,
    y: IntArray,
    *,
    curved: bool = False,
    factor: float | None = None,
    start: StructuredMap | None = None,
    weights: Float64Array | None = None,
) -> HeldOutFit:
    """Fit structured scaling, with the strength of the smallest leave-one-out loss.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Positive probabilities.
    y : ndarray of shape (n,)
        Class codes.
    curved : bool, default False
        Whether there is a curve; only with the matrix part.
    factor : float, optional
        Factor of the strengths; by default the better of `FACTORS`.
    start : StructuredMap, optional
        Map to begin with; the minimum does not depend on it.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

    Returns
    -------
    HeldOutFit
        The map, with leave-one-out losses. Where there are too many classes for the matrix part (`mixes`), it has a
        scale and a bias for each class.

    Examples
    --------
    >>> from softreg.probability import softmax
    >>> random = np.random.default_rng(0)
    >>> o = random.normal(size=(500, 3))
    >>> y = np.array([random.choice(3, p=p) for p in softmax(o)])
    >>> fit = fit_structured(np.asarray(softmax(2 * o)), y).fitted
    >>> float(np.diag(fit.W).mean().round(1)), fit.gap < 1e-8
    (0.5, True)
    """
    q = P.shape[1]
    factors = FACTORS if factor is None else (factor,)
    if q == 2:
        method = "curved" if curved else "structured"
        return fit_two_classes(P, y, [method], factors, weights)[method]
    L, fits = bounded_logs(P), list[NewtonFit]()
    if not mixes(*P.shape):
        scale = float((fit_temperature(P, y, weights).fitted if start is None else start).W[0])
        fits = [fit_vector(L, y, 2.0 * q * f, scale, weights) for f in factors]
        best = _least_loss(fits, weights)
        scales, bias = fits[best].theta.reshape(2, q)
        return HeldOutFit(StructuredMap(scales, bias, 0.0, fits[best].gap, factors[best]), fits[best].losses)
    design = MatrixDesign(L, curved)
    theta = design.center if start is None else design.joined(start.W, start.b, start.c)
    for f in factors:
        fits.append(fit_map(design, y, design.center, penalty_matrix(q, f, curved), theta, weights))
        theta = fits[-1].theta
    best = _least_loss(fits, weights)
    W, b, c = design.split(fits[best].theta)
    return HeldOutFit(StructuredMap(W, b, c, fits[best].gap, factors[best]), fits[best].losses)


def _least_loss(fits: list[NewtonFit], weights: Float64Array | None) -> int:
    """Return the number of the fit with the least mean leave-one-out loss."""
    return min(range(len(fits)), key=lambda k: float(np.average(fits[k].losses, weights=weights)))


def fit_temperature(P: Float64Array, y: IntArray, weights: Float64Array | None = None) -> HeldOutFit:
    """Fit a temperature, with leave-one-out losses.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Positive probabilities.
    y : ndarray of shape (n,)
        Class codes.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

    Returns
    -------
    HeldOutFit
        The map with one scale.

    Examples
    --------
    >>> P = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]] * 50)
    >>> fit_temperature(P, np.array([0, 0, 1, 1] * 50)).fitted.W.round(2)
    array([0.5, 0.5])
    """
    L, n, q = bounded_logs(P), len(y), P.shape[1]
    scale, (value, residual, variance) = 1.0, _moments(L, y, 1.0, weights)
    for _ in range(STEPS):
        curvature = float(variance.sum()) + TEMPERATURE_STRENGTH
        slope = float(residual.sum()) + TEMPERATURE_STRENGTH * (scale - 1)
        decrement, length = slope**2 / curvature, 1.0
        if decrement <= 2 * TOLERANCE * n:
            break
        while True:
            after = _moments(L, y, scale - length * slope / curvature, weights)
            if after[0] <= value - ARMIJO * length * decrement:
                break
            length /= 2
            if length < SHORTEST:
                break
        scale, (value, residual, variance) = scale - length * slope / curvature, after
    spread = float((L.max(axis=1) - L.min(axis=1)).max()) * np.sqrt(n / curvature)
    gap = self_concordant_gap(float(np.sqrt(decrement / n)), spread)
    without = L * (scale + residual / (curvature - variance))[:, None]
    losses = np.asarray(-log_softmax(without)[np.arange(n), y], dtype=np.float64)
    return HeldOutFit(StructuredMap(np.full(q, scale), np.zeros(q), 0.0, gap), losses)


def _moments(
    L: Float64Array, y: IntArray, scale: float, weights: Float64Array | None
) -> tuple[float, Float64Array, Float64Array]:
    """Return n times the objective of a temperature, and weighted slope (n,) and curvature (n,) of each row's loss."""
    o = scale * L
    o -= o.max(axis=1, keepdims=True)
    own = o[np.arange(len(y)), y]
    P = np.exp(o)
    mass = P.sum(axis=1)
    mean = np.einsum("nq,nq->n", P, L) / mass
    variance = np.maximum(np.einsum("nq,nq,nq->n", P, L, L) / mass - mean**2, 0.0)
    losses, slope = np.log(mass) - own, mean - L[np.arange(len(y)), y]
    if weights is not None:
        losses, slope, variance = losses * weights, slope * weights, variance * weights
    return float(losses.sum()) + TEMPERATURE_STRENGTH / 2 * (scale - 1) ** 2, slope, variance
