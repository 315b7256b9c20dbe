"""`softreg audit --by` and `--search`: lines, JSON, the report, and messages for columns that cannot be used."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softreg.report import audit, search_groups

N = 1500


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """Predictions with region, age (some missing), day and post code; "yes" is too rare for the south by the model."""
    random = np.random.default_rng(0)
    o, age = 1.5 * random.normal(size=N), random.integers(18, 70, size=N)
    region = random.choice(["north", "south", "west"], size=N)
    p = 1 / (1 + np.exp(-o))
    y = random.random(N) < 1 / (1 + np.exp(-o - 1.5 * (region == "south")))
    day = np.datetime64("2024-01-01") + random.integers(0, 300, size=N)
    post = random.choice(["01067", "10115", "20095"], size=N)
    cells = np.where(random.random(N) < 0.05, "", age.astype(str))
    columns = {"region": region, "age": cells, "day": day.astype(str), "post": post}
    path = tmp_path_factory.mktemp("groups") / "p.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = zip(
            np.where(y, "yes", "no"), map(repr, (1 - p).tolist()), map(repr, p.tolist()), *columns.values(), strict=True
        )
        csv.writer(file).writerows([["outcome", "no", "yes", *columns], *rows])
    return path, {"P": np.column_stack([1 - p, p]), "y": y.astype(int), **columns}


def test_the_figures_of_json_are_those_of_python(run: Any, predictions: tuple[Path, dict[str, np.ndarray]]) -> None:
    path, data = predictions
    done = run("audit", path, "--target", "outcome", "--by", "region", "--json")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    expected = audit(data["P"], data["y"], ["no", "yes"], by={"region": data["region"]}).group_audit
    assert expected is not None
    assert figures["groups_procedure"] == "benjamini-hochberg"
    assert [group["group"] for group in figures["groups"]] == [score.name for score in expected.scores]
    worst, same = figures["groups"][0], expected.scores[0]
    assert (worst["group"], worst["found"], worst["class"]) == ("south", True, "yes")
    assert worst["gap"] == pytest.approx(same.gap.value)
    assert (worst["p"], worst["p_adjusted"]) == (same.p_value, same.adjusted)
    assert worst["rate"] > worst["mean_probability"]
    assert figures["groups_recalibration"]["method"] == "groups"
    assert figures["groups_recalibration"]["log_loss_after"] < figures["groups_recalibration"]["log_loss_before"]
    assert "search" not in figures


def test_lines_and_the_report_have_the_same_sentences(
    run: Any, predictions: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    path, _ = predictions
    done = run(
        "audit",
        path,
        "--target",
        "outcome",
        "--by",
        "region",
        "--by",
        "age",
        "--search",
        "--report",
        tmp_path / "r.html",
    )
    assert done.exit_code == 0, done.output
    printed = " ".join(done.stdout.split())
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    shown = " ".join(page.split())
    for sentence in (
        "Groups by region, age: miscalibration is significant in",
        "Benjamini and Yekutieli, since each row is in a group of each column",
        "Recalibration by offsets of the groups with partial pooling (softreg.GroupCalibrator): log loss",
        "for all candidates together (999 draws of labels)",
        "“yes” too low",
        "age: (missing)",
        "region: south",
    ):
        assert sentence in printed, sentence
        assert sentence in shown, sentence
    assert 'id="groups"' in page
    assert 'href="#groups"' in page
    assert "Calibration gaps of 9 groups" in page


def test_the_search_reads_numbers_dates_and_codes_of_the_file(
    run: Any, predictions: tuple[Path, dict[str, np.ndarray]]
) -> None:
    path, data = predictions
    done = run("audit", path, "--target", "outcome", "--search", "--json")
    assert done.exit_code == 0, done.output
    search = json.loads(done.stdout)["search"]
    assert search["columns"] == ["region", "age", "day", "post"]
    assert search["found"][0]["conditions"] == [{"column": "region", "group": "south"}]
    columns = {
        "region": data["region"],
        "age": [float(text) if text else None for text in data["age"]],
        "day": data["day"].astype("M8[s]"),
        "post": data["post"],
    }
    expected = search_groups(data["P"], data["y"], columns, ["no", "yes"])
    assert (search["candidates"], search["draws"]) == (expected.candidates, expected.draws)
    assert search["found"][0]["z"] == pytest.approx(expected.found[0].z, rel=1e-5)


def test_without_options_the_page_and_lines_have_no_groups(
    run: Any, predictions: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    path, _ = predictions
    done = run("audit", path, "--target", "outcome", "--report", tmp_path / "r.html")
    assert "Groups by" not in done.stdout
    assert "Search" not in done.stdout
    assert 'id="groups"' not in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--by", "regoin"], "there is no column 'regoin'. Similar names: 'region'"),
        (["--by", "outcome"], "this is the column of labels"),
        (["--by", "yes"], "this is a column of probabilities"),
    ],
)
def test_columns_that_cannot_be_used_are_errors(
    run: Any, predictions: tuple[Path, dict[str, np.ndarray]], options: list[str], message: str
) -> None:
    done = run("audit", predictions[0], "--target", "outcome", *options)
    assert done.exit_code != 0
    assert message in done.output
    assert "Traceback" not in done.output


def test_a_file_without_other_columns_cannot_be_searched(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("outcome,no,yes\n" + "no,0.8,0.2\nyes,0.3,0.7\n" * 30, encoding="utf-8")
    done = run("audit", path, "--target", "outcome", "--search")
    assert done.exit_code != 0
    assert "no columns beside labels and probabilities" in done.output


def test_control_characters_of_a_value_do_not_reach_the_terminal(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("outcome,no,yes,g\n" + "no,0.8,0.2,\x1b[31m<b>\nyes,0.3,0.7,b\n" * 40, encoding="utf-8")
    done = run("audit", path, "--target", "outcome", "--by", "g", "--report", tmp_path / "r.html")
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.stdout
    assert "<b>" in done.stdout
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in page
    assert "[31m<b>" not in page
