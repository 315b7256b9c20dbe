"""What needs no fit: how often each class occurs, and how often it followed each of the last things."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from many.contestant_protocol import Contestant, Fitted, Setting, Trial
from many.task import Problem, Task

PSEUDO_COUNTS = 10
"""Counts by popularity that are added to those of each thing, as in examples/next_film.py."""


def contestants() -> list[Contestant]:
    return [
        Contestant("popularity", "numpy", "numpy", no_setting, popularity),
        Contestant("films that followed", "scipy", "scipy", no_setting, followers, sparse_only=True),
    ]


def no_setting(problem: Problem) -> list[Trial]:
    return [Trial({}, None)]


def popularity(task: Task, setting: Setting) -> Fitted:
    """Shares of the classes."""
    o = np.log(np.bincount(task.y, minlength=task.q) / len(task.y))
    return Fitted(lambda X: np.tile(o, (X.shape[0], 1)), o.nbytes)


def followers(task: Task, setting: Setting) -> Fitted:
    """The mean, over the last things, of the shares of the classes that followed each of them."""
    popular = np.bincount(task.y, minlength=task.q) / len(task.y)
    labels = sp.csr_array((np.ones(len(task.y)), (np.arange(len(task.y)), task.y)), shape=(len(task.y), task.q))
    counts = sp.csr_array(task.X.T) @ labels  # (d, q)
    total = counts.sum(axis=1) + PSEUDO_COUNTS
    shares = sp.csr_array(sp.diags_array(1 / total) @ counts)

    def log_probabilities(X: sp.csr_array) -> np.ndarray:
        left = X @ (PSEUDO_COUNTS / total)
        return np.log(((X @ shares).toarray() + left[:, None] * popular) / X.sum(axis=1)[:, None])

    return Fitted(log_probabilities, shares.data.nbytes + shares.indices.nbytes)
