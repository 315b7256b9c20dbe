"""Audit of the groups of named columns: figures by hand, multiplicity, small groups, dependent and weighted rows."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.probability import score_interval, softmax
from softreg.probability.group_calibration import check_group
from softreg.probability.multiple_testing import false_discovery_rates
from softreg.report import GroupAudit, audit


def sample(n: int = 1500, seed: int = 0, q: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, labels and regions; the probability of the last class is too low in the south."""
    random = np.random.default_rng(seed)
    P = softmax(1.5 * random.normal(size=(n, q)))
    region = random.choice(["north", "south", "west"], size=n)
    truth = softmax(np.log(P) + np.eye(q)[-1] * (region == "south")[:, None])
    y = np.minimum((truth.cumsum(axis=1) < random.random((n, 1))).sum(axis=1), q - 1)
    return P, y, region


def groups_of(*arguments: object, **options: object) -> GroupAudit:
    found = audit(*arguments, **options).group_audit  # type: ignore[arg-type]
    assert found is not None
    return found


def test_the_figures_of_a_group_are_those_of_its_rows() -> None:
    P, y, region = sample()
    result = groups_of(P, y, ["no", "yes"], by={"region": region})
    worst, inside = result.scores[0], region == "south"
    assert (worst.column, worst.name, worst.rows) == ("region", "south", int(inside.sum()))
    assert worst.log_loss == score_interval(-np.log(P[inside]), P[inside], y[inside])
    check = check_group(P[inside], y[inside], seed=1)  # the second group
    assert (worst.p_value, worst.gap, worst.gap_by_chance) == (check.p_value, check.gap, check.gap_by_chance)
    assert (worst.label, worst.predicted) == ("yes", P[inside, 1].mean())
    assert worst.observed.value == (y[inside] == 1).mean()
    assert worst.excess < 0
    assert [score.found for score in result.scores] == [True, False, False]
    expected = false_discovery_rates([score.p_value for score in result.scores])
    assert [score.adjusted for score in result.scores] == expected.tolist()
    assert not result.overlapping
    assert worst.repaired_gap < worst.gap_by_chance < worst.gap.value
    assert worst.repaired_log_loss < worst.log_loss.value


def test_groups_of_several_columns_are_adjusted_for_their_dependence() -> None:
    P, y, region = sample()
    by = {"region": region, "half": np.arange(len(y)) % 2}
    result = groups_of(P, y, ["no", "yes"], by=by)
    assert result.overlapping
    assert result.columns == ("region", "half")
    expected = false_discovery_rates([score.p_value for score in result.scores], dependent=True)
    assert [score.adjusted for score in result.scores] == expected.tolist()


def test_small_groups_are_not_tested_and_missing_values_are_a_group() -> None:
    P, y, region = sample()
    region = region.astype(object)
    region[:40], region[40:60], region[60:75], region[75:80] = None, "isle", "bay", "cape"
    result = groups_of(P, y, ["no", "yes"], by={"region": region})
    rows = {score.name: score for score in result.scores}
    assert rows["(missing)"].rows == 40
    assert rows["(missing)"].tested
    assert rows["(3 rare values)"].rows == 40
    assert rows["(3 rare values)"].tested
    region[40:1500] = "isle"
    few = groups_of(P[:1510], y, ["no", "yes"], by={"region": np.where(np.arange(1500) < 10, "a", "b")})
    assert [score.tested for score in few.scores] == [True, False]
    assert np.isnan(few.scores[-1].p_value)
    assert not few.scores[-1].found
    assert few.tested == 1


def test_many_classes_name_the_class_that_is_off() -> None:
    P, y, region = sample(2000, q=4)
    worst = groups_of(P, y, list("abcd"), by={"region": region}).scores[0]
    assert (worst.name, worst.label) == ("south", "d")


def test_overconfidence_within_a_group_is_named() -> None:
    random = np.random.default_rng(5)
    o = random.normal(size=(3000, 2))
    half = np.arange(3000) % 2
    y = (random.random(3000) < softmax(o)[:, 1]).astype(int)
    P = softmax(o * np.where(half == 1, 3.0, 1.0)[:, None])
    worst = groups_of(P, y, ["no", "yes"], by={"half": half}).scores[0]
    assert (worst.name, worst.found, worst.confidence > 3) == ("1", True, True)


def test_dependent_rows_use_one_row_of_each() -> None:
    P, y, region = sample(300)
    once = groups_of(P, y, ["no", "yes"], by={"region": region})
    copies = [np.repeat(values, 5, axis=0) for values in (P, y, region)]
    person = np.repeat(np.arange(300), 5)
    result = groups_of(*copies[:2], ["no", "yes"], by={"region": copies[2]}, groups=person)
    assert result.overlapping
    for one, many in zip(
        sorted(once.scores, key=lambda s: s.name), sorted(result.scores, key=lambda s: s.name), strict=True
    ):
        assert many.gap.value == pytest.approx(one.gap.value, abs=2e-3)
        assert many.log_loss.high - many.log_loss.low == pytest.approx(one.log_loss.high - one.log_loss.low, rel=0.1)


def test_weights_change_the_log_loss_of_a_group() -> None:
    P, y, region = sample()
    w = np.where(y == 1, 2.0, 1.0)
    result = groups_of(P, y, ["no", "yes"], by={"region": region}, sample_weight=w)
    inside = region == "south"
    loss = -np.log(P[np.arange(len(y)), y])
    south = next(score for score in result.scores if score.name == "south")
    assert south.log_loss.value == pytest.approx(np.average(loss[inside], weights=w[inside]))


def test_without_columns_there_is_no_audit_of_groups() -> None:
    P, y, _ = sample(100)
    assert audit(P, y, ["no", "yes"]).group_audit is None
    with pytest.raises(ValueError, match="'region' of by has 3 values"):
        audit(P, y, ["no", "yes"], by={"region": ["a", "b", "c"]})


@pytest.mark.parametrize("n", [1, 2, 5, 49])
def test_very_few_rows(n: int) -> None:
    P, y, region = sample(n)
    result = groups_of(P, y, ["no", "yes"], by={"region": region})
    assert sum(score.rows for score in result.scores) == n
    assert result.repair is None
    assert all(score.gap.low <= score.gap.value <= score.gap.high for score in result.scores)


def test_labels_of_probability_0() -> None:
    P, y, region = sample(200)
    P[0], y[0] = [1.0, 0.0], 1
    result = groups_of(P, y, ["no", "yes"], by={"region": region})
    hit = next(score for score in result.scores if score.name == region[0])
    assert np.isinf(hit.log_loss.value)
    assert hit.p_value < 0.01
    assert result.repair is None


def test_right_probabilities_are_left_as_they_are() -> None:
    random = np.random.default_rng(9)
    P = softmax(random.normal(size=(1200, 3)))
    y = np.minimum((P.cumsum(axis=1) < random.random((1200, 1))).sum(axis=1), 2)
    result = groups_of(P, y, list("abc"), by={"g": random.choice(list("uvw"), size=1200)})
    assert not result.found
    assert result.repair is not None
    assert result.repair.calibrator.method_ == "none"
    assert result.repair.after == pytest.approx(result.repair.before)
