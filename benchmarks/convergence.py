"""How the gap falls with the passes over MNIST, with and without subsampled Hessian blocks and warm start.

python benchmarks/convergence.py    writes docs/convergence.svg and prints the passes to each gap
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
from foundation import DATA, MNIST_OPTIMUM
from matplotlib.figure import Figure

from softreg.optimize import l2, minimise
from softreg.optimize.plan import LIMITS
from softreg.rows import as_rows

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "convergence.svg"


def fits(X, y):
    """Name and fit of each way to the optimum: the last is softreg's own, in the others something is switched off."""
    cold = replace(LIMITS, warm_start_rows=len(X))
    diagonal = minimise(as_rows(X, y), 10, l2(1e-4), solver="lbfgs-diagonal", limits=cold)
    yield "diagonal of the Hessian, zero weights", diagonal[0]
    yield "subsampled Hessian blocks, zero weights", minimise(as_rows(X, y), 10, l2(1e-4), limits=cold)[0]
    yield "subsampled Hessian blocks, optimum of a tenth of the rows", minimise(as_rows(X, y), 10, l2(1e-4))[0]


def main() -> None:
    with np.load(DATA / "mnist.npz") as file:
        X = (file["x_train"].reshape(60000, 784) / 255).astype(np.float32)
        y = file["y_train"].astype(np.int64)
    matplotlib.rcParams.update({"svg.hashsalt": "softreg", "svg.fonttype": "none", "font.size": 10})
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for (name, fit), colour in zip(fits(X, y), ("#8a8f98", "#d1731f", "#1761a8"), strict=True):
        passes = [h.passes for h in fit.history]
        above = [max(h.value - MNIST_OPTIMUM, 1e-9) for h in fit.history]
        axes.semilogy(passes, above, color=colour, label=name)
        reached = [next(p for p, a in zip(passes, above, strict=True) if a < gap) for gap in (1e-3, 1e-4, 1e-5, 1e-6)]
        print(f"{name:<58s} passes to 1e-3, 1e-4, 1e-5, 1e-6: {reached}; certified {fit.gap:.1e} after {fit.passes}")
    axes.set_xlabel("passes over the rows")
    axes.set_ylabel("objective above its minimum, nats")
    axes.axhline(1e-6, color="#8a8f98", linewidth=0.8, linestyle="--")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
