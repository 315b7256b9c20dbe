"""Statistics of a table: which columns matter for the label, by how much, and how sure that is."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from softreg.models import Inference, SoftmaxRegression, infer
from softreg.models.estimates import ChiSquared
from softreg.optimize import Status
from softreg.tables.codes import CategoryCode, NumberCode
from softreg.tables.encoder import Encoder
from softreg.tables.errors import TableError, shown
from softreg.tables.reader import as_table
from softreg.tables.rows import row_numbers
from softreg.tables.schema import learn_schema
from softreg.tables.target import check_labels, labels

MOST = 4_000
"""Features, at most."""


@dataclass(frozen=True, eq=False)
class TableStatistics:
    """The statistics of a table, made by `table_statistics`.

    `inference` has coefficients, odds ratios, effects and tests of its features, in the columns' own units. `groups`
    has the features of each column, and `against` the level that a category's other levels are compared with.
    """

    target: str
    inference: Inference
    groups: dict[str, tuple[str, ...]]
    against: dict[str, str]

    def column_tests(self) -> dict[str, ChiSquared]:
        """For each column of the table, a test that none of its features matters for any class.

        A likelihood ratio, which takes a fit for each column, where the errors are those of the model; Wald's where
        they are robust, for a likelihood ratio trusts the model.
        """
        robust = self.inference.errors in ("robust", "clustered")
        test = self.inference.wald if robust else self.inference.likelihood_ratio
        return {column: test(list(features)) for column, features in self.groups.items() if features}

    def text(self, intervals: str = "Wald") -> str:
        """The summary (with Wald's intervals, or by the "profile" likelihood), what categories are compared with, and a
        test of each column."""
        tests = self.column_tests()
        wide = max(len(name) for name in tests)
        lines = [f"  {name.ljust(wide)}  {test}" for name, test in tests.items()]
        levels = [f"  {name.ljust(wide)}  {level}" for name, level in self.against.items()]
        compared = ["", "Levels are compared with:", *levels] if levels else []
        return "\n".join(
            [self.inference.summary(intervals).text().rstrip(), *compared, "", "Does the column matter?", *lines]
        )

    def __str__(self) -> str:
        return self.text()


def table_statistics(
    data: Any,
    target: str,
    *,
    rows: ArrayLike | None = None,
    drop: Sequence[str] = (),
    penalty: Literal["firth"] | None = None,
    reference: str | None = None,
    errors: str | None = None,
    clusters: str | None = None,
    level: float = 0.95,
) -> TableStatistics:
    """Fit the table without a penalty (or with Firth's) and say what can be said of its columns.

    Numbers keep their units, booleans are 0 and 1, and each category is told against its most frequent level. `data`:
    a path, a pyarrow table or a data frame. `rows`: which of them, all where None. `drop`: columns to leave out.
    `reference`: the class that others are compared with, the first unless given. `errors`: "model" or "robust".
    `clusters`: a column whose equal values mark rows that depend on each other; it is no feature. Raises `TableError`
    for a table that cannot be learned from and for separated classes, `ValueError` for columns that others determine.

    Example:
        >>> import pyarrow as pa
        >>> random = np.random.default_rng(0)
        >>> age, town = random.integers(20, 70, 400), random.choice(["Bonn", "Kiel", "Ulm"], 400, p=[0.5, 0.3, 0.2])
        >>> p = 1 / (1 + np.exp(-(age - 45) / 10 - (town == "Kiel")))
        >>> table = pa.table({"age": age, "town": town, "buys": np.where(random.random(400) < p, "yes", "no")})
        >>> found = table_statistics(table, "buys")
        >>> found.against, found.inference.columns
        ({'town': 'Bonn'}, ('(bias)', 'age', 'town=Kiel', 'town=Ulm'))
        >>> print(found.column_tests()["age"])
        likelihood ratio: 160.7 on 1 df, p < 0.001
    """
    dropped = (drop,) if isinstance(drop, str) else tuple(drop)
    table = as_table(data, unused=set(dropped) - {clusters, target})
    chosen = row_numbers(rows, table.num_rows)
    y = labels(table, target)
    check_labels(y, target)
    groups = None if clusters is None else _clusters(table, clusters, chosen)
    schema = learn_schema(
        table, target, drop=dropped if clusters is None or clusters in dropped else (*dropped, clusters), rows=chosen
    )
    X, names, by_column, against = _told_apart(Encoder.learn(schema, table, chosen).in_units(), table, chosen)
    y = y if chosen is None else y[chosen]
    model = SoftmaxRegression(penalty=penalty, tol=1e-8)
    model._column_names = np.array(names, dtype=object)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X, y)
    if model.solution_.status is Status.SEPARATED:
        raise TableError(
            f"{told[0].message} A category has such a level where all of its rows have one label; penalty='firth' "
            "(--penalty firth on the command line) gives finite weights and tests all the same."
        )
    found = infer(model, X, y, reference=reference, errors=errors, clusters=groups, level=level)
    return TableStatistics(target, found, by_column, against)


def _told_apart(
    encoder: Encoder, table: Any, rows: NDArray[np.int64] | None
) -> tuple[Any, list[str], dict[str, tuple[str, ...]], dict[str, str]]:
    """X in the columns' units and without one level of each category, its names, those of each column, the levels."""
    X = encoder.transform(table, rows)
    scale, shift, keep = np.ones(X.shape[1]), np.zeros(X.shape[1]), np.ones(X.shape[1], dtype=bool)
    count = np.asarray(X.sum(axis=0)).ravel()
    names, by_column, against, start = list(encoder.feature_names_out), {}, {}, 0
    for code in encoder.codes:
        here = np.arange(start, start + len(code.features))
        start += len(here)
        if isinstance(code, NumberCode):
            scale[here[0]], shift[here[0]] = code.scale, code.mean
        if isinstance(code, CategoryCode):
            most = int(here[np.argmax(count[here])])
            keep[most], against[code.name] = False, names[most].removeprefix(f"{code.name}=")
        by_column[code.name] = tuple(names[j] for j in here if keep[j])
    kept = [name for name, keeps in zip(names, keep, strict=True) if keeps]
    if len(kept) > MOST:
        widest = max(by_column, key=lambda column: len(by_column[column]))
        raise TableError(
            f"The columns make {len(kept):,} features, of which {len(by_column[widest]):,} are levels of "
            f"{shown(widest)}; statistics keep the covariance of at most {MOST:,}. Leave such columns out (drop)."
        )
    X = X[:, np.flatnonzero(keep)]
    X = X.toarray() if sp.issparse(X) else X
    return X * scale[keep] + shift[keep], kept, by_column, against


def _clusters(table: Any, name: str, rows: NDArray[np.int64] | None) -> NDArray[Any]:
    """The values of the column that marks rows which depend on each other, as text."""
    if name not in table.column_names:
        raise TableError(f"The table has no column {shown(name)}, whose values should mark rows that belong together.")
    values = np.array([str(value) for value in table.column(name).to_pylist()])
    return values if rows is None else values[rows]
