"""The parts on information and calibration in a browser: every number that they show is softreg's."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from softreg.models.calibration.temperature import fit_scaling
from softreg.probability import (
    accuracy,
    brier,
    cross_entropy,
    cross_entropy_with_logits,
    encode_labels,
    entropy,
    kl_divergence,
    log_loss,
    residual,
    softmax,
    surprisal,
)
from softreg.report import audit
from softreg.report.evaluation.reliability import central_interval, poisson_binomial, reliability_curve
from softreg.splitmix import as_uniform, hashed

from ..export.page_browser import OpenPage
from .lesson import TOLERANCE, LessonBrowser, address, shown_numbers

LETTERS = "ABCDEFGH"
NOISY_ROWS, DESCENT_STEPS, DRAWN, BINS = 1000, 200, 1000, 10
INFORMATION = {
    "noise": 0.1, "classes": 3, "step": 40, "seed": 1, "labels": 4, "p": [50, 25, 15, 10, 10, 10, 10, 10],
    "message": "ABADACAB", "coded": 3, "q": [10, 20, 30, 40, 10, 10, 10, 10],
}  # fmt: skip
INFORMATION_STATES: list[dict[str, Any]] = [
    {},
    {"noise": 0, "step": 0, "message": "", "coded": 0},
    {"noise": 0.5, "classes": 2, "step": 200, "seed": 9999, "labels": 2,
     "p": [95, 5, 1, 1, 1, 1, 1, 1], "message": "AAAABAA", "coded": 12},
    {
        "noise": 0.37, "classes": 10, "step": 7, "labels": 8, "p": [30, 25, 12, 11, 9, 6, 4, 3], "seed": 77,
        "q": [1, 100, 2, 2, 3, 5, 9, 8], "message": "HGFEDCBAHGFE", "coded": 12,
    },
    {"labels": 8, "p": [64, 32, 16, 8, 4, 2, 1, 1], "q": [64, 32, 16, 8, 4, 2, 1, 1], "message": "ABH", "coded": 12},
    {"labels": 5, "p": [1, 1, 1, 1, 1, 7, 7, 7], "q": [3, 1, 1, 1, 1, 7, 7, 7], "message": "EDCBA", "coded": 2},
]  # fmt: skip
CALIBRATION = {"factor": 1, "rows": 1000, "seed": 1, "bin": 0.5}
CALIBRATION_STATES: list[dict[str, Any]] = [
    {},
    {"factor": 2},
    {"factor": 4, "rows": 2000, "seed": 12, "bin": 0.9},
    {"factor": 0.25, "rows": 200, "seed": 3, "bin": 0},
    {"factor": 0.61, "rows": 700, "seed": 1000, "bin": 0.3},
]


def numbers_of(opened: OpenPage, part: str) -> dict[str, float]:
    """Every number of a part that has a value."""
    return dict(shown_numbers(opened, part))


def code_words(opened: OpenPage) -> dict[str, str]:
    """Code words and messages."""
    opened.settle()
    found: dict[str, str] = opened.page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("#information [data-word]")]
          .map((node) => [node.dataset.word, node.textContent]))"""
    )
    return {name.removeprefix("information."): text for name, text in found.items()}


def drawn_uniforms(seed: int, count: int) -> np.ndarray:
    return as_uniform(hashed(np.arange(count), seed))


