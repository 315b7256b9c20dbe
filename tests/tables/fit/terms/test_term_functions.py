"""Functions of the columns and interactions of a table model: exact sums, means of 0, and standard errors."""

from __future__ import annotations

import copy

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose
from scipy.special import logit, ndtri, softmax

import softreg
from softreg import TableClassifier
from softreg.tables import TableError, Terms
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.fit.terms.functions.purified_terms import additive_part
from softreg.typing import Array

PAIRS = (("x", "wage"), ("x", "job"), ("job", "owner"))
TERMS = Terms("linear", smooth=("x", "wage"), interactions=PAIRS)
MONTE_CARLO = 0.2
"""Relative error of standard deviations of 600 draws, five standard errors."""


def rows(n: int = 700, q: int = 2, seed: int = 0) -> pa.Table:
    """Rows with a curve, a column with many zeros, missing numbers, an interaction, a boolean and a date."""
    random = np.random.default_rng(seed)
    x, job, owner = random.normal(size=n), random.choice(["cook", "smith", "tailor"], n), random.random(n) < 0.4
    wage = np.where(random.random(n) < 0.3, 0.0, np.exp(random.normal(size=n)).round(3))
    columns = [np.sin(2 * x + k) * 2 + (job == "cook") * x + np.minimum(wage, 3) / 2 + owner for k in range(q - 1)]
    logits = np.stack([np.zeros(n), *columns], axis=1)
    y = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    days = np.datetime64("2024-01-01") + random.integers(0, 400, n)
    return pa.table(
        {
            "x": pa.array(np.where(random.random(n) < 0.05, np.nan, x), from_pandas=True),
            "wage": wage,
            "job": job,
            "owner": owner,
            "day": pa.array(days.astype("datetime64[D]")),
            "y": [f"c{k}" for k in y],
        }
    )


def new_rows(q: int) -> pa.Table:
    """Rows with a missing number where training had none, levels that training did not have, and far numbers."""
    table = rows(60, q, seed=5).drop_columns(["y"])
    table = table.set_column(1, "wage", pa.array([None, -5.0, 1e9, *table["wage"].to_pylist()[3:]]))
    return table.set_column(2, "job", pa.array(["guard", "guard", *table["job"].to_pylist()[2:]]))


def centred_logits(model: TableClassifier, table: pa.Table) -> Array:
    """The logits (n, k) as `TermFunctions` has them, from the regression itself."""
    o = model.encode(table) @ model.model_.coef_.T + model.model_.intercept_
    return np.asarray(o[:, 1:] - o[:, :1] if o.shape[1] == 2 else o - o.mean(axis=1, keepdims=True))


@pytest.fixture(scope="module", params=[2, 3])
def fitted(request: pytest.FixtureRequest) -> tuple[TableClassifier, pa.Table, int]:
    table = rows(q=request.param)
    return TableClassifier("y", terms=TERMS, keep_posterior=True).fit(table), table, request.param


@pytest.mark.filterwarnings("ignore::softreg.TableWarning")
def test_bias_and_functions_add_up_to_the_logits(fitted: tuple[TableClassifier, pa.Table, int]) -> None:
    model, table, q = fitted
    functions = model.term_functions(table)
    for some in (table, new_rows(q)):
        together = functions.bias + functions.contributions(some).sum(axis=1)
        assert_allclose(together, centred_logits(model, some), rtol=0, atol=1e-9)
    assert functions.names == ("x", "wage", "job", "owner", "day", "x:wage", "x:job", "job:owner")
    assert functions.other == ("day",)


def test_each_function_has_the_mean_zero_and_interactions_also_at_each_node(
    fitted: tuple[TableClassifier, pa.Table, int],
) -> None:
    model, table, _ = fitted
    functions = model.term_functions(table)
    assert_allclose(functions.contributions(table).mean(axis=0), 0, atol=1e-10)
    for one in functions:
        weighted = one.share[..., None] * one.logits
        assert_allclose(one.share.sum(), 1)
        if one.kind == "interaction":
            assert_allclose(weighted.sum(axis=0), 0, atol=1e-10)
            assert_allclose(weighted.sum(axis=1), 0, atol=1e-10)
        else:
            assert_allclose(weighted.sum(axis=0), 0, atol=1e-10)


def test_a_contribution_is_the_function_interpolated_at_the_value(
    fitted: tuple[TableClassifier, pa.Table, int],
) -> None:
    model, table, _ = fitted
    functions = model.term_functions(table)
    curve, job = functions.function("wage"), functions.function("job")
    parts = functions.contributions(table)
    numbers = curve.axes[0].numbers
    expected = np.interp(table["wage"].to_numpy(), numbers, curve.logits[: len(numbers), 0])
    assert_allclose(parts[:, functions.names.index("wage"), 0], expected, atol=1e-12)
    places = [job.axes[0].labels.index(one) for one in table["job"].to_pylist()]
    assert_allclose(parts[:, functions.names.index("job")], job.logits[places], atol=1e-12)


def test_probabilities_have_all_other_terms_at_their_mean(fitted: tuple[TableClassifier, pa.Table, int]) -> None:
    model, table, q = fitted
    functions = model.term_functions(table)
    for one in functions:
        assert one.probability.shape == (*one.logits.shape[:-1], q)
        assert_allclose(one.probability.sum(axis=-1), 1)
    job = functions.function("job")
    odds = np.log(job.probability[:, 1:] / job.probability[:, :1])
    expected = functions.bias + job.logits
    assert_allclose(odds, expected if q == 2 else (expected - expected[:, :1])[:, 1:], atol=1e-9)


