"""How numbers are written and what the sentences say."""

from __future__ import annotations

import math

import pytest

from softreg.report import audit
from softreg.report.words import number, percent, shortened, summary


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-0.0, "0"), (0.00012345, "0.000123"), (99.96, "100.0"), (-1e-9, "−1.00×10⁻⁹"), (2e12, "2.00×10¹²"),
     (1.0, "1.00")],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (1e-9, "<0.1%"), (0.9999, ">99.9%"), (0.5, "50.0%"), (-0.25, "−25.0%"), (math.nan, "–"),
     (-1e-9, "0%")],
)  # fmt: skip
def test_shares(share: float, text: str) -> None:
    assert percent(share) == text


def test_shortened_keeps_both_ends() -> None:
    assert shortened("a" * 50 + "b" * 50, 11) == "aaaaa…bbbbb"
    assert shortened("short", 5) == "short"


def test_summary_of_a_good_a_useless_and_an_impossible_model() -> None:
    good = summary(audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"]), "It is certified.")
    assert (
        good[1]
        == "The most likely class is the right one in 100% of 2 rows; always answering “ham” would be right in 50.0%."
    )
    assert good[-1] == "It is certified."
    useless = summary(audit([[0.1, 0.9], [0.8, 0.2]], [0, 1], ["ham", "spam"]))
    assert useless[0].startswith("The features do not help here: log loss 1.96 nats")
    impossible = summary(audit([[0.0, 1.0], [0.5, 0.5]], [0, 1], ["ham", "spam"]))
    assert impossible[0] == "The log loss is infinite: the model held the given label of 1 row impossible."
    assert summary(audit([[0.5, 0.5]], [0], ["ham", "spam"]))[0].startswith("Only one class occurs here")
