"""Linear probes: optimal weights, honest held-out scores, and inputs that go wrong in other tools."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import softreg
from softreg import SoftmaxRegression, probe
from softreg.linear_probe.embedding_arrays import column_scale, unit_length
from softreg.linear_probe.held_out_scores import score_rows

STRENGTHS = [1e-1, 1e-2, 1e-3]


def drawn(n: int = 600, d: int = 12, q: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = np.arange(n) % q
    means = np.random.default_rng(99).normal(size=(q, d)) * 1.2
    return (means[y] + random.normal(size=(n, d))).astype(np.float32), y


def test_the_model_is_the_optimum_of_all_rows() -> None:
    X, y = drawn()
    result = probe(X, y, strengths=STRENGTHS, tol=1e-9)
    assert result.model.solution_.gap <= 1e-9
    C = 1 / (len(X) * result.strength)
    other = LogisticRegression(C=C, tol=1e-10, max_iter=5000).fit(X.astype(np.float64), y)
    assert np.abs(result.model.coef_ - other.coef_).max() < 2e-3
    same = SoftmaxRegression(result.strength, tol=1e-9).fit(X, y)
    assert np.abs(result.model.coef_ - same.coef_).max() < 1e-3


def test_the_scores_are_those_of_rows_that_the_fits_do_not_know() -> None:
    X, y = drawn()
    result = probe(X, y, strengths=[1e-2], seed=3)
    split = softreg.split_rows(y, 120, 3)
    model = SoftmaxRegression(1e-2, tol=1e-9).fit(X[split.train], y[split.train])
    P = model.predict_proba(X[split.test])
    expected = -np.log(P[np.arange(len(P)), y[split.test]]).mean()
    assert result.strengths[0].log_loss.value == pytest.approx(expected, abs=1e-3)
    assert result.strengths[0].accuracy.value == pytest.approx((P.argmax(1) == y[split.test]).mean(), abs=0.01)
    assert result.evaluation.log_loss == pytest.approx(result.log_loss.value, abs=1e-9)
    assert (result.held_out, result.evaluated_on, result.tested) == (120, "held-out", 0)


def test_folds_hold_out_every_row_once() -> None:
    X, y = drawn(300)
    result = probe(X, y, strengths=STRENGTHS, folds=3)
    assert result.held_out == result.evaluation.rows == 300
    assert all(point.converged and point.gap <= 1e-4 for point in result.strengths)
    assert result.chosen == int(np.argmin(result.as_dict()["log_loss"]))


def test_test_rows_are_not_used_to_choose_the_strength() -> None:
    X, y = drawn()
    T, t = drawn(seed=1)
    result = probe(X, y, strengths=STRENGTHS, test=(T, t))
    assert result.strength == probe(X, y, strengths=STRENGTHS).strength
    assert result.evaluated_on == "test"
    assert result.accuracy.value == pytest.approx(result.model.score(T, t))
    single = probe(X, y, strengths=1e-2, test=(T, t))
    assert (single.held_out, len(single.strengths), single.strength) == (0, 1, 1e-2)


def test_the_automatic_path_turns_and_is_refined() -> None:
    X, y = drawn()
    strengths = probe(X, y).as_dict()
    best = int(np.argmin(strengths["log_loss"]))
    assert 0 < best < len(strengths["strength"]) - 1
    assert strengths["strength"][best - 1] / strengths["strength"][best] < 4
    assert (np.diff(strengths["strength"]) < 0).all()


def test_the_accuracy_may_choose() -> None:
    X, y = drawn()
    table = (result := probe(X, y, strengths=STRENGTHS, score="accuracy")).as_dict()
    assert table["accuracy"][result.chosen] == table["accuracy"].max()


@pytest.mark.parametrize("kind", ["float16", "bfloat16", ">f4", "fortran", "strided", "torch", "int8"])
def test_numbers_of_every_kind_give_the_same_model(kind: str) -> None:
    X, y = drawn()
    X = np.round(X * 8).clip(-100, 100).astype(np.float32)  # exact in every kind
    expected = probe(X, y, strengths=[1e-2])
    given: Any = {
        "float16": lambda: X.astype(np.float16),
        "bfloat16": lambda: pytest.importorskip("torch").from_numpy(X).bfloat16(),
        ">f4": lambda: X.astype(">f4"),
        "fortran": lambda: np.asfortranarray(X),
        "strided": lambda: np.repeat(X, 2, axis=1)[:, ::2],
        "torch": lambda: pytest.importorskip("torch").from_numpy(X).requires_grad_(),
        "int8": lambda: X.astype(np.int8),
    }[kind]()
    seen = probe(given, y, strengths=[1e-2])
    assert np.abs(seen.model.coef_ - expected.model.coef_).max() < 1e-5
    assert np.allclose(seen.predict_proba(given[:5]), expected.predict_proba(X[:5]), atol=1e-5)


def test_float16_in_place_gives_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = drawn(4000, 20, 50)
    X = X.astype(np.float16)
    expected = probe(X, y, strengths=[1e-3])
    monkeypatch.setattr("softreg.linear_probe.embedding_arrays.CONVERTED_BYTES", 0)
    monkeypatch.setattr("softreg.linear_probe.strength_path.COPIED_BYTES", 0)
    seen = probe(X, y, strengths=[1e-3])
    assert seen.model.solution_.gap <= 1e-4
    assert np.abs(seen.model.coef_ - expected.model.coef_).max() < 0.1 * np.abs(expected.model.coef_).max()
    assert seen.log_loss.value == pytest.approx(expected.log_loss.value, abs=1e-3)


def test_unit_rows_and_standardised_columns_are_as_if_computed_before() -> None:
    X, y = drawn()
    X = X * np.random.default_rng(0).uniform(0.1, 30, X.shape[1]).astype(np.float32) + 5

    unit = probe(X, y, strengths=[1e-3], unit_rows=True)
    assert np.allclose(unit.model.coef_, probe(unit_length(X), y, strengths=[1e-3]).model.coef_, atol=1e-5)
    assert np.allclose(unit.predict_proba(X[:4] * 7), unit.predict_proba(X[:4]), atol=1e-6)
    scaled = probe(X, y, strengths=[1e-3], standardize=True, test=(X, y))
    Z = column_scale(X).apply(X)
    by_hand = probe(Z, y, strengths=[1e-3], test=(Z, y))
    assert np.allclose(scaled.model.predict_proba(X), by_hand.model.predict_proba(Z), atol=1e-4)
    assert scaled.log_loss.value == pytest.approx(by_hand.log_loss.value, abs=1e-5)


def test_ranks_and_losses_of_rows_by_hand() -> None:
    X = np.array([[1.0, 1.0, 0.0], [0.0, 3.0, 1.0]])
    scores = score_rows(X, np.array([0, 1]), np.array([1, 2]), np.eye(3), np.zeros(3))
    assert scores.rank.tolist() == [1, 1]  # of equal logits the first class counts
    assert scores.loss == pytest.approx(-np.log([np.e / (2 * np.e + 1), np.e / (1 + np.e**3 + np.e)]))
    assert scores.accuracy(2).value == 1


def test_labels_in_another_order_are_noticed() -> None:
    X, y = drawn()
    with pytest.warns(UserWarning, match="embeddings and labels seem to be unrelated. Are they in the same order"):
        probe(X, np.random.default_rng(0).permutation(y), strengths=[1e-1, 1e-2])


def test_a_class_with_one_row_stays_in_training() -> None:
    X, y = drawn(120)
    y = y.astype(object)
    y[7] = "rare"
    y = y.astype(str)
    for folds in (None, 4):
        result = probe(X, y, strengths=[1e-2], folds=folds)
        assert "rare" in result.model.classes_
        assert np.isfinite(result.log_loss.value)


def test_one_row_a_class_needs_a_strength_and_test_rows() -> None:
    X, y = drawn(6)
    with pytest.raises(ValueError, match="every class has a single row, so no row can be held out"):
        probe(X, y)
    assert probe(X, y, strengths=[1e-2], test=drawn(seed=1)).tested == 600


def test_test_labels_that_training_lacks_are_left_out_and_counted() -> None:
    X, y = drawn()
    T, t = drawn(seed=1)
    t = t.copy()
    t[:5] = 77
    with pytest.warns(UserWarning, match="5 of 600 test rows have labels that no training row has, such as 77"):
        result = probe(X, y, strengths=[1e-2], test=(T, t))
    assert (result.unknown_labels, result.tested, result.evaluation.rows) == (5, 595, 595)
    with pytest.raises(
        ValueError, match=r"600 of 600 labels of the test labels are no class .* They are text there and"
    ):
        probe(X, y, strengths=[1e-2], test=(T, [str(label) for label in t]))


def test_constant_columns_are_no_obstacle() -> None:
    X, y = drawn()
    X[:, 3], X[:, 5] = 0.0, 1000.0
    for standardize in (False, True):
        result = probe(X, y, strengths=[1e-2], standardize=standardize)
        assert result.model.solution_.gap <= 1e-4
        assert np.abs(result.model.coef_[:, [3, 5]]).max() < 1e-3
        assert result.accuracy.value > 0.7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[0], y), r"X has the shape \(12,\), but embeddings have the shape \(n, d\)"),
        (lambda X, y: (X[:, None, :].repeat(3, 1), y), r"\(600, 3, 12\).*pool the tokens"),
        (lambda X, y: (np.float32(1.0), y), r"X has the shape \(\)"),
        (lambda X, y: (X[:0], y[:0]), r"X has the shape \(0, 12\), so there is nothing to fit"),
        (lambda X, y: (X.astype(object), y), r"X holds object, not floating point numbers; stack the rows"),
        (lambda X, y: (X.astype(complex), y), "X holds complex128"),
        (lambda X, y: (X, y[:-1]), r"X has 600 rows and y 599 labels.*One line too few"),
        (lambda X, y: (X, np.eye(6)[y]), r"y has the shape \(600, 6\).*argmax"),
        (lambda X, y: (X, np.zeros(600, int)), "a probe needs two classes"),
        (lambda X, y: (X, y + 0.5), "y: "),
        (lambda X, y: (X, [None, *y[1:]]), "y: "),
        (lambda X, y: (np.where(np.arange(600)[:, None] == 9, np.nan, X), y), "X holds nan in row 9, column 0; 1 rows"),
        (
            lambda X, y: ((X * 1e6).astype(np.float16), y),
            "holds (-)?inf in row 0, .*float16 has no numbers beyond 65504",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_unusable_arrays_are_named(change: Any, message: str) -> None:
    X, y = drawn()
    with pytest.raises(ValueError, match=message):
        probe(*change(X, y), strengths=[1e-2])


def test_other_unusable_input_is_named() -> None:
    X, y = drawn()
    with pytest.raises(ValueError, match="row 4 of X is zero and has no direction"):
        probe(np.where(np.arange(600)[:, None] == 4, 0, X), y, unit_rows=True)
    with pytest.raises(ValueError, match="the test embeddings has 5 columns and the training embeddings have 12"):
        probe(X, y, test=(X[:, :5], y))
    for options, message in (
        ({"strengths": [1e-2, -1]}, "not positive"),
        ({"strengths": []}, "holds no numbers"),
        ({"strengths": "all"}, "neither 'auto'"),
        ({"holdout": 1.5}, "not a share"),
        ({"folds": 1}, "2 at least"),
        ({"score": "f1"}, "not one of log_loss, accuracy"),
        ({"tol": 0}, "positive number of nats"),
    ):
        with pytest.raises(ValueError, match=message):
            probe(X, y, **options)  # type: ignore[arg-type]


def test_the_model_can_be_saved_and_loaded(tmp_path: Path) -> None:
    X, y = drawn()
    names = np.array(["class " + str(label) for label in y])
    result = probe(X, names, strengths=[1e-2])
    result.model.save(tmp_path / "m.softreg")
    loaded = softreg.load(tmp_path / "m.softreg")
    assert np.array_equal(loaded.predict_proba(X), result.model.predict_proba(X))


def test_files_and_arrays_give_the_same_probe(tmp_path: Path) -> None:
    X, y = drawn()
    np.save(tmp_path / "X.npy", X)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    (tmp_path / "y.txt").write_text("\n".join(map(str, y)))
    expected = probe(X, y, strengths=[1e-2]).model.coef_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(probe(tmp_path / "X.npy", tmp_path / "y.txt", strengths=[1e-2]).model.coef_, expected)
        assert np.array_equal(probe(tmp_path / "data.npz", "y", strengths=[1e-2]).model.coef_, expected)


def test_a_sample_of_the_rows_is_audited_where_classes_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softreg.linear_probe.probe_function.MOST_AUDITED", 6)
    monkeypatch.setattr("softreg.linear_probe.probe_function.LEAST_AUDITED", 50)
    X, y = drawn()
    result = probe(X, y, strengths=[1e-2])
    assert (result.evaluation.rows, result.held_out) == (50, 120)


def test_a_sample_of_float16_rows_is_multiplied_in_float32() -> None:
    from softreg.rows import DenseRows

    X, y = drawn()
    rows = DenseRows(X.astype(np.float16), y, dtype=np.float32)
    assert rows.sample(100, 0).dtype == np.float32
    assert rows.sample(100, 0).blocks[0].X.dtype == np.float32
