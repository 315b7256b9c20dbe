"""The model behind a table: fitted at the strength given, or at the one that cross-validation chooses."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models import Path, SoftmaxRegression, SoftmaxRegressionCV
from softreg.tables.errors import TableWarning

FOLDS = 5
STRENGTH = 1e-4
"""What a table gets that is too small for folds."""


def fit_model(
    settings: Mapping[str, Any], X: Any, y: NDArray[np.str_], names: NDArray[Any]
) -> tuple[SoftmaxRegression, Path | None]:
    """The fitted model, and the path that its strength was chosen from, if `settings["strength"]` is "auto".

    Folds are shuffled, because rows of a file often stand in some order. Where fewer than two classes have two rows,
    nothing can be held out: the strength is then 1e-4, with a `TableWarning`.
    """
    if settings["strength"] != "auto":
        return _fit(settings, X, y, names), None
    counts = np.sort(np.unique(y, return_counts=True)[1])
    if counts[-2] < 2:
        warnings.warn(
            f"of the {len(y):,} rows to train on, fewer than two classes have two rows: too few to choose a strength "
            f"by holding rows out, so it is {STRENGTH:g}",
            TableWarning,
            stacklevel=4,
        )
        return _fit({**settings, "strength": STRENGTH}, X, y, names), None
    others = {name: value for name, value in settings.items() if name != "strength"}
    splits = _splits(y, min(FOLDS, int(counts[-2])), settings["random_state"])
    choice = SoftmaxRegressionCV(cv=splits, **others)
    choice._column_names = names
    choice.fit(X, y)
    model = choice.best_estimator_
    model._column_names = names
    return model, choice.path_


def _fit(settings: Mapping[str, Any], X: Any, y: NDArray[np.str_], names: NDArray[Any]) -> SoftmaxRegression:
    model = SoftmaxRegression(**settings)
    model._column_names = names
    return model.fit(X, y)


def _splits(y: NDArray[np.str_], folds: int, seed: int | None) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    from sklearn.model_selection import StratifiedKFold

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a class has fewer rows than there are folds
        splitter = StratifiedKFold(folds, shuffle=True, random_state=0 if seed is None else seed)
        return list(splitter.split(np.zeros((len(y), 1)), y))
