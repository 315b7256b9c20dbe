"""The relaxed elastic net: the l1 part selects weights, and the selected ones are fitted again with less of it.

The l1 part sets most weights to 0 and shrinks the others. A strength that excludes the uninformative columns often
shrinks the weights of the informative ones too much. The first fit therefore determines only the support, the weights
of each class that are not 0, and the second minimises over weights on the support

    mean cross-entropy + strength * (relaxed * l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||^2).

Solver and certificate are those of the elastic net: a weight outside the support is one with an infinite l1 strength,
whose conjugate is 0.

References
----------
Meinshausen (2007), Relaxed lasso.
"""

from __future__ import annotations

import numpy as np

from softreg.optimize.problem.elastic_net import ElasticNet, elastic_net
from softreg.rows import Array


def relaxed_net(strength: Array | float, l1_ratio: Array | float, relaxed: Array | float, W: Array) -> ElasticNet:
    """Return the elastic net with the share `relaxed` of its l1 part, on the support of W.

    Parameters
    ----------
    strength, l1_ratio : float or array of shape (m,)
        As for `elastic_net`.
    relaxed : float or array of shape (m,)
        Share of the l1 part that is left, between 0 and 1.
    W : array of shape (m, d, q)
        Weights of the first fit.

    Returns
    -------
    ElasticNet
        The penalty of m models.

    Examples
    --------
    >>> penalty = relaxed_net(1.0, 0.5, 0.1, np.array([[[2.0, 0.0]]]))
    >>> penalty.l1, penalty.l2, penalty.support.tolist()
    (array([0.05]), array([0.5]), [[[True], [False]]])
    """
    full = elastic_net(strength, l1_ratio)
    return ElasticNet(full.l1 * relaxed, full.l2, np.ascontiguousarray(np.moveaxis(W != 0, 1, 2)))
