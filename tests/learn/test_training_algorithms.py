"""The algorithms of the part on training, run by Node, against softreg."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import softreg
from softreg import SoftmaxRegression

from .training_reference import CLASSES, PIXELS, Training, of_text

NODE = shutil.which("node")
SCRIPTS = Path(softreg.__file__).parent / "learn"
EXACT = 1e-12
SEEDS = (1, 2, 3)
STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0)
CONFLICT = "1" + "84210840"

PROGRAM = """
const answer = (asked) => {
const images = drawnImages(asked.seed), own = imagesOfText(asked.own);
const rows = rowsOfImages([...images.training, ...own], IMAGE_PIXELS, IMAGE_CLASSES.length);
const holdout = rowsOfImages(images.holdout, IMAGE_PIXELS, IMAGE_CLASSES.length);
const descent = new StochasticDescent(rows, asked);
for (let step = 0; step < asked.steps; step++) descent.step();
const parameters = descent.parameters, chosen = descent.nextBatch(), predicted = predictRows(rows, parameters);
const plain = ({ W, b }) => ({ W: [...W], b: [...b] });
const minimum = newtonMinimum(rows, asked.strength);
const records = minimum.history.map((at) => ({ ...at, gap: String(at.gap), parameters: plain(at.parameters) }));
return {
  training: imagesAsText([...images.training, ...own]), holdout: imagesAsText(images.holdout), own: imagesAsText(own),
  passes: descent.passes, chosen, parameters: plain(parameters), P: [...predicted.P], loss: predicted.loss,
  correct: predicted.correct, value: objectiveValue(rows, parameters, asked.strength),
  holdoutLoss: predictRows(holdout, parameters).loss, holdoutCorrect: predictRows(holdout, parameters).correct,
  byRows: plain(gradientByRows(rows, parameters, chosen)),
  vectorised: plain(gradientVectorised(rows, parameters, chosen)),
  partial: plain(gradientByRows(rows, parameters, chosen, 1)),
  certified: { ...certifiedGap(rows, parameters, asked.strength), parameters: null }, records, status: minimum.status,
};
};
console.log(JSON.stringify(JSON.parse(require("node:fs").readFileSync(0, "utf8")).map(answer)));
"""


def run(**asked: Any) -> dict[str, Any]:
    """Return what the algorithms compute."""
    (found,) = run_all([asked])
    return found


def run_all(asked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what the algorithms compute for several settings, by one process."""
    if NODE is None:
        pytest.skip("there is no Node (nodejs) here")
    sources = ("script/random.js", "parts/training/descent.js", "parts/training/images.js", "parts/training/newton.js")
    program = "\n".join([*((SCRIPTS / name).read_text(encoding="ascii") for name in sources), PROGRAM])
    standard = {"seed": 3, "batch": 4, "rate": 0.3, "strength": 0.01, "steps": 0, "own": ""}
    options = [standard | dict(one) for one in asked]
    result = subprocess.run(
        [NODE, "-e", program], input=json.dumps(options), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def parameters_of(found: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (d, q) and bias (q,)."""
    return np.array(found["W"]).reshape(PIXELS, CLASSES), np.array(found["b"])


def close(left: Any, right: Any) -> bool:
    """Whether numbers agree to 1e-12, relative to the largest or to 1."""
    left, right = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    return left.shape == right.shape and bool(np.abs(left - right).max() <= EXACT * max(1.0, np.abs(right).max()))


@pytest.mark.parametrize("seed", SEEDS)
def test_images_are_a_function_of_the_seed_and_of_their_text(seed: int) -> None:
    found, alone, next_seed = run_all([{"seed": seed, "own": CONFLICT}, {"seed": seed}, {"seed": seed + 1}])
    X, y = of_text(found["training"])
    assert X.shape == (25, PIXELS)
    assert np.bincount(y).tolist() == [8, 9, 8]
    assert found["own"] == CONFLICT
    assert of_text(found["holdout"])[0].shape == (24, PIXELS)
    assert alone["holdout"] == found["holdout"] != next_seed["holdout"]


def test_text_that_is_no_image_is_left_out() -> None:
    texts = ["x", "3zzzzzzzz", "5" + "0" * 8, "1000", "..", "084210848x"]
    assert [found["own"] for found in run_all([{"own": own} for own in texts])] == [""] * len(texts)


@pytest.mark.parametrize(
    ("batch", "rate", "strength", "steps"),
    [(1, 0.1, 0.0, 100), (4, 0.3, 0.01, 61), (5, 1.0, 1e-4, 500), (24, 0.3, 1.0, 200), (25, 2.0, 0.1, 30)],
)
def test_stochastic_descent_takes_the_steps_of_softregs_gradient(
    batch: int, rate: float, strength: float, steps: int
) -> None:
    found = run(batch=batch, rate=rate, strength=strength, steps=steps, own=CONFLICT)
    problem = Training(*of_text(found["training"]), strength)
    holdout = Training(*of_text(found["holdout"]), strength)
    at = problem.descend(3, batch, rate, steps)
    W, b = at.W, at.b
    assert close(parameters_of(found["parameters"])[0], W)
    assert close(parameters_of(found["parameters"])[1], b)
    assert (found["passes"], found["chosen"]) == (int(at.passes), at.chosen.tolist())
    assert close(found["loss"], problem.loss(W, b))
    assert close(found["value"], problem.value(W, b))
    assert close(found["holdoutLoss"], holdout.loss(W, b))
    assert (found["correct"], found["holdoutCorrect"]) == (problem.correct(W, b), holdout.correct(W, b))
    model = SoftmaxRegression(strength).fit(problem.X, problem.y) if strength else None
    if model is not None:  # the probabilities of softreg's estimator with these weights
        model.coef_, model.intercept_ = W.T, b
        assert close(np.array(found["P"]).reshape(-1, CLASSES), model.predict_proba(problem.X))


@pytest.mark.parametrize("batch", [1, 3, 24])
def test_the_gradient_is_the_same_by_rows_and_vectorised(batch: int) -> None:
    found = run(batch=batch, steps=10)
    problem = Training(*of_text(found["training"]), 0.01)
    W, b = parameters_of(found["parameters"])
    for way in ("byRows", "vectorised"):
        for ours, theirs in zip(parameters_of(found[way]), problem.gradient(W, b, found["chosen"]), strict=True):
            assert close(ours, theirs)
    first = problem.gradient(W, b, found["chosen"][:1])[0] / batch
    assert close(parameters_of(found["partial"])[0], first)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gap_is_that_of_softregs_certificate(seed: int) -> None:
    asked = [{"seed": seed, "strength": strength, "steps": steps} for strength in STRENGTHS for steps in (0, 5, 300)]
    for one, found in zip(asked, run_all(asked), strict=True):
        strength = one["strength"]
        problem = Training(*of_text(found["training"]), strength)
        gap, value = problem.gap(*parameters_of(found["parameters"]))
        assert close(found["certified"]["gap"], gap)
        assert close(found["certified"]["value"], value)
        least = problem.optimum().value
        assert found["certified"]["value"] - least <= gap + EXACT
        assert close(found["certified"]["bound"], gap + found["value"] - value)
        assert 0 <= found["value"] - least <= found["certified"]["bound"] + EXACT


@pytest.mark.parametrize("seed", SEEDS)
def test_newton_reaches_softregs_minimum_with_a_certified_gap(seed: int) -> None:
    found = run_all([{"seed": seed, "strength": strength} for strength in STRENGTHS])
    for strength, one in zip(STRENGTHS, found, strict=True):
        assert_minimum(one, strength)


def assert_minimum(found: dict[str, Any], strength: float) -> None:
    """Assert that the solver of the page found softreg's minimum, with the same certificate on the way."""
    problem = Training(*of_text(found["training"]), strength)
    softregs, last = problem.optimum(), found["records"][-1]
    assert found["status"] == "converged"
    assert softregs.plan.name == "one-pass-newton"
    assert float(last["gap"]) <= 1e-15
    assert close(last["value"], softregs.value)
    W, b = parameters_of(last["parameters"])
    assert close(W, softregs.W)
    assert close(b, softregs.b - softregs.b.mean())
    for at in found["records"]:
        gap, value = problem.gap(*parameters_of(at["parameters"]))
        assert close([float(at["gap"]), at["value"]], [gap, value])
        assert value - softregs.value <= gap + EXACT


def test_without_a_penalty_the_classes_are_separated_as_softreg_says() -> None:
    found = run(strength=0.0, steps=3)
    X, y = of_text(found["training"])
    assert found["status"] == "separated"
    assert float(found["records"][-1]["gap"]) == np.inf
    with pytest.warns(ConvergenceWarning, match="separat"):
        assert SoftmaxRegression(0.0).fit(X, y).solution_.status.value == "no finite optimum"


def test_the_same_image_with_two_labels_is_not_separated() -> None:
    found = run(strength=0.0, own=f"0{CONFLICT[1:]}.{CONFLICT}")
    assert found["status"] == "stopped"
