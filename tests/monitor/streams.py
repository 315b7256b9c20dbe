"""Streams of probabilities and labels whose truth is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softreg.probability import softmax

Floats = NDArray[np.float64]


def draw(random: np.random.Generator, P: Floats) -> NDArray[np.int64]:
    """Labels of probabilities (..., K)."""
    return np.minimum((P.cumsum(axis=-1) < random.random((*P.shape[:-1], 1))).sum(axis=-1), P.shape[-1] - 1)


def stream(seed: int, n: int, change: str = "", classes: int = 3) -> tuple[Floats, NDArray[np.int64]]:
    """Probabilities (n, K) and labels that follow them, or others by a change."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(n, classes))
    first = np.arange(classes) == 0
    truth = {
        "": logits,
        "temperature": 0.5 * logits,
        "class rates": logits + np.log(3) * first,
        "one class": np.where(first, 0.4 * logits, logits),
    }[change]
    return softmax(logits), draw(random, softmax(truth))
