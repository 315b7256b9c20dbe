"""Every number that the part on training shows is softreg's, to 1e-12; what readers do is in the address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from softreg.learn.page import read_texts
from softreg.probability import softmax

from ..export.page_browser import OpenPage
from .lesson import LessonBrowser, address, assert_numbers, shown_numbers
from .test_training_algorithms import run
from .training_reference import CLASSES, PIXELS, Array, Training, of_text

DEFAULTS: dict[str, Any] = {
    "seed": 16, "batch": 4, "rate": 0.2, "strength": 0.01, "steps": 0, "own": "", "draft": "00000000", "summed": 1,
}  # fmt: skip
CROSS = "8f210840"
SLOW_MACHINE = 4
"""Factor by which a busy machine may be slower than 30 frames a second."""
DIGITS = "0123456789abcdefghijklmnopqrstuv"
STATES: list[dict[str, Any]] = [
    {},
    {"steps": 3, "summed": 3, "draft": CROSS},
    {"seed": 7, "batch": 5, "rate": 0.5, "strength": 0.001, "steps": 61, "summed": 5},
    {"batch": 24, "rate": 2, "strength": 1, "steps": 40, "summed": 24},
    {"batch": 1, "rate": 0.05, "strength": 0.00001, "steps": 1201, "summed": 0},
    {"strength": 0, "steps": 300},
    {"own": f"0{CROSS}.1{CROSS}.2{CROSS}", "batch": 27, "rate": 1, "strength": 0.1, "steps": 130, "summed": 27},
    {"own": f"0{CROSS}.1{CROSS}", "strength": 0, "steps": 70},
]


def parameters(name: str, W: Array, b: Array, most: float | None = None) -> dict[str, float]:
    """Numbers of pictures of weights."""
    cells = {f"{name}.W.{j}.{k}": W[j, k] for j in range(PIXELS) for k in range(CLASSES)}
    largest = np.abs(W).max() if most is None else most
    return cells | {f"{name}.b.{k}": b[k] for k in range(CLASSES)} | {f"{name}.most": largest}


def bars(name: str, P: Array) -> dict[str, float]:
    """Numbers of the probabilities of images."""
    return {f"{name}.{i}.{k}": P[i, k] for i in range(len(P)) for k in range(CLASSES)}


def measures(name: str, train: Training, held: Training, W: Array, b: Array, bound: float) -> dict[str, float]:
    """Numbers of a column of the table."""
    tied = {"tied": train.tied(W, b), "holdoutTied": held.tied(W, b)}
    return {
        f"{name}.loss": train.loss(W, b), f"{name}.holdoutLoss": held.loss(W, b), f"{name}.value": train.value(W, b),
        f"{name}.correct": train.correct(W, b), f"{name}.holdoutCorrect": held.correct(W, b), f"{name}.bound": bound,
        **{f"{name}.{key}": count for key, count in tied.items() if count},
    }  # fmt: skip


def expected(changes: Mapping[str, Any]) -> dict[str, float]:
    """Every number of the part in a state."""
    state = DEFAULTS | changes
    found = run(**{name: state[name] for name in ("seed", "batch", "rate", "strength", "own")})
    train, held = (Training(*of_text(found[name]), state["strength"]) for name in ("training", "holdout"))
    at = train.descend(state["seed"], state["batch"], state["rate"], state["steps"])
    W, b, n = at.W, at.b, len(train.y)
    gap, balanced = train.gap(W, b)
    held_losses = [held.loss(0 * W, 0 * b), *(held.loss(*end) for end in at.ends)]
    count = min(state["summed"], len(at.chosen))
    product = train.gradient(W, b, at.chosen)
    share = count / len(at.chosen)
    partial = [share * one for one in train.gradient(W, b, at.chosen[:count])] if count else [0 * W, 0 * b]
    draft, _ = of_text("0" + state["draft"])
    multiplications = 2 * len(at.chosen) * PIXELS * CLASSES
    numbers = {
        **{name: state[name] for name in ("seed", "batch", "rate", "strength", "steps")},
        "summed": count, "drawn-count": 24, "n": n, "m": 24, "own-count": n - 24, "batch-rows": len(at.chosen),
        **({"image-count": n} if n > 24 else {}),
        **bars("p", train.probabilities(W, b)), **bars("q", held.probabilities(W, b)),
        **{f"draft.{k}": p for k, p in enumerate(softmax(draft @ W + b)[0])},
        **measures("sgd", train, held, W, b, gap + train.value(W, b) - balanced), **parameters("weights", W, b),
        "lowest.loss": min(held_losses), "lowest.passes": int(np.argmin(held_losses)),
        "trial.holdoutLoss": held.loss(W, b),
        **parameters("product", *product), **parameters("rows", partial[0], partial[1], np.abs(product[0]).max()),
        "difference": max(np.abs(left - right).max() for left, right in zip(partial, product, strict=True)),
        "row-calls": 2 * len(at.chosen), "matrix-calls": 2,
        "row-products": multiplications, "matrix-products": multiplications,
    }  # fmt: skip
    if state["strength"] == 0:
        return numbers
    best = train.optimum()
    reached = [record for record in found["records"] if record["passes"] <= at.passes]
    numbers |= measures("best", train, held, best.W, best.b, float(found["records"][-1]["gap"]))
    numbers |= parameters("minimum", best.W, best.b)
    if reached:
        race = {"passes": at.passes, "distance": numbers["sgd.value"] - best.value}
        numbers |= race | {"newton.steps": len(reached) - 1, "newton.gap": float(reached[-1]["gap"])}
    return numbers


def open_part(browser: LessonBrowser, state: Mapping[str, Any]) -> OpenPage:
    """Open the page anew in a state of this part."""
    return browser.open_lesson(fragment=address("training", state))


def visit_part(browser: LessonBrowser, state: Mapping[str, Any]) -> OpenPage:
    """Show a state of this part in the page that is open."""
    return browser.visit(address("training", state))


def value(opened: OpenPage, name: str) -> float:
    """A number of the part."""
    return dict(shown_numbers(opened, "training"))[name]


def press(opened: OpenPage, name: str) -> None:
    """Press a button of the part."""
    opened.page.locator("#training").get_by_role("button", name=name, exact=True).click()
    opened.settle()


def assert_numbers_contain(opened: OpenPage, numbers: Mapping[str, float]) -> None:
    """Assert that the part shows these numbers, and perhaps hidden ones of an earlier state."""
    shown = dict(shown_numbers(opened, "training"))
    for name, number in numbers.items():
        assert np.isclose(shown[name], number, rtol=1e-12, atol=1e-12), name


def image_text(label: int, black: set[int]) -> str:
    """An image as text."""
    bits = "".join(str(int(i in black)) for i in range(PIXELS))
    return str(label) + "".join(DIGITS[int(f"{bits[i : i + 5]:0<5}", 2)] for i in range(0, PIXELS, 5))


@pytest.mark.parametrize("state", STATES, ids=range(len(STATES)))
def test_every_number_is_softregs(browser: LessonBrowser, state: dict[str, Any]) -> None:
    assert_numbers(visit_part(browser, state), "training", expected(state))


def test_the_numbers_are_the_same_in_both_languages_and_fit_on_a_phone(browser: LessonBrowser) -> None:
    state = STATES[2]
    for lang in ("en", "zh"):
        opened = browser.visit(address("training", state, lang=lang, show="1"), width=320)
        assert_numbers(opened, "training", expected(state))
        right = opened.page.evaluate(
            "Math.max(...[...document.querySelectorAll('#training *:not(.unseen)')].map("
            "(node) => node.getBoundingClientRect().right))"
        )
        assert right <= 320, lang


def test_steps_passes_and_play_go_on_from_the_address(browser: LessonBrowser) -> None:
    opened = open_part(browser, {"steps": 3})
    press(opened, "One step")
    assert value(opened, "steps") == 4
    press(opened, "One pass")
    assert value(opened, "steps") == 6
    press(opened, "Play")
    opened.page.wait_for_function(
        "() => Number(document.querySelector('[data-name=\"training.steps\"]').dataset.value) > 40"
    )
    press(opened, "Pause")
    steps = int(value(opened, "steps"))
    opened.settle()
    assert value(opened, "steps") == steps
    opened.page.wait_for_function("(steps) => location.hash.includes(`training.steps=${steps}`)", arg=steps)
    assert_numbers(opened, "training", expected({"steps": steps}))
    opened.page.reload()
    assert_numbers(opened, "training", expected({"steps": steps}))
    press(opened, "Back to 0")
    assert_numbers_contain(opened, expected({}))


def test_start_over_stops_play(browser: LessonBrowser) -> None:
    opened = open_part(browser, {})
    press(opened, "Play")
    opened.page.locator("#training .part-head button").click()
    opened.page.locator("#training").get_by_role("button", name="Play", exact=True).wait_for()
    opened.settle()
    assert value(opened, "steps") == 0


def test_play_takes_at_least_30_steps_a_second(browser: LessonBrowser) -> None:
    opened = open_part(browser, {"speed": "pass"})
    press(opened, "Play")
    work = opened.page.evaluate(
        """() => new Promise((done) => {
          const before = performance.now(); let frames = 0;
          const frame = () => (++frames < 60 ? requestAnimationFrame(frame) : done(performance.now() - before));
          requestAnimationFrame(frame);
        })"""
    )
    assert value(opened, "steps") >= 58 * 6
    assert work < 60 * 1000 / 30 * SLOW_MACHINE


def test_an_image_is_drawn_by_key_and_by_pointer_and_joins_the_training_images(browser: LessonBrowser) -> None:
    opened = open_part(browser, {"steps": 12})
    cells = opened.page.locator("#training .training-cell")
    cells.nth(0).focus()
    opened.page.keyboard.press("Space")
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("Enter")
    cells.nth(12).evaluate("(cell) => cell.scrollIntoView({ behavior: 'instant', block: 'center' })")
    box = [cells.nth(i).bounding_box() for i in (12, 15)]
    opened.page.mouse.move(box[0]["x"] + 5, box[0]["y"] + 5)
    opened.page.mouse.down()
    opened.page.mouse.move(box[1]["x"] + 5, box[1]["y"] + 5, steps=12)
    opened.page.mouse.up()
    opened.settle()
    pressed = [
        int(cell.get_attribute("data-cell")) for cell in cells.all() if cell.get_attribute("aria-pressed") == "true"
    ]
    assert pressed == [0, 7, 12, 13, 14, 15]
    assert cells.nth(7).get_attribute("aria-label") == "row 2, column 2"
    cells.nth(0).click()
    opened.page.locator("#training").get_by_role("radio", name="ring", exact=True).check()
    press(opened, "Add to the training images")
    image = image_text(1, {7, 12, 13, 14, 15})
    assert opened.page.locator("#training .training-card").nth(24).get_attribute("data-image") == image
    assert_numbers(opened, "training", expected({"own": image, "steps": 14}))
    press(opened, "Remove my last image")
    assert_numbers(opened, "training", expected({"steps": 12}))


def test_the_question_covers_the_trial_whose_button_shows_overfitting(browser: LessonBrowser) -> None:
    opened = open_part(browser, {})
    trial = opened.page.get_by_role("button", name="Train 500 passes with strength 0")
    assert not trial.is_visible()
    opened.page.locator("#training .choice").nth(2).click()
    trial.click()
    opened.settle()
    assert value(opened, "steps") == 3000
    assert value(opened, "strength") == 0
    assert value(opened, "sgd.loss") < 0.02
    assert value(opened, "sgd.holdoutLoss") > value(opened, "lowest.loss") + 0.2
    assert 1 < value(opened, "lowest.passes") < 100


@pytest.mark.parametrize("state", [*STATES[:5], {"own": ".".join([f"0{CROSS}"] * 12), "strength": 1, "batch": 36}])
def test_the_bound_of_the_table_holds_for_the_objective_shown(browser: LessonBrowser, state: dict[str, Any]) -> None:
    opened = visit_part(browser, state)
    above = value(opened, "sgd.value") - value(opened, "best.value")
    assert 0 <= above <= value(opened, "sgd.bound") + 1e-12


def test_images_are_undecided_while_all_weights_are_0(browser: LessonBrowser) -> None:
    opened = open_part(browser, {})
    assert [value(opened, f"sgd.{name}") for name in ("correct", "tied", "holdoutTied")] == [0, 24, 24]
    part = opened.page.locator("#training")
    assert part.locator(".training-tied:visible").all_inner_texts() == ["24 undecided", "24 undecided"]
    assert "undecided: 3 classes have the probability 0.33" in part.locator(".training-card").first.inner_text()
    assert part.locator(".training-draw .top").count() == 0
    assert not part.get_by_text("The strongest colour stands for ±0.00.").first.is_visible()
    press(opened, "One pass")
    assert not {"sgd.tied", "sgd.holdoutTied"} & {name for name, _ in shown_numbers(opened, "training")}
    assert part.locator(".training-tied:visible").count() == 0
    assert part.locator(".training-draw .top").count() == 1


def test_the_question_is_about_the_images_drawn_first() -> None:
    for lang, words in (("en", "(seed {})"), ("zh", "（种子 {}）")):
        assert words.format(DEFAULTS["seed"]) in read_texts("training", lang)["question"]


def test_the_images_of_the_reader_are_counted_apart(browser: LessonBrowser) -> None:
    opened = open_part(browser, {"own": f"0{CROSS}"})
    text = opened.page.inner_text("#training")
    assert "from 24 images" in text
    assert "With 1 of your own, the training set has 25 images." in text


def test_the_solver_proves_a_gap_of_1e_10_while_descent_is_far_above(browser: LessonBrowser) -> None:
    opened = visit_part(browser, {"steps": 6 * 16})
    assert value(opened, "newton.gap") < 1e-10
    assert value(opened, "distance") > 1e-3


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ({"own": "junk.9zz.<b>", "draft": "zzz"}, {}),
        ({"batch": 99, "steps": -1, "rate": "x", "strength": 2, "seed": 0, "summed": 1e9}, {}),
        ({"batch": 36, "summed": 36}, {"batch": 24, "summed": 24}),
        ({"seed": 16.2, "batch": 3.6, "steps": 7.4}, {"batch": 4, "steps": 7}),
    ],
)
def test_an_address_that_is_no_state_is_repaired(
    browser: LessonBrowser, state: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert_numbers(visit_part(browser, state), "training", expected(kept))
