"""The relaxed elastic net: its l1 part chooses weights, and those chosen are fitted again with less of its pull.

The l1 part does two things at once: it holds most weights at 0, and pulls all others towards it. Enough of it to leave
out the columns that say nothing is often too much for those that do. So the first fit only says which weights live, the
*support* of each class, and the second minimises over weights on that support

    mean cross-entropy + strength * (relaxed * l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||^2).

Its solver is that of the first: a weight that is held at 0 is one that no pull is strong enough for. So are its proofs,
since duality asks nothing of a column on which no weight may live.

Meinshausen (2007), Relaxed lasso.
"""

from __future__ import annotations

import numpy as np

from softreg.optimize.problem.elastic_net import ElasticNet, elastic_net
from softreg.rows import Array


def relaxed_net(strength: Array | float, l1_ratio: Array | float, relaxed: Array | float, W: Array) -> ElasticNet:
    """The elastic net with the share `relaxed` of its l1 part, on the support of weights W (m, d, q).

    Example:
        >>> penalty = relaxed_net(1.0, 0.5, 0.1, np.array([[[2.0, 0.0]]]))
        >>> penalty.l1, penalty.l2, penalty.support.tolist()
        (array([0.05]), array([0.5]), [[[True], [False]]])
    """
    full = elastic_net(strength, l1_ratio)
    return ElasticNet(full.l1 * relaxed, full.l2, np.ascontiguousarray(np.moveaxis(W != 0, 1, 2)))
