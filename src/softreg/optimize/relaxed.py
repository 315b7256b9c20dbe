"""The relaxed elastic net: its l1 part chooses weights, and those chosen are fitted again with less of its pull.

The l1 part does two things at once: it holds most weights at 0, and pulls all others towards it. Enough of it to leave
out the columns that say nothing is often too much for those that do. So the first fit only says which weights live, the
*support* of each class, and the second minimises over weights on that support

    mean cross-entropy + strength * (relaxed * l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||^2).

Meinshausen (2007), Relaxed lasso.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from softreg.optimize.penalties import ElasticNet, elastic_net
from softreg.optimize.solution import Solution
from softreg.optimize.solve import minimise
from softreg.rows import Array, Rows

Weights = tuple[Array, Array]


def relaxed_net(strength: Array | float, l1_ratio: Array | float, relaxed: Array | float, W: Array) -> ElasticNet:
    """The elastic net with this share `relaxed` of its l1 part, on the support of weights W (m, d, q).

    Example:
        >>> penalty = relaxed_net(1.0, 0.5, 0.1, np.array([[[2.0, 0.0]]]))
        >>> penalty.l1, penalty.l2, penalty.support[0].tolist()
        (array([0.05]), array([0.5]), [[True], [False]])
    """
    full = elastic_net(strength, l1_ratio)
    return ElasticNet(full.l1 * relaxed, full.l2, np.ascontiguousarray(np.moveaxis(W != 0, 1, 2)))


def minimise_relaxed(
    rows: Rows,
    n_classes: int,
    strength: Array | float,
    l1_ratio: float,
    relaxed: float,
    *,
    start: Weights | None = None,
    second: Weights | None = None,
    **more: Any,
) -> tuple[tuple[Solution, ...], tuple[Solution, ...]]:
    """The elastic net of each model of a stack, and the minimum on its support with this share of the l1 part.

    `start` and `second` are weights W (m, d, q) and bias (m, q) to begin the two with; the second begins with the
    answers of the first where nothing better is known. With `relaxed` 1 both are the same. Each is certified by itself:
    the second as the minimum among all weights on the support. `more` is handed to `minimise`.

    Example:
        >>> from softreg.rows import as_rows
        >>> rows = as_rows(np.array([[0.0, 1], [1, 0], [2, 0], [3, 1]]), np.array([0, 0, 1, 1]))
        >>> (net,), (free,) = minimise_relaxed(rows, 2, 0.2, 0.5, 0.0)
        >>> bool((abs(free.W) > abs(net.W))[net.W != 0].all()), free.W[1].tolist(), free.gap <= 1e-6
        (True, [0.0, 0.0], True)
    """
    first = minimise(rows, n_classes, elastic_net(strength, l1_ratio), start=start, **more)
    if relaxed == 1:
        return first, first
    W = np.stack([fit.W for fit in first])
    begin = second or (W, np.stack([fit.b for fit in first]))
    return first, minimise(rows, n_classes, relaxed_net(strength, l1_ratio, relaxed, W), start=begin, **more)
