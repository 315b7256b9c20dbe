"""Held-out log loss of `TableClassifier` and of a cross-validated scikit-learn pipeline on the tables of packages.

    python benchmarks/table_peers.py [--quick] [--columns] [--only NAME ...]
    make bench-tables

The tables are those of `package_tables`. Both sides get the same data frame and the same stratified folds; a column of
one value in the training rows is left out for both. softreg runs with `strength="auto"` and no other option. The
pipeline imputes medians and standardises numbers, encodes categories one-hot with a missing value as a level of its
own, and ends in `LogisticRegressionCV` (ten values of C, five stratified folds, log loss). Tables of up to 3,000 rows
use all five folds, those of up to 10,000 two and larger ones one. The difference is the mean over held-out rows of
softreg's loss minus the pipeline's, with its standard error; losses are those of probabilities clipped at 1e-15.
Differences within 0.002 nats are ties. Seconds are those of the CPU, of all threads, as other programs may run.

`--quick` leaves out tables of more than 3,000 rows and uses one fold. `--columns` prints what softreg makes of each
column. `--only` takes a part of a name, and may be given several times.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
import package_tables
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from softreg.tables import TableClassifier
from softreg.tables.columns.table_errors import TableError

FOLDS = 5
MARGIN = 0.002
"""Differences of log loss up to this are ties."""
LEAST = 1e-15
"""Probabilities are clipped here before the logarithm, so that one row cannot make a loss infinite."""
SMALL, MEDIUM = 3_000, 10_000


@dataclass(frozen=True)
class Result:
    """Held-out losses of all rows on both sides, and seconds of CPU for fitting and predicting."""

    name: str
    size: str
    softreg: NDArray[np.float64]
    pipeline: NDArray[np.float64]
    seconds: tuple[float, float]

    @property
    def difference(self) -> float:
        return float((self.softreg - self.pipeline).mean())

    @property
    def error(self) -> float:
        return float((self.softreg - self.pipeline).std(ddof=1) / np.sqrt(len(self.softreg)))

    @property
    def verdict(self) -> str:
        return "win" if self.difference < -MARGIN else "loss" if self.difference > MARGIN else "tie"

    def __str__(self) -> str:
        return (
            f"{self.name:<26}{self.size:>18}  {self.softreg.mean():7.4f}  {self.pipeline.mean():8.4f}  "
            f"{self.difference:+8.4f} ± {self.error:.4f}  {self.seconds[0]:7.1f} {self.seconds[1]:7.1f}  {self.verdict}"
        )


def compared(name: str, quick: bool, columns: bool) -> Result:
    frame, target = package_tables.load(name)
    y = frame[target].to_numpy(dtype=str)
    folds = 1 if quick or len(frame) > MEDIUM else 2 if len(frame) > SMALL else FOLDS
    losses: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
    seconds = [0.0, 0.0]
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(y, y)
    for _, (train, test) in zip(range(folds), splits, strict=False):
        varying = frame.columns[frame.iloc[train].nunique(dropna=False) > 1]
        for side, fitted in enumerate((by_softreg, by_pipeline)):
            start = time.process_time()
            P, classes = fitted(frame.loc[train, varying], frame.loc[test, varying], target)
            seconds[side] += time.process_time() - start
            p = P[np.arange(len(test)), np.searchsorted(classes, y[test])]
            losses[side].append(-np.log(np.maximum(p, LEAST)))
    if columns:
        for name_, kind, reason in TableClassifier(target, terms="linear").fit(frame.loc[train, varying]).describe():
            print(f"    {name_}: {kind}, {reason}")
    size = f"{len(frame):,} x {frame.shape[1] - 1}, q {len(np.unique(y))}"
    return Result(name, size, np.concatenate(losses[0]), np.concatenate(losses[1]), (seconds[0], seconds[1]))


def by_softreg(train: pd.DataFrame, test: pd.DataFrame, target: str) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Probabilities of the held-out rows and the classes in sorted order, which are their columns."""
    model = TableClassifier(target, strength="auto", terms="linear").fit(train)
    return in_order(np.asarray(model.predict_proba(test)), np.asarray(model.classes_))


def by_pipeline(train: pd.DataFrame, test: pd.DataFrame, target: str) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    model = pipeline().fit(readable(train.drop(columns=target)), train[target].to_numpy(dtype=str))
    return in_order(model.predict_proba(readable(test.drop(columns=target))), model.classes_)


def in_order(P: NDArray[np.float64], classes: NDArray[np.str_]) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    classes = classes.astype(str)
    order = np.argsort(classes)
    return P[:, order], classes[order]


def readable(X: pd.DataFrame) -> pd.DataFrame:
    """Numbers as float64, all else as strings with a missing value as a level."""
    return pd.DataFrame(
        {
            name: x.astype(float) if is_number(x) else x.map(str, na_action="ignore").fillna("missing")
            for name, x in X.items()
        }
    )


def is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def pipeline() -> Pipeline:
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    cv = StratifiedKFold(5, shuffle=True, random_state=0)
    return make_pipeline(columns, LogisticRegressionCV(Cs=10, cv=cv, scoring="neg_log_loss", max_iter=500))


def summary(results: list[Result]) -> None:
    lost = sorted((r for r in results if r.verdict == "loss"), key=lambda r: -r.difference)
    counts = {verdict: sum(r.verdict == verdict for r in results) for verdict in ("win", "loss", "tie")}
    ours, theirs = (sum(r.seconds[side] for r in results) for side in (0, 1))
    print(
        f"{len(results)} tables: {counts['win']} wins, {counts['loss']} losses and {counts['tie']} ties of softreg "
        f"by more than {MARGIN} nats; {ours:.0f} s and {theirs:.0f} s of the CPU"
    )
    clear = [r for r in lost if r.difference > 2 * r.error]
    print(f"of the losses, {len(clear)} exceed two standard errors; all of them, the largest first:")
    for result in lost:
        print(result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one fold, and no table of more than 3,000 rows")
    parser.add_argument("--columns", action="store_true", help="print what softreg makes of each column")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a part of a table's name")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    names = [name for name in package_tables.TARGETS if not arguments.only or any(o in name for o in arguments.only)]
    print(f"{'table':<26}{'size':>18}  softreg  pipeline  difference ± SE    CPU seconds of both")
    results, refused = [], []
    with threadpool_limits(1):  # threads of BLAS only hinder fits of this size
        for name in names:
            if arguments.quick and len(package_tables.load(name)[0]) > SMALL:
                continue
            try:
                results.append(compared(name, arguments.quick, arguments.columns))
                print(results[-1], flush=True)
            except TableError as error:
                refused.append(name)
                print(f"{name:<26} softreg refuses: {error}", flush=True)
    summary(results)
    if refused:
        print(f"refused by softreg: {', '.join(refused)}")


if __name__ == "__main__":
    main()
