"""Description lengths: what can be known of them, and what columns add."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln
from sklearn.linear_model import LogisticRegression

from softreg.models import added_information, prequential_codelength


def made(n: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two columns that matter, a copy of the first, and one that does not."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 4))
    X[:, 2] = X[:, 0]
    y = (random.random(n) < 1 / (1 + np.exp(-2 * X[:, 0] - X[:, 1]))).astype(int)
    return X, y


def test_features_shorten_the_code_and_shuffled_ones_do_not() -> None:
    X, y = made()
    code = prequential_codelength(X, y)
    truth = 1 / (1 + np.exp(-2 * X[:, 0] - X[:, 1]))
    best = -np.log2(np.where(y == 1, truth, 1 - truth)).sum()
    assert best < code.bits < best + 120  # learning four weights from 3,000 rows costs little
    assert code.control_bits > code.label_bits
    assert code.control_compression < 1 < code.compression
    assert code.uniform_bits == 3000


def test_the_code_of_the_rates_alone_is_the_closed_one() -> None:
    X, y = made(500)
    counts = np.bincount(y)
    nats = gammaln(501) - gammaln(1) - (gammaln(counts + 0.5) - gammaln(0.5)).sum()
    assert prequential_codelength(X, y).label_bits == pytest.approx(nats / np.log(2))


def test_labels_of_a_rare_class_stay_possible_and_other_models_are_taken() -> None:
    X, y = made(400)
    y = np.where(np.arange(400) == 399, 2, y)
    for model in (None, LogisticRegression()):
        assert np.isfinite(prequential_codelength(X, y, model=model).bits)


def test_what_columns_add() -> None:
    X, y = made()
    first, second, copy, noise = added_information(X, y)
    assert second.nats > 5 * second.error
    assert abs(first.nats) < 0.001  # its copy tells the same
    assert abs(copy.nats) < 0.001
    assert abs(noise.nats) < 3 * noise.error + 1e-4
    (together,) = added_information(X, y, {"both": [0, 2]})
    assert together.name == "both"
    assert together.nats > 0.1
    (all_of_it,) = added_information(X, y, {"all": [0, 1, 2, 3]})
    assert all_of_it.nats > together.nats


def test_bad_input_is_named() -> None:
    X, y = made(50)
    with pytest.raises(ValueError, match="must increase"):
        prequential_codelength(X, y, shares=(0.5, 0.1, 1.0))
    with pytest.raises(ValueError, match="1 classes"):
        prequential_codelength(X, np.zeros(50, dtype=int))
