"""`softreg train --penalty group`: whole columns of the table are in the model, or out of it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

import softreg


def test_a_category_is_in_or_out_as_a_whole(run: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [(random.choice(list("abcd")), random.choice(list("uvwxyz")), round(random.normal(), 3)) for _ in range(300)]
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["job", "town", "size", "buys"])
        for job, town, size in rows:
            chance = 3.0 * (job == "a") - 3.0 * (job == "b") + random.logistic()
            writer.writerow([job, town, size, "yes" if chance > 0 else "no"])
    model = tmp_path / "model.softreg"
    options = ("--penalty", "group", "--strength", "0.05", "--model", model)
    result = run("train", tmp_path / "rows.csv", "--target", "buys", *options)
    assert result.exit_code == 0, result.output
    loaded = softreg.load(model)
    names, live = np.array(loaded.encoder_.column_names), (loaded.model_.coef_ != 0).any(axis=0)
    assert loaded.model_.column_groups == names.tolist()
    assert live[names == "job"].all()
    assert not live[names != "job"].any()
    assert "group penalty" in run("inspect", model).stdout


def test_offsets_and_levels_that_cannot_be(run: Any, tmp_path: Path) -> None:
    data, model = tmp_path / "d.csv", tmp_path / "m.softreg"
    lines = ["x,o,y"] + [f"{i % 7 / 7},{i % 2},{'a=1' if i % 4 in (0, 3) else 'b'}" for i in range(80)]
    data.write_text("\n".join(lines) + "\n")
    options = ("--target", "y", "--strength", "0.01", "--quiet")
    twice = run("train", data, *options, "--offset", "b=o", "--offset", "b=x")
    assert twice.exit_code == 2
    assert "the class 'b' has two columns" in twice.output
    with_sign = run("train", data, *options, "--offset", "a=1=o", "--model", model)
    assert with_sign.exit_code == 0, with_sign.output
    assert softreg.load(model).offset_ == {"a=1": "o"}
    nan = run("predict", model, data, "--interval", "nan")
    assert nan.exit_code == 2
    assert "nan must be between 0 and 1" in nan.output
