"""Steps of mini-batches by blocks of columns: the same step, in the memory of a few copies of the weights."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from softreg import SoftmaxRegression
from softreg.optimize.sgd import standardized_batch, train
from softreg.optimize.sgd.running_moments import begin


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_blocks_of_columns_give_the_same_steps(
    sparse: bool, fit_intercept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 13)) * (random.random((200, 13)) < 0.5)
    X[:, 4] = 2.0  # a constant column
    y = random.integers(0, 5, 200)
    rows = sp.csr_array(X) if sparse else X
    whole, loss = train.epoch(begin(13, 5), rows, y, l1_ratio=0.3, strength=1e-3, fit_intercept=fit_intercept)
    monkeypatch.setattr(standardized_batch, "BLOCK_WEIGHTS", 20)  # four columns
    parts, other = train.epoch(begin(13, 5), rows, y, l1_ratio=0.3, strength=1e-3, fit_intercept=fit_intercept)
    assert_allclose(parts.W, whole.W, atol=1e-12)
    assert_allclose(parts.b, whole.b, atol=1e-12)
    assert_allclose(other, loss)


def test_memory_of_partial_fit_is_a_few_copies_of_the_weights() -> None:
    """Of 6,000 classes and 500 columns; the probabilities of all rows would take 96 MB."""
    random, q, d = np.random.default_rng(0), 6000, 500
    X, y = random.normal(size=(2000, d)), random.integers(0, q, 2000)
    model = SoftmaxRegression()
    model.partial_fit(X[:64], y[:64], classes=range(q))
    tracemalloc.start()
    model.partial_fit(X[:256], y[:256])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4.5 * 8 * q * d
