"""The relation of scikit-learn's C and l1_ratio to the strength and l1_ratio of softreg.

scikit-learn minimises `sum_i s_i loss_i + (l1_ratio ||W||_1 + (1 - l1_ratio) / 2 ||W||^2) / C`, softreg the mean loss
plus `strength * (l1_ratio ||W||_1 + (1 - l1_ratio) / 2 ||W||^2)`. Division by `N = sum_i s_i` gives `strength =
1 / (C N)`. For two classes scikit-learn penalises the one vector `w` of the log-odds. softreg has a vector for each
class; at the optimum they are `-w / 2` and `w / 2`, which have `||W||_1 = ||w||_1` and `||W||^2 = ||w||^2 / 2`. Its l2
part is therefore twice as strong for the same penalty of `w`, and its l1 part is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from softreg.typing import Array

MAX_STRENGTH = 1e300
"""Largest strength; beyond it sums of the objective overflow. All weights are 0 from much smaller ones on."""


@dataclass(frozen=True)
class PenaltyScale:
    """Strength of a penalty and the share of its l1 part, in the objective of softreg.

    Parameters
    ----------
    strength : float
        Strength, >= 0.
    l1_ratio : float
        Share of the l1 part.
    """

    strength: float
    l1_ratio: float


@dataclass(frozen=True)
class InverseScale:
    """C and the share of the l1 part, in the objective of scikit-learn.

    Parameters
    ----------
    C : float
        Inverse strength, > 0; inf without a penalty.
    l1_ratio : float
        Share of the l1 part.
    """

    C: float
    l1_ratio: float


def inverse_total(C: float, weight: Array | None, n: int) -> float:
    """Return `1 / (C N)`, where N is the sum of the row weights, without overflow in between.

    Parameters
    ----------
    C : float
        Inverse strength, > 0; inf without a penalty.
    weight : ndarray of shape (n,) or None
        Weights of the rows; None if all are 1.
    n : int
        Number of rows.

    Returns
    -------
    float
        Strength of the penalty of the mean loss.
    """
    largest = np.float64(1.0) if weight is None else np.float64(weight.max())
    total = np.float64(n) if weight is None else (np.asarray(weight, dtype=np.float64) / largest).sum()
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        return float(min(1 / np.float64(C) / total / largest, MAX_STRENGTH))


def to_softreg(strength: float, l1_ratio: float, n_classes: int) -> PenaltyScale:
    """Return the penalty of softreg for a penalty of scikit-learn's weights.

    Parameters
    ----------
    strength : float
        `1 / (C N)`.
    l1_ratio : float
        scikit-learn's `l1_ratio`.
    n_classes : int
        Number of classes.

    Returns
    -------
    PenaltyScale
        The penalty that gives the same fit.
    """
    if n_classes > 2:
        return PenaltyScale(strength, l1_ratio)
    factor = 2 - l1_ratio  # of the l1 part 1, of the l2 part 2
    return PenaltyScale(min(factor * strength, MAX_STRENGTH), l1_ratio / factor)


def penalty_name(scale: PenaltyScale) -> Literal["l2", "l1", "elasticnet"] | None:
    """Return the parameter `penalty` of `SoftmaxRegression` for a penalty."""
    if scale.strength == 0:
        return None
    if scale.l1_ratio in (0, 1):
        return "l1" if scale.l1_ratio else "l2"
    return "elasticnet"


def to_scikit_learn(scale: PenaltyScale, n_classes: int, total_weight: float) -> InverseScale:
    """Return C and l1_ratio for a penalty of softreg.

    Parameters
    ----------
    scale : PenaltyScale
        Penalty of softreg.
    n_classes : int
        Number of classes.
    total_weight : float
        Sum of the row weights N.

    Returns
    -------
    InverseScale
        The parameters that give the same fit.
    """
    l1_ratio = scale.l1_ratio if n_classes > 2 else 2 * scale.l1_ratio / (1 + scale.l1_ratio)
    factor = 1.0 if n_classes > 2 else 2 - l1_ratio
    inverse = scale.strength * total_weight
    return InverseScale(factor / inverse if inverse > 0 else float("inf"), l1_ratio)
