"""`penalty="group"` of the estimators: selection of whole columns, the strength by cross-validation, model files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import softreg
from softreg import SoftmaxRegression, SoftmaxRegressionCV, infer

X, y = load_iris(return_X_y=True)
NOISE = np.random.default_rng(0).normal(size=(len(X), 6))
WIDE = np.hstack([X, NOISE])


def test_all_classes_of_a_column_are_in_or_out() -> None:
    model = SoftmaxRegression(0.05, penalty="group", tol=1e-9).fit(WIDE, y)
    live = (model.coef_ != 0).any(axis=0)
    assert (model.coef_[:, live] != 0).all()
    assert live[:4].any()
    assert not live[4:].any()
    assert model.solution_.gap <= 1e-9
    assert model.solution_.bound == "duality"


def test_the_strength_by_cross_validation_and_the_model_file(tmp_path: Path) -> None:
    model = SoftmaxRegressionCV(penalty="group", rule="1se").fit(WIDE, y)
    assert model.path_.nonzero[0] == 0  # the path begins where all weights are 0
    assert 0 < (model.coef_ != 0).any(axis=0).sum() < 10
    model.save(tmp_path / "cv.softreg")
    loaded = softreg.load(tmp_path / "cv.softreg")
    assert loaded.penalty == "group"
    np.testing.assert_array_equal(loaded.predict_proba(WIDE), model.predict_proba(WIDE))
    one = SoftmaxRegression(model.strength_, penalty="group").fit(WIDE, y)
    np.testing.assert_allclose(one.coef_, model.coef_, atol=1e-2)
    one.save(tmp_path / "one.softreg")
    assert softreg.load(tmp_path / "one.softreg").penalty == "group"
    np.testing.assert_array_equal(model.best_estimator_.coef_, model.coef_)


GROUPS = [0, 0, 1, 1, 2, 2, 2, 3, 3, 3]


def in_or_out(model: SoftmaxRegression | SoftmaxRegressionCV) -> list[bool]:
    """Return for each group whether it is in the model, after checking that all of its columns are, or none."""
    live = (model.coef_ != 0).any(axis=0)
    assert all(len(set(live[np.array(GROUPS) == g])) == 1 for g in range(4))
    return [bool(live[GROUPS.index(g)]) for g in range(4)]


def test_groups_of_columns_by_labels_numbers_and_names() -> None:
    lists = [[0, 1], [2, 3], [4, 5, 6], [7, 8, 9]]
    names = [f"c{j}" for j in range(10)]
    named = [[names[j] for j in group] for group in lists]
    frame = pd.DataFrame(WIDE, columns=names)
    first = SoftmaxRegression(0.05, penalty="group", column_groups=GROUPS, tol=1e-9).fit(WIDE, y)
    assert in_or_out(first) == [False, True, False, False]
    assert first.solution_.gap <= 1e-9
    for groups in (np.array(list("aabbcccddd")), lists, named, np.array(GROUPS, dtype=float)):
        model = SoftmaxRegression(0.05, penalty="group", column_groups=groups, tol=1e-9).fit(frame, y)
        np.testing.assert_array_equal(model.coef_, first.coef_)


def test_groups_of_one_column_change_nothing() -> None:
    one = SoftmaxRegression(0.05, penalty="group").fit(WIDE, y)
    for groups in (list("abcdefghij"), [[j] for j in reversed(range(10))]):
        np.testing.assert_array_equal(
            one.coef_, SoftmaxRegression(0.05, penalty="group", column_groups=groups).fit(WIDE, y).coef_
        )


def test_a_path_of_groups_and_its_file(tmp_path: Path) -> None:
    model = SoftmaxRegressionCV(penalty="group", column_groups=np.array(GROUPS), rule="1se").fit(WIDE, y)
    assert model.path_.nonzero[0] == 0
    assert any(in_or_out(model))
    one = SoftmaxRegression(model.strength_, penalty="group", column_groups=GROUPS).fit(WIDE, y)
    np.testing.assert_allclose(one.coef_, model.coef_, atol=1e-2)
    assert model.best_estimator_.column_groups is model.column_groups
    for fitted, groups in ((model, GROUPS), (one, GROUPS)):
        fitted.save(tmp_path / "model.softreg")
        loaded = softreg.load(tmp_path / "model.softreg")
        assert loaded.column_groups == groups
        np.testing.assert_array_equal(loaded.predict_proba(WIDE), fitted.predict_proba(WIDE))
    for given, stored in (([[0, 1, 2], [3]], [[0, 1, 2], [3]]), ([1.5, 1.5, 2.5, 2.5], [0, 0, 1, 1])):
        SoftmaxRegression(0.1, penalty="group", column_groups=given).fit(X, y).save(tmp_path / "few.softreg")
        assert softreg.load(tmp_path / "few.softreg").column_groups == stored


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([0, 0, 1], r"column_groups has 3 labels, and X has 4 columns"),
        ([0, 0, None, 1], r"no label for column 2: None"),
        ([0.0, np.nan, 1.0, 1.0], r"no label for column 1: nan"),
        ([[0, 1], [1, 2, 3]], r"column 1 is in two groups, number 0 and number 1"),
        ([[0, 0], [1, 2, 3]], r"column 0 is twice of column_groups"),
        ([[0, 1]], r"column_groups leaves out column 2, column 3; give such a column a list"),
        ([[0, 1], [2, 4]], r"column_groups holds column 4, and X has the columns 0 to 3"),
        ([["a"], [0, 1, 2, 3]], r"column_groups names 'a', which is no column of X: X has no names"),
        ([[0, 1], [2, True]], r"column_groups holds True; columns are given by number"),
        ([[0, 1], 2, 3], r"column_groups mixes lists with single values"),
        ("abcd", r"column_groups='abcd': it has one label a column"),
        (7, r"column_groups=7: it has one label a column"),
    ],
)
def test_wrong_groups_are_clear_errors(groups: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SoftmaxRegression(0.1, penalty="group", column_groups=groups).fit(X, y)
    with pytest.raises(ValueError, match=message):
        SoftmaxRegressionCV([0.1], penalty="group", column_groups=groups).fit(X, y)


def test_groups_need_the_group_penalty_and_known_names() -> None:
    with pytest.raises(ValueError, match="column_groups has no effect with penalty='l2'"):
        SoftmaxRegression(0.1, column_groups=[0, 0, 1, 1]).fit(X, y)
    frame = pd.DataFrame(X, columns=list("abcd"))
    with pytest.raises(
        ValueError, match=r"column_groups names 'e', which is no column of X: the columns are 'a', 'b', 'c', 'd'"
    ):
        SoftmaxRegression(0.1, penalty="group", column_groups=[["a", "b"], ["c", "e"]]).fit(frame, y)


def test_what_the_group_penalty_cannot() -> None:
    with pytest.raises(ValueError, match="has no effect with penalty='group'"):
        SoftmaxRegression(0.1, penalty="group", l1_ratio=0.5).fit(X, y)
    with pytest.raises(ValueError, match="needs all rows at once"):
        SoftmaxRegression(0.1, penalty="group").partial_fit(X, y)
    with pytest.raises(ValueError, match="cv='loo'"):
        SoftmaxRegressionCV(penalty="group", cv="loo").fit(X, y)
    with pytest.raises(ValueError, match="relaxed"):
        SoftmaxRegressionCV(penalty="group", relaxed=0.5).fit(X, y)
    with pytest.raises(ValueError, match="fit the selected columns"):
        infer(SoftmaxRegression(0.05, penalty="group").fit(X, y), X, y)
    with pytest.raises(ValueError, match=r"solver='newton'.*GroupPenalty"):
        SoftmaxRegression(0.1, penalty="group", solver="newton").fit(X, y)
