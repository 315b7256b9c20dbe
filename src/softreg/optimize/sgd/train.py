"""Mini-batch stochastic gradient descent, for rows that arrive in batches and for teaching.

The gradient of a batch is the mean of `x (softmax(o) - y)^T`. The step is taken in running standardized coordinates
`z = (x - mean) / scale`, and expressed in those of the user:

    W <- W - eta * G / scale,   G = mean of z (softmax(o) - y)^T,   b such that the bias of z moves by -eta * mean of
    (softmax(o) - y),

so the unit and the origin of a column do not matter. The penalty is applied by its proximal step, which is stable for
any strength and scale.

A step takes an `SGDState` of plain arrays and numbers and returns another. The certified optimum is computed by
`minimise`; this method approximates it.

References
----------
Robbins and Monro (1951), A stochastic approximation method.
Bottou, Curtis and Nocedal (2018), Optimization methods for large-scale machine learning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from softreg.linalg import TINY
from softreg.optimize.sgd.running_moments import SGDState, begin, coordinates, update_moments
from softreg.optimize.sgd.standardized_batch import StandardizedBatch
from softreg.probability import block_loss as loss
from softreg.rows import one_blas_thread
from softreg.typing import Array, Float64Array, Matrix

SCHEDULES = ("cosine", "constant", "inverse_sqrt")
RATE_FACTOR = 16.0
"""The automatic learning rate, in units of the safe rate `2 / (mean ||z||^2 + 1)`.

Correlated columns allow far more than the safe rate, and `_max_step` limits the batches that do not. Measured on
digits, 30 epochs, batches of 64: 1 leaves 0.17 nats, 4 leaves 0.055, 16 leaves 0.013, and 64 leaves 0.006 but is
limited at two batches of three. Momentum, and averaged iterates with the cosine schedule, gained nothing.
"""
SAFE_RATE = 2.0
"""The safe rate times the mean squared norm of a row: softmax's curvature is at most `||z||^2 / 2`."""
FULL_STEP_ROWS = 32
"""Rows of a batch from which the full step is taken; smaller batches have noisier gradients."""
MOMENT_ROWS = 4096
"""Rows of the batches from which `train` takes the moments of the columns."""
DEFAULT_PATIENCE = 100.0
"""Patience of the default `inverse_sqrt` schedule of `epoch`."""
MAX_LOGIT_CURVATURE = 0.5
"""Upper bound of `diag(p) - p p^T` (Böhning 1992)."""


@dataclass(frozen=True)
class StochasticSolution:
    """The weights after training, the loss of each epoch, and the state to continue from."""

    W: Float64Array
    """Weights (d, q)."""
    b: Float64Array
    """Bias (q,)."""
    loss_curve: tuple[float, ...]
    """Mean loss of each epoch in nats, of each row before the step of its batch."""
    state: SGDState


Schedule = Callable[[int], float]
"""The share of the full learning rate, in 0..1, at a step number."""
Batch = tuple[Matrix, Array, Float64Array]
"""Rows, their labels and their weights."""


def constant(step: int) -> float:
    """Return the full rate at every step.

    Parameters
    ----------
    step
        The number of the step, from 0.

    Returns
    -------
    float
        1.0.

    Examples
    --------
    >>> constant(1000)
    1.0
    """
    return 1.0


def inverse_sqrt(patience: float) -> Schedule:
    """Return the schedule `1 / sqrt(1 + step / patience)`, for streams of unknown length.

    Parameters
    ----------
    patience
        Steps after which the rate has fallen to `1 / sqrt(2)`.

    Returns
    -------
    Schedule
        A function of the step number.

    Examples
    --------
    >>> inverse_sqrt(100)(300)
    0.5
    """
    return lambda step: float(1 / np.sqrt(1 + step / patience))


def cosine(total: int) -> Schedule:
    """Return half a cosine wave, from 1 down to almost 0 at the last of `total` steps (Loshchilov and Hutter 2017).

    Parameters
    ----------
    total
        Steps of the whole training.

    Returns
    -------
    Schedule
        A function of the step number.

    Examples
    --------
    >>> round(cosine(10)(5), 12)
    0.5
    """
    return lambda step: float(0.5 * (1 + np.cos(np.pi * min(step, total) / total)))


