"""Faults of row weights: formatted numbers, batches, large scales, classes of small weight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from softreg.tables import TableClassifier

from .helpers import label, predicted, run, run_successfully

STRENGTH = ["--target", "y", "--strength", "0.01", "--quiet"]


def mixed_table(path: Path) -> Path:
    """Numbers with thousands and percent signs, booleans, missing values of each, weights with zeros."""
    amounts, shares, members = ["1,234.5", "7", "22", "1,000"], ["5%", "12%", "?", "7%"], ["yes", "no", ""]
    lines = [
        f'"{amounts[i % 4]}",{shares[i % 4]},{members[i % 3]},{i % 5 if i % 7 else ""},{i % 4},{label(i)}'
        for i in range(120)
    ]
    path.write_text("\n".join(["amount,share,member,age,weight,y", *lines]) + "\n")
    return path


def test_fault_weights_of_a_table_with_formatted_numbers(tmp_path: Path) -> None:
    data = mixed_table(tmp_path / "mixed.csv")
    result = run_successfully("train", data, *STRENGTH, "--weights", "weight")
    assert "between thousands" in result.stderr


@pytest.mark.parametrize("features", ["age", "member,age", "amount,share,member,age"])
def test_fault_weights_in_batches_are_those_of_a_table_in_memory(features: str, tmp_path: Path) -> None:
    data, model = mixed_table(tmp_path / "mixed.csv"), tmp_path / "m.softreg"
    found = []
    for memory in ("low", "high"):
        options = ["--weights", "weight", "--features", features, "--memory", memory, "--test", data]
        run_successfully("train", data, *STRENGTH, *options, "--model", model)
        found.append(predicted(model, data))
    assert np.allclose(*found, rtol=0, atol=1e-9)


def test_fault_weights_in_batches_are_copies_of_rows(tmp_path: Path) -> None:
    frame = pd.read_csv(mixed_table(tmp_path / "mixed.csv"))[["age", "member", "weight", "y"]]
    frame.to_csv(tmp_path / "weighted.csv", index=False)
    copies = frame.loc[frame.index.repeat(frame.weight)].drop(columns="weight")
    copies.to_csv(tmp_path / "copies.csv", index=False)
    weighted = TableClassifier("y", strength=0.01).fit(
        str(tmp_path / "weighted.csv"), sample_weight="weight", memory="low"
    )
    copied = TableClassifier("y", strength=0.01).fit(str(tmp_path / "copies.csv"), memory="low")
    assert np.allclose(weighted.predict_proba(copies), copied.predict_proba(copies), rtol=0, atol=1e-9)


def test_fault_weights_of_a_large_scale_in_two_batches() -> None:
    from softreg.tables.encode.moments import WeightedMoments

    values, weight = np.array([3e300, 1e300, np.nan, 5e300]), np.array([1e-300, 2e300, 7.0, 1e300])
    found = WeightedMoments(unit=2.0**1000)
    for part in (slice(0, 2), slice(2, 4)):
        found.add(values[part], weight[part])
    assert found.mean == pytest.approx(7e300 / 3)
    assert found.deviation == pytest.approx(np.sqrt(32 / 9) * 1e300)


@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("weight", ["0", "1e-300"])
def test_fault_a_class_of_hardly_any_weight(weight: str, penalty: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.lognormal(10, 1.5, 300), "z": random.normal(size=300)})
    frame["y"] = np.array(["a", "b", "c"])[random.integers(0, 3, 300)]
    frame.to_csv(tmp_path / "d.csv", index=False)
    result = run("train", tmp_path / "d.csv", *STRENGTH, "--class-weight", f"c={weight}", "--penalty", penalty)
    assert result.exit_code == (2 if weight == "0" else 0)
    assert ("has no row with a weight above zero" in result.stderr) == (weight == "0")
