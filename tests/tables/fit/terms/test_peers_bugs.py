"""Public bug reports on additive models, splines and boosting of other packages, with what happens here.

Each test names the report; its data are of the same kind, and none is copied.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import softreg
from softreg import TableClassifier
from softreg.report.page.terms.term_tables import drawn_terms
from softreg.tables import Terms
from softreg.tables.columns.table_errors import TableError

BY_HAND = Terms("linear", smooth="x", interactions="x:c", pool="c")


def table(n: int = 160) -> pd.DataFrame:
    """A wave in x, and a category with an effect."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.uniform(-3, 3, n).round(2), "c": rng.choice(list("uvw"), n)})
    score = 2 * np.sin(2 * frame["x"]) + (frame["c"] == "u") + rng.logistic(size=n)
    return frame.assign(y=np.where(score > 0, "p", "q"))


@pytest.fixture(scope="module")
def fitted() -> TableClassifier:
    return TableClassifier("y", terms=BY_HAND).fit(table())


def test_the_type_of_a_number_does_not_change_its_prediction() -> None:
    """interpretml/interpret 280: after training on floats, the integer 1 was an unknown value beside 1.0."""
    frame = table().assign(x=np.arange(160) % 7)
    model = TableClassifier("y", terms=BY_HAND, number=["x"]).fit(frame)
    expected = model.predict_proba(frame)
    for kind in ("float64", "float32", "int8", "uint16", "Int64", "Float64", "str"):
        assert_array_equal(model.predict_proba(frame.assign(x=frame["x"].astype(kind))), expected, err_msg=kind)
    assert_array_equal(model.predict_proba(pl.from_pandas(frame)), expected)
    assert_array_equal(model.predict_proba(pa.Table.from_pandas(frame)), expected)


def test_numbers_beyond_the_range_have_the_value_at_its_end(fitted: TableClassifier) -> None:
    """statsmodels 7830, 9438: splines raised an error for new rows outside of the knots of training."""
    ends = table()["x"].agg(["min", "max"]).to_numpy()
    inside = pd.DataFrame({"x": np.repeat(ends, 3), "c": ["u", "v", "w"] * 2})
    outside = inside.assign(x=np.repeat([-1e300, 1e300], 3))
    with pytest.warns(UserWarning, match="far outside those of training"):
        P = fitted.predict_proba(outside)
    assert_array_equal(P, fitted.predict_proba(inside))


def test_order_and_number_of_the_categories_of_a_frame_do_not_matter(fitted: TableClassifier) -> None:
    """LightGBM 2761, 2826: a pandas categorical whose codes differ between training and prediction."""
    frame = table()
    other = frame[frame["c"] != "v"]
    recoded = other.assign(c=pd.Categorical(other["c"], categories=["w", "z", "u"]))
    assert_array_equal(fitted.predict_proba(recoded), fitted.predict_proba(other))


def test_an_unseen_category_has_the_mean_of_the_levels(fitted: TableClassifier) -> None:
    """CatBoost 2703, xgboost 11826: an unseen level of a strong column gave arbitrary predictions, or an error."""
    new = pd.DataFrame({"x": [0.5, 0.5], "c": ["unheard of", None]})
    with pytest.warns(UserWarning, match="not seen in training"):
        P = fitted.predict_proba(new)
    known = fitted.predict_proba(pd.DataFrame({"x": [0.5] * 3, "c": ["u", "v", "w"]}))
    assert_array_equal(P[0], P[1])
    assert known[:, 1].min() < P[0, 1] < known[:, 1].max()


