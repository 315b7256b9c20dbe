"""How the gap falls with the passes over MNIST, with and without curvature sketch and warm start.

python benchmarks/convergence.py    writes docs/convergence.svg and prints the passes to each gap
"""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import matplotlib
import numpy as np
from foundation import DATA, MNIST_OPTIMUM
from matplotlib.figure import Figure

from softreg.optimize import l2, minimise
from softreg.optimize import minimisation as solve
from softreg.optimize.curvature import subsampled as precondition
from softreg.rows import as_rows

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "convergence.svg"


def start_at_zero(objective, name, sample, theta, tol):
    """In place of the warm start from a sample."""
    return theta


def fits(X, y):
    """Name and fit of each way to the optimum: the last is softreg's own, in the others something is switched off."""
    cold = mock.patch.object(solve, "_warm", start_at_zero)
    diagonal = mock.patch.object(precondition, "MAX_FEATURES", 0)
    with cold, diagonal:
        yield "diagonal of the curvature, from zero", minimise(as_rows(X, y), 10, l2(1e-4))[0]
    with cold:
        yield "sketched curvature, from zero", minimise(as_rows(X, y), 10, l2(1e-4))[0]
    yield "sketched curvature, from a tenth's answer", minimise(as_rows(X, y), 10, l2(1e-4))[0]


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
        print(f"{name:<45s} passes to 1e-3, 1e-4, 1e-5, 1e-6: {reached}; certified {fit.gap:.1e} after {fit.passes}")
    axes.set_xlabel("passes over the rows")
    axes.set_ylabel("objective above its minimum, nats")
    axes.axhline(1e-6, color="#8a8f98", linewidth=0.8, linestyle="--")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
