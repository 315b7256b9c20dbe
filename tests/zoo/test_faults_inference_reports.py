"""Defects that other packages of statistics have had, by their public reports, tried on softreg.

Each test names the report. What it asserts is the right value, computed by hand or by another route.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from softreg import SoftmaxRegression, infer, separation, table_statistics
from softreg.tables import TableWarning

# The data set sex2 of the R package logistf: 130 cases and 109 controls of urinary tract infection (Foxman and others
# 1997), as counts of equal rows: case, age, oral contraceptive, and four methods; the last column counts the rows.
INFECTION = """
1 111000 3|1 110000 5|1 101111 1|1 101100 1|1 101011 1|1 101010 1|1 101000 2|1 011110 3|1 011100 7|1 011010 2|
1 011001 1|1 011000 15|1 010001 3|1 010000 44|1 001111 1|1 001110 12|1 001100 10|1 001010 3|1 001000 14|
1 000010 1|0 111110 2|0 111000 1|0 110010 1|0 110000 14|0 101110 4|0 101100 2|0 011110 6|0 011100 5|
0 011000 1|0 010010 1|0 010000 42|0 001110 18|0 001100 8|0 001010 1|0 001000 2|0 000010 1
"""
NAMES = ["age", "oc", "vic", "vicl", "vis", "dia"]


def infection() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    cells = [cell.split() for cell in INFECTION.replace("\n", "").split("|")]
    X = pd.DataFrame([[float(c) for c in pattern] for _, pattern, _ in cells], columns=NAMES)
    return X, np.array([int(case) for case, _, _ in cells]), np.array([float(count) for *_, count in cells])


def test_published_fit_of_the_infection_data() -> None:
    """Estimates, standard errors, profile intervals and p-values that implementations in R and Python print."""
    X, y, counts = infection()
    assert (counts[y == 1].sum(), counts[y == 0].sum()) == (130, 109)
    found = infer(SoftmaxRegression(penalty="firth").fit(X, y, counts), X, y, counts)
    estimate = [0.120254, -1.10598, -0.0688167, 2.26887, -2.11141, -0.788317, 3.09601]
    error = [0.485542, 0.42366, 0.443793, 0.548416, 0.543082, 0.417368, 1.67501]
    assert found.coefficients.estimate[0] == pytest.approx(estimate, rel=1e-5)
    assert found.coefficients.std_error[0] == pytest.approx(error, rel=1e-5)
    profile = found.profile()  # they stop where the penalised likelihood is right to 1e-4
    assert profile.lower[0] == pytest.approx(
        [-0.818559, -1.97379, -0.941436, 1.27304, -3.26086, -1.60809, 0.774568], rel=1e-4
    )
    assert profile.upper[0] == pytest.approx(
        [1.07315, -0.307427, 0.789202, 3.43543, -1.11774, 0.0151846, 8.03028], rel=1e-4
    )
    tests = [found.likelihood_ratio(name).statistic for name in NAMES]
    assert tests == pytest.approx([7.51, 0.02, 22.93, 19.10, 3.70, 7.90], abs=6e-3)  # as R prints them
    assert profile.z[0, 1:] ** 2 == pytest.approx(tests, rel=1e-6)


def test_a_profile_interval_of_an_empty_cell_converges() -> None:
    """stats.stackexchange 130558: -3.5 (-11.6 to 4.85) with p = 1 is printed for 0 of 22 against 7 of 363."""
    X = np.repeat([[1.0], [0.0], [0.0]], [22, 7, 356], axis=0)
    y = np.repeat([0, 1, 0], [22, 7, 356])
    found = infer(SoftmaxRegression(penalty="firth").fit(X, y), X, y)
    exact = np.log(0.5 / 22.5) - np.log(7.5 / 356.5)  # half a case in each cell
    assert found.coefficients.estimate[0, 1] == pytest.approx(exact, abs=1e-8)
    profile = found.profile([0])
    assert profile.lower[0, 0] < exact < profile.upper[0, 0]
    assert found.likelihood_ratio([0]).p_value == pytest.approx(profile.p_value[0, 0], abs=1e-6)
    assert found.likelihood_ratio([0]).p_value > 0.9


def spread(n: int = 400, q: int = 3, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = np.column_stack([random.normal(size=n), random.random(n) < 0.4, random.integers(0, 4, n)]).astype(float)
    return X, (X @ random.normal(size=(3, q)) / 2 + random.gumbel(size=(n, q))).argmax(axis=1)


def test_discrete_effects_of_several_classes() -> None:
    """statsmodels 5488 and 3695: differences fail for several classes, or move to the column beside."""
    X, y = spread(q=4)
    model = SoftmaxRegression(penalty=None, tol=1e-12).fit(X, y)
    effects = infer(model, X, y).effects()
    ends = []
    for value in (0.0, 1.0):
        Z = X.copy()
        Z[:, 1] = value
        ends.append(model.predict_proba(Z).mean(axis=0))
    assert effects.estimate[:, 1] == pytest.approx(ends[1] - ends[0], abs=1e-7)
    P = model.predict_proba(X)
    for j in (0, 2):
        w = model.coef_[:, j]
        assert effects.estimate[:, j] == pytest.approx((P * (w - (P @ w)[:, None])).mean(axis=0), abs=1e-7)


def test_effects_of_many_rows_need_no_matrix_of_rows_by_parameters() -> None:
    """statsmodels 4158: out of memory for some 100,000 rows."""
    random = np.random.default_rng(0)
    X = random.normal(size=(100_000, 4))
    y = (X @ random.normal(size=(4, 3)) + random.gumbel(size=(100_000, 3))).argmax(axis=1)
    found = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    assert (found.effects().std_error < 2e-3).all()


def test_a_constant_column_and_separation_in_four_rows() -> None:
    """statsmodels 659: a singular matrix, a separation error or nothing, by the optimiser."""
    frame = pd.DataFrame({"a": [1.0, 1, 1, 1], "b": [0.0, 0, 2, 1], "c": [1.0, 1, 1, 1], "y": ["u", "u", "v", "v"]})
    assert separation(frame[["b"]], frame.y).complete
    with pytest.warns(TableWarning, match="separated .*completely"):
        found = table_statistics(frame, "y", drop=["a", "c"])
    assert np.isfinite(found.coefficients().estimate).all()
    assert found.column_tests()["b"].kind == "penalised likelihood ratio"


def test_pseudo_r_squared_of_a_rare_class_is_finite() -> None:
    """statsmodels 3635: nan, for the fit of the intercepts overflows where one class is much more frequent."""
    random = np.random.default_rng(1)
    X = random.normal(size=(5_000, 2)) * [1, 1e6]
    y = np.r_[np.zeros(4_980, int), np.repeat(np.arange(1, 5), 5)]
    found = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    count = np.bincount(y)
    assert found.null_log_likelihood == pytest.approx((count * np.log(count / 5_000)).sum())
    assert 0 <= found.mcfadden < 1


@pytest.mark.parametrize("settings", [{}, {"errors": "robust"}])
def test_robust_errors_with_counts_are_those_of_repeated_rows(settings: dict[str, str]) -> None:
    """pyfixest 367 and statsmodels 2829: robust errors of frequency weights differ from those of the repeated rows."""
    X, y = spread()
    v = np.random.default_rng(2).integers(1, 4, 400)
    again = np.repeat(np.arange(400), v)
    model = SoftmaxRegression(penalty=None).fit(X, y, v)
    weighted, repeated = infer(model, X, y, v, **settings), infer(model, X[again], y[again], **settings)
    assert weighted.coefficients.std_error == pytest.approx(repeated.coefficients.std_error, rel=1e-8)
    assert weighted.overall().statistic == pytest.approx(repeated.overall().statistic, rel=1e-8)


def test_clusters_and_counts_together_are_those_of_repeated_rows() -> None:
    """statsmodels 7861: what clusters mean with frequency weights."""
    X, y = spread()
    random = np.random.default_rng(2)
    v, g = random.integers(1, 4, 400), random.integers(0, 50, 400)
    again = np.repeat(np.arange(400), v)
    model = SoftmaxRegression(penalty=None).fit(X, y, v)
    weighted = infer(model, X, y, v, clusters=g).coefficients.std_error
    assert weighted == pytest.approx(infer(model, X[again], y[again], clusters=g[again]).coefficients.std_error)


def test_weights_that_sum_to_less_than_the_parameters() -> None:
    """statsmodels 8891: small weights taken for frequencies give a negative scale and nan errors."""
    X, y = spread()
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y.astype(str), w=np.linspace(1, 3, 400) * 1e-5)
    found = table_statistics(frame, "y", weights="w")
    assert found.weights is not None
    assert found.weights.kind == "sampling"
    large = table_statistics(frame.assign(w=frame.w * 1e9), "y", weights="w", weight_kind="sampling")
    assert found.coefficients().std_error == pytest.approx(large.coefficients().std_error, rel=1e-6)


def test_effects_are_weighted_means() -> None:
    """marginaleffects 961 and 1722: average slopes ignore the weights of the fit, and contrasts do not."""
    X, y = spread()
    v = np.random.default_rng(4).integers(1, 6, 400)
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y.astype(str), w=v)
    again = frame.loc[np.repeat(frame.index, v)].drop(columns="w").reset_index(drop=True)
    for formula in (None, "y ~ a * b + c"):
        weighted = table_statistics(frame, "y", weights="w", formula=formula).effects()
        repeated = table_statistics(again, "y", formula=formula).effects()
        assert weighted.estimate == pytest.approx(repeated.estimate, abs=1e-8)
        assert weighted.std_error == pytest.approx(repeated.std_error, abs=1e-8)


def test_names_stay_with_their_coefficients_where_columns_are_dropped() -> None:
    """estimatr 293: names of all columns beside the coefficients of those that are left."""
    X, y = spread(q=2)
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y.astype(str))
    frame.insert(1, "twice", 2 * frame.a)
    found, same = table_statistics(frame, "y"), table_statistics(frame.drop(columns="twice"), "y")
    ours = dict(zip(found.coefficients().columns, found.coefficients().estimate[0], strict=True))
    theirs = dict(zip(same.coefficients().columns, same.coefficients().estimate[0], strict=True))
    assert ours.pop("twice") != ours.get("twice")
    assert ours == pytest.approx(theirs, abs=1e-7)


def test_levels_of_a_categorical_that_no_row_has() -> None:
    """fixest 447: an unused level of a factor makes the matrix singular, and estimates are nonsense."""
    X, y = spread(q=2)
    town = pd.Categorical(np.array(["Bonn", "Kiel"])[X[:, 1].astype(int)], categories=["Aachen", "Bonn", "Kiel", "Ulm"])
    frame = pd.DataFrame({"a": X[:, 0], "town": town, "y": y.astype(str)})
    for settings in ({"target": "y"}, {"formula": "y ~ a + town"}):
        found = table_statistics(frame, **settings)
        assert len(found.coefficients().columns) == 3
        assert found.reference_levels == {"town": "Bonn"}
        assert found.aliased == {}


@pytest.mark.parametrize(
    "names", [["weights", "rows"], ["level", "target"], ["estimate", "class"], ["(intercept)", "y2"]]
)
def test_columns_may_be_called_like_arguments(names: list[str]) -> None:
    """marginaleffects 347: a column called weights is taken for the weights."""
    X, y = spread(q=2)
    frame = pd.DataFrame(X[:, [0, 2]], columns=names).assign(y=y.astype(str))
    same = table_statistics(pd.DataFrame(X[:, [0, 2]], columns=["a", "b"]).assign(y=y.astype(str)), "y")
    found = table_statistics(frame, "y")
    assert found.coefficients().estimate == pytest.approx(same.coefficients().estimate, abs=1e-8)
    assert found.ratios().estimate.shape == (1, 2)
    assert found.text()


def test_robust_errors_say_what_they_are() -> None:
    """statsmodels 7798: HC1, HC2 and HC3 are accepted and are all the same; here there is one kind, HC0."""
    X, y = spread(q=2)
    model = SoftmaxRegression(penalty=None).fit(X, y)
    with pytest.raises(ValueError, match="errors='HC3' is not one of model, robust, posterior"):
        infer(model, X, y, errors="HC3")
