"""Faults found by trying it: what is computed from rows is computed again for each fold and resample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression, SoftmaxRegressionCV, TableClassifier, bootstrap

Arrays = tuple[np.ndarray, np.ndarray]


def uneven(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[Arrays]]:
    """Rows of three classes, and three folds whose test rows have other shares of the classes than the rest."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 3))
    y = (X @ random.normal(size=(3, 3)) + random.gumbel(size=(n, 3))).argmax(axis=1)
    order = np.argsort(y + random.normal(size=n) * 0.6)
    return X, y, [(np.setdiff1d(np.arange(n), test), test) for test in np.array_split(order, 3)]


def scores_by_hand(
    X: Any, y: np.ndarray, folds: list[Arrays], class_weight: Any, v: np.ndarray | None = None
) -> list[float]:
    """The log loss of each fold from a model that was fitted to its training rows alone."""
    losses = []
    for train, test in folds:
        model = SoftmaxRegression(1e-2, class_weight=class_weight, tol=1e-9)
        model.fit(X[train], y[train], None if v is None else v[train])
        P = model.predict_proba(X[test])
        surprisal = -np.log(P[np.arange(len(test)), np.searchsorted(model.classes_, y[test])])
        losses.append(float(np.average(surprisal, weights=None if v is None else v[test])))
    return losses


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 2: 0.5}, None])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_fault_a6_class_weights_are_those_of_the_training_rows_of_each_fold(class_weight: Any, form: Any) -> None:
    X, y, folds = uneven()
    v = np.random.default_rng(1).integers(1, 5, len(y)).astype(float)
    for weight in (None, v):
        search = SoftmaxRegressionCV([1e-2], cv=folds, class_weight=class_weight).fit(form(X), y, weight)
        assert search.scores_[0] == pytest.approx(scores_by_hand(X, y, folds, class_weight, weight), abs=1e-4)
        alone = SoftmaxRegression(1e-2, class_weight=class_weight).fit(X, y, weight)
        assert search.coef_ == pytest.approx(alone.coef_, abs=1e-2)  # the final fit is that of all rows


def test_fault_a6_soft_labels_and_an_l1_part() -> None:
    X, y, folds = uneven()
    Y = np.full((len(y), 3), 0.05)
    Y[np.arange(len(y)), y] = 0.9
    search = SoftmaxRegressionCV([1e-2], cv=folds, class_weight="balanced", penalty="l1").fit(X, Y)
    for (train, test), score in zip(folds, search.scores_[0], strict=True):
        model = SoftmaxRegression(1e-2, penalty="l1", class_weight="balanced").fit(X[train], Y[train])
        assert score == pytest.approx(-(Y[test] * model.predict_log_proba(X[test])).sum(axis=1).mean(), abs=1e-4)


def test_fault_a6_a_fold_without_a_class() -> None:
    X, y, _ = uneven()
    rare = np.flatnonzero(y == 2)
    test = [np.concatenate([rare, np.arange(0, 600, 7)]), np.setdiff1d(np.arange(1, 600, 7), rare)]
    folds = [(np.setdiff1d(np.arange(600), t), np.unique(t)) for t in test]
    with pytest.warns(UserWarning, match=r"some folds hold out all rows of a class \(2\)"):
        search = SoftmaxRegressionCV([1e-2], cv=folds, class_weight="balanced").fit(X, y)
    judged = [(train, rows[y[rows] != 2] if k == 0 else rows) for k, (train, rows) in enumerate(folds)]
    assert search.scores_[0] == pytest.approx(scores_by_hand(X, y, judged, "balanced"), abs=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_fault_a6_leave_one_out_balances_without_the_row(weighted: bool) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(90, 3))
    y = (X @ random.normal(size=(3, 3)) + random.gumbel(size=(90, 3)) + [0, 1.5, -0.5]).argmax(axis=1)
    v = random.integers(1, 4, 90).astype(float) if weighted else np.ones(90)
    search = SoftmaxRegressionCV([3e-2], cv="loo", class_weight="balanced").fit(X, y, v)
    exact = np.empty(90)
    for i in range(90):
        rest = np.arange(90) != i
        model = SoftmaxRegression(3e-2, class_weight="balanced").fit(X[rest], y[rest], v[rest])
        exact[i] = -model.predict_log_proba(X[i : i + 1])[0, y[i]]
    found = -np.log(search.oof_proba_[np.arange(90), y])
    assert found.mean() == pytest.approx(exact.mean(), abs=2e-3)  # from the fit of all rows: 0.05 less
    assert found == pytest.approx(exact, abs=0.04)


