"""Statistics of a table: which columns matter for the label, by how much, and how sure that is."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from softreg.models import Inference, SoftmaxRegression, infer
from softreg.models.effects import Change
from softreg.models.estimates import ChiSquared
from softreg.optimize import Status
from softreg.tables.changes import level_changes, level_names
from softreg.tables.codes import BooleanCode, CategoryCode, NumberCode
from softreg.tables.encoder import Encoder
from softreg.tables.errors import Names, TableError, column_names, shown
from softreg.tables.grouping import group_codes
from softreg.tables.kinds import asked_kinds
from softreg.tables.reader import as_table
from softreg.tables.rows import row_numbers
from softreg.tables.schema import learn_schema
from softreg.tables.target import check_labels, labels

MOST = 4_000
"""Features, at most."""
NEAR = 1e-12
"""How far from 0 and 1 the numbers of a column may lie that holds nothing else: what rounding leaves is some 1e-16."""


@dataclass(frozen=True, eq=False)
class TableStatistics:
    """The statistics of a table, made by `table_statistics`.

    `inference` has coefficients, odds ratios, effects and tests of its features, in the columns' own units. `groups`
    has the names of the features of each column, `places` their places among the columns of `inference`, and `against`
    the level that a category's other levels are compared with.
    """

    target: str
    inference: Inference
    groups: dict[str, tuple[str, ...]]
    against: dict[str, str]
    places: dict[str, tuple[int, ...]] = field(repr=False)

    def column_tests(self) -> dict[str, ChiSquared]:
        """For each column of the table, a test that none of its features matters for any class.

        A likelihood ratio, which takes a fit for each column, where the errors are model-based; Wald's where they are
        robust, for a likelihood ratio assumes that the model holds.
        """
        test = self.inference.wald if self.inference.test_kind == "Wald" else self.inference.likelihood_ratio
        return {column: test(list(places)) for column, places in self.places.items() if places}

    def text(self, intervals: str | None = None) -> str:
        """The summary (with intervals of this kind, as in `Inference.summary`), what categories are compared with, and
        a test of each column."""
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
    drop: Names = (),
    text: Names = (),
    category: Names = (),
    number: Names = (),
    date: Names = (),
    penalty: Literal["firth"] | None = None,
    reference: str | None = None,
    errors: str | None = None,
    clusters: str | None = None,
    level: float = 0.95,
) -> TableStatistics:
    """Fit the table without a penalty (or with Firth's) and say what can be said of its columns.

    Numbers keep their units, booleans are 0 and 1, and each category is told against its most frequent level. `data`:
    a path, a pyarrow table or a data frame. `rows`: which of them, all where None. `drop`: columns to leave out.
    `text`, `category`, `number`, `date`: columns that are to be taken for that, whatever they look like.
    `reference`: the class that others are compared with, the first unless given. `errors`: "model" or "robust".
    `clusters`: a column whose equal values mark rows that depend on each other; it is no feature. Raises `TableError`
    for a table that cannot be learned from, for separated classes and for a row without a cluster, `ValueError` for
    columns that others determine.

    Example:
        >>> import pyarrow as pa
        >>> random = np.random.default_rng(0)
        >>> age, town = random.integers(20, 70, 400), random.choice(["Bonn", "Kiel", "Ulm"], 400, p=[0.5, 0.3, 0.2])
        >>> p = 1 / (1 + np.exp(-(age - 45) / 10 - (town == "Kiel")))
        >>> table = pa.table({"age": age, "town": town, "buys": np.where(random.random(400) < p, "yes", "no")})
        >>> found = table_statistics(table, "buys")
        >>> found.against, found.inference.columns
        ({'town': 'Bonn'}, ('(intercept)', 'age', 'town=Kiel', 'town=Ulm'))
        >>> print(found.column_tests()["age"])
        likelihood ratio: 160.7 on 1 df, p < 0.001
    """
    dropped = column_names(drop)
    asked = asked_kinds({"text": text, "category": category, "number": number, "date": date})
    table = as_table(data, unused=set(dropped) - {clusters, target})
    chosen = row_numbers(rows, table.num_rows)
    y = labels(table, target)
    check_labels(y, target)
    groups = None if clusters is None else _clusters(table, clusters, target, chosen)
    left_out = dropped if clusters is None or clusters in dropped else (*dropped, clusters)
    schema = learn_schema(table, target, drop=left_out, rows=chosen, asked=asked)
    design = _told_apart(Encoder.learn(schema, table, chosen).in_units(), table, chosen)
    X, y = design.X, y if chosen is None else y[chosen]
    model = SoftmaxRegression(penalty=penalty, tol=1e-8)
    model._column_names = np.array(design.names, dtype=object)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X, y)
    if model.solution_.status is Status.SEPARATED:
        raise TableError(
            f"{told[0].message} A category has such a level where all of its rows have one label; penalty='firth' "
            "(--penalty firth on the command line) gives finite weights and tests all the same."
        )
    found = infer(model, X, y, reference=reference, errors=errors, clusters=groups, level=level)
    found = replace(found, changes={**found.changes, **design.changes})
    by_name = {column: tuple(design.names[j] for j in places) for column, places in design.places.items()}
    return TableStatistics(target, found, by_name, design.against, design.places)


@dataclass(frozen=True)
class _Design:
    """The matrix X (n, d) of a table for statistics, the names of its columns, and what they belong to."""

    X: NDArray[np.float64]
    names: list[str]
    places: dict[str, tuple[int, ...]]
    """The places among the columns of X that each column of the table has."""
    against: dict[str, str]
    """The level of each category that is left out."""
    changes: dict[int, Change]


def _told_apart(encoder: Encoder, table: Any, rows: NDArray[np.int64] | None) -> _Design:
    """X in the columns' units and without the most frequent level of each category."""
    X = encoder.transform(table, rows)
    scale, shift, keep = np.ones(X.shape[1]), np.zeros(X.shape[1]), np.ones(X.shape[1], dtype=bool)
    count = np.asarray(X.sum(axis=0)).ravel()
    against: dict[str, str] = {}
    ranges: dict[str, NDArray[np.intp]] = {}
    for code in encoder.codes:
        start = sum(map(len, ranges.values()))
        here = ranges[code.name] = np.arange(start, start + code.width)
        if isinstance(code, NumberCode):
            scale[here[0]], shift[here[0]] = code.scale, code.mean
        if isinstance(code, CategoryCode):
            most = int(np.argmax(count[here]))
            keep[here[most]], against[code.name] = False, level_names(code)[most]
    places, changes, place = {}, dict[int, Change](), np.cumsum(keep) - 1
    for code in encoder.codes:
        mine = places[code.name] = tuple(int(place[j]) for j in ranges[code.name] if keep[j])
        if isinstance(code, CategoryCode):
            changes |= level_changes(mine, None, against[code.name])
        elif isinstance(code, BooleanCode):
            rest = dict.fromkeys(mine[1:], 0.0)
            changes[mine[0]] = Change({mine[0]: 0.0, **rest}, {mine[0]: 1.0, **rest}, f"rather than {code.words[0]}")
    if keep.sum() > MOST:
        widest = max(places, key=lambda column: len(places[column]))
        raise TableError(
            f"The columns make {int(keep.sum()):,} features, of which {len(places[widest]):,} are levels of "
            f"{shown(widest)}; statistics keep the covariance of at most {MOST:,}. Leave such columns out (drop)."
        )
    X = X[:, np.flatnonzero(keep)]
    X = (X.toarray() if sp.issparse(X) else X) * scale[keep] + shift[keep]
    names = [name for name, keeps in zip(encoder.feature_names_out, keep, strict=True) if keeps]
    return _Design(_exact(X), names, places, against, changes)


def _exact(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """X, in which columns of zeros and ones are that again: standardised and back, they may miss by a last digit."""
    near = np.abs(X - (X > 0.5)).max(axis=0, initial=0.0) <= NEAR
    X[:, near] = X[:, near] > 0.5
    return X


def _clusters(table: Any, name: str, target: str, rows: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The cluster of each row, as a number; raises `TableError` for a row without one."""
    what, advice = "column of clusters", "Give these rows clusters of their own, or remove them."
    return group_codes(table, name, target, rows, what=what, advice=advice)