def noise_numbers(state: dict[str, Any]) -> dict[str, float]:
    noise, q, n = state["noise"], state["classes"], NOISY_ROWS
    u, truth = drawn_uniforms(state["seed"], 2 * n).reshape(n, 2), np.arange(n) % q
    labels = np.where(u[:, 0] < noise, (truth + 1 + (u[:, 1] * (q - 1)).astype(int)) % q, truth)
    best = np.full((n, q), noise / (q - 1))
    best[np.arange(n), truth] = 1 - noise
    losses = surprisal(np.unique(best[0]) if noise > 0 else [1.0])
    rate = float(np.mean(labels != truth))
    numbers = {
        "flipped": n * rate,
        "floor": float(entropy(best[0])),
        "bits": float(entropy(best[0], unit="bit")),
        "best": float(entropy([1 - rate, *[rate / (q - 1)] * (q - 1)])),
        "known": log_loss(best, labels),
        "deviation": float(np.sqrt(noise * (1 - noise) / n) * (losses.max() - losses.min())),
    }
    for name, ones in (("loss", labels), ("cleanLoss", truth)):
        t = 0.0
        for _ in range(state["step"]):
            t -= float(residual(t * np.eye(q)[truth], np.eye(q)[ones])[np.arange(n), truth].mean())
        o = t * np.eye(q)[truth]
        numbers[name] = float(np.mean(cross_entropy_with_logits(o, np.eye(q)[ones])))
        if name == "loss":
            numbers["p"] = float(softmax(o)[0, 0])
    return {f"noise.{name}": value for name, value in numbers.items()}


def code_numbers(state: dict[str, Any], words: dict[str, str]) -> dict[str, float]:
    m, numbers = state["labels"], {}
    for name in ("p", "q"):
        weights = np.array(state[name][:m], dtype=float)
        numbers |= {f"{name}.{k}": float(weight) for k, weight in enumerate(state[name])}
        numbers |= {f"{name}.share.{k}": x for k, x in enumerate(weights / weights.sum())}
        numbers |= {f"{name}.bits.{k}": x for k, x in enumerate(surprisal(weights / weights.sum(), unit="bit"))}
    p, q = (np.array(state[name][:m]) / sum(state[name][:m]) for name in ("p", "q"))
    lengths = {name: np.array([len(words[f"{name}.{k}"]) for k in range(m)]) for name in ("p", "q")}
    bits = float(entropy(p, unit="bit"))
    numbers |= {
        "p.nats": float(entropy(p)),
        "p.entropy": bits,
        "huffman.mean": p @ lengths["p"],
        "huffman.excess": p @ lengths["p"] - bits,
        "fixed": math.ceil(math.log2(m)),
        "price.huffman.wrong": p @ lengths["q"],
        "price.huffman.right": p @ lengths["p"],
        "bar.entropy": bits,
        "bar.kl": float(kl_divergence(p, q, unit="bit")),
    }
    for unit in ("nat", "bit"):
        measures = {"entropy": entropy(p, unit=unit), "cross": cross_entropy(p, q, unit=unit)}
        measures |= {"kl": kl_divergence(p, q, unit=unit), "reverse": kl_divergence(q, p, unit=unit)}
        numbers |= {f"price.{name}.{unit}s": float(value) for name, value in measures.items()}
    return numbers


def message_numbers(state: dict[str, Any], words: dict[str, str]) -> dict[str, float]:
    m = state["labels"]
    weights = state["p"][:m]
    total, p, digits = sum(weights), np.array(weights) / sum(weights), math.ceil(math.log2(m))
    labels = [LETTERS.index(letter) for letter in state["message"]]
    coded = labels[: state["coded"]]
    low, width = exact_interval(coded, weights)
    numbers = {"coded.low": float(low), "coded.high": float(low + width), "coded.width": float(width)}
    numbers |= {"coded.ideal": float(surprisal(p[coded], unit="bit").sum()), "coded.bits": fewest_bits(low, width)}
    drawn = np.searchsorted(np.cumsum(weights), drawn_uniforms(state["seed"], DRAWN) * total, side="right")
    lengths = np.array([len(words[f"p.{k}"]) for k in range(m)])
    low, width = exact_interval(labels, weights)
    of_message = {"arithmetic": fewest_bits(low, width)}
    of_drawn = {"arithmetic": 8 * len(encode_labels(drawn, np.tile(p, (DRAWN, 1))))}
    for found, rows in ((of_message, np.array(labels, dtype=int)), (of_drawn, drawn)):
        found["ideal"] = float(surprisal(p[rows], unit="bit").sum())
        found["huffman"], found["fixed"] = int(lengths[rows].sum()), digits * len(rows)
    numbers |= {f"message.{name}": value for name, value in of_message.items()}
    numbers |= {f"drawn.{name}": value for name, value in of_drawn.items()}
    return numbers | {f"each.{name}": value / DRAWN for name, value in of_drawn.items()}


