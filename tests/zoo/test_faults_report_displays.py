"""Cases in which displays of other libraries failed, by their public issues: ties, single classes, names, bins."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from softreg.probability import softmax
from softreg.report import ReportData, audit, render_report
from softreg.report.evaluation.column_rates import level_rates, number_rates
from softreg.report.evaluation.roc_and_precision_recall import discrimination, discriminations


def page_of(P: np.ndarray, y: np.ndarray, classes: list[str], **more: object) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return render_report(ReportData("t", audit(P, y, classes), trained=False, **more))  # type: ignore[arg-type]


def test_constant_probabilities_have_the_prevalence_as_average_precision() -> None:
    """scikit-learn 6065: linear interpolation gave above a half for a constant score."""
    found = discrimination(np.full(50, 0.5), np.arange(50) < 5)
    assert (found.auc.value, found.average_precision.value) == (0.5, 0.1)
    assert found.auc.low < 0.5 < found.auc.high


def test_average_precision_of_blocks_of_ties() -> None:
    """scikit-learn 4223: 25 rows in four blocks of equal scores."""
    happened = np.isin(np.arange(25), [0, 10, 15])
    scores = np.repeat([0.9, 0.8, 0.7, 0.6], [10, 5, 5, 5])
    assert discrimination(scores, happened).average_precision.value == pytest.approx((1 / 10 + 2 / 15 + 3 / 20) / 3)


def test_the_roc_curve_begins_at_zero_and_ends_at_one() -> None:
    """scikit-learn 9790, scores 857: the first or the last point was missing."""
    found = discrimination(np.array([0.91, 0.61, 0.83, 0.62, 1.0]), np.array([False, False, True, True, True]))
    assert (found.fpr[0], found.tpr[0], found.fpr[-1], found.tpr[-1]) == (0, 0, 1, 1)


def test_two_classes_have_one_curve() -> None:
    """yellowbrick 1040: four curves for a binary problem."""
    P = softmax(np.random.default_rng(0).normal(size=(60, 2)))
    found = audit(P, np.arange(60) % 2, ["no", "yes"])
    assert [one.name for one in discriminations(found)] == ["yes"]


@pytest.mark.parametrize("codes", [np.zeros(40, int), np.arange(40) % 2, np.append(2, np.zeros(39, int))])
def test_classes_that_are_not_observed_or_observed_once(codes: np.ndarray) -> None:
    """evidently 516, 1002, 1070, 1275; yellowbrick: "Only one class present in y_true"."""
    P = softmax(np.random.default_rng(0).normal(size=(40, 3)))
    for probabilities in (P, np.tile([0.2, 0.1, 0.7], (40, 1))):  # always the same prediction
        page = page_of(probabilities, codes, ["cat", "dog", "giraffe"])
        assert "giraffe" in page


NAMES = ["股票代码", "نجا من الغرق", "\U0001f40e\u200d", "a_b^{c}$\\frac{1}{2}$", "<br>&amp;", "y" * 400]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_no_font_has_are_drawn_without_a_warning(name: str) -> None:
    """shap 1790, missingno 155, sweetviz 23 (glyphs), scikit-plot 37 (long names)."""
    random = np.random.default_rng(0)
    for q in (2, 4):
        P, y = softmax(random.normal(size=(80, q))), np.arange(80) % q
        classes = [name, *(f"{name}{k}" for k in range(1, q))]
        curve = level_rates(name, np.array([name, "b"])[np.arange(80) // 2 % 2], audit(P, y, classes))
        page = page_of(P, y, classes, curves=[curve], information=[(name, 0.1)], columns=[(name, "category", name)])
        assert "<br>&amp;" not in page.partition("</style>")[2].replace("&lt;br&gt;&amp;amp;", "")


def test_many_classes_keep_the_page_small() -> None:
    """vortex 20: a matrix of many classes cannot be read."""
    random = np.random.default_rng(0)
    y = random.integers(300, size=900)
    page = page_of(softmax(random.normal(size=(900, 300))), y, [f"word {k}" for k in range(300)])
    assert len(page) < 2_000_000
    assert "classes are left out" in page
    assert 'class="matrix' not in page


@pytest.mark.parametrize("share", [0.75, 0.95, 0.999])
def test_bins_of_a_column_that_has_one_value_in_most_rows(share: float) -> None:
    """responsible-ai-toolbox 883, causalml 271, evalml 1923: equal quantiles made equal edges."""
    random = np.random.default_rng(0)
    values = np.where(random.random(2000) < share, 0.0, random.exponential(size=2000) + 1)
    found = audit(np.full((2000, 2), 0.5), np.arange(2000) % 2, ["no", "yes"])
    curve = number_rates("visits", values, found)
    assert curve is not None
    assert curve.bins[0] == "0"
    assert curve.count[0] == (values == 0).sum()
    assert curve.count.sum() == 2000


def test_missing_and_infinite_values_are_a_bin_of_their_own() -> None:
    """evidently 257: missing values left no rows."""
    found = audit(np.full((60, 2), 0.5), np.arange(60) % 2, ["no", "yes"])
    assert number_rates("x", np.full(60, np.nan), found) is None
    curve = number_rates("x", np.where(np.arange(60) < 50, np.nan, np.arange(60.0)), found)
    assert curve is not None
    assert (curve.bins[-1], curve.count[-1]) == ("missing", 50)
