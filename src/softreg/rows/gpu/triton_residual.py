"""From logits to residuals in one kernel, between the two matrix products of a pass over rows with many classes.

As single operations, softmax, loss, residual and the sums of a pass read and write the logits a dozen times, which
takes longer than the products. Here each tile of rows is read once and its residual written once. The programs write
separate sums, which are added in float64 afterwards.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

from functools import cache

from softreg.rows.gpu.interop import Device, Tensor
from softreg.rows.gpu.triton_pass import HAS_TRITON, example_succeeds, power_of_two, programs_on

MAX_CLASSES = 4096
"""Largest number of classes: a row of logits is held in registers."""
TILE_LOGITS = 4096
"""Logits that a program holds at a time."""

if HAS_TRITON:
    import triton
    import triton.language as tl

    @triton.jit
    def _residual(
        O, R, codes, Y, V, p_label, loss, residual, predicted, squares,
        b, m, q, span, V_row,
        Q: tl.constexpr, ROWS: tl.constexpr, SOFT: tl.constexpr, WEIGHTED: tl.constexpr, CONFIDENCE: tl.constexpr,
    ):  # fmt: skip
        """Store residuals of one span of rows and one model, sums of the program, and probabilities of labels."""
        program, model = tl.program_id(0).to(tl.int64), tl.program_id(1)
        label = tl.arange(0, Q)
        first, last = program * span, tl.minimum(program * span + span, b)
        lost = tl.zeros([ROWS], tl.float64)
        r, p, s = tl.zeros([Q], tl.float32), tl.zeros([Q], tl.float32), tl.zeros([Q], tl.float32)
        for start in range(first, last, ROWS):
            row = start + tl.arange(0, ROWS)
            here = row < last
            inside = here[:, None] & (label < q)[None, :]
            place = (row * m + model)[:, None] * q + label[None, :]
            o = tl.load(O + place, mask=inside, other=float("-inf"))
            top = tl.where(here, tl.max(o, 1), 0.0)
            e = tl.exp(o - top[:, None])
            mass = tl.where(here, tl.sum(e, 1), 1.0)
            P = e / mass[:, None]
            is_label = label[None, :] == tl.load(codes + row, mask=here, other=0)[:, None]
            y = (is_label & inside).to(tl.float32)
            if SOFT:
                y = tl.load(Y + row[:, None] * q + label[None, :], mask=inside, other=0.0).to(tl.float32)
            given = tl.sum(tl.where(inside, o, 0.0) * y, 1)
            v = here.to(tl.float64)
            if WEIGHTED:
                v = tl.load(V + row * V_row + tl.minimum(model, V_row - 1), mask=here, other=0.0)
            lost += (tl.log(mass) + top - given).to(tl.float64) * v
            w = v.to(tl.float32)[:, None]
            change = (P - y) * w
            r += tl.sum(change, 0)
            if CONFIDENCE:
                p += tl.sum(P * w, 0)
                s += tl.sum(P * P * w, 0)
                tl.store(p_label + row * m + model, tl.sum(tl.where(is_label, P, 0.0), 1), mask=here)
            tl.store(R + place, change, mask=inside)
        here = (program * m + model) * q + label
        tl.store(loss + program * m + model, tl.sum(lost, 0))
        tl.store(residual + here, r, mask=label < q)
        if CONFIDENCE:
            tl.store(predicted + here, p, mask=label < q)
            tl.store(squares + here, s, mask=label < q)


def supports(device: Device, q: int) -> bool:
    """Return True if the kernel runs on this device for this number of classes."""
    return HAS_TRITON and q <= MAX_CLASSES and _works(device)


@cache
def _works(device: Device) -> bool:
    return example_succeeds(device, _example)


def _example(device: Device) -> bool:
    """Return True if the kernel is right for two rows of zeros."""
    import torch

    o, labels = torch.zeros(2, 1, 2, device=device), torch.zeros(2, dtype=torch.int64, device=device)
    loss, r, *_ = fused_residual(o, o, labels, None, None)
    return abs(float(loss) - 1.3862943611198906) < 1e-6 and r.tolist() == [-1.0, 1.0]


def fused_residual(o: Tensor, R: Tensor, labels: Tensor, V: Tensor, p_label: Tensor) -> tuple[Tensor, ...]:
    """Return loss, residual and, with `p_label`, sums of the probabilities, all in float64; write the residuals to R.

    Parameters
    ----------
    o : torch.Tensor of shape (b, m, q)
        Logits.
    R : torch.Tensor of shape (b, m, q)
        Receives the residuals; may be `o`.
    labels : torch.Tensor of shape (b,) or (b, q)
        Codes or label probabilities.
    V : torch.Tensor of float64 of shape (b, m) or (b, 1), or None
        Row weights.
    p_label : torch.Tensor of shape (b, m), or None
        Receives the probabilities of the labels.

    Returns
    -------
    tuple of torch.Tensor
        Loss (m,), residual (m q,) and, with `p_label`, summed `V p` and `V p (1 - p)` (m, q).
    """
    import torch

    b, m, q = o.shape
    Q = power_of_two(q)
    rows = max(1, TILE_LOGITS // Q)
    tiles = -(-b // rows)
    span = -(-tiles // min(tiles, programs_on(o.device))) * rows
    programs = -(-b // span)
    loss = torch.empty(programs, m, dtype=torch.float64, device=o.device)
    sums = torch.empty(3, programs, m, q, dtype=torch.float32, device=o.device)
    soft, with_confidence = labels.ndim == 2, p_label is not None
    codes = labels.argmax(1) if soft else labels
    _residual[(programs, m)](
        o, R, codes, labels, loss if V is None else V, p_label if with_confidence else loss, loss, *sums,
        b, m, q, span, 1 if V is None else V.shape[1],
        Q=Q, ROWS=rows, SOFT=soft, WEIGHTED=V is not None, CONFIDENCE=with_confidence, num_warps=4 if Q <= 1024 else 8,
    )  # fmt: skip
    value, (r, p, s) = loss.sum(0), sums.sum(1, dtype=torch.float64)
    return (value, r.view(-1), p, p - s) if with_confidence else (value, r.view(-1))
