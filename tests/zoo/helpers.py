"""Functions that several files of the zoo share: commands, their errors and warnings, and small tables."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from softreg.cli import main
from softreg.tables import TableError, TableWarning, open_table


def run(*arguments: object) -> Result:
    """Run a command of softreg; any error that is not reported to the user fails the test."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def run_successfully(*arguments: object) -> Result:
    """Run a command that must succeed."""
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def run_refused(*arguments: object) -> str:
    """Return the message of a command that must be refused."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("softreg: ")
    assert "Traceback" not in result.output
    return result.stderr


def open_refused(source: Any, **options: Any) -> str:
    """Return the error, in one paragraph, of a table that cannot be read."""
    with pytest.raises(TableError) as caught:
        for _ in open_table(source, **options).batches():
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_warnings(action: Any) -> tuple[Any, list[str]]:
    """Return the result of an action, and the messages of its `TableWarning`s."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = action()
    return result, [str(warning.message) for warning in caught if issubclass(warning.category, TableWarning)]


def predicted(model: Path, data: object, *options: str) -> np.ndarray:
    """Return the probabilities (n, q) that `softreg predict` writes."""
    frame = pd.read_csv(io.StringIO(run_successfully("predict", model, data, *options).stdout))
    return frame.select_dtypes("number").to_numpy()


def label(i: int) -> str:
    """Return the label of row `i`: "a" or "b", without a linear order."""
    return "ab"[(i * i + i // 3) % 5 % 2]


def scores(path: Path, name: str, labels: list[str]) -> Path:
    """Write a file of 300 scores and labels drawn from them."""
    random = np.random.default_rng(0)
    p = random.random(300)
    y = [labels[int(random.random() < share)] for share in p]
    pd.DataFrame({name: p, "y": y}).to_csv(path, index=False)
    return path


def numbers_and_labels(rows: int = 60) -> str:
    """Return a CSV file of a number, a label and two columns of probabilities."""
    lines = [
        f"{i * 37 % 11},{('a' if i * 7 % 5 > 2 else 'b')},{0.5 + i % 5 / 20},{0.5 - i % 5 / 20}" for i in range(rows)
    ]
    return "\n".join(["x,y,a,b", *lines]) + "\n"


def labels_of(P: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Return a label drawn from each row of P."""
    return (r.random((len(P), 1)) > P.cumsum(axis=1)).sum(axis=1).clip(0, P.shape[1] - 1)
