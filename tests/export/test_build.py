"""Programs of fitted models: what they hold, and what cannot be one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from click.testing import CliRunner

from softreg import Calibrator, SoftmaxRegression, SoftmaxRegressionCV, TableClassifier, load
from softreg.cli import main
from softreg.export import ExportError, build_program
from softreg.export.build.column_terms import level_spellings
from softreg.export.probability_maps import MixBoundedLogs, QuadraticLogOdds, ReplaceZeros, ShiftRates
from softreg.export.program import (
    CodeTerm,
    InputKind,
    LevelTerm,
    LinearTerm,
    OffsetTerm,
)

from .cases import CASES, case, fit, generator, labels


@pytest.mark.parametrize("name", CASES)
def test_terms_number_every_feature_once(name: str) -> None:
    program = case(name).program
    d, q = program.weights.shape
    assert program.bias.shape == (q,)
    assert len(program.classes) == q
    assert len(program.feature_names) == d
    firsts = [term.first for term in program.terms if not isinstance(term, OffsetTerm)]
    assert firsts == sorted(set(firsts))
    assert firsts[0] == 0
    assert all(0 <= term.input < len(program.inputs) for term in program.terms)
    assert {term.input for term in program.terms} == set(range(len(program.inputs)))


def test_kinds_of_inputs() -> None:
    kinds = {read.name: read.kind for read in case("codes").program.inputs}
    assert kinds["zip"] is kinds["half"] is InputKind.CODE
    assert kinds["digits"] is kinds["truth"] is kinds["big"] is InputKind.CATEGORY
    assert "pass them as text" in next(read.note for read in case("codes").program.inputs if read.name == "big")


def test_numbers_of_forms_are_those_of_training() -> None:
    random = generator(31)
    x = random.normal(5, 2, 100)
    program = build_program(fit(pa.table({"x": x, "y": labels(random, x)})))
    (read,) = program.inputs
    assert (read.low, read.high) == (x.min(), x.max())
    assert read.typical == pytest.approx(x.mean())
    (term,) = program.terms
    assert isinstance(term, LinearTerm)
    assert (term.low, term.high) == (x.min(), x.max())
    unlimited = build_program(SoftmaxRegression(0.1).fit(x[:, None], labels(random, x))).inputs[0]
    assert math.isnan(unlimited.low)


def test_missing_spellings_are_words_and_numbers() -> None:
    inputs = {read.name: read for read in case("spellings").program.inputs}
    assert inputs["number"].missing_numbers == (-9.0,)
    assert "none given" in inputs["word"].missing_words
    assert "without $" in inputs["price"].note
    assert inputs["number"].note == ""


def test_spellings_of_levels() -> None:
    assert level_spellings(["1", "2.5"]) == {"1": 0, "2.5": 1, "1.0": 0}
    assert level_spellings(["1", "1.0"]) == {"1": 0, "1.0": 1}
    assert level_spellings(["true", "false"])["TRUE"] == 0
    assert level_spellings(["2020-01-31"])["2020-01-31 00:00:00"] == 0
    assert level_spellings(["a", "1"]) == {"a": 0, "1": 1}
    assert level_spellings(["01", "2"]) == {"01": 0, "2": 1}
    assert level_spellings([]) == {}


def test_large_integers_are_texts() -> None:
    terms = {term.input: term for term in case("codes").program.terms}
    names = [read.name for read in case("codes").program.inputs]
    assert isinstance(terms[names.index("big")], LevelTerm)
    assert isinstance(terms[names.index("zip")], CodeTerm)


def test_steps_of_a_calibrator() -> None:
    given = case("class rates")
    first, *_, last = given.program.steps
    assert isinstance(first, ReplaceZeros)
    assert isinstance(last, ShiftRates)
    named = build_program(
        given.model, calibrator=given.options["calibrator"], class_rates={"w": 0.3, "u": 0.2, "v": 0.5}
    )
    assert named.steps[-1] == last


def test_intervals_of_the_model_are_not_those_of_recalibrated_probabilities() -> None:
    random = generator(32)
    x = random.normal(size=200)
    table = pa.table({"x": x, "y": labels(random, x)})
    model = fit(table).keep_intervals(table)
    assert build_program(model).covariance is not None
    calibrator = Calibrator("temperature").fit(model.predict_proba(table), table["y"].to_pylist())
    assert build_program(model, calibrator=calibrator).covariance is None


def test_two_classes_by_beta_and_quadratic_calibration() -> None:
    random = generator(34)
    x = random.normal(size=400)
    table = pa.table({"x": x, "y": labels(random, x, classes=("no", "yes"))})
    model = fit(table)
    P, y = model.predict_proba(table), table["y"].to_pylist()
    steps = build_program(model, calibrator=Calibrator("beta").fit(P, y)).steps
    assert isinstance(steps[1], MixBoundedLogs)
    assert steps[1].rows[0][1] == steps[1].rows[1][0] == 0.0
    step = build_program(model, calibrator=Calibrator("quadratic").fit(P, y)).steps[1]
    assert isinstance(step, QuadraticLogOdds)
    assert step.low < step.high


def wrong_options() -> list[tuple[dict[str, Any], str]]:
    """Options of a model of the classes u, v, w, and a part of the message."""
    calibrator = case("vector calibration").options["calibrator"]
    random = generator(33)
    other = Calibrator("none").fit(random.dirichlet([1, 1], 50), ["a", "b"] * 25)
    return [
        ({"class_rates": [0.2, 0.3, 0.5]}, "calibrator"),
        ({"calibrator": Calibrator()}, "is fitted"),
        ({"calibrator": "isotonic"}, "is str"),
        ({"calibrator": other}, "classes"),
        ({"calibrator": calibrator, "class_rates": "estimate"}, "one row at a time"),
        ({"calibrator": calibrator, "class_rates": {"u": 1.0}}, "each of the classes"),
        ({"calibrator": calibrator, "class_rates": {"u": 0.5, "v": 0.2, "z": 0.3}}, "each of the classes"),
        ({"calibrator": calibrator, "class_rates": [0.5, 0.5]}, "class_rates"),
        ({"calibrator": calibrator, "class_rates": [0.5, 0.5, 0.5]}, "class_rates"),
        ({"calibrator": calibrator, "class_rates": [np.nan, 0.5, 0.5]}, "class_rates"),
    ]


def test_wrong_options_are_errors() -> None:
    model = case("vector calibration").model
    for options, message in wrong_options():
        with pytest.raises(ExportError, match=message):
            build_program(model, **options)


@pytest.mark.parametrize("model", [SoftmaxRegression(), SoftmaxRegressionCV(), TableClassifier(), None, "m.softreg"])
def test_only_fitted_models_are_programs(model: Any) -> None:
    with pytest.raises(ExportError, match="fitted"):
        build_program(model)


def test_labels_that_are_no_plain_values_are_texts() -> None:
    days = np.array(["2020-01-01", "2021-01-01"] * 10, dtype="M8[D]")
    model = SoftmaxRegression(0.1).fit(np.arange(20.0)[:, None], days)
    assert build_program(model).classes == ("2020-01-01", "2021-01-01")
    flags = SoftmaxRegression(0.1).fit(np.arange(20.0)[:, None], [True, False] * 10)
    assert build_program(flags).classes == (False, True)
    assert build_program(flags).label_texts == ("false", "true")


def test_reliability_is_that_of_the_evaluation(tmp_path: Path) -> None:
    random = generator(34)
    x = random.normal(size=400)
    table = pa.table({"x": x, "y": labels(random, x, classes=("b", "a", "c"))})
    pacsv.write_csv(table, tmp_path / "t.csv")
    files = [str(tmp_path / "t.csv"), "--model", str(tmp_path / "m.softreg")]
    assert CliRunner().invoke(main, ["train", *files, "--target", "y", "--terms=linear", "--quiet"]).exit_code == 0
    model = load(tmp_path / "m.softreg")
    kept = build_program(model).reliability
    assert kept is not None
    assert kept.rows == model.evaluation_.rows == 80
    assert len(kept.bins) == 3
    for label, bins in zip(model.model_.classes_, kept.bins, strict=True):
        assert bins == next(one.bins for one in model.evaluation_.reliability if one.label == label)
        assert sum(one.rows for one in bins) == 80
    calibrator = Calibrator("none").fit(model.predict_proba(table), table["y"].to_pylist())
    assert build_program(model, calibrator=calibrator).reliability is None
    assert build_program(fit(table)).reliability is None
