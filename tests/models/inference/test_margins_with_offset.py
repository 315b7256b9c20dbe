"""Predictions and comparisons of models with an offset: those of `predict_proba`, with errors by finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import softreg
from softreg import SoftmaxRegression, TableClassifier, infer
from softreg.models import Inference
from softreg.typing import Array

STEP = 1e-5


def drawn(n: int = 400, q: int = 3, seed: int = 0) -> tuple[Array, Array, Array]:
    random = np.random.default_rng(seed)
    X, offset = random.normal(size=(n, 2)), random.normal(size=(n, q))
    X[:, 1] = X[:, 1] > 0
    y = (X @ random.normal(size=(2, q)) + offset + random.gumbel(size=(n, q))).argmax(axis=1)
    return X, y, offset


@pytest.fixture
def fitted() -> tuple[Inference, Array, Array]:
    X, y, offset = drawn()
    model = SoftmaxRegression(penalty=None, tol=1e-10).fit(X, y, offset=offset)
    return infer(model, X, y, offset=offset), X, offset


def std_errors(result: Inference, function: Any) -> Array:
    """Standard errors of a function of the parameters, by central differences."""
    relative = result.relative_to(result.fitted.labels[0])
    theta = relative.coefficients.estimate.ravel()
    shape = relative.coefficients.estimate.shape
    J = []
    for i in range(len(theta)):
        moved = [theta.copy(), theta.copy()]
        moved[0][i] += STEP
        moved[1][i] -= STEP
        values = [function(np.vstack([np.zeros(shape[1]), part.reshape(shape)])) for part in moved]
        J.append((values[0] - values[1]) / (2 * STEP))
    G = np.array(J)
    return np.sqrt(np.einsum("i...,ij,j...->...", G, relative.covariance, G))


def probabilities(beta: Array, X: Array, offset: Array) -> Array:
    """Probabilities with the intercept first."""
    o = np.column_stack([np.ones(len(X)), X]) @ beta.T + offset
    P = np.exp(o - o.max(axis=1, keepdims=True))
    return np.asarray(P / P.sum(axis=1, keepdims=True))


def test_predictions_have_the_offset_of_the_rows(fitted: Any) -> None:
    result, X, offset = fitted
    new, fixed = X[:7] + 0.1, offset[:7] - 0.5
    found = result.predictions(new, offset=fixed)
    assert_allclose(found.probabilities, result.fitted.model.predict_proba(new, fixed), atol=1e-7)
    assert_allclose(found.std_errors, std_errors(result, lambda b: probabilities(b, new, fixed)), rtol=1e-6)
    assert (found.low < found.probabilities).all()
    assert (found.probabilities < found.high).all()
    own = result.predictions()
    assert_allclose(own.probabilities, result.fitted.model.predict_proba(X, offset), atol=1e-7)


def test_averages_have_the_offset_of_the_rows_of_the_fit(fitted: Any) -> None:
    result, X, offset = fitted
    found = result.predictions(grid={0: [0.0, 1.0]}, others="observed")
    for i, value in enumerate((0.0, 1.0)):
        at = X.copy()
        at[:, 0] = value
        assert_allclose(found.probabilities[i], result.fitted.model.predict_proba(at, offset).mean(axis=0), atol=1e-7)
        errors = std_errors(result, lambda b, at=at: probabilities(b, at, offset).mean(axis=0))
        assert_allclose(found.std_errors[i], errors, rtol=1e-6)
    few = result.predictions(X[:5], grid={0: [1.0]}, others="observed", offset=offset[:5])
    at = X[:5].copy()
    at[:, 0] = 1.0
    assert_allclose(few.probabilities[0], result.fitted.model.predict_proba(at, offset[:5]).mean(axis=0), atol=1e-7)


def test_a_grid_at_means_has_a_given_offset_or_zero(fitted: Any) -> None:
    result, X, _ = fitted
    row = np.array([[0.5, X[:, 1].mean()], [1.0, X[:, 1].mean()]])
    predict = result.fitted.model.predict_proba
    zero = result.predictions(grid={0: [0.5, 1.0]}, others="mean")
    assert_allclose(zero.probabilities, predict(row, np.zeros((2, 3))), atol=1e-7)
    one = result.predictions(grid={0: [0.5, 1.0]}, others="mean", offset=[0.0, 1.0, -1.0])
    assert_allclose(one.probabilities, predict(row, np.tile([0.0, 1.0, -1.0], (2, 1))), atol=1e-7)
    each = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0]])
    found = result.predictions(grid={0: [0.5, 1.0]}, others="mean", offset=each)
    assert_allclose(found.probabilities, predict(row, each), atol=1e-7)
    with pytest.raises(ValueError, match=r"expected \(2, 3\)"):
        result.predictions(grid={0: [0.5, 1.0]}, others="mean", offset=np.zeros((3, 3)))


def test_a_number_is_the_offset_of_the_log_odds_of_two_classes() -> None:
    X, y, offset = drawn(q=2)
    model = SoftmaxRegression(penalty=None, tol=1e-10).fit(X, y, offset=offset)
    found = infer(model, X, y, offset=offset).predictions(grid={0: 0.5, 1: 1.0}, offset=0.7)
    assert_allclose(found.probabilities, model.predict_proba([[0.5, 1.0]], [0.7]), atol=1e-7)


def test_comparisons_have_the_offset_of_the_rows(fitted: Any) -> None:
    result, X, offset = fitted
    predict = result.fitted.model.predict_proba
    low, high = X.copy(), X.copy()
    low[:, 0], high[:, 0] = -1.0, 1.0
    found = result.comparisons(0, low=-1, high=1)
    difference = predict(high, offset).mean(axis=0) - predict(low, offset).mean(axis=0)
    assert_allclose(found.difference.estimate[:, 0], difference, atol=1e-7)
    errors = std_errors(result, lambda b: (probabilities(b, high, offset) - probabilities(b, low, offset)).mean(axis=0))
    assert_allclose(found.difference.std_error[:, 0], errors, rtol=1e-6)
    rows = found.rows("difference")
    assert_allclose(rows.estimate, predict(high, offset) - predict(low, offset), atol=1e-7)
    errors = std_errors(result, lambda b: probabilities(b, high, offset) - probabilities(b, low, offset))
    assert_allclose(rows.std_error, errors, rtol=1e-5)
    new = result.comparisons(1, X=X[:9], offset=offset[:9])
    ones, zeros = X[:9].copy(), X[:9].copy()
    ones[:, 1], zeros[:, 1] = 1.0, 0.0
    difference = (predict(ones, offset[:9]) - predict(zeros, offset[:9])).mean(axis=0)
    assert_allclose(new.difference.estimate[:, 0], difference, atol=1e-7)


def test_a_missing_offset_is_an_error(fitted: Any) -> None:
    result, X, offset = fitted
    for call in (
        lambda: result.predictions(X),
        lambda: result.predictions(X, grid={0: 1.0}, others="observed"),
        lambda: result.comparisons(1, X=X),
    ):
        with pytest.raises(ValueError, match="fitted with an offset of the logits, so a prediction needs one"):
            call()
    with pytest.raises(ValueError, match="the rows of the fit have theirs"):
        result.predictions(offset=offset)
    with pytest.raises(ValueError, match=r"offset\.shape"):
        result.predictions(X, offset=offset[:3])


def test_tables_have_the_offset_in_their_columns(tmp_path: Any) -> None:
    X, y, offset = drawn()
    names = np.array(["a", "b", "c"])
    frame = pd.DataFrame({"x": X[:, 0], "z": X[:, 1], "of_b": offset[:, 1] - offset[:, 0], "y": names[y]})
    model = TableClassifier("y", offset={"b": "of_b"}, strength=1e-3, tol=1e-10, number="z").fit(frame)
    result = model.infer(frame, errors="posterior")
    found = result.predictions(frame[:9])
    assert_allclose(found.probabilities, model.predict_proba(frame[:9]), atol=1e-7)
    average = result.comparisons("x", low=0, high=1, X=frame[:9])
    ends = [model.predict_proba(frame[:9].assign(x=value)).mean(axis=0) for value in (0.0, 1.0)]
    assert_allclose(average.difference.estimate[:, 0], ends[1] - ends[0], atol=1e-7)
    model.keep_intervals(frame).save(tmp_path / "m.softreg")
    low, high = softreg.load(tmp_path / "m.softreg").predict_intervals(frame[:9])
    assert_allclose(low, found.low, atol=1e-4)
    assert_allclose(high, found.high, atol=1e-4)
    with pytest.raises(ValueError, match="no column of offsets 'of_b'"):
        result.predictions(frame[:9].drop(columns="of_b"))
