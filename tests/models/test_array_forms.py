"""The same numbers, labels and weights in every form of array, frame, file and batch train the same model.

Forms are those of `tests/forms/arrays.py`. The reference is X as a float64 array, labels as a list, weights as repeated
rows.

============================================== ================================ ================================
forms                                          agree                            differ, as documented
============================================== ================================ ================================
X of another type, order or layout, sparse,    every probability to 1e-6        float32 rows are computed with
in frames, memory maps, `open_rows`, batches                                    in float32: to 1e-4
y as integers, text, booleans, whole floats,   every probability to the last    integers keep the width of their
in arrays, frames, categories                  bit, labels by value and type    array; CSV gives text
y as one-hot probabilities                     every probability to 1e-6        the classes are 0 to q - 1
weights w, each row repeated w times           every probability to 1e-6        a common factor changes nothing
the strength by cross-validation               losses and probabilities to 1e-6
============================================== ================================ ================================
"""

from __future__ import annotations

import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from softreg import SoftmaxRegression, SoftmaxRegressionCV, load

from ..forms.arrays import LABELS, SOURCES, W_FORMS, X_FORMS, Y_FORMS, Rows, rows
from ..forms.run import COMPARED, SECONDS, Property, check, hour

NEAR = 1e-6
SINGLE = 1e-4
EXAMPLES = 12


def model() -> SoftmaxRegression:
    return SoftmaxRegression(0.01, tol=1e-13)


def fitted(X: Any, y: Any = None, weight: Any = None) -> SoftmaxRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model().fit(X, y) if weight is None else model().fit(X, y, sample_weight=weight)


