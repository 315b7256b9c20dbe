"""Every number that parts 1 and 2 of the page show is that of softreg, to 1e-12."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from softreg.probability import cross_entropy_with_logits, entropy, kl_divergence, log_softmax, logsumexp, softmax
from softreg.probability import residual as logit_gradient

from .lesson import LessonBrowser, address, assert_numbers

IMAGE = {"x": [1, 0.5, 0, 0.5], "W": [2, 0, -1, 0, -1, 1, 2, 0, 0, 1, 1, 1], "b": [0.5, -0.5, 0], "shift": 0, "T": 1}
LOSS = {"y": [0, 1, 0], "weight": "none", "h": "0.1"}
IMAGES: list[dict[str, Any]] = [
    {},
    {"x": [0.05, 0.95, 0.35, 0.15], "W": [0.1 * i - 0.7 for i in range(12)], "T": 2.37, "filled": "1"},
    {"b": [50, -50, 0]},
    {"b": [-50, 50, 50], "T": 0.1, "shift": 10},
    {"b": [-50, -50, -50], "W": [0] * 12, "T": 0.1},
    {"x": [0, 0, 0, 0], "b": [0, 0, 0], "shift": -9.9, "T": 10},
]
LABELS: list[dict[str, Any]] = [
    {},
    {"y": [0.1, 0.2, 0.7], "weight": "6"},
    {"y": [1, 0, 0], "weight": "4", "h": "1"},
    {"y": [0, 0, 1], "weight": "14", "h": "0.01"},
    {"y": [0.34, 0.33, 0.33], "weight": "12", "h": "1"},
]


def numbered(name: str, values: Any) -> dict[str, float]:
    return {f"{name}.{i}": float(value) for i, value in enumerate(np.ravel(values))}


def network(state: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (4,), weights (3, 4) and biases (3,)."""
    return np.array(state["x"], float), np.reshape(np.array(state["W"], float), (3, 4)), np.array(state["b"], float)


def image_numbers(state: Mapping[str, Any]) -> dict[str, float]:
    """Every number of part 1."""
    x, W, b = network(state)
    o = W @ x + b
    shifted = o + state["shift"]
    with np.errstate(over="ignore"):
        positive = np.exp(shifted / state["T"])
    p = softmax(shifted / state["T"])
    return {
        **numbered("x", x), **numbered("W", W), **numbered("b", b), **numbered("o", o), **numbered("s", shifted),
        **numbered("e", positive), **numbered("p", p), "sum": float(positive.sum()), "total": 1.0,
        "shift": state["shift"], "T": state["T"],
    }  # fmt: skip


def loss_numbers(image: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, float]:
    """Every number of part 2."""
    x, W, b = network(image)
    o, y = W @ x + b, np.array(state["y"], float)
    loss, surprisal = float(cross_entropy_with_logits(o, y)), -log_softmax(o)
    g = logit_gradient(o, y)
    slopes = np.outer(g, x)
    numbers = {
        **numbered("y", y), **numbered("p", softmax(o)), **numbered("surprisal", surprisal),
        **numbered("term", y * surprisal), "loss": loss, "gap": loss, "lse": float(logsumexp(o)), "yo": float(y @ o),
        "entropy": float(entropy(y)), "kl": loss - float(entropy(y)), **numbered("g", g),
        **numbered("gW", slopes), **numbered("gb", g),
    }  # fmt: skip
    if np.all(softmax(o) > 1e-300):
        assert np.isclose(numbers["kl"], kl_divergence(y, softmax(o)), rtol=1e-12, atol=1e-12)
    if state["weight"] != "none":
        k, i = divmod(int(state["weight"]), 5)
        change = np.zeros(3)
        change[k] = float(state["h"]) * (1 if i == 4 else x[i])
        plus, minus = (float(cross_entropy_with_logits(o + sign * change, y)) for sign in (1, -1))
        slope, exact = (plus - minus) / (2 * float(state["h"])), g[k] if i == 4 else slopes[k, i]
        found = {"plus": plus, "minus": minus, "slope": slope, "exact": exact, "error": slope - exact}
        numbers |= {f"differences.{name}": float(value) for name, value in found.items()}
    return numbers


@pytest.mark.parametrize("changes", IMAGES)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_numbers_of_the_image(browser: LessonBrowser, changes: dict[str, Any], lang: str) -> None:
    opened = browser.visit(address("image", changes, lang=lang))
    assert_numbers(opened, "image", image_numbers(IMAGE | changes))


@pytest.mark.parametrize("image", IMAGES)
@pytest.mark.parametrize("label", LABELS)
def test_numbers_of_the_loss(browser: LessonBrowser, image: dict[str, Any], label: dict[str, Any]) -> None:
    image = {name: value for name, value in image.items() if name in ("x", "W", "b")}
    state = {**label, **{f"image.{name}": value for name, value in image.items()}}
    opened = browser.visit(address("loss", state))
    assert_numbers(opened, "loss", loss_numbers(IMAGE | image, LOSS | label))
