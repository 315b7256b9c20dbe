"""Model files written by earlier versions load, and predict what they predicted then."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import softreg
import softreg.tables

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.softreg"))


def rows_of(name: str) -> Any:
    """The rows of which probabilities are stored for a model."""
    file = FOLDER / f"{name}.parquet"
    return pq.read_table(file) if file.exists() else np.load(FOLDER / f"{name}.rows.npy")


def test_there_is_a_file_of_every_kind() -> None:
    assert len(FILES) == 16


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_probabilities_are_those_of_the_version_that_wrote_it(file: Path, tmp_path: Path) -> None:
    model = softreg.load(file)
    rows, P = rows_of(file.stem), np.load(file.with_suffix(".npy"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", softreg.tables.TableWarning)  # the column of labels is said to be unused
        # products are added in another order on another processor; on the same one the bits agree, but for rows of
        # float32, which are multiplied in float64 now
        np.testing.assert_allclose(model.predict_proba(rows), P, rtol=1e-6 if file.stem == "float32" else 1e-12)
        model.save(tmp_path / "again.softreg")
        again = softreg.load(tmp_path / "again.softreg")
        np.testing.assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_fit_without_a_proof_is_not_called_converged(file: Path) -> None:
    model = softreg.load(file)
    solution = getattr(model, "model_", model).solution_
    assert solution.converged == solution.certified
    assert solution.within_tolerance