def epoch(
    state: SGDState,
    X: Matrix,
    Y: Array,
    V: Array | None = None,
    *,
    strength: float = 1e-4,
    l1_ratio: float = 0.0,
    batch_size: int = 64,
    learning_rate: float | str = "auto",
    schedule: Schedule | None = None,
    fit_intercept: bool = True,
    seed: int | None = None,
) -> tuple[SGDState, float]:
    """Train for one pass over some rows.

    Parameters
    ----------
    state
        The state before the pass.
    X
        Rows (n, d), dense or CSR.
    Y
        Codes (n,) or label probabilities (n, q).
    V
        Row weights (n,), not negative; None for ones. Rows of weight 0 do not count.
    strength, l1_ratio
        The penalty, as for `train`.
    batch_size
        Largest number of rows in a batch; batches differ in size by at most one row.
    learning_rate
        As for `train`.
    schedule
        Share of the learning rate at each step; None for `inverse_sqrt(100)`.
    fit_intercept
        Whether there is a bias.
    seed
        Seed of the order of the rows; None keeps their order.

    Returns
    -------
    state : SGDState
        The state after the pass.
    loss : float
        Mean loss in nats of each row before the step of its batch; nan if all weights are 0.

    Raises
    ------
    ValueError
        For no rows, shapes that do not fit, codes outside 0 .. q - 1, or a learning rate that is not positive.

    Examples
    --------
    >>> X, y = np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, 0, 1, 1])
    >>> state, first = epoch(begin(1, 2), X, y, batch_size=2, seed=0)
    >>> state, second = epoch(state, X, y, batch_size=2, seed=1)
    >>> second < first
    True
    """
    X, Y = _checked(state, X, Y, V, batch_size)
    _rate(learning_rate, 1, 1)
    step = _Step(strength, l1_ratio, learning_rate, schedule or inverse_sqrt(DEFAULT_PATIENCE), fit_intercept)
    random = None if seed is None else np.random.default_rng(seed)
    return step.through(state, _batches(X, Y, V, batch_size, random), running=True)