def test_fault_a6_the_bootstrap_balances_each_resample() -> None:
    X, y, _ = uneven(240)
    model = SoftmaxRegression(1e-2, class_weight="balanced").fit(X, y)
    found = bootstrap(model, X, y, 5, random_state=3)
    counts = np.random.RandomState(3).multinomial(240, np.full(240, 1 / 240), size=5)
    for r in range(5):
        drawn = np.repeat(np.arange(240), counts[r])
        alone = SoftmaxRegression(1e-2, class_weight="balanced", tol=1e-9).fit(X[drawn], y[drawn])
        assert found.coef[r] == pytest.approx(alone.coef_, abs=5e-3)


def test_fault_a6_the_strength_of_a_table_is_chosen_with_weights_of_each_fold() -> None:
    X, y, _ = uneven(300)
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=np.array(["ant", "bee", "cat"])[y])
    classifier = TableClassifier("y", strength="auto", class_weight="balanced", folds=3, terms="linear").fit(frame)
    assert classifier.path_ is not None
    from softreg.tables.fit.cross_validation import CrossValidation

    codes = np.array(["ant", "bee", "cat"])[y]
    folds = CrossValidation(3, "min").splits(codes, None)
    X = classifier.encode(frame)
    at = int(np.argmin(abs(classifier.path_.strength - 1e-2)))
    for score, (train, test) in zip(classifier.path_.scores[at], folds, strict=True):
        model = SoftmaxRegression(float(classifier.path_.strength[at]), class_weight="balanced")
        P = model.fit(X[train], codes[train]).predict_proba(X[test])
        assert score == pytest.approx(-np.log(P[np.arange(len(test)), y[test]]).mean(), abs=1e-4)


def test_fault_a7_weights_count_rows_in_the_bootstrap() -> None:
    random = np.random.default_rng(2)
    X = random.normal(size=(300, 2))
    y = (X @ random.normal(size=(2, 3)) + random.gumbel(size=(300, 3))).argmax(axis=1)
    model = SoftmaxRegression(1e-2).fit(X, y)
    once = bootstrap(model, X, y, 300, random_state=0).coef.std(axis=0)
    four = bootstrap(model, X, y, 300, sample_weight=4, random_state=0).coef.std(axis=0)
    assert four == pytest.approx(once / 2, rel=0.2)
    v = random.integers(0, 5, 300).astype(float)
    repeated = np.repeat(np.arange(300), v.astype(int))
    model = SoftmaxRegression(1e-2).fit(X, y, v)
    weighted = bootstrap(model, X, y, 300, sample_weight=v, random_state=0).coef.std(axis=0)
    rows = bootstrap(model, X[repeated], y[repeated], 300, random_state=1).coef.std(axis=0)
    assert weighted == pytest.approx(rows, rel=0.2)


@pytest.mark.parametrize("total", [0.3, 1e20])
def test_fault_a7_weights_that_count_no_rows_are_refused(total: float) -> None:
    X, y, _ = uneven(60)
    model = SoftmaxRegression(1e-2).fit(X, y)
    with pytest.raises(ValueError, match=r"the sample weights sum to .*they count rows"):
        bootstrap(model, X, y, 5, sample_weight=total / 60)


def test_a_bootstrap_of_firth_s_fit_is_firth_s_fit_of_each_resample() -> None:
    X, y, _ = uneven(90)
    model = SoftmaxRegression(penalty="firth").fit(X, y)
    found = bootstrap(model, X, y, 3, random_state=4)
    counts = np.random.RandomState(4).multinomial(90, np.full(90, 1 / 90), size=3)
    for r in range(3):
        drawn = np.repeat(np.arange(90), counts[r])
        alone = SoftmaxRegression(penalty="firth").fit(X[drawn], y[drawn])
        assert found.coef[r] == pytest.approx(alone.coef_, abs=1e-3)


def test_fault_a23_a_random_state_is_drawn_from_once() -> None:
    X, y, _ = uneven(120)
    state, twin = np.random.RandomState(5), np.random.RandomState(5)
    SoftmaxRegressionCV([1e-2, 1e-3], cv=3, random_state=state).fit(X, y)
    twin.randint(2**31 - 1)
    assert state.randint(10**9) == twin.randint(10**9)
