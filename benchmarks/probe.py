"""A linear probe of the size of ImageNet's 1% with a ViT-S: 12,811 rows, 384 columns, 1,000 classes.

The embeddings are drawn: 1,000 class means in 100 groups, noise within the classes of a decaying spectrum, one label in
10 wrong, rows of mean length 1. Each contestant runs in a process of its own, which ends after SECONDS; objective and
certificate of its weights are computed in float64 by `measure.py`. Times are wall time and processor time of the fit.

    python benchmarks/probe.py fits           # softreg at one strength after another, each from its own start
    python benchmarks/probe.py path           # the strengths one after another, and as one stack
    python benchmarks/probe.py peers [SECONDS] [STRENGTH]   # scikit-learn, cyanure and softreg at one strength
    python benchmarks/probe.py memory         # peak memory of softreg.probe on .npy files of float16 and float32
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import numpy as np

N, D, Q, TEST = 12_811, 384, 1_000, 5_000
GROUPS, FINE, BETWEEN, WITHIN, WRONG = 100, 0.8, -0.5, -0.2, 0.1
STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
PATH = (1e-2, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6)
TOL = 1e-4


def draw(n: int = N, d: int = D, seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Embeddings and labels to train on, and to test on."""
    random = np.random.default_rng(seed)
    y = np.concatenate([np.arange(Q), random.integers(0, Q, n - Q)])
    random.shuffle(y)
    t = random.integers(0, Q, TEST)
    k = np.arange(1, d + 1)
    first, second = (np.linalg.qr(random.normal(size=(d, d)))[0] for _ in range(2))
    coarse = random.normal(size=(GROUPS, d))[np.arange(Q) % GROUPS]
    means = ((coarse + FINE * random.normal(size=(Q, d))) * k**BETWEEN) @ first
    X, T = ((means[codes] + (random.normal(size=(len(codes), d)) * k**WITHIN) @ second) for codes in (y, t))
    for codes in (y, t):
        wrong = random.random(len(codes)) < WRONG
        codes[wrong] = random.integers(0, Q, wrong.sum())
    length = np.linalg.norm(X, axis=1).mean()
    return (X / length).astype(np.float32), y, (T / length).astype(np.float32), t


def softreg_fit(X: Any, y: Any, strength: float) -> tuple[Any, Any]:
    from softreg import SoftmaxRegression

    model = SoftmaxRegression(strength, tol=TOL).fit(X, y)
    return model.coef_.T, model.intercept_


def sklearn_fit(X: Any, y: Any, strength: float) -> tuple[Any, Any]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1 / (len(X) * strength), max_iter=1000).fit(X, y)
    return model.coef_.T, model.intercept_


def cyanure_fit(X: Any, y: Any, strength: float) -> tuple[Any, Any]:
    from cyanure.estimators import Classifier

    options = {"lambda_1": strength, "tol": 1e-3, "max_iter": 300, "verbose": False}
    model = Classifier(loss="multiclass-logistic", penalty="l2", fit_intercept=True, **options)
    model.fit(X, y)
    W = np.asarray(model.coef_, dtype=np.float64)
    return W if W.shape == (D, Q) else W.T, np.asarray(model.intercept_, dtype=np.float64).ravel()


FITS: dict[str, Callable[[Any, Any, float], tuple[Any, Any]]] = {
    "softreg": softreg_fit,
    "scikit-learn lbfgs": sklearn_fit,
    "cyanure, tol 1e-3": cyanure_fit,
}


def child(name: str, strength: float) -> None:
    """Fit, and print the result as a line of JSON."""
    X, y, T, t = draw()
    wall, cpu = time.perf_counter(), time.process_time()
    W, b = FITS[name](X, y, strength)
    seconds, work = time.perf_counter() - wall, time.process_time() - cpu
    W, b = np.asarray(W, dtype=np.float64), np.asarray(b, dtype=np.float64)
    o = T @ W + b
    result = {
        "seconds": seconds,
        "cpu": work,
        "objective": float(measure.objective(X, y, W, b, strength)),
        "gap": float(measure.certificate(X, y, W, b, strength)),
        "accuracy": float((o.argmax(1) == t).mean()),
        "log_loss": float(measure.log_loss(T, t, W, b)),
    }
    print(json.dumps(result))


