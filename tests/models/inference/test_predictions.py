"""Intervals of probabilities: derivatives by finite differences, independent computations, limits and simultaneity."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from scipy.special import expit, logit, softmax
from scipy.stats import norm

from softreg import SoftmaxRegression, infer
from softreg.models.inference.margins.prediction_plot import plot_predictions
from softreg.models.inference.margins.predictions import critical_value
from softreg.models.inference.margins.row_logits import ParameterDistribution, Scenario, log_odds, triangular_factor
from softreg.rows import Array


def sample(q: int, n: int = 300, seed: int = 3) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 4)) * [1, 5, 0.1, 1] + [0, 40, 1, 0]
    X[:, 3] = random.random(n) < 0.3
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    return X, (Z @ random.normal(size=(4, q)) + random.gumbel(size=(n, q))).argmax(axis=1)


KINDS = {
    "model": (None, {}),
    "robust": (None, {"errors": "robust"}),
    "clustered": (None, {"clusters": np.arange(300) % 60}),
    "few clusters": (None, {"clusters": np.arange(300) % 5}),
    "posterior": (1e-2, {"errors": "posterior"}),
    "shrunken": (1e-2, {}),
}


def fitted(q: int, kind: str = "model", X: Any = None) -> Any:
    rows, y = sample(q)
    strength, options = KINDS[kind]
    model = SoftmaxRegression(penalty=None) if strength is None else SoftmaxRegression(strength)
    rows = rows if X is None else X
    return infer(model.fit(rows, y), rows, y, **options)


def by_differences(inference: Any, function: Any, h: float = 1e-3) -> tuple[Array, Array]:
    """Value of a function of the user's coefficients (c, k) against class 0, and its errors by central differences."""
    relative = inference.relative_to(inference.fitted.labels[0])
    w, C = relative.coefficients.estimate, relative.covariance
    steps = h * np.sqrt(np.diag(C))
    steps[steps == 0] = h
    J = []
    for j, step in enumerate(steps):
        change = np.zeros(w.size)
        change[j] = step
        ends = [function(w + s * change.reshape(w.shape)) for s in (-2, -1, 1, 2)]
        J.append((ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step))
    G = np.stack(J, axis=-1)
    return function(w), np.sqrt(np.einsum("...i,ij,...j->...", G, C, G))


