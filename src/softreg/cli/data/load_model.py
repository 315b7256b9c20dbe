"""A model file of either kind, seen in one way by the commands that use it on a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.result_table import search_record
from softreg.models import SoftmaxRegression, SoftmaxRegressionCV
from softreg.optimize import Solution
from softreg.persistence import load
from softreg.spelling import spelled
from softreg.tables import Schema, TableClassifier


@dataclass(frozen=True)
class LoadedModel:
    """A model and its file: a table model, with its schema, or a regression saved from Python, without."""

    path: Path
    regression: SoftmaxRegression
    table_model: TableClassifier | None = None
    search: dict[str, Any] | None = None
    """What choosing its strength took; None where it was given."""

    @property
    def schema(self) -> Schema | None:
        """What a table model took its columns for."""
        return self.table_model.schema_ if self.table_model else None

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes as text."""
        return tuple(spelled(label) for label in self.regression.classes_)

    @property
    def features(self) -> tuple[str, ...] | None:
        """Names of the d features; None for a model of arrays without names."""
        if self.table_model:
            return self.table_model.feature_names_out_
        names = getattr(self.regression, "feature_names_in_", None)
        return None if names is None else tuple(str(name) for name in names)

    @property
    def solution(self) -> Solution | None:
        """How the fit ended; None for a model made by `partial_fit`."""
        return getattr(self.regression, "solution_", None)

    @property
    def columns(self) -> int:
        """How many columns of a table the model uses."""
        return len(self.schema.features) if self.schema else int(self.regression.n_features_in_)

    def probabilities(self, table: pa.Table) -> NDArray[np.floating[Any]]:
        """Probabilities (n, q) for the rows of a table, its columns matched by name."""
        if self.table_model:
            return self.table_model.predict_proba(table)
        return np.asarray(self.regression.predict_proba(self._matrix(table)))

    def _matrix(self, table: pa.Table) -> pa.Table:
        """The columns that a regression on named columns was fitted on, as numbers."""
        names = self.features
        if names is None:
            raise CommandError(
                f"The model in {str(self.path)!r} was fitted on an array, whose {self.columns:,} features "
                "have no names, so the columns of a file cannot be matched to them. Fit it on a data frame "
                "to give them names, or predict in Python: "
                f"softreg.load({str(self.path)!r}).predict_proba(X)."
            )
        missing = [name for name in names if name not in table.column_names]
        if missing:
            few = ", ".join(repr(name) for name in missing[:6]) + (" and more" if len(missing) > 6 else "")
            raise CommandError(
                f"The table lacks {len(missing):,} of the {len(names):,} columns that the model was fitted "
                f"on: {few}. Columns are matched by exact name."
            )
        return pa.table({name: _numbers(table.column(name), name) for name in names})


def load_model(path: Path) -> LoadedModel:
    """Read a model file, or say what the path is instead."""
    if not path.exists():
        raise CommandError(
            f"There is no model file {str(path)!r}; `softreg train DATA --target COLUMN --model M.softreg` makes one."
        )
    if path.is_dir():
        raise CommandError(f"{str(path)!r} is a folder; name the model file in it.")
    model = load(path)
    if isinstance(model, TableClassifier):
        return LoadedModel(path, model.model_, model, search_record(model.path_, model.rule))
    if isinstance(model, SoftmaxRegressionCV):
        return LoadedModel(path, model.best_estimator_, search=search_record(model.path_, model.rule))
    if isinstance(model, SoftmaxRegression):
        return LoadedModel(path, model)
    raise CommandError(f"{str(path)!r} holds a {type(model).__name__}, which this command cannot use.")


def _numbers(column: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    """A column of numbers, complete and finite: a regression saved from Python knows no other."""
    try:
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise CommandError(
            f"Column {name!r} must hold numbers, since the model was fitted on an array of numbers: {error}. "
            "A model made by `softreg train` understands words and empty fields."
        ) from None
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise CommandError(
            f"Column {name!r} has no finite number in row {bad[0] + 1:,} (counted from 1, without the "
            "header), and the model, fitted on an array of numbers, knows nothing of missing values. Fill it "
            "in, or remove the row."
        )
    return values
