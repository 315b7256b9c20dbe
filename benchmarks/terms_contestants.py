"""Contestants of the benchmark of terms: each takes a split and returns probabilities of the held-out rows.

- softreg linear: `TableClassifier(target, strength="auto")`, with `terms="linear"` where "auto" is the default.
- softreg terms: the same with `terms="auto"`; not available in versions without that parameter.
- pipeline: scikit-learn's, as in `table_peers`.
- lightgbm: learning rate 0.05, categories as pandas categories, all else by default. A stratified fifth of the training
  rows stops the rounds (after 100 without improvement, at most 5,000); then the model is fitted again to all training
  rows with that many rounds, as is common practice. Both fits are timed.
- lightgbm calibrated: the same with a temperature, which is fitted to the fifth that stops the rounds.
- ebm: `ExplainableBoostingClassifier()` with its defaults, pairs "3x" among them, for two classes, and `interactions=0`
  for several, which the package itself recommends there (it shows no pairs of several classes); one job.
- ebm pairs: the defaults for several classes. A fit takes minutes on 200 rows and its model tens of megabytes, so it is
  measured only where it is named, on the first split.
- ebm calibrated: the probabilities of ebm with a temperature, which is fitted to a fifth of the training rows with
  those of a second EBM of the other four fifths. Its seconds are those of both.

Strings go to LightGBM as categories of the training rows (new ones are missing there) and to EBM as they are, missing
values to both as they are.
"""

from __future__ import annotations

import inspect
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import table_peers
from scipy.optimize import minimize_scalar
from sklearn.model_selection import train_test_split

from softreg.tables import TableClassifier

LEAST = 1e-15
"""Probabilities are clipped here before the logarithm, so that one row cannot make a loss infinite."""
TARGET = "the target"
PART = 0.2
"""Share of the training rows that stops rounds or fits a temperature."""
RATE, MOST_ROUNDS, PATIENCE = 0.05, 5_000, 100
WIDEST_TEMPERATURE = 20.0


@dataclass(frozen=True)
class Prediction:
    P: np.ndarray
    size: int
    """Bytes of the stored model."""
    seconds: float = 0.0
    """Seconds of CPU; for a contestant itself those of another one, whose fit it starts from."""


