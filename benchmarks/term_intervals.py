"""Intervals, tests and strengths of models with curves and interactions: `make bench PROBLEM=term_intervals`.

Four parts, each with the Monte Carlo standard error of its figures:

1. The coverage of the 95% intervals of `TableClassifier.predict_intervals` (the posterior with the strengths as given):
   the share of rows and classes whose true probability lies within its interval, averaged over tables. Labels are drawn
   from smooth curves of two columns.
2. The rejections of `TableClassifier.term_tests` at 1%, 5% and 10% where the null hypothesis is true. A column without
   effect, which is correlated with one that has a curve, has a curve of its own; one with the effect of a line is
   tested for curvature; a category and its requested interaction with a curve have no effect. The strengths are chosen
   on the same rows. Terms that are left out count as not rejected.
3. The same for interactions without effect that a search of all pairs found beside one with an effect: on the rows of
   the search, and on as many other rows with `refit=True`.
4. Five-fold cross-validation of multiples of all strengths, which the evidence chose on the training rows of each fold:
   held-out log loss above that of the best multiple, on tables of scikit-learn and statsmodels.

    python benchmarks/term_intervals.py [--quick]  (20 minutes on a busy machine; quick: seconds)
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import statsmodels.api
from scipy.special import softmax
from sklearn import datasets

from softreg import SoftmaxRegression, TableClassifier
from softreg.tables import Terms

MULTIPLES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
"""Multiples of the strengths."""
LEVELS = (0.01, 0.05, 0.10)
"""Levels of the tests."""


@dataclass(frozen=True)
class Design:
    """Rows and classes of the tables of a line; the last class is rare with a negative intercept."""

    name: str
    n: int
    q: int
    intercept: float = 0.0


COVERAGE = (
    Design("2 classes, 300 rows", 300, 2),
    Design("2 classes, 2,000 rows", 2_000, 2),
    Design("3 classes, 300 rows", 300, 3),
    Design("3 classes, 2,000 rows", 2_000, 3),
    Design("2 classes, one of about 4%, 2,000 rows", 2_000, 2, -4.0),
)
TESTS = (
    Design("2 classes, 200 rows", 200, 2),
    Design("2 classes, 1,000 rows", 1_000, 2),
    Design("3 classes, 200 rows", 200, 3),
    Design("3 classes, 1,000 rows", 1_000, 3),
)


def smooth_table(design: Design, random: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """A table of two columns with smooth effects, and the true probabilities (n, q)."""
    x, z = random.uniform(-2, 2, design.n), random.normal(size=design.n)
    logits = np.zeros((design.n, design.q))
    logits[:, -1] = 1.5 * np.sin(2 * x) + 0.8 * np.tanh(2 * z) + design.intercept
    if design.q > 2:
        logits[:, 1] = 0.5 * x**2 - z / 2
    return pd.DataFrame({"x": x, "z": z, "label": drawn(logits, random)}), softmax(logits, axis=1)


def null_table(design: Design, random: np.random.Generator) -> pd.DataFrame:
    """A table whose column "none" and category "group" have no effect, and "line" that of a line."""
    x, line = random.uniform(-2, 2, design.n), random.normal(size=design.n)
    none, group = x / 2 + random.uniform(-2, 2, design.n), random.integers(0, 8, design.n)
    logits = np.zeros((design.n, design.q))
    logits[:, -1] = 1.5 * np.sin(2 * x) + 0.7 * line
    if design.q > 2:
        logits[:, 1] = 0.7 * x - 0.5 * line
    columns = {"x": x, "line": line, "none": none, "group": [f"g{k}" for k in group]}
    return pd.DataFrame({**columns, "label": drawn(logits, random)})


def paired_table(n: int, random: np.random.Generator) -> pd.DataFrame:
    """A table of six columns with one interaction."""
    X = random.normal(size=(n, 6))
    logit = np.sin(2 * X[:, 0]) + X[:, 1] + 1.5 * X[:, 0] * X[:, 1]
    frame = pd.DataFrame(X, columns=list("abcdef"))
    return frame.assign(label=drawn(np.column_stack([np.zeros(n), logit]), random))


def drawn(logits: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Labels with these logits (n, q), as text."""
    codes = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    return np.array([f"class {k}" for k in range(logits.shape[1])])[codes]


def shown(values: np.ndarray) -> str:
    """The mean of values in percent with its standard error."""
    return f"{100 * values.mean():5.1f}% ({100 * values.std(ddof=1) / np.sqrt(len(values)):.1f})"


def coverage(draws: int) -> None:
    """Print the coverage of intervals of probabilities."""
    print(f"Coverage of 95% intervals of probabilities, mean over rows and classes; {draws} tables a line (error)")
    print(f"{'':40}  {'all rows':>13}  {'the last class':>14}  {'tenth of highest p':>18}  mean width")
    for design in COVERAGE:
        random, found = np.random.default_rng(1), []
        for _ in range(draws):
            frame, P = smooth_table(design, random)
            if frame.label.nunique() < design.q:
                continue
            model = TableClassifier("label", terms=Terms("linear", smooth=["x", "z"])).fit(frame)
            low, high = model.keep_intervals(frame).predict_intervals(frame)
            within, last = (low <= P) & (high >= P), P[:, -1]
            top = last >= np.quantile(last, 0.9)
            found.append([within.mean(), within[:, -1].mean(), within[top, -1].mean(), (high - low)[:, -1].mean()])
        all_rows, of_last, highest, width = np.array(found).T
        print(
            f"{design.name:40}  {shown(all_rows):>13}  {shown(of_last):>14}  {shown(highest):>18}  {width.mean():.3f}",
            flush=True,
        )