def probabilities(known: SoftmaxRegression, X: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(known.predict_proba(X))


def assert_near(found: Any, expected: Any, near: float = NEAR) -> None:
    assert found.shape == expected.shape
    worst = float(np.abs(found - expected).max())
    assert worst < near, f"probabilities differ by {worst:.2g}"


def features_alike(name: str, case: Rows) -> None:
    """X in a form trains the model of X as a float64 array, and either is asked with both."""
    form, X, y = X_FORMS[name], np.asarray(case.X, dtype=float), case.codes.tolist()
    near = SINGLE if form.single else NEAR
    COMPARED[f"X: {name}"] += 1
    with tempfile.TemporaryDirectory() as folder:
        other = form.make(X, Path(folder), np.random.default_rng(case.seed))
        reference, found = fitted(X, y), fitted(other, y)
        expected = probabilities(reference, X)
        assert_near(probabilities(found, other), expected, near)
        assert_near(probabilities(found, X), expected, near)
        assert_near(probabilities(reference, other), expected, NEAR)
        assert found.n_features_in_ == X.shape[1]


@pytest.mark.parametrize("name", X_FORMS)
def test_features_in_any_form(name: str) -> None:
    check(partial(features_alike, name), rows(*X_FORMS[name].grains), EXAMPLES)


def sources_alike(name: str, case: tuple[Rows, str, bool]) -> None:
    """Rows in batches or files train the model of the array."""
    drawn, kind, weighted = case
    X = np.asarray(drawn.X, dtype=float)
    known = LABELS[kind]
    codes = drawn.codes % len(known)
    labels = np.array([known[code] for code in codes])
    weight = drawn.counts.astype(float) if weighted else None
    COMPARED[f"rows: {name}"] += 1
    with tempfile.TemporaryDirectory() as folder:
        source = SOURCES[name](X, labels, weight, Path(folder), np.random.default_rng(drawn.seed))
        found, reference = fitted(source), fitted(X, labels, weight)
        written = [str(label) for label in reference.classes_.tolist()]
        if name == "open_rows of CSV":
            order = [as_read(found.classes_).index(as_read([word])[0]) for word in written]
        else:
            assert found.classes_.tolist() == reference.classes_.tolist()
            order = list(range(len(written)))
        assert_near(probabilities(found, X)[:, order], probabilities(reference, X))
        if name.startswith("open_rows"):
            again = SOURCES[name](X, labels, weight, Path(folder), np.random.default_rng(drawn.seed))
            assert_near(probabilities(found, again)[:, order], probabilities(reference, X))


def as_read(words: Any) -> list[str]:
    """Labels as one spelling: 1.0 and 1, True and true."""
    return [str(word).lower().removesuffix(".0") if str(word) != "NA" else "NA" for word in words]


def source_cases() -> st.SearchStrategy[Any]:
    return st.tuples(rows("bits", "small", "eighths", "any"), st.sampled_from(sorted(LABELS)), st.booleans())


@pytest.mark.parametrize("name", SOURCES)
def test_rows_in_batches_and_files(name: str) -> None:
    check(partial(sources_alike, name), source_cases(), EXAMPLES)


def labels_alike(name: str, case: tuple[Rows, str]) -> None:
    """Labels in a form give the classes and probabilities of a list, and come back through a file as they were."""
    drawn, kind = case
    known = LABELS[kind]
    X = np.asarray(drawn.X, dtype=float)
    y = [known[code] for code in drawn.codes % len(known)]
    COMPARED[f"y: {name}"] += 1
    reference, found = fitted(X, y), fitted(X, Y_FORMS[name][0](y, np.random.default_rng(drawn.seed)))
    assert found.classes_.tolist() == reference.classes_.tolist() == sorted(set(y))
    assert {type(label) for label in found.classes_.tolist()} == {type(label) for label in sorted(set(y))}
    assert (probabilities(found, X) == probabilities(reference, X)).all()
    assert found.predict(X).tolist() == reference.predict(X).tolist()
    assert found.score(X, y) == reference.score(X, y)
    with tempfile.TemporaryDirectory() as folder:
        found.save(Path(folder) / "m.softreg")
        again = load(Path(folder) / "m.softreg")
    assert again.classes_.dtype == found.classes_.dtype.newbyteorder("=")
    assert again.predict(X).tolist() == found.predict(X).tolist()


def label_cases(name: str) -> st.SearchStrategy[Any]:
    return st.tuples(rows("eighths"), st.sampled_from(Y_FORMS[name][1]))


@pytest.mark.parametrize("name", Y_FORMS)
def test_labels_in_any_form(name: str) -> None:
    check(partial(labels_alike, name), label_cases(name), EXAMPLES)


def one_hot_alike(form: Any, case: Rows) -> None:
    """Label probabilities of 0 and 1 are the hard labels."""
    X, codes = np.asarray(case.X, dtype=float), case.codes
    COMPARED["y: one-hot"] += 1
    Y = form(np.eye(case.q)[codes])
    reference, found = fitted(X, codes), fitted(X, Y)
    assert_near(probabilities(found, X), probabilities(reference, X))


ONE_HOT = {
    "float64": lambda Y: Y,
    "float32": lambda Y: Y.astype(np.float32),
    "int": lambda Y: Y.astype(np.int64),
    "bool": lambda Y: Y.astype(bool),
    "lists": lambda Y: Y.tolist(),
    "Fortran order": np.asfortranarray,
}


@pytest.mark.parametrize("name", ONE_HOT)
def test_one_hot_labels(name: str) -> None:
    check(partial(one_hot_alike, ONE_HOT[name]), rows("eighths", "any"), EXAMPLES)


def weights_alike(name: str, case: Rows) -> None:
    """Weights count rows: a row of weight w is w rows, and one of weight 0 is none."""
    X, y, counts = np.asarray(case.X, dtype=float), case.codes, case.counts
    COMPARED[f"weights: {name}"] += 1
    repeated = np.repeat(np.arange(case.n), counts)
    reference = fitted(X[repeated], y[repeated])
    found = fitted(X, y, W_FORMS[name](counts, np.random.default_rng(case.seed)))
    assert_near(probabilities(found, X), probabilities(reference, X))


@pytest.mark.parametrize("name", W_FORMS)
def test_weights_are_repeated_rows(name: str) -> None:
    check(partial(weights_alike, name), rows("small", "eighths", "any"), EXAMPLES)


def order_is_free(case: Rows) -> None:
    """Rows and columns in another order train the same model."""
    X, y = np.asarray(case.X, dtype=float), case.codes
    rng = np.random.default_rng(case.seed)
    order, columns = rng.permutation(case.n), rng.permutation(case.d)
    COMPARED["order of rows and columns"] += 1
    reference, found = fitted(X, y), fitted(X[order][:, columns], y[order])
    assert_near(probabilities(found, X[:, columns]), probabilities(reference, X))


def test_the_order_of_rows_and_columns_is_free() -> None:
    check(order_is_free, rows("bits", "small", "eighths", "any"), EXAMPLES)


def chosen_alike(name: str, case: Rows) -> None:
    """Cross-validation over given folds tries, chooses and fits the same in each form."""
    X, y = np.asarray(case.X, dtype=float), np.arange(case.n) % case.q
    places = np.random.default_rng(case.seed).permutation(case.n) * 3 // case.n
    folds = [(np.flatnonzero(places != k), np.flatnonzero(places == k)) for k in range(3)]
    COMPARED[f"chosen: {name}"] += 1
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = X_FORMS[name].make(X, Path(folder), np.random.default_rng(case.seed))
        reference, found = (
            SoftmaxRegressionCV([1.0, 0.1, 0.01], cv=folds, tol=1e-12).fit(data, y) for data in (X, other)
        )
        assert found.strength_ == reference.strength_
        assert found.path_.log_loss == pytest.approx(reference.path_.log_loss, abs=NEAR)
        assert_near(probabilities(found, X), probabilities(reference, X))


def chosen_cases(name: str) -> st.SearchStrategy[Rows]:
    return rows(*X_FORMS[name].grains).filter(lambda case: case.n >= 15)


CHOSEN = ("int8", "Fortran order", "a strided view", "csr", "csc", "pandas, mixed types", "polars", "memory map")


@pytest.mark.parametrize("name", CHOSEN)
def test_strengths_are_chosen_alike(name: str) -> None:
    check(partial(chosen_alike, name), chosen_cases(name), EXAMPLES // 2)


PROPERTIES: list[Property] = [
    *((f"X: {name}", partial(features_alike, name), rows(*form.grains)) for name, form in X_FORMS.items()),
    *((f"rows: {name}", partial(sources_alike, name), source_cases()) for name in SOURCES),
    *((f"y: {name}", partial(labels_alike, name), label_cases(name)) for name in Y_FORMS),
    *((f"one-hot: {name}", partial(one_hot_alike, form), rows("eighths", "any")) for name, form in ONE_HOT.items()),
    *((f"weights: {name}", partial(weights_alike, name), rows("small", "eighths", "any")) for name in W_FORMS),
    *((f"chosen: {name}", partial(chosen_alike, name), chosen_cases(name)) for name in CHOSEN),
    ("order", order_is_free, rows("bits", "small", "eighths", "any")),
]


@pytest.mark.skipif(not SECONDS, reason="SOFTREG_FORMS_SECONDS says for how long")
def test_an_hour_of_arrays() -> None:
    assert not hour(PROPERTIES, 0.25 * SECONDS)
