"""Dense rows around a centre for each class, with classes of unequal frequency: 200,000 x 500 with 100,000 classes.

A row is `centre[z] + noise`, where z is its true class. Centres and noise have a variance in proportion to
`1 / (1 + j / HALF)` in column j, as the principal components of an embedding decay; centres lie around those of groups
of classes.

Each class has one row of the fit. The other rows of the fit, and half of those that judge, are drawn with frequencies
in proportion to `1 / (rank + 1)`, and the label of some is another class of the group, so that the classes cannot be
separated. The other half of those that judge has each class equally often. So rows of both kinds have the same
distribution. Blocks of rows have random numbers of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from many.task import Problem, Rows

SEED = 0
CLASSES, COLUMNS, ROWS = 100_000, 500, 200_000
TEST_SHARE = 0.1
"""Rows that judge, as a share of the rows that are fitted; as many choose the settings."""
BLOCK = 10_000
"""Rows that are made at once."""
HALF = 10
"""The column whose variance is half of the first one's."""
GROUP = 20
"""Classes of a group, whose centres are near each other."""
CONFUSED = 0.5
"""Share of the rows drawn by frequency whose label is drawn from the group of the true class."""
GROUP_SCALE, CLASS_SCALE = 0.5, 0.4
"""Standard deviation of the centres of groups, and of classes around them, as multiples of the noise."""
ROW_STRENGTH = 5
"""The strength is this by the number of rows: 2.5e-5 for 200,000."""
ROW_STRENGTHS = (0.1, 0.5, 2)
"""Those among which the validation rows choose."""
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Shape:
    """Sizes of the problem: classes, columns, and rows of the fit."""

    q: int
    d: int
    n: int


def scaled(scale: float) -> Shape:
    """Return the shape with a share of the classes and rows, and all columns."""
    return Shape(max(2, round(CLASSES * scale)), COLUMNS, max(4, round(ROWS * scale)))


def drawn_problem(scale: float = 1.0, shape: Shape | None = None) -> Problem:
    """Return the problem with a share of the classes and rows."""
    shape = shape or scaled(scale)
    judges = round(TEST_SHARE * shape.n)
    classes = drawn_classes(shape)
    train, test, validation = (
        drawn_rows(shape, classes, n, stream) for stream, n in enumerate((shape.n, judges, judges))
    )
    return Problem(
        name="drawn" if scale == 1 else f"drawn-{scale:g}",
        says="drawn rows around a centre for each class",
        whole=train,
        train=train,
        test=test,
        part=train,
        validation=validation,
        strength=ROW_STRENGTH / shape.n,
        tol=TOLERANCE,
        strengths=tuple(c / shape.n for c in ROW_STRENGTHS),
        peer_strength=ROW_STRENGTH / shape.n,
    )


def frequencies(q: int) -> np.ndarray:
    """Return the probabilities of classes by rank, like those of words."""
    share = 1 / np.arange(2, q + 2)
    return share / share.sum()


def spread(d: int) -> np.ndarray:
    """Return the standard deviation of each column."""
    return (1 / np.sqrt(1 + np.arange(d) / HALF)).astype(np.float32)


@dataclass(frozen=True)
class Classes:
    """The centre of each class (q, d), and the classes in the order of their groups, with the bounds of each group."""

    centre: np.ndarray
    group: np.ndarray
    order: np.ndarray
    start: np.ndarray

    def companions(self, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return a class of the same group for each class, drawn at random."""
        first, size = self.start[self.group[y]], np.diff(self.start)[self.group[y]]
        return self.order[first + random.integers(size)]


def drawn_classes(shape: Shape) -> Classes:
    """Return centres and groups of the classes."""
    random = np.random.default_rng([SEED, 0])
    groups = np.float32(GROUP_SCALE) * random.standard_normal((-(-shape.q // GROUP), shape.d), dtype=np.float32)
    group = random.integers(len(groups), size=shape.q)
    centre = random.standard_normal((shape.q, shape.d), dtype=np.float32)
    centre *= np.float32(CLASS_SCALE)
    for a in range(0, shape.q, BLOCK):
        centre[a : a + BLOCK] += groups[group[a : a + BLOCK]]
    order = np.argsort(group, kind="stable")
    return Classes(centre, group, order, np.searchsorted(group[order], np.arange(len(groups) + 1)))


def drawn_rows(shape: Shape, classes: Classes, n: int, stream: int) -> Rows:
    """Return n rows; those of stream 0 are the rows of the fit."""
    random = np.random.default_rng([SEED, 1, stream])
    even = np.arange(shape.q) if stream == 0 else random.integers(shape.q, size=n - n // 2)
    rank = random.choice(shape.q, size=n - len(even), p=frequencies(shape.q))
    order = random.permutation(n)
    true = np.concatenate([even, rank])[order]
    X = np.empty((n, shape.d), dtype=np.float32)
    for block, a in enumerate(range(0, n, BLOCK)):
        part = X[a : a + BLOCK]
        np.random.default_rng([SEED, 2, stream, block]).standard_normal(out=part, dtype=np.float32)
        part += classes.centre[true[a : a + BLOCK]]
        part *= spread(shape.d)
    confused = (order >= len(even)) & (random.random(n) < CONFUSED)
    return Rows(X, np.where(confused, classes.companions(true, random), true), np.arange(n))
