"""Where the rows of the problems come from: real tables beside the project, and tables drawn from a known model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import foundation
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Parts = tuple[Any, NDArray[np.int64], Any, Any]
"""X, y, and X and y of the held-out rows (None where there are none)."""


class Missing(Exception):
    """A file that the problem needs is not on this machine."""


def real(name: str) -> str:
    """Path of a file of real data."""
    path = foundation.DATA / name
    if not path.exists():
        raise Missing(f"{name} is not in {foundation.DATA} (name the folder with SOFTREG_DATA)")
    return str(path)


def drawn(o: NDArray[Any], random: np.random.Generator) -> NDArray[np.int64]:
    """A label for each row of logits, drawn from softmax(o): the largest of logits + Gumbel noise."""
    return (o + random.gumbel(size=o.shape)).argmax(axis=1).astype(np.int64)


def split(X: Any, y: NDArray[np.int64], n: int) -> Parts:
    return X[:n], y[:n], X[n:], y[n:]


def mnist(change: Callable[[NDArray[Any]], NDArray[Any]] = lambda X: X / 255) -> Parts:
    """Pixels as `change` makes them, in float32."""
    with np.load(real("mnist.npz")) as file:
        train, test = (file[f"x_{part}"].reshape(-1, 784) for part in ("train", "test"))
        y, y_test = (file[f"y_{part}"].astype(np.int64) for part in ("train", "test"))
    return change(train).astype(np.float32), y, change(test).astype(np.float32), y_test


def mnist_shifted() -> Parts:
    return mnist(lambda X: X / 255 + 100)


def mnist_scaled() -> Parts:
    factor = 10 ** np.random.default_rng(0).uniform(-1.5, 1.5, size=784)
    return mnist(lambda X: X / 255 * factor)


def newsgroups() -> Parts:
    """TF-IDF of single words, sublinear, those of two documents and more; vocabulary of the training rows."""
    import pyarrow.parquet as pq
    from sklearn.feature_extraction.text import TfidfVectorizer

    table = pq.read_table(real("newsgroups.parquet"), columns=["text", "newsgroup"])
    text, group = table["text"].to_pylist(), np.asarray(table["newsgroup"].to_pylist())
    y = np.unique(group, return_inverse=True)[1].astype(np.int64)
    words = TfidfVectorizer(sublinear_tf=True, min_df=2)
    X = words.fit_transform(text[:15000])
    return sp.csr_array(X), y[:15000], sp.csr_array(words.transform(text[15000:])), y[15000:]


def bank() -> Parts:
    real("bank-full.csv")
    return split(*foundation.bank_matrix(), 36000)


def iris() -> Parts:
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True)
    return X, y.astype(np.int64), None, None


def digits() -> Parts:
    """Pixels / 16, every fifth row held out."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    out = np.arange(len(X)) % 5 == 4
    return X[~out] / 16, y[~out].astype(np.int64), X[out] / 16, y[out].astype(np.int64)


def letter() -> Parts:
    """Integers 0 to 15 around a centre a class, as the letter-recognition table has them."""
    random = np.random.default_rng(0)
    y = random.integers(26, size=20000)
    X = random.uniform(3, 11, size=(26, 16))[y] + random.normal(scale=2.2, size=(20000, 16))
    return split(np.clip(np.rint(X), 0, 15), y, 16000)


def embeddings() -> Parts:
    """Unit vectors around one direction a class, classes of unequal size."""
    random = np.random.default_rng(0)
    n, d, q = 105_000, 512, 1000
    share = 1 / np.arange(3, q + 3) ** 0.7
    y = np.concatenate([np.arange(q), random.choice(q, size=n - q, p=share / share.sum())])
    centre = random.normal(size=(q, d)).astype(np.float32)
    X = 0.35 * centre[y] + random.standard_normal(size=(n, d), dtype=np.float32)
    return split(X / np.linalg.norm(X, axis=1, keepdims=True), y, 100_000)


def wide() -> Parts:
    random = np.random.default_rng(0)
    X, W = random.normal(size=(600, 1000)), random.normal(size=(1000, 10)) * (random.uniform(size=(1000, 1)) < 0.05)
    y = drawn(X @ W, random)
    y[:10] = np.arange(10)
    return split(X, y, 100)


def tall() -> Parts:
    random = np.random.default_rng(0)
    X = random.standard_normal(size=(2_050_000, 20), dtype=np.float32) * random.uniform(0.3, 3, size=20)
    X = X.astype(np.float32)
    return split(X, drawn(X @ random.normal(scale=0.4, size=(20, 3)) + [0.5, 0, -0.5], random), 2_000_000)


def rare() -> Parts:
    """Ten one-hot columns of 500 values each, Zipf-like: half of the 5,000 columns are 1 in fewer than 100 rows."""
    random = np.random.default_rng(0)
    n, parts, levels = 210_000, 10, 500
    share = 1 / np.arange(1, levels + 1) ** 1.3
    value = random.choice(levels, size=(n, parts), p=share / share.sum())
    column = (value + levels * np.arange(parts)).ravel()
    X = sp.csr_array((np.ones(n * parts), column, np.arange(0, n * parts + 1, parts)), shape=(n, levels * parts))
    return split(X, drawn(X @ random.normal(scale=0.7, size=(levels * parts, 5)), random), 200_000)