def exact_interval(labels: list[int], weights: list[int]) -> tuple[Fraction, Fraction]:
    low, width, total = Fraction(0), Fraction(1), sum(weights)
    for k in labels:
        low, width = low + width * Fraction(sum(weights[:k]), total), width * Fraction(weights[k], total)
    return low, width


def fewest_bits(low: Fraction, width: Fraction) -> int:
    return next(count for count in range(200) if math.ceil(low * 2**count) < (low + width) * 2**count)


def check_numbers(found: dict[str, float], wanted: dict[str, float]) -> None:
    assert sorted(found) == sorted(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)


@pytest.mark.parametrize("changes", INFORMATION_STATES)
def test_every_number_on_information_is_that_of_softreg(browser: LessonBrowser, changes: dict[str, Any]) -> None:
    state = INFORMATION | changes
    opened = browser.visit(address("information", changes, show="1"))
    words = code_words(opened)
    wanted = noise_numbers(state) | code_numbers(state, words) | message_numbers(state, words)
    wanted |= {name: state[name] for name in ("noise", "classes", "step", "seed", "labels")}
    wanted["coded"] = min(state["coded"], len(state["message"]))
    check_numbers(numbers_of(opened, "information"), wanted)
    for name in ("p", "q"):
        p = np.array(state[name][: state["labels"]]) / sum(state[name][: state["labels"]])
        codes = [words[f"{name}.{k}"] for k in range(state["labels"])]
        assert len(set(codes)) == len(codes)
        assert sum(Fraction(1, 2 ** len(code)) for code in codes) == 1
        mean, bits = p @ [len(code) for code in codes], float(entropy(p, unit="bit"))
        assert bits - TOLERANCE <= mean < bits + 1
    low, width = exact_interval(
        [LETTERS.index(k) for k in state["message"][: state["coded"]]], state["p"][: state["labels"]]
    )
    code = words["coded.code"].removeprefix("(empty)")
    assert low <= Fraction(int("0" + code, 2), 2 ** len(code)) < low + width
    assert words["coded.message"] == state["message"][: state["coded"]]
    assert opened.complaints == []


