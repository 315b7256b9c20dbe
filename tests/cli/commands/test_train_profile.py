"""`softreg train --profile`: what the fit costs, as a table on stderr and in the JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from softreg.optimize import MachineLimits
from softreg.optimize.cost import fit_cost
from softreg.rows.ondisk import disk_rows

from ..conftest import Run, customers, write_csv

LIMITS = MachineLimits("a machine", 2, ((1 << 20, 4e10), (1 << 28, 1e10)), 1e11, 5e10, 1e-6)
PARTS = ("passes_seconds", "curvature_seconds", "certificate_seconds", "other_seconds")


@pytest.fixture(autouse=True)
def _known_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_cost, "machine_limits", lambda *, measure_again=False: LIMITS)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "customers.csv", *customers())


@pytest.mark.parametrize("options", [("--strength", "0.01"), (), ("--strength", "0.01", "--memory", "low")])
def test_the_profile_is_a_table_on_stderr_and_part_of_the_json(
    options: tuple[str, ...], table: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_rows, "MAX_IN_MEMORY_BYTES", 0)
    done = run("train", table, "--target", "buys", "--profile", "--json", "--quiet", *options, "--terms=linear")
    assert done.exit_code == 0, done.stderr
    profiles = json.loads(done.stdout)["profile"]
    assert (profiles["search"] is None) == bool(options)
    profile = profiles["fit"]
    assert sum(profile[part] for part in PARTS) == pytest.approx(profile["seconds"])
    assert profile["storage"] == ("disk" if "low" in options else "memory")
    assert profile["bytes_read"] >= 3 * profile["row_bytes"] > 0
    assert profile["memory_share"] == pytest.approx(profile["bytes_read"] / 4e10 / profile["seconds"])
    assert profile["machine"]["processor"] == "a machine"
    lines = done.stderr.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("Cost of the fit: "))
    assert ("Cost of the search for the strength: " in done.stderr) == (not options)
    names = ["passes over the rows", "curvature and directions", "proofs of the gap", "elsewhere", "rows read"]
    names += ["operations", "cores at work"]
    for name, line in zip(names, lines[first + 1 :], strict=False):
        assert line.strip().startswith(name)
    assert lines[first + len(names) + 1] == profile["sentence"]


def test_without_the_option_there_is_no_profile_and_nothing_is_measured(
    table: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_cost, "machine_limits", lambda **options: pytest.fail("measured unasked"))
    done = run("train", table, "--target", "buys", "--strength", "0.01", "--json")
    assert done.exit_code == 0, done.stderr
    assert "profile" not in json.loads(done.stdout)
    assert "Cost of the fit" not in done.stderr


def test_arrays_of_numbers_have_a_profile(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 3))
    np.savez(tmp_path / "data.npz", X=X, y=(X[:, 0] + random.normal(size=200) > 0).astype(int))
    done = run("train", tmp_path / "data.npz", "--strength", "0.01", "--profile", "--quiet")
    if done.exit_code:
        done = run("train", tmp_path / "data.npz", "--target", "y", "--strength", "0.01", "--profile", "--quiet")
    assert done.exit_code == 0, done.stderr
    assert "Cost of the fit: " in done.stderr


@pytest.mark.parametrize("prior", [False, True])
def test_a_fit_without_a_penalty_or_with_a_prior_has_a_profile(
    prior: bool, table: Path, run: Run, tmp_path: Path
) -> None:
    model = tmp_path / "first.softreg"
    first = run(
        "train", table, "--target", "buys", "--strength", "0.01", "--keep-posterior", "--model", model, "--quiet"
    )
    assert first.exit_code == 0, first.stderr
    options = ("--prior", model) if prior else ("--penalty", "none")
    done = run("train", table, "--target", "buys", *options, "--profile", "--quiet")
    assert done.exit_code == 0, done.stderr
    assert "Cost of the fit: " in done.stderr
