"""The most likely classes of each row, merged over blocks of classes; logits of labels and of chosen classes."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.class_blocks.logit_blocks import LogitBlock, LogitBlocks
from softreg.models.class_blocks.normalizer import LogNormalizer
from softreg.typing import Array, Float64Array, IntArray


@dataclass(frozen=True, eq=False)
class TopClasses:
    """The k most likely classes of n rows, the most likely first; of equal probabilities the first class.

    Attributes
    ----------
    labels : ndarray of shape (n, k)
        The classes.
    probabilities : ndarray of shape (n, k)
        Their probabilities among all classes, so that a row sums to 1 only with k = q.
    codes : ndarray of int of shape (n, k)
        Positions of the classes in `classes_`.

    Examples
    --------
    >>> from softreg import SoftmaxRegression
    >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], list("aabbcc"))
    >>> top = model.top_k([[0.0], [5.0]], k=2)
    >>> top.labels.tolist(), top.probabilities.round(2).tolist()
    ([['a', 'b'], ['c', 'b']], [[0.87, 0.12], [0.87, 0.12]])
    """

    labels: Array
    probabilities: Float64Array
    codes: IntArray


class LargestLogits:
    """The k largest logits of each row and their classes, in descending order; of equal logits the first class.

    Parameters
    ----------
    n, k : int
        Numbers of rows and classes.

    Examples
    --------
    >>> largest = LargestLogits(1, 2)
    >>> LogitBlocks(np.zeros((3, 1)), np.array([1.0, 2.0, 2.0]), np.zeros((1, 1))).reduce(largest)
    >>> largest.codes
    array([[1, 2]])
    """

    def __init__(self, n: int, k: int) -> None:
        self.logits = np.full((n, k), -np.inf)
        self.codes = np.zeros((n, k), dtype=np.int64)

    def add(self, block: LogitBlock) -> None:
        """Merge a block whose classes come after those merged before."""
        o, k = block.logits, self.logits.shape[1]
        if k == 1:
            best = o.argmax(axis=1)
            value = o[np.arange(len(o)), best]
            higher = value > self.logits[block.rows, 0]
            self.logits[block.rows, 0] = np.where(higher, value, self.logits[block.rows, 0])
            self.codes[block.rows, 0] = np.where(higher, best + block.first, self.codes[block.rows, 0])
            return
        rows = block.rows.start + np.flatnonzero(o.max(axis=1) > self.logits[block.rows, -1])
        if len(rows) == 0:
            return
        values = np.concatenate([self.logits[rows], o[rows - block.rows.start]], axis=1)
        place = _largest_places(values, k)
        before = np.take_along_axis(self.codes[rows], np.minimum(place, k - 1), axis=1)
        self.codes[rows] = np.where(place < k, before, place - k + block.first)
        self.logits[rows] = np.take_along_axis(values, place, axis=1)

    def collect(self, first: int, contribution: None) -> None:
        """Do nothing: all results are those of rows."""


def _largest_places(values: Float64Array, k: int) -> IntArray:
    """Return the positions (b, k) of the k largest values of each row, in descending order; ties by position."""
    least = -np.partition(-values, k - 1, axis=1)[:, k - 1, None]
    above, equal = values > least, values == least
    free = k - above.sum(axis=1, keepdims=True)
    chosen = above | (equal & (np.cumsum(equal, axis=1) <= free))
    place = np.nonzero(chosen)[1].reshape(-1, k)
    order = np.argsort(-np.take_along_axis(values, place, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(place, order, axis=1))


class ChosenLogits:
    """The logits (n, c) of some classes, of which a block may hold none.

    Parameters
    ----------
    n : int
        Number of rows.
    codes : ndarray of int of shape (c,)
        Classes in any order, repeated or not.

    Examples
    --------
    >>> chosen = ChosenLogits(1, np.array([2, 0, 2]))
    >>> LogitBlocks(np.zeros((3, 1)), np.array([1.0, 2.0, 3.0]), np.zeros((1, 1))).reduce(chosen)
    >>> chosen.logits
    array([[3., 1., 3.]])
    """

    def __init__(self, n: int, codes: IntArray) -> None:
        self.order = np.argsort(codes, kind="stable")
        self.codes = codes[self.order]
        self.logits = np.empty((n, len(codes)))

    def add(self, block: LogitBlock) -> None:
        """Copy the columns of the chosen classes."""
        a, b = np.searchsorted(self.codes, [block.first, block.first + block.logits.shape[1]])
        if a < b:
            self.logits[block.rows, self.order[a:b]] = block.logits[:, self.codes[a:b] - block.first]

    def collect(self, first: int, contribution: None) -> None:
        """Do nothing: all results are those of rows."""


class LabelLogits:
    """The logit (n,) of the label of each row.

    Parameters
    ----------
    codes : ndarray of int of shape (n,)
        Class of each row.

    Examples
    --------
    >>> label = LabelLogits(np.array([1, 0]))
    >>> LogitBlocks(np.zeros((2, 1)), np.array([5.0, 7.0]), np.zeros((2, 1))).reduce(label)
    >>> label.logits
    array([7., 5.])
    """

    def __init__(self, codes: IntArray) -> None:
        self.codes, self.logits = codes, np.empty(len(codes))

    def add(self, block: LogitBlock) -> None:
        """Copy the logits of the labels among the classes of the block."""
        place = self.codes[block.rows] - block.first
        row = np.flatnonzero((place >= 0) & (place < block.logits.shape[1]))
        self.logits[block.rows.start + row] = block.logits[row, place[row]]

    def collect(self, first: int, contribution: None) -> None:
        """Do nothing: all results are those of rows."""


def most_likely_codes(blocks: LogitBlocks) -> IntArray:
    """Return the most likely class (n,) of each row, the first of equal ones.

    Parameters
    ----------
    blocks : LogitBlocks
        The logits.

    Returns
    -------
    ndarray of int of shape (n,)

    Examples
    --------
    >>> most_likely_codes(LogitBlocks(np.eye(2), np.zeros(2), np.array([[1.0, 1.0], [0.0, 1.0]])))
    array([0, 1])
    """
    largest = LargestLogits(blocks.n, 1)
    blocks.reduce(largest)
    return largest.codes[:, 0]


def top_classes(blocks: LogitBlocks, k: Any, classes: Array) -> TopClasses:
    """Return the k most likely classes of each row.

    Parameters
    ----------
    blocks : LogitBlocks
        The logits.
    k : int
        Number of classes, at least 1; at most q are returned.
    classes : ndarray of shape (q,)
        The classes.

    Returns
    -------
    TopClasses
        Classes and probabilities.

    Raises
    ------
    ValueError
        If k is not an integer of at least 1.

    Examples
    --------
    >>> blocks = LogitBlocks(np.zeros((3, 1)), np.log([0.2, 0.5, 0.3]), np.zeros((1, 1)))
    >>> top_classes(blocks, 2, np.array(["a", "b", "c"])).probabilities.round(2)
    array([[0.5, 0.3]])
    """
    largest, normalizer = LargestLogits(blocks.n, min(checked_count(k), blocks.q)), LogNormalizer(blocks.n)
    blocks.reduce(largest, normalizer)
    probabilities = np.exp(largest.logits - normalizer.log_sum()[:, None])
    return TopClasses(classes[largest.codes], probabilities, largest.codes)


def chosen_log_probabilities(blocks: LogitBlocks, codes: IntArray) -> Float64Array:
    """Return the log-probabilities of some classes.

    Parameters
    ----------
    blocks : LogitBlocks
        The logits.
    codes : ndarray of int of shape (c,)
        The classes.

    Returns
    -------
    ndarray of shape (n, c)
        Log-probabilities in nats.

    Examples
    --------
    >>> blocks = LogitBlocks(np.zeros((3, 1)), np.log([0.2, 0.5, 0.3]), np.zeros((1, 1)))
    >>> np.exp(chosen_log_probabilities(blocks, np.array([1]))).round(2)
    array([[0.5]])
    """
    chosen, normalizer = ChosenLogits(blocks.n, codes), LogNormalizer(blocks.n)
    blocks.reduce(chosen, normalizer)
    return np.asarray(chosen.logits - normalizer.log_sum()[:, None])


def checked_count(k: Any) -> int:
    """Return the number k of classes as an integer.

    Parameters
    ----------
    k : int
        As a user passed it.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If k is not an integer of at least 1.

    Examples
    --------
    >>> checked_count(np.int32(3))
    3
    """
    try:
        count = -1 if isinstance(k, (bool, np.bool_)) else operator.index(k)
    except TypeError:
        count = -1
    if count < 1:
        raise ValueError(f"k={k!r} must be the number of most likely classes of each row: an integer of at least 1.")
    return count
