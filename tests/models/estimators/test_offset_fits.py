"""Fits with an offset: identities, other packages, and the same model from every form of the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.optimize as so
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import logsumexp

import softreg.rows.ondisk.disk_rows as disk_rows
from softreg import SoftmaxRegression, infer, load
from softreg.optimize.problem.penalty_table import PENALTIES

Array = NDArray[Any]


def problem(q: int, n: int = 400, d: int = 4, seed: int = 0) -> tuple[Array, Array, Array]:
    """Features, labels and an offset that matters."""
    random = np.random.default_rng(seed)
    X, offset = random.normal(size=(n, d)), random.normal(size=(n, q))
    W = random.normal(size=(d, q))
    return X, (random.gumbel(size=(n, q)) + X @ W + offset).argmax(axis=1), offset


def centred(coef: Array) -> Array:
    """Weights with mean zero over the classes."""
    return np.asarray(coef - coef.mean(axis=0))


@pytest.mark.parametrize("q", [2, 5])
def test_a_linear_offset_is_subtracted_from_unpenalised_weights(q: int) -> None:
    X, y, _ = problem(q)
    W0, b0 = np.random.default_rng(1).normal(size=(2, 4, q))[0], np.arange(q) / 2
    plain = SoftmaxRegression(penalty=None, tol=1e-12).fit(X, y)
    model = SoftmaxRegression(penalty=None, tol=1e-12).fit(X, y, offset=X @ W0 + b0)
    np.testing.assert_allclose(centred(model.coef_), centred(plain.coef_ - W0.T), atol=1e-7)
    np.testing.assert_allclose(centred(model.intercept_), centred(plain.intercept_ - b0), atol=1e-7)
    assert model.solution_.value == pytest.approx(plain.solution_.value, abs=1e-12)


@pytest.mark.parametrize("q", [2, 5])
@pytest.mark.parametrize("penalty", ["l2", "l1", None])
def test_a_constant_offset_shifts_the_bias_alone(q: int, penalty: Any) -> None:
    X, y, offset = problem(q)
    model = SoftmaxRegression(0.01, penalty=penalty, tol=1e-10).fit(X, y, offset=offset)
    moved = SoftmaxRegression(0.01, penalty=penalty, tol=1e-10).fit(X, y, offset=offset + np.arange(q))
    np.testing.assert_allclose(moved.coef_, model.coef_, atol=2e-5)
    np.testing.assert_allclose(centred(moved.intercept_ + np.arange(q)), centred(model.intercept_), atol=2e-5)
    np.testing.assert_allclose(moved.solution_.value, model.solution_.value, atol=1e-9)


def test_a_common_offset_of_all_classes_of_a_row_changes_nothing() -> None:
    X, y, offset = problem(3)
    common = np.random.default_rng(1).normal(size=(len(X), 1))
    model = SoftmaxRegression(0.01).fit(X, y, offset=offset)
    same = SoftmaxRegression(0.01).fit(X, y, offset=offset + common)
    np.testing.assert_allclose(same.coef_, model.coef_, atol=1e-9)
    np.testing.assert_allclose(same.predict_proba(X, offset + common), model.predict_proba(X, offset), atol=1e-12)


def test_zeros_are_no_offset() -> None:
    X, y, _ = problem(3)
    plain = SoftmaxRegression(0.01).fit(X, y)
    zeros = SoftmaxRegression(0.01).fit(X, y, offset=np.zeros((len(X), 3)))
    np.testing.assert_allclose(zeros.coef_, plain.coef_, atol=1e-9)
    assert plain.has_offset_ is False
    assert zeros.has_offset_ is True
    np.testing.assert_allclose(plain.predict_proba(X, np.ones((len(X), 3))), plain.predict_proba(X), atol=1e-15)


@pytest.mark.parametrize("strength", [0.0, 0.05])
def test_a_boosting_step_has_the_loss_of_the_joint_expression(strength: float) -> None:
    X, y, _ = problem(3, n=200, d=5)
    first, rest = X[:, :2], X[:, 2:]
    stage = SoftmaxRegression(0.1).fit(first, y)
    offset = stage.decision_function(first)
    model = SoftmaxRegression(strength, penalty="l2" if strength else None, tol=1e-10).fit(rest, y, offset=offset)

    def joint(parameters: Array) -> tuple[float, Array]:
        """All weights together, where those of the first stage are fixed."""
        W, b = parameters[:9].reshape(3, 3), parameters[9:]
        o = first @ stage.coef_.T + stage.intercept_ + rest @ W + b
        log_p = o - logsumexp(o, axis=1, keepdims=True)
        R = np.exp(log_p) - np.eye(3)[y]
        value = -log_p[np.arange(200), y].mean() + strength / 2 * (W**2).sum()
        return value, np.concatenate([(rest.T @ R / 200 + strength * W).ravel(), R.mean(axis=0)])

    best = so.minimize(joint, np.zeros(12), jac=True, method="BFGS", options={"gtol": 1e-9})
    assert model.solution_.value == pytest.approx(best.fun, abs=1e-9)
    P = model.predict_proba(rest, offset)
    penalty = strength / 2 * (model.coef_**2).sum()
    assert -np.log(P[np.arange(200), y]).mean() + penalty == pytest.approx(best.fun, abs=1e-9)


def test_two_classes_are_a_binomial_regression_with_an_offset() -> None:
    api = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    random = np.random.default_rng(3)
    X, offset = random.normal(size=(300, 3)), random.normal(size=300)
    y = (random.random(300) < 1 / (1 + np.exp(-(X @ [1.0, -1.0, 0.5] + 2 * offset)))).astype(int)
    glm = api.GLM(y, api.add_constant(X), family=api.families.Binomial(), offset=offset).fit(tol=1e-12)
    model = SoftmaxRegression(penalty=None, tol=1e-12).fit(X, y, offset=offset)
    np.testing.assert_allclose(model.coef_[1] - model.coef_[0], glm.params[1:], atol=1e-7)
    np.testing.assert_allclose(model.intercept_[1] - model.intercept_[0], glm.params[0], atol=1e-7)
    result = infer(model, X, y, offset=offset)
    np.testing.assert_allclose(result.coefficients.std_error[0], glm.bse, rtol=1e-6)
    assert result.log_likelihood == pytest.approx(glm.llf, abs=1e-7)
    assert result.null_log_likelihood == pytest.approx(glm.llnull, abs=1e-6)
    np.testing.assert_allclose(
        model.predict_proba(X, offset)[:, 1], glm.predict(api.add_constant(X), offset=offset), atol=1e-8
    )
    with pytest.raises(ValueError, match="fitted with an offset of the logits: pass that of its rows"):
        infer(model, X, y)


@pytest.mark.parametrize("q", [2, 5])
@pytest.mark.parametrize("soft", [False, True], ids=["codes", "soft labels"])
def test_every_form_of_the_rows_gives_the_same_model(q: int, soft: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, offset = problem(q)
    labels: Any = np.random.default_rng(2).dirichlet(np.ones(q), len(X)) if soft else y
    weight = np.random.default_rng(4).integers(0, 3, len(X)).astype(float)
    expected = SoftmaxRegression(0.01, tol=1e-10).fit(X, labels, weight, offset=offset)
    repeated = np.repeat(np.arange(len(X)), weight.astype(int))
    copies = SoftmaxRegression(0.01, tol=1e-10).fit(X[repeated], labels[repeated], offset=offset[repeated])
    np.testing.assert_allclose(copies.coef_, expected.coef_, atol=1e-6)
    for form in (X.astype(np.float32), sp.csr_array(X), np.asfortranarray(X), sp.csr_array(X.astype(np.float32))):
        model = SoftmaxRegression(0.01, tol=1e-10).fit(form, labels, weight, offset=offset)
        np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-5)
        assert model.solution_.gap <= 1e-10
        np.testing.assert_allclose(model.predict_proba(form, offset), expected.predict_proba(X, offset), atol=1e-5)
    monkeypatch.setattr(disk_rows, "MAX_IN_MEMORY_BYTES", 0)
    for form in (X, sp.csr_array(X)):
        parts = [
            (form[a : a + 150], labels[a : a + 150], weight[a : a + 150], offset[a : a + 150]) for a in (0, 150, 300)
        ]
        model = SoftmaxRegression(0.01, tol=1e-10).fit(iter(parts))
        np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-6)


def test_rows_of_a_tensor_give_the_same_model() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    X, y, offset = problem(5)
    expected = SoftmaxRegression(0.01).fit(X, y, offset=offset)
    model = SoftmaxRegression(0.01, device="cpu").fit(torch.from_numpy(X), y, offset=torch.from_numpy(offset))
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-9)
    single = SoftmaxRegression(0.01, device="cpu", solver="lbfgs").fit(X.astype(np.float32), y, offset=offset)
    assert single.solution_.gap <= 1e-6
    P = model.predict_proba(torch.from_numpy(X).half(), torch.from_numpy(offset))
    assert P.dtype == torch.float32
    np.testing.assert_allclose(P.numpy(), expected.predict_proba(X, offset), atol=1e-2)


@pytest.mark.parametrize("solver", ["newton", "lbfgs", "line-search-newton", "nested-newton", "lbfgs-diagonal"])
def test_every_solver_has_the_same_optimum(solver: str) -> None:
    X, y, offset = problem(3, n=11_000)
    expected = SoftmaxRegression(0.01, tol=1e-10).fit(X, y, offset=offset)
    model = SoftmaxRegression(0.01, tol=1e-10, solver=solver).fit(X, y, offset=offset)
    assert model.solution_.gap <= 1e-10
    np.testing.assert_allclose(model.solution_.value, expected.solution_.value, atol=1e-9)


@pytest.mark.parametrize("shape", [(40, 300), (300, 400)], ids=["row space", "working set"])
@pytest.mark.parametrize("penalty", [name for name in PENALTIES if name != "elasticnet"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_wide_rows_are_certified(shape: tuple[int, int], penalty: Any, sparse: bool) -> None:
    random = np.random.default_rng(5)
    X, offset = random.normal(size=shape), random.normal(size=(shape[0], 3))
    y = (random.gumbel(size=(shape[0], 3)) + X[:, :3] + offset).argmax(axis=1)
    strength = 0.05
    model = SoftmaxRegression(strength, penalty=penalty, tol=1e-8).fit(
        sp.csr_array(X) if sparse else X, y, offset=offset
    )
    assert model.solution_.gap <= 1e-8
    P = model.predict_proba(X, offset)
    A = (P - np.eye(3)[y]).T @ X / len(X)
    if penalty == "l2":
        np.testing.assert_allclose(A, -strength * model.coef_, atol=1e-3)
    elif penalty == "l1":
        assert np.abs(A).max() <= strength * (1 + 1e-2)
        assert (np.abs(A + strength * np.sign(model.coef_))[model.coef_ != 0] < 1e-3).all()


def test_dual_ascent_takes_no_offset() -> None:
    X = sp.random_array((2_000, 3_000), density=0.002, random_state=0, format="csr")
    y = np.random.default_rng(0).integers(0, 3, 2_000)
    with pytest.raises(ValueError, match=r"solver='dual-ascent' cannot .* it needs .*no offset"):
        SoftmaxRegression(1e-3, solver="dual-ascent").fit(X, y, offset=np.zeros((2_000, 3)))
    plain = SoftmaxRegression(1e-3).fit(X, y)
    model = SoftmaxRegression(1e-3).fit(X, y, offset=np.zeros((2_000, 3)))
    assert "dual" not in model.solution_.plan.name
    np.testing.assert_allclose(model.solution_.value, plain.solution_.value, atol=2e-6)


def test_firths_penalty_takes_an_offset() -> None:
    X, y, _ = problem(3, n=60, d=2)
    shift = np.array([0.0, 1.0, -1.0])
    plain = SoftmaxRegression(penalty="firth").fit(X, y)
    model = SoftmaxRegression(penalty="firth").fit(X, y, offset=np.broadcast_to(shift, (60, 3)) + X[:, :1])
    np.testing.assert_allclose(centred(model.coef_), centred(plain.coef_), atol=1e-6)
    np.testing.assert_allclose(centred(model.intercept_ + shift), centred(plain.intercept_), atol=1e-6)


def test_separated_classes_are_those_of_the_features() -> None:
    X = np.arange(8.0)[:, None]
    y = np.repeat([0, 1], 4)
    with pytest.warns(UserWarning, match="no finite optimum|separate"):
        SoftmaxRegression(penalty=None).fit(X, y, offset=np.random.default_rng(0).normal(size=(8, 2)))
    X = np.random.default_rng(1).normal(size=(200, 1))
    y = (np.random.default_rng(2).random(200) < 0.5).astype(int)
    model = SoftmaxRegression(penalty=None).fit(X, y, offset=np.where(y == 1, 9.0, -9.0))  # the offset separates
    assert model.solution_.separation is None


def test_a_model_file_keeps_that_there_was_an_offset(tmp_path: Path) -> None:
    X, y, offset = problem(3)
    model = SoftmaxRegression(0.01).fit(X, y, offset=offset)
    model.save(tmp_path / "model")
    stored = load(tmp_path / "model")
    assert stored.has_offset_ is True
    with pytest.raises(ValueError, match="fitted with an offset"):
        stored.predict(X)
    np.testing.assert_array_equal(stored.predict_proba(X, offset), model.predict_proba(X, offset))
    plain = SoftmaxRegression(0.01).fit(X, y)
    assert "has_offset" not in plain.to_state()[1]  # older versions read the file


def test_metadata_routing_hands_the_offset_on() -> None:
    from sklearn import config_context
    from sklearn.model_selection import GridSearchCV, cross_validate
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y, offset = problem(3)
    with config_context(enable_metadata_routing=True):
        model = SoftmaxRegression().set_fit_request(offset=True).set_score_request(offset=True)
        search = GridSearchCV(model, {"strength": [1.0, 0.01]}, cv=3).fit(X, y, offset=offset)
        assert search.best_params_ == {"strength": 0.01}
        pipeline = make_pipeline(StandardScaler(), model)
        scores = cross_validate(pipeline, X, y, cv=3, params={"offset": offset})["test_score"]
        assert scores.min() > 0.5
