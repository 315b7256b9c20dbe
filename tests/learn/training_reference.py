"""The numbers of the part on training, by softreg."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.optimize import Solution, l2, minimise
from softreg.optimize.certificate import duality
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.problem.standardization import standardise
from softreg.probability import cross_entropy_with_logits, residual, softmax
from softreg.rows import as_rows
from softreg.splitmix import as_uniform, hashed

Array = NDArray[Any]
DIGITS = "0123456789abcdefghijklmnopqrstuv"
PIXELS, CLASSES = 36, 3


def of_text(text: str) -> tuple[Array, Array]:
    """Return pixels (n, 36) and classes (n,) of images as text."""
    parts = [part for part in text.split(".") if part]
    bits = ["".join(f"{DIGITS.index(digit):05b}" for digit in part[1:])[:PIXELS] for part in parts]
    X = np.array([[float(bit) for bit in image] for image in bits]).reshape(len(parts), PIXELS)
    return X, np.array([int(part[0]) for part in parts], dtype=int)


class UniformSequence:
    """The numbers in [0, 1) of a seed one after the other, as the page draws them."""

    def __init__(self, seed: int) -> None:
        self.seed, self.position = seed, 0

    def order(self, n: int) -> Array:
        """Return a shuffle of n numbers by Fisher and Yates."""
        uniforms = as_uniform(hashed(np.arange(self.position, self.position + n - 1), self.seed))
        self.position += n - 1
        order = np.arange(n)
        for i, u in zip(range(n - 1, 0, -1), uniforms, strict=True):
            j = int(u * (i + 1))
            order[[i, j]] = order[[j, i]]
        return order


@dataclass(frozen=True)
class Descent:
    """Parameters after some steps, the passes so far, the rows of the next step, and parameters after each pass."""

    W: Array
    b: Array
    passes: float
    chosen: Array
    ends: list[tuple[Array, Array]]


@dataclass(frozen=True)
class Training:
    """Training images with a penalty; parameters are W (d, q) and b (q,)."""

    X: Array
    y: Array
    strength: float

    @property
    def Y(self) -> Array:
        """One-hot labels."""
        return np.eye(CLASSES)[self.y]

    def loss(self, W: Array, b: Array) -> float:
        """Return the mean cross-entropy."""
        return float(np.mean(cross_entropy_with_logits(self.X @ W + b, self.Y)))

    def value(self, W: Array, b: Array) -> float:
        """Return the objective."""
        return self.loss(W, b) + float(l2(np.array([self.strength])).value(W.T[None])[0])

    def correct(self, W: Array, b: Array) -> int:
        """Return the number of images whose class alone has the largest probability."""
        P = self.probabilities(W, b)
        others = np.where(self.Y == 1, 0.0, P).max(axis=1)
        return int((P[np.arange(len(self.y)), self.y] > others).sum())

    def tied(self, W: Array, b: Array) -> int:
        """Return the number of images whose class has the largest probability together with others."""
        P = self.probabilities(W, b)
        return int((P[np.arange(len(self.y)), self.y] == P.max(axis=1)).sum()) - self.correct(W, b)

    def probabilities(self, W: Array, b: Array) -> Array:
        """Return the probabilities (n, q)."""
        return softmax(self.X @ W + b)

    def gradient(self, W: Array, b: Array, chosen: Any = slice(None)) -> tuple[Array, Array]:
        """Return the gradient of the mean loss of some rows."""
        X = self.X[chosen]
        R = residual(X @ W + b, self.Y[chosen])
        return X.T @ R / len(X), R.mean(axis=0)

    def gap(self, W: Array, b: Array) -> tuple[float, float]:
        """Return softreg's certified gap at these weights, and the objective at the balanced bias there."""
        rows, coordinates = standardise(as_rows(self.X, self.y), centred=True)
        objective = Objective(rows, CLASSES, l2(np.array([self.strength])), coordinates)
        theta = coordinates.from_user(W.T[None], b[None])
        objective.evaluate(theta)
        at = duality.balance(objective, theta)
        W_at, b_at = coordinates.to_user(at.theta)
        gap = duality.dual_gap(objective, at.theta, at.loss, at.gradient)[0]
        return float(gap) if at.imbalance[0] <= duality.BALANCED else np.inf, self.value(W_at[0].T, b_at[0])

    def optimum(self) -> Solution:
        """Return softreg's minimum."""
        (best,) = minimise(as_rows(self.X, self.y), CLASSES, l2(np.array([self.strength])), tol=1e-28)
        return best

    def descend(self, seed: int, batch: int, rate: float, steps: int) -> Descent:
        """Return where stochastic gradient descent from 0 is after so many steps."""
        uniform, n, ends = UniformSequence(seed), len(self.y), []
        order, at, passes = uniform.order(n), 0, 0
        W, b = np.zeros((PIXELS, CLASSES)), np.zeros(CLASSES)
        for _ in range(steps):
            chosen = order[at : at + batch]
            gW, gb = self.gradient(W, b, chosen)
            W, b = W - rate * (gW + self.strength * W), b - rate * gb
            at += len(chosen)
            if at >= n:
                order, at, passes = uniform.order(n), 0, passes + 1
                ends.append((W, b))
        return Descent(W, b, passes + at / n, order[at : at + batch], ends)
