"""Coverage and size of prediction sets of softreg, MAPIE and crepes: `make bench PROBLEM=prediction_sets`.

All receive the same probabilities of the same rows. Problems: 100 classes of which the rarest is 100 times as rare as
the commonest (a Gaussian cloud each), 20 newsgroups by their words (real data, see benchmarks/data.py), and the digits
from 16 pixels. Coverage, macro coverage (mean over classes), the share of classes that are covered in fewer than 80% of
their rows, and size are means over draws of calibration and new rows; sets may be empty, and the level is 90%. In the
first problem, new rows are 30 of each class, weighted to the rates of classes. Two more tables have groups of rows, and
new rows under another distribution.

    python benchmarks/prediction_sets.py [DRAWS]
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import data
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_predict

from softreg import PredictionSets, SoftmaxRegression
from softreg.models import class_coverage
from softreg.probability import softmax

LEVEL = 0.9
UNDER = 0.8
"""Coverage below which a class counts as under-covered."""


class GivenProbabilities(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier whose rows are the probabilities themselves and `more` columns."""

    def __init__(self, q: int, more: int = 0) -> None:
        self.q, self.more = q, more
        self.classes_ = np.arange(q)
        self.n_features_in_ = q + more

    def fit(self, X: Any, y: Any) -> GivenProbabilities:
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return X[:, : self.q]

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X[:, : self.q].argmax(axis=1)


@dataclass(frozen=True)
class Rows:
    """Probabilities and labels of calibration rows (P, y) and new ones, groups of both, rates of the training rows."""

    P: np.ndarray
    y: np.ndarray
    new: np.ndarray
    y_new: np.ndarray
    rates: np.ndarray
    weight: np.ndarray
    """Weight of each new row in averages."""
    groups: np.ndarray | None = None
    new_groups: np.ndarray | None = None
    ratio: np.ndarray | None = None
    new_ratio: np.ndarray | None = None


def softreg_sets(rows: Rows, **options: Any) -> np.ndarray:
    q = rows.P.shape[1]
    given: dict[str, Any] = {"prevalence": rows.rates} if options.get("conformity_score") == "prevalence" else {}
    by_group, by_ratio = options.pop("by_group", False), options.pop("by_ratio", False)
    sets = PredictionSets(LEVEL, empty=True, **options).fit(
        rows.P, rows.y, range(q), **given,
        groups=rows.groups if by_group else None, weights=rows.ratio if by_ratio else None,
    )  # fmt: skip
    return sets.predict(
        rows.new, groups=rows.new_groups if by_group else None, weights=rows.new_ratio if by_ratio else None
    )


def mapie_sets(rows: Rows, score: str) -> np.ndarray:
    from mapie.classification import SplitConformalClassifier

    model = SplitConformalClassifier(
        GivenProbabilities(rows.P.shape[1]), confidence_level=LEVEL, conformity_score=score, random_state=0
    )
    # its cumulative score includes the last class at random, as that of softreg does
    options = {"include_last_label": "randomized"} if score == "aps" else None
    return model.conformalize(rows.P, rows.y).predict_set(rows.new, conformity_score_params=options)[1][:, :, 0]


def mapie_sets_of_groups(rows: Rows) -> np.ndarray:
    """Sets of one MAPIE object for each group: it has no option for groups."""
    assert rows.groups is not None
    assert rows.new_groups is not None
    found = np.zeros(rows.new.shape, dtype=bool)
    for group in np.unique(rows.groups):
        held, new = rows.groups == group, rows.new_groups == group
        found[new] = mapie_sets(replace(rows, P=rows.P[held], y=rows.y[held], new=rows.new[new]), "lac")
    return found


def mapie_conditional_sets(rows: Rows) -> np.ndarray:
    """Sets of MAPIE's conditional procedure (Gibbs, Cherian and Candes), with the groups as its features."""
    from mapie.conditional_conformal_prediction import ConditionalSplitConformalClassifier

    assert rows.groups is not None
    assert rows.new_groups is not None
    q, count = rows.P.shape[1], int(rows.groups.max()) + 1
    model = ConditionalSplitConformalClassifier(
        lambda X: np.eye(count)[X[:, q].astype(int)], GivenProbabilities(q, 1), confidence_level=LEVEL
    )
    model.conformalize(np.column_stack([rows.P, rows.groups]), rows.y)
    return np.asarray(model.predict_set(np.column_stack([rows.new, rows.new_groups]))[1][:, :, 0], dtype=bool)


