"""Mini-batch gradient descent, for learners of the subject and for rows that arrive little by little.

Each batch of rows gives the textbook's gradient, the mean of `x (softmax(o) - y)^T`, and the weights go a little way
down it. The way is taken in running standardised coordinates `z = (x - mean) / scale`, and expressed in the user's:

    W <- W - eta * G / scale,   G = mean of z (softmax(o) - y)^T,   b such that the bias of z moves by -eta * mean of
    (softmax(o) - y),

so a column in metres trains as well as the same column in millimetres or counted from another origin. The penalty is
taken by its proximal step, which no strength and no scale can make unstable.

Nothing is hidden: a `State` goes in, another comes out, and it holds plain arrays and numbers. The exact optimum, with
proof, is the business of `minimise`; this comes close to it.

Robbins and Monro (1951), A stochastic approximation method; Bottou, Curtis and Nocedal (2018), Optimization methods for
large-scale machine learning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.optimize.sgd.running_moments import State, begin, coordinates, observe, standardised
from softreg.probability import blocks as loss
from softreg.rows import Array, one_blas_thread

SCHEDULES = ("cosine", "constant", "inverse_sqrt")
BOLD = 16.0
"""How many times the cautious rate `2 / (mean ||z||^2 + 1)` the automatic one is.

Correlated columns bear far more than the cautious rate, and `_longest` holds back the batches that do not. Measured on
digits, 30 epochs, batches of 64: 1 leaves 0.17 nats, 4 leaves 0.055, 16 leaves 0.013, and 64 leaves 0.006 but is held
back at two batches of three. Momentum, and averaged iterates beside the cosine, were measured too and gained nothing.
"""
SURE = 32
"""From this many rows on, a batch's gradient is sure enough for the full step."""


@dataclass(frozen=True)
class StochasticSolution:
    """What `train` returns: the weights, how the loss fell, and the state to go on from."""

    W: Array
    b: Array
    loss_curve: tuple[float, ...]
    """Mean loss of each epoch in nats, each row judged before it was learned from."""
    state: State


Schedule = Callable[[int], float]
"""The share of the full learning rate, in 0..1, at a step number."""
Batch = tuple[Any, Array, Array]
"""Rows, their labels and their weights."""


def constant(step: int) -> float:
    """The full rate at every step.

    Example:
        >>> constant(1000)
        1.0
    """
    return 1.0


def inverse_sqrt(patience: float) -> Schedule:
    """`1 / sqrt(1 + step / patience)`: for streams without an end.

    Example:
        >>> inverse_sqrt(100)(300)
        0.5
    """
    return lambda step: float(1 / np.sqrt(1 + step / patience))


def cosine(total: int) -> Schedule:
    """Half a cosine wave, from 1 down to almost 0 at the last of `total` steps (Loshchilov and Hutter 2017).

    Example:
        >>> round(cosine(10)(5), 12)
        0.5
    """
    return lambda step: float(0.5 * (1 + np.cos(np.pi * min(step, total) / total)))


def epoch(
    state: State,
    X: Any,
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
) -> tuple[State, float]:
    """One pass over some rows: the state after it, and the mean loss of the rows in nats, each before it was learned.

    X: (n, d), dense or CSR. Y: codes (n,) or label probabilities (n, q). V: row weights (n,), not negative. `schedule`
    is `inverse_sqrt(100)` unless given. `seed` shuffles the rows; None takes them as they come. Batches differ in size
    by at most one row. Rows of weight 0 count for nothing; if all are, the loss is nan and the state stays as it is.
    Raises `ValueError` for no rows, for shapes that do not fit and for codes outside 0 .. q - 1.

    Example:
        >>> X, y = np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, 0, 1, 1])
        >>> state, first = epoch(begin(1, 2), X, y, batch_size=2, seed=0)
        >>> state, second = epoch(state, X, y, batch_size=2, seed=1)
        >>> second < first
        True
    """
    X, Y = _checked(state, X, Y, V, batch_size)
    _rate(learning_rate, 1, 1)
    step = _Step(strength, l1_ratio, learning_rate, schedule or inverse_sqrt(100.0), fit_intercept)
    random = None if seed is None else np.random.default_rng(seed)
    return step.through(state, _batches(X, Y, V, batch_size, random), running=True)


