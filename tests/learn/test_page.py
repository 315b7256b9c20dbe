"""The interactive page in a browser: pointer, keyboard, questions, languages, address, narrow windows."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ..export.page_browser import OpenPage
from .lesson import LessonBrowser, address, shown_numbers

SAVED = 700  # milliseconds until the address is written


def number(opened: OpenPage, part: str, name: str) -> float:
    """A number of a part, which is the same wherever it is shown."""
    (value,) = {value for shown, value in shown_numbers(opened, part) if shown == name}
    return value


def fragment(opened: OpenPage) -> str:
    opened.page.wait_for_timeout(SAVED)
    return str(opened.page.evaluate("location.hash"))


def sections(opened: OpenPage) -> list[str]:
    return list(opened.page.evaluate("[...document.querySelectorAll('main > section')].map((one) => one.id)"))


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_window(browser: LessonBrowser, width: int) -> None:
    state = {"filled": "1", "W": [-49.9] * 12, "loss.weight": "0", "loss.y": [0.34, 0.33, 0.33]}
    for show, lang, values in itertools.product("01", ("en", "zh"), ({}, state)):
        opened = browser.visit(address("image", values, show=show, lang=lang), width=width)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width, (show, lang)
        wide = opened.page.evaluate(
            "(width) => [...document.querySelectorAll('main *')].filter((one) => "
            "one.getBoundingClientRect().right > width && !one.closest('.scroll, .display, nav, .unseen, svg'))"
            ".map((one) => one.outerHTML.slice(0, 120))",
            width,
        )
        assert wide == []
        assert opened.complaints == []


def test_a_pixel_is_dragged(browser: LessonBrowser) -> None:
    opened = browser.open_lesson()
    box = opened.page.locator("#image .pixel").nth(2).bounding_box()
    opened.page.mouse.move(box["x"] + 20, box["y"] + 20)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + 200, box["y"] + 20, steps=5)
    opened.page.mouse.up()
    assert number(opened, "image", "x.2") == 1
    assert number(opened, "image", "o.1") == 1  # the chicken's logit: -1 + 0.5 + 2 - 0.5
    assert "image.x=1,0.5,1,0.5" in fragment(opened)
    assert opened.complaints == []


def test_pixels_weights_and_the_label_have_keys(browser: LessonBrowser) -> None:
    opened = browser.open_lesson()
    page = opened.page
    page.get_by_role("slider", name="pixel 1").first.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    assert number(opened, "image", "x.0") == pytest.approx(0.45)
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    assert number(opened, "image", "x.0") == 1
    weight = page.get_by_role("slider", name="weight of chicken for pixel 3")
    weight.focus()
    page.keyboard.press("ArrowDown")
    assert number(opened, "image", "W.6") == 1.9
    opened.settle()
    assert weight.get_attribute("aria-valuetext") == "1.9"
    page.get_by_role("slider", name="label y").focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    y = [number(opened, "loss", f"y.{k}") for k in range(3)]
    assert sum(y) == pytest.approx(1)
    assert y[1] < 0.8
    assert y[2] > y[0]
    opened.page.wait_for_timeout(1000)
    assert page.inner_text("#live").startswith("loss ")
    assert opened.complaints == []


def test_the_label_is_dragged_and_stays_in_the_triangle(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(fragment="#part=loss")
    knob = opened.page.locator("#loss .knob")
    knob.scroll_into_view_if_needed()
    box = knob.bounding_box()
    opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + 900, box["y"] + 300, steps=8)
    opened.page.mouse.up()
    assert [number(opened, "loss", f"y.{k}") for k in range(3)] == [0, 0, 1]
    opened.page.get_by_role("button", name="(0.1, 0.2, 0.7)").click()
    assert [number(opened, "loss", f"y.{k}") for k in range(3)] == [0.1, 0.2, 0.7]
    assert "loss.y=0.1,0.2,0.7" in fragment(opened)


def test_numbers_fill_a_sum_that_is_pointed_at(browser: LessonBrowser) -> None:
    opened = browser.open_lesson()
    row = opened.page.locator(".sum").nth(1)
    assert row.locator(".filled").is_hidden()
    row.hover()
    assert row.locator(".filled").is_visible()
    assert row.locator(".filled").inner_text().split() == [
        "(−1.0)·1.00",
        "+",
        "1.0·0.50",
        "+",
        "2.0·0.00",
        "+",
        "0.0·0.50",
        "+",
        "(−0.5)",
    ]
    opened.page.mouse.move(0, 0)
    assert row.locator(".filled").is_hidden()
    row.click()
    assert "image.filled=1" in fragment(opened)
    opened.page.mouse.move(0, 0)
    assert row.locator(".filled").is_visible()


def test_shift_changes_no_probability_and_temperature_does(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(fragment="#show=1")
    before = [number(opened, "image", f"p.{k}") for k in range(3)]
    opened.page.get_by_role("slider", name="added to all logits").focus()
    for _ in range(7):
        opened.page.keyboard.press("ArrowRight")
    assert number(opened, "image", "shift") == pytest.approx(0.7)
    assert [number(opened, "image", f"p.{k}") for k in range(3)] == pytest.approx(before, rel=1e-14)
    opened.page.get_by_role("slider", name="temperature").focus()
    opened.page.keyboard.press("ArrowRight")
    assert number(opened, "image", "T") == pytest.approx(1.1)
    assert number(opened, "image", "p.0") < before[0]
    opened.page.locator("#image").get_by_role("button", name="Start over").click()
    assert number(opened, "image", "T") == 1
    assert fragment(opened) == "#show=1"


@pytest.mark.parametrize(("choice", "word"), [(0, "Not quite."), (2, "Yes.")])
def test_the_answer_is_hidden_until_the_question_is_answered(browser: LessonBrowser, choice: int, word: str) -> None:
    opened = browser.open_lesson()
    question = opened.page.locator("#image .question").first
    assert opened.page.locator("#image .steps").is_hidden()
    question.get_by_role("radio").nth(choice).check()
    opened.settle()
    assert opened.page.locator("#image .steps").is_visible()
    assert question.inner_text().count(word) == 1
    assert question.locator(".choice.right").count() == 1
    assert opened.complaints == []


def test_show_me_shows_the_answer_without_a_verdict(browser: LessonBrowser) -> None:
    opened = browser.open_lesson()
    question = opened.page.locator("#loss .question").first
    question.get_by_role("button", name="Show me").click()
    opened.settle()
    assert opened.page.locator("#loss .arrow-figure").is_visible()
    assert "Not quite" not in question.inner_text()
    assert "prediction minus label" in question.inner_text()


def test_the_language_is_switched(browser: LessonBrowser) -> None:
    opened = browser.open_lesson()
    page = opened.page
    page.get_by_role("button", name="中文").click()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.title() == "看懂 softmax 回归"
    assert page.locator("#loss h2").inner_text() == "2 损失与梯度"
    assert page.get_by_role("slider", name="鸡对像素 3 的权重").count() == 1
    assert fragment(opened) == "#lang=zh"
    page.get_by_role("button", name="English").click()
    assert page.locator("#loss h2").inner_text() == "2 Loss and gradient"
    assert fragment(opened) == ""


def test_the_page_of_the_command_in_chinese(browser: LessonBrowser) -> None:
    from softreg.learn import learn_page

    opened = browser.open_html(learn_page("zh"))
    assert opened.page.locator("h1").inner_text() == "看懂 softmax 回归"
    opened.page.get_by_role("button", name="English").click()
    assert fragment(opened) == "#lang=en"


def test_the_address_brings_the_state_back(browser: LessonBrowser) -> None:
    state = {"x": [0.05, 0.95, 0.35, 0.15], "T": 2.37, "filled": "2", "loss.y": [0.1, 0.2, 0.7], "loss.weight": "6"}
    first = browser.open_lesson(fragment="#part=loss&" + address("image", state, lang="zh")[1:])
    first.page.get_by_role("slider", name="像素 1").first.focus()
    first.page.keyboard.press("ArrowRight")
    written = fragment(first)
    assert "lang=zh" in written
    assert "image.x=0.1,0.95,0.35,0.15" in written
    assert "loss.weight=6" in written
    parts = ("image", "loss")
    numbers = [shown_numbers(first, part) for part in parts]
    second = browser.open_lesson(fragment=written)
    assert [shown_numbers(second, part) for part in parts] == numbers


def test_a_link_opens_at_its_part(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(fragment="#part=loss")
    opened.page.wait_for_timeout(SAVED)
    assert abs(opened.page.evaluate("document.getElementById('loss').getBoundingClientRect().top")) < 200
    assert opened.page.locator("#contents a[aria-current]").inner_text() == "Loss and gradient"
    opened.page.get_by_role("link", name="Probabilities").click()
    assert opened.page.evaluate("document.activeElement.id") == "image-title"
    assert fragment(opened) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        "image.x=1,2,3,4", "image.x=1,0.5,0", "image.x=a,b,c,d", "image.x=NaN,0,0,0", "image.T=0", "image.T=1e999",
        "image.T=", "image.W=", "loss.y=1,1,1", "loss.y=0,0,0", "loss.weight=15", "loss.h=2",
        "image.filled=toString", "lang=fr", "part=constructor", "image.__proto__=1", "=&&==", "%E0%A4%A=1",
        "image.x=%E0%A4%A", "loss.y=-0.5,1,0.5",
    ],
)  # fmt: skip
def test_what_the_address_says_wrongly_is_as_at_the_beginning(browser: LessonBrowser, wrong: str) -> None:
    parts = ("image", "loss")
    plain = [shown_numbers(browser.visit("#"), part) for part in parts]
    opened = browser.visit(f"#{wrong}")
    assert [shown_numbers(opened, part) for part in parts] == plain
    assert opened.complaints == []


def test_a_new_fragment_is_taken_over(browser: LessonBrowser) -> None:
    opened = browser.open_lesson()
    opened.page.evaluate("location.hash = '#image.T=2'")
    opened.page.wait_for_timeout(100)
    assert number(opened, "image", "T") == 2


def test_every_control_has_a_name_and_ids_are_unique(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(fragment="#show=1&loss.weight=3")
    nameless: list[Any] = opened.page.evaluate(
        "() => [...document.querySelectorAll('input, button, [role=slider], a')].filter((one) => "
        "!(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.[0]?.textContent.trim()))"
        ".map((one) => one.outerHTML)"
    )
    assert nameless == []
    ids = opened.page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    levels = opened.page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast(browser: LessonBrowser, dark: bool) -> None:
    """The colours of text on the backgrounds of the page have a contrast of 4.5 to 1."""
    opened = browser.open_lesson(dark=dark, fragment="#show=1")
    pairs = [
        ("ink", "card"),
        ("muted", "card"),
        ("muted", "paper"),
        ("blue", "paper"),
        ("ink", "track"),
        ("ink", "notice"),
    ]
    pairs += [(f"on-{k}", f"class-{k}") for k in range(3)] + [("on", "blue"), ("ink", "band")]
    for text, ground in pairs:
        a, b = (luminance(opened, f"var(--{name})") for name in (text, ground))
        assert (max(a, b) + 0.05) / (min(a, b) + 0.05) >= 4.5, (text, ground)
    for sign in ("plus", "minus"):
        a, b = (
            luminance(opened, "var(--ink)"),
            luminance(opened, f"color-mix(in oklab, var(--{sign}) 62%, var(--card))"),
        )
        assert (max(a, b) + 0.05) / (min(a, b) + 0.05) >= 4.5, sign


def luminance(opened: OpenPage, colour: str) -> float:
    """Relative luminance of a colour of the page."""
    red, green, blue = opened.page.evaluate(
        "(colour) => { const one = document.createElement('canvas').getContext('2d', { willReadFrequently: true });"
        " const probe = document.createElement('span'); probe.style.color = colour; document.body.append(probe);"
        " one.fillStyle = getComputedStyle(probe).color; probe.remove(); one.fillRect(0, 0, 1, 1);"
        " return [...one.getImageData(0, 0, 1, 1).data].slice(0, 3); }",
        colour,
    )
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
