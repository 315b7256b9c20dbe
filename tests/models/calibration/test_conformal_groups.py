"""Prediction sets of groups, classes and weights: the finite-sample statements hold in simulation."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import softreg
from softreg import PredictionSets, softmax
from softreg.models import class_coverage
from softreg.models.conformal.class_clusters import cluster_classes
from softreg.models.conformal.conformal_thresholds import least_rows, make_cells


def drawn(n: int, q: int, random: np.random.Generator, tail: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels of rows; `tail` makes later classes rare. The probabilities are too sure by a half."""
    logits = 2 * random.normal(size=(n, q)) - tail * np.arange(q)
    y = (logits + random.gumbel(size=(n, q))).argmax(axis=1)
    return softmax(1.5 * logits), y


def hits(sets: np.ndarray, y: np.ndarray) -> np.ndarray:
    return sets[np.arange(len(y)), y]


def test_coverage_given_the_calibration_rows_has_the_beta_distribution() -> None:
    shares, few = [], []
    for seed in range(400):
        random = np.random.default_rng(seed)
        P, y = drawn(60 + 4000, 4, random)
        sets = PredictionSets(0.9, empty=True).fit(P[:60], y[:60])
        shares.append(sets.score(P[60:], y[60:]))
        few.append(sets.score(P[60:110], y[60:110]))
    (interval,) = sets.coverage_intervals()
    assert (interval.n_rows, interval.group, interval.pooled) == (60, None, False)
    assert interval.expected == pytest.approx(55 / 61)
    assert interval.lower == pytest.approx(stats.beta.ppf(0.025, 55, 6))
    assert stats.kstest(shares, stats.beta(55, 6).cdf).pvalue > 0.01
    inside = np.mean([interval.lower <= share <= interval.upper for share in shares])
    assert abs(inside - 0.95) < 0.04
    (of_50,) = sets.coverage_intervals(new_rows=50)
    assert of_50.lower < interval.lower
    assert of_50.upper > interval.upper
    assert np.mean([of_50.lower <= share <= of_50.upper for share in few]) > 0.93
    assert interval.upper - interval.lower < of_50.upper - of_50.lower


def test_coverage_of_each_group_and_of_the_pool_of_small_groups() -> None:
    # Groups differ in difficulty. The pool is exact over its rows: groups of exactly `least` rows are in it and have a
    # threshold of their own as well, since one more row would have taken them out.
    rates = np.array([0.5, 0.3, 0.05, 0.05, 0.04, 0.03, 0.03])
    covered = {"a": [0, 0], "b": [0, 0], "pool": [0, 0]}
    for seed in range(1500):
        random = np.random.default_rng(seed)
        group = random.choice(len(rates), p=rates, size=140)
        y = random.integers(2, size=140)
        noise = np.array([0.3, 1.0, 0.2, 3.0, 0.5, 2.0, 1.0])[group] * random.normal(size=140)
        P = softmax(np.stack([1 - y + noise, y - noise], axis=1) * 2)
        sets = PredictionSets(0.8, empty=True).fit(P[:100], y[:100], classes=[0, 1], groups=group[:100])
        inside = hits(sets.predict(P[100:], groups=group[100:]), y[100:])
        own = np.bincount(group[:100], minlength=len(rates)) >= least_rows(0.8)
        for name, rows in (("a", group[100:] == 0), ("b", group[100:] == 1), ("pool", ~own[group[100:]])):
            covered[name][0] += inside[rows].sum()
            covered[name][1] += rows.sum()
    found = {name: good / n for name, (good, n) in covered.items()}
    assert 0.79 < found["a"] < 0.83, found
    assert 0.79 < found["b"] < 0.84, found
    assert 0.78 < found["pool"] < 0.87, found  # at most 0.8 + 1 / (n + 1) with n of about 10 to 20


