"""What people write for a linear probe on a GPU: full-batch L-BFGS, Adam, and a plain loop of gradient steps.

Each peer minimises the same objective on the same tensors, with the same precision of products (TF32, the usual
setting). Its seconds are those of its own steps: it is judged from outside, while its clock stands still.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

CHUNK = 65_536


class Judge:
    """The objective in exact products, and the least seconds after which a peer was within a gap of the optimum."""

    def __init__(self, X: Any, y: Any, q: int, strength: float) -> None:
        self.X, self.y, self.q, self.strength = X, y, q, strength

    def objective(self, W: Any, b: Any) -> float:
        """Mean cross-entropy + strength / 2 ||W||^2 in float32 products and float64 sums."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        total = 0.0
        with torch.no_grad():
            for a in range(0, len(self.X), CHUNK):
                o = self.X[a : a + CHUNK].float() @ W + b
                total += float(
                    torch.nn.functional.cross_entropy(o, self.y[a : a + CHUNK], reduction="none").double().sum()
                )
        torch.set_float32_matmul_precision(before)
        return total / len(self.X) + self.strength / 2 * float((W.detach().double() ** 2).sum())


def synchronise(device: Any) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def race(steps: Callable[[], Iterator[tuple[Any, Any]]], judge: Judge, least: float, gap: float, limit: float) -> dict:
    """Seconds until the objective is within `gap` of `least`, or `limit` seconds, and the best gap that was seen."""
    spent, best, count, next_look = 0.0, float("inf"), 0, 0.0
    run, device = steps(), judge.X.device
    while spent < limit:
        synchronise(device)
        start = time.perf_counter()
        try:
            W, b = next(run)
        except StopIteration:
            break
        synchronise(device)
        spent += time.perf_counter() - start
        count += 1
        if spent >= next_look:  # looks are outside the clock, but they take time all the same
            best = min(best, judge.objective(W, b) - least)
            next_look = spent * 1.05 + limit / 400
            if best <= gap:
                return {"seconds": spent, "gap": best, "steps": count, "reached": True}
    return {"seconds": spent, "gap": best, "steps": count, "reached": False}


def start_at_zero(judge: Judge) -> tuple[Any, Any]:
    device = judge.X.device
    W = torch.zeros(judge.X.shape[1], judge.q, device=device, requires_grad=True)
    return W, torch.zeros(judge.q, device=device, requires_grad=True)


def backward(judge: Judge, W: Any, b: Any) -> Any:
    """Loss and gradient of all rows, in chunks whose logits fit into memory."""
    total = torch.zeros((), device=W.device)
    for a in range(0, len(judge.X), CHUNK * 4):
        o = judge.X[a : a + CHUNK * 4].float() @ W + b
        part = torch.nn.functional.cross_entropy(o, judge.y[a : a + CHUNK * 4], reduction="sum") / len(judge.X)
        part.backward()
        total += part.detach()
    penalty = judge.strength / 2 * (W**2).sum()
    penalty.backward()
    return total + penalty.detach()


def lbfgs(judge: Judge) -> Iterator[tuple[Any, Any]]:
    """torch.optim.LBFGS, strong Wolfe, memory 10; ten iterations at a time, since each call evaluates once more."""
    W, b = start_at_zero(judge)
    search = torch.optim.LBFGS(
        [W, b], max_iter=10, max_eval=10**6, history_size=10, tolerance_grad=0.0, tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Any:
        search.zero_grad()
        return backward(judge, W, b)

    while True:
        search.step(closure)
        yield W, b


def adam(judge: Judge, batch: int = 8192, rate: float = 1e-2, epochs: int = 200) -> Iterator[tuple[Any, Any]]:
    """Adam over shuffled batches, cosine schedule; an epoch at a time."""
    W, b = start_at_zero(judge)
    batch = min(batch, max(64, len(judge.X) // 20))
    optimizer = torch.optim.Adam([W, b], lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        order = torch.randperm(len(judge.X), device=judge.X.device)
        for a in range(0, len(order), batch):
            rows = order[a : a + batch]
            optimizer.zero_grad()
            o = judge.X[rows].float() @ W + b
            value = torch.nn.functional.cross_entropy(o, judge.y[rows]) + judge.strength / 2 * (W**2).sum()
            value.backward()
            optimizer.step()
        schedule.step()
        yield W, b


def naive(judge: Judge) -> Iterator[tuple[Any, Any]]:
    """Full gradient steps with momentum 0.9 and a fixed rate, the least that works for standardised columns."""
    W, b = start_at_zero(judge)
    rows = judge.X[:4096].float()
    rows = torch.cat([rows, torch.ones(len(rows), 1, device=rows.device)], dim=1)
    rate = 1.0 / float(torch.linalg.matrix_norm(rows, 2) ** 2 / len(rows) / 2 + judge.strength)
    optimizer = torch.optim.SGD([W, b], lr=rate, momentum=0.9, nesterov=True)
    while True:
        optimizer.zero_grad()
        backward(judge, W, b)
        optimizer.step()
        yield W, b


PEERS = {"torch L-BFGS": lbfgs, "torch Adam": adam, "gradient steps": naive}