def calibration_numbers(state: dict[str, Any]) -> dict[str, float]:
    n, factor, bin_ = state["rows"], state["factor"], round(state["bin"] * BINS)
    u = drawn_uniforms(state["seed"], 2 * n).reshape(n, 2)
    o, y = np.log(u[:, 0] / (1 - u[:, 0])), (u[:, 1] < u[:, 0]).astype(int)
    truth = np.column_stack([1 - u[:, 0], u[:, 0]])
    numbers = {"factor": factor, "shown.factor": factor, "rows": n, "seed": state["seed"], "bin": state["bin"]}
    for column, times in (("right", 1.0), ("scaled", factor)):
        P = softmax(np.column_stack([0 * o, times * o]))
        curve = reliability_curve(P[:, 1], y)
        evaluation = audit(P, y).calibration
        assert curve.outside.tolist() == evaluation.curves[1].outside.tolist()
        numbers |= {f"{column}.accuracy": evaluation.accuracy.value, f"{column}.loss": evaluation.log_loss.value}
        numbers |= {f"{column}.brier": evaluation.brier.value, f"{column}.outside": int(curve.outside.sum())}
        numbers[f"{column}.excess"] = float(kl_divergence(truth, P).mean())
        assert accuracy(P, y) == pytest.approx(evaluation.accuracy.value, abs=TOLERANCE)
        assert brier(P, y) == pytest.approx(evaluation.brier.value, abs=TOLERANCE)
    for k in range(BINS):
        numbers[f"bins.count.{k}"] = int(curve.count[k])
        for name in ("predicted", "observed", "low", "high"):
            numbers[f"bins.{name}.{k}"] = float(getattr(curve, name)[k])
    for name in ("count", "predicted", "observed", "low", "high"):
        numbers[f"bin.{name}"] = float(getattr(curve, name)[bin_])
    inside = np.searchsorted(curve.edges, P[:, 1], side="right") - 1 == bin_
    numbers["bin.successes"] = int(y[inside].sum()) if inside.any() else math.nan
    numbers |= {"bin.from": curve.edges[bin_], "bin.to": curve.edges[bin_ + 1]}
    numbers["most-rows"] = int(curve.count.max())
    near = np.abs(P[:, 1] - 0.5) <= 0.05
    low, high = central_interval(poisson_binomial(P[near, 1]))
    right = P[near].argmax(axis=1) == y[near]
    numbers |= {"half.rows": int(near.sum()), "half.ones": int(y[near].sum()), "half.right": int(right.sum())}
    numbers |= {"half.onesShare": y[near].mean(), "half.rightShare": right.mean(), "half.low": low, "half.high": high}
    return numbers | best_numbers(o, y, factor, numbers["scaled.loss"])


def best_numbers(o: np.ndarray, y: np.ndarray, factor: float, loss: float) -> dict[str, float]:
    """The factor of least log loss: its loss by `fit_scaling`, the factor itself as the root of the derivative."""
    scaled = factor * o
    L = np.log(softmax(np.column_stack([0 * o, scaled])))
    least = float(fit_scaling(L, y, shared=True, strength=0.0).losses(L, y).mean())
    root = scipy.optimize.brentq(
        lambda t: np.mean(o * (softmax(np.column_stack([0 * o, t * o]))[:, 1] - y)), 0, 64, xtol=1e-15
    )
    return {"best.factor": root / factor, "best.loss": least, "best.gap": loss - least}


@pytest.mark.parametrize("changes", CALIBRATION_STATES)
def test_every_number_on_calibration_is_that_of_softreg(browser: LessonBrowser, changes: dict[str, Any]) -> None:
    opened = browser.visit(address("calibration", changes, show="1"))
    check_numbers(numbers_of(opened, "calibration"), calibration_numbers(CALIBRATION | changes))
    assert opened.complaints == []


