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

from dataclasses import dataclass

import numpy as np

from softreg.models.calibration.map_designs import MatrixDesign, curve
from softreg.models.calibration.newton_fit import ARMIJO, SHORTEST, STEPS, TOLERANCE, NewtonFit, fit_map
from softreg.models.calibration.vector_fit import fit_vector
from softreg.optimize.certificate.self_concordance import self_concordant_gap
from softreg.probability import log_softmax, softmax
from softreg.typing import Float64Array, IntArray

LEAST_LOG = -30.0
"""Log-probabilities below this are raised to it: weights of numbers such as -700 would depend on few rows."""
FACTORS = (3.0, 0.3)
"""Factors of the strengths that are compared, strongest first."""
TEMPERATURE_STRENGTH = 1.0
"""Strength of the penalty of (t - 1)^2: one row's worth, so that t is finite where all rows are right."""
CURVE_STRENGTH = 4.0
"""Strength of the penalty of c^2, times the factor."""
MOST_MIXED = 31
"""Largest number of classes of the matrix part; its Hessian has (q (q + 1))^2 numbers."""
MOST_WORK = 2e10
"""Largest n (q (q + 1))^2 of the matrix part: multiplications of a Hessian, about a second."""


@dataclass(frozen=True, eq=False)
class StructuredMap:
    """The map `softmax(W l + b + c curve(l))` of log-probabilities l.

    Attributes
    ----------
    W : ndarray of shape (q, q) or (q,)
        Weights: row k has those of the logit of class k; or a scale for each class.
    b : ndarray of shape (q,)
        Bias of each class.
    c : float
        Weight of the curve.
    gap : float
        Certified upper bound, in nats, of the difference between the objective of the fit and its minimum.
    factor : float
        Factor of the strengths.

    Examples
    --------
    >>> StructuredMap(np.array([2.0, 2.0]), np.zeros(2)).apply(np.array([[0.8, 0.2]])).round(3)
    array([[0.941, 0.059]])
    """

    W: Float64Array
    b: Float64Array
    c: float = 0.0
    gap: float = 0.0
    factor: float = 1.0

    def apply(self, P: Float64Array) -> Float64Array:
        """Return recalibrated probabilities (n, q) of probabilities (n, q)."""
        L = bounded_logs(P)
        o = (L * self.W if self.W.ndim == 1 else L @ self.W.T) + self.b
        if self.c:
            o = o + self.c * curve(L)
        return np.asarray(softmax(o), dtype=np.float64)

    def shrunk(self, kept: float) -> StructuredMap:
        """Return the map between the identity (kept = 0) and this one (kept = 1)."""
        q = len(self.b)
        identity = np.ones(q) if self.W.ndim == 1 else np.eye(q)
        W = identity + kept * (self.W - identity)
        return StructuredMap(W, kept * self.b, kept * self.c, self.gap, self.factor)


@dataclass(frozen=True, eq=False)
class HeldOutFit:
    """A fitted map with the losses (n,) of its rows in nats, each without the row itself."""

    fitted: StructuredMap
    losses: Float64Array


def bounded_logs(P: Float64Array) -> Float64Array:
    """Return log-probabilities of at least `LEAST_LOG`.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Probabilities.

    Returns
    -------
    ndarray of shape (n, q)
        Log-probabilities.

    Examples
    --------
    >>> bounded_logs(np.array([[1.0, 0.0]])).tolist()
    [[0.0, -30.0]]
    """
    with np.errstate(divide="ignore"):
        return np.asarray(np.maximum(np.log(P), LEAST_LOG))


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

    Returns
    -------
    HeldOutFit
        The map, with leave-one-out losses. Where there are too many classes for the matrix part (`mixes`), it has a
        scale and a bias for each class.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> o = random.normal(size=(500, 3))
    >>> y = np.array([random.choice(3, p=p) for p in softmax(o)])
    >>> fit = fit_structured(np.asarray(softmax(2 * o)), y).fitted
    >>> float(np.diag(fit.W).mean().round(1)), fit.gap < 1e-8
    (0.5, True)
    """
    L, q = bounded_logs(P), P.shape[1]
    factors = FACTORS if factor is None else (factor,)
    if not mixes(*P.shape):
        scale = float((fit_temperature(P, y).fitted if start is None else start).W[0])
        vectors = [fit_vector(L, y, 2.0 * q * f, scale) for f in factors]
        best = min(range(len(factors)), key=lambda k: float(vectors[k].losses.mean()))
        scales, bias = vectors[best].theta.reshape(2, q)
        return HeldOutFit(StructuredMap(scales, bias, 0.0, vectors[best].gap, factors[best]), vectors[best].losses)
    design = MatrixDesign(L, curved)
    theta = design.center if start is None else design.joined(start.W, start.b, start.c)
    fits: list[NewtonFit] = []
    for f in factors:
        fits.append(fit_map(design, y, design.center, penalty_matrix(q, f, curved), theta))
        theta = fits[-1].theta
    best = min(range(len(factors)), key=lambda k: float(fits[k].losses.mean()))
    W, b, c = design.split(fits[best].theta)
    return HeldOutFit(StructuredMap(W, b, c, fits[best].gap, factors[best]), fits[best].losses)


def fit_temperature(P: Float64Array, y: IntArray) -> HeldOutFit:
    """Fit a temperature, with leave-one-out losses.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Positive probabilities.
    y : ndarray of shape (n,)
        Class codes.

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
    scale, (value, residual, variance) = 1.0, _moments(L, y, 1.0)
    for _ in range(STEPS):
        curvature = float(variance.sum()) + TEMPERATURE_STRENGTH
        slope = float(residual.sum()) + TEMPERATURE_STRENGTH * (scale - 1)
        decrement, length = slope**2 / curvature, 1.0
        if decrement <= 2 * TOLERANCE * n:
            break
        while (after := _moments(L, y, scale - length * slope / curvature))[0] > value - ARMIJO * length * decrement:
            length /= 2
            if length < SHORTEST:
                break
        scale, (value, residual, variance) = scale - length * slope / curvature, after
    spread = float((L.max(axis=1) - L.min(axis=1)).max()) * np.sqrt(n / curvature)
    gap = self_concordant_gap(float(np.sqrt(decrement / n)), spread)
    without = L * (scale + residual / (curvature - variance))[:, None]
    losses = np.asarray(-log_softmax(without)[np.arange(n), y], dtype=np.float64)
    return HeldOutFit(StructuredMap(np.full(q, scale), np.zeros(q), 0.0, gap), losses)


def _moments(L: Float64Array, y: IntArray, scale: float) -> tuple[float, Float64Array, Float64Array]:
    """Return n times the objective of a temperature, and slope (n,) and curvature (n,) of the loss of each row."""
    o = scale * L
    o -= o.max(axis=1, keepdims=True)
    own = o[np.arange(len(y)), y]
    P = np.exp(o)
    mass = P.sum(axis=1)
    mean = np.einsum("nq,nq->n", P, L) / mass
    variance = np.maximum(np.einsum("nq,nq,nq->n", P, L, L) / mass - mean**2, 0.0)
    value = float((np.log(mass) - own).sum()) + TEMPERATURE_STRENGTH / 2 * (scale - 1) ** 2
    return value, mean - L[np.arange(len(y)), y], variance
