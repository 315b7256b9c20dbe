"""Faults of options in combination: weights, missing values, booleans, score columns, and floods of warnings."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import softreg
from softreg.cli import main
from softreg.tables import TableClassifier, table_statistics

STRENGTH = ["--target", "y", "--strength", "0.01", "--quiet"]


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code in (0, 2), result.exception
    return result


def done(*arguments: object) -> Result:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def predicted(model: Path, data: object, *options: str) -> np.ndarray:
    frame = pd.read_csv(io.StringIO(done("predict", model, data, *options).stdout))
    return frame.select_dtypes("number").to_numpy()


def label(i: int) -> str:
    return "ab"[(i * i + i // 3) % 5 % 2]


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
    result = done("train", data, *STRENGTH, "--weights", "weight")
    assert "between thousands" in result.stderr


@pytest.mark.parametrize("features", ["age", "member,age", "amount,share,member,age"])
def test_fault_weights_in_batches_are_those_of_a_table_in_memory(features: str, tmp_path: Path) -> None:
    data, model = mixed_table(tmp_path / "mixed.csv"), tmp_path / "m.softreg"
    found = []
    for memory in ("low", "high"):
        options = ["--weights", "weight", "--features", features, "--memory", memory, "--test", data]
        done("train", data, *STRENGTH, *options, "--model", model)
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


def scores(path: Path, name: str, labels: list[str]) -> Path:
    random = np.random.default_rng(0)
    p = random.random(300)
    y = [labels[int(random.random() < share)] for share in p]  # p is the probability of the second label
    pd.DataFrame({name: p, "y": y}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("p_no", ["yes", "no"]),
        ("P(No)", ["yes", "no"]),
        ("prob_0", ["1", "0"]),
        ("prob_1", ["0", "1"]),
        ("sick_prob", ["well", "sick"]),
        ("yes", ["no", "yes"]),
        ("note", ["no", "yes"]),
        ("no_vs_yes", ["no", "yes"]),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_fault_the_class_of_a_score_is_the_one_in_its_name(
    name: str, labels: list[str], named: bool, tmp_path: Path
) -> None:
    data = scores(tmp_path / "scores.csv", name, labels)
    result = done("audit", data, "--target", "y", "--json", *(["--score", name] if named else []))
    assert f"the class '{labels[1]}'" in result.stderr
    assert pd.read_json(io.StringIO(result.stdout), typ="series")["log_loss"] < 0.6


def written(frame: pd.DataFrame, folder: Path) -> list[str]:
    frame.to_csv(folder / "t.csv", index=False)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / "t.parquet")
    frame.to_json(folder / "t.json", orient="records")
    with sqlite3.connect(folder / "t.db") as connection:
        frame.to_sql("t", connection, index=False)
    return [str(folder / name) for name in ("t.csv", "t.parquet", "t.json", "t.db::t")]


@pytest.mark.parametrize("place", range(4))
def test_fault_booleans_of_one_file_are_zeros_and_ones_of_another(place: int, tmp_path: Path) -> None:
    frame = pd.DataFrame({"member": [bool(i % 2) for i in range(80)], "x": [i % 7 for i in range(80)]})
    frame["y"] = [label(i) == "a" for i in range(80)]
    files, model = written(frame, tmp_path), tmp_path / "m.softreg"
    done("train", files[place], *STRENGTH, "--model", model)
    expected = predicted(model, files[place])

    def loss(file: str) -> float:
        shown = done("evaluate", model, file, "--json", "--bad-rows", "skip").stdout
        return float(json.loads(shown)["log_loss"])

    for other in files:
        assert np.array_equal(predicted(model, other), expected)
        assert loss(other) == loss(files[place])


def test_fault_booleans_that_are_read_as_numbers_are_said() -> None:
    frame = pd.DataFrame({"member": [0, 1, 1] * 20, "x": [i % 7 for i in range(60)], "y": list("aabb") * 15})
    model = TableClassifier("y", strength=0.1).fit(frame)
    words = frame.assign(member=np.where(frame.member == 1, "TRUE", "false"))
    for other in (frame.assign(member=frame.member == 1), words, words.astype({"member": "category"})):
        with pytest.warns(softreg.tables.TableWarning, match="true is read as 1, false as 0"):
            assert np.array_equal(model.predict_proba(other), model.predict_proba(frame))
    with pytest.raises(softreg.tables.TableError, match="'maybe'"):
        model.predict_proba(frame.assign(member=["maybe", "True", "False"] * 20))
    wider = TableClassifier("y", strength=0.1).fit(frame.assign(member=frame.member * 2))
    with pytest.raises(softreg.tables.TableError, match="member"):
        wider.predict_proba(frame.assign(member=frame.member == 1))


def test_fault_a_number_in_a_column_of_booleans_that_is_neither_0_nor_1() -> None:
    frame = pd.DataFrame({"member": [True, False, True] * 20, "y": list("aabb") * 15})
    model = TableClassifier("y", strength=0.1).fit(frame)
    with pytest.raises(softreg.tables.TableError, match="row 2 has '2'"):
        model.predict_proba(pd.DataFrame({"member": [1, 2, 0]}))


@pytest.mark.parametrize("na", ["-9", "-9.0", " -9.00"])
def test_fault_a_missing_number_has_the_same_spelling_in_every_file(na: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, -9.0, 3.0] * 20, "i": [1, -9, 2] * 26 + [1, 2]})
    frame["c"], frame["y"] = ["u", "-9", "w", "v"] * 20, [label(i) for i in range(80)]
    files = written(frame, tmp_path)
    frame.to_csv(tmp_path / "comma.csv", sep=";", decimal=",", index=False)
    for file in [*files, str(tmp_path / "comma.csv")]:
        model = tmp_path / "m.softreg"
        done("train", file, *STRENGTH, f"--na={na}", "--model", model)
        shown = done("inspect", model).stdout
        for expected in ("1 to 3, ", "1 to 2, ", "3 levels: 'u', 'v', 'w'"):
            assert expected in shown, file


def test_fault_a_spelling_with_leading_zeros_is_text() -> None:
    from softreg.tables.columns.missing_values import expand_spellings

    assert expand_spellings(["007", "1e3", "x"]) == [
        "007",
        "1e3",
        "1000",
        "1000.0",
        "1000.00",
        "1000,0",
        "1000,00",
        "x",
    ]


def broken(path: Path) -> Path:
    lines = ["x,z,y", *(f"{i % 7},{i % 5},{label(i)}" for i in range(60))]
    lines[5], lines[9], lines[12] = "1,2,", "1,2,a,9,9", "3,?,"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_fault_missing_labels_are_no_values_of_another_kind(tmp_path: Path) -> None:
    data, model = broken(tmp_path / "d.csv"), tmp_path / "m.softreg"
    trained = done("train", data, *STRENGTH, "--bad-rows", "skip", "--model", model)
    others = [
        done("evaluate", model, data, "--bad-rows", "skip"),
        done("statistics", data, "--target", "y", "--bad-rows", "skip"),
    ]
    for result in (trained, *others):
        assert "2 of 59 rows have no label in 'y' and are left out: rows 5, 12" in result.stderr
        assert "1 row could not be read and was left out: row 9" in result.stderr
        assert "of its column's kind" not in result.stderr
    assert "--missing-target" in trained.stderr
    assert "--missing-target" not in others[1].stderr


def test_fault_missing_labels_are_refused_beside_skipped_rows(tmp_path: Path) -> None:
    data, model = broken(tmp_path / "d.csv"), tmp_path / "m.softreg"
    done("train", data, *STRENGTH, "--bad-rows", "skip", "--model", model)
    for arguments in (["train", data, *STRENGTH], ["evaluate", model, data]):
        result = run(*arguments, "--bad-rows", "skip", "--missing-target", "error")
        assert result.exit_code == 2
        assert "no label in 2 rows: 5, 12" in result.stderr


def test_fault_audit_names_no_option_that_it_does_not_have(tmp_path: Path) -> None:
    data = scores(tmp_path / "scores.csv", "p", ["no", "yes"])
    frame = pd.read_csv(data)
    frame.loc[3, "y"] = None
    frame.to_csv(data, index=False)
    result = done("audit", data, "--target", "y")
    assert "row 4" in result.stderr
    assert "--missing-target" not in result.stderr


def test_fault_a_flood_of_columns_out_of_range() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(60, 40)), columns=[f"v{j}" for j in range(40)])
    model = TableClassifier("y", strength=0.1).fit(frame.assign(y=list("ab") * 30))
    with pytest.warns(softreg.tables.TableWarning) as caught:
        model.predict_proba(frame * 100)
    assert len(caught) == 6
    assert "35 further columns" in str(caught[-1].message)


def test_fault_a_flood_of_columns_with_unseen_levels() -> None:
    frame = pd.DataFrame({f"v{j}": ["u", "w", "z"] * 20 for j in range(30)})
    model = TableClassifier("y", strength=0.1).fit(frame.assign(y=list("ab") * 30))
    with pytest.warns(softreg.tables.TableWarning) as caught:
        model.predict_proba(frame.replace("u", "new"))
    assert len(caught) == 21
    assert "10 further columns" in str(caught[-1].message)


def test_fault_lists_with_commas_in_statistics(tmp_path: Path) -> None:
    lines = [f"{i % 7},{i % 5},{i % 3},{label(i)}" for i in range(90)]
    (tmp_path / "d.csv").write_text("\n".join(['a,b,"c,d",y', *lines]) + "\n")
    shown = done("statistics", tmp_path / "d.csv", "--target", "y", "--drop", "a,c,d").stdout
    table = pa.table({"b": [i % 5 for i in range(90)], "y": [label(i) for i in range(90)]})
    assert shown.strip() == table_statistics(table, "y").text().strip()


def test_fault_kept_columns_with_commas_in_a_list(tmp_path: Path) -> None:
    lines = [f"{i % 7},{i % 5},{label(i)}" for i in range(60)]
    (tmp_path / "d.csv").write_text("\n".join(['k,"c,d",y', *lines]) + "\n")
    model = tmp_path / "m.softreg"
    done("train", tmp_path / "d.csv", *STRENGTH, "--model", model)
    shown = done("predict", model, tmp_path / "d.csv", "--keep", "k,c,d").stdout
    assert shown.startswith('"k","c,d","prediction"')


def test_fault_an_error_of_unknown_size_is_a_whole_sentence(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x,y\n1,a\n2,b\n3,a\n")
    assert "off (root" not in done("train", tmp_path / "d.csv", *STRENGTH).stderr
