"""Predictions and comparisons by the columns of a table: the same as those of features coded by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from softreg import SoftmaxRegression, TableClassifier, infer, table_statistics
from softreg.rows import Array
from softreg.tables import TableError


def people(n: int = 400, seed: int = 0) -> tuple[dict[str, Any], Array, Array]:
    """Columns of a table, the same coded by hand (age, town=Kiel, town=Ulm, member, flag), and its labels."""
    random = np.random.default_rng(seed)
    age, member = random.integers(20, 70, n), random.random(n) < 0.4
    town, flag = random.choice(["Bonn", "Kiel", "Ulm"], n, p=[0.5, 0.3, 0.2]), random.integers(0, 2, n)
    X = np.column_stack([age, town == "Kiel", town == "Ulm", member, flag]).astype(float)
    o = X @ np.array([[0.0, 0.04, -0.02], [0, 1, 0], [0, -0.5, 0.5], [0, 0.7, 0], [0, 0, 1]])
    y = np.array(["bus", "car", "foot"])[(o + random.gumbel(size=o.shape)).argmax(axis=1)]
    columns = {"age": age, "town": town, "member": np.where(member, "yes", "no"), "flag": flag, "takes": y}
    return columns, X, y


def by_hand() -> tuple[Any, Any]:
    columns, X, y = people()
    return table_statistics(pa.table(columns), "takes", number=["flag"]), infer(
        SoftmaxRegression(penalty=None, tol=1e-8).fit(X, y), X, y, categories=[[1, 2]]
    )


FORMULA = "takes ~ age + town + member + flag"


@pytest.mark.parametrize("formula", [None, FORMULA])
def test_predictions_are_those_of_features_coded_by_hand(formula: str | None) -> None:
    if formula:
        pytest.importorskip("formulaic", reason="formulaic is not installed")
    columns, X, _ = people()
    _, hand = by_hand()
    table = table_statistics(pa.table(columns), "takes", formula=formula, number=["flag"])
    new = pa.table({"town": ["Ulm", "Bonn"], "flag": [1, 0], "age": [30.5, 90], "member": ["no", "yes"]})
    coded = np.array([[30.5, 0, 1, 0, 1], [90, 0, 0, 1, 0]])
    mean, share = X.mean(axis=0), (X[:, 4].mean() > 0.5) * 1.0
    grid = {"town": ["Bonn", "Ulm"], "member": [False, True]}
    points = np.array([[mean[0], 0, t, m, share] for t in (0, 1) for m in (0, 1)])
    observed = {2: [0, 1], 3: [0, 1]}
    pairs = [
        (table.predictions(), hand.predictions()),
        (table.predictions(new), hand.predictions(coded)),
        (table.predictions(grid=grid), hand.predictions(points)),
        (table.predictions(grid=grid, others="observed"), hand.predictions(grid=observed, others="observed")),
        (
            table.predictions(new, grid={"age": 40}, others="observed"),
            hand.predictions(coded, grid={0: 40}, others="observed"),
        ),
    ]
    if formula:  # a formula evaluates the mean of a number, also of zeros and ones
        points[:, 4] = mean[4]
        pairs[2] = (table.predictions(grid=grid), hand.predictions(points))
    for ours, theirs in pairs:
        for name in ("probabilities", "std_errors", "low", "high"):
            assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-7)
    assert pairs[2][0].grid == {"town": ["Bonn", "Bonn", "Ulm", "Ulm"], "member": ["no", "yes", "no", "yes"]}


@pytest.mark.parametrize("formula", [None, FORMULA])
def test_comparisons_of_levels_numbers_and_booleans(formula: str | None) -> None:
    if formula:
        pytest.importorskip("formulaic", reason="formulaic is not installed")
    columns, _, _ = people()
    _, hand = by_hand()
    table = table_statistics(pa.table(columns), "takes", formula=formula, number=["flag"])
    towns = table.comparisons("town")
    assert towns.difference.columns == ("town=Kiel", "town=Ulm")
    assert towns.difference.changes == ("rather than Bonn",) * 2
    for ours, theirs in [
        (towns, hand.comparisons([1, 2])),
        (table.comparisons("member"), hand.comparisons(3)),
        (table.comparisons("flag"), hand.comparisons(4)),
        (table.comparisons("age", 30, 50), hand.comparisons(0, 30, 50)),
    ]:
        for what in ("difference", "ratio", "odds_ratio"):
            for name in ("estimate", "std_error", "lower", "upper"):
                assert_allclose(getattr(getattr(ours, what), name), getattr(getattr(theirs, what), name), atol=1e-6)
        assert_allclose(ours.rows().std_error, theirs.rows().std_error, atol=1e-7)
    two = table.comparisons("town", low="Ulm", high="Kiel").difference
    assert two.columns == ("town=Kiel",)
    assert_allclose(two.estimate[:, 0], towns.difference.estimate @ [1, -1], atol=1e-12)
    assert_allclose(
        table.comparisons("member", True, False).ratio.estimate, 1 / table.comparisons("member").ratio.estimate
    )
    effects = table.effects()
    place = list(effects.columns).index("town=Ulm")
    assert_allclose(effects.estimate[:, place], towns.difference.estimate[:, 1], atol=1e-9)
    with pytest.raises(TableError, match="'age' holds numbers; give the two values"):
        table.comparisons("age")
    with pytest.raises(TableError, match="no level 'Rome' in the rows used; its levels are 'Bonn', 'Kiel', 'Ulm'"):
        table.comparisons("town", high="Rome")
    with pytest.raises(TableError, match="'street' cannot be set"):
        table.comparisons("street")


def test_an_interaction_is_part_of_a_comparison() -> None:
    pytest.importorskip("formulaic", reason="formulaic is not installed")
    columns, X, y = people()
    table = table_statistics(pa.table(columns), "takes", formula="takes ~ age * member")
    by_age = np.column_stack([X[:, [0, 3]], X[:, 0] * X[:, 3]])
    hand = infer(SoftmaxRegression(penalty=None, tol=1e-8).fit(by_age, y), by_age, y)
    p = [hand.predictions(np.column_stack([X[:, 0], m + 0 * X[:, 0], m * X[:, 0]])).probabilities for m in (0, 1)]
    assert_allclose(table.comparisons("member").difference.estimate[:, 0], (p[1] - p[0]).mean(axis=0), atol=1e-7)
    assert_allclose(table.comparisons("member").rows().estimate, p[1] - p[0], atol=1e-6)
    found = table.predictions(grid={"age": [30, 60], "member": [True]})
    assert_allclose(found.low, hand.predictions([[30, 1, 30], [60, 1, 60]]).low, atol=1e-6)
    with pytest.raises(TableError, match="use others='mean_or_mode' or 'observed'"):
        table.predictions(grid={"age": 30}, others="mean")


def test_rows_that_the_fit_cannot_describe_are_refused() -> None:
    table, _ = by_hand()
    new = {"town": ["Ulm", "Rome"], "flag": [1, 0], "age": [30.5, 90], "member": ["no", "yes"]}
    with pytest.raises(TableError, match="'town' has the level 'Rome', which the rows of the fit did not have"):
        table.predictions(pa.table(new))
    with pytest.raises(TableError, match="'age' lacks a value in row 2"):
        table.predictions(pa.table({**new, "town": ["Ulm", "Ulm"], "age": [30.5, None]}))
    with pytest.raises(TableError, match="'town' has no value"):
        table.predictions(pa.table({**new, "town": ["Ulm", None]}))
    formula = table_statistics(pa.table(people()[0]), "takes", formula="takes ~ age + town")
    with pytest.raises(TableError, match="no level 'Rome'"):
        formula.predictions(pa.table(new))
    with pytest.raises(TableError, match="'age' lacks a value in row 2"):
        formula.predictions(pa.table({"town": ["Ulm", "Ulm"], "age": [30.5, None]}))


def test_aliased_columns_and_other_reference_levels() -> None:
    columns, _, _ = people()
    plain = table_statistics(pa.table(columns), "takes", number=["flag"])
    columns["months"] = 12 * columns["age"]
    found = table_statistics(
        pa.table(columns), "takes", number=["flag"], reference_levels={"member": "yes", "town": "Kiel"}
    )
    assert_allclose(found.predictions().low, plain.predictions().low, atol=1e-6)
    grid = {"town": ["Kiel", "Ulm"], "member": ["yes", "no"]}
    assert_allclose(found.predictions(grid=grid).high, plain.predictions(grid=grid).high, atol=1e-6)
    assert found.comparisons("member").difference.columns == ("member=no",)
    assert_allclose(
        found.comparisons("town", "Bonn", "Ulm").ratio.upper, plain.comparisons("town", "Bonn", "Ulm").ratio.upper
    )
    with pytest.raises(TableError, match="'months' has no coefficient"):
        found.comparisons("months", 0, 1)


def test_numbers_of_zeros_and_ones_with_missing_values_have_a_discrete_change() -> None:
    columns, _, _ = people()
    flag = [None if i % 7 == 0 else int(v) for i, v in enumerate(columns["flag"])]
    table = pa.table({**columns, "flag": pa.array(flag)})
    found = table_statistics(table, "takes", number=["flag"], missing="impute")
    effects = found.effects()
    place = list(effects.columns).index("flag")
    assert effects.changes is not None
    assert effects.changes[place] == "1 rather than 0"
    assert_allclose(effects.estimate[:, place], found.comparisons("flag").difference.estimate[:, 0], atol=1e-10)
    classifier = TableClassifier("takes", number=["flag"], strength=1e-3).fit(table)
    inference = classifier.infer(table)
    place = inference.columns.index("flag") - 1
    assert inference.effects().changes[place] == "1 rather than 0"


def test_a_classifier_predicts_intervals_of_a_table() -> None:
    table = pa.table(people()[0])
    classifier = TableClassifier("takes", strength=1e-3).fit(table)
    found = classifier.infer(table, errors="posterior").predictions(table.slice(0, 20))
    assert_allclose(found.probabilities, classifier.predict_proba(table.slice(0, 20)), atol=1e-4)
    assert (found.low < found.high).all()
    assert found.errors == "posterior"


def test_values_for_a_classifier_are_those_of_the_table() -> None:
    columns, _, _ = people()
    table = pa.table(columns)
    classifier = TableClassifier("takes", strength=1e-3).fit(table)
    inference = classifier.infer(table)
    found = inference.predictions(grid={"age": [30, 60]}, others="observed").probabilities
    for i, age in enumerate((30, 60)):
        changed = pa.table({**columns, "age": np.full(400, age)})
        assert_allclose(found[i], classifier.predict_proba(changed).mean(axis=0), atol=1e-4)
    assert_allclose(inference.comparisons("age", 30, 60).difference.estimate[:, 0], found[1] - found[0], atol=1e-12)
    place = inference.columns.index("town=Kiel") - 1
    difference = inference.comparisons("town=Kiel").difference
    assert difference.changes == ("rather than Bonn",)
    assert_allclose(difference.estimate[:, 0], inference.effects().estimate[:, place], atol=1e-10)
    with pytest.raises(TableError, match="'town=Kiel' cannot be set"):
        inference.predictions(grid={"town=Kiel": 0.5})


def test_a_plot_has_levels_as_points() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed")
    pyplot.switch_backend("agg")
    table, _ = by_hand()
    axes = table.plot_predictions({"town": ["Bonn", "Kiel", "Ulm"]})
    assert len(axes.containers) == 3
    lines = table.plot_predictions({"age": [20, 40, 60], "town": ["Bonn", "Ulm"]}, level=0.9).lines
    assert len(lines) == 6
    pyplot.close("all")
