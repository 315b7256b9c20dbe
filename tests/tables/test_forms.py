"""The same rows in every form train the same model; what a form cannot carry is stated here.

Forms are those of `tests/forms/writers.py`. Each is compared with a reference, an Arrow table of the same rows: kinds of
columns are equal, probabilities agree to 1e-6 (the model of the form asked with the form and with the reference, and the
model of the reference asked with the form), labels are the same values, and a table that one form refuses is refused in
all.

| forms | reference | agree to 1e-6 on | differ, as documented |
| --- | --- | --- | --- |
| Arrow, pandas, polars in memory; Parquet, Arrow files | the Arrow table | every kind of column | pandas without nullable types makes floats of integers with gaps: those above 2^53 lose digits |
| CSV, TSV | the same table with dictionaries as plain values | numbers, booleans, text, decimals, dates, times, gaps | a dictionary column is always a category; as text it is judged by its values. Lists are not written |
| CSV of pyarrow | the same | the same | times with a zone are written in UTC: the clock is another one |
| JSON lines | the same | the same, and lists | integers above int64; pandas and polars write times with a zone in UTC |
| one file or two, batches of any size, `memory="low"`, any order of rows | the same rows in one table | all of the above | columns that count the rows |
| labels | | the same value: integers, booleans and floats as such from typed forms | CSV gives them as the text that stands there |

Known faults have switches in `tests/forms/known.py`. `SOFTREG_FORMS_SECONDS=3600` runs the properties for an hour: see
`tests/forms/run.py`.
"""

from __future__ import annotations

import csv
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import strategies as st

import softreg
from softreg import TableClassifier
from softreg.cli import main
from softreg.tables import TableError, read_table

from ..forms import known
from ..forms.run import COMPARED, SECONDS, check, hour
from ..forms.tables import KINDS, TARGET, TARGETS, Table, canonical, plain, tables
from ..forms.writers import FORMS, Form

NEAR = 1e-6
STRENGTH = 0.01
EXAMPLES = 20


@dataclass(frozen=True)
class Case:
    """A table, the seed of how it is written, and whether it is read in batches."""

    table: Table
    seed: int
    memory: str


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Path(name)


def fitted(data: Any, table: Table, memory: str = "auto") -> TableClassifier | TableError:
    """The classifier, or the error by which the table is refused."""
    try:
        model = TableClassifier(TARGET, strength=STRENGTH, tol=1e-13, category=table.category)
        return model.fit(data, memory=memory)  # type: ignore[arg-type]
    except TableError as error:
        return error


def kinds_of(model: TableClassifier) -> dict[str, str]:
    return {name: kind for name, kind, _ in model.describe()}


def places(model: TableClassifier, kind: str) -> list[Any]:
    """The classes of a model as values that can be compared."""
    return [canonical(label, kind) for label in model.classes_]


def assert_same(model: TableClassifier, other: TableClassifier, data: Any, reference: Any, kind: str) -> None:
    """Two models are the same, whichever form of the rows they are asked with."""
    assert kinds_of(model) == kinds_of(other)
    mine, others = places(model, kind), places(other, kind)
    assert sorted(mine) == sorted(others)
    order = [mine.index(label) for label in others]
    expected = other.predict_proba(reference)
    for said, found in (
        ("the form's model on the form", model.predict_proba(data)[:, order]),
        ("the form's model on the reference", model.predict_proba(reference)[:, order]),
        ("the reference's model on the form", other.predict_proba(data)),
    ):
        worst = float(np.abs(found - expected).max())
        assert worst < NEAR, f"{said}: probabilities differ by {worst:.2g}"


def trains_alike(name: str, case: Case) -> None:
    """A form of a table trains the model that the Arrow table trains."""
    form, table = FORMS[name], case.table
    reference = plain(table.arrow) if form.text else table.arrow
    with folder() as path:
        data = form.make(table.arrow, path, np.random.default_rng(case.seed))
        model, other = fitted(data, table, case.memory), fitted(reference, table)
        COMPARED[name] += 1
        if isinstance(model, TableError) or isinstance(other, TableError):
            assert isinstance(model, TableError) and isinstance(other, TableError), f"one is refused: {model} / {other}"
            return
        assert_same(model, other, data, reference, table.kinds[TARGET])


def cases(name: str) -> st.SearchStrategy[Case]:
    """Tables that the form can carry."""
    form = FORMS[name]
    kinds = set(KINDS) - set(form.lacks) - known.without_kinds(name)
    targets = set(TARGETS) - set(form.lacks_targets) - known.without_targets(name)
    bad = {*form.no_gaps, *known.without_gaps(name)}
    return st.builds(
        Case,
        tables(sorted(kinds), sorted(targets), no_gaps=tuple(sorted(bad))),
        st.integers(0, 2**16),
        st.sampled_from(["auto", "low"]) if form.file else st.just("auto"),
    )


@pytest.mark.parametrize("name", FORMS)
def test_a_form_trains_the_same_model(name: str) -> None:
    check(partial(trains_alike, name), cases(name), EXAMPLES)
