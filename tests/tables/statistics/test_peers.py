"""Statistics of tables against statsmodels: weights, errors, effects, and the same rows written in other ways."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from softreg import table_statistics
from softreg.tables import TableError

sm = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
smf = pytest.importorskip("statsmodels.formula.api", reason="statsmodels is not installed")


def people(n: int = 500, seed: int = 0, q: int = 2) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 80, n).astype(float),
            "town": random.choice(["Bonn", "Kiel", "Ulm"], n, p=[0.5, 0.3, 0.2]),
            "child": random.integers(0, 2, n),
            "house": np.arange(n) % 60,
            "times": random.integers(1, 5, n),
            "share": random.uniform(0.3, 4.0, n).round(3),
        }
    )
    o = np.column_stack([k * (0.03 * frame.age - 1.2 + 0.8 * (frame.town == "Kiel")) for k in range(q)])
    frame["y"] = np.array(list("abcdef"))[(o + random.gumbel(size=(n, q))).argmax(axis=1)]
    return frame


ALONE = ["house", "times", "share"]
TERMS = "age + C(town, Treatment('Bonn')) + child"


def statsmodels_fit(frame: pd.DataFrame, weights: np.ndarray | None = None, terms: str = TERMS, **fit):
    """Their logistic regression as a generalised linear model, which takes weights."""
    data = frame.assign(event=(frame.y == "b").astype(float))
    family = sm.families.Binomial()
    model = smf.glm(f"event ~ {terms}", data, family=family, freq_weights=weights)
    return model.fit(tol=1e-13, maxiter=200, tol_criterion="params", **fit)


def test_frequency_weights_are_those_of_statsmodels_and_repeated_rows() -> None:
    frame = people()
    v = frame.times.to_numpy()
    result = table_statistics(frame, "y", weights="times", drop=["house", "share"])
    other = statsmodels_fit(frame, v)
    coefficients = result.inference.coefficients
    assert result.weights is not None
    assert result.weights.kind == "frequency"
    assert coefficients.estimate[0] == pytest.approx(reorder(other.params), abs=1e-7)
    assert coefficients.std_error[0] == pytest.approx(reorder(other.bse), abs=1e-7)
    assert result.inference.log_likelihood == pytest.approx(other.llf, abs=1e-6)
    assert result.inference.n == v.sum()
    again = frame.loc[np.repeat(frame.index, v)].reset_index(drop=True)
    for settings in ({}, {"errors": "robust"}):
        repeated = table_statistics(again, "y", drop=ALONE, **settings)
        weighted = table_statistics(frame, "y", weights="times", drop=["house", "share"], **settings)
        for one, two in (
            (weighted.coefficients(), repeated.coefficients()),
            (weighted.effects(), repeated.effects()),
            (weighted.ratios(), repeated.ratios()),
        ):
            assert one.estimate == pytest.approx(two.estimate, abs=1e-7)
            assert one.std_error == pytest.approx(two.std_error, abs=1e-7)
        assert {name: test.statistic for name, test in weighted.column_tests().items()} == pytest.approx(
            {name: test.statistic for name, test in repeated.column_tests().items()}, rel=1e-5
        )


def reorder(values: pd.Series) -> np.ndarray:
    """Their order: intercept, towns, age, child; ours: intercept, age, towns, child."""
    names = list(values.index)
    order = ["Intercept", "age", *(name for name in names if "town" in name), "child"]
    return values[order].to_numpy()


def test_sampling_weights_have_the_sandwich_of_squared_weights() -> None:
    """Their `var_weights` with HC0 sums squared weighted scores, as Stata's pweights and R's svyglm do."""
    frame = people()
    data = frame.assign(event=(frame.y == "b").astype(float))
    model = smf.glm(f"event ~ {TERMS}", data, family=sm.families.Binomial(), var_weights=frame.share.to_numpy())
    other = model.fit(tol=1e-13, maxiter=200, tol_criterion="params", cov_type="HC0")
    result = table_statistics(frame, "y", weights="share", drop=["house", "times"])
    assert result.weights is not None
    assert result.weights.kind == "sampling"
    assert result.inference.errors == "robust"
    assert result.inference.coefficients.estimate[0] == pytest.approx(reorder(other.params), abs=1e-7)
    assert result.inference.coefficients.std_error[0] == pytest.approx(reorder(other.bse), abs=1e-6)
    scaled = table_statistics(frame.assign(share=1000 * frame.share), "y", weights="share", drop=["house", "times"])
    assert scaled.inference.coefficients.std_error == pytest.approx(result.inference.coefficients.std_error, abs=1e-8)
    assert scaled.inference.n == pytest.approx(500)
    assert "pseudo-likelihood" in result.text()
    with pytest.raises(ValueError, match="sampling weights the objective is a pseudo-likelihood: there is no AIC"):
        _ = result.inference.aic
    with pytest.raises(ValueError, match="no likelihood ratio"):
        result.inference.likelihood_ratio()


def test_the_kind_of_weights_is_said_and_can_be_changed() -> None:
    frame = people()
    whole = table_statistics(frame, "y", weights="times", drop=["house", "share"])
    assert any("frequency weights" in note and "--weight-kind sampling" in note for note in whole.notes)
    sampling = table_statistics(frame, "y", weights="times", weight_kind="sampling", drop=["house", "share"])
    assert sampling.inference.errors == "robust"
    assert not any("--weight-kind" in note for note in sampling.notes)
    scaled = np.array(sampling.weights.of(np.arange(500)))
    assert scaled.mean() == pytest.approx(1)


@pytest.mark.parametrize(("column", "row"), [(-1.0, 4), (np.inf, 4), ("many", 4)])
def test_weights_that_are_none_are_refused_by_row(column: object, row: int) -> None:
    frame = people().astype({"share": object})
    frame.loc[row - 1, "share"] = column
    with pytest.raises(TableError, match=rf"column of weights 'share' has .* in row {row}"):
        table_statistics(frame.astype({"share": str}), "y", weights="share")


def test_rows_of_no_weight_and_rows_without_one_are_left_out() -> None:
    frame = people()
    frame.loc[:9, "share"] = 0.0
    frame.loc[10:14, "share"] = np.nan
    result = table_statistics(frame, "y", weights="share", drop=["house", "times"])
    same = table_statistics(frame[15:], "y", weights="share", drop=["house", "times"])
    assert result.inference.coefficients.estimate == pytest.approx(same.inference.coefficients.estimate, abs=1e-8)
    assert result.left_out.rows == 5
    assert result.left_out.weightless == 10
    with pytest.raises(TableError, match=r"5 of 500 rows lack a value: 'share' in 5"):
        table_statistics(frame, "y", weights="share", drop=["house", "times"], missing="error")


@pytest.mark.parametrize("q", [2, 3])
def test_errors_are_those_of_statsmodels_with_the_factor_that_the_page_names(q: int) -> None:
    """HC0 is the same; clusters in statsmodels have a further factor (n - 1) / (n - k), which Stata does not have."""
    frame = people(q=q)
    X = pd.get_dummies(frame[["age", "town", "child"]], dtype=float)[["age", "town_Kiel", "town_Ulm", "child"]]
    model = sm.MNLogit(frame.y, sm.add_constant(X))
    settings = {"method": "newton", "disp": 0, "tol": 1e-13, "maxiter": 100}
    robust = model.fit(cov_type="HC0", **settings)
    ours = table_statistics(frame, "y", drop=ALONE, errors="robust").inference.coefficients
    assert ours.std_error == pytest.approx(robust.bse.to_numpy().T, abs=1e-6)
    clustered = model.fit(cov_type="cluster", cov_kwds={"groups": frame.house.to_numpy()}, **settings)
    grouped = table_statistics(frame, "y", drop=["times", "share"], clusters="house").inference
    k = (q - 1) * 5
    factor = np.sqrt((len(frame) - 1) / (len(frame) - k))
    assert grouped.coefficients.std_error * factor == pytest.approx(clustered.bse.to_numpy().T, abs=1e-6)
    assert "clusters        60, of 8 to 9 rows" in str(grouped.summary())
    plain = model.fit(**settings)
    ours_plain = table_statistics(frame, "y", drop=ALONE).effects()
    effects = plain.get_margeff(at="overall", method="dydx", dummy=False)
    assert ours_plain.estimate[:, 0] == pytest.approx(effects.margeff[0], abs=1e-8)
    assert ours_plain.std_error[:, 0] == pytest.approx(effects.margeff_se[0], abs=1e-8)


def test_odds_ratios_and_intervals_of_another_level() -> None:
    frame = people()
    result = table_statistics(frame, "y", drop=ALONE, level=0.9)
    other = statsmodels_fit(frame)
    interval = np.exp(np.column_stack([reorder(part) for _, part in other.conf_int(0.1).items()]))[1:]
    ratios = result.ratios()
    assert ratios.what == "odds_ratio"
    assert ratios.columns == ("age", "town=Kiel", "town=Ulm", "child")
    assert np.column_stack([ratios.lower[0], ratios.upper[0]]) == pytest.approx(interval, abs=1e-6)
    assert "90% from" in result.text()
    assert "Odds ratios (factor of the odds per unit):" in result.text()
    three = table_statistics(people(q=3), "y", drop=ALONE)
    assert three.ratios().what == "relative_risk_ratio"
    assert "Relative-risk ratios (factor of the ratio of the two probabilities per unit):" in three.text()
    with pytest.raises(ValueError, match="level=90"):
        table_statistics(frame, "y", drop=ALONE, level=90)


def test_sampling_weights_with_clusters_of_single_rows_are_robust_errors() -> None:
    """But for the factor G / (G - 1)."""
    frame = people().assign(row=np.arange(500))
    drop = ["house", "times"]
    plain = table_statistics(frame, "y", weights="share", drop=[*drop, "row"]).inference.coefficients.std_error
    single = table_statistics(frame, "y", weights="share", drop=drop, clusters="row").inference.coefficients.std_error
    assert single == pytest.approx(plain * np.sqrt(500 / 499), rel=1e-8)


@pytest.mark.parametrize("column", [True, pd.Timestamp("2020-01-01"), "a"])
def test_columns_that_hold_no_weights(column: object) -> None:
    with pytest.raises(TableError, match="column of weights 'w' has"):
        table_statistics(people().assign(w=column), "y", weights="w")