def test_a_new_group_has_the_threshold_of_the_pool_and_small_ones_share_it() -> None:
    random = np.random.default_rng(0)
    P, y = drawn(230, 3, random)
    groups = np.array(["a"] * 100 + ["b"] * 100 + ["c"] * 9 + ["d"] * 6 + ["e"] * 8 + ["f"] * 7)
    sets = PredictionSets(0.9).fit(P, y, groups=groups)
    assert sets.groups_.tolist() == list("abcdef")
    assert sets.thresholds_.shape == (7, 3)
    assert sets.n_rows_[:, 0].tolist() == [100, 100, 9, 30, 30, 30, 30]
    assert (sets.thresholds_[3] == sets.thresholds_[6]).all()
    assert np.array_equal(sets.predict(P[:5], groups=["new"] * 5), sets.predict(P[:5], groups=["e"] * 5))
    intervals = sets.coverage_intervals()
    assert [(one.group, one.pooled, one.n_rows) for one in intervals] == [
        ("a", False, 100), ("b", False, 100), ("c", False, 9), (None, True, 30),
    ]  # fmt: skip
    alone = PredictionSets(0.9).fit(P[:100], y[:100])
    assert np.array_equal(sets.predict(P, groups=["a"] * 230), alone.predict(P))
    larger = PredictionSets(0.9, min_rows=50).fit(P, y, groups=groups)
    assert larger.n_rows_[:, 0].tolist() == [100, 100, 30, 30, 30, 30, 30]
    none = PredictionSets(0.9).fit(P[:200], y[:200], groups=groups[:200])
    assert none.predict(P[:1], groups=["z"]).all()  # no small group: nothing is known about new ones
    assert none.coverage_intervals()[-1].lower == 1.0


def test_groups_and_classes_together() -> None:
    covered = np.zeros((2, 2, 2))
    for seed in range(150):
        random = np.random.default_rng(seed)
        P, y = drawn(1400, 2, random)
        group = (random.random(1400) < 0.3).astype(int)
        P[group == 1] = P[group == 1] ** 0.2 / (P[group == 1] ** 0.2).sum(axis=1, keepdims=True)
        sets = PredictionSets(0.9, per_class=True, empty=True).fit(P[:400], y[:400], groups=group[:400])
        inside = hits(sets.predict(P[400:], groups=group[400:]), y[400:])
        for g in (0, 1):
            for k in (0, 1):
                rows = (group[400:] == g) & (y[400:] == k)
                covered[g, k] += inside[rows].sum(), rows.sum()
    assert (np.abs(covered[..., 0] / covered[..., 1] - 0.905) < 0.015).all()
    assert [(one.group, one.classes) for one in sets.coverage_intervals()[:4]] == [
        (0, (0,)), (0, (1,)), (1, (0,)), (1, (1,)),
    ]  # fmt: skip


def test_weights_give_coverage_under_covariate_shift() -> None:
    # New rows have x ~ N(1, 1) in place of N(0, 1), so the likelihood ratio is exp(x - 1/2); noise grows with x.
    plain, weighted, by_label = [], [], []
    for seed in range(300):
        random = np.random.default_rng(seed)
        x = np.concatenate([random.normal(size=200), 1 + random.normal(size=100)])
        z = random.normal(size=300)
        y = (z + (0.1 + np.exp(x)) * 0.3 * random.normal(size=300) > 0).astype(int)
        P = softmax(np.stack([-3 * z, 3 * z], axis=1))
        w = np.exp(x - 0.5)
        sets = PredictionSets(0.8, empty=True)
        plain.append(sets.fit(P[:200], y[:200], classes=[0, 1]).score(P[200:], y[200:]))
        sets.fit(P[:200], y[:200], classes=[0, 1], weights=7 * w[:200])
        weighted.append(sets.score(P[200:], y[200:], weights=7 * w[200:]))
        by_label.append(sets.score(P[200:], y[200:], weights=7 * np.stack([w[200:], w[200:]], axis=1)))
    assert np.mean(plain) < 0.78
    assert 0.79 < np.mean(weighted) < 0.825
    assert weighted == by_label


