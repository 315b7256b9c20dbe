"""Damaged sparse matrices by the thousand, handed to everything that takes features; run in a process of its own.

`python hostile_sparse.py SEED COUNT` prints how many were refused. An exception other than `ValueError` and `TypeError`
ends it with a traceback, and an index that a kernel follows out of the matrix with a signal.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg import SoftmaxRegression, SoftmaxRegressionCV

Random = np.random.Generator
HUGE = (-1, -(2**31), 2**31 - 1, 2**31, 2**40, -(2**62), 2**62)
DTYPES = ("int8", "uint8", "int16", "int64", "uint32", "uint64", ">i4", "float64", "bool", "object", "complex128", "U4")


def sound(random: Random) -> Any:
    """A matrix of 6 to 30 rows in some format, with 32- or 64-bit indices, in single or double precision."""
    n, d = int(random.integers(6, 31)), int(random.integers(1, 9))
    X = sp.csr_array(
        (random.normal(size=(n, d)) * (random.random((n, d)) < random.random())).astype(random.choice(["f4", "f8"]))
    )
    if random.random() < 0.3:
        X = sp.csr_matrix(X)
    X = X.asformat(random.choice(["csr", "csr", "csr", "csc", "coo", "bsr", "lil", "dia", "dok"]))
    if random.random() < 0.3 and hasattr(X, "indptr"):
        X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def damage(X: Any, random: Random) -> None:
    """Change one of its arrays in place: an entry, the length, the dtype, the shape, or the order."""
    names = [name for name in ("data", "indices", "indptr", "row", "col", "offsets", "rows") if hasattr(X, name)]
    if X.format == "dok" or random.random() < 0.1:
        X._shape = (max(0, X.shape[0] + int(random.integers(-3, 4))), max(0, X.shape[1] + int(random.integers(-3, 4))))
        return
    name = str(random.choice(names))
    part = np.array(getattr(X, name), copy=True)
    if part.dtype == object:  # of a list of lists
        place = int(random.integers(len(part)))
        part[place] = [[99], [-1], [], None, [0, 1, 2, 3], ["a"]][int(random.integers(6))]
        setattr(X, name, part)
        return
    size = part.size
    changes: list[Callable[[], Any]] = [
        lambda: part[: int(random.integers(0, len(part) + 1))],
        lambda: np.concatenate([part, part[: int(random.integers(0, 4))]]),
        lambda: part.astype(str(random.choice(DTYPES))),
        lambda: part[::-1],
        lambda: random.permutation(part),
        lambda: part.reshape(1, *part.shape),
        lambda: np.repeat(part, 2, axis=0)[::2],
        lambda: None,
        lambda: part.tolist(),
    ]
    if size and random.random() < 0.5:
        flat, value = part.reshape(-1), random.choice(HUGE) if random.random() < 0.5 else int(random.integers(-3, 40))
        kind = np.iinfo(part.dtype) if part.dtype.kind in "iu" else None
        flat[int(random.integers(size))] = value if kind is None else int(np.clip(value, kind.min, kind.max))
        if part.dtype.kind == "f" and random.random() < 0.3:
            flat[int(random.integers(size))] = random.choice([np.nan, np.inf, 1e308])
        setattr(X, name, part)
        return
    setattr(X, name, changes[int(random.integers(len(changes)))]())


def asked(X: Any, number: int) -> None:
    """Hand the matrix to one of the methods that take features."""
    n = int(X.shape[0])
    y = np.arange(n) % 3
    trained = SoftmaxRegression(1e-2).fit(
        np.eye(max(3, X.shape[1]))[:, : X.shape[1]], np.arange(max(3, X.shape[1])) % 3
    )
    match number % 6:
        case 0 | 1:
            SoftmaxRegression(1e-2, max_iter=20).fit(X, y)
        case 2:
            trained.predict_proba(X)
        case 3:
            SoftmaxRegression(1e-2).partial_fit(X, y, classes=[0, 1, 2])
        case 4:
            SoftmaxRegressionCV([1e-1], cv=2, max_iter=20).fit(X, y)
        case _:
            SoftmaxRegression(1e-2, max_iter=20).fit(iter([(X, y)]))


def main(seed: int, count: int) -> None:
    """Make the matrices of this seed, one after another."""
    warnings.simplefilter("ignore")
    refused = 0
    for number in range(count):
        random = np.random.default_rng([seed, number])
        X = sound(random)
        try:
            damage(X, random)
        except (ValueError, TypeError, OverflowError, AttributeError):  # what NumPy or SciPy cannot damage
            continue
        try:
            asked(X, number)
        except (ValueError, TypeError) as error:
            refused += 1
            if len(str(error)) <= 20:
                raise RuntimeError(f"no sentence: {error!r} (seed {seed}, number {number})") from error
        except BaseException:
            print(f"seed {seed}, number {number}: {X.format}", file=sys.stderr)
            raise
    print(f"{refused} of {count} refused")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
