"""Model files of all kinds, with one interface for the commands that apply them to a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.evaluation_result import search_record
from softreg.models import SoftmaxRegression, SoftmaxRegressionCV, StoredEvaluation
from softreg.models.class_blocks.logit_blocks import LogitBlocks
from softreg.models.estimators.streamed_predictions import logit_blocks
from softreg.optimize import Solution
from softreg.persistence import load
from softreg.tables import Schema, TableClassifier
from softreg.typing import Float64Array, FloatArray
from softreg.value_text import value_text


@dataclass(frozen=True)
class LoadedModel:
    """A model and its file: a table model, with its schema, or a regression saved from Python, without.

    Attributes
    ----------
    path : Path
        The file.
    regression : SoftmaxRegression
        The fitted regression.
    table_model : TableClassifier or None
        The model of a table, which encodes its columns.
    search : dict or None
        Record of the search for the strength (`search_record`); None where the strength was given.
    model : TableClassifier, SoftmaxRegression or SoftmaxRegressionCV
        The model as it was saved.
    """

    path: Path
    regression: SoftmaxRegression
    table_model: TableClassifier | None = None
    search: dict[str, Any] | None = None
    model: Any = None

    @property
    def schema(self) -> Schema | None:
        """Schema of a table model."""
        return self.table_model.schema_ if self.table_model else None

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Classes as text."""
        return tuple(value_text(label) for label in self.regression.classes_)

    @property
    def features(self) -> tuple[str, ...] | None:
        """Names of the d features; None for a model of arrays without names."""
        if self.table_model:
            return self.table_model.feature_names_out_
        names = getattr(self.regression, "feature_names_in_", None)
        return None if names is None else tuple(str(name) for name in names)

    @property
    def solution(self) -> Solution | None:
        """Solution of the fit; None for a model trained by `partial_fit`."""
        return getattr(self.regression, "solution_", None)

    @property
    def evaluation(self) -> StoredEvaluation | None:
        """Evaluation on held-out rows that the file keeps; None where it keeps none."""
        return self.table_model.evaluation_ if self.table_model else None

    @property
    def columns(self) -> int:
        """Number of columns of a table that the model uses."""
        return len(self.schema.features) if self.schema else int(self.regression.n_features_in_)

    def probabilities(self, table: pa.Table) -> FloatArray:
        """Return the probabilities (n, q) of the rows of a table; columns are matched by name."""
        if self.table_model:
            return self.table_model.predict_proba(table)
        return np.asarray(self.regression.predict_proba(self._matrix(table)))

    def logit_blocks(self, table: pa.Table) -> LogitBlocks:
        """Return the logits of the rows of a table as blocks; columns are matched by name."""
        if self.table_model:
            return logit_blocks(self.regression, self.table_model.encode(table), self.table_model.offsets(table))
        return logit_blocks(self.regression, self._matrix(table))

    def _matrix(self, table: pa.Table) -> pa.Table:
        """Return the columns that a regression on named columns was fitted on, as numbers."""
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
            some = ", ".join(repr(name) for name in missing[:6]) + (" and more" if len(missing) > 6 else "")
            raise CommandError(
                f"The table lacks {len(missing):,} of the {len(names):,} columns that the model was fitted "
                f"on: {some}. Columns are matched by exact name."
            )
        return pa.table({name: _numbers(table.column(name), name) for name in names})


def load_model(path: Path) -> LoadedModel:
    """Read a model file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    LoadedModel
        The model.

    Raises
    ------
    CommandError
        If the file does not exist or contains another kind of model.
    """
    if not path.exists():
        raise CommandError(
            f"There is no model file {str(path)!r}; `softreg train DATA --target COLUMN --model M.softreg` creates one."
        )
    if path.is_dir():
        raise CommandError(f"{str(path)!r} is a folder; name a model file in it.")
    model = load(path)
    if isinstance(model, TableClassifier):
        return LoadedModel(path, model.model_, model, search_record(model.path_, model.rule), model)
    if isinstance(model, SoftmaxRegressionCV):
        return LoadedModel(path, model.best_estimator_, None, search_record(model.path_, model.rule), model)
    if isinstance(model, SoftmaxRegression):
        return LoadedModel(path, model, model=model)
    raise CommandError(
        f"{str(path)!r} contains a {type(model).__name__}, which this command does not support. It is used in Python: "
        "softreg.load(path)."
    )


def _numbers(column: pa.ChunkedArray, name: str) -> Float64Array:
    """Return a column as finite numbers, which a regression saved from Python requires."""
    try:
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise CommandError(
            f"Column {name!r} must hold numbers, since the model was fitted on an array of numbers: {error}. "
            "A model of `softreg train` accepts text and missing values."
        ) from None
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise CommandError(
            f"Column {name!r} has no finite number in row {bad[0] + 1:,} (counted from 1, without the "
            "header), and the model, which was fitted on an array of numbers, does not support missing values. Fill "
            "it in, or remove the row."
        )
    return values
