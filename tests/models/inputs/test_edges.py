"""What lies between the kinds of input: the short way for plain arrays, odd containers, odd weights, odd classes."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

import softreg
from softreg import SoftmaxRegression
from softreg.models import ModelFileError, read_model, write_model
from softreg.models.inputs.finite_values import check_finite
from softreg.models.inputs.sample_and_class_weights import rescale_extreme_weights
from softreg.models.serialization import model_file as storage


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_plain_array_takes_the_short_way_to_the_same_answer(problem, model, dtype):
    X = problem.X.astype(dtype)
    P = model.predict_proba(X)
    for same in (np.asfortranarray(X), X.astype(X.dtype.newbyteorder(">")), sp.csr_array(X), X.tolist()):
        np.testing.assert_allclose(model.predict_proba(same), P, atol=1e-6 if dtype is np.float32 else 1e-14)
    for wrong in (X[:, :3], X[0], X[:0], X[None]):
        with pytest.raises(ValueError, match=r"features|2D|0 sample|dim 3"):
            model.predict_proba(wrong)


def test_the_short_way_does_not_pass_by_the_names_of_columns(problem):
    named = SoftmaxRegression().fit(pd.DataFrame(problem.X, columns=list("abcd")), problem.y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        named.predict(problem.X)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array, sp.csc_array, pl.DataFrame])
@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_the_place_of_what_is_no_number(problem, model, kind, bad, word):
    X = problem.X.copy()
    X[41, 2] = X[90, 0] = bad
    with pytest.raises(ValueError, match=rf"^Input X contains {word}: column ('column_2'|2) .*row 41\b"):
        SoftmaxRegression().fit(kind(X), problem.y)
    if kind is not pl.DataFrame:
        with pytest.raises(ValueError, match=rf"{word}: column 2 .*row 41\b"):
            model.predict(kind(X))


def test_finite_numbers_whose_sum_is_not_finite_pass():
    check_finite(np.full((3, 2), 1.7e308))
    check_finite(np.array([[1.7e308, 1.7e308, -1.7e308, -1.7e308]] * 9))
    check_finite(sp.csr_array(np.full((3, 2), 3e38, np.float32)))
    check_finite(np.zeros((0, 3)))


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([[1.0, 2.0], [3.0]], "row 0 has 2 numbers and row 1 has 1"),
        ([["1", "2"]] * 3, r"text, not numbers \(row 0, column 0: '1'\)"),
        (np.array([[1.0, "2"]] * 3, dtype=object), r"text, not numbers \(row 0, column 1: '2'\)"),
        (np.array([["2020", "2021"]] * 3, "M8[D]"), "datetime64"),
        (np.array([[1, 2]] * 3, "m8[s]"), "timedelta64"),
        (np.ma.masked_array(np.ones((3, 2)), mask=[[0, 0], [0, 1], [0, 0]]), "row 1, column 1 is masked"),
        ([[1.0, None]] + [[1.0, 2.0]] * 2, "column 1 has a missing value in row 0"),
        ("text", "X holds text"),
    ],
)
def test_what_numpy_would_convert_in_silence(X, words):
    with pytest.raises(ValueError, match=words):
        SoftmaxRegression().fit(X, ["a", "b", "a"])


def test_exact_numbers_of_frames_are_numbers(problem):
    whole = np.round(problem.X * 100)
    expected = SoftmaxRegression().fit(whole, problem.y).coef_
    for column in (
        lambda v: pl.Series(v.astype(int), dtype=pl.Int128),
        lambda v: pl.Series([decimal.Decimal(int(k)) for k in v]),
    ):
        frame = pl.DataFrame({f"c{k}": column(whole[:, k]) for k in range(4)})
        np.testing.assert_array_equal(SoftmaxRegression().fit(frame, problem.y).coef_, expected)
    objects = pd.DataFrame({f"c{k}": [decimal.Decimal(int(v)) for v in whole[:, k]] for k in range(4)})
    np.testing.assert_array_equal(SoftmaxRegression().fit(objects, problem.y).coef_, expected)


def test_a_failed_first_fit_leaves_no_trace(problem):
    for call in ("fit", "partial_fit"):
        model = SoftmaxRegression()
        with pytest.raises(ValueError, match=r"one class|only the class"):
            getattr(model, call)(problem.X, ["ant"] * 300)
        assert vars(model).keys() == model.get_params().keys()


def test_names_of_columns_go_when_a_fit_has_none(problem):
    model = SoftmaxRegression().fit(pd.DataFrame(problem.X, columns=list("abcd")), problem.y)
    model.fit(problem.X[:, :2], problem.y)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 2


def test_logits_overflow_only_where_float64_does(problem, model):
    direction = np.sign(model.coef_[0])
    far = (direction * 3e38).astype(np.float32)[None]
    np.testing.assert_array_equal(model.predict_proba(far), model.predict_proba(far.astype(np.float64)))
    for call in (model.predict, model.predict_proba, model.predict_log_proba, model.decision_function):
        with pytest.raises(ValueError, match=r"row 1 of X .* overflow \(the largest is 1.7e\+308\)"):
            call(np.vstack([np.ones(4), direction * 1.7e308]))


def test_columns_of_a_matrix_are_the_classes_in_the_order_given(problem):
    Y = 0.9 * np.eye(3)[problem.codes] + 0.1 / 3
    names = ["z", "m", "a"]
    model = SoftmaxRegression().partial_fit(problem.X, Y, classes=names)
    framed = SoftmaxRegression().partial_fit(problem.X, pd.DataFrame(Y, columns=names))
    assert model.classes_.tolist() == names
    model.partial_fit(problem.X, Y[:, ::-1], classes=names[::-1])
    framed.partial_fit(problem.X, Y)
    np.testing.assert_array_equal(model.coef_, framed.coef_)


def test_classes_that_are_none_are_refused_by_that_name(problem):
    for classes, words in (
        (["ant", None], "classes has no label in row 1"),
        ([["ant", "bee"]], "classes must be one-"),
    ):
        with pytest.raises(ValueError, match=words):
            SoftmaxRegression().partial_fit(problem.X, problem.y, classes=classes)


def test_scores_of_labels_that_cannot_be_right(problem, model):
    with pytest.raises(ValueError, match="labels y are integer and the classes text"):
        model.score(problem.X, problem.codes)
    with pytest.raises(ValueError, match=r"0 .*not among the known classes: 'ant'"):
        model.score(problem.X, pd.DataFrame(np.eye(3)[problem.codes], columns=[0, 1, 2]))
    with pytest.raises(ValueError, match="no label in row 3"):
        model.score(problem.X, [*problem.y[:3], None, *problem.y[4:]])
    with pytest.raises(ValueError, match="all sample weights are zero"):
        model.score(problem.X, problem.y, np.zeros(300))
    assert model.score(problem.X, problem.y, np.full(300, 5e307)) == model.score(problem.X, problem.y)
    whole = SoftmaxRegression().fit(problem.X, problem.codes)
    assert whole.score(problem.X, problem.codes.astype(float)) == whole.score(problem.X, problem.codes) > 0.5


def test_weights_are_scaled_only_where_they_must_be():
    ordinary = np.array([0.0, 1e-50, 1e50])
    assert rescale_extreme_weights(ordinary) is ordinary
    for factor in (2.0**-1000, 2.0**1000):
        scaled = rescale_extreme_weights(np.array([0.0, 1.0, 1.5]) * factor)
        assert scaled.tolist() == [0.0, 0.5, 0.75]


def test_tiny_sample_weights_times_tiny_class_weights_do_not_vanish(problem):
    tiny = SoftmaxRegression(class_weight=dict.fromkeys(("ant", "bee", "cat"), 1e-200))
    tiny.fit(problem.X, problem.y, np.full(300, 1e-200))
    np.testing.assert_allclose(tiny.coef_, SoftmaxRegression().fit(problem.X, problem.y).coef_, atol=1e-9)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strength": True}, "strength=True"),
        ({"max_iter": True}, "max_iter=True"),
        ({"verbose": None}, "verbose=None"),
        ({"class_weight": {"ant": True}}, "class_weight of 'ant' is True"),
        ({"strength": np.float64("nan")}, "strength=nan must"),
    ],
)
def test_parameters_of_another_kind(problem, settings, words):
    with pytest.raises(ValueError, match=words):
        SoftmaxRegression(**settings).fit(problem.X, problem.y)


def test_parameters_of_numpy_and_l1_said_twice(problem, tmp_path):
    given = SoftmaxRegression(
        np.float32(0.5), max_iter=np.int64(50), fit_intercept=np.bool_(True), tol=np.float64(1e-6)
    )
    given.fit(problem.X, problem.y).save(tmp_path / "m")
    assert softreg.load(tmp_path / "m").get_params()["strength"] == 0.5
    once = SoftmaxRegression(penalty="l1").fit(problem.X, problem.y)
    twice = SoftmaxRegression(penalty="l1", l1_ratio=1).fit(problem.X, problem.y)
    np.testing.assert_array_equal(once.coef_, twice.coef_)


def test_a_model_whose_parameters_were_spoilt_is_not_saved(model, tmp_path):
    with pytest.raises(ValueError, match="tol=-1"):
        model.set_params(tol=-1).save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


# --- the file -------------------------------------------------------------------------------------------------------


def test_keys_of_notes_become_text_as_in_json(tmp_path):
    write_model(tmp_path / "m", "regression", {}, {10: 1, 9: 2, "a": (1, 2)})
    assert read_model(tmp_path / "m").metadata == {"10": 1, "9": 2, "a": [1, 2]}
    with pytest.raises(ModelFileError, match="not strict JSON"):
        write_model(tmp_path / "m", "regression", {}, [1])


def test_numbers_wider_than_the_format_and_names_that_are_no_text_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match="only numbers"):
        write_model(tmp_path / "m", "regression", {"a": np.ones(2, np.longdouble)}, {})
    with pytest.raises(ModelFileError, match="text that no file can hold"):
        write_model(tmp_path / "m", "regression", {"\ud800": np.ones(2)}, {})
    assert not list(tmp_path.iterdir())


def test_a_note_that_says_the_same_in_other_words_is_refused(model, tmp_path):
    model.save(tmp_path / "m")
    data = (tmp_path / "m").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = data[8:start]
    for old, new in ((rb"\"format\": 2", rb"\"format\":2 "), (rb"0.001,", rb"1e-3, ")):
        assert header.count(old) >= 1
        (tmp_path / "m").write_bytes(
            data[:8] + header.replace(old, new, 1)[: len(header)].ljust(len(header)) + data[start:]
        )
        with pytest.raises(ModelFileError, match=r"checksum differs|damaged"):
            softreg.load(tmp_path / "m")


def test_a_header_that_could_not_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_MAX_HEADER_BYTES", 1000)
    with pytest.raises(ModelFileError, match="longer than"):
        write_model(tmp_path / "m", "regression", {}, {"text": "x" * 1000})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda a, m: m.update(feature_names=["a", "a", "b", "c"]),
        lambda a, m: m.update(n_iter=True),
        lambda a, m: m.update(n_iter=2.5),
        lambda a, m: m["solution"].update(value="low"),
        lambda a, m: m["solution"].update(passes=-1),
        lambda a, m: m["solution"].update(history=[[1, 2]]),
        lambda a, m: m["solution"].update(history=[[1, None, 0.0, 0.0]]),
        lambda a, m: m["classes"].update(dtype="float"),
        lambda a, m: m["classes"].update(values="abc"),
        lambda a, m: m["parameters"].update(class_weight=[1]),
        lambda a, m: m["parameters"].update(class_weight={"items": 3}),
        lambda a, m: m["parameters"].update(fit_intercept=1),
        lambda a, m: m.update(solution=[]),
        lambda a, m: m.pop("solution"),
        lambda a, m: (a.update(coef=a["coef"][:1], intercept=a["intercept"][:1]), m["classes"].update(values=["ant"])),
    ],
)
def test_more_parts_that_do_not_belong_together(model, tmp_path, spoil):
    arrays, metadata = model.to_state()
    arrays = {name: array.copy() for name, array in arrays.items()}
    spoil(arrays, metadata)
    write_model(tmp_path / "m", "regression", arrays, metadata)
    with pytest.raises(ModelFileError, match="'m'"):
        softreg.load(tmp_path / "m")
