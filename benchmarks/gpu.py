"""softreg on a GPU: a pass against the limits of the machine, fits against what people write with torch.

    python benchmarks/gpu.py [--device cuda] [--out gpu.md] [--limit 20] [--only mnist,probe] [--small]

Needs numpy, scipy, scikit-learn, threadpoolctl, narwhals, safetensors and torch, and Triton for the fused kernel; of
softreg a mere copy of the repository beside this file will do. Meant to take under ten minutes on an H200.
`--small --device cpu` checks the script itself in seconds: its figures mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("numpy", "scipy", "sklearn", "threadpoolctl", "narwhals", "safetensors", "torch")


def check() -> None:
    """Say what is missing, all of it at once, and stop."""
    missing = []
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        sys.exit(f"Missing in {sys.executable}: {', '.join(missing)}. Install them, or name another Python.")
    try:
        importlib.import_module("softreg")
    except ImportError:
        sys.path.insert(0, str(ROOT / "src"))
    if importlib.util.find_spec("triton") is None:
        print("Triton is not installed: few classes go through matrix products, not through the fused kernel.")


@dataclass(frozen=True)
class Shape:
    """A problem: n rows, d columns, q classes; `rank` directions in which the columns move together."""

    name: str
    n: int
    d: int
    q: int
    strength: float
    gap: float

    def small(self) -> Shape:
        return Shape(self.name, 3000, 24, min(self.q, 40), 1e-3, self.gap)


SHAPES = (
    Shape("mnist", 60_000, 784, 10, 1e-4, 1e-6),
    Shape("probe", 1_281_167, 768, 1000, 1e-6, 1e-4),
    Shape("embeddings", 1_000_000, 1024, 100, 1e-6, 1e-4),
    Shape("tall", 5_000_000, 512, 10, 1e-6, 1e-4),
)


def make(shape: Shape, device: Any) -> tuple[Any, Any]:
    """Classes about centres of their own, columns of falling spread that move together, a tenth of the labels wrong."""
    import torch

    random = torch.Generator(device=device).manual_seed(0)

    def normal(*size: int) -> Any:
        return torch.randn(*size, generator=random, device=device)

    n, d, q = shape.n, shape.d, shape.q
    spread = torch.arange(1, d + 1, device=device) ** -0.5
    mix = normal(d, d) * spread[:, None] / d**0.5 * 4
    centres = normal(q, d) * 1.2
    y = torch.randint(0, q, (n,), generator=random, device=device)
    X = torch.empty(n, d, device=device)
    for a in range(0, n, 100_000):
        rows = X[a : a + 100_000]
        rows[:] = (centres[y[a : a + 100_000]] + normal(*rows.shape)) @ mix
    X /= X[:100_000].std()
    wrong = torch.rand(n, generator=random, device=device) < 0.1
    return X, torch.where(wrong, torch.randint(0, q, (n,), generator=random, device=device), y)


# --- limits and passes --------------------------------------------------------------------------------------------


def seconds(work: Callable[[], object], device: Any, rounds: int = 7) -> float:
    """The median over rounds, after one that does not count."""
    from gpu_peers import synchronise

    spent = []
    for _ in range(rounds + 1):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        spent.append(time.perf_counter() - start)
    return sorted(spent[1:])[rounds // 2]


def limits(device: Any, small: bool) -> dict[str, float]:
    """What the device does: bytes a second that a copy moves (read and written), operations a second by precision."""
    import torch

    size = 1 << (20 if small else 30)
    source, target = (torch.empty(size, device=device) for _ in "ab")
    found = {"copy": 2 * 4 * size / seconds(lambda: target.copy_(source), device)}
    side = 256 if small else 8192
    A, B = (torch.randn(side, side, device=device) for _ in "ab")
    before = torch.get_float32_matmul_precision()
    for name, precision in (("float32", "highest"), ("tf32", "high")):
        if device.type == "cuda":
            torch.set_float32_matmul_precision(precision)
        found[name] = 2 * side**3 / seconds(lambda: A @ B, device)
    torch.set_float32_matmul_precision(before)
    half = A.bfloat16(), B.bfloat16()
    found["bfloat16"] = 2 * side**3 / seconds(lambda: half[0] @ half[1], device)
    return found


def passes(shape: Shape, X: Any, y: Any, limit: dict[str, float], device: Any) -> list[dict[str, Any]]:
    """Milliseconds of a pass, in reduced and full precision, and the part of the limit that it reaches."""
    import os

    import numpy as np

    from softreg.optimize.plan.strategies import objective_for
    from softreg.optimize.problem.penalty_table import l2
    from softreg.optimize.problem.standardization import standardise
    from softreg.rows import OnDevice
    from softreg.rows.gpu import triton_pass, triton_residual
    from softreg.rows.gpu.device_rows import TorchRows

    lines, labels = [], y.cpu().numpy()
    ways = ("products, single operations", "products, residual kernel", "fused kernel")
    for kind in ("float32", "bfloat16"):
        stored = OnDevice(X if kind == "float32" else X.bfloat16(), device)
        for reduced_precision in (True, False):
            rows = TorchRows(stored, labels, reduced_precision=reduced_precision)
            moved, coordinates = standardise(rows, centred=True)
            objective = objective_for(moved, shape.q, l2(shape.strength), coordinates)
            theta = np.random.default_rng(0).normal(size=(1, shape.q, shape.d + 1)) * 0.01
            fused = triton_pass.supports(device, 1, shape.q)
            for compiled in (True, False):
                if compiled and not (fused or triton_residual.supports(device, shape.q)):
                    continue
                os.environ["SOFTREG_KERNELS"] = "1" if compiled else "0"
                took = seconds(lambda o=objective, t=theta: o.evaluate(t), device, 5)
                read = stored.tensor.element_size() * shape.n * shape.d / limit["copy"]
                rate = limit["tf32" if reduced_precision or (fused and compiled) else "float32"]
                work = 4 * shape.n * shape.d * shape.q / rate
                lines.append(
                    {"shape": shape.name, "stored": kind, "products": "tf32" if reduced_precision else "float32",
                     "way": ways[compiled + (compiled and fused)], "ms": 1e3 * took,
                     "limit": "reading" if read > work else "products", "part": max(read, work) / took}
                )  # fmt: skip
            os.environ.pop("SOFTREG_KERNELS", None)
    return lines


def streamed(shape: Shape, X: Any, y: Any, device: Any) -> dict[str, Any]:
    """Bytes a second of rows that stay in the host's memory, over a whole pass, beside a pinned copy alone."""
    import numpy as np
    import torch

    from softreg.optimize.plan.strategies import objective_for
    from softreg.optimize.problem.penalty_table import l2
    from softreg.optimize.problem.standardization import Coordinates
    from softreg.rows import OnDevice
    from softreg.rows.gpu.device_rows import TorchRows

    few = min(len(X), (4 << 30) // (4 * shape.d))
    host, there = X[:few].cpu(), torch.empty_like(X[:few])
    rows = TorchRows(OnDevice(host, device, streamed=True), y[:few].cpu().numpy())
    d = shape.d
    objective = objective_for(
        rows, shape.q, l2(shape.strength), Coordinates(np.zeros(d), np.ones(d), np.zeros(d, bool))
    )
    took = seconds(lambda: objective.evaluate(np.zeros((1, shape.q, d + 1))), device, 3)
    pinned = host.pin_memory() if device.type == "cuda" else host
    copy = seconds(lambda: there.copy_(pinned, non_blocking=True), device, 3)
    size = host.numel() * 4
    return {"shape": shape.name, "GB": size / 1e9, "GB/s": size / took / 1e9, "bus GB/s": size / copy / 1e9}


# --- fits ---------------------------------------------------------------------------------------------------------


def fits(shape: Shape, X: Any, y: Any, device: Any, limit: float) -> list[dict[str, Any]]:
    """Seconds of softreg to a certified gap, and of its peers to the same gap as a judge sees it."""
    from gpu_peers import PEERS, Judge, race, synchronise

    from softreg import SoftmaxRegression

    place = f"{device}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        SoftmaxRegression(shape.strength, device=place, max_iter=2).fit(X[:5000], y[:5000])  # what is compiled once
    synchronise(device)
    start = time.perf_counter()
    model = SoftmaxRegression(shape.strength, device=place, tol=shape.gap).fit(X, y)
    took, found = time.perf_counter() - start, model.solution_
    say(f"{shape.name}: softreg {took:.2f} s, {found.passes} passes, gap {found.gap:.1e}")
    lines = [{"shape": shape.name, "who": "softreg", "seconds": took, "gap": found.gap, "steps": found.passes,
              "reached": found.gap <= shape.gap}]  # fmt: skip
    judge = Judge(X, y, shape.q, shape.strength)
    import torch

    W, b = (torch.tensor(a, dtype=torch.float32, device=device) for a in (model.coef_.T, model.intercept_))
    seen = judge.objective(W, b)
    assert abs(seen - found.value) < 1e-4 + shape.gap, f"the judge sees {seen}, softreg says {found.value}"
    torch.set_float32_matmul_precision("high" if device.type == "cuda" else "highest")
    for name, steps in PEERS.items():
        line = race(lambda steps=steps: steps(judge), judge, found.value - found.gap, shape.gap, limit)
        say(f"{shape.name}: {name} {line}")
        lines.append({"shape": shape.name, "who": name, **line})
    torch.set_float32_matmul_precision("highest")
    return lines


def stack(X: Any, y: Any, device: Any) -> dict[str, Any]:
    """Seconds of five folds and all strengths on the device."""
    from softreg import SoftmaxRegressionCV

    start = time.perf_counter()
    model = SoftmaxRegressionCV(device=f"{device}").fit(X, y)
    return {"seconds": time.perf_counter() - start, "strengths": len(model.path_.strength), "chosen": model.strength_}


# --- the table ----------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, flush=True)


def table(found: dict[str, Any]) -> str:
    """All figures as a page in Markdown."""
    limit = found["limits"]
    out = [
        f"{found['machine']}. A copy moves {limit['copy'] / 1e12:.2f} TB/s (read and written); matrix products do "
        f"{limit['float32'] / 1e12:.1f} TFLOP/s in float32, {limit['tf32'] / 1e12:.1f} in TF32, "
        f"{limit['bfloat16'] / 1e12:.1f} in bfloat16.",
        "",
        "| problem | rows stored in | products | way | ms a pass | of the limit |",
        "| --- | --- | --- | --- | ---: | --- |",
    ]
    for p in found["passes"]:
        out.append(
            f"| {p['shape']} | {p['stored']} | {p['products']} | {p['way']} | {p['ms']:.2f} | "
            f"{p['part']:.0%} ({p['limit']}) |"
        )
    out += ["", "| problem | who | seconds | gap | steps |", "| --- | --- | ---: | ---: | ---: |"]
    for f in found["fits"]:
        time_text = f"{f['seconds']:.2f}" if f["reached"] else f"not after {f['seconds']:.0f}"
        out.append(f"| {f['shape']} | {f['who']} | {time_text} | {f['gap']:.1e} | {f['steps']} |")
    for s in found["streamed"]:
        line = f"{s['GB']:.1f} GB: {s['GB/s']:.1f} GB/s in a pass, the bus alone {s['bus GB/s']:.1f} GB/s."
        out += ["", f"Streamed from the host, {s['shape']}, {line}"]
    if found["stack"]:
        s = found["stack"]
        out += [
            "",
            f"Five folds and {s['strengths']} strengths of mnist: {s['seconds']:.1f} s (chosen {s['chosen']:.2g}).",
        ]
    return "\n".join(out) + "\n"


def main() -> None:
    """Measure, print and write."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--device", default="cuda")
    arguments.add_argument("--out", type=Path, default=Path("gpu.md"))
    arguments.add_argument("--limit", type=float, default=20.0, help="seconds of each peer")
    arguments.add_argument("--only", default="", help="names of problems, with commas")
    arguments.add_argument("--small", action="store_true", help="tiny problems, to check the script")
    given = arguments.parse_args()
    check()
    import torch

    from softreg.rows.gpu.device_array import find_device

    device = find_device(given.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"a CPU ({platform.machine()})"
    found: dict[str, Any] = {"machine": f"{name}, torch {torch.__version__}", "limits": limits(device, given.small),
                             "passes": [], "fits": [], "streamed": [], "stack": None}  # fmt: skip
    say(f"{found['machine']}: {found['limits']}")
    for shape in SHAPES:
        if given.only and shape.name not in given.only.split(","):
            continue
        shape = shape.small() if given.small else shape
        X, y = make(shape, device)
        parts: list[tuple[str, Callable[[], Any]]] = [
            ("passes", lambda s=shape, X=X, y=y: passes(s, X, y, found["limits"], device)),
            ("fits", lambda s=shape, X=X, y=y: fits(s, X, y, device, given.limit)),
            ("streamed", lambda s=shape, X=X, y=y: [streamed(s, X, y, device)]),
        ]
        for part, work in parts:
            try:
                found[part] += work()
            except Exception as error:  # the rest is worth having all the same
                if given.small:
                    raise
                say(f"{shape.name}, {part}: {type(error).__name__}: {error}")
        if shape.name == "mnist":
            found["stack"] = stack(X, y, device)
        del X, y, parts
        given.out.write_text(table(found), "utf-8")
        given.out.with_suffix(".json").write_text(json.dumps(found, indent=1), "utf-8")
    say(given.out.read_text("utf-8"))


if __name__ == "__main__":
    main()