def train(
    X: Matrix,
    Y: Array,
    n_classes: int | None = None,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    learning_rate: float | str = "auto",
    schedule: str = "cosine",
    strength: float = 1e-4,
    l1_ratio: float = 0.0,
    seed: int = 0,
    V: Array | None = None,
    fit_intercept: bool = True,
) -> StochasticSolution:
    """Train by shuffled mini-batches, to approximate the minimum of mean cross-entropy + penalty.

    The penalty is `strength * (l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||^2)`. The moments of the columns are
    computed once, before the first epoch. The same seed gives the same bits.

    Parameters
    ----------
    X
        Rows (n, d), dense or CSR.
    Y
        Codes (n,), with `n_classes`, or label probabilities (n, q).
    n_classes
        Number of classes q.
    epochs
        Passes over the rows.
    batch_size
        Largest number of rows in a batch.
    learning_rate
        Longest step in units of the standardized columns. "auto" is `16 * 2 / (d' + 1)` for d' columns that are not
        constant: d' + 1 is the mean squared norm of a standardized row with its 1 for the bias, and 2 over it the step
        that softmax's curvature, at most `||z||^2 / 2`, allows in any direction. Batches of fewer than 32 rows take
        proportionally shorter steps. No step is longer than the curvature of its batch allows.
    schedule
        "cosine", "constant" or "inverse_sqrt".
    strength
        Strength of the penalty.
    l1_ratio
        Share of the l1 part, 0 to 1.
    seed
        Seed of the order of the rows.
    V
        Row weights (n,), not negative; None for ones.
    fit_intercept
        Whether there is a bias.

    Returns
    -------
    StochasticSolution
        Weights, bias and the loss of each epoch.

    Raises
    ------
    ValueError
        As `epoch`, and for an unknown schedule, fewer than one epoch, or codes without `n_classes`.

    Examples
    --------
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1])
    >>> fit = train(X, y, 2, epochs=50, batch_size=2, strength=0.1)
    >>> fit.loss_curve[-1] < fit.loss_curve[0]
    True
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule={schedule!r} is not one of {', '.join(SCHEDULES)}")
    if epochs < 1:
        raise ValueError(f"epochs={epochs} must be at least 1: an epoch is one pass over the rows")
    if Y.ndim == 1 and n_classes is None:
        raise ValueError("labels given as codes need n_classes: the number of classes cannot be read off them")
    state = begin(X.shape[1], Y.shape[1] if n_classes is None else n_classes)
    X, Y = _checked(state, X, Y, V, batch_size)
    for x, _, v in _batches(X, Y, V, MOMENT_ROWS, None):
        state = update_moments(state, x, v, fit_intercept)
    steps = -(-X.shape[0] // batch_size)
    share = {"constant": constant, "inverse_sqrt": inverse_sqrt(steps), "cosine": cosine(epochs * steps)}[schedule]
    step = _Step(strength, l1_ratio, learning_rate, share, fit_intercept)
    random, curve = np.random.default_rng(seed), []
    for _ in range(epochs):
        state, mean_loss = step.through(state, _batches(X, Y, V, batch_size, random), running=False)
        curve.append(mean_loss)
    return StochasticSolution(state.W, state.b, tuple(curve), state)


@dataclass(frozen=True)
class _Step:
    """The settings of a step; calling it takes a step for one batch."""

    strength: float
    l1_ratio: float
    learning_rate: float | str
    schedule: Schedule
    fit_intercept: bool

    def through(self, state: SGDState, batches: Iterator[Batch], running: bool) -> tuple[SGDState, float]:
        """Take a step for each batch; return the state and the mean loss. `running` updates the moments as well."""
        total = weight = 0.0
        with one_blas_thread():  # products this small lose more by sharing the work than they gain
            for X, Y, V in batches:
                state = update_moments(state, X, V, self.fit_intercept) if running else state
                state, batch_loss = self(state, X, Y, V)
                total, weight = total + batch_loss, weight + float(V.sum())
        return state, total / weight if weight > 0 else float("nan")

    def __call__(self, state: SGDState, X: Matrix, Y: Array, V: Float64Array) -> tuple[SGDState, float]:
        """Take a step down the mean loss of these rows; return the state and their summed loss before it."""
        mass = float(V.sum())
        if mass == 0:
            return state, 0.0
        batch = StandardizedBatch(X, coordinates(state, self.fit_intercept), state.W.shape[1])
        c = state.b + batch.centre @ state.W
        losses, R = loss.loss_and_residual((batch.products(state.W) + c).T[None], Y, V[None])
        R = R[0].T / mass
        r = R.sum(axis=0)
        g = r if self.fit_intercept else np.zeros_like(r)
        relative_weight = max(mass / len(V) * (state.rows / state.weight), TINY)  # of this batch to an average one
        rate = _rate(self.learning_rate, int(batch.varies.sum()) + 1, len(V)) * self.schedule(state.steps)
        eta = min(rate, _max_step(batch, R, g, V / mass) / relative_weight)
        W = np.empty_like(state.W)
        for columns, G in batch.gradient(R):
            scale = batch.scale[columns, None]
            W[columns] = self._prox(state.W[columns] - eta * relative_weight * G / scale, eta, scale)
        b = c - eta * relative_weight * g - batch.centre @ W
        return replace(state, W=W, b=b, steps=state.steps + 1), float(losses[0])

    def _prox(self, W: Float64Array, eta: float, scale: Float64Array) -> Float64Array:
        """Return `argmin_w (w - W)^2 scale^2 / (2 eta) + penalty(w)`: soft threshold, then shrinkage."""
        with np.errstate(over="ignore"):  # a column in tiny units: its weight is huge, and the penalty makes it 0
            threshold = self.strength * self.l1_ratio * eta / scale / scale
            ridge = self.strength * (1 - self.l1_ratio) * eta / scale / scale
        return np.asarray(np.sign(W) * np.maximum(np.abs(W) - threshold, 0.0) / (1 + ridge) + 0.0)  # no -0


def _rate(learning_rate: float | str, squared_norm: float, rows: int) -> float:
    """Return the learning rate; raise `ValueError` where it is not a positive number or "auto"."""
    if learning_rate == "auto":
        return RATE_FACTOR * SAFE_RATE / squared_norm * min(1.0, rows / FULL_STEP_ROWS)
    if isinstance(learning_rate, str) or not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate={learning_rate!r} is neither 'auto' nor a positive number")
    return float(learning_rate)


def _max_step(batch: StandardizedBatch, R: Float64Array, g: Float64Array, share: Float64Array) -> float:
    """Return the step along the gradient that minimizes Böhning's (1992) quadratic upper bound of the batch's loss."""
    change, square = batch.gradient_products(R)
    change += g
    curvature = MAX_LOGIT_CURVATURE * float(share @ np.einsum("ij,ij->i", change, change))
    return float((square + g @ g) / curvature) if curvature > 0 else float("inf")


def _batches(X: Matrix, Y: Array, V: Array | None, size: int, random: np.random.Generator | None) -> Iterator[Batch]:
    """Yield batches of at most `size` rows, equal to within one row: shuffled, or in the order given."""
    n = X.shape[0]
    order = np.arange(n) if random is None else random.permutation(n)
    for index in np.array_split(order, -(-n // size)):
        yield X[index], Y[index], np.ones(len(index)) if V is None else V[index].astype(np.float64)


def _checked(state: SGDState, X: Matrix, Y: Array, V: Array | None, batch_size: int) -> tuple[Matrix, Array]:
    """Return rows that can be indexed, in canonical CSR where they are sparse; raise `ValueError` for wrong input."""
    (d, q), n = state.W.shape, X.shape[0]
    if n == 0:
        raise ValueError("there are no rows to train on: X has shape (0, ...)")
    if X.shape[1] != d:
        raise ValueError(f"X has {X.shape[1]} columns, but the model started with {d}")
    if Y.shape not in ((n,), (n, q)) or (V is not None and V.shape != (n,)):
        raise ValueError(
            f"X has {n} rows; labels of shape {Y.shape} and weights of shape {None if V is None else V.shape} "
            f"do not fit: expected codes ({n},) or label probabilities ({n}, {q}), and weights ({n},) or None"
        )
    if Y.ndim == 1 and (wrong := np.flatnonzero((Y < 0) | (q <= Y))).size:
        raise ValueError(f"row {wrong[0]} has the code {Y[wrong[0]]}, but the model has classes 0 to {q - 1}")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    if sp.issparse(X):
        X = X.tocsr()
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
    return X, Y
