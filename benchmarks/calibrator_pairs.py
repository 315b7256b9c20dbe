"""Probabilities of usual classifiers on the tables of packages: the pairs of `benchmarks/calibrators.py`.

A pair is a table of `package_tables` with at least 500 rows, and a model of `MODELS`. Half of the rows (at most 6,000)
train the model, a quarter (at most 3,000) are those on which calibrators are fitted, and a quarter (at most 3,000)
those on which they are compared, drawn with the seed and in the proportions of the classes. Probabilities are kept in
build/calibrators, so that a second run fits no model.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import package_tables
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

FEWEST_ROWS = 500
MOST_TRAINED, MOST_HELD_OUT = 6_000, 3_000
MOST_LEVELS = 30
"""Levels of a category with a column of their own; the others share one."""
KEPT = Path(__file__).resolve().parents[1] / "build" / "calibrators"


def lightgbm(seed: int) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=100, random_state=seed, n_jobs=1, verbose=-1)


MODELS: dict[str, Callable[[int], Any]] = {
    "gradient boosting": lambda seed: HistGradientBoostingClassifier(max_iter=100, random_state=seed),
    "random forest": lambda seed: RandomForestClassifier(100, random_state=seed, n_jobs=1),
    "extra trees": lambda seed: ExtraTreesClassifier(100, random_state=seed, n_jobs=1),
    "naive Bayes": lambda seed: GaussianNB(),
    "nearest neighbours": lambda seed: KNeighborsClassifier(15),
    "neural network": lambda seed: MLPClassifier((50,), max_iter=60, random_state=seed),
    "LightGBM": lightgbm,
}


@dataclass(frozen=True)
class Pair:
    """Probabilities and class codes of the rows for calibration, and of the rows for comparison."""

    table: str
    model: str
    P: np.ndarray
    y: np.ndarray
    P_new: np.ndarray
    y_new: np.ndarray

    @property
    def name(self) -> str:
        return f"{self.table}, {self.model}"

    @property
    def q(self) -> int:
        return self.P.shape[1]


def names() -> list[tuple[str, str]]:
    """Table and model of every pair; LightGBM takes part where it is installed."""
    models = [name for name in MODELS if name != "LightGBM" or importlib.util.find_spec("lightgbm")]
    return [(table, model) for table in tables() for model in models]


def tables() -> list[str]:
    return [name for name in package_tables.TARGETS if len(package_tables.load(name)[0]) >= FEWEST_ROWS]


def pair(table: str, model: str, seed: int) -> Pair:
    """The pair, from build/calibrators where it is kept."""
    path = KEPT / f"{table.replace('/', '-')}-{model.replace(' ', '-')}-{seed}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **predicted(table, model, seed))
    with np.load(path) as kept:
        return Pair(table, model, *(kept[name] for name in ("P", "y", "P_new", "y_new")))


def predicted(table: str, model: str, seed: int) -> dict[str, np.ndarray]:
    X, y = arrays(table)
    train, rest = split(y, np.arange(len(y)), 0.5, seed)
    held, new = split(y, rest, 0.5, seed)
    train, held, new = at_most(train, MOST_TRAINED), at_most(held, MOST_HELD_OUT), at_most(new, MOST_HELD_OUT)
    fitted = make_pipeline(encoder(), MODELS[model](seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted.fit(X.iloc[train], y[train])
        P, P_new = (fitted.predict_proba(X.iloc[rows]).astype(np.float64) for rows in (held, new))
    return {
        "P": P / P.sum(1, keepdims=True),
        "y": y[held],
        "P_new": P_new / P_new.sum(1, keepdims=True),
        "y_new": y[new],
    }


def split(y: np.ndarray, rows: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = train_test_split(rows, test_size=share, random_state=seed, stratify=y[rows])
    return first, second


def at_most(rows: np.ndarray, most: int) -> np.ndarray:
    """The first rows, which `train_test_split` has shuffled."""
    return rows[:most]


def arrays(table: str) -> tuple[pd.DataFrame, np.ndarray]:
    frame, target = package_tables.load(table)
    X = frame.drop(columns=target)
    for name in X.columns:
        if not pd.api.types.is_numeric_dtype(X[name]):
            X[name] = X[name].astype("string").fillna("(missing)").astype(object)
    return X, LabelEncoder().fit_transform(frame[target])


def encoder() -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    levels = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MOST_LEVELS, sparse_output=False)
    number_columns = make_column_selector(dtype_include="number")
    return make_column_transformer(
        (numbers, number_columns), (levels, make_column_selector(dtype_exclude="number")), sparse_threshold=0.0
    )
