"""The same rows in every form train the same model; what a form cannot carry is stated here.

Forms are those of `tests/forms/writers.py`. Each is compared with a reference, an Arrow table of the same rows: kinds
of columns are equal; probabilities agree to 1e-6, where the model of the form is asked with the form and with the
reference, and the model of the reference with the form; labels are the same values; and a table that one form refuses
is refused in the other.

====================== =================== ================================== ==================================
forms                  reference           agree to 1e-6 on                   differ, as documented
====================== =================== ================================== ==================================
Arrow, pandas, polars  the Arrow table     every kind of column               pandas without nullable types makes
in memory; Parquet and                                                        floats of integers with gaps: above
Arrow files                                                                   2^53 they lose digits. Parquet and
                                                                              polars keep dictionaries of text
                                                                              only; others become numbers
CSV, TSV               dictionaries as     numbers, booleans, text, decimals, a dictionary is always a category;
                       plain values, text  dates, times, missing values       its text is judged by its values.
                       without a type
                                                                              Lists are not written
CSV of pyarrow         the same            the same                           a time with a zone is written in
                                                                              UTC: the clock is another one
JSON lines             the same            the same, and lists                integers above int64; pandas and
                                                                              polars write UTC
zones in files of text the same            times from 1950 to 2037            before, offsets had seconds; after,
                                                                              Arrow and Python differ in summer
two files; batches;    the same rows in    all of the above                   a column that counts the rows, where
any order of rows      one table                                              a sample of them is judged
Parquet of a           the Arrow table     all of the above                   the index of the frame is one more
filtered frame                                                                column, which is no feature
labels of typed forms                      the values, and the types integer,
                                           boolean, float, date and text
labels of CSV                              the text that stands in the file
====================== =================== ================================== ==================================

Known faults have switches in `tests/forms/known.py`. With `SOFTREG_FORMS_SECONDS=3600`, the properties run for an hour
on random tables: see `tests/forms/run.py`.
"""

from __future__ import annotations

import csv
import datetime as dt
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import strategies as st

import softreg
from softreg import TableClassifier
from softreg.cli import main
from softreg.tables import TableError

from ..forms.known import left_out
from ..forms.run import COMPARED, SECONDS, Property, check, hour
from ..forms.tables import KINDS, TARGET, TARGETS, Table, canonical, plain, tables
from ..forms.writers import FORMS, cuts

NEAR = 1e-6
STRENGTH = 0.01
EXAMPLES = 12


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
    """The kind of each column but those that a file names as the index of its frame, which are no features."""
    return {name: kind for name, kind, _ in model.describe() if kind != "index"}


def comparable_classes(model: TableClassifier, kind: str) -> list[Any]:
    """The classes of a model as values that can be compared."""
    return [canonical(label, kind) for label in model.classes_]


def assert_same(model: TableClassifier, other: TableClassifier, data: Any, reference: Any, kind: str) -> None:
    """Two models are the same, whichever form of the rows they are asked with."""
    assert kinds_of(model) == kinds_of(other)
    own, others = comparable_classes(model, kind), comparable_classes(other, kind)
    assert sorted(own) == sorted(others)
    order = [own.index(label) for label in others]
    expected = other.predict_proba(reference)
    for comparison, probabilities in (
        ("the form's model on the form", model.predict_proba(data)[:, order]),
        ("the form's model on the reference", model.predict_proba(reference)[:, order]),
        ("the reference's model on the form", other.predict_proba(data)),
    ):
        worst = float(np.abs(probabilities - expected).max())
        assert worst < NEAR, f"{comparison}: probabilities differ by {worst:.2g}"


def trains_alike(name: str, case: Case) -> None:
    """A form of a table trains the model that the Arrow table trains."""
    form, table = FORMS[name], case.table
    reference = plain(table.arrow, form.csv) if form.text else table.arrow
    with folder() as path:
        data = form.make(table.arrow, path, np.random.default_rng(case.seed))
        model, other = fitted(data, table, case.memory), fitted(reference, table)
        COMPARED[name] += 1
        refused = [one for one in (model, other) if isinstance(one, TableError)]
        if isinstance(model, TableError) or isinstance(other, TableError):
            assert len(refused) == 2, f"one of two forms is refused: {refused[0]}"
            return
        assert_same(model, other, data, reference, table.kinds[TARGET])


