"""E-processes: likelihood ratios whose mean under the probabilities is at most 1, and what they detect."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from softreg.monitor.betting import BLOCK, MAX_FULL_CLASSES, WINDOWS, Learners, place_bets, update_learners
from softreg.monitor.e_process import EProcess, remaining_stake
from softreg.probability import softmax

from .streams import draw, stream


def trained(classes: int, rows: int = 20 * BLOCK, change: str = "temperature") -> EProcess:
    """An e-process that has learned from rows with wrong probabilities."""
    process = EProcess.start(1, classes)
    P, codes = stream(1, rows, change, classes)
    for start in range(0, rows, BLOCK):
        process.advance(P[None, start : start + BLOCK], codes[None, start : start + BLOCK])
    return process


@pytest.mark.parametrize("classes", [2, 3, MAX_FULL_CLASSES + 3])
@pytest.mark.parametrize("sharpness", [0.1, 2.0, 200.0])
def test_the_mean_ratio_of_every_bet_is_at_most_one(classes: int, sharpness: float) -> None:
    learners = trained(classes).learners
    assert np.abs(learners.temperature).max() > 0.05, "they bet"
    P = softmax(sharpness * np.random.default_rng(0).normal(size=(1, 5, classes)))
    joint, by_class = np.zeros((4, len(WINDOWS), 5)), np.zeros((len(WINDOWS), 5, classes))
    for k in range(classes):
        bets = place_bets(learners, P, np.full((1, 5), k))
        joint += P[0, :, k] * np.exp(bets.joint[0])
        by_class += P[0, :, k, None] * np.exp(bets.by_class[0])
    assert joint.max() <= 1 + 1e-9
    assert by_class.max() <= 1 + 1e-9
    if sharpness < 100:  # no probability is limited
        assert joint.min() >= 1 - 1e-9
        assert by_class.min() >= 1 - 1e-9


def test_the_mean_of_the_process_over_all_sequences_of_labels_is_one() -> None:
    P = softmax(np.random.default_rng(3).normal(size=(1, 6, 2)))
    process, mean, class_mean = trained(2), 0.0, np.zeros(2)
    before = process.advance(P[:, :0], np.zeros((1, 0), dtype=np.int64))
    assert before.overall.shape == (1, 0)
    for labels in itertools.product((0, 1), repeat=6):
        codes = np.array([labels])
        probability = np.take_along_axis(P, codes[..., None], axis=-1).prod()
        values = process.advance(P, codes)
        mean += probability * np.exp(values.overall[0, -1])
        class_mean += probability * np.exp(values.by_class[0, -1])
    at_start = process.wealth
    stake = np.exp(np.concatenate([at_start.joint.ravel(), at_start.by_class.ravel()]))
    assert stake.sum() > 1, "earlier rows were wrong, so that the process stands high"
    expected = 0.5 * (np.exp(at_start.joint).mean() + np.exp(at_start.by_class).mean()) + remaining_stake(process.block)
    assert mean == pytest.approx(expected, rel=1e-9)
    expected_class = np.exp(at_start.by_class[0]).mean(axis=0) + remaining_stake(process.block)
    np.testing.assert_allclose(class_mean, expected_class, rtol=1e-9)


def test_the_stakes_sum_to_at_most_one() -> None:
    left = np.array([remaining_stake(block) for block in range(5000)])
    assert left[0] == 1
    assert (np.diff(left) < 0).all()
    assert left.min() > 0


def test_right_probabilities_raise_few_alarms() -> None:
    random, streams, classes = np.random.default_rng(0), 300, 3
    process, highest = EProcess.start(streams, classes), np.zeros(streams)
    for _ in range(120):
        P = softmax(2 * random.normal(size=(streams, BLOCK, classes)))
        highest = np.maximum(highest, process.advance(P, draw(random, P)).overall.max(axis=1))
    alarms = (highest >= np.log(20)).mean()
    assert alarms <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / streams)
    assert (highest > np.log(2)).mean() > 0.03, "the test has not given up"


def test_an_incomplete_block_changes_nothing() -> None:
    process = trained(3)
    before = process.to_state()
    P, codes = stream(5, BLOCK - 1)
    process.advance(P[None], codes[None])
    assert process.to_state() == before
    P, codes = stream(5, BLOCK)
    process.advance(P[None], codes[None])
    assert process.to_state() != before


@pytest.mark.parametrize("classes", [3, MAX_FULL_CLASSES + 8])
def test_the_learners_find_the_change(classes: int) -> None:
    random = np.random.default_rng(0)
    learners, shift = Learners.start(1, classes), np.log(4) * (np.arange(classes) == 1)
    for _ in range(250):
        logits = random.normal(size=(1, BLOCK, classes))
        bets = place_bets(learners, softmax(logits), draw(random, softmax(logits + shift)))
        update_learners(learners, bets)
    found = learners.rates[0, -1]  # the longest memory
    assert found[1] - np.delete(found, 1).mean() == pytest.approx(np.log(4), abs=0.25)


def test_one_improbable_label_moves_the_bets_little() -> None:
    learners = Learners.start(1, 2)
    P = np.tile([1 - 1e-9, 1e-9], (1, BLOCK, 1))
    codes = np.zeros((1, BLOCK), dtype=np.int64)
    codes[0, 3] = 1
    update_learners(learners, place_bets(learners, P, codes))
    assert np.abs(learners.temperature).max() < 1.01
    assert np.abs(learners.slope).max() < 1.01
