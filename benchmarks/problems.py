"""The problems: data, strength and certified optimum of each.

    python benchmarks/problems.py [name ...]     makes them and prints each optimum with its certificate

Matrices and optima are made once and kept in a cache folder outside the project: `SOFTREG_BENCH_CACHE`, or a folder in
the system's temporary one. Change data.py (or a strength) and they are made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import data
import numpy as np
import scipy.sparse as sp
from measure import certificate, objective

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Problem:
    """What is to be minimised, and how near to the minimum the contestants should come."""

    name: str
    says: str
    make: Callable[[], data.Parts]
    strength: float
    gaps: tuple[float, ...] = (1e-3, 1e-5, 1e-6)
    only: tuple[str, ...] = ()
    """Names (or beginnings of names) of the contestants that enter; all, where empty."""
    rounds: int = 3
    limit: float = 120
    """Seconds of fitting that a contestant has in the first round, at most."""
    tol: float = 1e-11
    """Tolerance of the optimum, in nats; far below the last of `gaps`."""


FEW = ("softreg", "scikit-learn lbfgs", "scikit-learn newton", "scikit-learn-intelex", "cyanure", "torch")
PROBLEMS = {
    p.name: p
    for p in (
        Problem("iris", "iris, raw columns: the cost of a call", data.iris, 1e-3, limit=20),
        Problem("digits", "scikit-learn's digits, pixels / 16: the cost of a call", data.digits, 1e-4, limit=20),
        Problem("wide", "far more columns than rows, drawn from a sparse model", data.wide, 1e-3, limit=20),
        Problem("bank", "bank marketing, raw columns + one-hot: badly scaled, two classes", data.bank, 1e-5),
        Problem("letter", "integers 0 to 15, 26 classes", data.letter, 1e-5, gaps=(1e-3, 1e-5, 1e-6, 1e-8), tol=1e-12),
        Problem("newsgroups", "20 newsgroups, TF-IDF of words", data.newsgroups, 1e-5),
        Problem("rare", "one-hot columns with Zipf-like counts, most of them rare", data.rare, 1e-6),
        Problem("mnist", "MNIST, pixels / 255", data.mnist, 1e-4),
        Problem(
            "shifted", "MNIST, pixels / 255 + 100: the same optimum, harder columns", data.mnist_shifted, 1e-4, only=FEW
        ),
        Problem(
            "scaled",
            "MNIST, each pixel in a unit of its own, over three powers of ten",
            data.mnist_scaled,
            1e-4,
            only=FEW,
        ),
        Problem("tall", "far more rows than columns, drawn from the model", data.tall, 1e-4),
        Problem(
            "embeddings",
            "unit vectors around 1,000 directions",
            data.embeddings,
            1e-6,
            only=("softreg", "torch", "scikit-learn lbfgs"),
            rounds=1,
            tol=1e-8,
        ),
    )
}


def cache() -> Path:
    """The folder of matrices and optima made by these very sources."""
    sources = (HERE / "data.py").read_bytes()
    root = os.environ.get("SOFTREG_BENCH_CACHE", Path(tempfile.gettempdir()) / f"softreg-bench-{os.getuid()}")
    folder = Path(root) / hashlib.sha256(sources).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def load(problem: Problem) -> data.Parts:
    """X, y, X_test, y_test; raises `data.Missing` where a file is not on this machine."""
    folder = cache() / problem.name
    if not (folder / "done").exists():
        folder.mkdir(exist_ok=True)
        for name, array in zip(("X", "y", "X_test", "y_test"), problem.make(), strict=True):
            keep(folder / name, array)
        (folder / "done").touch()
    X, y, X_test, y_test = (kept(folder / name) for name in ("X", "y", "X_test", "y_test"))
    return X, y, X_test, y_test


def keep(path: Path, array: Any) -> None:
    if sp.issparse(array):
        for part in ("data", "indices", "indptr", "shape"):
            np.save(f"{path}.{part}.npy", np.asarray(getattr(array, part)))
    elif array is not None:
        np.save(f"{path}.npy", np.ascontiguousarray(array))


def kept(path: Path) -> Any:
    if Path(f"{path}.shape.npy").exists():
        parts = {part: np.load(f"{path}.{part}.npy") for part in ("data", "indices", "indptr", "shape")}
        index = np.int32  # what every contestant takes
        arrays = (parts["data"], parts["indices"].astype(index), parts["indptr"].astype(index))
        return sp.csr_matrix(arrays, shape=tuple(parts["shape"]))
    return np.load(f"{path}.npy") if Path(f"{path}.npy").exists() else None


@dataclass(frozen=True)
class Optimum:
    """The objective at the best weights known, and how far above the minimum it can be at most."""

    value: float
    gap: float
    bound: str


def optimum(problem: Problem) -> Optimum:
    """The optimum, found by softreg in float64, and its proof.

    The referee's own proof is strong convexity (`measure.certificate`). On badly scaled columns it is loose: there
    softreg's certificate (Newton decrement and self-concordance) counts where it is the tighter one, and is named.
    """
    path = cache() / problem.name / f"optimum-{problem.strength:g}-{problem.tol:g}.json"
    if not path.exists():
        X, y, _, _ = load(problem)
        wide = X.astype(np.float64)
        from softreg import SoftmaxRegression

        model = SoftmaxRegression(problem.strength, tol=problem.tol, max_iter=5000).fit(wide, y)
        W, b = model.coef_.T, model.intercept_
        gap, bound = certificate(wide, y, W, b, problem.strength), "strong convexity"
        if model.solution_.certified and model.solution_.gap < gap / 10:
            gap, bound = model.solution_.gap, f"softreg, {model.solution_.bound}"
        value = objective(wide, y, W, b, problem.strength)
        path.write_text(json.dumps({"value": value, "gap": gap, "bound": bound}))
    told = json.loads(path.read_text())
    if told["gap"] > problem.gaps[-1] / 10:
        raise ArithmeticError(f"the optimum of {problem.name} is proved to {told['gap']:.1e} only")
    return Optimum(**told)


def chosen(names: list[str]) -> list[Problem]:
    """Problems by name, all where there are no names."""
    unknown = [name for name in names if name not in PROBLEMS]
    if unknown:
        raise SystemExit(f"there is no problem {unknown[0]!r}; there are {', '.join(PROBLEMS)}")
    return [PROBLEMS[name] for name in names or PROBLEMS]


if __name__ == "__main__":
    for problem in chosen(sys.argv[1:]):
        try:
            best = optimum(problem)
            print(
                f"{problem.name:<12s} {best.value:.12f}, above the minimum by at most {best.gap:.1e} ({best.bound})",
                flush=True,
            )
        except data.Missing as missing:
            print(f"{problem.name:<12s} skipped: {missing}")
