"""Random hard problems, each checked against an independent optimum: no *converged* whose gap is larger than reported.

    python benchmarks/certificates.py --problems 1000 --seed 0

For each problem softreg fits a model. The objective at its weights is evaluated in extended precision, and a reference
solver (damped Newton steps, or proximal Newton steps for an l1 part, in NumPy; nothing of softreg's solver) looks for a
lower value, from softreg's weights on and from zero. What it gains is a lower bound of the true gap. A problem fails
where

- the status is *converged* and the reference gains more than the reported gap and the allowance for rounding,
- anything but a `ValueError` is raised, or
- a weight or a probability is not a number, or probabilities differ from those of the weights.

The allowance for rounding: weights and bias are float64 numbers, so each logit is known to `eps (|x| |w| + |b|)` at
best, and the objective to the mean of the largest of a row; four times that is allowed, and 1e-13 of the objective.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg import SoftmaxRegression

Array = np.ndarray
LD = np.longdouble
EPS = float(np.finfo(np.float64).eps)


@dataclass
class Problem:
    """Features X (n, d), labels (codes or probabilities), weights (n,) or None, and the settings of the model."""

    seed: int
    X: Any
    y: Array
    weight: Array | None
    settings: dict[str, Any]
    kind: str


def draw(seed: int) -> Problem:
    """A random problem: wild scales, dependent and constant columns, weights, soft labels, separable classes."""
    r = np.random.default_rng([2026, seed])
    q, d = int(r.integers(2, 9)), int(r.integers(1, 13))
    n = int(r.integers(q + 2, 8 + 20 * q)) if r.random() < 0.8 else int(r.integers(q + 1, max(q + 2, d + 2)))
    X, words = _features(r, n, d)
    o = _standard(X) @ r.normal(size=(d, q)) * 10 ** r.uniform(-1, 1.3)
    separable = r.choice(["noisy", "near", "separable"], p=[0.6, 0.25, 0.15])
    o = o + r.gumbel(size=o.shape) if separable == "noisy" else o
    y = o.argmax(axis=1)
    if separable == "near":
        flip = r.random(n) < 0.05
        y = np.where(flip, r.integers(0, q, n), y)
    y[:q] = np.arange(q)  # every class occurs
    labels = _soft(r, y, q) if r.random() < 0.2 else y
    settings = _settings(r)
    if settings["penalty"] is None and r.random() < 0.15:
        words.append("extreme scales")
        X = X * 10 ** (r.uniform(-300, 300, d) - np.log10(np.maximum(np.abs(X).max(axis=0), 1e-9)))
    X = X.astype(np.float32 if r.random() < 0.5 and 1e-38 < np.abs(X).max() < 1e38 else np.float64)
    words += [str(separable), "soft" if labels.ndim == 2 else "hard", str(X.dtype), *map(str, settings.values())]
    if r.random() < 0.3:
        X, words = sp.csr_array(X), [*words, "CSR"]
    return Problem(seed, X, labels, _weights(r, n, q), settings, " ".join(words))


def _features(r: Any, n: int, d: int) -> tuple[Array, list[str]]:
    X, words = r.normal(size=(n, d)), []
    for j in range(d):
        kind = r.choice(["normal", "binary", "heavy", "rare"], p=[0.6, 0.2, 0.1, 0.1])
        if kind == "binary":
            X[:, j] = r.integers(0, 2, n)
        elif kind == "heavy":
            X[:, j] = r.standard_t(1.5, n)
        elif kind == "rare":
            X[:, j] = r.normal(size=n) * (r.random(n) < 0.1)
    if d > 1 and r.random() < 0.35:
        words.append("collinear")
        a, b = r.choice(d, 2, replace=False)
        gap = r.choice([0.0, 1e-3, 1e-5, 1e-7, 1e-9])
        X[:, a] = X[:, b] + gap * r.normal(size=n)
    if r.random() < 0.4:
        words.append("scales")
        X = X * 10 ** r.uniform(-8, 8, d)
    if r.random() < 0.2:
        words.append("shifts")
        X = X + X.std(axis=0) * 10 ** r.uniform(-2, 4, d)
    if r.random() < 0.15:
        words.append("outlier")
        X[r.integers(n), r.integers(d)] = r.choice([-1, 1]) * 10 ** r.uniform(3, 12)
    if r.random() < 0.15:
        words.append("constant")
        X[:, r.integers(d)] = r.choice([0.0, 1.0, -3e5])
    return X, words


def _standard(X: Array) -> Array:
    spread = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _soft(r: Any, y: Array, q: int) -> Array:
    Y = 0.7 * np.eye(q)[y] + 0.3 * r.dirichlet(np.ones(q), len(y))
    hard = r.random(len(y)) < 0.3
    Y[hard] = np.eye(q)[y[hard]]
    return Y / Y.sum(axis=1, keepdims=True)


def _weights(r: Any, n: int, q: int) -> Array | None:
    kind = r.choice(["none", "random", "zeros", "wild"], p=[0.5, 0.2, 0.2, 0.1])
    if kind == "none":
        return None
    weight = {"random": r.exponential(size=n), "zeros": r.integers(0, 3, n).astype(float)}.get(
        str(kind), 10 ** r.uniform(-3, 3, n)
    )
    weight[:q] = np.maximum(weight[:q], 0.5)
    return np.asarray(weight)


def _settings(r: Any) -> dict[str, Any]:
    penalty = r.choice(["l2", "l1", "elasticnet", "none"], p=[0.25, 0.2, 0.15, 0.4])
    found: dict[str, Any] = {"penalty": None if penalty == "none" else str(penalty)}
    if penalty != "none":
        found["strength"] = float(10 ** r.uniform(-8, 0))
    if penalty == "elasticnet":
        found["l1_ratio"] = float(r.choice([0.1, 0.5, 0.9]))
    found["fit_intercept"] = bool(r.random() < 0.8)
    found["tol"] = float(r.choice([1e-6, 1e-9], p=[0.8, 0.2]))
    if r.random() < 0.2 and penalty in ("l2", "none"):
        found["solver"] = str(r.choice(["newton", "lbfgs"]))
    return found


# --- the objective, and a reference that looks for less of it ---------------------------------------------------


class Reference:
    """The objective of a problem in extended precision, and steps that lower it."""

    def __init__(self, problem: Problem) -> None:
        X = problem.X.toarray() if sp.issparse(problem.X) else problem.X
        y, weight, s = problem.y, problem.weight, problem.settings
        keep = np.ones(len(X), dtype=bool) if weight is None else weight > 0
        classes = np.unique(y[keep]) if y.ndim == 1 else np.arange(y.shape[1])
        self.X = X[keep].astype(LD)
        self.Y = (y[keep][:, None] == classes).astype(LD) if y.ndim == 1 else y[keep].astype(LD)
        self.Y /= self.Y.sum(axis=1, keepdims=True)
        v = np.ones(len(self.X)) if weight is None else weight[keep]
        self.v = v.astype(LD) / v.astype(LD).sum()
        strength = s.get("strength", 0.0) if s["penalty"] else 0.0
        ratio = {"l1": 1.0, "elasticnet": s.get("l1_ratio", 0.0)}.get(s["penalty"], 0.0)
        self.l1, self.l2, self.bias = strength * ratio, strength * (1 - ratio), s["fit_intercept"]
        mean = self.v @ self.X if self.bias else np.zeros(self.X.shape[1], LD)
        Z = self.X - mean
        size = np.sqrt(self.v @ Z**2)
        size = np.where(size > 1e-305, size, 1)
        self.mean, self.size = mean, size
        Z = Z / size
        if self.bias:
            Z = np.concatenate([Z, np.ones((len(Z), 1), LD)], axis=1)
        self.hold = np.append(self.l1 / size, 0.0)[: Z.shape[1]].astype(float)
        self.ridge = np.append(self.l2 / size**2, 0.0)[: Z.shape[1]].astype(float)
        self.Z = Z
        self.B = np.eye(Z.shape[1])  # theta = B u
        if self.l1 == 0 and self.l2 == 0:
            _, s_, Vt = np.linalg.svd((Z * np.sqrt(self.v)[:, None]).astype(float), full_matrices=False)
            some = s_ > 1e-11 * s_[0]
            self.B = Vt[some].T / s_[some]
        self.A = (Z @ self.B.astype(LD)).astype(float)

    def theta(self, W: Array, b: Array) -> Array:
        """Parameters of the reference (k, q) from weights (d, q) and bias (q,)."""
        W, b = W.astype(LD), b.astype(LD)
        rows = W * self.size[:, None]
        return np.concatenate([rows, (b + self.mean @ W)[None]]) if self.bias else rows

    def value(self, theta: Array) -> float:
        """The objective in extended precision; the common shift that the penalty likes best does not matter."""
        o = self.Z @ theta
        return self._from_logits(o, theta)

    def _from_logits(self, o: Array, theta: Array) -> float:
        top = o.max(axis=1)
        z = o - top[:, None]
        rest = np.exp(z)
        rest[np.arange(len(o)), o.argmax(axis=1)] = 0
        loss = self.v @ (np.log1p(rest.sum(axis=1)) - (self.Y * z).sum(axis=1))
        penalty = (self.hold[:, None] * np.abs(theta)).sum() + (self.ridge[:, None] * theta**2).sum() / 2
        return float(loss + penalty)

    def user_value(self, W: Array, b: Array) -> tuple[float, float]:
        """The objective at weights of the raw columns, and the allowance for their rounding."""
        o = self.X @ W.astype(LD) + b.astype(LD)
        theta = self.theta(W, b)
        size = np.abs(self.X) @ np.abs(W) + np.abs(b)
        value = self._from_logits(o, theta)
        return value, float(4 * EPS * (self.v @ size.max(axis=1))) + 1e-13 * (1 + abs(value))

    def lower(self, theta: Array, steps: int = 60) -> float:
        """The lowest objective found by (proximal) Newton steps from `theta`."""
        best = self.value(theta)
        try:
            u = np.linalg.lstsq(self.B, theta.astype(float), rcond=None)[0]
        except np.linalg.LinAlgError:
            return best
        now = self.value(self.B.astype(LD) @ u.astype(LD))
        damping = 1e-12
        for _ in range(steps):
            D = self._step(u, damping)
            if D is None or not np.isfinite(D).all():
                damping = max(damping * 100, 1e-12)
                if damping > 1:
                    break
                continue
            t, moved = 1.0, False
            for _ in range(25):
                new = u + t * D
                value = self.value(self.B.astype(LD) @ new.astype(LD))
                if value < now:
                    moved = True
                    break
                t /= 2
            if not moved:
                damping *= 1000
                if damping > 1e-2:
                    break
                continue
            gain, u, now = now - value, new, value
            if gain < 1e-12:
                break
        return min(best, now)

    def _step(self, u: Array, damping: float) -> Array | None:
        k, q = u.shape
        o = self.A @ u
        P = np.exp(o - o.max(axis=1, keepdims=True))
        P /= P.sum(axis=1, keepdims=True)
        v = self.v.astype(float)
        G = self.A.T @ (v[:, None] * (P - self.Y.astype(float)))
        H = np.zeros((k, q, k, q))
        for a in range(q):
            for c in range(q):
                w = v * P[:, a] * ((a == c) - P[:, c])
                H[:, a, :, c] = (self.A * w[:, None]).T @ self.A
        H = H.reshape(k * q, k * q)
        smooth = self.l1 == 0
        theta = self.B @ u
        if self.l2 > 0:
            G = G + self.ridge[:, None] * theta
            H[np.diag_indices(k * q)] += np.repeat(self.ridge, q)
        size = np.sqrt(np.maximum(np.diag(H), 1e-290))
        unit = H / size / size[:, None]
        unit[np.diag_indices(k * q)] += damping
        g = G.ravel() / size
        if smooth:
            s, Q = np.linalg.eigh(unit)
            keep = s > 1e-14 * s[-1]
            return -((Q[:, keep] / s[keep]) @ (Q[:, keep].T @ g) / size).reshape(k, q)
        hold = np.repeat(self.hold, q) / size
        return (_descend(unit, g, hold, u.ravel() * size) / size).reshape(k, q)


def _descend(H: Array, g: Array, hold: Array, w: Array) -> Array:
    """The step that minimises `g s + s H s / 2 + hold |w + s|`, by coordinate descent."""
    s, pull = np.zeros_like(w), g.copy()
    diagonal = np.diag(H)
    for sweep in range(60):
        most = 0.0
        for j in range(len(w)):
            at = w[j] + s[j] - pull[j] / diagonal[j]
            new = np.sign(at) * max(abs(at) - hold[j] / diagonal[j], 0.0)
            change = new - w[j] - s[j]
            if change != 0.0:
                s[j] += change
                pull += H[j] * change
                most = max(most, abs(change))
        if most < 1e-12 * (1 + np.abs(w).max()) or (sweep > 20 and most < 1e-9):
            break
    return s


# --- one problem ------------------------------------------------------------------------------------------------


@dataclass
class Verdict:
    """What became of one problem; `fault` is empty where all is well."""

    status: str
    bound: str
    gap: float
    true: float
    fault: str
    seconds: float


def check(problem: Problem, thorough: bool = True) -> Verdict:
    """Fit, and compare with the reference."""
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = SoftmaxRegression(**problem.settings).fit(problem.X, problem.y, problem.weight)
            P = model.predict_proba(problem.X)
        except ValueError as error:
            return Verdict("ValueError", "", np.nan, np.nan, "", time.perf_counter() - began if error else 0.0)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            fault = f"{type(error).__name__}: {error} ({last.filename.rsplit('/', 1)[-1]}:{last.lineno})"
            return Verdict("error", "", np.nan, np.nan, fault, time.perf_counter() - began)
    seconds = time.perf_counter() - began
    solution, reference = model.solution_, Reference(problem)
    W, b = model.coef_.T, model.intercept_
    fault = ""
    if not (np.isfinite(W).all() and np.isfinite(b).all() and np.isfinite(P).all() and solution.gap == solution.gap):
        fault = "a number is not finite"
    with np.errstate(all="ignore"):
        value, allowance = reference.user_value(W, b)
        theta = reference.theta(W, b)
        best = reference.lower(theta)
        if thorough:
            best = min(best, reference.lower(np.zeros_like(theta)))
        true = value - best
        if solution.converged and not true <= solution.gap + allowance:
            fault = f"converged, but the true gap is {true:.2e}, reported {solution.gap:.2e} ({solution.bound})"
        elif abs(value - solution.value) > 1e-6 * (1 + abs(value)) and solution.converged:
            fault = f"value {solution.value:.9g} is reported, and {value:.9g} is true"
        else:
            fault = fault or _prediction(problem, W, b, P)
    return Verdict(solution.status.value, solution.bound, solution.gap, true, fault, seconds)


def _prediction(problem: Problem, W: Array, b: Array, P: Array) -> str:
    """Whether the probabilities are those of the weights, to a rounding of float32 or float64 logits."""
    X = problem.X.toarray() if sp.issparse(problem.X) else problem.X
    o = X.astype(LD) @ W.astype(LD) + b.astype(LD)
    e = np.exp(o - o.max(axis=1, keepdims=True))
    exact = e / e.sum(axis=1, keepdims=True)
    known = 8 * EPS * (np.abs(X.astype(float)) @ np.abs(W) + np.abs(b)).max(axis=1)
    off = np.abs(P - exact).max(axis=1) - known
    limit = 2e-5 if X.dtype == np.float32 else 1e-10
    return f"predict_proba is off by {off.max():.1e}" if off.max() > limit else ""


def main() -> None:
    """Run the campaign; exit code 1 where a problem failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first problem; the next one has the next seed")
    parser.add_argument("--verbose", action="store_true", help="a line for each problem")
    options = parser.parse_args()
    failed, counts, worst = 0, dict[tuple[str, str, str], int](), 0.0
    for seed in range(options.seed, options.seed + options.problems):
        problem = draw(seed)
        found = check(problem)
        key = (str(problem.settings["penalty"]), found.status, found.bound)
        counts[key] = counts.get(key, 0) + 1
        worst = max(worst, found.seconds)
        if found.fault or options.verbose:
            word = f"FAULT {found.fault}" if found.fault else "ok"
            ended = f"{found.status} {found.bound} gap {found.gap:.1e} true {found.true:.1e} {found.seconds:.2f} s"
            print(f"{seed:6d} {word}; {ended}; {problem.kind}", flush=True)
        failed += bool(found.fault)
    for (penalty, status, bound), count in sorted(counts.items()):
        print(f"{count:6d}  {penalty:10s} {status} ({bound})")
    print(f"{failed} of {options.problems} failed; the slowest fit took {worst:.1f} s")
    sys.exit(int(failed > 0))


if __name__ == "__main__":
    main()
