"""The ten questions at the end of the interactive page: the score, the marks, and that the right answers are right."""

from __future__ import annotations

import numpy as np
import pytest

from softreg import cross_entropy, entropy, kl_divergence, softmax
from softreg.probability import cross_entropy_with_logits, residual

from .lesson import LessonBrowser, address, assert_numbers

RIGHT = [1, 2, 0, 1, 0, 2, 1, 1, 2, 0]


@pytest.mark.parametrize(
    ("answers", "answered", "score"),
    [(RIGHT, 10, 10), ([-1] * 10, 0, 0), ([0] * 10, 10, 3), ([*RIGHT[:4], *[-1] * 6], 4, 4)],
)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_score_counts_right_answers(
    browser: LessonBrowser, answers: list[int], answered: int, score: int, lang: str
) -> None:
    opened = browser.visit(address("quiz", {"answers": answers, "checked": "1"}, lang=lang))
    assert_numbers(opened, "quiz", {"answered": answered, "score": score})
    quiz = opened.page.locator("#quiz")
    assert quiz.locator(".choice.right").count() == 10
    assert quiz.locator(".choice.wrong").count() == answered - score
    assert quiz.locator("input:enabled").count() == 0


def test_answers_are_given_checked_and_started_over(browser: LessonBrowser) -> None:
    opened = browser.open_lesson()
    quiz = opened.page.locator("#quiz")
    for question, choice in zip(quiz.locator("fieldset").all(), [*RIGHT[:9], 1], strict=True):
        question.get_by_role("radio").nth(choice).check()
    assert quiz.locator(".choice.right").count() == 0
    quiz.get_by_role("button", name="check the answers").click()
    assert_numbers(opened, "quiz", {"answered": 10, "score": 9})
    quiz.get_by_role("link", name="See part 5.").click()
    assert opened.page.evaluate("document.activeElement.id") == "calibration-title"
    quiz.get_by_role("button", name="Start over").click()
    assert_numbers(opened, "quiz", {"answered": 0, "score": 0})
    assert opened.complaints == []


@pytest.mark.parametrize("answers", ["1,2", "0,0,0,0,0,0,0,0,0,9", "x", "0.4,0,0,0,0,0,0,0,0,0"])
def test_answers_of_an_address_that_are_none(browser: LessonBrowser, answers: str) -> None:
    opened = browser.visit(f"#quiz.answers={answers}")
    rounded = answers.startswith("0.4")
    assert_numbers(opened, "quiz", {"answered": 10 if rounded else 0, "score": 3 if rounded else 0})


def test_the_right_answers_are_right() -> None:
    o = np.array([2.0, -1.0, 0.5])
    np.testing.assert_allclose(softmax([2.0, 2.0, 2.0]), 1 / 3)
    np.testing.assert_allclose(softmax(o + 5), softmax(o))
    assert softmax(o / 3).argmax() == softmax(o).argmax()
    assert softmax(o / 3).max() < softmax(o).max()
    assert cross_entropy([0.0, 1.0], [0.75, 0.25]) == pytest.approx(np.log(4)) == pytest.approx(2 * np.log(2))
    p = np.array([[0.7, 0.2, 0.1]])
    np.testing.assert_allclose(residual(np.log(p), [[0.0, 1.0, 0.0]]), [[0.7, -0.8, 0.1]])
    assert entropy([0.9, 0.1]) == pytest.approx(0.33, abs=0.005)
    q = [0.2, 0.5, 0.3]
    assert cross_entropy(p[0], q) == pytest.approx(entropy(p[0]) + kl_divergence(p[0], q))
    assert cross_entropy(p[0], q) > entropy(p[0])
    logits = np.random.default_rng(0).normal(size=(50, 3))
    expected = [cross_entropy_with_logits(c * logits, softmax(logits)).mean() for c in (1, 2)]
    assert expected[1] > expected[0]
    assert (softmax(2 * logits).argmax(axis=1) == softmax(logits).argmax(axis=1)).all()