def train(
    X: Any,
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
    """Weights near the minimum of mean cross-entropy + penalty, by shuffled mini-batches.

    `strength * (l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||^2)` is the penalty. X: (n, d), dense or CSR. Y: codes
    (n,), with `n_classes`, or label probabilities (n, q). `learning_rate` is the longest step in units of the
    standardised columns; "auto" is `16 * 2 / (d' + 1)` for d' columns that vary: d' + 1 is the mean squared norm of a
    standardised row with its 1 for the bias, and 2 over it the step that softmax's curvature, at most `||z||^2 / 2`,
    allows in any direction; batches of fewer than 32 rows take steps in proportion shorter. No step is longer than the
    curvature of its own batch allows, so none is too long.

    The moments of the columns are taken once, before the first epoch. The same seed gives the same bits. Raises
    `ValueError` as `epoch` does, and for an unknown schedule.

    Example:
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
    for x, _, v in _batches(X, Y, V, 4096, None):
        state = observe(state, x, v, fit_intercept)
    steps = -(-X.shape[0] // batch_size)
    fade = {"constant": constant, "inverse_sqrt": inverse_sqrt(steps), "cosine": cosine(epochs * steps)}[schedule]
    step, random, curve = _Step(strength, l1_ratio, learning_rate, fade, fit_intercept), np.random.default_rng(seed), []
    for _ in range(epochs):
        state, lost = step.through(state, _batches(X, Y, V, batch_size, random), running=False)
        curve.append(lost)
    return StochasticSolution(state.W, state.b, tuple(curve), state)


@dataclass(frozen=True)
class _Step:
    """One step of descent: settings in, a function of state and batch out."""

    strength: float
    l1_ratio: float
    learning_rate: float | str
    schedule: Schedule
    fit_intercept: bool

    def through(self, state: State, batches: Iterator[Batch], running: bool) -> tuple[State, float]:
        """The state after a step for each batch, and the mean loss; `running` says that the moments are learned too."""
        total = weight = 0.0
        with one_blas_thread():  # products this small lose more by sharing the work than they gain
            for X, Y, V in batches:
                state = observe(state, X, V, self.fit_intercept) if running else state
                state, lost = self(state, X, Y, V)
                total, weight = total + lost, weight + float(V.sum())
        return state, total / weight if weight > 0 else float("nan")

    def __call__(self, state: State, X: Any, Y: Array, V: Array) -> tuple[State, float]:
        """The state after a step down the mean loss of these rows, and their summed loss before it."""
        mass = float(V.sum())
        if mass == 0:
            return state, 0.0
        centre, scale, varies = coordinates(state, self.fit_intercept)
        Z, offset = standardised(X, centre, scale)
        U, c = state.W * scale[:, None], state.b + centre @ state.W
        o = Z @ U + (c - offset @ U)
        lost, R = loss.loss_and_residual(o.T[None], Y, V[None])
        R = R[0].T / mass
        r = R.sum(axis=0)
        G = np.where(varies[:, None], Z.T @ R - np.outer(offset, r), 0.0)
        g = r if self.fit_intercept else np.zeros_like(r)
        heft = max(mass / len(V) * (state.rows / state.weight), 1e-300)  # how much it weighs beside an average batch
        rate = _rate(self.learning_rate, int(varies.sum()) + 1, len(V)) * self.schedule(state.steps)
        eta = min(rate, _longest(Z, offset, G, g, V / mass) / heft)
        W = self._prox(state.W - eta * heft * G / scale[:, None], eta, scale[:, None])
        b = c - eta * heft * g - centre @ W
        return replace(state, W=W, b=b, steps=state.steps + 1), float(lost[0])

    def _prox(self, W: Array, eta: float, scale: Array) -> Array:
        """`argmin_w (w - W)^2 scale^2 / (2 eta) + penalty(w)`: soft threshold, then shrinkage."""
        with np.errstate(over="ignore"):  # a column in tiny units: its weight is huge, and the penalty makes it 0
            hold = self.strength * self.l1_ratio * eta / scale / scale
            ridge = self.strength * (1 - self.l1_ratio) * eta / scale / scale
        return np.asarray(np.sign(W) * np.maximum(np.abs(W) - hold, 0.0) / (1 + ridge) + 0.0)  # no -0


def _rate(learning_rate: float | str, squared_norm: float, rows: int) -> float:
    if learning_rate == "auto":  # the noise of a gradient falls with the rows of its batch: few rows, short steps
        return BOLD * 2.0 / squared_norm * min(1.0, rows / SURE)
    if isinstance(learning_rate, str) or not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate={learning_rate!r} is neither 'auto' nor a positive number")
    return float(learning_rate)


def _longest(Z: Any, offset: Array, G: Array, g: Array, share: Array) -> float:
    """The step along the gradient that is best for the quadratic above this batch's loss (curvature 1/2 in the logits).

    Böhning (1992), Multinomial logistic regression algorithm: `diag(p) - p p^T` is at most 1/2.
    """
    change = Z @ G + (g - offset @ G)
    bend = 0.5 * float(share @ np.einsum("ij,ij->i", change, change))
    return float((np.vdot(G, G) + g @ g) / bend) if bend > 0 else float("inf")


def _batches(X: Any, Y: Array, V: Array | None, size: int, random: np.random.Generator | None) -> Iterator[Batch]:
    """Batches of at most `size` rows, equal to within one row: shuffled, or in the order given."""
    n = X.shape[0]
    order = np.arange(n) if random is None else random.permutation(n)
    for index in np.array_split(order, -(-n // size)):
        yield X[index], Y[index], np.ones(len(index)) if V is None else V[index].astype(np.float64)


def _checked(state: State, X: Any, Y: Array, V: Array | None, batch_size: int) -> tuple[Any, Array]:
    """Rows that can be cut into batches, in canonical CSR where they are sparse."""
    (d, q), n = state.W.shape, X.shape[0]
    if n == 0:
        raise ValueError("there are no rows to learn from: X has shape (0, ...)")
    if X.shape[1] != d:
        raise ValueError(f"X has {X.shape[1]} columns, but the model was begun with {d}")
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