def test_integer_categories_may_be_negative_and_huge() -> None:
    """LightGBM 3453, 5206: negative integers of a category became missing values."""
    frame = table()
    codes = {"u": -1, "v": -(2**62), "w": 2**62 + 1}
    named = frame.assign(c=frame["c"].map(codes))
    model = TableClassifier("y", terms=BY_HAND, category=["c"]).fit(named)
    P = model.predict_proba(pd.DataFrame({"x": [0.0] * 3, "c": list(codes.values())}))
    assert len(np.unique(P[:, 0])) == 3
    with_text = TableClassifier("y", terms=BY_HAND).fit(frame)
    assert_allclose(np.sort(model.predict_proba(named)), np.sort(with_text.predict_proba(frame)), atol=1e-3)


def test_constant_and_duplicate_columns() -> None:
    """pyGAM 120: the singular value decomposition failed for a column of ones, and for a column that is there twice."""
    frame = table()
    twice = frame.assign(x2=frame["x"], one=1.0)
    terms = Terms("linear", smooth=["x", "x2"])
    with pytest.warns(UserWarning, match="one"):
        model = TableClassifier("y", terms=terms).fit(twice)
    assert model.model_.solution_.gap < 1e-5
    single = TableClassifier("y", terms=Terms("linear", smooth="x")).fit(frame)
    assert_allclose(model.predict_proba(twice), single.predict_proba(frame), atol=0.1)
    with pytest.raises(TableError, match=r"'one' is named as a smooth curve.*holds one value in all.*Drop the request"):
        TableClassifier("y", terms=Terms("linear", smooth="one"), number=["one"]).fit(twice)


@pytest.mark.parametrize("shift", [0.0, 1e6, 2.0**53])
def test_separated_classes_and_shifted_numbers_converge(shift: float) -> None:
    """pyGAM 125, 241: divisions by zero and no convergence where probabilities come near 0 and 1."""
    frame = table().assign(x=np.repeat([-4.0, -2.0, 2.0, 4.0], 40) + shift)
    frame["y"] = np.where(frame["x"] > shift, "p", "q")
    with np.errstate(all="raise", under="ignore"):
        model = TableClassifier("y", terms=Terms("linear", smooth="x"), number=["x"]).fit(frame)
    P = model.predict_proba(frame)
    assert model.model_.solution_.gap < 1e-5
    assert P[frame["y"] == "p", 0].min() > 0.9
    assert ((P > 0) & (P < 1)).all()


def test_few_distinct_numbers_and_repeated_quantiles() -> None:
    """h2o-3 5347: knots at the same place where a column has fewer values than knots."""
    frame = table()
    counts = np.random.default_rng(1).poisson(0.3, len(frame))
    for values in (counts, np.where(counts > 0, frame["x"], 0.0), np.where(frame["x"] > 1, 1.0, frame["x"] * 0.0)):
        model = TableClassifier("y", terms=Terms("linear", smooth="x"), number=["x"]).fit(frame.assign(x=values))
        for code in model.encoder_.column_encoders:
            assert (np.diff(getattr(code, "curve_knots", (0.0, 1.0))) > 0).all()
        assert np.isfinite(model.predict_proba(frame.assign(x=values))).all()


def test_a_monotone_column_with_missing_values_keeps_its_direction() -> None:
    """interpretml/interpret 445: scores were shifted where a monotone column had missing values."""
    frame = table().assign(x=lambda f: f["x"].where(np.arange(len(f)) % 5 > 0))
    model = TableClassifier("y", terms=Terms("linear", monotone={"x": "-"}, pool="c")).fit(frame)
    grid = pd.DataFrame({"x": np.linspace(-4, 4, 200), "c": "u"})
    assert np.diff(model.predict_proba(grid)[:, 1]).max() <= 0
    rate = (frame["y"] == "q")[frame["x"].isna()].mean()
    assert abs(model.predict_proba(frame[frame["x"].isna()])[:, 1].mean() - rate) < 0.15


