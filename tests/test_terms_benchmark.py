"""The benchmark of terms: its tables' rule, temperatures, splits, what is measured again, and the page.

Contestants of other packages take part where the package is installed; nothing here needs them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

import terms
import terms_contestants
import terms_page
import terms_tables
from terms_contestants import Contestant, Prediction, Split

RNG = np.random.default_rng(0)


def random_table(n=120):
    x = RNG.normal(size=n)
    level = np.where(RNG.random(n) < 0.1, None, RNG.choice(["a", "b", "c"], n))
    y = np.where(x + RNG.normal(size=n) > 0, "yes", "no")
    frame = pd.DataFrame({"x": x, "one": 1.0, "level": pd.Series(level, dtype=object)})
    return terms_tables.Table("sklearn/breast_cancer", frame, y)


def random_split():
    table = random_table()
    rows = RNG.permutation(len(table.y))
    return Split.of(table.frame, table.y, rows[30:], rows[:30])


def test_columns_of_one_value_in_training_are_left_out():
    assert list(random_split().train.columns) == list(random_split().test.columns) == ["x", "level"]


def test_numbers_stay_numbers_and_codes_become_strings():
    whole, codes = pd.Series([3, 1, 2]), pd.Series([3, 1, 2])
    assert terms_tables.plain(whole, False).dtype == int
    assert terms_tables.plain(codes, True).tolist() == ["3", "1", "2"]
    assert terms_tables.plain(pd.Series([1.0, None]), False).dtype == float
    kept = terms_tables.plain(pd.Series([" a ", None, True]), False)
    assert kept.isna().tolist() == [False, True, False]
    assert kept.tolist()[::2] == ["a", "True"]


def test_tables_that_break_the_rule_are_refused():
    with pytest.raises(ValueError, match="breaks the rule: 20 rows"):
        terms_tables.checked(random_table(20))


def test_tables_of_installed_packages_load():
    table = terms_tables.load("sklearn/breast_cancer")
    assert table.size == (569, 30, 2)
    assert set(table.y) == {"0", "1"}


def test_there_are_as_many_and_as_large_tables_as_the_issue_asks():
    assert len(terms_tables.TABLES) >= 24
    assert all(reason for source in terms_tables.TABLES.values() for reason in source.dropped.values())


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_temperature_is_found(true):
    logits = RNG.normal(size=(20_000, 4)) * 2
    P = np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])
    right = terms_contestants.warmed(P, true)
    codes = (right.cumsum(axis=1) < RNG.random((len(P), 1))).sum(axis=1)
    assert terms_contestants.temperature(P, codes) == pytest.approx(true, rel=0.05)
    np.testing.assert_allclose(right.sum(axis=1), 1)


def test_a_class_unknown_to_a_model_has_probability_zero():
    P = terms_contestants.in_order(np.array([[0.7, 0.3]]), np.array(["c", "a"]), np.array(["a", "b", "c"]))
    assert P.tolist() == [[0.3, 0.0, 0.7]]


def test_lightgbm_gets_categories_of_the_training_rows():
    split = random_split()
    test = split.test.assign(level="new")
    train, test = terms_contestants.as_categories(Split(split.train, split.y, test, split.y_test, split.classes, {}))
    assert train["x1"].dtype == test["x1"].dtype == "category"
    assert test["x1"].isna().all()
    assert train["x1"].isna().sum() == split.train["level"].isna().sum()


@pytest.mark.parametrize("name", ["lightgbm", "lightgbm calibrated", "ebm"])
def test_peers_predict_distributions(name):
    contestant = terms_contestants.registry()[name]
    if reason := contestant.absent():
        pytest.skip(reason)
    split = random_split()
    P = contestant.fit(split).P
    assert P.shape == (30, 2)
    np.testing.assert_allclose(P.sum(axis=1), 1)


def test_terms_are_left_out_while_they_do_not_exist(monkeypatch):
    monkeypatch.setattr(terms_contestants, "has_terms", lambda: False)
    assert "not available yet" in terms_contestants.registry()["softreg terms"].absent()
    monkeypatch.setattr(terms_contestants, "has_terms", lambda: True)
    assert not terms_contestants.registry()["softreg terms"].absent()


def test_numbers_of_splits():
    assert [len(terms.splits(n, 2)) for n in (999, 1_000, 5_000, 20_000, 100_000)] == [10, 5, 3, 2, 2]
    assert len(terms.splits(20_000, 26)) == 1


def test_a_run_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    path = tmp_path / "terms.jsonl"
    table = random_table()
    monkeypatch.setattr(terms_tables, "load", lambda name: table)
    monkeypatch.setattr(terms, "splits", lambda n, q: range(2))
    fits = []

    def even(split):
        fits.append(len(split.y))
        return Prediction(np.full((len(split.y_test), 2), 0.5), 7)

    def failing(split):
        raise ValueError("no fit")

    def run(again=()):
        contestants = {"softreg linear": Contestant(even, "1"), "pipeline": Contestant(failing, "1")}
        monkeypatch.setattr(terms, "warm_up", lambda contestants: None)
        terms.run(terms.Results(path), ["breast_cancer"], contestants, list(again))
        return [json.loads(line) for line in path.read_text().splitlines()]

    lines = run()
    assert [line.get("loss", line.get("error")) for line in lines] == [np.log(2), "ValueError: no fit"] * 2
    assert lines[0]["bytes"] == 7
    assert lines[0]["train"] + lines[0]["held_out"] == 120
    assert len(run()) == 4
    assert len(run(["softreg linear"])) == 6
    assert len(fits) == 4


def test_difference_to_the_linear_model_and_its_error(tmp_path):
    results = terms.Results(tmp_path / "terms.jsonl")
    split = random_split()
    codes = np.searchsorted(split.classes, split.y_test)
    P = RNG.dirichlet([1, 1], 30)
    shape = {"table": "t", "split": 0, "contestant": "softreg linear"}
    terms.measured(results, split, Contestant(lambda s: Prediction(np.full((30, 2), 0.5), 1), ""), shape)
    record = terms.measured(results, split, Contestant(lambda s: Prediction(P, 1), ""), shape | {"contestant": "ebm"})
    difference = -np.log(P[np.arange(30), codes]) - np.log(2)
    assert record["difference"] == pytest.approx(difference.mean())
    assert record["se"] == pytest.approx(difference.std(ddof=1) / np.sqrt(30))


def line(table, split, contestant, loss, **more):
    fields = {
        "settings": "s",
        "n": 2_000,
        "d": 3,
        "q": 2,
        "seconds": 1.0,
        "bytes": 1_000,
        "gap": 0.001,
        "ece_top": 0.02,
    }
    record = {"table": table, "split": split, "contestant": contestant, "loss": loss, **fields, **more}
    return (table, split, contestant), record


def test_the_page_tells_wins_losses_and_targets():
    bank, cells = "data/bank-full", "keel/german"
    lines = dict(
        [
            line(bank, 0, "softreg linear", 0.230, seconds=0.5),
            line(bank, 0, "softreg terms", 0.202, difference=-0.028, se=0.002),
            line(bank, 0, "ebm", 0.2026, seconds=20.0, gap=0.002),
            line(bank, 0, "lightgbm", 0.195),
            line(cells, 0, "softreg linear", 0.500),
            line(cells, 0, "softreg terms", 0.521, difference=0.021, se=0.004),
            line(cells, 0, "ebm", 0.500, seconds=10.0, gap=0.0005),
            line(cells, 0, "lightgbm", 0.600),
        ]
    )
    text = terms_page.page(lines, list(terms_contestants.registry()))
    assert "| data/bank-full | 2,000 | 3 | 2 | 1 | 0.2300 | 0.2020 | **0.1950** | 0.2026 | lightgbm |" in text
    told = {row.split(" | ")[0].strip("| "): row.split(" | ")[2].strip("| ") for row in text.splitlines() if "ed" in row
            and row.count(" | ") == 2}  # fmt: skip
    assert told["at least as good as EBM on 14 of 20 (70%)"] == "1 of 2: missed"
    assert told["within 2% of EBM on the rest"] == "0 of 1: missed"
    assert told["a fifth of EBM's time"] == "median ratio 0.075: reached"
    assert told["bank at most 0.203"] == "0.2020: reached"
    assert told["never worse than linear beyond noise"] == (
        "worse on 1 of 2: missed, keel/german (+0.0210 ± 0.0040)"
    )  # one split covers what it holds out
    assert (
        "smaller on 1 of 2, mean 10.0 against 12.5: missed" in told["calibration better than EBM (1,000 rows and more)"]
    )


def test_comparisons_are_those_of_common_splits():
    losses = {("ebm", 0): 0.5, ("lightgbm", 0): 0.6, ("lightgbm", 1): 0.8}
    lines = dict(line("keel/german", split, name, loss) for (name, split), loss in losses.items())
    measured = terms_page.Measured(lines, ["ebm", "lightgbm"])
    assert measured.mean("keel/german", "lightgbm") == pytest.approx(0.7)
    assert measured.pairs("ebm", "lightgbm").tolist() == [[0.5, 0.6]]
    assert "| keel/german | 2,000 | 3 | 2 | 1 of 2 | 0.6000 | **0.5000** | ebm |" in terms_page.page(
        lines, list(terms_contestants.registry())
    )


def test_a_slow_contestant_starts_no_other_split(tmp_path, monkeypatch):
    table = random_table()
    monkeypatch.setattr(terms_tables, "load", lambda name: table)
    monkeypatch.setattr(terms, "splits", lambda n, q: range(3))
    monkeypatch.setattr(terms, "warm_up", lambda contestants: None)
    slow = Contestant(lambda split: Prediction(np.full((len(split.y_test), 2), 0.5), 1, seconds=100.0), "1")
    results = terms.Results(tmp_path / "terms.jsonl")
    terms.run(results, ["breast_cancer"], {"ebm": slow}, [], limit=150.0)
    assert sorted(key[1] for key in results.lines) == [0, 1]
    later = Contestant(slow.fit, "1", after="ebm")
    terms.run(results, ["breast_cancer"], {"ebm calibrated": later}, [])
    assert sorted(key[1] for key in results.lines if key[2] == "ebm calibrated") == [0, 1]


def test_results_of_other_packages_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(terms, "KNOWN", tmp_path / "known.jsonl")
    monkeypatch.setattr(terms, "RESULTS", tmp_path / "terms.jsonl")
    names = ("softreg terms", "ebm", "lightgbm")
    lines = {("keel/heart", 0, name): {"table": "keel/heart", "split": 0, "contestant": name} for name in names}
    for key in (("keel/heart", 0, "softreg terms"), ("keel/heart", 0, "ebm")):
        lines[key]["loss"] = 0.5
    terms.keep_known(lines)
    assert list(terms.lines_of(terms.RESULTS)) == [("keel/heart", 0, "ebm")]  # others failed, or are our own
    assert terms.lines_of(tmp_path / "other.jsonl") == {}
    assert terms.Results(terms.RESULTS).get("keel/heart", 0, "ebm")["loss"] == 0.5


def test_further_tables_are_none_of_the_collection():
    assert not set(terms_tables.FURTHER) & set(terms_tables.TABLES)
    lines = {
        ("keel/iris", seed, name): {
            "loss": loss,
            "seconds": 1.0,
            "n": 150,
            "d": 4,
            "q": 3,
            "difference": 0.1,
            "se": 0.2,
        }
        for seed in (0, 1)
        for name, loss in (("softreg linear", 0.5), ("softreg terms", 0.6))
    }
    measured = terms_page.Measured(lines, ["softreg linear", "softreg terms"], terms_tables.FURTHER)
    (row,) = [line for line in terms_page.of_further_tables(measured) if line.startswith("| keel/iris")]
    assert row == "| keel/iris | 150 | 4 | 3 | 2 | 0.5000 | 0.6000 | +0.1000 ± 0.1491 | 1 | 1 |"
    assert terms_page.of_further_tables(terms_page.Measured({}, [], terms_tables.FURTHER)) == []
