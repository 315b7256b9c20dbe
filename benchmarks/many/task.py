"""A problem with many classes, and the rows of one fit with the rows that judge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

UNKNOWN = -1
"""The code of a held-out label that no row of the fit has."""


@dataclass(frozen=True)
class Rows:
    """Labelled rows.

    Attributes
    ----------
    X : csr_array or ndarray of shape (n, d)
        float32.
    y : ndarray of shape (n,)
        Labels, whole numbers from 0.
    group : ndarray of shape (n,)
        Rows of one group depend on each other: a person. Rows that are drawn have a group each.
    excluded : csr_array of shape (n, labels) or None
        1 for each label that a row cannot have: films that the person has rated.
    """

    X: Any
    y: np.ndarray
    group: np.ndarray
    excluded: sp.csr_array | None = None

    def __getitem__(self, rows: np.ndarray) -> Rows:
        return Rows(
            self.X[rows], self.y[rows], self.group[rows], None if self.excluded is None else self.excluded[rows]
        )

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Problem:
    """The rows of a problem, and what softreg is asked for.

    Attributes
    ----------
    name, says : str
        Its name on the command line, and what it is.
    whole : Rows
        The rows of the fit whose seconds and memory have a target.
    train, test : Rows
        The rows of the fits whose held-out probabilities are compared.
    part, validation : Rows
        A division of `train`, to choose settings.
    strength, tol : float
        Of the fit to `whole`.
    strengths : tuple of float
        Those among which `validation` chooses.
    peer_strength : float
        The one of these that a peer with the same objective uses.
    """

    name: str
    says: str
    whole: Rows
    train: Rows
    test: Rows
    part: Rows
    validation: Rows
    strength: float
    tol: float
    strengths: tuple[float, ...]
    peer_strength: float

    @property
    def sparse(self) -> bool:
        """Whether the rows are sparse: lists of things that a person had."""
        return sp.issparse(self.train.X)


@dataclass(frozen=True)
class Task:
    """Rows to fit and rows to judge, with labels as codes of the classes that occur in the fit.

    Attributes
    ----------
    X : csr_array or ndarray of shape (n, d)
    y : ndarray of shape (n,)
        Codes 0, ..., q - 1; each occurs.
    X_new, y_new, group_new
        The same of the rows that judge; `UNKNOWN` is the code of a label that is not in `y`.
    excluded_new : csr_array of shape (n_new, q) or None
    classes : ndarray of shape (q,)
        The label of each code.
    """

    X: Any
    y: np.ndarray
    X_new: Any
    y_new: np.ndarray
    group_new: np.ndarray
    excluded_new: sp.csr_array | None
    classes: np.ndarray

    @property
    def q(self) -> int:
        return len(self.classes)

    def sample_new(self, n: int) -> Task:
        """Return the task with `n` of the rows that judge, drawn from a fixed seed, or with all if there are fewer."""
        rows = np.sort(np.random.default_rng(0).permutation(len(self.y_new))[:n])
        excluded = None if self.excluded_new is None else self.excluded_new[rows]
        return Task(self.X, self.y, self.X_new[rows], self.y_new[rows], self.group_new[rows], excluded, self.classes)


LogProbabilities = Callable[[Any], np.ndarray]
"""From rows (m, d) to log probabilities (m, q); each row sums to 1."""


def task(fitted: Rows, judged: Rows) -> Task:
    """Return the task to fit some rows and to be judged by others."""
    classes, y = np.unique(fitted.y, return_inverse=True)
    at = np.minimum(np.searchsorted(classes, judged.y), len(classes) - 1)
    y_new = np.where(classes[at] == judged.y, at, UNKNOWN)
    excluded = None if judged.excluded is None else judged.excluded[:, classes]
    return Task(fitted.X, y, judged.X, y_new, judged.group, excluded, classes)