def probabilities(X: Array) -> Any:
    """The probabilities of rows as a function of the coefficients against class 0."""
    Z = np.column_stack([np.ones(len(X)), X])
    return lambda w: softmax(np.column_stack([np.zeros(len(X)), Z @ w.T]), axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("q", [2, 3, 5])
def test_errors_are_those_of_finite_differences(q: int, kind: str) -> None:
    inference, X = fitted(q, kind), sample(q)[0][:40]
    found = inference.predictions(X, level=0.9)
    p, error = by_differences(inference, probabilities(X))
    assert_allclose(found.probabilities, p, atol=1e-10)
    assert_allclose(found.std_errors, error, rtol=1e-6, atol=1e-8)
    _, error = by_differences(inference, lambda w: logit(probabilities(X)(w)))
    z = norm.ppf(0.95)
    assert_allclose(found.low, expit(logit(p) - z * error), atol=1e-8)
    assert_allclose(found.high, expit(logit(p) + z * error), atol=1e-8)
    assert found.errors == inference.errors
    assert_allclose(found.probabilities.sum(axis=1), 1)


def test_the_derivatives_of_log_odds_are_exact() -> None:
    o = np.random.default_rng(0).normal(size=(4, 50)) * 3
    eta, G = log_odds(o)
    assert_allclose(eta, logit(softmax(o, axis=0)), atol=1e-12)
    for c in range(4):
        h = 1e-3 * (np.arange(4) == c)[:, None]
        numeric = log_odds(o - 2 * h)[0] - 8 * log_odds(o - h)[0] + 8 * log_odds(o + h)[0] - log_odds(o + 2 * h)[0]
        assert_allclose(G[c], numeric / 12e-3, atol=1e-8)


def test_the_two_class_interval_is_that_of_statsmodels() -> None:
    sm = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    X, y = sample(2)
    theirs = sm.GLM(y, sm.add_constant(X), family=sm.families.Binomial()).fit(tol=1e-13)
    new = X[:30] + 0.1
    frame = theirs.get_prediction(sm.add_constant(new)).summary_frame(alpha=0.05)  # intervals of the link, transformed
    found = fitted(2).predictions(new)
    for ours, name in [(found.probabilities, "mean"), (found.low, "mean_ci_lower"), (found.high, "mean_ci_upper")]:
        assert_allclose(ours[:, 1], frame[name], rtol=1e-6)
    assert_allclose(found.std_errors[:, 1], frame["mean_se"], rtol=1e-6)
    assert_allclose(found.low[:, 0], 1 - found.high[:, 1], atol=1e-14)


R_CODE = """
suppressMessages({library(nnet); library(marginaleffects)})
d <- read.csv(commandArgs(TRUE)[1]); d$y <- factor(d$y)
m <- multinom(y ~ a + b + c + d, d, trace = FALSE, Hess = TRUE, reltol = 1e-14, maxit = 1000)
p <- as.data.frame(predictions(m, newdata = d[1:5, ], type = "probs"))
p <- p[order(p$rowid, p$group), ]
cat(p$estimate, p$std.error)
"""


def has_marginaleffects() -> bool:
    code = "quit(status = !(requireNamespace('nnet') && requireNamespace('marginaleffects')))"
    rscript = shutil.which("Rscript")
    return (
        rscript is not None and subprocess.run([rscript, "-e", code], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not has_marginaleffects(), reason="R with nnet and marginaleffects is not installed")
def test_standard_errors_are_those_of_marginaleffects(tmp_path: Path) -> None:
    X, y = sample(3)
    pd.DataFrame(X, columns=list("abcd")).assign(y=y).to_csv(tmp_path / "rows.csv", index=False)
    command = ["Rscript", "-e", R_CODE, str(tmp_path / "rows.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = np.array(done.stdout.split(), dtype=float).reshape(2, 5, 3)
    found = fitted(3).predictions(X[:5])
    assert_allclose(found.probabilities, theirs[0], rtol=1e-3)
    assert_allclose(found.std_errors, theirs[1], rtol=1e-2)


def test_every_form_of_rows_gives_the_same() -> None:
    X, y = sample(3)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    of_frame = infer(SoftmaxRegression(penalty=None).fit(frame, y), frame, y)
    plain = fitted(3).predictions(X)
    for other in [
        of_frame.predictions(frame[["d", "c", "b", "a"]]),
        fitted(3).predictions(sp.csr_array(X)),
        fitted(3).predictions(),
        fitted(3, X=sp.csr_array(X)).predictions(X),
    ]:
        for name in ("probabilities", "std_errors", "low", "high"):
            assert_allclose(getattr(other, name), getattr(plain, name), atol=1e-6)
    rows = np.tile(X, (50, 1))  # of several blocks
    assert_allclose(fitted(3).predictions(rows).low, np.tile(plain.low, (50, 1)), rtol=1e-9)
    with pytest.raises(ValueError, match="features"):
        of_frame.predictions(X[:, :2])
    with pytest.raises(ValueError, match="between 0 and 1"):
        of_frame.predictions(frame, level=95)


def test_extreme_rows_have_limits_and_no_nan() -> None:
    X = sample(3)[0]
    center, spread = X.mean(axis=0), X.std(axis=0)
    with np.errstate(all="raise", under="ignore"):
        found = fitted(3).predictions(center + spread * np.array([[1e3], [-1e3], [1e5], [30.0], [0.0]]))
    for values in (found.probabilities, found.std_errors, found.low, found.high):
        assert np.isfinite(values).all()
        assert ((values >= 0) & (values <= 1)).all()
    assert (found.low <= found.probabilities).all()
    assert (found.probabilities <= found.high).all()
    assert found.probabilities[0].max() == 1.0


def test_simultaneous_intervals_hold_jointly() -> None:
    assert critical_value(0.95, 2, True) == pytest.approx(norm.ppf(0.975))
    inference, X = fitted(5), sample(5)[0][:20]
    single, joint = inference.predictions(X), inference.predictions(X, simultaneous=True)
    assert joint.simultaneous
    assert (joint.low < single.low).all()
    relative, random = inference.relative_to(0), np.random.default_rng(0)
    draws = random.multivariate_normal(np.zeros(20), relative.covariance, size=4_000).reshape(-1, 4, 5)
    Z = np.column_stack([np.ones(20), X])
    eta, G = log_odds(np.column_stack([np.zeros(20), Z @ relative.coefficients.estimate.T]).T)
    change = np.einsum("ckr,scr->srk", G[1:], np.einsum("scj,rj->scr", draws, Z))  # first order, as the delta method
    inside = (joint.low - 1e-12 <= expit(eta.T + change)) & (expit(eta.T + change) <= joint.high + 1e-12)
    share = inside.all(axis=2).mean(axis=0)
    assert (share > 0.945).all()
    assert share.mean() < 0.985  # conservative, within reason


def test_a_grid_at_means_and_over_the_rows() -> None:
    X, y = sample(3)
    weight = np.random.default_rng(1).integers(1, 4, len(y)).astype(float)
    inference = infer(SoftmaxRegression(penalty=None).fit(X, y, weight), X, y, weight)
    grid = {"column 1": [30, 50], 3: [0, 1]}
    mean = np.average(X, axis=0, weights=weight)
    points = np.tile(mean, (4, 1))
    points[:, 1], points[:, 3] = [30, 30, 50, 50], [0, 1, 0, 1]
    at_means = inference.predictions(grid=grid, others="mean")
    assert dict(at_means.grid) == {"column 1": [30, 30, 50, 50], "column 3": [0, 1, 0, 1]}
    for name in ("probabilities", "low"):
        assert_allclose(getattr(at_means, name), getattr(inference.predictions(points), name), rtol=1e-9)
    mode = inference.predictions(grid={1: 30}).probabilities
    assert_allclose(
        mode, inference.predictions(np.append(mean[:3], 0.0)[None] * [1, 0, 1, 1] + [0, 30, 0, 0]).probabilities
    )

    def average(w: Array) -> Array:
        return np.stack([np.average(probabilities(changed)(w), axis=0, weights=weight) for changed in each])

    each = [np.where(np.arange(4) == 1, p[1], np.where(np.arange(4) == 3, p[3], X)) for p in points]
    observed = inference.predictions(grid=grid, others="observed")
    p, error = by_differences(inference, average)
    assert_allclose(observed.probabilities, p, atol=1e-10)
    assert_allclose(observed.std_errors, error, rtol=1e-6, atol=1e-8)
    _, error = by_differences(inference, lambda w: logit(average(w)))
    assert_allclose(observed.low, expit(logit(p) - norm.ppf(0.975) * error), atol=1e-8)
    with pytest.raises(ValueError, match="others='median' is not one of"):
        inference.predictions(grid=grid, others="median")
    with pytest.raises(ValueError, match="no value for"):
        inference.predictions(grid={1: []})
    with pytest.raises(ValueError, match="'a' is no value of 'column 1'"):
        inference.predictions(grid={1: "a"})


def test_a_level_of_a_category_sets_the_others() -> None:
    random = np.random.default_rng(2)
    level = random.integers(0, 3, 400)
    X = np.column_stack([random.normal(size=400), level == 1, level == 2]).astype(float)
    y = (X @ random.normal(size=(3, 3)) + random.gumbel(size=(400, 3))).argmax(axis=1)
    inference = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y, categories=[[1, 2]])
    mean = X[:, 0].mean()
    rows = [[mean, 0, 0], [mean, 0, 1]]
    assert_allclose(inference.predictions(grid={2: [0, 1]}).high, inference.predictions(rows).high, rtol=1e-9)
    most = float(np.bincount(level).argmax())
    typical = [[1.0, most == 1, most == 2]]
    assert_allclose(inference.predictions(grid={0: 1}).low, inference.predictions(np.array(typical, float)).low)


def test_a_singular_covariance_has_a_triangular_factor() -> None:
    A = np.random.default_rng(0).normal(size=(6, 3))
    L = triangular_factor(A @ A.T)
    assert_allclose(L @ L.T, A @ A.T, atol=1e-12)
    assert (np.triu(L, 1) == 0).all()


def test_the_distribution_of_parameters_is_that_of_the_coefficients() -> None:
    inference = fitted(3)
    distribution = ParameterDistribution.of(inference)
    assert distribution.L.shape == (10, 10)
    block = Scenario(inference.fitted.X, {1: 7.0}).block(slice(0, 3))
    assert (block[:, 1] == 7).all()
    assert (inference.fitted.X[:, 1] != 7).all()


def test_a_frame_and_a_text_have_one_entry_for_each_row_and_class() -> None:
    inference = fitted(3)
    frame = pd.DataFrame(inference.predictions(sample(3)[0][:12]).frame())
    assert list(frame) == ["row", "class", "probability", "std_error", "low", "high"]
    assert len(frame) == 36
    found = inference.predictions(grid={"column 3": [0, 1]})
    assert next(iter(found.frame())) == "column 3"
    assert "column 3 = 1" in str(found)
    assert "95% from" in found._repr_html_()
    assert "and 2 more rows" in str(inference.predictions(sample(3)[0][:12]))


def test_a_plot_has_a_curve_and_a_band_for_each_class() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed")
    pyplot.switch_backend("agg")
    inference = fitted(3)
    axes = inference.plot_predictions({"column 1": np.linspace(20, 60, 9), 3: [0, 1]}, level=0.9)
    assert len(axes.lines) == 6
    assert len(axes.collections) == 6
    assert axes.get_ylabel() == "probability, 90% intervals"
    points = fitted(2).plot_predictions({3: [1]}, axes=pyplot.subplots()[1])
    assert len(points.containers) == 1
    without = replace(inference.predictions(grid={1: 1}), grid={})
    with pytest.raises(ValueError, match="grid of one or two columns"):
        plot_predictions(without)
    pyplot.close("all")


def test_a_grid_is_a_dict_and_its_columns_keep_their_values_in_the_frame() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"class": rng.normal(size=60), "low": rng.normal(size=60)})
    y = rng.integers(0, 2, 60)
    result = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    frame = result.predictions(grid={"class": [1.0, 2.0], "low": [3.0]}).frame()
    assert frame["grid_class"] == [1.0, 1.0, 2.0, 2.0]
    assert frame["grid_low"] == [3.0] * 4
    for wrong in ([1], {}):
        with pytest.raises(ValueError, match="it is a dict from columns to their values"):
            result.predictions(grid=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        result.predictions(level="0.9")  # type: ignore[arg-type]
