"""The figures of the foundation: MNIST against scikit-learn, raw bank columns, shifted features.

    python benchmarks/foundation.py [mnist] [bank] [shift]

Each part prints what it measured in this run on this machine; compare ratios, not seconds. The data lie in
../shared/data beside the project, or in the folder that SOFTREG_DATA names.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from softreg import SoftmaxRegression

DATA = Path(os.environ.get("SOFTREG_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
MNIST_OPTIMUM = 0.259248294244  # strength 1e-4 on x / 255, certified in float64 (gap below 1e-11)


def objective(X, y, W, b, strength: float) -> float:
    """Mean cross-entropy + strength / 2 ||W||^2 in float64, for W (d, q)."""
    total = 0.0
    for a in range(0, len(X), 8192):
        o = X[a : a + 8192].astype(np.float64) @ W + b
        top = o.max(axis=1)
        total += float((np.log(np.exp(o - top[:, None]).sum(1)) + top - o[np.arange(len(o)), y[a : a + 8192]]).sum())
    return total / len(X) + strength / 2 * float((W**2).sum())


def timed(work):
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = work()
    return result, time.perf_counter() - start


def mnist() -> None:
    with np.load(DATA / "mnist.npz") as file:
        X = (file["x_train"].reshape(60000, 784) / 255).astype(np.float32)
        y = file["y_train"].astype(np.int64)
        X_test = (file["x_test"].reshape(10000, 784) / 255).astype(np.float32)
        y_test = file["y_test"].astype(np.int64)
    strength = 1e-4
    runs = []
    for _ in range(3):
        ours, seconds = timed(lambda: SoftmaxRegression(strength).fit(X, y))
        runs.append(seconds)
    s = ours.solution_
    P = ours.predict_proba(X_test)
    held_out = -np.log(P[np.arange(len(P)), y_test]).mean()
    gap = objective(X, y, ours.coef_.T, ours.intercept_, strength) - MNIST_OPTIMUM
    print(f"MNIST  softreg               {np.median(runs):6.2f} s (runs {', '.join(f'{r:.2f}' for r in runs)})")
    print(
        f"       F - F* = {gap:.1e}, certified gap {s.gap:.1e} ({s.bound}), {s.passes} passes, log loss {held_out:.4f}"
    )
    for name, options in (("tol 1e-6", {"tol": 1e-6, "max_iter": 10000}), ("defaults", {})):
        peer = LogisticRegression(C=1 / (len(X) * strength), **options)
        peer, seconds = timed(lambda peer=peer: peer.fit(X, y))
        gap = objective(X, y, peer.coef_.T.astype(np.float64), peer.intercept_, strength) - MNIST_OPTIMUM
        ratio = seconds / np.median(runs)
        print(f"       scikit-learn {name}  {seconds:6.2f} s, F - F* = {gap:.1e}: softreg is {ratio:.1f} times as fast")


def bank_matrix() -> tuple[np.ndarray, np.ndarray]:
    """Raw numbers and one-hot categories (drop first), rows shuffled; the first 36,000 are for training."""
    import pandas as pd

    frame = pd.read_csv(DATA / "bank-full.csv")
    if len(frame.columns) == 1:
        frame = pd.read_csv(DATA / "bank-full.csv", sep=";")
    y = (frame.pop("y") == "yes").to_numpy().astype(np.int64)
    X = pd.get_dummies(frame, drop_first=True).to_numpy(dtype=np.float64)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], y[order]


def bank() -> None:
    X, y = bank_matrix()
    X, y, strength = X[:36000], y[:36000], 1e-5
    ours, seconds = timed(lambda: SoftmaxRegression(strength).fit(X, y))
    s = ours.solution_
    value = objective(X, y, ours.coef_.T, ours.intercept_, strength)
    print(
        f"bank   softreg, defaults     {seconds:6.3f} s  objective {value:.8f}, gap {s.gap:.1e} "
        f"({s.bound}), {s.passes} passes"
    )
    for solver, options in (("newton-cholesky", {"tol": 1e-10}), ("lbfgs", {})):
        peer = LogisticRegression(C=2 / (len(X) * strength), solver=solver, **options)
        peer, seconds = timed(lambda peer=peer: peer.fit(X, y))
        half = np.concatenate([-peer.coef_, peer.coef_]).T / 2  # the same probabilities with both columns penalised
        value = objective(X, y, half, np.concatenate([-peer.intercept_, peer.intercept_]) / 2, strength)
        print(f"       scikit-learn {solver:<15s} {seconds:6.3f} s  objective {value:.8f}")


def shift() -> None:
    random = np.random.default_rng(0)
    base = random.normal(size=(2000, 5))
    P = np.exp(base @ random.normal(size=(5, 3)))
    y = np.array([random.choice(3, p=p / p.sum()) for p in P])
    for name, offset, kind, strength in (
        ("float32, features + 100", 100, np.float32, 1e-4),
        ("float32, features + 10,000", 1e4, np.float32, 1e-4),
        ("float64, features + 10,000, no penalty", 1e4, np.float64, 0.0),
    ):
        X = (base + offset).astype(kind)
        centred = X.astype(np.float64) - offset  # exact: the same stored numbers, seen from nearby
        truth = SoftmaxRegression(strength, tol=1e-13).fit(centred, y).predict_proba(centred)
        ours = SoftmaxRegression(strength, tol=1e-10).fit(X, y)
        default = SoftmaxRegression(strength).fit(X, y)
        away = [np.abs(m.predict_proba(X) - truth).max() for m in (ours, default)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            C = np.inf if strength == 0 else 1 / (len(X) * strength)
            peer = LogisticRegression(C=C, tol=1e-8 if strength == 0 else 1e-4).fit(X, y).predict_proba(X)
        loss = -np.log(truth[np.arange(len(y)), y]).mean()
        print(
            f"shift  {name:<40s} log loss {loss:.4f}; probabilities off by {away[0]:.1e} (tol 1e-10), "
            f"{away[1]:.1e} (defaults); scikit-learn {np.abs(peer - truth).max():.1e}"
        )


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["shift", "bank", "mnist"]
    for part in chosen:
        {"mnist": mnist, "bank": bank, "shift": shift}[part]()
