"""The loss of rows of which a model is sure: the same digits from every twin of the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from softreg.probability import block_loss, cross_entropy_with_logits
from softreg.rows import OnDevice, Rows, as_rows
from softreg.rows.column_statistics import BlockFunction
from softreg.rows.kernels import csr_products
from softreg.rows.kernels import products as kernels
from softreg.rows.logits import LogitEntry

Q, ULPS = 4, 2


def of_rows(rows: Rows) -> tuple[float, float]:
    """The loss of rows whose weights are the identity, with logits kept and without."""
    prepared, zero = rows.prepare(np.eye(Q)), np.zeros(Q, rows.dtype)

    def losses(block: Any) -> tuple[Any, Any]:
        logits = block.logits(1, Q, np.arange(1), LogitEntry())
        kept = logits.loss_and_gradient(prepared, zero, 0, ())[0]
        return kept, logits.recomputed_loss_and_gradient(prepared, zero, 0)[0]

    kept, recomputed = rows.sum(BlockFunction(losses))
    return float(kept[0]), float(recomputed[0])


def twins(o: Any, label: Any) -> dict[str, float]:
    """The loss of one row with logits o (q,) and its label, by everything that computes it."""
    x, I, zero, one = o[None], np.eye(Q, dtype=o.dtype), np.zeros(Q, o.dtype), np.asarray(label)[None]
    compiled = kernels.loss_and_gradient(I, zero, x, Q, one, None, None)
    sparse = csr_products.csr_loss_and_gradient(sp.csr_array(x), I, zero, one, Q, None, None)
    logits = np.ascontiguousarray(x.T)[None]
    found = {
        "numpy": block_loss.loss_and_residual(logits.copy(), one, None)[0][0],
        "consume": block_loss.consume(logits.copy(), one, None)[0][0],
        "along": block_loss.along(logits.copy(), np.ones((1, Q, 1), o.dtype), one, None)[0][0],
        "textbook": cross_entropy_with_logits(x, one)[0],
    }
    for name, made in {"dense": x, "CSR": sp.csr_array(x)}.items():
        found[f"{name}, kept"], found[f"{name}, recomputed"] = of_rows(as_rows(made, one))
    found |= {} if compiled is None else {"dense kernel": compiled[0][0]}
    found |= {} if sparse is None else {"CSR kernel": sparse[0][0]}
    try:
        import torch
    except ImportError:
        return found
    from softreg.rows.gpu import device_loss as torch_loss

    o, labels = torch.from_numpy(x)[:, None], torch.from_numpy(one)
    found["torch"] = float(torch_loss.loss_and_probabilities(o, labels, None)[0][0])
    found["torch, along"] = float(torch_loss.along(o, torch.ones_like(o), labels, None)[0][0])
    rows = as_rows(OnDevice(torch.from_numpy(x), torch.device("cpu")), one)
    found["device, kept"], found["device, recomputed"] = of_rows(rows)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("soft", [False, True])
def test_fault_a22_twins_agree_on_the_loss_of_sure_rows(dtype: Any, soft: bool) -> None:
    random = np.random.default_rng(0)
    for size in (0.3, 3.0, 10.0, 17.0, 25.0):
        for _ in range(20):
            o = (size * random.normal(size=Q)).astype(dtype)
            label: Any = int(o.argmax()) if random.random() < 0.8 else int(random.integers(Q))
            if soft:
                label = np.eye(Q)[label] if random.random() < 0.7 else random.dirichlet(np.ones(Q))
                label = label.astype(dtype)
            found = twins(o, label)
            middle = float(np.median(list(found.values())))
            limit = ULPS * float(np.spacing(dtype(max(middle, float(np.finfo(dtype).tiny)))))
            if soft:  # a sum of products of labels and logits is rounded in its order
                limit += ULPS * float(np.finfo(dtype).eps * (np.abs(label * (o - o.max())).sum() + np.abs(o).max()))
            assert max(abs(v - middle) for v in found.values()) <= limit, (o, label, found)


def test_fault_a22_a_sure_row_keeps_its_loss_in_float32() -> None:
    found = twins(np.array([0.0, 20.0, -60.0, -60.0], np.float32), 1)
    assert all(value == pytest.approx(np.exp(-20), rel=1e-6) for value in found.values()), found
