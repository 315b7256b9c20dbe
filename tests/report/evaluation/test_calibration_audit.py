"""The deeper half of an audit: intervals, the calibration gap, ranking."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import top_k_accuracy_score

from softreg.models.calibration.temperature import fit_scaling, log_probabilities
from softreg.probability import log_loss, softmax
from softreg.report import audit


def draws(seed: int, n: int, q: int, scale: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    o = random.normal(scale=scale, size=(n, q))
    codes = (softmax(o).cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    return o, np.minimum(codes, q - 1)


def test_the_gap_is_what_calibration_costs() -> None:
    o, y = draws(0, 4000, 5)
    good, sure = audit(softmax(o), y, "abcde"), audit(softmax(2 * o), y, "abcde")
    lost = sure.log_loss - good.log_loss  # known, since these probabilities were made
    assert sure.calibration.gap.low <= lost <= sure.calibration.gap.high
    assert sure.calibration.gap.value == pytest.approx(lost, abs=0.003)
    assert sure.calibration.refinement == pytest.approx(good.log_loss, abs=0.003)
    assert sure.calibration.brier_gap.value == pytest.approx(sure.brier - good.brier, abs=0.003)
    assert abs(good.calibration.gap.value) < 0.002
    assert good.calibration.gap.low <= 0
    assert good.calibration.calibrated
    assert not sure.calibration.calibrated


def test_values_are_those_of_the_audit_and_lie_in_their_intervals() -> None:
    o, y = draws(1, 500, 3)
    found = audit(softmax(o), y, "abc")
    for name in ("log_loss", "brier", "accuracy", "skill"):
        figure = getattr(found.calibration, name)
        assert figure.value == pytest.approx(getattr(found, name))
        assert figure.low < figure.value < figure.high
    assert found.calibration.gap.value + found.calibration.refinement == pytest.approx(found.log_loss)


def test_intervals_of_skill_hold_the_skill_of_the_population() -> None:
    o, y = draws(99, 200_000, 3)
    truth = audit(softmax(o), y, "abc").skill
    held = 0
    for seed in range(60):
        o, y = draws(seed, 300, 3)
        skill = audit(softmax(o), y, "abc").calibration.skill
        held += skill.low <= truth <= skill.high
    assert held >= 52


def test_ranking_and_top_k_are_those_of_scikit_learn() -> None:
    o, y = draws(2, 300, 4)
    found = audit(softmax(o), y, "abcd")
    assert found.top_k == pytest.approx([top_k_accuracy_score(y, o, k=k) for k in (1, 2, 3)] + [1.0])
    P = softmax(o)  # the area by its meaning: how often a row of the class gets more than another
    for k in range(4):
        of, others = P[y == k, k], P[y != k, k]
        assert found.ranking.auc[k] == pytest.approx(np.mean(of[:, None] > others[None, :]))
    assert found.ranking.mean_auc == pytest.approx(found.ranking.auc.mean())


def test_a_class_without_rows_has_no_rank() -> None:
    found = audit([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], [0, 1], "abc")
    assert found.ranking.auc[:2].tolist() == [1.0, 1.0]
    assert np.isnan(found.ranking.auc[2])
    assert found.ranking.mean_auc == 1.0
    assert np.isnan(audit([[1.0, 0.0]], [0], "ab").ranking.mean_auc)


def test_one_row_and_an_impossible_label() -> None:
    one = audit([[0.5, 0.5]], [0], "ab").calibration
    assert one.log_loss.value == pytest.approx(np.log(2))
    assert (one.log_loss.low, one.log_loss.high) == (0.0, np.inf)  # one row says nothing of others
    wrong = audit([[1.0, 0.0], [0.5, 0.5]] * 10, [1, 0] * 10, "ab").calibration
    assert wrong.log_loss.value == wrong.gap.value == np.inf
    assert wrong.skill.value == -np.inf
    assert np.isfinite(wrong.refinement)


def test_scaling_has_no_gradient_at_its_optimum() -> None:
    o, y = draws(5, 400, 3)
    L, _ = log_probabilities(softmax(2 * o))
    fitted = fit_scaling(L, y, shared=False, strength=0.01)
    value = np.concatenate([fitted.scale, fitted.bias])

    def objective(theta: np.ndarray) -> float:
        start = np.array([1.0, 1, 1, 0, 0, 0])
        return log_loss(softmax(L * theta[:3] + theta[3:]), y) + 0.005 * ((theta - start) ** 2).sum()

    for j in range(6):
        e = 1e-5 * np.eye(6)[j]
        assert (objective(value + e) - objective(value - e)) / 2e-5 == pytest.approx(0, abs=1e-6)