def test_missing_numbers_are_no_error_where_training_had_none(fitted: TableClassifier) -> None:
    """scikit-learn 33953: missing values in the spline transformer; infinite numbers are errors that name the row."""
    frame = table()
    P = fitted.predict_proba(frame.assign(x=np.nan))
    for level in "uvw":
        assert len(np.unique(P[frame["c"] == level], axis=0)) == 1
    assert_allclose(P.sum(axis=1), 1)
    with pytest.raises(TableError, match="'x' has -inf in row 3"):
        fitted.predict_proba(frame.assign(x=np.where(np.arange(len(frame)) == 2, -np.inf, frame["x"])))
    with pytest.raises(TableError, match=r"'x' held numbers in training, but row 1 has 'many'.*--na"):
        fitted.predict_proba(frame.assign(x="many"))


def test_rare_classes_without_weights_keep_their_rate() -> None:
    """interpretml/interpret 413: a class of less than 2% of the rows."""
    frame = table(600)
    frame["y"] = np.where(np.arange(600) % 60 == 7, "rare", "common")
    model = TableClassifier("y", terms=BY_HAND).fit(frame)
    assert_allclose(model.predict_proba(frame)[:, 1].mean(), 1 / 60, atol=1e-3)
    balanced = TableClassifier("y", terms=BY_HAND, class_weight="balanced").fit(frame)
    assert_allclose(balanced.predict_proba(frame)[:, 1].mean(), 0.5, atol=0.15)


