"""The evaluation that a model file keeps: the figures are those of the held-out rows, and damaged ones are refused."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

import softreg
from softreg import TableClassifier, audit
from softreg.models import ModelFileError, StoredEvaluation
from softreg.report import evaluation_record
from softreg.report.page.evaluation_record import log_loss_error

from ...people import people

TRAIN, TEST = np.arange(400), np.arange(400, 500)


def evaluated(q: int = 3) -> TableClassifier:
    """A classifier of q classes with the evaluation of its held-out rows."""
    table = pa.Table.from_pandas(people(q=q), preserve_index=False)
    model = TableClassifier("buys", strength=1e-3).fit(table, rows=TRAIN)
    codes = np.searchsorted(model.classes_, table["buys"].to_numpy())
    result = audit(model.predict_proba(table)[TEST], codes[TEST], model.classes_)
    record = evaluation_record(
        result,
        training_rows=400,
        training_weights=np.bincount(codes[TRAIN], minlength=q),
        method="the last rows",
        data="people.csv",
        seed=7,
    )
    return model.keep_evaluation(record)


def test_the_figures_are_those_of_the_definitions() -> None:
    frame, model = people(q=3), evaluated()
    kept = model.evaluation_
    P = model.predict_proba(frame)[400:]
    codes = np.searchsorted(model.classes_, frame["buys"].to_numpy())
    losses = -np.log(P[np.arange(100), codes[400:]])
    assert kept.log_loss.value == pytest.approx(losses.mean())
    assert kept.log_loss_error == pytest.approx(losses.std(ddof=1) / 10)
    assert kept.accuracy.value == pytest.approx((P.argmax(1) == codes[400:]).mean())
    assert kept.brier.value == pytest.approx(((P - np.eye(3)[codes[400:]]) ** 2).sum(1).mean())
    trained = np.bincount(codes[:400]) / 400
    assert kept.training_frequencies == pytest.approx(trained)
    assert kept.frequencies == pytest.approx(np.bincount(codes[400:]) / 100)
    assert kept.baseline_log_loss == pytest.approx(-np.log(trained[codes[400:]]).mean())
    for table in kept.reliability:
        k = kept.classes.index(table.label)
        assert sum(b.rows for b in table.bins) == 100
        for b in table.bins:
            inside = (P[:, k] >= b.lower) & ((P[:, k] < b.upper) | (b.upper == 1))
            assert b.rows == inside.sum()
            assert b.predicted == pytest.approx(P[inside, k].mean())
            assert b.observed == pytest.approx((codes[400:][inside] == k).mean())
            successes = round(b.observed * b.rows)
            for end in {b.low, b.high} - {0.0, 1.0}:
                if min(successes, b.rows - successes) > 10:  # Wilson: |observed - p| = z sqrt(p (1 - p) / n)
                    z = 1.959964 * math.sqrt(end * (1 - end) / b.rows)
                    assert abs(b.observed - end) == pytest.approx(z, rel=1e-5)
                else:  # Clopper and Pearson: 2.5% of the binomial distribution at the end lies beyond
                    beyond = stats.binom(b.rows, end)
                    tail = beyond.sf(successes - 1) if end == b.low else beyond.cdf(successes)
                    assert tail == pytest.approx(0.025, rel=1e-6)


def test_the_baseline_is_the_loss_of_the_model_with_intercepts_alone() -> None:
    """The claim of the docstring, with a fit of intercepts alone."""
    frame, kept = people(q=3), evaluated().evaluation_
    alone = softreg.SoftmaxRegression(penalty=None, tol=1e-12).fit(np.zeros((400, 1)), frame["buys"][:400])
    P = alone.predict_proba(np.zeros((100, 1)))
    codes = np.searchsorted(alone.classes_, frame["buys"][400:].to_numpy())
    assert kept.baseline_log_loss == pytest.approx(-np.log(P[np.arange(100), codes]).mean(), abs=1e-6)


def test_a_standard_error_counts_groups_not_rows() -> None:
    """Each row ten times, as groups: the standard error is that of the distinct rows."""
    P = np.random.default_rng(0).dirichlet([1, 1], 50)
    codes = np.arange(50) % 2
    once = log_loss_error(audit(P, codes, ["a", "b"]))
    ten = log_loss_error(audit(np.repeat(P, 10, 0), np.repeat(codes, 10), ["a", "b"], groups=np.repeat(range(50), 10)))
    assert ten == pytest.approx(once, rel=0.01)
    assert log_loss_error(audit(P[:1], codes[:1], ["a", "b"])) is None
    assert log_loss_error(audit([[1.0, 0.0], [0.5, 0.5]], [1, 1], ["a", "b"])) is None


def test_a_file_keeps_it_exactly_and_a_fit_removes_it(tmp_path: Path) -> None:
    model = evaluated()
    model.save(tmp_path / "m.softreg")
    loaded = softreg.load(tmp_path / "m.softreg")
    assert loaded.evaluation_ == model.evaluation_
    assert loaded.evaluation_ is not model.evaluation_
    loaded.fit(people(q=3))
    assert loaded.evaluation_ is None
    loaded.save(tmp_path / "again.softreg")
    assert softreg.load(tmp_path / "again.softreg").evaluation_ is None
    assert "evaluation" not in loaded.to_state()[1]


def test_infinite_losses_and_labels_of_any_kind_are_kept(tmp_path: Path) -> None:
    labels = np.array(['a "b"|\n', "é", "0", "True"])[np.arange(80) % 4]
    table = pa.table({"x": np.arange(80.0) % 7, "y": labels})
    model = TableClassifier("y", strength=1e-2).fit(table)
    P = np.tile([1.0, 0.0, 0.0, 0.0], (8, 1))
    record = evaluation_record(audit(P, np.arange(8) % 4, model.classes_), training_rows=80)
    model.keep_evaluation(record).save(tmp_path / "m.softreg")
    kept = softreg.load(tmp_path / "m.softreg").evaluation_
    assert kept == record
    assert kept.log_loss.value == math.inf
    assert (kept.log_loss_error, kept.baseline_log_loss, kept.training_frequencies) == (None, None, None)


def test_another_models_evaluation_is_refused() -> None:
    with pytest.raises(ValueError, match="the evaluation is of the classes 'later', 'no', 'yes', and the model has"):
        evaluated(2).keep_evaluation(evaluated(3).evaluation_)
    with pytest.raises(ValueError, match="not fitted"):
        TableClassifier("buys").keep_evaluation(evaluated(2).evaluation_)


def put(*keys: Any) -> Callable[[dict[str, Any], Any], None]:
    """A function that sets a value deep in a state."""

    def change(state: dict[str, Any], value: Any) -> None:
        *path, last = keys
        inner: Any = state
        for key in path:
            inner = inner[key]
        inner[last] = value

    return change


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("rows",), 0, "0 of 100 held-out rows"),
        (("rows",), 99.0, "'rows' is 99.0"),
        (("held_out",), 99, "100 of 99 held-out rows"),
        (("classes",), ["no", "yes"], "for each of 2 classes"),
        (("classes",), ["no", "yes", "later"], "the evaluation is of the classes 'no', 'yes', 'later'"),
        (("frequencies",), [0.5, 0.5, 0.5], "sum to 1.5"),
        (("frequencies",), [1.5, -0.5, 0.0], "from 0 to 1"),
        (("training_frequencies",), "half", "list of finite numbers"),
        (("log_loss",), 0.5, "'log_loss' is 0.5"),
        (("log_loss",), [0.5, 0.6, 0.4], "not an interval"),
        (("log_loss",), [-0.5, 0.4, 0.6], "not an interval"),
        (("log_loss",), ["0.5", 0.4, 0.6], "finite number"),
        (("accuracy",), [1.5, 0.4, 0.6], "at most 1"),
        (("accuracy",), [None, None, None], "at most 1"),
        (("brier",), [2.5, 0.4, 0.6], "at most 2"),
        (("log_loss_error",), -1, "at least 0"),
        (("baseline_log_loss",), "much", "finite number"),
        (("calibration_error",), [0.1], "two ends"),
        (("reliability",), {}, "a list of objects"),
        (("reliability", 0, "label"), "never", "'never', which is no class"),
        (("reliability", 1, "label"), None, "must be text"),
        (("reliability", 0, "bins"), [], "do not hold the 100"),
        (("reliability", 0, "bins", 0), [1, 2, 3], "lists of 9 numbers"),
        (("reliability", 0, "bins", 0, 4), 1.5, "no bin"),
        (("groups",), 101, "cannot be 101 groups"),
        (("weighted",), 1, "true or false"),
        (("seed",), True, "must be an integer"),
        (("date",), "yesterday", "written like 2020-01-31"),
        (("method",), None, "must be text"),
    ],
)
def test_damaged_values_are_refused_by_name(tmp_path: Path, keys: tuple[Any, ...], value: Any, words: str) -> None:
    arrays, state = evaluated().to_state()
    state = json.loads(json.dumps(state, allow_nan=False))
    damaged = copy.deepcopy(state)
    put(*keys)(damaged["evaluation"], value)
    TableClassifier.from_state(arrays, state)
    with pytest.raises(ValueError, match=words):
        TableClassifier.from_state(arrays, damaged)
    softreg.models.write_model(tmp_path / "m.softreg", "table", arrays, damaged)
    with pytest.raises(ModelFileError, match="holds an invalid model"):
        softreg.load(tmp_path / "m.softreg")


def test_a_missing_field_is_refused() -> None:
    state = evaluated().evaluation_.to_state()
    for key in set(state) - {
        "training_frequencies",
        "log_loss_error",
        "baseline_log_loss",
        "calibration_error",
        "groups",
    }:
        with pytest.raises(ValueError, match=key):
            StoredEvaluation.from_state({k: v for k, v in state.items() if k != key})


def test_the_date_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert evaluated(2).evaluation_.date == "1970-01-02 00:00 UTC"
