"""Curves and interactions in programs: folding, their values at nodes, and what targets say of them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from softreg import TableClassifier
from softreg.cli import main
from softreg.export import Program, build_program
from softreg.export.build.column_terms import table_columns
from softreg.export.build.fold_terms import fold_terms
from softreg.export.build.grid_terms import grid_terms
from softreg.export.c.header import c_header
from softreg.export.program import (
    BooleanTerm,
    CurveTerm,
    GridTerm,
    KnotSide,
    LevelSide,
    LinearTerm,
    Term,
)
from softreg.serve.served_models.contributions import Contributions, reference_row
from softreg.tables import Terms

from .cases import case, fit, generator, labels
from .javascript_runner import NODE, call, javascript_rows

TERM_CASES = ("terms_of_two_classes", "terms_of_three_classes", "terms_with_forms", "sparse_terms")


def unfolded(model: TableClassifier) -> tuple[list[Term], np.ndarray]:
    """The terms of a model with one feature for each of the encoder's."""
    columns = table_columns(model.encoder_)
    terms: list[Term] = [*(term for column in columns for term in column.terms), *grid_terms(model.encoder_, columns)]
    return terms, model.model_.coef_.T


@pytest.mark.parametrize("name", TERM_CASES)
def test_folded_functions_are_those_of_the_weights(name: str) -> None:
    model = case(name).model
    terms, weights = unfolded(model)
    folded = fold_terms(terms, weights, model.encoder_.feature_names_out)
    assert len(folded.names) == len(set(folded.names)) == len(folded.weights)
    q = weights.shape[1]
    before, after = added(terms, weights), added(folded.terms, folded.weights)
    assert before.keys() == after.keys()
    for key, values in before.items():
        np.testing.assert_allclose(after[key], values, rtol=1e-12, atol=1e-13)
    for term in folded.terms:
        assert not isinstance(term, GridTerm) or term.width <= max(1, q if q > 2 else 1)


def added(terms: object, weights: np.ndarray) -> dict[object, np.ndarray]:
    """What each curve and interaction adds to the logits at its nodes (nodes, q)."""
    found: dict[object, np.ndarray] = {}
    for term in terms:  # type: ignore[attr-defined]
        if isinstance(term, CurveTerm):
            key = (term.input, term.knots)
            found[key] = found.get(key, 0) + np.outer(term.values, weights[term.first])
        elif isinstance(term, GridTerm):
            found[term.name] = np.array(term.values).T @ weights[term.first : term.first + term.width]
    return found


def test_two_classes_have_one_curve_and_one_grid() -> None:
    program = case("terms_of_two_classes").program
    curves = [term for term in program.terms if isinstance(term, CurveTerm)]
    assert [program.inputs[term.input].name for term in curves] == ["age", "wage"]
    assert [len(term.values) for term in program.grids] == [1] * 8
    names = [term.name for term in program.grids]
    assert names == [pair.name for pair in case("terms_of_two_classes").model.encoder_.pairs]
    kinds = {type(side) for term in program.grids for side in (term.left, term.right)}
    assert kinds == {KnotSide, LevelSide}
    assert any(isinstance(t.left, LevelSide) and isinstance(t.left.levels, BooleanTerm) for t in program.grids)
    assert {read.name for read in program.inputs if read.smooth} == {"age", "wage"}


def test_weights_with_a_common_part_are_not_folded_to_one_feature() -> None:
    curves = [CurveTerm(0, j, (0.0, 1.0), (float(j), 1.0)) for j in range(3)]
    weights = np.array([[1.0, 2.0], [-1.0, 0.5], [0.0, 3.0]])
    folded = fold_terms(curves, weights, ["a", "b", "c"])
    assert folded.weights.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert [term.values for term in folded.terms if isinstance(term, CurveTerm)] == [(-1.0, 0.0), (6.5, 5.5)]


def test_fewer_features_than_classes_stay() -> None:
    curves = [CurveTerm(0, j, (0.0, 1.0), (float(j), 1.0)) for j in range(2)]
    terms = [*curves, LinearTerm(1, 2, 0.0, 1.0, 0.0, 1.0)]
    weights = generator(1).normal(size=(3, 5))
    folded = fold_terms(terms, weights, ["a", "b", "c"])
    assert folded.terms == tuple(terms)
    assert (folded.weights == weights).all()
    assert folded.names == ("a", "b", "c")


def test_neighbouring_inputs_with_the_same_knots_are_not_one_curve() -> None:
    terms = [CurveTerm(place, place, (0.0, 1.0), (0.0, 1.0)) for place in range(2)]
    folded = fold_terms(terms, np.array([[-1.0, 1.0], [-2.0, 2.0]]), ["a", "b"])
    assert folded.terms == tuple(terms)