def test_the_accuracy_does_not_depend_on_the_factor_and_the_loss_does(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(fragment=address("calibration", {}, show="1"))
    before = numbers_of(opened, "calibration")
    opened.page.get_by_role("button", name="× 2").click()
    after = numbers_of(opened, "calibration")
    assert after["factor"] == 2
    assert after["scaled.accuracy"] == before["scaled.accuracy"]
    assert after["scaled.loss"] > before["scaled.loss"] + 0.03
    assert after["scaled.outside"] > before["scaled.outside"]
    handle = opened.page.locator("#calibration svg [role=slider]")
    for _ in range(40):
        handle.press("ArrowRight")
        opened.settle()
    assert numbers_of(opened, "calibration")["factor"] == 4
    check_numbers(
        {k: v for k, v in numbers_of(opened, "calibration").items() if not k.startswith("bins.")},
        {k: v for k, v in calibration_numbers(CALIBRATION | {"factor": 4}).items() if not k.startswith("bins.")},
    )


@pytest.mark.parametrize("factor", [1, 1.03, 2, 0.61])
def test_the_gain_of_recalibration_is_the_difference_of_the_losses_shown(browser: LessonBrowser, factor: float) -> None:
    opened = browser.visit(address("calibration", {"factor": factor}, show="1"))
    opened.settle()
    least, now, gain = (
        opened.page.locator(f"#calibration p [data-name='calibration.{name}']").inner_text()
        for name in ("best.loss", "scaled.loss", "best.gap")
    )
    assert f"{float(now) - float(least):.5f}" == gain


def test_answers_are_hidden_until_they_are_asked_for(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(fragment="#part=information")
    for name in ("information.noise.floor", "calibration.scaled.loss"):
        assert not opened.page.locator(f"[data-name='{name}']").first.is_visible()
    opened.page.locator("#information .question").get_by_role("radio").nth(2).check()
    opened.page.locator("#calibration .question").get_by_role("radio").nth(0).check()
    assert numbers_of(opened, "information")["noise.floor"] == pytest.approx(
        float(entropy([0.9, 0.05, 0.05])), abs=TOLERANCE
    )
    assert "Yes." in opened.page.inner_text("#information .question")
    assert "Not quite." in opened.page.inner_text("#calibration .question")
    assert numbers_of(opened, "calibration")["scaled.loss"] > 0


def test_training_stops_at_the_entropy_of_the_observed_share(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(fragment=address("information", {"noise": 0.2, "step": 3}, show="1"))
    opened.page.get_by_role("button", name="Train from the start").click()
    opened.page.wait_for_function(
        "() => document.querySelector(\"[data-name='information.step']\").dataset.value === '200'", timeout=60_000
    )
    found = numbers_of(opened, "information")
    assert found["noise.loss"] == pytest.approx(found["noise.best"], abs=1e-6)
    assert found["noise.cleanLoss"] < 0.01 < found["noise.loss"]
    check_numbers(
        {k: found[k] for k in found if k.startswith("noise.")}, noise_numbers(INFORMATION | {"noise": 0.2, "step": 200})
    )


def test_the_figures_in_the_texts_are_right() -> None:
    floor, doubled = float(entropy([0.9, 0.05, 0.05])), float(softmax([0.0, 2 * math.log(9)])[1])
    for lang in ("en", "zh"):
        texts = {
            part: json.loads(files("softreg.learn").joinpath("parts", part, f"{lang}.json").read_text(encoding="utf-8"))
            for part in ("information", "calibration")
        }
        for key in ("ask.entropy", "ask.because"):
            assert f"{floor:.3f}" in texts["information"][key]
        assert f"{1 / math.log(2):.4f}" in texts["information"]["code.entropy"]
        assert f"{doubled:.3f}" in texts["calibration"]["ask.because"]


@pytest.mark.parametrize(
    ("lang", "before", "empty", "words"),
    [
        ("en", "Before the first label, the interval reaches from 0 to 1.", "(empty)", r"A [01]+, B [01]+"),
        ("zh", "编码第一个标签之前，区间从 0 到 1。", "（空）", "A [01]+，B [01]+"),
    ],
)
def test_an_empty_message_is_said_to_be_empty(
    browser: LessonBrowser, lang: str, before: str, empty: str, words: str
) -> None:
    fragment = address("information", {"message": "", "coded": 12}, show="1", lang=lang)
    opened = browser.visit(fragment)
    part = opened.page.locator("#information")
    assert before in part.inner_text()
    assert numbers_of(opened, "information")["coded"] == 0
    labels = part.locator("[aria-label]").evaluate_all("(all) => all.map((one) => one.getAttribute('aria-label'))")
    assert any(empty in label for label in labels)
    assert any(re.search(words, label) for label in labels)


def test_message_weights_and_language_change_by_hand(browser: LessonBrowser) -> None:
    opened = browser.open_lesson(fragment="#show=1&part=information")
    field = opened.page.locator("#information input.message")
    field.fill("dcbaXYZab")
    opened.settle()
    assert field.input_value() == "DCBAAB"
    state = INFORMATION | {"message": "DCBAAB", "coded": 12}
    part = opened.page.locator("#information")
    part.get_by_role("button", name="Append C").click()
    part.get_by_role("button", name="Delete last").click()
    part.get_by_role("group", name="Shares of p").get_by_role("slider", name="B").press("ArrowRight")
    part.get_by_role("group", name="Shares of p").get_by_role("slider", name="A").press("End")
    state = state | {"p": [100, 26, *INFORMATION["p"][2:]]}
    opened.settle()
    words = code_words(opened)
    found = numbers_of(opened, "information")
    wanted = code_numbers(state, words) | message_numbers(state, words)
    check_numbers({name: found[name] for name in wanted}, wanted)
    opened.page.wait_for_function("() => location.hash.includes('information.p=100,26')")
    assert "message=DCBAAB" in opened.page.url
    opened.page.get_by_role("button", name="中文").click()
    opened.settle()
    assert "哈夫曼树" in part.inner_text()
    assert not re.search(r"\{\w+\}", part.inner_text())
    assert numbers_of(opened, "information") == found
    part.get_by_role("button", name="一个占绝大多数").first.click()
    assert numbers_of(opened, "information")["p.share.0"] == 100 / 103
    assert opened.complaints == []


EDITED = (
    "information.p=1.5,2,3,4,5,6,7,8&information.labels=7.6&information.message=<b>Z",
    "calibration.bin=0.2499&calibration.rows=333.3&calibration.seed=1.2",
)


@pytest.mark.parametrize("fragment", EDITED)
def test_an_address_that_was_edited_by_hand_is_made_consistent(browser: LessonBrowser, fragment: str) -> None:
    opened = browser.visit(f"#show=1&{fragment}")
    for part in ("information", "calibration"):
        for name, value in numbers_of(opened, part).items():
            assert not math.isnan(value) or name.startswith("bins."), name
    assert opened.complaints == []


def test_nothing_is_wider_than_a_phone(browser: LessonBrowser) -> None:
    wide = {"labels": 8, "p": [100, 1, 1, 1, 1, 1, 1, 1], "message": "HHHHHHHHHHHH", "coded": 12}
    opened = browser.open_lesson(fragment=address("information", wide, show="1"), width=320)
    opened.page.click("#calibration details summary")
    assert beyond_the_window(opened) == []
    opened.page.get_by_role("button", name="中文").click()
    assert beyond_the_window(opened) == []


def beyond_the_window(opened: OpenPage) -> list[str]:
    """What is wider than the window in the parts on information and calibration."""
    opened.settle()
    found: list[str] = opened.page.evaluate(
        """() => [...document.querySelectorAll("#information *, #calibration *")].filter((node) => {
          const box = node.getBoundingClientRect();
          return box.width > 0 && box.right > innerWidth && !node.closest(".scroll");
        }).map((node) => node.outerHTML.slice(0, 80))"""
    )
    return found


def test_draws_again_follow_the_band(browser: LessonBrowser) -> None:
    """With right probabilities, at most one bin in twenty lies outside its band, on average."""
    outside = bins = 0
    for seed in range(300):
        u = drawn_uniforms(seed, 400).reshape(200, 2)
        curve = reliability_curve(u[:, 0], u[:, 1] < u[:, 0])
        outside, bins = outside + int(curve.outside.sum()), bins + int(curve.filled.sum())
    assert outside / bins < 0.05 + 3 * math.sqrt(0.05 * 0.95 / bins)
    opened = browser.open_lesson(fragment=address("calibration", {}, show="1"))
    seed = numbers_of(opened, "calibration")["seed"]
    opened.page.locator("#calibration").get_by_role("button", name="Draw again").click()
    assert numbers_of(opened, "calibration")["seed"] == seed + 1


def test_the_band_is_the_binomial_quantile_where_all_probabilities_are_equal() -> None:
    low, high = central_interval(poisson_binomial([0.3] * 77))
    assert [low, high] == [scipy.stats.binom.ppf(share, 77, 0.3) for share in (0.025, 0.975)]
