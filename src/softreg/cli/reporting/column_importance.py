"""What a model learned, for the report: what columns add, what the labels take, what moves the probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from softreg.cli.reporting.column_summaries import test_linearity
from softreg.cli.reporting.odds_ratios import odds_ratios
from softreg.models import Added, CodeLength, LinearityTest, added_on_rows, infer, prequential_codelength
from softreg.models.inference.marginal_effects import Change
from softreg.probability import Classes
from softreg.report import Effect
from softreg.report.page.report_data import OddsRatio
from softreg.tables import TableClassifier
from softreg.tables.encode.discrete_changes import discrete_changes
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder

if TYPE_CHECKING:
    import pyarrow as pa

MAX_FITTED_CELLS = 2_000_000_000
"""Numbers that are read to fit once without each column, which takes half a minute; of more, a part of the rows is."""
MIN_SAMPLED = 1000
"""Rows, at least, of such a part."""
MAX_DESCRIBED_ROWS = 50_000
"""Rows from which straight lines are tested and reference levels found for a model that was fitted before."""
MOST_PARAMETERS = 600
"""Parameters for whose covariance effects are computed."""
MAX_EFFECTS = 40
COARSE_TOL = 1e-5
"""Nats: near enough to an optimum for figures of four places."""


@dataclass(frozen=True)
class ColumnAnalysis:
    """What stands in the report beside the audit; what would take too long is left out.

    `added_rows` says of how many training rows the fits without a column are, where it is not all; `linearity_rows` on
    which rows a straight line was tested.
    """

    added: tuple[Added, ...] = ()
    added_rows: str = ""
    code: CodeLength | None = None
    effects: tuple[Effect, ...] = ()
    linearity: tuple[LinearityTest, ...] = ()
    linearity_rows: str = "the training rows"
    odds: tuple[OddsRatio, ...] = ()


def analyse_columns(
    classifier: TableClassifier,
    table: pa.Table,
    labels: NDArray[Any],
    training: NDArray[np.int64],
    test: NDArray[np.int64],
    *,
    groups: NDArray[Any] | None = None,
) -> ColumnAnalysis:
    """Fit without each column and to growing parts of the training rows, test straight lines, and ask for effects.

    `groups` (t,) are the groups of dependent rows among those of `test`, where there are some.
    """
    model, codes = classifier.model_, classifier.encoder_.column_encoders
    X, X_test = (classifier.encoder_.encode(table, rows) for rows in (training, test))
    ends = np.cumsum([0, *(len(code.features) for code in codes)])
    columns = {code.name: range(a, b) for code, (a, b) in zip(codes, pairwise(ends.tolist()), strict=True)}
    y = labels[training]
    found = ColumnAnalysis(
        linearity=()
        if groups is not None
        else tuple(test_linearity(classifier.encoder_, X, _codes(model, y), model.predict_proba(X))),
        odds=odds_ratios(classifier, X),
    )
    entries = X.nnz if hasattr(X, "nnz") else X.size
    step = -(-entries * len(classifier.classes_) * (len(columns) + 4) // MAX_FITTED_CELLS)
    X, y, rows = X[::step], y[::step], len(y)
    if step > 1 and (len(y) < MIN_SAMPLED or len(np.unique(y)) < len(classifier.classes_)):
        return found
    rough = clone(model).set_params(tol=max(model.tol, COARSE_TOL), verbose=0)
    return replace(
        found,
        added=tuple(added_on_rows(X, y, X_test, labels[test], columns, model=rough, dependent=groups)),
        added_rows=f"all models are fitted to {len(y):,} of the {rows:,} training rows" if step > 1 else "",
        code=prequential_codelength(X, y, model=rough),
        effects=_effects(classifier, X, y),
    )


def analyse_rows(
    classifier: TableClassifier, table: pa.Table, codes: NDArray[np.int64], P: NDArray[Any]
) -> ColumnAnalysis:
    """What can be said without the training rows: tests of a straight line on these rows, and odds ratios."""
    X = classifier.encoder_.transform(table, np.arange(len(codes))[:: -(-len(codes) // MAX_DESCRIBED_ROWS)])
    some = slice(None, None, -(-len(codes) // MAX_DESCRIBED_ROWS))
    return ColumnAnalysis(
        linearity=tuple(test_linearity(classifier.encoder_, X, codes[some], P[some])),
        linearity_rows="these rows",
        odds=odds_ratios(classifier, X),
    )


def _codes(model: Any, y: NDArray[Any]) -> NDArray[np.int64]:
    """Labels as places in the classes of the model."""
    return np.asarray(Classes.of(model.classes_).encode(y), dtype=np.int64)


def _effects(classifier: TableClassifier, X: Any, y: NDArray[Any]) -> tuple[Effect, ...]:
    """The effects that are surest, each feature once, on the class that it moves most; of two classes, the second."""
    model = classifier.model_
    if X.shape[1] * len(model.classes_) > MOST_PARAMETERS:
        return ()
    try:
        inference = infer(model, X, y)
        changes = {**inference.changes, **discrete_changes(classifier.encoder_, X)}
        found = replace(inference, changes=changes).effects()
    except ValueError:  # an l1 part, or no finite optimum: then there are no errors to speak of
        return ()
    error = np.where(found.std_error > 0, found.std_error, np.inf)
    sure = np.abs(found.estimate) / error  # (q, d)
    best = np.full(X.shape[1], 1) if len(found.classes) == 2 else np.abs(found.estimate).argmax(axis=0)
    at, shown = np.arange(X.shape[1]), _shown_features(classifier.encoder_, changes)
    order = np.argsort(-sure[best, at], kind="stable")[:MAX_EFFECTS]
    return tuple(
        Effect(
            shown[j],
            str(found.classes[k]),
            float(found.estimate[k, j]),
            float(found.lower[k, j]),
            float(found.upper[k, j]),
        )
        for j in order
        for k in [int(best[j])]
        if sure[k, j] > 0
    )


def _shown_features(encoder: Encoder, changes: Mapping[int, Change]) -> list[str]:
    """What changes, by place of the feature: `sex=female rather than male`, `age (+12)`: a standard deviation more."""
    shown: list[str] = []
    names = encoder.feature_names_out
    for code in encoder.column_encoders:
        for place in range(code.width):
            feature = names[len(shown)]
            if (change := changes.get(len(shown))) is not None:
                shown.append(f"{feature}{'' if change.words[0].isalpha() else ':'} {change.words}")
            elif isinstance(code, NumberEncoder) and place == 0 and not code.knots:
                shown.append(f"{feature} (+{code.scale:.3g})")
            else:
                shown.append(feature)
    return shown