def test_standard_errors_are_those_of_draws_of_the_weights(fitted: tuple[TableClassifier, pa.Table, int]) -> None:
    model, _, q = fitted
    posterior = model.model_.posterior()
    size = posterior.mean.size
    values, vectors = np.linalg.eigh(posterior.covariance().reshape(size, size))
    half = vectors * np.sqrt(np.maximum(values, 0))
    random, drawn = np.random.default_rng(0), copy.deepcopy(model)
    draws: dict[str, list[Array]] = {}
    for _ in range(600):
        theta = (posterior.mean.ravel() + half @ random.normal(size=size)).reshape(q, -1)
        drawn.model_.coef_, drawn.model_.intercept_ = theta[:, :-1], theta[:, -1]
        for one in drawn.term_functions():
            draws.setdefault(one.name, []).append(one.logits)
    for one in model.term_functions():
        assert one.std_error is not None
        assert one.low is not None
        assert one.high is not None
        assert_allclose(np.std(draws[one.name], axis=0), one.std_error, rtol=MONTE_CARLO, atol=1e-3)
        assert (one.low <= one.logits).all()
        assert (one.logits <= one.high).all()
    functions = model.term_functions()
    for one in functions:
        if one.kind == "interaction":
            assert one.probability_low is None
            assert one.probability_high is None
            continue
        assert one.probability_low is not None
        assert one.probability_high is not None
        z = functions.bias + np.array(draws[one.name])
        z = np.concatenate([np.zeros_like(z), z], axis=-1) if q == 2 else z
        spread = np.std(logit(softmax(z, axis=-1)), axis=0)
        width = logit(one.probability_high) - logit(one.probability_low)
        assert_allclose(width / (2 * ndtri(0.975)), spread, rtol=MONTE_CARLO, atol=1e-3)
        assert (one.probability_low <= one.probability).all()
        assert (one.probability <= one.probability_high).all()


def test_a_model_file_keeps_the_shares_of_the_training_rows(
    fitted: tuple[TableClassifier, pa.Table, int], tmp_path: object
) -> None:
    model, table, _ = fitted
    path = f"{tmp_path}/model.softreg"
    model.save(path)
    loaded = softreg.load(path).term_functions()
    for one, other in zip(model.term_functions(table), loaded, strict=True):
        assert_allclose(one.logits, other.logits, rtol=0, atol=1e-12)
        assert_allclose(one.share, other.share, rtol=0, atol=1e-12)


def test_without_a_covariance_there_is_no_interval() -> None:
    table = rows(300)
    model = TableClassifier("y", terms=Terms("linear", smooth=("x",))).fit(table)
    functions = model.term_functions()
    assert functions.intervals == ""
    assert all(one.std_error is None and one.low is None for one in functions)


def test_a_linear_model_needs_rows_and_has_lines() -> None:
    table = rows(300).drop_columns(["day"])
    model = TableClassifier("y", strength=0.01).fit(table)
    with pytest.raises(TableError, match=r"pass a table of rows"):
        model.term_functions()
    functions = model.term_functions(table)
    assert_allclose(
        functions.bias + functions.contributions(table).sum(axis=1), centred_logits(model, table), atol=1e-9
    )
    assert functions.function("x").kind == "line"
    with pytest.raises(TableError, match=r"no function of .*height.*'x'"):
        functions.function("height")
    with pytest.raises(ValueError, match=r"between 0 and 1"):
        model.term_functions(table, level=95)
    with pytest.raises(TableError, match="no rows of positive weight"):
        model.term_functions(table.slice(0, 0))


def test_weights_of_rows_count_in_the_means() -> None:
    table = rows(200)
    model = TableClassifier("y", terms=TERMS).fit(table)
    weight = np.random.default_rng(1).integers(0, 3, 200).astype(float)
    twice = table.take(np.repeat(np.arange(200), weight.astype(int)))
    for one, other in zip(model.term_functions(table, sample_weight=weight), model.term_functions(twice), strict=True):
        assert_allclose(one.logits, other.logits, atol=1e-9)


def test_a_curve_includes_its_linear_part() -> None:
    table = rows(400)
    model = TableClassifier("y", terms=Terms("linear", smooth=("x",))).fit(table)
    code = next(one for one in model.encoder_.column_encoders if one.name == "x")
    assert isinstance(code, CurveEncoder)
    function = model.term_functions().function("x")
    numbers = function.axes[0].numbers
    weights = (model.model_.coef_[1] - model.model_.coef_[0])[model.encoder_.feature_places()["x"]]
    whole = (numbers - code.mean) / code.scale * weights[0]
    whole = whole + np.stack(code.curves(numbers), axis=1) @ weights[1 : 1 + code.n_curves]
    assert_allclose(np.diff(function.logits[: len(numbers), 0]), np.diff(whole), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_rest_of_a_purified_table_has_no_means(seed: int) -> None:
    random = np.random.default_rng(seed)
    joint = random.random((6, 4)) * (random.random((6, 4)) < 0.4)
    joint[seed] = 0
    joint /= joint.sum()
    table = random.normal(size=(6, 4, 2))
    r, c = additive_part(table, joint)
    rest = (table - r[:, None] - c[None]) * joint[..., None]
    assert_allclose(rest.sum(axis=0), 0, atol=1e-12)
    assert_allclose(rest.sum(axis=1), 0, atol=1e-12)
