"""The group penalty on tables: the features that encode one column of the table are in or out together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from softreg.tables import TableClassifier


def table(n: int = 400) -> pd.DataFrame:
    """Return rows whose label depends on one of two categories and on one of two numbers."""
    random = np.random.default_rng(0)
    job, town = random.choice(list("abcd"), n), random.choice(list("uvwxyz"), n)
    age, noise = random.normal(40, 10, n), random.normal(size=n)
    effect = np.select([job == "a", job == "b"], [3.0, -3.0], 0.0) + (age - 40) / 10
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 700, n), unit="D")
    label = np.where(effect + random.logistic(size=n) > 0, "yes", "no")
    age[:20] = np.nan
    return pd.DataFrame({"job": job, "town": town, "age": age, "noise": noise, "day": day, "buys": label})


def live_columns(model: TableClassifier) -> set[str]:
    """Return the columns in the model, after checking that all features of a column are, or none."""
    live, names = (model.model_.coef_ != 0).any(axis=0), np.array(model.encoder_.column_names)
    for name in dict.fromkeys(names):
        assert len(set(live[names == name])) == 1, name
    return set(names[live])


def test_a_whole_category_enters_or_leaves() -> None:
    data, seen = table(), []
    for strength in (1.0, 0.1, 0.05, 0.02, 0.01, 0.001):
        model = TableClassifier("buys", penalty="group", strength=strength, tol=1e-8).fit(data)
        assert model.model_.column_groups == list(model.encoder_.column_names)
        assert model.model_.solution_.gap <= 1e-8
        seen.append(live_columns(model))
    assert seen[0] == set()
    assert {"job"} in seen or {"job", "age"} in seen
    assert seen[-1] >= {"job", "age", "town"}


def test_the_strength_by_cross_validation_and_the_file(tmp_path: Path) -> None:
    import softreg

    data = table()
    model = TableClassifier("buys", penalty="group", rule="1se").fit(data)
    assert {"job", "age"} <= live_columns(model) < {"job", "age", "town", "noise", "day"}
    model.save(tmp_path / "model.softreg")
    loaded = softreg.load(tmp_path / "model.softreg")
    assert loaded.model_.column_groups == model.model_.column_groups
    np.testing.assert_array_equal(loaded.predict_proba(data), model.predict_proba(data))


def test_other_penalties_have_no_groups() -> None:
    assert TableClassifier("buys", strength=0.1).fit(table()).model_.column_groups is None


@pytest.mark.parametrize("memory", ["low"])
def test_a_table_read_in_batches(tmp_path: Path, memory: str) -> None:
    data = table()
    data.to_csv(tmp_path / "rows.csv", index=False)
    model = TableClassifier("buys", penalty="group", strength=0.05, tol=1e-8)
    model.fit(tmp_path / "rows.csv", memory=memory)
    whole = TableClassifier("buys", penalty="group", strength=0.05, tol=1e-8).fit(tmp_path / "rows.csv")
    assert live_columns(model) == live_columns(whole)
    np.testing.assert_allclose(model.model_.coef_, whole.model_.coef_, atol=1e-4)
