"""The ES module: its errors, contributions and intervals, and what its text may not contain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from softreg import SoftmaxRegression, TableClassifier
from softreg.export import build_program
from softreg.export.javascript.module import javascript_module
from softreg.serve.served_models.contributions import reference_row

from .cases import CASES, ODD_TEXTS, case, fit, generator, labels, with_nulls
from .javascript_runner import NODE, call, javascript_rows
from .runner import array_columns

needs_node = pytest.mark.skipif(NODE is None, reason="there is no Node (nodejs) here")


def people() -> tuple[TableClassifier, pa.Table]:
    random = generator(21)
    age, paid = random.normal(40, 10, 300), random.random(300) < 0.5
    table = pa.table(
        {
            "age": with_nulls(age, random),
            "paid": pa.array(paid),
            "job": random.choice(["cook", "smith", "it's"], 300),
            "when": pa.array(random.integers(0, 10**9, 300).astype("M8[s]")),
            "y": labels(random, age, 5 * paid, classes=("no", "perhaps", "yes")),
        }
    )
    return fit(table, strength=0.1).keep_intervals(table), table


@needs_node
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999999])
def test_intervals_are_those_of_the_library(level: float, tmp_path: Path) -> None:
    model, table = people()
    rows = table.slice(0, 50)
    program = build_program(model)
    found = call(program, javascript_rows(program, rows.drop_columns(["y"])), tmp_path, "intervals", level)
    low, high = model.predict_intervals(rows, level)
    np.testing.assert_allclose([row["lower"] for row in found], low, atol=1e-12)
    np.testing.assert_allclose([row["upper"] for row in found], high, atol=1e-12)


@needs_node
def test_intervals_of_two_classes(tmp_path: Path) -> None:
    random = generator(22)
    x = random.normal(size=200)
    table = pa.table({"x": x, "y": labels(random, x, classes=(True, False))})
    model = fit(table).keep_intervals(table)
    program = build_program(model)
    found = call(program, [{"x": 0.5}, {"x": None}], tmp_path, "intervals")
    low, high = model.predict_intervals(pa.table({"x": [0.5, None]}))
    np.testing.assert_allclose([[*row["lower"], *row["upper"]] for row in found], np.hstack([low, high]), atol=1e-12)


@needs_node
def test_a_model_without_covariance_says_so(tmp_path: Path) -> None:
    program = case("numbers").program
    rows = javascript_rows(program, case("numbers").columns.slice(0, 1))
    assert "keeps no covariance" in call(program, rows, tmp_path, "intervals")[0]["error"]


@needs_node
@pytest.mark.parametrize("name", ["mixed 3", "texts", "offsets", "tags", "array_offsets"])
def test_contributions_add_up_to_the_differences_of_logits(name: str, tmp_path: Path) -> None:
    given = case(name)
    rows = javascript_rows(given.program, given.columns)
    logits = np.array(call(given.program, rows, tmp_path, "logits"))
    parts = np.array(call(given.program, rows, tmp_path, "contributions"))
    base = logits - parts.sum(axis=1)
    np.testing.assert_allclose(base, np.broadcast_to(base[0], base.shape), atol=1e-9)


@needs_node
def test_contributions_are_relative_to_the_reference_row(tmp_path: Path) -> None:
    for model, table in (people(), (case("categories").model, case("categories").columns)):
        program, rows = build_program(model), table.slice(0, 20)
        parts = np.array(call(program, javascript_rows(program, rows), tmp_path, "contributions"))
        X = np.asarray(model.encode(rows)) - reference_row(model.encoder_)
        start = 0
        for place, code in enumerate(model.encoder_.column_encoders):
            stop = start + code.width
            expected = X[:, start:stop] @ model.model_.coef_[:, start:stop].T
            np.testing.assert_allclose(parts[:, place], expected, atol=1e-12)
            start = stop


@needs_node
def test_labels_have_their_types(tmp_path: Path) -> None:
    for name, kind in (("words", bool), ("arrays", int), ("categories", str)):
        given = case(name)
        rows = javascript_rows(given.program, given.columns)
        found = [row["label"] for row in call(given.program, rows, tmp_path)]
        assert (
            found
            == given.model.predict(
                given.columns if name != "arrays" else np.array(given.columns["X"].to_pylist())
            ).tolist()
        )
        assert {type(label) for label in found} == {kind}


WRONG = [
    ({"age": "old"}, "age", "needs a number"),
    ({"age": True}, "age", "needs a number"),
    ({"age": [1]}, "age", "needs a number"),
    ({"paid": "maybe"}, "paid", "needs true or false"),
    ({"job": {"a": 1}}, "job", "needs text"),
    ({"job": 2**60}, "job", "pass it as text"),
    ({"when": "yesterday"}, "when", "needs a date"),
    ({"when": "2021-02-29"}, "when", "needs a date"),
    ({"when": True}, "when", "needs a date"),
]


@needs_node
def test_wrong_values_are_errors_that_name_the_column(tmp_path: Path) -> None:
    program = build_program(people()[0])
    whole = {"age": 1.0, "paid": True, "job": "cook", "when": None}
    found = call(program, [whole | wrong for wrong, _, _ in WRONG], tmp_path)
    for (wrong, column, message), error in zip(WRONG, found, strict=True):
        assert error["name"] == "InputError", wrong
        assert error["input"] == column
        assert message in error["error"]
    for column in whole:
        (error,) = call(program, [{name: value for name, value in whole.items() if name != column}], tmp_path)
        assert error["input"] == column
    assert call(program, [None, 3, "text", []], tmp_path)[0]["name"] == "InputError"


@needs_node
def test_texts_of_dates_are_read_as_in_the_library(tmp_path: Path) -> None:
    model, _ = people()
    texts = ["2020-02-29", "1969-12-31 23:59:59", "2021-03-04T05:06", "2021-03-04 05:06:07.25", "0099-01-01",
             "2021-03-04T05:06:07Z", "2021-03-04 05:06:07+02:00", " 2020-01-05 ", ""]  # fmt: skip
    rows = [{"age": 1.0, "paid": True, "job": "cook", "when": text} for text in texts]
    found = call(build_program(model), rows, tmp_path)
    table = pa.table({name: [row[name] for row in rows] for name in rows[0]})
    expected = model.predict_proba(table)
    np.testing.assert_allclose([row["probabilities"] for row in found], expected, atol=1e-12)


@needs_node
def test_rows_of_arrays_may_be_lists_or_objects(tmp_path: Path) -> None:
    given = case("named_arrays")
    lists = given.columns["X"].to_pylist()
    objects = javascript_rows(given.program, array_columns(given.program, given.columns))
    first, second = call(given.program, lists, tmp_path), call(given.program, objects, tmp_path)
    assert first == second
    np.testing.assert_allclose([row["probabilities"] for row in first], given.expected(), atol=1e-12)
    errors = call(given.program, [[1.0, 2.0], [1.0, None, 2.0], ["1", 2.0, 3.0], None], tmp_path)
    assert all(error["name"] == "InputError" for error in errors)


@needs_node
def test_names_of_properties_of_objects_are_ordinary_levels(tmp_path: Path) -> None:
    random = generator(23)
    levels = ["__proto__", "constructor", "toString", "hasOwnProperty"]
    word = random.choice(levels, 200)
    table = pa.table({"__proto__": word, "constructor": random.normal(size=200)})
    table = table.append_column("y", pa.array(labels(random, word == "__proto__", classes=("__proto__", "b"))))
    model = fit(table)
    rows = pa.table({"__proto__": [*levels, "valueOf"], "constructor": [0.0] * 5})
    found = call(build_program(model), javascript_rows(build_program(model), rows), tmp_path)
    np.testing.assert_allclose([row["probabilities"] for row in found], model.predict_proba(rows), atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_the_module_is_ascii_and_cannot_end_a_script_element(name: str) -> None:
    text = javascript_module(case(name).program)
    assert text.isascii()
    assert "</script" not in text.lower()
    assert "<!--" not in text


def test_hostile_names_stay_in_strings() -> None:
    random = generator(24)
    x = random.normal(size=100)
    target = "*/ alert(1) \n\u2028 </script><script>alert(2)</script>"
    table = pa.table({"x": x, target: labels(random, x, classes=("</script>", "<!--"))})
    model = TableClassifier(strength=0.1).fit(table, target=target)
    text = javascript_module(build_program(model))
    first = text.splitlines()[0]
    assert first.startswith("// ")
    assert "</script" not in text


@needs_node
def test_overflowing_logits_are_an_error(tmp_path: Path) -> None:
    model = SoftmaxRegression(1e-6).fit(np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 1, 0, 1])
    model.coef_ = model.coef_ * 1e10
    error = call(build_program(model), [[1e305]], tmp_path)[0]
    assert "overflow" in error["error"]


@needs_node
def test_odd_texts_as_column_names(tmp_path: Path) -> None:
    random = generator(25)
    columns = {name: random.normal(size=100) for name in ODD_TEXTS if name.strip()}
    table = pa.table(columns | {"y": labels(random, *columns.values())})
    model = fit(table)
    rows = table.drop_columns(["y"]).slice(0, 5)
    found = call(build_program(model), javascript_rows(build_program(model), rows), tmp_path)
    np.testing.assert_allclose([row["probabilities"] for row in found], model.predict_proba(rows), atol=1e-12)
