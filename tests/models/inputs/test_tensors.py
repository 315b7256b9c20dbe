"""Tensors in, tensors out; rows on a device; and what is said where something is missing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_digits

from softreg import SoftmaxRegression, SoftmaxRegressionCV, explain, infer, load
from softreg.rows import DenseRows, as_rows
from softreg.rows.gpu.interop import device_of, is_tensor, like, to_numpy

Array = NDArray[Any]


class Foreign:
    """An array of a package that is not known here, which speaks DLPack as the array API asks."""

    def __init__(self, values: Array) -> None:
        self.values = values
        self.dtype, self.shape = values.dtype, values.shape

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.values.__dlpack_device__()

    def __array_namespace__(self) -> Any:
        return Foreign

    @staticmethod
    def from_dlpack(values: Any) -> Foreign:
        return Foreign(np.from_dlpack(values))


@pytest.fixture(scope="module")
def digits() -> tuple[Array, Array]:
    X, y = load_digits(return_X_y=True)
    return X[:800].astype(np.float32) / 16, y[:800]


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is not installed")


def cuda_or_cpu() -> list[Any]:
    try:
        import torch
    except ImportError:
        return ["cpu"]
    skip = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
    return ["cpu", pytest.param("cuda", marks=skip)]


# --- tensors of any package ---------------------------------------------------------------------------------------


def test_an_unknown_package_that_speaks_dlpack_needs_no_torch(digits: tuple[Array, Array]) -> None:
    X, y = digits
    plain, model = SoftmaxRegression(1e-3).fit(X, y), SoftmaxRegression(1e-3).fit(Foreign(X), Foreign(y))
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    for way in ("predict_proba", "predict_log_proba", "decision_function", "predict"):
        answer = getattr(model, way)(Foreign(X))
        assert isinstance(answer, Foreign)
        assert answer.dtype == (np.float32 if way != "predict" else y.dtype)
        np.testing.assert_allclose(answer.values, getattr(plain, way)(X), rtol=2e-6, atol=1e-5)
    assert model.score(Foreign(X), Foreign(y)) == plain.score(X, y)


def test_what_counts_as_a_tensor(torch: Any) -> None:
    assert is_tensor(torch.zeros(1))
    assert is_tensor(Foreign(np.zeros(1)))
    for other in (np.zeros(1), np.float64(1), [1.0], sp.csr_array((2, 2)), None):
        assert not is_tensor(other)
    assert device_of(torch.zeros(1)) == device_of(Foreign(np.zeros(1))) == "cpu"


def test_numbers_come_back_as_what_they_were(torch: Any) -> None:
    np.testing.assert_array_equal(to_numpy(torch.tensor([1.5, 2.0], dtype=torch.bfloat16)), [1.5, 2.0])
    np.testing.assert_array_equal(to_numpy(torch.ones(2, requires_grad=True)), [1, 1])
    assert isinstance(like(np.ones(2), torch.zeros(1)), torch.Tensor)
    assert isinstance(like(torch.ones(2), Foreign(np.zeros(1))), Foreign)
    assert isinstance(like(torch.ones(2), [0.0]), np.ndarray)


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "bfloat16", "uint8"])
@pytest.mark.parametrize("place", cuda_or_cpu())
def test_a_tensor_is_fitted_and_answered_in_kind(
    kind: str, place: str, digits: tuple[Array, Array], torch: Any
) -> None:
    X, y = digits[0] * 16, digits[1]  # whole numbers up to 16: exact in every kind
    plain = SoftmaxRegression(1e-2, tol=1e-8).fit(X.astype(np.float64), y)
    T = torch.from_numpy(X).to(place, getattr(torch, kind))
    model = SoftmaxRegression(1e-2, tol=1e-8).fit(T, torch.from_numpy(y).to(place))
    assert model.solution_.gap <= 1e-8
    assert isinstance(model.coef_, np.ndarray)
    P = model.predict_proba(T)
    assert isinstance(P, torch.Tensor)
    assert P.device == T.device
    assert P.dtype == (torch.float64 if kind == "float64" else torch.float32)
    np.testing.assert_allclose(P.cpu(), plain.predict_proba(X), atol=2e-3)
    o = model.decision_function(T).cpu()
    np.testing.assert_allclose(o.softmax(1), P.cpu(), atol=1e-5)
    np.testing.assert_allclose(model.predict_log_proba(T).cpu(), o.log_softmax(1), atol=1e-5)
    codes = model.predict(T)
    assert codes.dtype == torch.int64
    assert codes.device == T.device
    np.testing.assert_array_equal(codes.cpu(), P.argmax(1).cpu())
    assert model.score(T, y) == pytest.approx(float((codes.cpu().numpy() == y).mean()))
    assert isinstance(model.predict_proba(X), np.ndarray)  # the same model answers arrays as well


@pytest.mark.parametrize("place", cuda_or_cpu())
@pytest.mark.parametrize("penalty", ["l2", "elasticnet", None])
def test_host_arrays_go_to_the_device_that_is_named(place: str, penalty: Any, digits: tuple[Array, Array]) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    X, y = digits
    X, y = X[:, 20:30].astype(np.float64), y % 3  # classes that no plane separates
    options: Any = {"penalty": penalty, "l1_ratio": 0.5 if penalty == "elasticnet" else 0.0, "tol": 1e-8}
    weight = np.random.default_rng(0).integers(0, 3, size=len(y))
    here = SoftmaxRegression(1e-2, **options).fit(X, y, weight)
    there = SoftmaxRegression(1e-2, device=place, **options).fit(X.tolist() if penalty is None else X, y, weight)
    assert there.solution_.status == here.solution_.status
    np.testing.assert_allclose(there.predict_proba(X), here.predict_proba(X), atol=1e-3)
    assert there.solution_.value == pytest.approx(here.solution_.value, abs=2e-8)


def test_host_tensors_are_fitted_in_place_by_softregs_own_kernels(
    digits: tuple[Array, Array], torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        "softreg.models.inputs.training_rows.as_rows", lambda X, *rest: seen.append(X) or as_rows(X, *rest)
    )
    X = torch.from_numpy(digits[0])
    SoftmaxRegression().fit(X, digits[1])
    assert isinstance(seen[0], np.ndarray)
    assert np.shares_memory(seen[0], digits[0])
    assert isinstance(as_rows(seen[0], digits[1]), DenseRows)


def test_text_labels_and_label_probabilities(digits: tuple[Array, Array], torch: Any) -> None:
    X, y = torch.from_numpy(digits[0]).bfloat16(), digits[1]
    names = np.array([f"digit {k}" for k in range(10)])
    model = SoftmaxRegression(1e-2).fit(X, names[y])
    assert isinstance(model.predict(X), np.ndarray)
    assert model.predict(X)[0].startswith("digit ")
    soft = 0.8 * np.eye(10)[y] + 0.02
    one = SoftmaxRegression(1e-2).fit(X, torch.from_numpy(soft))
    other = SoftmaxRegression(1e-2).fit(X.float().numpy(), soft)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X.float().numpy()), atol=2e-3)


def test_two_classes_have_log_odds(digits: tuple[Array, Array], torch: Any) -> None:
    X, y = torch.from_numpy(digits[0]).bfloat16(), torch.from_numpy(digits[1] > 4)
    model = SoftmaxRegression(1e-2).fit(X, y)
    odds = model.decision_function(X)
    assert odds.shape == (800,)
    assert model.predict(X).dtype == torch.bool
    np.testing.assert_array_equal(model.predict(X), odds > 0)


@pytest.mark.parametrize("cv", [3, "loo"])
@pytest.mark.parametrize("scoring", ["log_loss", "balanced_accuracy"])
def test_folds_and_strengths_are_one_stack_on_the_device(
    cv: Any, scoring: str, digits: tuple[Array, Array], torch: Any
) -> None:
    if cv == "loo" and scoring != "log_loss":
        pytest.skip("leave-one-out judges each row by itself")
    X, y = digits[0][:300, ::2].astype(np.float64), digits[1][:300] % 3
    options: Any = {"strengths": [1e-1, 1e-2, 1e-3], "cv": cv, "scoring": scoring}
    here = SoftmaxRegressionCV(**options).fit(X, y)
    there = SoftmaxRegressionCV(device="cpu", **options).fit(torch.from_numpy(X), torch.from_numpy(y))
    assert there.strength_ == here.strength_
    np.testing.assert_allclose(there.scores_, here.scores_, atol=1e-6)
    np.testing.assert_allclose(there.oof_proba_, here.oof_proba_, atol=1e-6)
    assert there.best_estimator_.device == "cpu"
    np.testing.assert_array_equal(there.best_estimator_.coef_, there.coef_)


def test_everything_else_takes_tensors_through_the_host(digits: tuple[Array, Array], torch: Any, tmp_path: Any) -> None:
    X, y = torch.from_numpy(digits[0][:, 20:24]), torch.from_numpy(digits[1] % 2)
    model = SoftmaxRegression(1e-2, device="cpu").fit(X, y)
    assert infer(model, X, y).log_likelihood == infer(model, X.numpy(), y.numpy()).log_likelihood
    assert explain(model, X[:2]) is not None
    assert SoftmaxRegression().partial_fit(X, y).coef_.shape == (2, 4)
    assert SoftmaxRegression(penalty="firth", device="cpu").fit(X, y).solution_.within_tolerance
    model.save(tmp_path / "model.softreg")
    again = load(tmp_path / "model.softreg")
    assert again.device is None  # where a model is used is no part of it
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert clone(model).device == "cpu"


# --- what is said ---------------------------------------------------------------------------------------------------


def test_what_a_device_cannot_do(digits: tuple[Array, Array], torch: Any) -> None:
    X, y = digits
    with pytest.raises(ValueError, match="device='abacus' is none of"):
        SoftmaxRegression(device="abacus").fit(X, y)
    with pytest.raises(ValueError, match=r"device='cpu' multiplies dense rows only.*toarray"):
        SoftmaxRegression(device="cpu").fit(sp.csr_array(X), y)
    with pytest.raises(ValueError, match=r"X is a tensor of shape \(800,\)"):
        SoftmaxRegression(device="cpu").fit(torch.zeros(800), y)
    with pytest.raises(ValueError, match="Complex data not supported"):
        SoftmaxRegression(device="cpu").fit(torch.zeros(800, 2, dtype=torch.complex64), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SoftmaxRegression(device="cpu").fit(X[:-1], y)
    with pytest.raises(ValueError, match="SoftmaxRegression is expecting 64 features"):
        SoftmaxRegression(device="cpu").fit(X, y).predict(torch.zeros(3, 2, dtype=torch.bfloat16))


def test_a_gpu_that_is_not_there(digits: tuple[Array, Array], torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"sees no CUDA device.*nvidia-smi.*leave device out"):
        SoftmaxRegression(device="cuda").fit(*digits)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"device='cuda:3': PyTorch .* sees 1 CUDA device\."):
        SoftmaxRegression(device="cuda:3").fit(*digits)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_the_number_that_is_not_finite_is_named(value: float, kind: str, torch: Any) -> None:
    X = torch.ones(50, 3, dtype=getattr(torch, kind))
    y = np.arange(50) % 2
    model = SoftmaxRegression().fit(X * torch.arange(50)[:, None].to(X.dtype), y)
    X[17, 2] = value
    for act in (lambda: SoftmaxRegression(device="cpu").fit(X, y), lambda: model.predict(X)):
        with pytest.raises(ValueError, match=r"column 2 .*row 17"):
            act()


def test_logits_that_overflow_are_named(torch: Any) -> None:
    X = torch.rand(50, 3, dtype=torch.float64).bfloat16()
    model = SoftmaxRegression().fit(X, np.arange(50) % 2)
    model.coef_ = model.coef_ * 1e300
    with pytest.raises(ValueError, match="row 0 of X holds numbers so large that its logits"):
        model.predict_proba(X * 1e30)


def test_too_little_memory_is_told_with_figures(
    digits: tuple[Array, Array], torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("softreg.rows.gpu.device_rows.TorchRows.product", full)
    with pytest.raises(MemoryError, match=r"X \(800 x 64\) takes .* GiB there.*host array.*streams through the device"):
        SoftmaxRegression(device="cpu").fit(*digits)


def test_without_torch_the_extra_is_named() -> None:
    code = (
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'torch': raise ImportError(name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "import numpy as np, softreg\n"
        "X, y = np.eye(4), np.array([0, 1, 0, 1])\n"
        "softreg.SoftmaxRegression().fit(X, y)\n"
        "try: softreg.SoftmaxRegression(device='cuda').fit(X, y)\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "device='cuda' needs PyTorch, which is not installed: pip install 'softreg[torch]'" in done.stdout


def test_a_fit_of_arrays_does_not_import_torch() -> None:
    code = (
        "import sys, numpy as np, softreg\n"
        "softreg.SoftmaxRegression().fit(np.eye(4), np.array([0, 1, 0, 1])).predict_proba(np.eye(4))\n"
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
