"""A whole pass over rows with a handful of classes in one kernel, written in Triton for a GPU.

Each program processes a span of rows, a tile at a time: logits over the columns, softmax in registers, then residual
times rows. A tile is read from the GPU's memory once; the second time its rows are still in the cache. The programs
write separate sums, which are added in float64 afterwards, so the result is deterministic.

Without Triton, or on a device where it does not compile, the pass is composed of products (`device_logits.py`); tests
compare the two, on the CPU in Triton's interpreter.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-untyped-call"

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import numpy as np

from softreg.rows.gpu.interop import Device, Tensor

MAX_COLUMNS = 64
"""Largest number of padded logits of a row, models times classes; more use matrix products."""
TILE_ROWS, TILE_COLUMNS = 64, 64
"""Rows and columns of X that a program multiplies at a time."""
WARPS = 4
PROGRAMS_PER_PROCESSOR = 4
"""Programs for each multiprocessor of the GPU."""
INTERPRETER_PROGRAMS = 3
"""Programs in Triton's interpreter, which runs them one after another without a GPU."""

HAS_TRITON = find_spec("triton") is not None

if HAS_TRITON:
    import triton
    import triton.language as tl

    @triton.jit
    def _tile(X, row, here, X_row, at, d):
        """Return rows and columns of X, (rows, columns), zero beyond its edges."""
        inside = here[:, None] & (at < d)[None, :]
        return tl.load(X + row[:, None] * X_row + at[None, :], mask=inside, other=0.0).to(tl.float32)

    @triton.jit
    def _labels(codes, Y, row, here, label, q, SOFT: tl.constexpr):
        """Return the label of each row as probabilities (rows, Q)."""
        if SOFT:
            known = here[:, None] & (label < q)[None, :]
            y = tl.load(Y + row[:, None] * q + label[None, :], mask=known, other=0.0).to(tl.float32)
        else:
            code = tl.load(codes + row, mask=here, other=0)
            y = (label[None, :] == code[:, None]).to(tl.float32)
        return y

    @triton.jit
    def _softmax(o, real):
        """Return softmax (rows, M, Q) of logits over the classes that are not padding, and log-sum-exp (rows, M)."""
        z = tl.where(real, o, float("-inf"))
        top = tl.max(z, 2)
        e = tl.exp(z - top[:, :, None])  # softmax ignores shifts, and exp(z) <= 1 cannot overflow
        mass = tl.sum(e, 2)
        return e / mass[:, :, None], tl.log(mass) + top

    @triton.jit
    def _pass(
        X, W, bias, codes, Y, V, logits, loss, residual, G,
        n, d, m, q, span, X_row, V_row,
        M: tl.constexpr, Q: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
        SOFT: tl.constexpr, WEIGHTED: tl.constexpr, KEPT: tl.constexpr, PRECISION: tl.constexpr,
    ):  # fmt: skip
        """Store the sums of one span: loss (M,), residual (M Q,) and residual times rows (M Q, d) of this program."""
        K: tl.constexpr = M * Q
        program = tl.program_id(0).to(tl.int64)
        first, last = program * span, tl.minimum(program * span + span, n)
        columns, k = tl.arange(0, COLUMNS), tl.arange(0, K)
        model, label = tl.arange(0, M), tl.arange(0, Q)
        b, G = tl.load(bias + k), G + program * K * d
        lost, r = tl.zeros([M], tl.float64), tl.zeros([M, Q], tl.float64)
        for start in range(first, last, ROWS):
            row = start + tl.arange(0, ROWS)
            here = row < last
            o = tl.zeros([ROWS, K], tl.float32)
            for c in range(0, d, COLUMNS):
                at = c + columns
                w = tl.load(W + k[None, :] * d + at[:, None], mask=(at < d)[:, None], other=0.0)
                o = tl.dot(_tile(X, row, here, X_row, at, d), w, o, input_precision=PRECISION)
            o = tl.reshape(o + b[None, :], [ROWS, M, Q])
            P, log_mass = _softmax(o, (label < q)[None, None, :])
            y = _labels(codes, Y, row, here, label, q, SOFT)
            counts = here[:, None] & (model < m)[None, :]  # neither rows beyond the end nor padding models
            v = counts.to(tl.float64)
            if WEIGHTED:
                v = tl.load(V + row[:, None] * V_row + tl.minimum(model, V_row - 1)[None, :], mask=counts, other=0.0)
            lost += tl.sum((log_mass - tl.sum(o * y[:, None, :], 2)).to(tl.float64) * v, 0)
            R = (P - y[:, None, :]) * v.to(tl.float32)[:, :, None]
            r += tl.sum(R, 0).to(tl.float64)
            if KEPT:
                place = row[:, None, None] * (m * q) + model[None, :, None] * q + label[None, None, :]
                tl.store(logits + place, o, mask=counts[:, :, None] & (label < q)[None, None, :])
            R = tl.trans(tl.reshape(R, [ROWS, K]))
            for c in range(0, d, COLUMNS):
                at = c + columns
                g = G + k[:, None] * d + at[None, :]
                inside = (at < d)[None, :]
                sums = tl.load(g, mask=inside, other=0.0)
                sums = tl.dot(R, _tile(X, row, here, X_row, at, d), sums, input_precision=PRECISION)
                tl.store(g, sums, mask=inside)
            tl.debug_barrier()  # other threads may load the sums for the next tile
        tl.store(loss + program * M + model, lost)
        tl.store(residual + program * K + k, tl.reshape(r, [K]))


