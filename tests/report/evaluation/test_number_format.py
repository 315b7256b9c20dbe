"""How numbers are written and what the sentences say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softreg.models import Added
from softreg.report import ReportData, audit
from softreg.report.evaluation.number_format import format_number, format_percent, shorten_middle
from softreg.report.page.summary_text import answers, lead


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-0.0, "0"), (0.00012345, "0.000123"), (99.96, "100.0"), (-1e-9, "−1.00×10⁻⁹"), (2e12, "2.00×10¹²"),
     (1.0, "1.00")],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (1e-9, "<0.1%"), (0.9999, ">99.9%"), (0.5, "50.0%"), (-0.25, "−25.0%"), (math.nan, "–"),
     (-1e-9, "0%")],
)  # fmt: skip
def test_shares(share: float, text: str) -> None:
    assert format_percent(share) == text


def test_shortened_keeps_both_ends() -> None:
    assert shorten_middle("a" * 50 + "b" * 50, 11) == "aaaaa…bbbbb"
    assert shorten_middle("short", 5) == "short"


def test_answers_of_a_good_a_useless_and_an_impossible_model() -> None:
    found = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"])
    good = dict(answers(ReportData("t", found, certificate="It is certified.")))
    assert (
        good["How well does it predict?"]
        == "The most likely class is correct for 100% of 2 rows; always predicting “ham” is correct for 50.0%."
    )
    assert good["Did the fit converge?"] == "It is certified."
    assert "Which columns matter most?" not in good
    useless = lead(audit([[0.1, 0.9], [0.8, 0.2]], [0, 1], ["ham", "spam"]))
    assert useless.startswith("These probabilities are worse than the class rates alone: log loss 1.96 nats")
    impossible = lead(audit([[0.0, 1.0], [0.5, 0.5]], [0, 1], ["ham", "spam"]))
    assert impossible == "The log loss is infinite: the observed label of 1 row has probability 0."
    assert lead(audit([[0.5, 0.5]], [0], ["ham", "spam"])).startswith("Only one class occurs here")


def test_a_column_that_tells_most_is_asked_about() -> None:
    found = audit([[0.9, 0.1], [0.1, 0.9]] * 20, [0, 1] * 20, ["no", "yes"])  # explains 0.588 nats
    columns = [("age", 0.05), ("duration", 0.4)]

    def rests_on(**more: object) -> str:
        return dict(answers(ReportData("t", found, **more)))["Which columns matter most?"]  # type: ignore[arg-type]

    assert rests_on(information=columns).startswith(
        "“duration” alone has 0.400 nats of information (the model explains 0.588); the cost of its removal is not"
    )
    assert rests_on(information=columns, added=[Added("duration", 0.3, 0.01)]) == (
        "Removing “duration” costs most: the log loss increases by 0.300 nats per row (95% interval 0.28 to 0.32), "
        "from 0.105 to 0.405; the model explains 0.588 nats. Check that “duration” is known when predictions are made: "
        "a column that is recorded afterwards makes all figures here better than those of new rows."
    )
    assert "“duration” has most information alone (0.400 nats), but its removal costs only 0.1000 nats" in rests_on(
        information=columns, added=[Added("duration", 0.1, 0.01)]
    )
    assert rests_on(information=[("a", 0.1), ("b", 0.15), ("c", -0.1)]) == (
        "Most informative, each alone, are “b” and “a”."
    )


def test_uneven_probabilities_are_told_up_and_down_and_what_for() -> None:
    P = np.column_stack([1 - (p := np.repeat([0.05, 0.35], 1000)), p])
    y = np.zeros(2000, dtype=int)
    y[:10], y[1000:1500] = 1, 1  # 1% and 50% happened
    said = dict(answers(ReportData("t", audit(P, y, ["no", "yes"]))))["Are the probabilities calibrated?"]
    assert said.startswith("Overconfident: the probabilities are off by ") is False
    assert "too high between 0% and 10% (5.0% predicted, 1.0% observed)" in said
    assert "too low between 30% and 40% (35.0% predicted, 50.0% observed)" in said
    assert "The ranking of the rows is hardly affected" in said