@dataclass(frozen=True)
class Split:
    """Training and held-out rows; columns of one value in training are left out."""

    train: pd.DataFrame
    y: np.ndarray
    test: pd.DataFrame
    y_test: np.ndarray
    classes: np.ndarray
    """All classes, sorted, which are the columns of probabilities."""
    earlier: dict[str, Prediction]
    """What other contestants predicted on this split."""

    @classmethod
    def of(cls, frame: pd.DataFrame, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> Split:
        varying = frame.columns[frame.iloc[train].nunique(dropna=False) > 1]
        parts = (frame.loc[rows, varying].reset_index(drop=True) for rows in (train, test))
        return cls(next(parts), y[train], next(parts), y[test], np.unique(y), {})

    def halves(self, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers of four fifths of the training rows and of the fifth that judges them, stratified."""
        rows = np.arange(len(self.y))
        rest, part = train_test_split(rows, test_size=PART, random_state=seed, stratify=self.y)
        return rest, part


@dataclass(frozen=True)
class Contestant:
    fit: Callable[[Split], Prediction]
    settings: str
    """Versions and settings; a result with other ones is measured again."""
    package: str = "softreg"
    after: str = ""
    """A contestant whose probabilities this one starts from."""
    is_costly: bool = False
    """Measured only where it is named, on the first split of tables of several classes."""

    def takes(self, seed: int, q: int) -> bool:
        """Whether it is measured on this split of a table of q classes."""
        return not self.is_costly or (seed == 0 and q > 2)

    def absent(self) -> str:
        """Why this contestant cannot run here, or ''."""
        if find_spec(self.package) is None:
            return f"{self.package} is not installed"
        if self.fit is softreg_terms and not has_terms():
            return "TableClassifier has no parameter terms: not available yet"
        return ""


def has_terms() -> bool:
    return "terms" in inspect.signature(TableClassifier).parameters


def linear_option() -> dict[str, str]:
    """What `TableClassifier` needs for a model that is linear in its columns."""
    return {"terms": "linear"} if has_terms() and default_terms() == "auto" else {}


def default_terms() -> Any:
    return inspect.signature(TableClassifier).parameters["terms"].default


def by_softreg(split: Split, **options: Any) -> Prediction:
    model = TableClassifier(TARGET, strength="auto", **options).fit(split.train.assign(**{TARGET: split.y}))
    P = in_order(np.asarray(model.predict_proba(split.test)), np.asarray(model.classes_), split.classes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.softreg"
        model.save(path)
        return Prediction(P, path.stat().st_size)


def softreg_linear(split: Split) -> Prediction:
    return by_softreg(split, **linear_option())


def softreg_terms(split: Split) -> Prediction:
    return by_softreg(split, terms="auto")


def pipeline(split: Split) -> Prediction:
    model = table_peers.pipeline().fit(table_peers.readable(split.train), split.y)
    P = in_order(model.predict_proba(table_peers.readable(split.test)), model.classes_, split.classes)
    return Prediction(P, len(pickle.dumps(model)))


def lightgbm(split: Split, calibrated: bool = False) -> Prediction:
    """Rounds from a fifth of the training rows, then a fit of all of them."""
    import lightgbm as lgb

    def classifier(rounds: int) -> Any:
        return lgb.LGBMClassifier(n_estimators=rounds, learning_rate=RATE, n_jobs=1, verbose=-1, random_state=0)

    train, test = as_categories(split)
    rest, part = split.halves()
    stopped = classifier(MOST_ROUNDS).fit(
        train.iloc[rest],
        split.y[rest],
        eval_set=[(train.iloc[part], split.y[part])],  # eval_X and eval_y of 4.7 take no strings as labels
        eval_metric="logloss" if len(split.classes) == 2 else "multi_logloss",
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
    )
    model = classifier(max(1, stopped.best_iteration_)).fit(train, split.y)
    P = in_order(model.predict_proba(test), model.classes_, split.classes)
    if calibrated:
        judged = in_order(stopped.predict_proba(train.iloc[part]), stopped.classes_, split.classes)
        P = warmed(P, temperature(judged, np.searchsorted(split.classes, split.y[part])))
    return Prediction(P, len(pickle.dumps(model)))


def lightgbm_calibrated(split: Split) -> Prediction:
    return lightgbm(split, calibrated=True)


def as_categories(split: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Strings as categories of the training rows, and names that LightGBM takes."""
    train, test = split.train.copy(), split.test.copy()
    for name, column in train.items():
        if column.dtype == object:
            kind = pd.CategoricalDtype(sorted(column.dropna().unique()))
            known = test[name].where(test[name].isin(kind.categories))
            train[name], test[name] = column.astype(kind), known.astype(kind)
    names = [f"x{j}" for j in range(train.shape[1])]
    return train.set_axis(names, axis=1), test.set_axis(names, axis=1)


def ebm(split: Split, pairs: bool = False) -> Prediction:
    model = fitted_ebm(split.train, split.y, pairs or len(split.classes) == 2)
    return Prediction(ebm_probabilities(model, split.test, split), len(pickle.dumps(model)))


def ebm_pairs(split: Split) -> Prediction:
    return ebm(split, pairs=True)


def ebm_calibrated(split: Split) -> Prediction:
    rest, part = split.halves()
    model = fitted_ebm(split.train.iloc[rest].reset_index(drop=True), split.y[rest], len(split.classes) == 2)
    judged = ebm_probabilities(model, split.train.iloc[part].reset_index(drop=True), split)
    found = temperature(judged, np.searchsorted(split.classes, split.y[part]))
    full = split.earlier["ebm"]
    return Prediction(warmed(full.P, found), full.size, full.seconds)


def fitted_ebm(X: pd.DataFrame, y: np.ndarray, pairs: bool) -> Any:
    from interpret.glassbox import ExplainableBoostingClassifier

    options = {} if pairs else {"interactions": 0}
    return ExplainableBoostingClassifier(n_jobs=1, **options).fit(X, y)


def ebm_probabilities(model: Any, X: pd.DataFrame, split: Split) -> np.ndarray:
    return in_order(model.predict_proba(X), model.classes_, split.classes)


def in_order(P: np.ndarray, classes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Columns in the order of `wanted`; a class unknown to the model has probability 0."""
    ordered = np.zeros((len(P), len(wanted)))
    ordered[:, np.searchsorted(wanted, classes.astype(str))] = P
    return ordered


def temperature(P: np.ndarray, codes: np.ndarray) -> float:
    """The temperature of least log loss, between 1 / 20 and 20."""
    log = np.log(np.clip(P, LEAST, 1.0))
    rows, widest = np.arange(len(codes)), np.log(WIDEST_TEMPERATURE)

    def loss(log_temperature: float) -> float:
        logits = log / np.exp(log_temperature)
        return float((np.logaddexp.reduce(logits, axis=1) - logits[rows, codes]).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-widest, widest), method="bounded").x))


def warmed(P: np.ndarray, found: float) -> np.ndarray:
    logits = np.log(np.clip(P, LEAST, 1.0)) / found
    return np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])


def of(package: str) -> str:
    return f"{package} {version(package)}" if package_found(package) else package


def package_found(package: str) -> bool:
    return find_spec({"interpret-core": "interpret", "scikit-learn": "sklearn"}.get(package, package)) is not None


def registry() -> dict[str, Contestant]:
    """Contestants by name, in the order of the page."""
    trees = f"{of('lightgbm')}, learning rate {RATE}, a fifth stops (patience {PATIENCE}), fitted again to all rows"
    bags = f"{of('interpret-core')}, defaults, without pairs for several classes"
    return {
        "softreg linear": Contestant(softreg_linear, of("softreg")),
        "softreg terms": Contestant(softreg_terms, of("softreg")),
        "pipeline": Contestant(pipeline, of("scikit-learn"), "sklearn"),
        "lightgbm": Contestant(lightgbm, trees, "lightgbm"),
        "lightgbm calibrated": Contestant(lightgbm_calibrated, f"{trees}, temperature of that fifth", "lightgbm"),
        "ebm": Contestant(ebm, bags, "interpret"),
        "ebm calibrated": Contestant(ebm_calibrated, f"{bags}, temperature of a fifth", "interpret", after="ebm"),
        "ebm pairs": Contestant(ebm_pairs, f"{of('interpret-core')}, defaults", "interpret", is_costly=True),
    }
