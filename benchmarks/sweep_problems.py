"""Problems of the sweep: shapes, columns, labels and penalties drawn at random.

`draw(seed, number)` gives the facts of a problem and `make(problem)` its rows; both are functions of the seed and the
number alone. Numbers go through the kinds of columns in turn, and through the penalties: of six rounds of all kinds,
four have an l2 penalty, one l1 and one the elastic net.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

PENALTIES = ("l2", "l2", "l1", "l2", "l2", "elasticnet")
STRENGTHS = (1e-6, 1e-2)
CLASSES = (2, 100)
TWO_CLASSES = 0.3
"""Share of the problems that have two classes; the others are log-uniform."""
NUMBERS = (1e3, 4e6)
"""Stored numbers of X, log-uniform."""
LOGITS, WEIGHTS = 3e6, 1e5
"""Most logits n q and weights d q of a problem: beyond, a single one takes minutes."""
ROWS_PER_CLASS = 5


@dataclass(frozen=True)
class SweepProblem:
    """What is to be minimised: the columns are of a `family`, the labels are drawn from a softmax model."""

    seed: int
    number: int
    family: str
    n: int
    d: int
    q: int
    strength: float
    penalty: str
    l1_ratio: float
    dtype: str

    @property
    def facts(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def draw(seed: int, number: int) -> SweepProblem:
    """Draw the facts of a problem."""
    random = np.random.default_rng([seed, number])
    family = list(FAMILIES)[number % len(FAMILIES)]
    penalty = PENALTIES[number // len(FAMILIES) % len(PENALTIES)]
    q = 2 if random.random() < TWO_CLASSES else round(log_uniform(random, CLASSES[0] + 1, CLASSES[1]))
    columns, per_row = FAMILIES[family].columns, FAMILIES[family].per_row
    d = round(min(log_uniform(random, *columns), WEIGHTS / q))
    numbers = log_uniform(random, *NUMBERS)
    least = max(40, ROWS_PER_CLASS * q, FAMILIES[family].least_rows)
    n = round(max(least, min(numbers / min(d, per_row or d), LOGITS / q)))
    ratio = {"l2": 0.0, "l1": 1.0, "elasticnet": round(random.uniform(0.2, 0.9), 2)}[penalty]
    strength = float(f"{log_uniform(random, *STRENGTHS):.2g}")
    dtype = str(random.choice(["float32", "float64"]))
    return SweepProblem(seed, number, family, n, d, q, strength, penalty, ratio, dtype)


def make(problem: SweepProblem) -> tuple[Any, Labels]:
    """Return X, dense or CSR, and labels in 0 ... q - 1, each of which occurs."""
    random = np.random.default_rng([problem.seed, problem.number, 1])
    X, y = FAMILIES[problem.family].make(problem, random)
    if sp.issparse(X):
        X = sp.csr_matrix(X)
        index = np.int32  # what every contestant takes
        parts = (X.data.astype(problem.dtype), X.indices.astype(index), X.indptr.astype(index))
        return sp.csr_matrix(parts, shape=X.shape), y
    return np.ascontiguousarray(X, dtype=problem.dtype), y


def with_every_class(y: Labels, q: int, random: np.random.Generator) -> Labels:
    """Return the labels with one row of each class at places drawn at random."""
    y[random.choice(len(y), q, replace=False)] = np.arange(q)
    return y


def labels(X: Any, q: int, random: np.random.Generator) -> Labels:
    """Draw labels from a softmax model on columns of standard deviation 1, whose logits vary by 0.5 to 5."""
    n, d = X.shape
    square = X.multiply(X) if sp.issparse(X) else X * X
    mean, square_mean = (np.asarray(part.mean(axis=0), dtype=float).ravel() for part in (X, square))
    scale = np.sqrt(np.maximum(square_mean - mean**2, 0.0))
    W = random.standard_normal((d, q)) * (random.random((d, 1)) < log_uniform(random, 0.05, 1.0))
    W /= np.where(scale > 0, scale, 1.0)[:, None]
    o = np.asarray(X @ W) - mean @ W
    o *= log_uniform(random, 0.5, 5.0) / max(float(o.std()), 1e-12)
    o += random.standard_normal(q) * random.uniform(0.0, 1.5)  # classes of different frequency
    y = np.argmax(o + random.gumbel(size=(n, q)), axis=1).astype(np.int64)
    return with_every_class(y, q, random)


def factor_columns(n: int, d: int, random: np.random.Generator) -> Array:
    """Draw columns with a few common factors, most of whose variance these explain."""
    factors = max(1, min(d, round(log_uniform(random, 1, 20))))
    common = random.standard_normal((n, factors)) @ random.standard_normal((factors, d)) / math.sqrt(factors)
    share = random.uniform(0.7, 0.99)
    return math.sqrt(share) * common + math.sqrt(1 - share) * random.standard_normal((n, d))


def dense(problem: SweepProblem, random: np.random.Generator) -> tuple[Any, Labels]:
    """Draw normal columns."""
    X = random.standard_normal((problem.n, problem.d))
    return X, labels(X, problem.q, random)


def correlated(problem: SweepProblem, random: np.random.Generator) -> tuple[Any, Labels]:
    """Draw columns of one scale with common factors."""
    X = factor_columns(problem.n, problem.d, random)
    return X, labels(X, problem.q, random)


def heavy_tailed(problem: SweepProblem, random: np.random.Generator) -> tuple[Any, Labels]:
    """Draw columns from Student's distribution with 1.5 to 3 degrees of freedom."""
    X = random.standard_t(random.uniform(1.5, 3.0), (problem.n, problem.d))
    return X, labels(X, problem.q, random)