def test_weights_give_coverage_under_label_shift() -> None:
    rates, shifted = np.array([0.8, 0.2]), np.array([0.3, 0.7])
    found = []
    for seed in range(300):
        random = np.random.default_rng(seed)
        y = np.concatenate([random.choice(2, p=rates, size=200), random.choice(2, p=shifted, size=100)])
        z = (2 * y - 1) + random.normal(size=300)
        P = softmax(np.stack([-z, z - 1.4], axis=1))
        w = shifted / rates
        sets = PredictionSets(0.9, empty=True).fit(P[:200], y[:200], classes=[0, 1], weights=w[y[:200]])
        found.append(sets.score(P[200:], y[200:], weights=np.tile(w, (100, 1))))
    assert 0.89 < np.mean(found) < 0.925


def test_equal_weights_are_no_weights_and_a_heavy_row_is_in_doubt() -> None:
    P, y = drawn(150, 3, np.random.default_rng(0))
    for score in ("probability", "cumulative"):
        for options in ({}, {"per_class": True}, {"per_class": True, "interpolation": 0.5}):
            one = PredictionSets(0.8, conformity_score=score, **options).fit(P, y)
            other = PredictionSets(0.8, conformity_score=score, **options).fit(P, y, weights=np.full(150, 0.3))
            assert np.array_equal(one.predict(P), other.predict(P, weights=np.full(150, 0.3)))
            assert np.allclose(one.thresholds_, other.thresholds_)
    heavy = np.full(150, 0.3)
    heavy[4] = 1000.0
    assert other.fit(P, y, weights=np.ones(150)).predict(P, weights=heavy)[4].all()
    with pytest.raises(ValueError, match="with weights is not known"):
        other.coverage_intervals()