def cases(name: str) -> st.SearchStrategy[Case]:
    """Tables that the form can carry."""
    form = FORMS[name]
    kinds = set(KINDS) - set(form.lacks) - left_out(name, "kinds")
    targets = set(TARGETS) - set(form.lacks_targets) - left_out(name, "targets")
    if not kinds:
        return st.nothing()
    return st.builds(
        Case,
        tables(
            sorted(kinds),
            sorted(targets),
            no_gaps=sorted({*form.no_gaps, *left_out(name, "gaps")}),
            not_asked=sorted(left_out(name, "asked")),
        ),
        st.integers(0, 2**16),
        st.sampled_from(["auto", "low"]) if form.file else st.just("auto"),
    )


@pytest.mark.parametrize("name", [name for name in FORMS if not cases(name).is_empty])
def test_a_form_trains_the_same_model(name: str) -> None:
    check(partial(trains_alike, name), cases(name), EXAMPLES)


# --- order and batches ---


def order_is_free(name: str, case: Case) -> None:
    """Rows in another order train the same model, and each row has the probabilities that it has alone or in parts."""
    form, table, rng = FORMS[name], case.table, np.random.default_rng(case.seed)
    with folder() as path:
        order = rng.permutation(table.n)
        shuffled = form.make(table.take(order).arrow, path, rng)
        reference = plain(table.arrow, form.csv) if form.text else table.arrow
        model, other = fitted(shuffled, table, case.memory), fitted(reference, table)
        COMPARED[f"order: {name}"] += 1
        refused = [one for one in (model, other) if isinstance(one, TableError)]
        if isinstance(model, TableError) or isinstance(other, TableError):
            assert len(refused) == 2, f"one of two forms is refused: {refused[0]}"
            return
        kind = table.kinds[TARGET]
        assert_same(model, other, reference, reference, kind)
        P = other.predict_proba(reference)
        assert np.abs(other.predict_proba(shuffled) - P[order]).max() < NEAR
        parts = [other.predict_proba(reference.slice(a, b - a)) for a, b in cuts(table.n, rng)]
        assert np.abs(np.concatenate(parts) - P).max() < 1e-12


ORDERED = ("arrow in chunks", "pandas", "parquet of pyarrow", "csv of the csv module", "json lines")


