"""The contestants: one file `bench_<peer>.py` each, with PACKAGE (as pip knows it), MODULE (as Python does)
and `contestants(facts)`.

To enter a peer, copy one of these files: it says which settings make its model the same as the problem's, how to fit at
one setting, and where the weights are afterwards.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

Weights = tuple[np.ndarray, np.ndarray]
"""W (d, q) and b (q,) of the softmax model in float64."""


@dataclass(frozen=True)
class Facts:
    """What a peer may know of a problem before it sees the data."""

    n: int
    d: int
    q: int
    strength: float
    sparse: bool
    dtype: np.dtype
    l1_ratio: float = 0.0
    """Share of the l1 part: the penalty is strength * (l1_ratio ||W||_1 + (1 - l1_ratio) / 2 ||W||^2)."""


@dataclass(frozen=True)
class Contestant:
    """One solver of one peer: `fit(X, y, setting)` is timed, `weights(model)` is not.

    `ladder` goes from coarse to fine: tolerances, or iterations (`whole`: settings are whole numbers). The setting None
    is the peer's defaults, where `defaults`. `dtype` is what the data are cast to before the clock starts.
    """

    name: str
    fit: Callable[[Any, np.ndarray, float | None], Any]
    weights: Callable[[Any], Weights]
    ladder: tuple[float, ...]
    whole: bool = False
    defaults: bool = True
    dtype: str | None = None


def estimator_weights(model: Any) -> Weights:
    """Weights of a scikit-learn-like model; a single column of log-odds becomes two halves: the same probabilities."""
    W, b = np.asarray(model.coef_, dtype=np.float64).T, np.asarray(model.intercept_, dtype=np.float64).ravel()
    if W.shape[1] == 1:
        return np.concatenate([-W, W], axis=1) / 2, np.concatenate([-b, b]) / 2
    return W, b


def one_column_penalty(facts: Facts) -> tuple[float, float]:
    """Strengths of the l1 and l2 parts; for two classes of one column, which stands for two of half its size."""
    l2 = facts.strength * (1 - facts.l1_ratio)
    return facts.strength * facts.l1_ratio, l2 / 2 if facts.q == 2 else l2


def scikit_learn_penalty(facts: Facts) -> dict[str, float]:
    """C and l1_ratio of scikit-learn."""
    l1, l2 = one_column_penalty(facts)
    return {"C": 1 / (facts.n * (l1 + l2)), "l1_ratio": l1 / (l1 + l2)}


def peers() -> list[ModuleType]:
    """Every file of this folder, softreg first."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    names.sort(key=lambda name: name != "bench_softreg")
    return [importlib.import_module(f"peers.{name}") for name in names]


def installed(module: ModuleType) -> bool:
    return importlib.util.find_spec(module.MODULE) is not None


def version(module: ModuleType) -> str:
    return f"{module.PACKAGE} {importlib.metadata.version(module.PACKAGE)}"