def crepes_sets(rows: Rows, *, class_cond: bool = False, by_group: bool = False) -> np.ndarray:
    from crepes import ConformalClassifier, WrapClassifier
    from crepes.extras import hinge

    q = rows.P.shape[1]
    if by_group:
        model = ConformalClassifier().fit(hinge(rows.P, np.arange(q), rows.y), bins=rows.groups)
        found = model.predict_set(hinge(rows.new), bins=rows.new_groups, confidence=LEVEL, smoothing=False)
        return np.asarray(found, dtype=bool)
    if class_cond:  # what its wrapper computes, without the other q - 1 columns for each class (69 s for 100 classes)
        model = ConformalClassifier().fit(hinge(rows.P, np.arange(q), rows.y), bins=rows.y)
        alphas, n = hinge(rows.new), len(rows.new)
        columns = [
            model.predict_set(alphas[:, [k]], bins=np.full(n, k), confidence=LEVEL, smoothing=False) for k in range(q)
        ]
        return np.hstack(columns).astype(bool)
    wrapped = WrapClassifier(GivenProbabilities(q))
    wrapped.calibrate(rows.P, rows.y)
    return np.asarray(wrapped.predict_set(rows.new, labels=False, confidence=LEVEL, smoothing=False), dtype=bool)


Method = Callable[[Rows], np.ndarray]


def of_softreg(**options: Any) -> Method:
    return lambda rows: softreg_sets(rows, **options)


METHODS: dict[str, Method] = {
    "one threshold: softreg, probability": of_softreg(),
    "one threshold: MAPIE, lac": lambda rows: mapie_sets(rows, "lac"),
    "one threshold: crepes, hinge": crepes_sets,
    "one threshold: softreg, cumulative": of_softreg(conformity_score="cumulative"),
    "one threshold: MAPIE, aps": lambda rows: mapie_sets(rows, "aps"),
    "one threshold: softreg, prevalence": of_softreg(conformity_score="prevalence"),
    "each class: softreg": of_softreg(per_class=True),
    "each class: crepes": lambda rows: crepes_sets(rows, class_cond=True),
    "each class, rare ones pooled: softreg": of_softreg(per_class=True, rare_classes="pool"),
    "clusters of classes: softreg": of_softreg(class_groups="cluster"),
    "between, 0.5: softreg": of_softreg(per_class=True, interpolation=0.5),
    "between, 0.5, prevalence: softreg": of_softreg(
        per_class=True, interpolation=0.5, conformity_score="prevalence"
    ),
}  # fmt: skip
GROUP_METHODS: dict[str, Method] = {
    "one threshold: softreg": of_softreg(),
    "each group: softreg": of_softreg(by_group=True),
    "each group: crepes": lambda rows: crepes_sets(rows, by_group=True),
    "each group: MAPIE, lac, an object for each": mapie_sets_of_groups,
    "groups as features: MAPIE, conditional, lac": mapie_conditional_sets,
}
SHIFT_METHODS: dict[str, Method] = {
    "no weights: softreg": of_softreg(),
    "no weights: MAPIE, lac": lambda rows: mapie_sets(rows, "lac"),
    "likelihood ratios: softreg": of_softreg(by_ratio=True),
}


def long_tailed(draws: int) -> Iterator[Rows]:
    q, d, n_train, n_cal, each = 100, 20, 8000, 5000, 30
    random = np.random.default_rng(0)
    means = 0.9 * random.normal(size=(q, d))
    rates = np.arange(1, q + 1) ** -1.0
    rates /= rates.sum()

    def rows_of(y: np.ndarray) -> np.ndarray:
        return np.asarray(means[y] + random.normal(size=(len(y), d)))

    y = np.concatenate([np.arange(q), random.choice(q, p=rates, size=n_train - q)])
    model = SoftmaxRegression(strength=1e-4).fit(rows_of(y), y)
    seen = np.bincount(y, minlength=q) / len(y)
    for _ in range(draws):
        y_cal, y_new = random.choice(q, p=rates, size=n_cal), np.repeat(np.arange(q), each)
        P, new = (model.predict_proba(rows_of(labels)) for labels in (y_cal, y_new))
        yield Rows(P, y_cal, new, y_new, seen, rates[y_new])