def test_weights_are_counts_of_rows_and_zero_leaves_rows_out(tmp_path: Path) -> None:
    """interpretml/interpret 62, 115, 147: weights of rows; here those of weight 0 change nothing, in memory or not."""
    frame = table()
    noise = frame.assign(y=frame["y"].to_numpy()[::-1], x=frame["x"] * 50, c="w")
    both = pd.concat([frame, noise], ignore_index=True)
    weight = np.r_[np.ones(len(frame)), np.zeros(len(noise))]
    plain = TableClassifier("y", terms=BY_HAND).fit(frame)
    weighted = TableClassifier("y", terms=BY_HAND).fit(both, sample_weight=weight)
    assert_allclose(weighted.predict_proba(frame), plain.predict_proba(frame), atol=1e-4)
    path = tmp_path / "both.csv"
    both.assign(w=weight).to_csv(path, index=False)
    batches = TableClassifier("y", terms=BY_HAND).fit(path, sample_weight="w", memory="low")
    batches.save(tmp_path / "m.softreg")
    again = softreg.load(tmp_path / "m.softreg").predict_proba(frame)
    assert_array_equal(again, batches.predict_proba(frame))
    assert_allclose(again, plain.predict_proba(frame), atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.filterwarnings("error")
def test_numbers_up_to_the_largest_have_curves_and_pictures(classes: int) -> None:
    """interpretml/interpret 370: numbers above 999 trillion broke the pictures of curves."""
    frame, rng = table(300), np.random.default_rng(1)
    if classes > 2:
        frame["y"] = np.where(frame["x"] > 1.5, "r", frame["y"])
    for numbers in (
        rng.choice([-1.7e308, -3.0, 0.0, 2.0, 1.7e308], 300),
        rng.normal(size=300) * 1e307,
        10 ** rng.uniform(-300, 300, 300),
        rng.uniform(0, 1e-310, 300),
        2.0**60 + rng.integers(0, 10**6, 300),
    ):
        big = frame.assign(h=np.where(rng.random(300) < 0.1, np.nan, numbers))
        model = TableClassifier("y", terms=Terms("linear", smooth="h", interactions=["h:x", "h:c"])).fit(big)
        model.keep_intervals(big)
        assert np.isfinite(model.predict_proba(big)).all()
        functions = model.term_functions()
        assert all(np.isfinite(one.logits).all() and np.isfinite(one.high).all() for one in functions)
        drawn = drawn_terms(functions)
        assert drawn is not None
        svgs = [svg for one in drawn.drawn for row in one.figures for svg in row]
        assert not [svg for svg in svgs if re.search(r"[\"\s,]nan|inf[\"\s,]", svg)]


def test_a_request_that_cannot_be_met_has_a_way_out() -> None:
    """pyGAM 131, 214: what a column was taken for decides whether it has a curve, and no message said so."""
    n = 60
    frame = table(n).assign(
        when=pd.date_range("2020-01-01", periods=n), word=[f"{k * 7919:,}" for k in range(n)], note="a b c d e f g"
    )
    frame["note"] = [" ".join(np.random.default_rng(k).choice(list("abcdefgh"), 9)) for k in range(n)]
    for column, told in [
        ("when", "'when' is to have a curve, which is for numbers, and was taken for a date. Leave the curve out."),
        ("note", "was taken for a text. Leave the curve out."),
        ("c", "was taken for a category. If it has numbers, take it for them with --number 'c'"),
        ("word", "'word' is named as a smooth curve, and is no feature of the model: it was taken for an identifier"),
        ("y", "'y' is named as a smooth curve, and is no feature of the model: it is the target. Drop the request."),
    ]:
        with pytest.raises(TableError) as error:
            TableClassifier("y", terms=Terms("linear", smooth=column), text=["note"]).fit(frame)
        assert told in str(error.value)
    with pytest.raises(TableError, match="add --number 'word'"):
        TableClassifier("y", terms=Terms("linear", smooth="word")).fit(frame)
    with pytest.warns(UserWarning, match="read as numbers with ',' between thousands"):
        TableClassifier("y", terms=Terms("linear", smooth="word"), number=["word"]).fit(frame)
    for curve in ({"smooth": "c"}, {"monotone": {"c": "+"}}):
        with pytest.raises(TableError, match="'c' is requested as a pooled category, and with a curve"):
            Terms("linear", pool="c", **curve)


def test_columns_that_are_never_known_together_have_an_interaction() -> None:
    """interpretml/interpret 18: a pair whose columns are missing in turn has cells without any row."""
    frame = table(400)
    frame["z"] = np.random.default_rng(2).normal(size=400)
    first = np.arange(400) % 2 == 0
    frame.loc[first, "x"] = np.nan
    frame.loc[~first, "z"] = np.nan
    model = TableClassifier("y", terms=Terms("linear", smooth=["x", "z"], interactions="x:z")).fit(frame)
    model.keep_intervals(frame)
    functions = model.term_functions()
    assert_allclose(functions.function("x:z").logits[functions.function("x:z").share > 0], 0, atol=1e-8)
    low, high = model.predict_intervals(frame)
    P = model.predict_proba(frame)
    assert ((low < P) & (high > P)).all()


def test_rows_columns_and_labels_in_another_order_give_the_same_model() -> None:
    """SauersML/gam 2365, pyGAM 306: order of rows or a unit of a column or of the weights changed the smoothing.

    The strengths are chosen by fits that end within `FIT_GAP` of their optima, and rounding decides after which step:
    another order of the rows moves probabilities by up to 2e-4.
    """
    frame = table(300)
    expected = TableClassifier("y", terms=BY_HAND).fit(frame).predict_proba(frame)
    shuffled = frame.sample(frac=1, random_state=0)[["y", "c", "x"]]
    found = TableClassifier("y", terms=BY_HAND).fit(shuffled).predict_proba(frame)
    assert_allclose(found, expected, atol=1e-3)
    renamed = frame.assign(y=frame["y"].map({"p": "z", "q": "a"}))
    assert_allclose(TableClassifier("y", terms=BY_HAND).fit(renamed).predict_proba(frame)[:, ::-1], expected, atol=1e-3)
    scaled = frame.assign(x=-1e6 * frame["x"] + 3)
    assert_allclose(TableClassifier("y", terms=BY_HAND).fit(scaled).predict_proba(scaled), expected, atol=1e-3)
    weighted = TableClassifier("y", terms=BY_HAND).fit(frame, sample_weight=np.full(300, 7.0))
    assert_allclose(weighted.predict_proba(frame), expected, atol=1e-3)