@pytest.mark.skipif(NODE is None, reason="there is no Node (nodejs) here")
@pytest.mark.parametrize("name", TERM_CASES)
def test_contributions_in_javascript_are_relative_to_the_reference_row(name: str, tmp_path: Path) -> None:
    given = case(name)
    program, model = given.program, given.model
    parts = np.array(call(program, javascript_rows(program, given.columns), tmp_path, "contributions"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X = model.encode(given.columns)
    X = (X.toarray() if model.encoder_.sparse else X) - reference_row(model.encoder_)
    places = model.encoder_.feature_places()
    assert parts.shape == (given.columns.num_rows, len(places), len(program.classes))
    for place, part in enumerate(places.values()):
        expected = X[:, part] @ model.model_.coef_[:, part].T
        np.testing.assert_allclose(parts[:, place], expected, atol=1e-12)


def test_an_interaction_with_the_name_of_a_column() -> None:
    random = generator(45)
    a, b, both = random.normal(size=(3, 500))
    columns = {"a": a, "b": b, "a:b": both}
    table = pa.table(columns | {"y": labels(random, 3 * a * b, 3 * both * a, classes=("no", "yes"))})
    model = fit(table, strength="auto", terms=Terms("linear", interactions=[("a", "b"), ("a:b", "a")]))
    assert model.encoder_.part_names == ("a", "b", "a:b", "a:b_2", "a:b:a")
    assert len(set(model.encoder_.feature_names_out)) == model.encoder_.width
    X = model.encode(table)
    left, right = model.encoder_.pairs[1].left, model.encoder_.pairs[1].right
    own = model.encoder_.pairs[1].block(left.basis(X[:, 2:3]), right.basis(X[:, 0:1]))
    np.testing.assert_array_equal(X[:, model.encoder_.feature_places()["a:b:a"]], own)
    assert [term.name for term in build_program(model).grids] == ["a:b_2", "a:b:a"]
    found = Contributions(model.encoder_, model.model_.coef_, model.model_.intercept_)
    logits = X @ model.model_.coef_.T + model.model_.intercept_
    for row, odds in zip(found.of_rows(X, logits, {}), np.ptp(logits, axis=1), strict=True):
        assert set(row.columns) == set(model.encoder_.part_names)
        assert row.log_odds == pytest.approx(odds, abs=1e-9)


def test_the_header_names_interactions() -> None:
    header = c_header(case("terms_of_two_classes").program, "m")
    assert '"age:wage"' in header
    assert "#define M_PARTS 14" in header
    assert "m_interaction_names" not in c_header(case("numbers").program, "m")


def test_a_model_with_folded_features_has_no_intervals() -> None:
    program = case("terms_of_two_classes").program
    assert program.covariance is None


def test_a_level_that_occurs_in_no_product_adds_nothing() -> None:
    """Products are limited in number, so that some levels of two large categories have none together."""
    random = generator(44)
    left, right = random.choice([f"l{k}" for k in range(30)], 1500), random.choice([f"r{k}" for k in range(9)], 1500)
    signal = (left == "l1") * (right == "r2") + random.normal(size=1500) * 0.1
    table = pa.table({"left": left, "right": right, "y": labels(random, signal, classes=("a", "b"))})
    model = fit(table, strength="auto", terms=Terms("linear", interactions=["left:right"]))
    program = build_program(model)
    (grid,) = program.grids
    assert np.count_nonzero(grid.values) <= len(model.encoder_.pairs[0].products)


def test_sizes_of_programs_grow_with_classes_and_nodes_only() -> None:
    two, three = (sizes(case(name).program) for name in TERM_CASES[:2])
    assert {name: 3 * size for name, size in two.items()} == three


def sizes(program: Program) -> dict[str, int]:
    """Numbers of each grid."""
    return {term.name: sum(map(len, term.values)) for term in program.grids}


def test_the_commands_export_and_predict(tmp_path: Path) -> None:
    given = case("terms_of_three_classes")
    given.model.save(tmp_path / "m.softreg")
    for name, extra in (("m.h", []), ("m.mjs", []), ("m.html", []), ("m.onnx", []), ("m.sql", ["--dialect", "sqlite"])):
        done = CliRunner().invoke(main, ["export", str(tmp_path / "m.softreg"), "-o", str(tmp_path / name), *extra])
        assert done.exit_code == 0, done.output
        assert (tmp_path / name).stat().st_size > 1000
    rows = given.columns.filter(pa.array(np.arange(given.columns.num_rows) < 60))
    pacsv.write_csv(rows, tmp_path / "rows.csv")
    command = ["predict", str(tmp_path / "m.softreg"), str(tmp_path / "rows.csv"), "-o", str(tmp_path / "p.parquet")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    predicted = pq.read_table(tmp_path / "p.parquet")
    P = np.column_stack([predicted[str(label)].to_numpy() for label in given.model.classes_])
    np.testing.assert_allclose(P, given.model.predict_proba(rows), rtol=1e-12)