def null_tests(draws: int) -> None:
    """Print the rejections of true null hypotheses."""
    kinds = {"none": "column without effect", "none=curve": "its curvature", "line=curve": "curvature of a line",
             "group": "category without effect", "x:group": "interaction, requested"}  # fmt: skip
    print(f"\nRejections of true null hypotheses at {', '.join(f'{a:.0%}' for a in LEVELS)}; {draws} tables a line")
    for design in TESTS:
        random, p_values, degrees = np.random.default_rng(2), [], []
        for _ in range(draws):
            frame = null_table(design, random)
            terms = Terms("linear", smooth=["x", "line", "none"], pool=["group"], interactions=["x:group"])
            tests = TableClassifier("label", terms=terms).fit(frame).term_tests(frame)
            frames = {f"{t.term}=curve" if t.kind == "curvature" else t.term: t for t in tests.tests}
            p_values.append([frames[k].p_value if k in frames else np.nan for k in kinds])
            degrees.append([frames[k].degrees if k in frames else 0.0 for k in kinds])
        for j, name in enumerate(kinds.values()):
            p = np.array(p_values)[:, j]
            rates = "  ".join(f"{shown((p < level).astype(float)):>12}" for level in LEVELS)
            absent, edf = np.isnan(p).mean(), np.array(degrees)[:, j].mean()
            print(f"{design.name:22} {name:24}  {rates}  left out {absent:.0%}, mean edf {edf:.2f}", flush=True)


def searched_tests(draws: int, n: int = 800) -> None:
    """Print the rejections of interactions without effect that a search found."""
    random, same, other, tables = np.random.default_rng(3), [], [], 0
    for _ in range(draws):
        frame, first = paired_table(2 * n, random), np.arange(2 * n) < n
        model = TableClassifier("label", terms="auto").fit(frame, rows=first)
        if not model.encoder_.pairs:
            continue
        tables += 1
        own, fresh = model.term_tests(frame, first), model.term_tests(frame, ~first, refit=True)
        for test, again in zip(own.tests, fresh.tests, strict=True):
            if test.searched and test.term != "a:b":
                same.append(test.p_value)
                other.append(again.p_value)
    print(f"\nInteractions without effect that a search of 15 pairs found, beside one with an effect; {n} rows")
    print(f"{tables} of {draws} tables with interactions, {len(same)} interactions without effect")
    if len(same) > 1:
        for name, p in (("rows of the search", same), ("other rows, refit=True", other)):
            rates = "  ".join(f"{shown((np.array(p) < level).astype(float)):>13}" for level in LEVELS)
            print(f"{name:24}  {rates}", flush=True)


def real_tables() -> Iterator[tuple[str, pd.DataFrame]]:
    """Tables of packages, with the target "label"."""
    for name, load in (("wine", datasets.load_wine), ("breast cancer", datasets.load_breast_cancer)):
        data = load(as_frame=True)
        yield name, data.data.assign(label=[f"class {k}" for k in data.target])
    survey = statsmodels.api.datasets.anes96.load_pandas().data
    yield "anes96, vote", survey.drop(columns="vote").assign(label=[f"class {k:g}" for k in survey.vote])
    yield "drawn, 3 classes", smooth_table(Design("", 600, 3), np.random.default_rng(4))[0]


def strengths(quick: bool) -> None:
    """Print the held-out losses of multiples of the strengths that the evidence chose."""
    print("\nHeld-out log loss at multiples of all strengths, less that at the best multiple, in 0.001 nats")
    print(f"{'':18}" + "".join(f"{multiple:>8g}" for multiple in MULTIPLES) + "   loss at 1, error of its excess")
    for name, frame in real_tables():
        terms = Terms("linear", smooth=[c for c in frame.columns if c != "label" and frame[c].nunique() > 2])
        fold = np.random.default_rng(0).permutation(len(frame)) % 5
        losses = np.full((len(MULTIPLES), len(frame)), np.nan)
        for k in range(1 if quick else 5):
            train, test = fold != k, np.flatnonzero(fold == k)
            numbers = [c for c in frame.columns if c != "label"]
            fitted = TableClassifier("label", terms=terms, number=numbers).fit(frame, rows=train)
            X, codes = fitted.encode(frame), np.searchsorted(fitted.model_.classes_, frame.label.to_numpy(str))
            for j, multiple in enumerate(MULTIPLES):
                model = fitted.model_
                if multiple != 1:
                    factors = {name: multiple * factor for name, factor in model.penalty_factors.items()}
                    model = SoftmaxRegression(model.strength, penalty_factors=list(factors.values()))
                    model.fit(X[train], frame.label.to_numpy(str)[train])
                P = model.predict_proba(X[test])
                losses[j, test] = -np.log(np.maximum(P[np.arange(len(test)), codes[test]], 1e-15))
        tested = np.isfinite(losses[0])
        mean = losses[:, tested].mean(axis=1)
        excess = losses[MULTIPLES.index(1), tested] - losses[mean.argmin(), tested]
        error = excess.std() / np.sqrt(tested.sum())
        cells = "".join(f"{1000 * (value - mean.min()):8.1f}" for value in mean)
        print(f"{name:18}{cells}   {mean[MULTIPLES.index(1)]:.4f}, {1000 * error:.1f}", flush=True)


def main(quick: bool) -> None:
    """Run the four parts."""
    start = time.perf_counter()
    warnings.simplefilter("ignore")
    coverage(2 if quick else 100)
    null_tests(2 if quick else 200)
    searched_tests(1 if quick else 30)
    strengths(quick)
    print(f"\n{time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main("--quick" in sys.argv[1:])
