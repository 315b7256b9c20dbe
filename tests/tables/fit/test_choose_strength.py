"""The strength of a table's model, chosen by cross-validation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import softreg
from softreg.tables import TableClassifier, TableWarning
from softreg.tables.fit import choose_strength


def table(n: int = 200) -> pa.Table:
    random = np.random.default_rng(2)
    x = random.normal(size=n)
    y = np.where(x + random.logistic(size=n) > 0, "yes", "no")
    order = np.argsort(y)  # as files are that were put together from two
    return pa.table({"x": x[order], "noise": random.normal(size=n), "y": y[order]})


def test_auto_is_the_choice_of_the_estimator(tmp_path):
    seen = []
    classifier = TableClassifier("y", terms="linear", verbose=seen.append).fit(table())
    path = classifier.path_
    assert [p.strength for p in sorted(seen, key=lambda p: -p.strength)] == path.strength.tolist()
    assert classifier.model_.strength == path.strength[path.chosen]
    assert path.mean[path.chosen] == path.mean.min() < np.log(2)
    assert path.scores.shape[1] == 5
    classifier.save(tmp_path / "m.softreg")
    back = softreg.load(tmp_path / "m.softreg")
    np.testing.assert_array_equal(back.path_.mean, path.mean)
    np.testing.assert_array_equal(back.predict_proba(table()), classifier.predict_proba(table()))
    assert back.strength == "auto"


def test_a_given_strength_has_no_path():
    assert TableClassifier("y", strength=0.1).fit(table()).path_ is None


def test_rare_classes_make_fewer_folds():
    few = pa.table({"x": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "y": ["a", "a", "a", "b", "b", "b"]})
    assert TableClassifier("y", terms="linear").fit(few).path_.scores.shape[1] == 3


def test_too_few_rows_to_hold_any_out():
    few = pa.table({"x": [0.0, 1.0, 2.0, 3.0, 4.0], "y": ["a", "a", "b", "b", "b"]})
    with pytest.warns(TableWarning, match="too few to choose a strength"):
        classifier = TableClassifier("y", terms="linear").fit(few, rows=[1, 2, 3, 4])
    assert classifier.model_.strength == 1e-4
    assert classifier.path_ is None


def test_a_class_of_one_row_is_told():
    rows = table(60)
    odd = pa.table(
        {**{c: rows[c].to_pylist() for c in ("x", "noise")}, "y": ["odd", "odd", *rows["y"].to_pylist()[2:]]}
    )
    with pytest.warns(UserWarning, match="'odd'"):
        classifier = TableClassifier("y", terms="linear").fit(odd, rows=np.arange(1, 60))
    assert np.isfinite(classifier.path_.mean).all()


def test_wide_sparse_rows_have_one_fold_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose_strength, "WIDE_COLUMNS", 100)
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 600)
    own = [[f"w{k}x{i}" for i in range(40)] for k in range(3)]
    texts = [" ".join([*random.choice(own[k], 2), *random.choice(np.ravel(own), 8)]) for k in y]
    rows, reported = pa.table({"text": texts, "y": [f"c{k}" for k in y]}), []
    model = TableClassifier("y", terms="linear", verbose=reported.append).fit(rows)
    path = model.path_
    assert path.scores.shape == (len(reported), 1)
    assert (np.diff(path.strength) < 0).all()
    assert path.chosen < len(path) - 1
    assert path.mean[path.chosen] <= path.mean.min() + choose_strength.SE_TOLERANCE * path.error[path.mean.argmin()]
    assert (path.mean[: path.chosen] > path.mean[path.chosen]).all()
    assert model.model_.solution_.gap <= 1e-6
    assert reported[0].strength == 1e-4
