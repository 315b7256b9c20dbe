"""Search for groups nobody named: planted groups, level, adjusted p-values, what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.probability import softmax
from softreg.report import search_groups


def table(n: int, seed: int, bias: float, q: int = 2) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Probabilities, labels and columns; rows of women below 30 are off by a bias of the last class."""
    random = np.random.default_rng(seed)
    P = softmax(1.5 * random.normal(size=(n, q)))
    columns = {
        "sex": random.choice(["f", "m"], size=n),
        "age": random.integers(20, 70, size=n),
        "region": random.choice(list("nsw"), size=n),
        "id": np.array([f"row {i}" for i in range(n)]),
    }
    off = (columns["sex"] == "f") & (columns["age"] < 30)
    truth = softmax(np.log(P) + bias * np.eye(q)[-1] * off[:, None])
    y = np.minimum((truth.cumsum(axis=1) < random.random((n, 1))).sum(axis=1), q - 1)
    return P, y, columns


@pytest.mark.parametrize("q", [2, 3])
def test_a_planted_pair_is_found_with_its_direction(q: int) -> None:
    P, y, columns = table(5000, 0, 1.5, q)
    classes = ["no", "maybe", "yes"][-q:] if q == 3 else ["no", "yes"]
    search = search_groups(P, y, columns, classes)
    first = search.found[0]
    assert {column for column, _ in first.conditions} == {"sex", "age"}
    assert ("sex", "f") in first.conditions
    assert first.label == "yes"
    assert first.excess.high < 0
    assert first.z > 4
    assert first.p_value <= 0.002
    assert search.overlapping > 0  # sex, and age, alone
    assert "id" not in search.columns
    assert first == search.best


def test_the_figures_are_those_of_the_rows() -> None:
    P, y, columns = table(3000, 1, 1.2)
    group = search_groups(P, y, {"sex": columns["sex"]}, ["no", "yes"], draws=199).best
    assert group is not None
    inside = columns["sex"] == group.conditions[0][1]
    p = P[inside, 1]
    assert group.rows == inside.sum()
    assert group.predicted == pytest.approx(p.mean())
    assert group.observed.value == pytest.approx((y[inside] == 1).mean())
    assert group.z == pytest.approx(((y[inside] == 1) - p).sum() / np.sqrt((p * (1 - p)).sum()), rel=1e-5)
    assert group.excess.low <= group.predicted - group.observed.value <= group.excess.high


def test_the_level_is_kept_for_all_candidates_together() -> None:
    alarms = [bool(search_groups(*table(600, seed, 0.0), ["no", "yes"], draws=99).found) for seed in range(100)]
    assert sum(alarms) <= 12  # 5 are expected; more than 12 in 0.2% of samples at most


def test_pairs_can_be_left_out_and_seeds_repeat() -> None:
    P, y, columns = table(2000, 2, 1.0)
    alone = search_groups(P, y, columns, ["no", "yes"], pairs=False, draws=199)
    assert alone.candidates == 2 + 5 + 3
    both = [search_groups(P, y, columns, ["no", "yes"], draws=199) for _ in range(2)]
    assert both[0].found == both[1].found
    assert both[0].candidates > alone.candidates


def test_labels_may_be_given_by_name_and_columns_as_a_frame() -> None:
    pl = pytest.importorskip("polars")
    P, y, columns = table(1000, 3, 1.0)
    by_code = search_groups(P, y, columns, ["no", "yes"], draws=199)
    by_name = search_groups(P, np.array(["no", "yes"])[y], pl.DataFrame(columns), draws=199)
    assert by_code.best == by_name.best


def test_without_candidates_nothing_is_found() -> None:
    P, y, columns = table(90, 4, 0.0)
    search = search_groups(P, y, columns, ["no", "yes"])
    assert (search.found, search.best, search.candidates) == ((), None, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": [0, 1]}, "one label for each row|2 labels"),
        ({"columns": {"a": [1, 2]}}, "'a' of columns has 2 values"),
        ({"columns": {}}, "columns has no column"),
        ({"classes": ["no"]}, "classes"),
        ({"P": np.full((100, 2), 0.4)}, "sum"),
    ],
)
def test_bad_input_is_an_error(change: dict[str, object], message: str) -> None:
    P, y, columns = table(100, 5, 0.0)
    arguments = {"P": P, "codes": y, "columns": columns, "classes": ["no", "yes"], **change}
    with pytest.raises(ValueError, match=message):
        search_groups(**arguments)  # type: ignore[arg-type]