def binary(problem: SweepProblem, random: np.random.Generator) -> tuple[Any, Labels]:
    """Draw zeros and ones in a dense array; ones are rare in most columns."""
    X = (random.random((problem.n, problem.d)) < random.beta(0.5, 2.0, problem.d)).astype(float)
    return X, labels(X, problem.q, random)


def own_units(problem: SweepProblem, random: np.random.Generator) -> tuple[Any, Labels]:
    """Draw columns with common factors, each in a unit of its own over three powers of ten and with a mean."""
    unit = 10 ** random.uniform(-1.5, 1.5, problem.d)
    X = (factor_columns(problem.n, problem.d, random) + random.standard_normal(problem.d)) * unit
    return X, labels(X, problem.q, random)


def text(problem: SweepProblem, random: np.random.Generator) -> tuple[Any, Labels]:
    """Draw documents whose words follow Zipf's law, some from the topic of their class; TF-IDF, rows of norm 1."""
    n, d, q = problem.n, problem.d, problem.q
    y = with_every_class(random.choice(q, n, p=random.dirichlet(np.full(q, 5.0))).astype(np.int64), q, random)
    length = np.maximum(3, random.lognormal(math.log(50), 0.7, n)).astype(np.int64)
    row = np.repeat(np.arange(n), length)
    cumulative = np.cumsum(1 / (2.7 + np.arange(d)))
    word = np.searchsorted(cumulative, random.random(len(row)) * cumulative[-1]).clip(max=d - 1)
    topical = random.random(len(row)) < random.uniform(0.02, 0.3)
    word = np.where(topical, (word + random.integers(0, d, q)[y[row]]) % d, word)
    count = sp.csr_matrix((np.ones(len(row)), (row, word)), shape=(n, d))
    count.sum_duplicates()
    documents = np.bincount(count.indices, minlength=d)
    count.data = (1 + np.log(count.data)) * (1 + np.log((1 + n) / (1 + documents)))[count.indices]
    norm = np.sqrt(np.asarray(count.multiply(count).sum(axis=1)).ravel())
    return sp.diags(1 / norm) @ count, y


def counts(problem: SweepProblem, random: np.random.Generator) -> tuple[Any, Labels]:
    """Draw counts whose rates differ by powers of ten and depend on the class, unscaled; CSR where most are 0."""
    n, d, q = problem.n, problem.d, problem.q
    y = with_every_class(random.choice(q, n, p=random.dirichlet(np.full(q, 5.0))).astype(np.int64), q, random)
    rate = random.lognormal(random.uniform(-2.0, 2.0), random.uniform(1.0, 2.5), d)
    effect = random.standard_normal((q, d)) * (random.random(d) < 0.2) * random.uniform(0.1, 1.0)
    size = random.lognormal(0.0, 0.5, n)
    X = np.empty((n, d), dtype=np.float32)
    for a in range(0, n, 4096):
        part = slice(a, a + 4096)
        mean = size[part, None] * rate * np.exp(effect[y[part]])
        X[part] = random.poisson(np.minimum(mean * random.gamma(2.0, 0.5, mean.shape), 1e6))
    return (sp.csr_matrix(X) if np.count_nonzero(X) < 0.3 * X.size else X), y


def one_hot(problem: SweepProblem, random: np.random.Generator) -> tuple[Any, Labels]:
    """Draw categorical columns whose levels follow Zipf's law, one-hot encoded as CSR."""
    n, d = problem.n, problem.d
    columns = min(ONE_HOT_COLUMNS, max(1, d // 3))
    weights = random.dirichlet(np.full(columns, 0.7))
    levels = np.maximum(2, np.floor(weights * d)).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(levels)[:-1]])
    index = np.empty((n, columns), dtype=np.int64)
    for k, size in enumerate(levels):
        share = 1 / (1.0 + np.arange(size)) ** random.uniform(0.8, 1.5)
        index[:, k] = first[k] + random.choice(size, n, p=share / share.sum())
    indptr = np.arange(n + 1) * columns
    X = sp.csr_matrix((np.ones(n * columns), index.ravel(), indptr), shape=(n, int(levels.sum())))
    return X, labels(X, problem.q, random)


ONE_HOT_COLUMNS = 12
"""Categorical columns before the encoding, that is, ones in a row."""


@dataclass(frozen=True)
class Family:
    """A kind of columns: how rows are made, the range of d, and the numbers that a row stores (0: d)."""

    make: Callable[[SweepProblem, np.random.Generator], tuple[Any, Labels]]
    columns: tuple[float, float]
    per_row: int = 0
    least_rows: int = 0


FAMILIES = {
    "dense": Family(dense, (3, 2000)),
    "correlated": Family(correlated, (3, 1500)),
    "heavy-tailed": Family(heavy_tailed, (3, 1000)),
    "0/1": Family(binary, (5, 1500)),
    "tall": Family(dense, (2, 30), least_rows=30_000),
    "text": Family(text, (1000, 50_000), per_row=40),
    "counts": Family(counts, (10, 3000)),
    "one-hot": Family(one_hot, (10, 20_000), per_row=ONE_HOT_COLUMNS),
    "own units": Family(own_units, (3, 1000)),
}
"""Kinds of columns, in the order in which numbers go through them."""
