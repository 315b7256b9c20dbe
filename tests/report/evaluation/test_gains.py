"""Gains of the most likely rows, and sentences on calibration: by hand, and on models right, overconfident or odd."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.models import Added, CodeLength
from softreg.probability import operating_point, softmax
from softreg.report import Effect, ReportData, audit, render_report
from softreg.report.evaluation.gains import gains
from softreg.report.evaluation.number_format import format_p_value, format_points
from softreg.report.page.calibration_assessment import assess_calibration
from softreg.report.page.summary_text import answers, calibration_sentences


def draws(seed: int, n: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    o = random.normal(scale=1.5, size=(n, q))
    codes = (softmax(o).cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    return o, np.minimum(codes, q - 1)


def test_gains_by_hand() -> None:
    p = np.arange(20) / 20
    codes = np.isin(np.arange(20), [19, 18, 10, 5, 0]).astype(int)
    found = gains(audit(np.column_stack([1 - p, p]), codes, ["no", "yes"]))
    assert found is not None
    assert (found.label, found.total) == ("yes", 5)
    tenth = next(step for step in found.steps if step.share == 0.1)
    assert (tenth.rows, tenth.hits, tenth.recall, tenth.precision) == (2, 2, 0.4, 1.0)
    assert tenth.lift == pytest.approx(4.0)
    assert tenth.threshold == pytest.approx(0.9)
    assert found.recall[[0, 1, 2, 20]].tolist() == [0.0, 0.2, 0.4, 1.0]


def test_the_rarer_class_is_the_one_wanted() -> None:
    P = np.tile([0.3, 0.7], (30, 1))
    for codes, wanted in (([0] * 10 + [1] * 20, "a"), ([0] * 20 + [1] * 10, "b"), ([0] * 15 + [1] * 15, "b")):
        found = gains(audit(P, codes, "ab"))
        assert found is not None
        assert found.label == wanted
    assert gains(audit(P, [0] * 27 + [1] * 3, "ab")) is None  # three rows tell nothing
    assert gains(audit(np.full((30, 3), 1 / 3), [0, 1, 2] * 10, "abc")) is None


def test_sentences_on_calibration() -> None:
    o, y = draws(0, 3000, 3)
    cases = {1.0: "no miscalibration found", 2.0: "overconfident", 0.5: "underconfident"}
    for factor, word in cases.items():
        found = audit(softmax(factor * o), y, "abc")
        assert (assess_calibration(found).conclusion, assess_calibration(found).acceptable) == (word, factor == 1.0)
        said = " ".join(calibration_sentences(found))
        assert said.lower().startswith(word)
        assert ("lowers the log loss by" in said) is (factor != 1.0)
        assert "if the probabilities were right, labels at least this far off would occur in" in said
        assert "assume new rows that are independent of each other" in said
    impossible = audit([[1.0, 0.0], [0.5, 0.5]] * 10, [1, 0] * 10, "ab")
    assert "the observed label of 10 rows of 20 has probability 0" in calibration_sentences(impossible)[0]


def test_the_summary_says_what_a_tenth_of_the_rows_holds() -> None:
    o, y = draws(1, 500, 2)
    assert any(
        "The 10% of the rows most likely to be “" in said
        for _, said in answers(ReportData("t", audit(softmax(o), y, "ab")))
    )


def test_small_words() -> None:
    assert format_p_value(1 / 1000, 999) == "≤ 0.001"
    assert format_p_value(0.002, 999, "= ") == "= 0.002"
    assert format_p_value(0.434, 999, "= ") == "= 0.43"
    assert format_points(0.1) == "10.0 percentage points"


def test_sections_fold_and_the_new_ones_are_there() -> None:
    o, y = draws(2, 400, 2)
    P = softmax(o)
    found = audit(P, y, ["no", "yes"])
    data = ReportData(
        "t",
        found,
        information=[("age", 0.2), ("shoe", -0.001)],
        operating=operating_point(P, y, [[0, 1], [4, 0]]),
        trained=False,
    )
    page = render_report(data)
    assert page.count('<details open class="fold">') == page.count("<section id=") - 1  # all but the summary
    for part in (
        'id="calibration"',
        'id="gains"',
        'id="information"',
        "Costs of decisions",
        "20.0%",
        "Refinement",
        "Lift",
    ):
        assert part in page
    assert 'id="training"' not in page
    assert "−0.001" in page  # a useless column is shown as it is, with a bar of no width
    assert 'style="--w:0.0%"' in page


def test_what_columns_add_the_code_and_effects_are_shown() -> None:
    o, y = draws(2, 400, 2)
    data = ReportData(
        "t",
        audit(softmax(o), y, ["no", "yes"]),
        information=[("age", 0.2), ("shoe", 0.001)],
        added=[Added("age", 0.1, 0.01), Added("shoe", -1e-7, 1e-7)],
        code=CodeLength(400, 100.0, 250.0, 400.0, 260.0),
        effects=[Effect("age (+12)", "yes", 0.125, 0.1, 0.15)],
    )
    page = render_report(data)
    assert "0.1000 (0.0804 to 0.1196)" in page  # in nats
    assert '<td class="n">0 (0 to 0)</td>' in page
    assert "173 nats by class rates alone" in page
    assert "2.50 times shorter" in page
    assert "+12.5" in page
    assert "+10.0 to +15.0" in page
    assert page.index('id="information"') < page.index('id="effects"') < page.index('id="training"')


def test_small_curves_of_many_classes_and_names_that_no_font_has() -> None:
    o, y = draws(3, 600, 14)
    page = render_report(ReportData("t", audit(softmax(o), y, ["c\x00<i>", *map(str, range(13))])))
    assert "the 12 most frequent classes" in page
