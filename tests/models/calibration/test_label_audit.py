"""The label audit: finds what was flipped, counts it by pairs, and leaves good labels alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold

from softreg import SoftmaxRegression, label_audit
from softreg.probability import entropy, softmax


def out_of_fold(X: np.ndarray, y: np.ndarray, strength: float, seed: int = 0) -> np.ndarray:
    P = np.zeros((len(y), len(np.unique(y))))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y):
        P[test] = SoftmaxRegression(strength=strength, tol=1e-5).fit(X[train], y[train]).predict_proba(X[test])
    return P


def rings(n: int = 3000, q: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes around a circle, well apart but for some rows."""
    random = np.random.default_rng(seed)
    y = random.integers(q, size=n)
    angle = 2 * np.pi * y / q
    return np.column_stack([np.cos(angle), np.sin(angle)]) * 2.5 + random.normal(size=(n, 2)), y


@pytest.mark.slow
def test_flipped_digits_of_mnist_come_first(data_folder: Path) -> None:
    with np.load(data_folder / "mnist.npz") as file:
        X, truth = file["x_train"].reshape(60_000, -1).astype(np.float32) / 255, file["y_train"].astype(int)
    random = np.random.default_rng(0)
    flipped = random.choice(60_000, 600, replace=False)
    y = truth.copy()
    y[flipped] = (truth[flipped] + random.integers(1, 10, 600)) % 10
    P = out_of_fold(X, y, 1.7e-4)
    found, wrong = label_audit(P, y), y != truth
    surprise = average_precision_score(wrong, found.surprisal)
    margin = average_precision_score(wrong, found.margin)  # what cleanlab calls the normalised margin, reversed
    less_entropy = average_precision_score(wrong, found.surprisal - entropy(P))
    ours = average_precision_score(wrong, -place(found.order))
    print(
        f"average precision {ours:.3f}; surprisal {surprise:.3f}, minus entropy {less_entropy:.3f}, margin {margin:.3f}"
    )
    assert ours >= 0.78
    assert ours > max(surprise, margin, less_entropy) + 0.05
    assert found.expected_wrong == pytest.approx(600, rel=0.2)
    assert found.second_opinion


def place(order: np.ndarray) -> np.ndarray:
    """The place of each row in an order."""
    at = np.empty(len(order))
    at[order] = np.arange(len(order))
    return at


def test_flips_between_one_pair_are_counted_there_and_found() -> None:
    X, truth = rings()
    random = np.random.default_rng(1)
    y = truth.copy()
    y[(truth == 0) & (random.random(len(y)) < 0.06)] = 1
    found = label_audit(out_of_fold(X, y, 1e-3), y)
    flips = int((y != truth).sum())
    assert found.noise[0, 1] == pytest.approx(flips, rel=0.35)
    assert found.noise.sum() - found.noise[0, 1] < 0.35 * flips
    ours = average_precision_score(y != truth, -place(found.order))
    assert ours > average_precision_score(y != truth, found.surprisal)
    top = found.order[: flips // 2]
    assert np.mean(found.suggested[top] == truth[top]) > 0.9
    assert found.suspicion[top].mean() > 0.7


def test_good_labels_are_left_alone() -> None:
    X, y = rings(seed=4)
    found = label_audit(out_of_fold(X, y, 1e-3), y)
    assert found.expected_wrong < 0.02 * len(y)
    assert (found.suspicion > 0.5).sum() < 0.01 * len(y)


def test_figures_of_a_row_are_what_they_say() -> None:
    P = np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875], [0.25, 0.75]])
    found = label_audit(P, ["a", "a", "a", "b"])
    assert found.surprisal == pytest.approx(-np.log([0.75, 0.5, 0.125, 0.75]))
    assert found.margin == pytest.approx([-0.5, 0.0, 0.75, -0.5])
    assert not found.second_opinion
    assert found.order[0] == 2
    assert found.rank.tolist() == [3, 2, 1, 1]
    assert found.suggested.tolist() == [1, 1, 1, 0]


def test_the_frame_holds_the_most_suspicious_rows_first() -> None:
    X, y = rings(300)
    names = np.array(["ham", "spam", "other"])[y]
    found = label_audit(out_of_fold(X, y, 1e-3), names, classes=["ham", "spam", "other"])
    table = found.frame(10)
    assert table.num_rows == 10
    assert table.column_names == ["row", "given", "suggested", "suspicion", "surprisal", "margin", "rank_in_class"]
    assert table["row"].to_pylist() == found.order[:10].tolist()
    assert table["given"].to_pylist() == names[found.order[:10]].tolist()
    assert (np.diff(table["suspicion"].to_pylist()) <= 0).all()
    assert found.frame().num_rows == 300


def test_the_order_of_classes_and_rows_does_not_matter() -> None:
    random = np.random.default_rng(2)
    P, y = softmax(2 * random.normal(size=(200, 3))), random.integers(3, size=200)
    one = label_audit(P, y, second_opinion=False)
    turned, rows = [2, 0, 1], random.permutation(200)
    other = label_audit(P[rows][:, turned], np.argsort(turned)[y][rows], second_opinion=False)
    assert other.suspicion == pytest.approx(one.suspicion[rows])
    assert other.noise == pytest.approx(one.noise[np.ix_(turned, turned)])


def test_a_second_opinion_sees_what_a_line_does_not() -> None:
    random = np.random.default_rng(3)
    X = random.normal(size=(4000, 2))
    truth = (np.hypot(*X.T) > 1.2).astype(int)  # a disc: a linear model is at a loss
    y = np.where(random.random(4000) < 0.02, 1 - truth, truth)
    P = softmax(np.column_stack([X[:, 0], X[:, 1]]))  # knows the coordinates, not the classes
    assert label_audit(P, y).second_opinion
    assert not label_audit(P, y, second_opinion=False).second_opinion


def test_impossible_labels_and_lengths() -> None:
    found = label_audit([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], [1, 0, 1])
    assert found.surprisal[0] == np.inf
    assert found.order[0] == 0
    assert np.isfinite(found.suspicion).all()
    with pytest.raises(ValueError, match="P has 1 rows and y has 2 labels"):
        label_audit([[0.5, 0.5]], [0, 1])
