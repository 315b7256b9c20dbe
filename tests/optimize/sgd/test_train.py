"""Mini-batch training: close to the exact optimum, the same for shifted, scaled and sparse columns, never nan."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from softreg.optimize import elastic_net, l2, minimise
from softreg.optimize.sgd.running_moments import SGDState, begin, update_moments
from softreg.optimize.sgd.train import cosine, epoch, inverse_sqrt, train
from softreg.probability import cross_entropy_with_logits, softmax
from softreg.rows import as_rows

Array = NDArray[Any]


def objective(X: Array, Y: Array, W: Array, b: Array, strength: float, l1_ratio: float = 0.0) -> float:
    size = l1_ratio * np.abs(W).sum() + (1 - l1_ratio) / 2 * (W**2).sum()
    return float(cross_entropy_with_logits(X @ W + b, Y).mean() + strength * size)


def problem(n: int = 300, d: int = 4, q: int = 3, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d))
    o = X @ random.normal(size=(d, q)) + random.gumbel(size=(n, q))
    return X, o.argmax(axis=1)


@pytest.fixture(scope="module")
def digits() -> tuple[Array, Array]:
    X, y = load_digits(return_X_y=True)
    return X / 16, y


# --- one step, by hand --------------------------------------------------------------------------------------------


def test_one_step_is_the_textbooks_gradient_in_standardised_columns() -> None:
    # two rows: mean 2, standard deviation 1, so z = -1, 1; p = 1/2 everywhere before the first step
    state, lost = epoch(
        begin(1, 2), np.array([[1.0], [3.0]]), np.array([0, 1]), strength=0.0, learning_rate=0.1, batch_size=2
    )
    # G = mean of z (p - y)^T = (-1 (-.5, .5) + 1 (.5, -.5)) / 2 = (.5, -.5)
    np.testing.assert_allclose(state.W, [[-0.05, 0.05]], atol=1e-15)
    np.testing.assert_allclose(state.b, [0.1, -0.1], atol=1e-15)  # -mean W: the bias of z has not moved
    assert lost == pytest.approx(np.log(2))
    assert (state.rows, state.weight, state.steps) == (2, 2.0, 1)


def test_the_penalty_is_a_proximal_step() -> None:
    X, y = np.array([[-1.0], [1.0]]), np.array([0, 1])

    def after(strength: float, l1_ratio: float) -> Array:
        return epoch(begin(1, 2), X, y, strength=strength, l1_ratio=l1_ratio, learning_rate=0.1, batch_size=2)[0].W

    np.testing.assert_allclose(after(2.0, 0.0), [[-0.05 / 1.2, 0.05 / 1.2]], rtol=1e-14)
    np.testing.assert_allclose(after(0.2, 1.0), [[-0.05 + 0.02, 0.05 - 0.02]], rtol=1e-13)
    np.testing.assert_array_equal(after(0.6, 1.0), [[0.0, 0.0]])
    np.testing.assert_allclose(after(1e300, 0.0), [[0.0, 0.0]], atol=1e-290)


def test_a_step_is_never_longer_than_its_batch_allows() -> None:
    X, y = problem()
    before = begin(4, 3)
    rates = [epoch(before, X, y, learning_rate=r, batch_size=300)[0] for r in (1e2, 1e9)]
    np.testing.assert_array_equal(rates[0].W, rates[1].W)
    assert objective(X, y, rates[1].W, rates[1].b, 0.0) < np.log(3) - 0.1


# --- against the exact optimum ------------------------------------------------------------------------------------


def test_digits_come_within_a_hundredth_of_a_nat(digits: tuple[Array, Array]) -> None:
    X, y = digits
    (best,) = minimise(as_rows(X, y), 10, l2(1e-4))
    fit = train(X, y, 10, epochs=30, batch_size=32)
    gap = objective(X, y, fit.W, fit.b, 1e-4) - best.value
    assert 0 < gap < 0.01
    assert len(fit.loss_curve) == 30
    assert (np.diff(fit.loss_curve) < 0).mean() > 0.8
    assert fit.loss_curve[-1] < fit.loss_curve[0] / 4


@pytest.mark.parametrize("schedule", ["cosine", "constant", "inverse_sqrt"])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_every_schedule_and_penalty_nears_the_optimum(schedule: str, l1_ratio: float) -> None:
    X, y = problem()
    (best,) = minimise(as_rows(X, y), 3, elastic_net(0.02, l1_ratio))
    fit = train(
        X, y, 3, epochs=60, strength=0.02, l1_ratio=l1_ratio, schedule=schedule, learning_rate=0.3, batch_size=50
    )
    assert 0 <= objective(X, y, fit.W, fit.b, 0.02, l1_ratio) - best.value < 5e-3


def test_lasso_gives_zeros() -> None:
    X, y = problem()
    X = np.hstack([X, np.random.default_rng(1).normal(size=(300, 4))])
    fit = train(X, y, 3, epochs=40, strength=0.05, l1_ratio=1.0)
    assert (fit.W[4:] == 0).mean() > 0.4
    assert np.abs(fit.W[4:]).max() < 1e-3 < np.abs(fit.W[:4]).max()


def test_without_intercept_the_bias_stays_zero() -> None:
    X, y = problem()
    X = X + 0.5
    (best,) = minimise(as_rows(X, y), 3, l2(0.01), fit_intercept=False)
    fit = train(X, y, 3, epochs=60, strength=0.01, fit_intercept=False)
    np.testing.assert_array_equal(fit.b, 0.0)
    assert objective(X, y, fit.W, fit.b, 0.01) - best.value < 3e-3


@pytest.mark.parametrize(("move", "size"), [(1e4, 1.0), (0.0, 1e6), (-1e6, 1e-3), (0.0, 1e30), (1e-30, 1e-30)])
def test_shifts_and_scales_change_nothing(move: float, size: float) -> None:
    X, y = problem()
    moved = X * size + move
    plain = train(X, y, 3, strength=0.0, epochs=5)
    other = train(moved, y, 3, strength=0.0, epochs=5)
    np.testing.assert_allclose(softmax(moved @ other.W + other.b), softmax(X @ plain.W + plain.b), atol=1e-6)
    np.testing.assert_allclose(other.loss_curve, plain.loss_curve, rtol=1e-6)


def test_shifted_float32_is_learned_as_well() -> None:
    X, y = problem()
    far = (X + 100).astype(np.float32)
    fit, plain = train(far, y, 3, strength=0.0), train(X, y, 3, strength=0.0)
    P = softmax(far.astype(np.float64) @ fit.W + fit.b)
    np.testing.assert_allclose(P, softmax(X @ plain.W + plain.b), atol=1e-3)


# --- homes, labels and weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", [sp.csr_matrix, sp.csr_array, sp.csc_array, np.asfortranarray, np.float32])
def test_sparse_and_other_homes_give_the_dense_answer(home: Any) -> None:
    random = np.random.default_rng(2)
    X, y = problem(120, 6)
    X = np.round(X * (random.random(X.shape) < 0.4), 3)
    X[:, 5] = 0.0
    dense, other = train(X, y, 3, epochs=4), train(home(X), y, 3, epochs=4)
    np.testing.assert_allclose(other.W, dense.W, atol=2e-6)
    np.testing.assert_allclose(other.b, dense.b, atol=2e-6)
    np.testing.assert_array_equal(other.W[5], 0.0)


def test_sparse_rows_with_repeated_entries_mean_their_sum() -> None:
    X = sp.csr_matrix((np.ones(5), np.array([0, 0, 1, 0, 1]), np.array([0, 2, 3, 5])), shape=(3, 2))
    y = np.array([0, 1, 0])
    np.testing.assert_allclose(train(X, y, 2).W, train(X.toarray(), y, 2).W, atol=1e-12)


def test_sparse_rows_are_never_made_dense() -> None:
    X = sp.random_array((2000, 50_000), density=1e-4, format="csr", random_state=np.random.default_rng(0))
    y = np.arange(2000) % 2
    import tracemalloc

    tracemalloc.start()
    epoch(begin(50_000, 2), X, y, batch_size=500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500 * 50_000 * 8 / 4  # a dense batch would take 200 MB


def test_codes_and_one_hot_labels_are_the_same() -> None:
    X, y = problem()
    hard, soft = train(X, y, 3, epochs=3), train(X, np.eye(3)[y], epochs=3)
    np.testing.assert_allclose(soft.W, hard.W, atol=1e-13)


def test_soft_labels_near_their_own_optimum() -> None:
    X, y = problem()
    Y = 0.8 * np.eye(3)[y] + 0.2 / 3
    (best,) = minimise(as_rows(X, Y), 3, l2(0.01))
    fit = train(X, Y, strength=0.01, epochs=40)
    assert objective(X, Y, fit.W, fit.b, 0.01) - best.value < 2e-3


def test_weights_count_as_repeated_rows() -> None:
    X, y = problem(200)
    V = np.random.default_rng(3).integers(0, 4, 200).astype(float)
    again = np.repeat(np.arange(200), V.astype(int))
    weighed, repeated = update_moments(begin(4, 3), X, V), update_moments(begin(4, 3), X[again], np.ones(len(again)))
    np.testing.assert_allclose(weighed.mean, repeated.mean, atol=1e-14)
    np.testing.assert_allclose(weighed.spread, repeated.spread, rtol=1e-13)
    (best,) = minimise(as_rows(X[again], y[again]), 3, l2(0.01))
    fit = train(X, y, 3, V=V, epochs=60, strength=0.01, batch_size=50)
    assert objective(X[again], y[again], fit.W, fit.b, 0.01) - best.value < 2e-3


def test_the_unit_of_the_weights_does_not_matter() -> None:
    X, y = problem(100)
    one, other = train(X, y, 3, V=np.ones(100)), train(X, y, 3, V=np.full(100, 1e-200))
    np.testing.assert_allclose(other.W, one.W, rtol=1e-9)


def test_rows_of_weight_zero_teach_nothing() -> None:
    X, y = problem(100)
    X[50:] = 1e6
    V = np.r_[np.ones(50), np.zeros(50)]
    state, lost = epoch(begin(4, 3), X, y, V, batch_size=10)
    assert np.isfinite(lost)
    assert state.steps == 5
    np.testing.assert_allclose(state.mean, X[:50].mean(axis=0))
    nothing, lost = epoch(begin(4, 3), X, y, np.zeros(100))
    assert np.isnan(lost)
    np.testing.assert_array_equal(nothing.W, 0.0)


# --- states -------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_another_others() -> None:
    X, y = problem()
    one, same, other = (train(X, y, 3, seed=seed, epochs=2) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.W, same.W)
    assert one.loss_curve == same.loss_curve
    assert not np.array_equal(one.W, other.W)


def test_a_state_is_never_changed_in_place_and_can_be_stored() -> None:
    X, y = problem()
    state, _ = epoch(begin(4, 3), X, y)
    kept = {f.name: np.copy(getattr(state, f.name)) for f in fields(SGDState)}
    epoch(state, X * 1000, y)
    for name, was in kept.items():
        np.testing.assert_array_equal(getattr(state, name), was)
    again = SGDState(**{name: was if was.ndim else was.item() for name, was in kept.items()})
    np.testing.assert_array_equal(epoch(again, X, y)[0].W, epoch(state, X, y)[0].W)


def test_rows_may_come_in_pieces() -> None:
    X, y = problem(320)
    whole, lost = epoch(begin(4, 3), X, y, batch_size=32)
    pieces, losses = begin(4, 3), []
    for a in range(0, 320, 64):
        pieces, loss = epoch(pieces, X[a : a + 64], y[a : a + 64], batch_size=32)
        losses.append(loss)
    np.testing.assert_allclose(pieces.W, whole.W, rtol=1e-12)
    assert np.mean(losses) == pytest.approx(lost)


def test_running_moments_are_the_moments() -> None:
    X = np.random.default_rng(4).normal(size=(1000, 3)) * [1, 1e-8, 1e8] + [1e4, 0, 1e8]
    state = begin(3, 2)
    for a in range(0, 1000, 7):
        state = update_moments(state, X[a : a + 7], np.ones(len(X[a : a + 7])))
    np.testing.assert_allclose(state.mean, X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(state.spread, X.std(axis=0), rtol=1e-10)


def test_schedules_by_hand() -> None:
    assert [cosine(2)(k) for k in (0, 1, 2, 5)] == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert [inverse_sqrt(10)(k) for k in (0, 30, 990)] == pytest.approx([1.0, 0.5, 0.1])


# --- never nan ----------------------------------------------------------------------------------------------------

BIG = 1e308


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
@pytest.mark.parametrize(
    "column",
    [
        [BIG, -BIG, BIG, 0.0, -BIG, BIG],
        [1e300, 1.0, 1e-300, -1e300, 0.0, 2.0],
        [0.1] * 6,
        [1e-310, 2e-310, 0.0, 5e-324, 1e-310, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1e300],
        [1.0, 2.0, 1.0, 2.0, 1.0, BIG],
    ],
)
def test_no_number_makes_nan(sparse: bool, fit_intercept: bool, batch_size: int, column: list[float]) -> None:
    X = np.column_stack([column, np.arange(6.0)])
    y = np.array([0, 1, 2, 0, 1, 2])
    home = sp.csr_array(X) if sparse else X
    settings: dict[str, Any] = {"batch_size": batch_size, "fit_intercept": fit_intercept}
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        fit = train(home, y, 3, **settings)
        state = fit.state
        for _ in range(3):
            state, lost = epoch(state, home, y, **settings)
            assert np.isfinite(lost)
        state, lost = epoch(begin(2, 3), home, y, **settings)
    for each in (fit.state, state):
        assert all(np.isfinite(getattr(each, f.name)).all() for f in fields(SGDState))
    assert np.isfinite(fit.loss_curve).all()


def test_an_outlier_far_beyond_all_seen_does_not_ruin_the_model() -> None:
    X, y = problem()
    state = train(X, y, 3).state
    wild = X.copy()
    wild[10] = 1e200
    after, lost = epoch(state, wild, y)
    assert np.isfinite(after.W).all()
    assert np.isfinite(lost)


def test_weights_from_elsewhere_are_gone_on_from() -> None:
    X, y = problem()
    X[:100, 1] = 0.0  # not seen to vary at first
    (best,) = minimise(as_rows(X, y), 3, l2(1e-4))
    state = replace(begin(4, 3), W=best.W, b=best.b)
    state, lost = epoch(state, X, y, learning_rate=1e-9)
    assert lost == pytest.approx(cross_entropy_with_logits(X @ best.W + best.b, y).mean(), rel=1e-6)
    np.testing.assert_allclose(state.W, best.W, atol=1e-6)


def test_a_constant_column_keeps_weight_zero() -> None:
    X, y = problem()
    X[:, 2] = 0.1
    for home in (X, sp.csr_array(X), X.astype(np.float32)):
        np.testing.assert_array_equal(train(home, y, 3).W[2], 0.0)


def test_a_column_that_wakes_up_late_is_learned() -> None:
    X, y = problem()
    quiet = X.copy()
    quiet[:, 0] = 5.0
    state, _ = epoch(begin(4, 3), quiet, y)
    np.testing.assert_array_equal(state.W[0], 0.0)
    state, _ = epoch(state, X, y)
    assert np.abs(state.W[0]).max() > 0.01


# --- bad calls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schedule": "linear"}, "'linear' is not one of cosine, constant, inverse_sqrt"),
        ({"epochs": 0}, "epochs=0 must be at least 1"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0 is neither 'auto' nor a positive number"),
        ({"learning_rate": "fast"}, "learning_rate='fast' is neither"),
        ({"n_classes": None}, "codes need n_classes"),
        ({"n_classes": 2}, r"row \d+ has the code 2, but the model has classes 0 to 1"),
        ({"V": np.ones(3)}, r"weights of shape \(3,\) do not fit"),
        ({"X": np.ones((0, 4)), "Y": np.ones(0, dtype=int)}, "no rows to train on"),
        ({"Y": np.zeros(3, dtype=int)}, r"labels of shape \(3,\)"),
    ],
)
def test_bad_calls_are_told(change: dict[str, Any], told: str) -> None:
    X, y = problem(30)
    with pytest.raises(ValueError, match=told):
        train(**{"X": X, "Y": y, "n_classes": 3, "epochs": 1} | change)


def test_a_state_knows_its_columns() -> None:
    with pytest.raises(ValueError, match="X has 3 columns, but the model started with 4"):
        epoch(begin(4, 3), np.ones((2, 3)), np.array([0, 1]))
