"""The interactive page under a finger and under the keyboard: drags, scrolling, answers, and where the focus is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ..export.page_browser import OpenPage
from .lesson import LessonBrowser, shown_numbers
from .node_algorithms import run_node

PHONE = 390
STEPS = 10


def number(opened: OpenPage, part: str, name: str) -> float:
    """A number of a part, which is the same wherever it is shown."""
    (value,) = {value for shown, value in shown_numbers(opened, part) if shown == name}
    return value


def finger_moves(opened: OpenPage, node: Any, dx: float, dy: float) -> None:
    """Put a finger on the middle of an element, move it in steps, and lift it."""
    node.scroll_into_view_if_needed()
    session = opened.page.context.new_cdp_session(opened.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    box = node.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, STEPS + 1):
        place = {"x": x + dx * step / STEPS, "y": y + dy * step / STEPS}
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [place]})
        opened.settle()
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()
    opened.settle()


def focused(opened: OpenPage) -> str:
    """The tag of the element with the focus, with the text that it shows."""
    opened.settle()
    return str(opened.page.evaluate("`${document.activeElement.tagName} ${document.activeElement.innerText}`"))


def test_a_finger_drags_a_pixel_to_its_end(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(width=PHONE)
    finger_moves(opened, opened.page.locator("#image .pixel").nth(2), 170, 0)
    assert number(opened, "image", "x.2") == 1
    assert opened.complaints == []


def test_a_finger_drags_the_label_across_the_triangle(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(width=PHONE, fragment="#part=loss")
    finger_moves(opened, opened.page.locator("#loss .knob"), 20, 150)
    y = [number(opened, "loss", f"y.{k}") for k in range(3)]
    assert y[1] < 0.4
    assert y[2] > y[0]


def test_a_finger_drags_the_points_of_the_plots(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(width=PHONE, fragment="#show=1")
    finger_moves(opened, opened.page.locator("#information g.handle").first, 100, 0)
    assert number(opened, "information", "noise") > 0.25
    finger_moves(opened, opened.page.locator("#calibration g.handle").first, -90, 30)
    assert number(opened, "calibration", "factor") < 1


@pytest.mark.parametrize(("selector", "name"), [("#image .pixel", "x.0"), ("#image .cell.handle", "W.0")])
def test_a_finger_that_scrolls_changes_nothing(browser: LessonBrowser, selector: str, name: str) -> None:
    opened = browser.open_lesson(width=PHONE)
    before, top = number(opened, "image", name), opened.page.evaluate("scrollY")
    finger_moves(opened, opened.page.locator(selector).first, -12, -140)
    assert number(opened, "image", name) == before
    assert opened.page.evaluate("scrollY") > top


def test_a_cancelled_drag_restores_the_label(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(fragment="#part=loss&loss.y=0.1,0.2,0.7")
    box = opened.page.locator("#loss .knob").bounding_box()
    opened.page.mouse.move(box["x"] + 8, box["y"] + 8)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] - 60, box["y"] - 30, steps=3)
    assert number(opened, "loss", "y.0") > 0.1
    opened.page.locator("#loss g.handle").dispatch_event("pointercancel")
    assert [number(opened, "loss", f"y.{k}") for k in range(3)] == [0.1, 0.2, 0.7]


@pytest.mark.parametrize("key", ["Enter", "Space", "button"])
def test_arrow_keys_only_move_between_the_choices(browser: LessonBrowser, key: str) -> None:
    opened = browser.open_lesson()
    page, steps = opened.page, opened.page.locator("#image .steps")
    question = page.locator("#image .question").first
    check = question.get_by_role("button", name="Check")
    assert check.get_attribute("aria-disabled") == "true"
    question.get_by_role("radio").first.focus()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    opened.settle()
    assert question.get_by_role("radio").nth(2).is_checked()
    assert steps.is_hidden()
    if key == "button":
        check.focus()
    page.keyboard.press("Enter" if key == "button" else key)
    opened.settle()
    assert steps.is_visible()
    assert "Yes." in question.inner_text()
    assert focused(opened).startswith("DIV Yes." if key == "button" else "INPUT")
    page.locator("#image").get_by_role("button", name="Start over").click()
    opened.settle()
    assert steps.is_hidden()
    assert question.locator(":checked").count() == 0
    assert opened.complaints == []


def test_a_button_without_an_effect_keeps_the_focus(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(fragment="#show=1")
    add = opened.page.locator("#training").get_by_role("button", name="Add all rows")
    add.focus()
    opened.page.keyboard.press("Enter")
    assert focused(opened) == "BUTTON Add all rows"
    assert add.get_attribute("aria-disabled") == "true"
    before = shown_numbers(opened, "training")
    opened.page.keyboard.press("Enter")
    assert shown_numbers(opened, "training") == before


def test_show_me_moves_the_focus_to_the_answer(browser: LessonBrowser) -> None:
    opened = browser.open_lesson()
    opened.page.locator("#loss .question").get_by_role("button", name="Show me").click()
    assert focused(opened).startswith("DIV The partial derivative")


def test_chinese_has_no_spaces_after_its_punctuation(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(fragment="#lang=zh&show=1")
    question = opened.page.locator("#image .question").first
    question.get_by_role("radio").nth(2).check()
    opened.settle()
    text = question.inner_text()
    assert "先猜一猜：怎样" in text
    assert "对。直接" in text
    assert opened.page.locator("#loss .gap-figure p").first.inner_text() == "指数之和的对数：2.73"
    label = opened.page.locator("#loss g.handle").get_attribute("aria-valuetext")
    assert label == "猫 0.00，鸡 1.00，狗 0.00"
    assert opened.page.locator("#loss button.cell").first.get_attribute("aria-label") == "猫对像素 1 的权重：0.80"


@pytest.mark.parametrize(
    ("y", "b", "ticks"),
    [("0,1,0", "0.5,-0.5,0", ["−1", "0", "1", "2"]), ("1,0,0", "-50,-50,-50", ["−40", "−20", "0"])],
)
def test_the_axis_of_the_loss_has_zero_and_bars_begin_there(
    browser: LessonBrowser, y: str, b: str, ticks: list[str]
) -> None:
    opened = browser.open_lesson(fragment=f"#loss.y={y}&image.b={b}")
    figure = opened.page.locator("#loss .gap-figure")
    assert figure.locator(".gap-axis span").all_inner_texts() == ticks
    zero = figure.locator(".zero").first.bounding_box()["x"]
    for bar, name in zip(figure.locator(".fill.ink").all(), ("lse", "yo"), strict=True):
        box = bar.bounding_box()
        edge = box["x"] if number(opened, "loss", name) > 0 else box["x"] + box["width"]
        assert edge == pytest.approx(zero, abs=1)


def test_numbers_that_decimals_would_round_to_zero_keep_two_digits(tmp_path: Path) -> None:
    asked = [[0.17, 0], [-0.17, 0], [0.004, 2], [0.6, 0], [1.5, 1], [0, 2], [0.0004, 3], [-0.0004, 2], [2e6, 0]]
    shown = run_node(
        tmp_path, ("script/widgets.js",), "given.map(([value, digits]) => numberText(value, digits))", asked
    )
    assert shown == ["0.17", "−0.17", "0.0040", "1", "1.5", "0.00", "4.0×10⁻⁴", "−4.0×10⁻⁴", "2.0×10⁶"]
