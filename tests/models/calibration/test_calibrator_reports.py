"""Cases of public bug reports about calibrators of other packages, and their neighbours, against `Calibrator`.

Each test names the reports that it follows: repository and number.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from softreg import Calibrator, load
from softreg.models.calibration.maps.isotonic import fit_isotonic
from softreg.probability import softmax

METHODS = ("auto", "none", "temperature", "vector", "matrix", "structured", "curved", "beta", "quadratic", "isotonic")
Array = NDArray[Any]
pytestmark = pytest.mark.filterwarnings("error")


def sample(q: int, n: int = 200, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    P = np.asarray(softmax(2 * random.normal(size=(n, q))))
    y = (P.cumsum(axis=1) < random.random((n, 1))).sum(axis=1).clip(0, q - 1)
    y[:q] = range(q)
    return P, y


def fitted(P: Any, y: Any, q: int, **options: Any) -> Iterator[Calibrator]:
    for method in METHODS:
        if q == 2 or method not in ("beta", "quadratic"):
            yield Calibrator(method).fit(P, y, **options)


def check(P: Array, rounding: float = 1e-12) -> None:
    assert P.dtype == np.float64
    assert ((P >= 0) & (P <= 1)).all()
    assert np.abs(P.sum(axis=1) - 1).max(initial=0) <= rounding


@pytest.mark.parametrize("q", [2, 3])
def test_float32_with_and_without_weights(q: int) -> None:
    """scikit-learn 28245, 30873: float32 probabilities with float64 weights raised an error."""
    P, y = sample(q)
    for dtype in (np.float32, np.float16, np.dtype(">f8"), np.longdouble):
        for weights in (None, np.ones(len(y)), np.ones(len(y), np.float32), np.ones(len(y), np.int8), [1] * len(y)):
            for one in fitted(P.astype(dtype), y, q, sample_weight=weights):
                check(one.predict_proba(P.astype(dtype)), rounding=1e-3 if dtype == np.float16 else 1e-6)


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("absent", ["first", "last", "all but one"])
def test_classes_without_calibration_rows(q: int, absent: str) -> None:
    """scikit-learn 17827, 29551, 4634: columns of a class without rows were 0, of another number, or an error."""
    P, y = sample(q)
    kept = {"first": np.where(y == 0, 1, y), "last": np.where(y == q - 1, 0, y), "all but one": np.zeros_like(y)}
    for one in fitted(P, kept[absent], q, classes=range(q)):
        found = one.predict_proba(P)
        check(found)
        assert (found > 0).all()
    weights = np.where(y == q - 1, 0.0, 1.0)
    for one in fitted(P, y, q, sample_weight=weights):
        assert (one.predict_proba(P) > 0).all()


@pytest.mark.parametrize("q", [2, 3])
def test_constant_probabilities(q: int) -> None:
    """betacal 7: a fit to equal probabilities failed in the prediction."""
    y = np.arange(30) % q
    for P in (np.full((30, q), 1 / q), np.tile(np.eye(q)[0], (30, 1)), np.tile(np.eye(q)[-1], (30, 1))):
        for one in fitted(P, y, q):
            check(one.predict_proba(np.vstack([P, np.eye(q)])))


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("shift", [0, 1])
def test_zeros_and_ones_that_are_right_and_wrong(q: int, shift: int) -> None:
    """scikit-learn 12896, 26766: overflow, and no fit at all, with scores of great confidence."""
    _, y = sample(q)
    P = np.eye(q)[(y + shift) % q]
    tiny = np.where(P == 0, 5e-324, 1.0)
    for given in (P, tiny):
        for one in fitted(given, y, q):
            found = one.predict_proba(given)
            check(found)
            if shift == 0:
                assert (found.argmax(axis=1) == y).all()
            assert all(np.isfinite([trial.log_loss, trial.gain]).all() for trial in one.trials_ if trial.kept)


def test_isotonic_steps_between_subnormal_numbers_are_finite() -> None:
    """scikit-learn 10903, 18639, 2507: interpolation between subnormal probabilities was infinite or nan."""
    p = np.array([0.0, 1e-320, 4.1e-320, 1e-315, 1e-315, 4.4e-314, 0.5, 1.0])
    y = np.array([0, 1, 0, 1, 1, 0, 1, 1])
    new = np.array([0.0, 1e-321, 2.1e-319, 5.4e-316, 1e-313, 1e-10, 0.7, 1.0])
    for one in fitted(np.stack([1 - p, p], axis=1), y, 2):
        check(one.predict_proba(np.stack([1 - new, new], axis=1)))
    steps = fit_isotonic(np.stack([1 - p, p], axis=1), y).steps[1]
    assert np.isfinite(np.interp(new, steps.knots, steps.values)).all()


def test_isotonic_maps_of_tiny_probabilities_are_stored(tmp_path: Path) -> None:
    """A neighbour of scikit-learn 18639: p and 1 - p are not distinct at the same rows, and knots must increase."""
    random = np.random.default_rng(0)
    z = random.normal(scale=30, size=2000)
    p = 1 / (1 + np.exp(-z))
    P, y = np.stack([1 / (1 + np.exp(z)), p], axis=1), (random.random(2000) < 1 / (1 + np.exp(-z / 30))).astype(int)
    for one in (Calibrator("isotonic").fit(P, y), Calibrator("isotonic").fit(P[:, ::-1], 1 - y)):
        assert all((np.diff(step.knots) > 0).all() for step in one.recalibration_.steps)
        one.save(tmp_path / "calibrator.softreg")
        assert load(tmp_path / "calibrator.softreg").predict_proba(P).tolist() == one.predict_proba(P).tolist()
        check(one.predict_proba(P))


def test_equal_probabilities_have_the_sum_of_their_weights() -> None:
    """scikit-learn 9432, 4184: ties had the mean of their weights, and other values in `fit` than afterwards."""
    p, y = np.array([0.1, 0.2, 0.2, 0.3, 0.4]), np.array([0, 0, 1, 0, 1])
    fit = fit_isotonic(np.stack([1 - p, p], axis=1), y, np.ones(5))
    assert np.interp(p, fit.steps[1].knots, fit.steps[1].values) == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 1])
    order = np.array([4, 2, 0, 3, 1])
    other = fit_isotonic(np.stack([1 - p, p], axis=1)[order], y[order])
    assert other.steps[1].values.tolist() == fit.steps[1].values.tolist()


def test_isotonic_regression_keeps_the_order_and_is_defined_everywhere() -> None:
    """scikit-learn 16321, 23134: ties changed the area under the curve; numbers beyond those of the fit were nan."""
    P, y = sample(2, 400)
    inner = (P[:, 1] > 0.2) & (P[:, 1] < 0.8)
    found = Calibrator("isotonic").fit(P[inner], y[inner]).predict_proba(P)[:, 1]
    assert (np.diff(found[np.argsort(P[:, 1])]) > 0).all()


@pytest.mark.parametrize("q", [2, 3])
def test_tables_and_series_with_other_indices(q: int) -> None:
    """scikit-learn 8710, 19637 and the neighbours: only arrays were accepted; rows are matched by position here."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    P, y = sample(q)
    names = np.array(["a", "b", "c"])[:q]
    table = pandas.DataFrame(P, columns=names, index=np.arange(len(y))[::-1])
    weights = pandas.Series(np.linspace(0.5, 2, len(y)), index=np.arange(len(y)) + 1000)
    wanted = [one.predict_proba(P) for one in fitted(P, names[y], q, sample_weight=weights.to_numpy())]
    for labels in (pandas.Series(names[y], index=np.arange(len(y)) + 7), pandas.Categorical(names[y]), list(names[y])):
        for one, expected in zip(fitted(table, labels, q, sample_weight=weights), wanted, strict=True):
            assert one.predict_proba(table).tolist() == expected.tolist()


@pytest.mark.parametrize("q", [2, 3])
def test_few_rows_and_large_ranges_of_weights(q: int) -> None:
    """venn-abers 24 and the neighbours: five rows, one row or none to predict, weights over 600 decades."""
    P, y = sample(q)
    for one in fitted(P[:5], y[:5], q):
        check(one.predict_proba(P[:1]))
        assert one.predict_proba(P[:0]).shape == (0, q)
    for one in fitted(P, y, q, sample_weight=np.where(y == 0, 1e300, 1e-300)):
        check(one.predict_proba(P))


def test_logits_are_no_probabilities() -> None:
    """torch-uncertainty 179, netcal 32: logits were taken for probabilities without an error."""
    _, y = sample(2)
    logits = np.random.default_rng(0).normal(size=(200, 2))
    for method in METHODS:
        with pytest.raises(ValueError, match="row"):
            Calibrator(method).fit(logits, y)
