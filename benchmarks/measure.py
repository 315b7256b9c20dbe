"""The referee's arithmetic: objective, certificate and held-out loss, in float64, by nobody's solver."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Array = NDArray[np.float64]


def blocks(X: Any, q: int) -> Iterator[tuple[slice, Any]]:
    """Runs of rows in float64, so long that X and the logits of a run take some 30 MB."""
    size = max(256, 4_000_000 // (q if sp.issparse(X) else max(q, X.shape[1])))
    for a in range(0, X.shape[0], size):
        rows = slice(a, min(a + size, X.shape[0]))
        yield rows, X[rows].astype(np.float64)


def probabilities(o: Array, y: NDArray[np.int64]) -> tuple[Array, Array]:
    """softmax(o), and the cross-entropy of each row."""
    z = o - o.max(axis=1, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis=1)
    return e / total[:, None], np.log(total) - z[np.arange(len(y)), y]


def log_loss(X: Any, y: NDArray[np.int64], W: Array, b: Array) -> float:
    """Mean cross-entropy in nats; inf or nan where the weights are no numbers."""
    with np.errstate(all="ignore"):
        return sum(probabilities(part @ W + b, y[rows])[1].sum() for rows, part in blocks(X, len(b))) / len(y)


def objective(X: Any, y: NDArray[np.int64], W: Array, b: Array, strength: float, l1_ratio: float = 0.0) -> float:
    """log_loss + strength (l1_ratio ||W||_1 + (1 - l1_ratio) / 2 ||W||^2) at weights W (d, q) and bias b (q,)."""
    penalty = l1_ratio * np.abs(W).sum() + (1 - l1_ratio) / 2 * (W**2).sum()
    return float(log_loss(X, y, W, b) + strength * penalty)


def certificate(X: Any, y: NDArray[np.int64], W: Array, b: Array, strength: float) -> float:
    """How far the objective at (W, b) is above the minimum at most.

    F is strongly convex in W with modulus `strength` once b is at its best for W, so the gap is at most
    ||dF/dW||^2 / (2 strength) there. b is brought to its best by Newton steps on b alone; what that gains is added.
    """
    mean = np.asarray(X.mean(axis=0)).ravel()
    start = objective(X, y, W, b, strength)
    for _ in range(3):
        A, r, H = sums(X, y, W, b, mean)
        b = b - np.linalg.pinv(H, hermitian=True) @ r
    A, r, _ = sums(X, y, W, b, mean)
    slope = A + strength * W
    left = float(np.abs(r).max())
    if left > 1e-12:
        raise ArithmeticError(f"the bias is not at its best: the mean residual is still {left:.1e}")
    return start - objective(X, y, W, b, strength) + float((slope**2).sum()) / (2 * strength)


def sums(X: Any, y: NDArray[np.int64], W: Array, b: Array, mean: Array) -> tuple[Array, Array, Array]:
    """Mean of (x - mean)(p - y)^T, of p - y, and of diag(p) - p p^T (centred: exact for columns far from zero)."""
    n, q = X.shape[0], len(b)
    A, r, H = np.zeros(W.shape), np.zeros(q), np.zeros((q, q))
    for rows, part in blocks(X, q):
        P, _ = probabilities(part @ W + b, y[rows])
        H -= P.T @ P
        H[np.diag_indices(q)] += P.sum(axis=0)
        P[np.arange(len(P)), y[rows]] -= 1
        sparse = sp.issparse(part)
        A += part.T @ P if sparse else (part - mean).T @ P
        r += P.sum(axis=0)
        if sparse:
            A -= np.outer(mean, P.sum(axis=0))
    return A / n, r / n, H / n


def forget_peak() -> None:
    """Count the peak of memory anew from here (Linux; elsewhere it stays that of the whole process)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """The most memory that this process has held at once.

    Linux keeps in ru_maxrss what a *parent* held before this program began, so its own high-water mark comes first.
    """
    try:
        told = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        told = None
    if told:
        return int(told[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Neighbours:
    """How much of the machine other programs took since this was made: a share of all cores; nan where unknown."""

    def __init__(self) -> None:
        self.start = self.look()

    @staticmethod
    def look() -> tuple[float, float, float]:
        """Seconds by the clock, and of processor time: all programs, and this one with its children."""
        try:
            told = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
            busy = (sum(told) - told[3] - told[4]) / os.sysconf("SC_CLK_TCK")
        except OSError:
            busy = float("nan")
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return time.monotonic(), busy, sum(u.ru_utime + u.ru_stime for u in used)

    def share(self) -> float:
        clock, busy, ours = (now - then for now, then in zip(self.look(), self.start, strict=True))
        return max(0.0, (busy - ours) / (clock * (os.cpu_count() or 1)))
