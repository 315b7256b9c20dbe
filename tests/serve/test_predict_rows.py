"""`POST /predict`: probabilities as those of the model, labels in their type, a sentence for every invalid request."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from softreg import SoftmaxRegression, explain, load

from .small_models import fitted, mixed_table

ROW = {"age": 31.5, "loan": "no", 'job "x"': "cook"}


def unnamed(table: pa.Table, *names: str) -> list[dict[str, Any]]:
    return table.drop_columns(["buys", *names]).to_pylist()


@pytest.mark.parametrize("rows", [1, 2, 240])
def test_probabilities_are_those_of_the_model_to_the_last_bit(mixed: Any, open_client: Any, rows: int) -> None:
    model, table = mixed
    table = table.slice(0, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, (low, high) = model.predict_proba(table), model.predict_intervals(table, 0.9)
    answer = open_client(bank=model).rows(unnamed(table), level=0.9).json()
    assert answer["classes"] == ["no", "yes"]
    found = [list(p["probabilities"].values()) for p in answer["predictions"]]
    assert (np.array(found) == expected).all()
    assert [p["label"] for p in answer["predictions"]] == model.predict(table).tolist()
    limits = np.array([list(p["interval"].values()) for p in answer["predictions"]])
    assert (limits[:, :, 0] == low).all()
    assert (limits[:, :, 1] == high).all()


def test_columns_that_the_model_does_not_use_may_be_there(small: Any, mixed: Any, open_client: Any) -> None:
    model, table = mixed
    row = table.slice(0, 1).to_pylist()[0]  # with the identifier and the target
    without = {name: value for name, value in row.items() if name not in ("id", "buys")}
    call = open_client(bank=model)
    assert call.rows([row]).json() == call.rows([without]).json()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([1, 0] * 20), [0, 1]),
        (pa.array([True, False] * 20), [False, True]),
        (pa.array(["", 'é "q"'] * 20), None),
        (pa.array([0.5, 1.5] * 20), [0.5, 1.5]),
        (pa.array(["2020-01-31", "2020-02-01"] * 20).cast(pa.date32()), ["2020-01-31", "2020-02-01"]),
        (pa.array(["10", "9", "a", "b"] * 10), ["10", "9", "a", "b"]),
        (pa.array([10, 9, 8, 2**60] * 10), [8, 9, 10, 2**60]),
    ],
)
def test_labels_have_the_type_of_training(labels: pa.Array, expected: Any, open_client: Any) -> None:
    x = np.random.default_rng(0).normal(size=40)
    if expected is None:
        labels, expected = pa.array(["'", 'é "q"'] * 20), ["'", 'é "q"']
    model = fitted(pa.table({"x": x, "buys": labels}))
    call = open_client(m=model)
    answer = call.rows([{"x": value} for value in x]).json()
    assert answer["classes"] == expected
    assert [type(label) for label in answer["classes"]] == [type(label) for label in expected]
    found = [p["label"] for p in answer["predictions"]]
    plain = [
        label if isinstance(label, str | int | float) else str(label)
        for label in model.predict(pa.table({"x": x})).tolist()
    ]
    assert found == plain
    output = call("POST", "/v2/models/m/infer", json={
        "inputs": [{"name": "x", "shape": [40], "datatype": "FP64", "data": x.tolist()}]
    }).json()["outputs"][1]  # fmt: skip
    assert output["data"] == plain
    names = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}
    assert output["datatype"] == names[type(plain[0])]


def test_contributions_sum_to_the_log_odds_and_are_those_of_explain(small: Any, open_client: Any) -> None:
    model, table = small
    rows = unnamed(table.slice(0, 40))
    answer = open_client(bank=model).rows(rows, contributions=True).json()["predictions"]
    for row, prediction in zip(rows, answer, strict=True):
        found, p = prediction["contributions"], prediction["probabilities"]
        assert set(found["columns"]) == set(row)
        assert found["reference"] + sum(found["columns"].values()) == pytest.approx(found["log_odds"], abs=1e-12)
        odds = math.log(p[found["predicted"]] / p[found["against"]])
        assert found["log_odds"] == pytest.approx(odds, abs=1e-9)
        assert p[found["predicted"]] == max(p.values())
    # the reference row written out: mean age, share of loans, and each job once
    encoder = model.encoder_
    reference = []
    for column in encoder.column_encoders:
        part = [0.0] * column.width
        if column.name == "loan":
            share = np.mean([value == "yes" for value in table["loan"].to_pylist()])
            assert column.mean == pytest.approx(share)
            part[0] = column.mean
        elif column.name != "age":
            part = [1 / column.width] * column.width
        reference += part
    X = encoder.encode(table.slice(0, 40))
    explained = explain(model.model_, X, baseline=np.array(reference))
    age = [column.name for column in encoder.column_encoders].index("age")
    assert age == 0
    own = explained.log_odds[:, : encoder.column_encoders[0].width].sum(axis=1)
    assert [p["contributions"]["columns"]["age"] for p in answer] == pytest.approx(own.tolist(), abs=1e-12)


def test_offsets_are_needed_and_contribute(open_client: Any) -> None:
    table = mixed_table().select(["age", "loan", "buys"])
    table = table.append_column("score", pa.array(np.linspace(-1, 1, 240)))
    model = fitted(table, offset={"yes": "score"})
    rows = unnamed(table.slice(0, 5))
    call = open_client(m=model)
    answer = call.rows(rows, contributions=True).json()["predictions"]
    expected = model.predict_proba(table.slice(0, 5))
    assert [list(p["probabilities"].values()) for p in answer] == expected.tolist()
    for row, p in zip(rows, answer, strict=True):
        found = p["contributions"]
        sign = 1 if found["predicted"] == "yes" else -1
        assert found["columns"]["score"] == pytest.approx(sign * row["score"])
        odds = math.log(p["probabilities"][found["predicted"]] / p["probabilities"][found["against"]])
        assert found["log_odds"] == pytest.approx(odds, abs=1e-9)
    error = call.rows([{**rows[0], "score": None}])
    assert error.status_code == 422
    assert "offset" in error.json()["error"]


def test_sets_hold_the_most_probable_labels(small: Any, array_model: Any, open_client: Any) -> None:
    model, X = array_model
    answer = open_client(m=model).rows(X.tolist(), prediction_set=0.8).json()["predictions"]
    sizes = set()
    for prediction in answer:
        p = {int(label): value for label, value in prediction["probabilities"].items()}
        chosen = prediction["set"]
        assert chosen == sorted(p, key=lambda label: -p[label])[: len(chosen)]
        assert sum(p[label] for label in chosen) >= 0.8
        assert sum(p[label] for label in chosen[:-1]) < 0.8
        sizes.add(len(chosen))
    assert len(sizes) > 1


def test_a_threshold_decides_as_the_command_does(small: Any, open_client: Any) -> None:
    model, table = small
    rows = unnamed(table)
    call = open_client(bank=model)
    yes = model.predict_proba(table)[:, 1]
    expected = np.where(yes >= 0.2, "yes", "no").tolist()
    for threshold in (0.2, {"yes": 0.2}):
        found = call.rows(rows, threshold=threshold).json()["predictions"]
        assert [p["label"] for p in found] == expected


@pytest.mark.parametrize("named", [False, True])
def test_models_of_arrays(array_model: Any, open_client: Any, named: bool) -> None:
    model, X = array_model
    rows: list[Any] = X.tolist()
    if named:
        pandas = pytest.importorskip("pandas", reason="named features come from frames")
        frame = pandas.DataFrame(X, columns=["a", "b c", "é"])
        model = SoftmaxRegression(0.01).fit(frame, model.predict(X))
        expected = model.predict_proba(frame)
        rows = frame.to_dict("records")
    else:
        expected = model.predict_proba(X)
    call = open_client(m=model)
    for sent in [rows, X.tolist()]:
        answer = call.rows(sent).json()
        assert [list(p["probabilities"].values()) for p in answer["predictions"]] == expected.tolist()
    tensor = {"name": "anything", "shape": [90, 3], "datatype": "FP64", "data": X.ravel().tolist()}
    output = call("POST", "/v2/models/m/infer", json={"inputs": [tensor]}).json()["outputs"]
    assert output[0]["data"] == expected.ravel().tolist()
    assert output[1] == {"name": "label", "datatype": "INT64", "shape": [90], "data": expected.argmax(axis=1).tolist()}
    assert call.rows([[1.0, 2.0]]).json()["error"] == "Row 1 has 2 numbers, but the model was fitted on 3."
    assert "no missing values" in call.rows([[1.0, 2.0, None]]).json()["error"]


def test_no_rows_are_no_predictions(small: Any, array_model: Any, open_client: Any) -> None:
    for model in (small[0], array_model[0]):
        call = open_client(m=model)
        answer = call.rows([], prediction_set=0.9)
        assert answer.status_code == 200
        assert answer.json()["predictions"] == []


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ([ROW, {**ROW, "age": "31"}], ["'age'", "row 2", "'31'", "without quotes"]),
        ([{**ROW, "age": True}], ["'age'", "row 1", "true", "a number"]),
        ([{**ROW, "age": [1]}], ["'age'", "a list"]),
        ([{**ROW, "age": {"a": 1}}], ["'age'", "an object"]),
        ([{**ROW, "loan": "perhaps"}], ["'loan'", "'perhaps'", "true or false (or 'yes' or 'no')"]),
        ([{**ROW, "loan": 1}], ["'loan'", "1", "null for a missing value"]),
        ([{**ROW, 'job "x"': 5}], ["job", "5", "in quotes"]),
        ([{"age": 1, "loan": "no"}], ["Row 1 lacks the column", "job", "write null"]),
        ([{"agee": 1, "loan": "no", 'job "x"': None}], ["lacks the column 'age'", "'agee'", "renamed?"]),
        ([ROW, {**ROW, "agee": 1}], ["Row 2", "'agee'", "Did you mean 'age'?"]),
        ([ROW, 7], ["Row 2 is 7", "object"]),
        ([None], ["Row 1 is null"]),
        ([[1, 2, 3]], ["Row 1 is a list"]),
        ([{**ROW, "age": 10**400}], ["'age'", "too far"]),
    ],
)
def test_an_invalid_row_is_named(small: Any, open_client: Any, rows: list[Any], parts: list[str]) -> None:
    answer = open_client(bank=small[0]).rows(rows)
    assert answer.status_code == 422
    assert list(answer.json()) == ["error"]
    for part in parts:
        assert part in answer.json()["error"]


def test_cells_unlike_those_of_training_are_told(small: Any, open_client: Any) -> None:
    model, table = small
    call = open_client(bank=model)
    far, near = max(table["age"].drop_null().to_pylist()) + 100, max(table["age"].drop_null().to_pylist()) + 1
    rows = [ROW, {**ROW, 'job "x"': "pilot"}, {**ROW, "age": far}, {**ROW, "age": near}, {**ROW, 'job "x"': None}]
    for sent in (rows, [*rows, {**ROW, 'job "x"': " "}]):
        answer = [prediction.get("warnings", {}) for prediction in call.rows(sent).json()["predictions"]]
        assert answer[1] == {'job "x"': "a level that training did not have"}
        assert "outside the range of training" in answer[2]["age"]
        assert [bool(said) for said in answer] == [False, True, True, *[False] * (len(sent) - 3)]


def row_text(age: str) -> str:
    return json.dumps({"rows": [ROW, {**ROW, "age": "AGE"}]}).replace('"AGE"', age)


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (row_text("NaN"), ["'age' in row 2 is nan", "null"]),
        (row_text("-Infinity"), ["'age' in row 2 is -inf"]),
        (row_text("1e999"), ["'age' in row 2 is inf"]),
        (row_text("1" * 5000), ["too many digits"]),
        (row_text('1, "age": 2'), ["Row 2", "key 'age' twice"]),
        ('{"rows": [], "rows": []}', ["key 'rows' twice"]),
        ('{"rows": [{"a:b": 1, "a:b": 2}]}', ["Row 1", "'a:b' twice"]),
        (row_text(r'"\ud800"'), ["half of a character"]),
        (row_text('"' + "x" * 100 + '"'), ["'age'"]),
        ("", ["empty"]),
        ("  ", ["empty"]),
        ("{", ["not JSON"]),
        ('{"rows": []} x', ["not JSON"]),
        ("{'rows': []}", ["not JSON"]),
        ('{"rows": [01]}', ["not JSON"]),
        (b'{"rows": ["\xff"]}', ["UTF-8"]),
        (b"\xef\xbb\xbf{}", ["byte order mark"]),
        ("[" * 100_000, ["nested too deeply"]),
        ('{"rows": ' + "[" * 100_000 + "]" * 100_000 + "}", ["nested too deeply"]),
        ('{"rows": ' + "[" * 90 + "]" * 90 + "}", ["Row 1 is a list"]),
        ('{"rows": ' + '[{"a:": ' * 50 + "NaN" + "}]" * 50 + "}", ["in row 1 is nan"]),
        ('{"rows": {"a": NaN}}', ["'rows.a' is nan"]),
        ('{"rows": {"a": {"b": 1, "b": 2}}}', ["'rows.a' has the key 'b' twice"]),
        ("[]", ["a list"]),
        ("null", ["null"]),
        ("{}", ['no "rows"']),
        ('{"rows": 1}', ['"rows" is 1']),
        ('{"rows": {}}', ["an object"]),
        ('{"rows": [], "treshold": 1}', ["'treshold'", "'threshold'"]),
        ('{"rows": [], "level": 0.9}', ["--intervals"]),
        ('{"rows": [], "prediction_set": 1}', ["between 0 and 1"]),
        ('{"rows": [], "prediction_set": "0.9"}', ["between 0 and 1"]),
        ('{"rows": [], "prediction_set": true}', ["true"]),
        ('{"rows": [], "contributions": 1}', ["true or false"]),
        ('{"rows": [], "threshold": 2}', ["from 0 to 1"]),
        ('{"rows": [], "threshold": {"maybe": 0.5}}', ["'maybe'", "'no', 'yes'"]),
        ('{"rows": [], "threshold": {"no": 0.5, "yes": 0.5}}', ["2 labels"]),
    ],
)
def test_an_invalid_body_is_told(small: Any, open_client: Any, body: bytes | str, parts: list[str]) -> None:
    answer = open_client(bank=small[0]).body(body)
    assert answer.status_code == 422, answer.text
    for part in parts:
        assert part in answer.json()["error"]
    assert len(answer.json()["error"]) < 400


@pytest.mark.parametrize("depth", [50, 200, 300, 450, 600, 900, 2000])
@pytest.mark.parametrize("inner", ["NaN", "1", '{"b": 1, "b": 2}'])
def test_nested_bodies_are_invalid_at_any_depth(small: Any, open_client: Any, depth: int, inner: str) -> None:
    body = '{"rows": ' + '[{"a:": ' * depth + inner + "}]" * depth + "}"
    answer = open_client(bank=small[0]).body(body)
    assert answer.status_code == 422
    assert len(answer.json()["error"]) < 400


def test_colons_in_text_are_no_repeated_keys(small: Any, open_client: Any) -> None:
    answer = open_client(bank=small[0]).rows([{**ROW, 'job "x"': "a:b:c::"}])
    assert answer.status_code == 200


def test_the_model_file_of_a_search_is_served(array_model: Any, open_client: Any, tmp_path: Any) -> None:
    from softreg import SoftmaxRegressionCV

    X = array_model[1]
    model = SoftmaxRegressionCV().fit(X, (X[:, 0] > 0).astype(int))
    answer = open_client(m=model).rows(X.tolist()).json()
    loaded = load(tmp_path / "m.softreg")
    assert [list(p["probabilities"].values()) for p in answer["predictions"]] == loaded.predict_proba(X).tolist()
