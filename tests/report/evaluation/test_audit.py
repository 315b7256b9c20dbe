"""The numbers of an audit: by hand, against their definitions, and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softreg.report import Audit, audit, show_rows

P = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.125, 0.75], [0.5, 0.25, 0.25]])
CODES = np.array([0, 1, 2, 1])
CLASSES = ["cat", "chicken", "dog"]


@pytest.fixture
def found() -> Audit:
    return audit(P, CODES, CLASSES)


def test_losses_by_hand(found: Audit) -> None:
    # bits: 1, 1, log2(4/3), 2
    bits = (1 + 1 + math.log2(4 / 3) + 2) / 4
    assert found.log_loss_bits == pytest.approx(bits, abs=1e-15)
    assert found.log_loss == pytest.approx(bits * math.log(2), abs=1e-15)
    assert found.surprisal / math.log(2) == pytest.approx([1, 1, math.log2(4 / 3), 2])
    assert found.label_entropy_bits == pytest.approx(1.5)  # rates 1/4, 1/2, 1/4
    assert found.label_entropy == pytest.approx(1.5 * math.log(2))
    assert found.skill == pytest.approx(1 - bits / 1.5)


def test_decisions_by_hand(found: Audit) -> None:
    assert found.accuracy == 0.75
    assert (found.majority, found.majority_accuracy) == ("chicken", 0.5)
    assert found.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert found.confused_pairs() == [(1, 0, 1)]
    # row sums of squares: (1/4 + 1/16 + 1/16) twice, (1/64 + 1/64 + 1/16), (1/4 + 9/16 + 1/16)
    assert found.brier == pytest.approx((0.375 + 0.375 + 0.09375 + 0.875) / 4)


def test_classes_by_hand(found: Audit) -> None:
    chicken = found.per_class[1]
    assert (chicken.label, chicken.rows, chicken.predicted, chicken.rate) == ("chicken", 2, 1, 0.5)
    assert (chicken.precision, chicken.recall) == (1.0, 0.5)
    assert chicken.mean_probability == pytest.approx((0.25 + 0.5 + 0.125 + 0.25) / 4)
    assert found.per_class[0].precision == 0.5


def test_extreme_rows_come_first_and_ties_keep_their_order(found: Audit) -> None:
    assert found.most_surprising.tolist() == [3, 0, 1, 2]
    assert found.least_surprising.tolist() == [2, 0, 1, 3]
    assert audit(P, CODES, CLASSES, shown=1).most_surprising.tolist() == [3]


def test_given_class_rates_are_the_baseline() -> None:
    found = audit(P, CODES, CLASSES, class_rates=[0.5, 0.25, 0.25])
    assert found.label_entropy_bits == pytest.approx((1 + 2 + 2 + 2) / 4)
    assert (found.majority, found.majority_accuracy) == ("cat", 0.25)
    with pytest.raises(ValueError, match=r"one rate for each of 3 classes; seen: shape \(2,\)"):
        audit(P, CODES, CLASSES, class_rates=[0.5, 0.5])


def test_a_class_never_predicted_or_never_given_has_no_share() -> None:
    found = audit([[0.75, 0.25, 0.0], [0.75, 0.25, 0.0]], [0, 1], ["a", "b", "c"])
    a, b, c = found.per_class
    assert (a.precision, a.recall, b.precision, b.recall) == (0.5, 1.0, None, 0.0)
    assert (c.precision, c.recall, c.rows) == (None, None, 0)


def test_probability_zero_for_the_given_label_is_infinitely_surprising() -> None:
    found = audit([[1.0, 0.0], [0.5, 0.5]], [1, 0], ["a", "b"])
    assert (found.log_loss, found.log_loss_bits, found.skill) == (math.inf, math.inf, -math.inf)
    assert found.surprisal[0] == math.inf
    assert found.most_surprising[0] == 0


def test_one_class_only_leaves_nothing_to_explain() -> None:
    assert audit([[1.0, 0.0]], [0], ["a", "b"]).skill == 0.0
    assert audit([[0.5, 0.5]], [0], ["a", "b"]).skill == -math.inf


def test_class_rates_that_exclude_what_happened() -> None:
    found = audit(P, CODES, CLASSES, class_rates=[1.0, 0.0, 0.0])
    assert (found.label_entropy, found.skill) == (math.inf, 1.0)


def test_the_rates_themselves_have_skill_zero_and_perfection_has_one() -> None:
    codes = np.array([0, 1, 1, 2, 2, 2])
    rates = np.bincount(codes) / 6
    assert audit(np.tile(rates, (6, 1)), codes, CLASSES).skill == pytest.approx(0.0, abs=1e-15)
    assert audit(np.eye(3)[codes], codes, CLASSES).skill == 1.0


@pytest.mark.parametrize(
    ("P", "codes", "classes", "message"),
    [
        (np.zeros((0, 2)), [], ["a", "b"], "at least one"),
        (P, CODES, ["a", "b"], "3 columns, one for each class, but 2 classes are given"),
        (P, CODES[:2], CLASSES, r"4 integers.*int64 of shape \(2,\)"),
        (P, CODES.astype(float), CLASSES, "4 integers.*float64"),
        (P, [0, 1, 3, 0], CLASSES, "between 0 and 2.*row 2 has 3"),
        (P, [0, -1, 0, 0], CLASSES, "row 1 has -1"),
        (P * 0.9, CODES, CLASSES, "row 0"),
    ],
)
def test_what_does_not_fit_is_named(P: np.ndarray, codes: list, classes: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        audit(P, codes, classes)


def test_float32_and_labels_of_any_kind() -> None:
    found = audit(P.astype(np.float32), CODES.astype(np.uint8), np.array([7, 8, 9]))
    assert found.classes == ("7", "8", "9")
    assert found.log_loss == pytest.approx(audit(P, CODES, CLASSES).log_loss, rel=1e-6)


@given(hnp.arrays(float, (12, 4), elements=st.floats(0.01, 1)), st.integers(0, 4**12 - 1))
def test_identities(weights: np.ndarray, number: int) -> None:
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    codes = np.array([number // 4**i % 4 for i in range(12)])
    found = audit(probabilities, codes, "wxyz")
    assert found.log_loss == pytest.approx(found.surprisal.mean())
    assert found.log_loss == pytest.approx(found.log_loss_bits * math.log(2))
    assert found.accuracy == pytest.approx(np.trace(found.confusion) / 12)
    assert found.confusion.sum() == 12
    assert sum(c.mean_probability for c in found.per_class) == pytest.approx(1)
    assert sum(count for _, _, count in found.confused_pairs()) == 12 - np.trace(found.confusion)
    assert found.reliability[0].count.sum() == 12


def test_two_classes_have_a_curve_of_the_second_class_too() -> None:
    curves = audit([[0.9, 0.1], [0.4, 0.6]], [0, 0], ["no", "yes"]).reliability
    assert [curve.name for curve in curves] == ["the predicted label", "yes"]
    assert np.flatnonzero(curves[1].filled).tolist() == [1, 6]
    assert curves[1].observed[[1, 6]].tolist() == [0.0, 0.0]
    assert curves[0].observed[[6, 9]].tolist() == [0.0, 1.0]
    assert len(audit(P, CODES, CLASSES).reliability) == 1


def test_rows_to_show(found: Audit) -> None:
    rows = show_rows(found, [3, 2], numbers=[10, 20, 30, 40], cells=[{"k": "v"}, {"k": "w"}])
    assert [(r.index, r.observed, r.predicted, r.probability) for r in rows] == [
        (40, "chicken", "cat", 0.25),
        (30, "dog", "dog", 0.75),
    ]
    assert rows[0].surprisal_bits == 2.0
    assert rows[1].cells == {"k": "w"}
    with pytest.raises(ValueError, match="cells must have one entry for each of the 2 indices; seen: 1"):
        show_rows(found, [0, 1], cells=[{}])