def test_prevalence_scores_raise_macro_coverage_and_interpolation_goes_from_one_to_the_other() -> None:
    random = np.random.default_rng(0)
    P, y = drawn(9000, 12, random, tail=0.35)
    rates = (np.bincount(y[6000:], minlength=12) + 1) / (3000 + 12)
    fit, new = slice(0, 3000), slice(3000, 6000)

    def macro(score: str = "probability", **options: object) -> tuple[float, float, float]:
        given = {"prevalence": rates} if score == "prevalence" else {}
        sets = PredictionSets(0.8, conformity_score=score, empty=True, **options).fit(
            P[fit], y[fit], range(12), **given
        )
        inside = sets.predict(P[new])
        return (
            float(hits(inside, y[new]).mean()),
            float(np.nanmean(class_coverage(inside, y[new]))),
            inside.sum() / 3000,
        )

    plain, adjusted, own = macro(), macro("prevalence"), macro(per_class=True)
    assert abs(plain[0] - 0.8) < 0.02
    assert abs(adjusted[0] - 0.8) < 0.02
    assert plain[1] < adjusted[1] - 0.05
    assert macro(per_class=True, interpolation=0.0) == plain
    steps = [macro(per_class=True, interpolation=share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert steps[-1] == own
    assert np.all(np.diff([macro_coverage for _, macro_coverage, _ in steps]) > 0)
    assert steps[0][2] < steps[-1][2]
    assert all(share > 0.78 for share, _, _ in steps)
    for share in (0.25, 0.5):  # the sets hold the intersection of those at both ends
        between = PredictionSets(0.8, per_class=True, interpolation=share, empty=True).fit(P[fit], y[fit], range(12))
        ends = [
            PredictionSets(0.8, per_class=True, interpolation=end, empty=True)
            .fit(P[fit], y[fit], range(12))
            .predict(P[new])
            for end in (0.0, 1.0)
        ]
        assert (between.predict(P[new]) >= (ends[0] & ends[1])).all()


def test_class_groups_share_a_threshold_and_rare_classes_pool_theirs() -> None:
    random = np.random.default_rng(1)
    P, y = drawn(3000, 8, random, tail=0.6)
    named = PredictionSets(0.9, class_groups=list("aabbbccc")).fit(P[:1000], y[:1000], range(8))
    assert named.class_groups_.tolist() == [0, 0, 1, 1, 1, 2, 2, 2]
    assert len({float(t) for t in named.thresholds_}) == 3
    assert named.n_rows_[3] == np.isin(y[:1000], [2, 3, 4]).sum()
    assert [one.classes for one in named.coverage_intervals()] == [(0, 1), (2, 3, 4), (5, 6, 7)]
    own = PredictionSets(0.9, class_groups=range(8)).fit(P[:1000], y[:1000], range(8))
    assert np.array_equal(
        own.predict(P), PredictionSets(0.9, per_class=True).fit(P[:1000], y[:1000], range(8)).predict(P)
    )
    small = y[:1000]
    include = PredictionSets(0.95, per_class=True).fit(P[:300], small[:300], range(8))
    pool = PredictionSets(0.95, per_class=True, rare_classes="pool").fit(P[:300], small[:300], range(8))
    rare = np.bincount(small[:300], minlength=8) < 19
    assert rare.sum() >= 2
    assert np.isinf(include.thresholds_[rare]).all()
    assert np.isfinite(pool.thresholds_[rare]).all()
    assert np.array_equal(include.thresholds_[~rare], pool.thresholds_[~rare])
    assert pool.predict(P).sum() < include.predict(P).sum()


def test_rows_of_pooled_classes_are_covered() -> None:
    good = n = promised = 0
    for seed in range(800):
        random = np.random.default_rng(seed)
        P, y = drawn(400, 8, random, tail=0.8)
        sets = PredictionSets(0.8, per_class=True, rare_classes="pool", empty=True).fit(P[:120], y[:120], range(8))
        pooled = (np.bincount(y[:120], minlength=8) < 4)[y[120:]]
        good += hits(sets.predict(P[120:]), y[120:])[pooled].sum()
        n += pooled.sum()
        promised += pooled.sum() * sets.coverage_intervals()[-1].expected
    assert sets.coverage_intervals()[-1].pooled
    assert 0.8 < promised / n < 0.91
    assert good / n == pytest.approx(promised / n, abs=0.015)


def test_clusters_are_those_of_similar_scores_and_cover() -> None:
    # Classes 0 to 19 are easy and 20 to 39 are hard; per-class thresholds of 25 rows would be noisy.
    covered, sizes = np.zeros((2, 2)), []
    hard = np.arange(40) >= 20
    for seed in range(20):
        random = np.random.default_rng(seed)
        y = random.integers(40, size=4000)
        logits = random.normal(size=(4000, 40))
        logits[np.arange(4000), y] += np.where(hard[y], 2.0, 6.0)
        P = softmax(logits)
        sets = PredictionSets(0.9, class_groups="cluster", empty=True, seed=seed).fit(P[:1600], y[:1600])
        inside = sets.predict(P[1600:])
        for j, part in enumerate((~hard, hard)):
            rows = part[y[1600:]]
            covered[j] += hits(inside, y[1600:])[rows].sum(), rows.sum()
        sizes.append(inside.sum(axis=1).mean())
        assert len({frozenset(sets.class_groups_[part]) for part in (hard, ~hard)}) == 2
    share = covered[:, 0] / covered[:, 1]
    assert (np.abs(share - 0.905) < 0.03).all(), share
    with pytest.raises(ValueError, match="class_groups='clusters' must be a group for each class, or 'cluster'"):
        PredictionSets(class_groups="clusters").fit(P, y)


def test_clusters_of_few_rows_are_one_group() -> None:
    group, rest = cluster_classes(np.arange(6.0), np.array([0, 0, 1, 1, 2, 2]), 3, 0.9, 0)
    assert group.tolist() == [0, 0, 0]
    assert rest.tolist() == list(range(6))


def test_the_cells_by_hand() -> None:
    cells = make_cells(
        np.array([0, 0, 0, 1, 1, 2]), np.zeros(6, dtype=int), (3, 1), least=2, pool_groups=True, pool_classes=False
    )
    assert cells.table.ravel().tolist() == [0, 1, 3, 3]
    assert cells.n_rows.tolist() == [3, 2, 1, 3]  # group 1 has just enough rows, and is in the pool as well
    assert sorted(cells.rows[-3:].tolist()) == [3, 4, 5]
    assert [least_rows(level) for level in (0.5, 0.8, 0.9, 0.95, 0.99)] == [1, 4, 9, 19, 99]


@pytest.mark.parametrize("score", ["probability", "cumulative", "prevalence"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_blocks_and_iterators_give_what_the_whole_gives(
    score: str, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    P, y = drawn(203, 4, np.random.default_rng(3))
    P = P.astype(dtype)
    given = {"prevalence": [0.4, 0.3, 0.2, 0.1]} if score == "prevalence" else {}
    whole = PredictionSets(0.8, conformity_score=score).fit(P, y, **given)
    expected, labels = whole.predict(P), whole.predict_labels(P)
    monkeypatch.setattr("softreg.models.conformal.conformal_inputs.BLOCK", 40)
    blocks = PredictionSets(0.8, conformity_score=score).fit(P, y, **given)
    yielded = PredictionSets(0.8, conformity_score=score).fit((P[k : k + 7] for k in range(0, 203, 7)), y, **given)
    for sets in (blocks, yielded):
        assert np.array_equal(sets.thresholds_, whole.thresholds_)
        assert np.array_equal(sets.predict(P), expected)
        assert sets.predict_labels(P) == labels
        assert sets.score(P, y) == whole.score(P, y)
    broken = P.copy()
    broken[201, 0] += 0.5
    with pytest.raises(ValueError, match="row 201 of P"):
        blocks.predict(broken)
    with pytest.raises(ValueError, match="block 1 of P"):
        blocks.fit(iter([P[:150], broken[150:]]), y, **given)


def test_memory_of_many_classes_is_that_of_a_block(tmp_path: Path) -> None:
    n, q = 1500, 8000
    P = np.lib.format.open_memmap(tmp_path / "P.npy", mode="w+", dtype=np.float32, shape=(n, q))
    random = np.random.default_rng(0)
    y = random.integers(q, size=n)
    for k in range(0, n, 100):
        logits = random.normal(size=(100, q)).astype(np.float32)
        logits[np.arange(100), y[k : k + 100]] += 8
        P[k : k + 100] = softmax(logits)
    tracemalloc.start()
    sets = PredictionSets(0.9).fit(P, y, classes=range(q))
    found = sets.predict_labels(P)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.mean([label in row for label, row in zip(y, found, strict=True)]) == pytest.approx(sets.score(P, y))
    assert peak < 0.9 * n * q * 8  # a float64 copy of all rows has 96 MB


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "options",
    [{}, {"per_class": True, "rare_classes": "pool"}, {"class_groups": "cluster"},
     {"class_groups": ["x", "y", "x"], "interpolation": 0.3}, {"conformity_score": "prevalence", "per_class": True}],
)  # fmt: skip
def test_sets_are_saved_and_loaded(tmp_path: Path, options: dict, weighted: bool) -> None:
    P, y = drawn(300, 3, np.random.default_rng(5), tail=2.0)
    names, groups = np.array(["ä", "b", "c"]), np.arange(300) % 50 % 7
    weights = np.random.default_rng(6).random(300) if weighted else None
    given = {"prevalence": [5, 3, 2]} if options.get("conformity_score") else {}
    sets = PredictionSets(0.95, **options).fit(P, names[y], names, groups=groups, weights=weights, **given)
    sets.save(tmp_path / "sets.softreg")
    again = softreg.load(tmp_path / "sets.softreg")
    assert np.array_equal(
        again.predict(P, groups=groups, weights=weights), sets.predict(P, groups=groups, weights=weights)
    )
    half = P.astype(np.float16)
    assert again.predict_labels(half, groups=groups + 3, weights=weights) == sets.predict_labels(
        half, groups=groups + 3, weights=weights
    )
    assert np.array_equal(again.thresholds_, sets.thresholds_)
    assert again.classes_.tolist() == names.tolist()
    assert again.groups_.tolist() == sets.groups_.tolist()
    assert again.get_params()["level"] == 0.95
    if not weighted and options.get("interpolation", 1) == 1:
        assert again.coverage_intervals() == sets.coverage_intervals()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    P, y = drawn(60, 3, np.random.default_rng(5))
    arrays, metadata = softreg.models.conformal.sets_state.sets_to_state(PredictionSets().fit(P, y))
    for broken in ({**arrays, "own_table": arrays["own_table"] + 9}, {**arrays, "class_groups": np.array([0, 0])},
                   {**arrays, "values0": np.array([1.0])}, {**arrays, "own_table": np.array([[0.5]])}):  # fmt: skip
        with pytest.raises(ValueError, match=r"fit|integers"):
            PredictionSets.from_state(broken, metadata)
    with pytest.raises(ValueError, match="level=7"):
        PredictionSets.from_state(arrays, {**metadata, "parameters": {**metadata["parameters"], "level": 7}})


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [({"interpolation": 1.5}, {}, "interpolation=1.5 must be between"),
     ({"min_rows": -1}, {}, "min_rows=-1 must be an integer"),
     ({"rare_classes": "drop"}, {}, "rare_classes='drop' is not one of include, pool"),
     ({"per_class": True, "class_groups": [0, 1]}, {}, "leave out per_class or class_groups"),
     ({"class_groups": [0, 1, 2]}, {}, "class_groups has 3 groups, but there are 2 classes"),
     ({"conformity_score": "prevalence"}, {}, "needs prevalence=: the rates of the rows"),
     ({"conformity_score": "prevalence"}, {"prevalence": [1.0, 0.0]}, "prevalence of the class 1 is 0.0"),
     ({"conformity_score": "prevalence"}, {"prevalence": [1.0]}, "prevalence has shape"),
     ({}, {"prevalence": [0.5, 0.5]}, "is used by conformity_score='prevalence'"),
     ({}, {"weights": [1.0, -1.0]}, "weight of row 1 is -1.0"),
     ({}, {"weights": [0.0, 0.0]}, "all weights are 0"),
     ({}, {"weights": ["a", "b"]}, "weights must be numbers"),
     ({}, {"weights": [1.0]}, "weights has shape"),
     ({}, {"groups": ["a", None]}, "groups"),
     ({}, {"groups": ["a"]}, "groups has 1 values and P has 2 rows")],
)  # fmt: skip
def test_what_does_not_fit_is_named(options: dict, given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PredictionSets(**options).fit([[0.5, 0.5], [0.2, 0.8]], [0, 1], **given)


def test_groups_and_weights_are_given_to_both_or_none() -> None:
    P, y = drawn(30, 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="fitted without groups and are predicted with"):
        PredictionSets().fit(P, y).predict(P, groups=y)
    with pytest.raises(ValueError, match="fitted with groups and are predicted without"):
        PredictionSets().fit(P, y, groups=y).predict(P)
    with pytest.raises(ValueError, match="fitted with weights and are predicted without"):
        PredictionSets().fit(P, y, weights=np.ones(30)).predict(P)
    with pytest.raises(ValueError, match="fitted without weights and are predicted with"):
        PredictionSets().fit(P, y).predict(P, weights=np.ones(30))
    with pytest.raises(ValueError, match="weights has shape"):
        PredictionSets().fit(P, y, weights=np.ones(30)).predict(P, weights=np.ones(29))
    assert PredictionSets().fit(P, y).predict(np.empty((0, 2))).shape == (0, 2)
    assert math.isnan(class_coverage(np.ones((1, 2), dtype=bool), [0])[1])