def run(*arguments: str, limit: float) -> dict[str, Any] | None:
    """The result of a process, or None where it has taken too long or failed, with the reason on stderr."""
    command = [sys.executable, __file__, *arguments]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=limit, check=True)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(name: str, strength: float, limit: float) -> None:
    """Run a contestant and print its line."""
    result = run("child", name, str(strength), limit=limit)
    if result is None:
        print(f"{name:20s} {strength:8.0e}  not done after {limit:.0f} s", flush=True)
        return
    line = (
        "{seconds:8.2f} s  {cpu:8.2f} s cpu  F {objective:.6f}  gap {gap:.1e}  test {accuracy:.2%}, {log_loss:.4f} nats"
    )
    print(f"{name:20s} {strength:8.0e} {line.format(**result)}", flush=True)


def path() -> None:
    """Print what seven strengths cost, one after another and as one stack."""
    from softreg.optimize import l2, minimise
    from softreg.rows import as_rows

    X, y, _, _ = draw()
    rows = as_rows(X, y)

    def one_by_one(warm: bool) -> list[Any]:
        fits, start = [], None
        for strength in PATH:
            (fit,) = minimise(rows, Q, l2(strength), tol=TOL, start=start)
            start = (fit.W[None], fit.b[None]) if warm else None
            fits.append(fit)
        return fits

    ways: dict[str, Callable[[], list[Any]]] = {
        "each from the one before": lambda: one_by_one(True),
        "each from its own start": lambda: one_by_one(False),
        "one stack": lambda: list(minimise(rows, Q, l2(np.array(PATH)), tol=TOL)),
    }
    for name, way in ways.items():
        measure.forget_peak()
        before = measure.peak_bytes()
        wall, cpu = time.perf_counter(), time.process_time()
        fits = way()
        seconds, work = time.perf_counter() - wall, time.process_time() - cpu
        passes = fits[0].passes if name == "one stack" else sum(fit.passes for fit in fits)
        memory = (measure.peak_bytes() - before) / 2**20
        worst = max(fit.gap for fit in fits)
        print(
            f"{name:26s} {seconds:7.2f} s {work:7.2f} s cpu  {passes:4d} passes, {memory:6.0f} MB more, gap {worst:.1e}"
        )


def memory(kind: str | None) -> None:
    """Print the peak memory of a probe beyond that of the imports, for files of 200,000 x 384."""
    if kind is not None:
        import softreg
        import softreg.linear_probe  # noqa: F401  (its imports are not counted)

        measure.forget_peak()
        before, start = measure.peak_bytes(), time.perf_counter()
        result = softreg.probe("X.npy", "y.npy", strengths=[1e-4])
        print(json.dumps({"mb": (measure.peak_bytes() - before) / 2**20, "seconds": time.perf_counter() - start,
                          "gap": float(result.model.solution_.gap)}))  # fmt: skip
        return
    n, home = 200_000, Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        X, y, _, _ = draw(n)
        y = y % 100
        np.save("y.npy", y)
        for name in ("float16", "float32"):
            np.save("X.npy", X.astype(name))
            result = run_memory(home, name)
            size = Path("X.npy").stat().st_size / 2**20
            print(f"{name}: file {size:.0f} MB, peak {result['mb']:.0f} MB more, {result['seconds']:.1f} s", flush=True)
        os.chdir(home)


def run_memory(home: Path, kind: str) -> dict[str, Any]:
    script = (home / __file__).resolve()
    done = subprocess.run([sys.executable, script, "memory", kind], capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main(arguments: list[str]) -> None:
    what = arguments[0] if arguments else "fits"
    if what == "child":
        child(arguments[1], float(arguments[2]))
    elif what == "path":
        path()
    elif what == "memory":
        memory(arguments[1] if len(arguments) > 1 else None)
    elif what == "peers":
        limit = float(arguments[1]) if len(arguments) > 1 else 120.0
        strength = float(arguments[2]) if len(arguments) > 2 else 1e-4
        for name in FITS:
            report(name, strength, limit)
    else:
        for strength in STRENGTHS:
            report("softreg", strength, 600.0)


if __name__ == "__main__":
    main(sys.argv[1:])