def power_of_two(size: int) -> int:
    """Return the least power of two that is at least `size`."""
    return 1 << max(0, size - 1).bit_length()


def padded(m: int, q: int) -> tuple[int, int]:
    """Return models and classes as the kernel pads them: powers of two, and at least 16 columns.

    Parameters
    ----------
    m, q : int

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> padded(1, 10), padded(3, 2)
    ((1, 16), (4, 4))
    """
    M, Q = power_of_two(m), power_of_two(q)
    return M, max(Q, 16 // M)


def supports(device: Device, m: int, q: int) -> bool:
    """Return True if the kernel runs on this device for this number of models and classes."""
    M, Q = padded(m, q)
    return HAS_TRITON and M * Q <= MAX_COLUMNS and _works(device)


@cache
def _works(device: Device) -> bool:
    return example_succeeds(device, _example)


def example_succeeds(device: Device, example: Callable[[Device], bool]) -> bool:
    """Return True if an example is right on this device; Triton needs a C compiler and a GPU it supports."""
    if device.type != "cuda":
        return type(_pass).__name__ == "InterpretedFunction"
    try:
        return example(device)
    except Exception as error:  # products give the same result
        message = f"Triton cannot compile its kernels here ({error}); matrix products are used instead."
        warnings.warn(message, stacklevel=2)
        return False


def _example(device: Device) -> bool:
    """Return True if the kernel is right for two rows of ones."""
    import torch

    X, labels = torch.ones(2, 3, device=device), torch.zeros(2, dtype=torch.int64, device=device)
    W, bias = torch.zeros(2, 3, device=device), torch.zeros(2, device=device)
    loss, _, G = fused_pass(X, W, bias, labels, None, None, 1, 2, "tf32x3")
    return abs(float(loss) - 2 * np.log(2)) < 1e-6 and float(G[1, 2]) == 1.0


def fused_pass(
    X: Tensor, W: Tensor, bias: Tensor, labels: Tensor, V: Tensor, logits: Tensor, m: int, q: int, precision: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Return loss, residual and gradient from one reading of the rows.

    Parameters
    ----------
    X : torch.Tensor of shape (b, d)
    W : torch.Tensor of float32 of shape (k, d)
        k = m q.
    bias : torch.Tensor of float32 of shape (k,)
    labels : torch.Tensor of shape (b,) or (b, q)
        Codes or label probabilities.
    V : torch.Tensor of float64 of shape (b, m) or (b, 1), or None
        Row weights.
    logits : torch.Tensor of shape (b, m, q), or None
        Receives the logits, unless it is None.
    m, q : int
    precision : {"tf32", "tf32x3", "ieee"}
        "tf32x3" has about the precision of float32; "ieee" is exact and slow.

    Returns
    -------
    tuple of torch.Tensor
        Loss (m,), residual (k,) and `R.T @ X` (k, d) in float64.
    """
    import torch

    b, d = X.shape
    M, Q = padded(m, q)
    wide, shift = W.new_zeros(M, Q, d), bias.new_zeros(M, Q)
    wide[:m, :q], shift[:m, :q] = W.view(m, q, d), bias.view(m, q)
    tiles = -(-b // TILE_ROWS)
    programs = min(tiles, programs_on(X.device))
    span = -(-tiles // programs) * TILE_ROWS
    programs = -(-b // span)
    loss = torch.empty(programs, M, dtype=torch.float64, device=X.device)
    residual = torch.empty(programs, M * Q, dtype=torch.float64, device=X.device)
    G = torch.zeros(programs, M, Q, d, dtype=torch.float32, device=X.device)
    soft = labels.ndim == 2
    _pass[(programs,)](
        X, wide, shift, labels, labels, labels if V is None else V, wide if logits is None else logits,
        loss, residual, G, b, d, m, q, span, X.stride(0), 1 if V is None else V.shape[1],
        M=M, Q=Q, ROWS=TILE_ROWS, COLUMNS=TILE_COLUMNS, SOFT=soft, WEIGHTED=V is not None, KEPT=logits is not None,
        PRECISION=precision, num_warps=WARPS,
    )  # fmt: skip
    sums = G[:, :m, :q].sum(0, dtype=torch.float64).reshape(m * q, d)
    return loss.sum(0)[:m], residual.sum(0).view(M, Q)[:m, :q].reshape(-1), sums


def programs_on(device: Device) -> int:
    """Return the number of programs that occupy the device."""
    import torch

    if device.type != "cuda":
        return INTERPRETER_PROGRAMS
    return int(np.int64(torch.cuda.get_device_properties(device).multi_processor_count)) * PROGRAMS_PER_PROCESSOR
