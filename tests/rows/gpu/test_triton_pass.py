"""The fused pass against its plain twin: in Triton's interpreter on the CPU, as it is compiled on a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from softreg.rows import LogitStore, OnDevice
from softreg.rows.column_statistics import BlockFunction
from softreg.rows.gpu import device_loss as torch_loss

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("triton", reason="Triton is not installed")
ON_GPU = torch.cuda.is_available()

if not ON_GPU and os.environ.get("TRITON_INTERPRET") != "1":  # Triton decides when it is first imported

    def test_in_the_interpreter() -> None:
        environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        assert "passed" in done.stdout

else:
    from softreg.rows.gpu import triton_pass, triton_residual

    DEVICE = torch.device("cuda", 0) if ON_GPU else torch.device("cpu")
    KINDS = ["float32", "float16", "bfloat16", "uint8"]

    def problem(b: int, d: int, m: int, q: int, soft: bool, weights: int, kind: str) -> list[Any]:
        torch.manual_seed(b + d + q)
        X = torch.randn(b, d)
        X = (X.abs() * 40).to(torch.uint8) if kind == "uint8" else X.to(getattr(torch, kind))
        W, bias = torch.randn(m * q, d) / (40 if kind == "uint8" else 1), torch.randn(m * q)
        labels = torch.softmax(torch.randn(b, q), 1) if soft else torch.randint(0, q, (b,))
        V = [None, torch.rand(b, 1, dtype=torch.float64), torch.rand(b, m, dtype=torch.float64)][weights]
        return [None if t is None else t.to(DEVICE) for t in (X, W, bias, labels, V)]

    @pytest.mark.parametrize("precision", ["tf32x3", "ieee"])
    @pytest.mark.parametrize(
        ("b", "d", "m", "q", "soft", "weights", "kind"),
        [
            (1, 1, 1, 2, False, 0, "float32"),
            (63, 30, 1, 10, False, 0, "float32"),
            (300, 65, 1, 3, True, 1, "float32"),
            (257, 200, 3, 4, False, 2, "bfloat16"),
            (64, 64, 2, 20, True, 2, "float16"),
            (200, 130, 1, 64, False, 1, "float32"),
            (129, 7, 5, 2, False, 2, "uint8"),
            (1000, 16, 1, 2, False, 0, "float32"),
        ],
    )
    def test_a_pass_is_what_products_and_softmax_compose(
        b: int, d: int, m: int, q: int, soft: bool, weights: int, kind: str, precision: str
    ) -> None:
        X, W, bias, labels, V = problem(b, d, m, q, soft, weights, kind)
        logits = torch.full((b, m, q), float("nan"), device=DEVICE)
        loss, r, G = triton_pass.fused_pass(X, W, bias, labels, V, logits, m, q, precision)
        o = (X.double() @ W.double().T + bias.double()).view(b, m, q)
        value, P = torch_loss.loss_and_probabilities(o, labels, V)
        R = torch_loss.residual(P, labels, V)
        size = float(o.abs().max()) + 1
        torch.testing.assert_close(logits.double(), o, rtol=0, atol=1e-6 * size)
        torch.testing.assert_close(loss, value, rtol=1e-6, atol=1e-6 * size)
        torch.testing.assert_close(r, R.sum(0).reshape(-1), rtol=0, atol=2e-6 * b**0.5 * size)
        G_size = float(X.double().abs().max()) * size
        torch.testing.assert_close(G, R.reshape(b, -1).T @ X.double(), rtol=0, atol=2e-6 * b**0.5 * G_size)
        assert loss.dtype == r.dtype == G.dtype == torch.float64
        again = triton_pass.fused_pass(X, W, bias, labels, V, None, m, q, precision)
        for one, other in zip((loss, r, G), again, strict=True):
            assert torch.equal(one, other)  # to the bit

    @pytest.mark.parametrize(("b", "m", "q"), [(1, 1, 2), (37, 1, 1000), (100, 3, 65), (9, 2, 4096), (300, 1, 130)])
    @pytest.mark.parametrize("soft", [False, True])
    @pytest.mark.parametrize("weights", [0, 1, 2])
    @pytest.mark.parametrize("sure", [False, True])
    def test_residuals_are_what_single_operations_compose(
        b: int, m: int, q: int, soft: bool, weights: int, sure: bool
    ) -> None:
        _, _, _, labels, V = problem(b, 1, m, q, soft, weights, "float32")
        o = torch.randn(b, m, q, device=DEVICE) * 5
        own, R = torch.full((b, m), float("nan"), device=DEVICE), torch.empty_like(o)
        found = triton_residual.fused_residual(o, R, labels, V, own if sure else None)
        value, P = torch_loss.loss_and_probabilities(o.double(), labels, V)
        expected = torch_loss.label_confidence(P, labels, V)
        residual = torch_loss.residual(P, labels, V)
        torch.testing.assert_close(R.double(), residual, rtol=0, atol=1e-6)
        torch.testing.assert_close(found[0], value, rtol=1e-6, atol=1e-5)
        torch.testing.assert_close(found[1], residual.sum(0).view(-1), rtol=0, atol=1e-6 * b)
        if sure:
            torch.testing.assert_close(own.double(), expected[0], rtol=0, atol=1e-6)
            torch.testing.assert_close(found[2], expected[1], rtol=0, atol=1e-6 * b)
            torch.testing.assert_close(found[3], expected[2], rtol=0, atol=1e-6 * b)
        again = triton_residual.fused_residual(o, o, labels, V, own if sure else None)  # in place
        assert torch.equal(o, R)
        for one, other in zip(found, again, strict=True):
            assert torch.equal(one, other)

    def test_rows_that_lie_apart() -> None:
        X, W, bias, labels, V = problem(100, 24, 1, 5, False, 0, "float32")
        wide = torch.zeros(100, 50, device=DEVICE)
        wide[:, :24] = X
        one = triton_pass.fused_pass(X, W, bias, labels, V, None, 1, 5, "ieee")
        other = triton_pass.fused_pass(wide[:, :24], W, bias, labels, V, None, 1, 5, "ieee")
        for a, b in zip(one, other, strict=True):
            assert torch.equal(a, b)

    def test_only_a_handful_of_columns() -> None:
        assert triton_pass.supports(DEVICE, 1, 10)
        assert triton_pass.supports(DEVICE, 1, 64)
        assert not triton_pass.supports(DEVICE, 1, 65)
        assert not triton_pass.supports(DEVICE, 5, 10)
        assert triton_pass.padded(1, 3) == (1, 16)
        assert triton_pass.padded(3, 10) == (4, 16)

    @pytest.mark.parametrize("streamed", [False, True])
    @pytest.mark.parametrize("kind", ["float32", "uint8"])
    @pytest.mark.parametrize("many", [False, True])
    def test_rows_on_a_device_use_it(kind: str, streamed: bool, many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        from softreg.rows.gpu import device_rows as tr
        from softreg.rows.gpu import transfer as feed

        monkeypatch.setattr(tr, "BLOCK_BYTES", 1)
        monkeypatch.setattr(feed, "PIECE_BYTES", 100 * 12 * 4)
        X, W, bias, labels, _ = problem(700, 12, 1, 10, False, 0, kind)
        source = X.cpu() if streamed else X
        rows = tr.TorchRows(OnDevice(source, DEVICE, 0.5, streamed), labels.cpu().numpy(), reduced_precision=False)
        answers, stack = [], (1, 10, np.arange(1))
        for environment in ("1", "0"):
            monkeypatch.setenv("SOFTREG_KERNELS", environment)
            assert (rows.residuals(10) is None) == (environment == "0")
            if many:
                monkeypatch.setattr(triton_pass, "MAX_COLUMNS", 0)
            p, b = rows.prepare(W.cpu().double().numpy()), bias.cpu().numpy()
            store = LogitStore()

            def on(block: Any, store: LogitStore = store) -> Any:
                return block.logits(*stack, store.entry(block.start))

            read = rows.sum(BlockFunction(lambda block, p=p, b=b, on=on: on(block).loss_and_gradient(p, b, 0, ())))
            lean = rows.sum(
                BlockFunction(lambda block, p=p, b=b, on=on: on(block).recomputed_loss_and_gradient(p, b, 0))
            )
            kept = [(store.entry(block.start).arrays[0], store.entry(block.start).confidence) for block in rows.blocks]
            sure = [sum(c.class_mass for _, c in kept), sum(c.class_variance for _, c in kept)]
            logits = torch.cat([o for o, _ in kept])
            answers.append((*read, *lean, *(a.cpu().numpy() for a in (*sure, logits))))
        for one, other in zip(*answers, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-3)
