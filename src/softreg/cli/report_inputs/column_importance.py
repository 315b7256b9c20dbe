"""Importance of the columns of a model: cost of removal, code length, marginal effects, odds ratios, linearity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from softreg.cli.report_inputs.column_summaries import linearity_results
from softreg.cli.report_inputs.odds_ratios import odds_ratios
from softreg.models import Added, CodeLength, LinearityTest, added_on_rows, infer, prequential_codelength
from softreg.models.inference.marginal_effects import Change
from softreg.probability import Classes
from softreg.report import Effect
from softreg.report.page.report_data import OddsRatio
from softreg.tables import TableClassifier
from softreg.tables.encode.discrete_changes import discrete_changes
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.encode.terms.pair_encoder import PairEncoder
from softreg.typing import Array, Codes

if TYPE_CHECKING:
    import pyarrow as pa

MAX_FITTED_CELLS = 2_000_000_000
"""Numbers that are read to fit the model without each column, in half a minute; with more, a sample of rows is used."""
MIN_SAMPLED = 1000
"""Rows of such a sample, at least."""
MAX_DESCRIBED_ROWS = 50_000
"""Rows with which linearity is tested and reference levels are found for a model from a file."""
MAX_PARAMETERS = 600
"""Parameters up to which marginal effects are computed, since their covariance is needed."""
MAX_EFFECTS = 40
"""Marginal effects, those of largest |z|."""
APPROXIMATE_TOL = 1e-5
"""Tolerance in nats of fits whose results have four decimals."""


@dataclass(frozen=True)
class ColumnAnalysis:
    """Analyses of the columns for the report, with the names of the fields of `ReportData`; long ones are left out.

    Attributes
    ----------
    added : tuple of Added
        Increase of the log loss without each column.
    added_rows : str
        On which rows these models are fitted, where not on all training rows.
    code : CodeLength or None
        Prequential code length of the training labels.
    effects : tuple of Effect
        Average marginal effects.
    linearity : tuple of LinearityTest
        Tests of linearity.
    linearity_rows : str
        On which rows they are computed.
    odds : tuple of OddsRatio
        Odds ratios.
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
    labels: Array,
    training: Codes,
    test: Codes,
    *,
    groups: Array | None = None,
) -> ColumnAnalysis:
    """Analyse the columns of a model with its training rows and test rows.

    Parameters
    ----------
    classifier : TableClassifier
        The model.
    table : pyarrow.Table
        Table with all rows.
    labels : array of shape (n,)
        Label of each row of the table.
    training, test : array
        Indices of training and test rows.
    groups : array, optional
        Groups of dependent rows among the test rows.

    Returns
    -------
    ColumnAnalysis
        The analyses; of a model with curves or interactions the cost of removal alone.
    """
    model, y = classifier.model_, labels[training]
    X, X_test = (classifier.encoder_.encode(table, rows) for rows in (training, test))
    columns, record = _features_of_columns(classifier.encoder_), classifier.terms_
    with_terms = record is not None and not record.is_linear
    analysis = ColumnAnalysis()
    if not with_terms:
        linear = () if groups is not None else linearity_results(
            classifier.encoder_, X, _codes(model, y), model.predict_proba(X)
        )  # fmt: skip
        analysis = ColumnAnalysis(linearity=tuple(linear), odds=odds_ratios(classifier, X))
    entries = X.nnz if hasattr(X, "nnz") else X.size
    step = -(-entries * len(classifier.classes_) * (len(columns) + 4) // MAX_FITTED_CELLS)
    X, y, rows = X[::step], y[::step], len(y)
    if step > 1 and (len(y) < MIN_SAMPLED or len(np.unique(y)) < len(classifier.classes_)):
        return analysis
    approximate_model = clone(model).set_params(tol=max(model.tol, APPROXIMATE_TOL), verbose=0)
    if with_terms:
        X, X_test = (_with_equal_penalty(classifier, part) for part in (X, X_test))
        approximate_model.set_params(penalty_factors=None)
    added = added_on_rows(X, y, X_test, labels[test], columns, model=approximate_model, dependent=groups)
    fitted_to = f"all models are fitted to {len(y):,} of the {rows:,} training rows" if step > 1 else ""
    analysis = replace(analysis, added=tuple(added), added_rows=fitted_to)
    if with_terms:
        return analysis
    return replace(
        analysis,
        code=prequential_codelength(X, y, model=approximate_model),
        effects=_effects(classifier, X, y),
    )


def _features_of_columns(encoder: Encoder) -> dict[str, list[int]]:
    """Return the places of the features of each column, those of its interactions included."""
    places: dict[str, list[int]] = {code.name: [] for code in encoder.column_encoders}
    first = 0
    for part in encoder.parts:
        names = (part.left.column, part.right.column) if isinstance(part, PairEncoder) else (part.name,)
        for name in names:
            places[name] += range(first, first + part.width)
        first += part.width
    return places


def _with_equal_penalty(classifier: TableClassifier, X: Any) -> Any:
    """Return features that are divided by the roots of their penalty factors, with which all factors are 1."""
    factors = classifier.model_.penalty_factors
    scale = 1 / np.sqrt([factors[name] for name in classifier.feature_names_out_])
    return X * scale if isinstance(X, np.ndarray) else X @ sp.diags_array(scale)


def analyse_rows(classifier: TableClassifier, table: pa.Table, codes: Codes, P: Array) -> ColumnAnalysis:
    """Return the analyses without training rows: tests of linearity on these rows, and odds ratios."""
    X = classifier.encoder_.transform(table, np.arange(len(codes))[:: -(-len(codes) // MAX_DESCRIBED_ROWS)])
    some = slice(None, None, -(-len(codes) // MAX_DESCRIBED_ROWS))
    return ColumnAnalysis(
        linearity=tuple(linearity_results(classifier.encoder_, X, codes[some], P[some])),
        linearity_rows="these rows",
        odds=odds_ratios(classifier, X),
    )


def _codes(model: Any, y: Array) -> Codes:
    """Return labels as indices of the classes of the model."""
    return np.asarray(Classes.of(model.classes_).encode(y), dtype=np.int64)


def _effects(classifier: TableClassifier, X: Any, y: Array) -> tuple[Effect, ...]:
    """Return the effects of largest |z|, one for each feature: on the class it changes most, or the second of two."""
    model = classifier.model_
    if X.shape[1] * len(model.classes_) > MAX_PARAMETERS:
        return ()
    try:
        inference = infer(model, X, y)
        changes = {**inference.changes, **discrete_changes(classifier.encoder_, X)}
        effects = replace(inference, changes=changes).effects()
    except ValueError:  # an L1 penalty or no finite optimum: there are no standard errors
        return ()
    error = np.where(effects.std_error > 0, effects.std_error, np.inf)
    z = np.abs(effects.estimate) / error  # (q, d)
    best = np.full(X.shape[1], 1) if len(effects.classes) == 2 else np.abs(effects.estimate).argmax(axis=0)
    at, shown = np.arange(X.shape[1]), _shown_features(classifier.encoder_, changes)
    order = np.argsort(-z[best, at], kind="stable")[:MAX_EFFECTS]
    return tuple(
        Effect(
            shown[j],
            str(effects.classes[k]),
            float(effects.estimate[k, j]),
            float(effects.lower[k, j]),
            float(effects.upper[k, j]),
        )
        for j in order
        for k in [int(best[j])]
        if z[k, j] > 0
    )


def _shown_features(encoder: Encoder, changes: Mapping[int, Change]) -> list[str]:
    """Return the change of each feature: `sex=female rather than male`, or `age (+12)` for one standard deviation."""
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