def halves(P: np.ndarray, y: np.ndarray, rates: np.ndarray, draws: int) -> Iterator[Rows]:
    """Random halves to fit the sets and to evaluate them."""
    for seed in range(draws):
        order = np.random.default_rng(seed).permutation(len(y))
        held, new = order[: len(y) // 2], order[len(y) // 2 :]
        yield Rows(P[held], y[held], P[new], y[new], rates, np.ones(len(new)))


def digits(draws: int) -> Iterator[Rows]:
    X, y = load_digits(return_X_y=True)
    P = cross_val_predict(SoftmaxRegression(strength=1e-3), X[:, 20:36] / 16, y, method="predict_proba")
    yield from halves(P, y, np.bincount(y) / len(y), draws)


def newsgroups(draws: int) -> Iterator[Rows]:
    X, y, X_new, y_new = data.newsgroups()
    model = SoftmaxRegression(strength=1e-4).fit(X, y)
    yield from halves(model.predict_proba(X_new), y_new, np.bincount(y) / len(y), draws)


def with_groups(draws: int) -> Iterator[Rows]:
    """Four groups of 40, 40, 15 and 5% whose noise differs, as in a model that was fitted without them."""
    noise, shares = np.array([0.5, 1.0, 2.0, 3.0]), (0.4, 0.4, 0.15, 0.05)
    random = np.random.default_rng(1)
    for _ in range(draws):
        group = random.choice(4, p=shares, size=5000)
        z = random.normal(size=(5000, 5)) * 2
        y = (z + noise[group][:, None] * random.gumbel(size=z.shape)).argmax(axis=1)
        P = softmax(z)
        yield Rows(P[:1000], y[:1000], P[1000:], y[1000:], np.full(5, 0.2), np.ones(4000), group[:1000], group[1000:])


def shifted(draws: int) -> Iterator[Rows]:
    """New rows have x ~ N(1, 1) in place of N(0, 1); noise grows with x; the likelihood ratio is known."""
    random = np.random.default_rng(2)
    for _ in range(draws):
        x = np.concatenate([random.normal(size=1000), 1 + random.normal(size=4000)])
        z = random.normal(size=(5000, 5)) * 2
        y = (z + np.exp(0.7 * x)[:, None] * random.gumbel(size=z.shape)).argmax(axis=1)
        P, ratio = softmax(z), np.exp(x - 0.5)
        yield Rows(
            P[:1000], y[:1000], P[1000:], y[1000:], np.full(5, 0.2), np.ones(4000),
            ratio=ratio[:1000], new_ratio=ratio[1000:],
        )  # fmt: skip


def measure(draws: Iterator[Rows], methods: dict[str, Method]) -> tuple[dict[str, list[list[float]]], dict[str, Any]]:
    """Figures of each draw and method, or the error that a method ended with."""
    figures, failed = defaultdict[str, list[list[float]]](list), dict[str, Any]()
    for rows in draws:
        for name, method in methods.items():
            if name in failed:
                continue
            start = time.process_time()
            try:
                sets = method(rows)
            except Exception as error:  # a missing package, or what it refuses
                failed[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:90]}"
                continue
            seconds = time.process_time() - start
            hit = sets[np.arange(len(rows.y_new)), rows.y_new]
            if rows.new_groups is not None:
                parts = [hit[rows.new_groups == g].mean() for g in range(4)]
            else:
                of_class = class_coverage(sets, rows.y_new)
                parts = [np.nanmean(of_class), np.nanmean(np.where(np.isnan(of_class), np.nan, of_class < UNDER))]
            size = np.average(sets.sum(axis=1), weights=rows.weight)
            figures[name].append([np.average(hit, weights=rows.weight), *parts, size, seconds])
    return figures, failed


def show(title: str, draws: Iterator[Rows], methods: dict[str, Method], columns: tuple[str, ...]) -> None:
    figures, failed = measure(draws, methods)
    print(f"\n{title}\n\n| sets | {' | '.join(columns)} | size | CPU s |\n|{' --- |' * (len(columns) + 3)}")
    for name in methods:
        if name in failed:
            print(f"| {name} | {failed[name]} |" + " |" * (len(columns) + 1), flush=True)
            continue
        *shares, size, seconds = np.mean(figures[name], axis=0)
        print(f"| {name} | {' | '.join(f'{s:.1%}' for s in shares)} | {size:.2f} | {seconds:.3f} |", flush=True)
    error = max(np.std(f, axis=0)[0] for f in figures.values()) / np.sqrt(len(next(iter(figures.values()))))
    print(f"\nLargest standard error of a coverage: {error:.2%}.")


def main(draws: int) -> None:
    """Print a table for each problem."""
    warnings.simplefilter("ignore")
    columns = "coverage", "macro coverage", "classes below 80%"
    show("100 classes, long-tailed", long_tailed(draws), METHODS, columns)
    show("20 newsgroups", newsgroups(draws), METHODS, columns)
    show("Digits, 16 pixels", digits(draws), METHODS, columns)
    groups = tuple(f"group of {share}" for share in ("40%", "40%", "15%", "5%"))
    show("Groups of rows", with_groups(draws), GROUP_METHODS, ("coverage", *groups))
    show("Covariate shift", shifted(draws), SHIFT_METHODS, columns)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