@pytest.mark.parametrize("name", ORDERED)
def test_the_order_of_rows_is_free(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def as_learned(
        encoder: Any, *others: Any, **more: Any
    ) -> Any:  # folds that choose a form are made of rows in order
        return encoder

    monkeypatch.setattr("softreg.tables.fit.numeric_forms.choose_numeric_form.choose_numeric_forms", as_learned)
    check(partial(order_is_free, name), cases(name), EXAMPLES)


# --- labels ---

EXACT = {
    "int": int, "id": int, "huge": int, "bool": bool, "whole": float, "float": float, "date": dt.date,
}  # C8: as they went in  # fmt: skip


def labels_come_back(name: str, case: Case) -> None:
    """Labels are the values that went in, by type where the form has types, and after saving and loading."""
    form, table = FORMS[name], case.table
    kind = table.kinds[TARGET]
    with folder() as path:
        data = form.make(table.arrow, path, np.random.default_rng(case.seed))
        model = fitted(data, table, case.memory)
        COMPARED[f"labels: {name}"] += 1
        if isinstance(model, TableError):
            return
        model.save(path / "m.softreg")
        loaded = softreg.load(path / "m.softreg")
        assert loaded.classes_.dtype == model.classes_.dtype
        assert loaded.classes_.tolist() == model.classes_.tolist()
        assert (loaded.predict_proba(data) == model.predict_proba(data)).all()
        given = plain(table.arrow).column(TARGET).to_pylist()
        expected = {canonical(label, kind) for label in given}
        assert sorted(comparable_classes(model, kind)) == sorted(expected)
        predicted = loaded.predict(data)
        assert {canonical(label, kind) for label in predicted} <= expected
        if form.csv:
            written = {row[TARGET] for row in csv_rows(data)}
            assert set(model.model_.classes_.tolist()) == written
        elif kind in EXACT and not form.text:
            assert {type(label) for label in predicted.tolist()} == {EXACT[kind]}
            assert set(model.classes_.tolist()) == set(given)
        elif kind in ("words", "category"):
            assert set(model.classes_.tolist()) == set(given)


def csv_rows(path: Path) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


LABELLED = (
    "arrow in chunks", "pandas", "pandas, objects", "pandas, nullable types", "pandas, arrow types", "polars",
    "parquet of pyarrow", "two parquet files", "arrow file", "csv of pandas", "csv of pyarrow",
    "csv of the csv module", "json lines",
)  # fmt: skip


@pytest.mark.parametrize("name", LABELLED)
def test_labels_come_back(name: str) -> None:
    check(partial(labels_come_back, name), cases(name), EXAMPLES)


# --- the command line ---


def command_agrees(name: str, case: Case) -> None:
    """`softreg train` and `softreg predict` say the same of each form, and what Python says of it."""
    form, table = FORMS[name], case.table
    with folder() as path:
        (path / "a").mkdir()
        data = form.make(table.arrow, path / "a", np.random.default_rng(case.seed))
        (path / "r").mkdir()
        arrow_table = plain(table.arrow, form.csv) if form.text else table.arrow
        reference = FORMS["arrow file"].make(arrow_table, path / "r", np.random.default_rng(0))
        sources = enumerate((data, reference))
        results = [trained(source, path / f"{k}.softreg", table, case.memory) for k, source in sources]
        COMPARED[f"command line: {name}"] += 1
        assert results[0].exit_code == results[1].exit_code, f"{results[0].output} / {results[1].output}"
        if results[0].exit_code:
            assert results[0].exit_code == 2, results[0].output
            return
        kind = table.kinds[TARGET]
        P, predicted = predictions(path / "0.softreg", data, path / "p.parquet", kind)
        other, _ = predictions(path / "1.softreg", reference, path / "q.parquet", kind)
        assert P.keys() == other.keys()
        assert max(np.abs(P[label] - other[label]).max() for label in P) < NEAR
        model = softreg.load(path / "0.softreg")
        known = comparable_classes(model, kind)
        direct = model.predict_proba(data)
        assert max(np.abs(P[label] - direct[:, known.index(label)]).max() for label in P) < 1e-12
        assert predicted == [canonical(label, kind) for label in model.predict(data)]


def trained(source: Any, model: Path, table: Table, memory: str) -> Any:
    categories = [word for name in table.category for word in ("--category", name)]
    given = ["train", str(source), "--target", TARGET, "--model", str(model), "--strength", str(STRENGTH), "--quiet"]
    done = CliRunner().invoke(main, [*given, *categories, "--memory", memory])
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    return done


def predictions(model: Path, source: Any, output: Path, kind: str) -> tuple[dict[Any, Any], list[Any]]:
    """The probabilities of each class, and the labels, as `softreg predict` writes them."""
    done = CliRunner().invoke(main, ["predict", str(model), str(source), "--output", str(output)])
    assert done.exit_code == 0, done.output
    predicted = pq.read_table(output)
    first, *names = predicted.column_names
    P = {canonical(name, kind): predicted.column(name).to_numpy() for name in names}
    return P, [canonical(label, kind) for label in predicted.column(first).to_pylist()]


COMMANDS = ("parquet of pandas", "two parquet files", "arrow file", "csv of pandas", "csv of the csv module",
            "two csv files", "json lines")  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_line_says_the_same(name: str) -> None:
    check(partial(command_agrees, name), cases(name), EXAMPLES // 4)


PROPERTIES: list[Property] = [
    *((f"form: {name}", partial(trains_alike, name), cases(name)) for name in FORMS if not cases(name).is_empty),
    *((f"order: {name}", partial(order_is_free, name), cases(name)) for name in ORDERED),
    *((f"labels: {name}", partial(labels_come_back, name), cases(name)) for name in LABELLED),
    *((f"command: {name}", partial(command_agrees, name), cases(name)) for name in COMMANDS),
]


@pytest.mark.skipif(not SECONDS, reason="SOFTREG_FORMS_SECONDS says for how long")
def test_an_hour_of_tables() -> None:
    assert not hour(PROPERTIES, 0.75 * SECONDS)
