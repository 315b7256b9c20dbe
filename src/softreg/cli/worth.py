"""What a model learned, for the report: what columns add, what the labels take, what moves the probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from softreg.models import Added, CodeLength, added_on_rows, infer, prequential_codelength
from softreg.models.effects import Change
from softreg.report import Effect
from softreg.tables import TableClassifier
from softreg.tables.changes import encoded_changes
from softreg.tables.codes import NumberCode
from softreg.tables.encoder import Encoder

if TYPE_CHECKING:
    import pyarrow as pa

MOST_FITTED = 2_000_000_000
"""Numbers that are read to fit once without each column; more would take longer than half a minute."""
MOST_PARAMETERS = 600
"""Parameters for whose covariance effects are computed."""
MOST_EFFECTS = 40
ROUGH = 1e-5
"""Nats: near enough to an optimum for figures of four places."""


@dataclass(frozen=True)
class Worth:
    """What stands in the report beside the audit; what would take too long is left out."""

    added: tuple[Added, ...] = ()
    code: CodeLength | None = None
    effects: tuple[Effect, ...] = ()


def worth(
    classifier: TableClassifier,
    table: pa.Table,
    labels: NDArray[Any],
    training: NDArray[np.int64],
    test: NDArray[np.int64],
) -> Worth:
    """Fit without each column and to growing parts of the training rows, and ask for effects."""
    model, codes = classifier.model_, classifier.encoder_.codes
    X, X_test = (classifier.encoder_.transform(table, rows) for rows in (training, test))
    ends = np.cumsum([0, *(len(code.features) for code in codes)])
    groups = {code.name: range(a, b) for code, (a, b) in zip(codes, pairwise(ends.tolist()), strict=True)}
    entries = X.nnz if hasattr(X, "nnz") else X.size
    if entries * len(classifier.classes_) * (len(groups) + 4) > MOST_FITTED:
        return Worth()
    y = labels[training]
    rough = clone(model).set_params(tol=max(model.tol, ROUGH), verbose=0)
    return Worth(
        tuple(added_on_rows(X, y, X_test, labels[test], groups, model=rough)),
        prequential_codelength(X, y, model=rough),
        _effects(classifier, X, y),
    )


def _effects(classifier: TableClassifier, X: Any, y: NDArray[Any]) -> tuple[Effect, ...]:
    """The effects that are surest, each feature once, on the class that it moves most; of two classes, the second."""
    model = classifier.model_
    if X.shape[1] * len(model.classes_) > MOST_PARAMETERS:
        return ()
    try:
        inference = infer(model, X, y)
        changes = {**inference.changes, **encoded_changes(classifier.encoder_, X)}
        found = replace(inference, changes=changes).effects()
    except ValueError:  # an l1 part, or no finite optimum: then there are no errors to speak of
        return ()
    error = np.where(found.std_error > 0, found.std_error, np.inf)
    sure = np.abs(found.estimate) / error  # (q, d)
    best = np.full(X.shape[1], 1) if len(found.classes) == 2 else np.abs(found.estimate).argmax(axis=0)
    at, shown = np.arange(X.shape[1]), _shown_features(classifier.encoder_, changes)
    order = np.argsort(-sure[best, at], kind="stable")[:MOST_EFFECTS]
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
    for code in encoder.codes:
        for place in range(code.width):
            feature = names[len(shown)]
            if (change := changes.get(len(shown))) is not None:
                shown.append(f"{feature}{':' if change.words[0].isdigit() else ''} {change.words}")
            elif isinstance(code, NumberCode) and place == 0 and not code.knots:
                shown.append(f"{feature} (+{code.scale:.3g})")
            else:
                shown.append(feature)
    return shown
