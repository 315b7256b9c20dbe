"""Splits of rows: shares of classes, groups and times that stay together, and draws that do not change."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

from softreg.splits import (
    Split,
    sample_rows,
    split_batch,
    split_by_time,
    split_groups,
    split_rows,
    stratified_fold_numbers,
    stratified_folds,
    time_folds,
)


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.floats(0.05, 0.5),
    st.integers(0, 5),
)
def test_the_split_is_a_stratified_partition(counts: list[int], size: float, seed: int) -> None:
    codes = np.random.default_rng(9).permutation(np.repeat(np.arange(len(counts)), counts))
    n = len(codes)
    expected = max(1, round(size * n))
    if expected > n - len(counts):
        with pytest.raises(ValueError, match="must stay for training"):
            split_rows(codes, size, seed)
        return
    train, test = split_rows(codes, size, seed)
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(n))
    assert len(test) == expected
    kept = np.bincount(codes[train], minlength=len(counts))
    assert (kept >= 1).all()
    if min(counts) * (1 - size) >= 2:  # no class runs out of rows: shares are exact up to one row
        share = np.bincount(codes[test], minlength=len(counts))
        assert (np.abs(share - np.array(counts) * expected / n) < 1).all()
    again = split_rows(codes, size, seed)
    assert np.array_equal(again[0], train)
    assert np.array_equal(again[1], test)


def test_shares_by_hand() -> None:
    codes = np.repeat([0, 1, 2], [70, 25, 5])
    _, test = split_rows(codes, 0.2)
    assert np.bincount(codes[test]).tolist() == [14, 5, 1]
    _, test = split_rows(codes, 10)  # 7, 2.5, 0.5: the first of equal remainders gets the row
    assert np.bincount(codes[test], minlength=3).tolist() == [7, 3, 0]


def test_the_seed_chooses_the_rows() -> None:
    codes = np.repeat([0, 1], 50)
    splits = [tuple(split_rows(codes, 0.2, seed)[1]) for seed in range(3)]
    assert len(set(splits)) == 3
    assert splits[0] != tuple(range(10))


def test_a_split_can_be_empty() -> None:
    train, test = split_rows(np.array([0, 1]), 0)
    assert (train.tolist(), test.tolist()) == ([0, 1], [])


@pytest.mark.parametrize("size", [0.0, 1.0, -0.1, 1.5, -3, float("nan"), True])
def test_a_size_that_means_nothing(size: Any) -> None:
    with pytest.raises(ValueError, match="expected a fraction between 0 and 1"):
        split_rows(np.array([0, 0, 1, 1]), size)


def test_split_groups_by_hand() -> None:
    draw = np.random.default_rng(0)
    groups, codes = draw.integers(0, 60, 900), draw.choice(3, 900, p=[0.6, 0.3, 0.1])
    for seed in range(5):
        train, test = split_groups(codes, groups, 0.25, seed)
        assert sorted([*train, *test]) == list(range(900))
        assert not set(groups[train]) & set(groups[test])
        share = np.bincount(codes[test], minlength=3) / np.bincount(codes, minlength=3)
        np.testing.assert_allclose(share, 0.25, atol=0.06)
    np.testing.assert_array_equal(split_groups(codes, groups, 0.25, 4)[1], test)
    assert len(split_groups(codes, np.arange(900), 0.25, 0)[1]) == pytest.approx(225, abs=3)


def test_the_latest_rows_are_held_out_and_ties_stay_together() -> None:
    draw = np.random.default_rng(0)
    for share in (0.05, 0.2, 0.5, 0.95):
        moments = draw.integers(0, 40, 300)
        train, test = split_by_time(moments, share)
        assert moments[train].max() < moments[test].min()
        assert len(train) + len(test) == 300
        assert abs(len(test) / 300 - share) < 0.05
    with pytest.raises(ValueError, match="same time"):
        split_by_time(np.zeros(5, np.int64), 0.2)


def test_folds_expand_and_follow_each_other() -> None:
    draw = np.random.default_rng(1)
    moments = draw.integers(0, 50, 400)
    folds = time_folds(moments)
    assert len(folds) == 5
    for k, (train, test) in enumerate(folds):
        assert moments[train].max() < moments[test].min()
        assert 40 < len(test) < 95
        if k:
            before = np.union1d(*folds[k - 1])
            np.testing.assert_array_equal(before, train)
    assert len(time_folds(np.array([0, 0, 1, 1, 2]))) == 2
    assert len(time_folds(np.repeat([0, 1, 2, 3], [97, 1, 1, 1]), 3)) == 3
    with pytest.raises(ValueError, match="3 folds by time must have at least 4 different times"):
        time_folds(np.array([0, 1, 2]), 3)


def test_folds_spread_every_class() -> None:
    y = np.random.default_rng(0).choice(4, size=203, p=[0.05, 0.15, 0.3, 0.5])
    fold = stratified_fold_numbers(y, 5, seed=1)
    for k in range(4):
        counts = np.bincount(fold[y == k], minlength=5)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("groups", [None, np.arange(90) % 11])
@pytest.mark.parametrize("seed", [None, 3])
def test_stratified_folds_are_those_of_scikit_learn(groups: Any, seed: int | None) -> None:
    y = np.random.default_rng(2).choice(list("abc"), 90)
    shuffle = {} if seed is None else {"shuffle": True, "random_state": seed}
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    expected = kind(4, **shuffle).split(y, y, groups)
    for fold, (train, test) in zip(stratified_folds(y, 4, groups=groups, seed=seed), expected, strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)


def test_folds_of_fractions_are_contiguous() -> None:
    y = np.repeat([0.5, 1.25], 10)
    expected = [test.tolist() for _, test in KFold(5).split(y)]
    assert [fold.test.tolist() for fold in stratified_folds(y)] == expected


def test_the_rows_of_a_seed_do_not_change() -> None:
    """Rows that a stored model or a printed result was made from."""
    random = np.random.default_rng(0)
    y, groups, times = random.integers(0, 4, 200), random.integers(0, 12, 200), random.integers(0, 60, 200)
    drawn = {
        "rows": split_rows(y, 0.2, 1),
        "groups": split_groups(y, groups, 0.2, 1),
        "time": split_by_time(times),
        "batch": split_batch(50, 100, 0.2, 1),
        "fold numbers": stratified_fold_numbers(y, 5, 1),
        "time folds": np.concatenate([fold.test for fold in time_folds(times)]),
        "sample": sample_rows(200, 20, 1),
    }
    found = {name: digest(rows) for name, rows in drawn.items()}
    assert found == DIGESTS


def digest(rows: Any) -> str:
    rows = np.concatenate(rows) if isinstance(rows, Split) else rows
    return sha256(np.asarray(rows, dtype="<i8").tobytes()).hexdigest()[:12]


DIGESTS = {
    "rows": "43b3e132b40a",
    "groups": "878ce50d5fdb",
    "time": "f8ea6ee63c73",
    "batch": "a33d27ff274b",
    "fold numbers": "466f36f69977",
    "time folds": "03bd9926b911",
    "sample": "833ff0934eec",
}
