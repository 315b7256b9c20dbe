"""The table of penalties by name, and the one function that makes a penalty from it.

A further penalty is a class in a file of its own that implements `penalty_protocol.Penalty`, and one line of
`PENALTIES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from softreg.optimize.problem.column_groups import ColumnGroups
from softreg.optimize.problem.elastic_net import ElasticNet, elastic_net, l2
from softreg.optimize.problem.group_penalty import group_penalty
from softreg.optimize.problem.penalty_protocol import Penalty, Trait
from softreg.optimize.problem.weighted_elastic_net import WeightedElasticNet, WeightTerms
from softreg.typing import Array

__all__ = ["PENALTIES", "ElasticNet", "Penalty", "PenaltyFamily", "Trait", "elastic_net", "l2", "make_penalty"]


Structure = WeightTerms | ColumnGroups
"""What a penalty knows about single weights or about columns."""


@dataclass(frozen=True)
class PenaltyFamily:
    """Penalties of one name, which differ by their strength and the share of their nonsmooth part.

    Parameters
    ----------
    make : callable
        Makes the penalty of m models from arrays of strengths and shares.
    share : float or None
        The share of the nonsmooth part, in [0, 1]; None if the user chooses it (`l1_ratio`).
    separable : bool
        Whether it is a sum over single weights, as relaxed fits, leave-one-out and mini-batch steps need.
    """

    make: Callable[[Array | float, Array | float], Penalty]
    share: float | None
    separable: bool = True


PENALTIES = {
    "l2": PenaltyFamily(elastic_net, 0.0),
    "l1": PenaltyFamily(elastic_net, 1.0),
    "elasticnet": PenaltyFamily(elastic_net, None),
    "group": PenaltyFamily(group_penalty, 1.0, separable=False),
}
"""Penalties by the name that estimators use."""


def make_penalty(
    name: str | None, strength: Array | float, share: Array | float, structure: Structure | None = None
) -> Penalty:
    """Return a penalty of the table.

    Parameters
    ----------
    name : str or None
        A key of `PENALTIES`; None is no penalty, whatever the strength.
    strength, share : float or array of shape (m,)
        Strengths, and shares of the nonsmooth part.
    structure : WeightTerms or ColumnGroups, optional
        Factors and bounds of single weights, for a penalty that is a sum over weights; or groups of columns, for the
        penalty "group".

    Returns
    -------
    Penalty
        The penalty of m models.

    Examples
    --------
    >>> make_penalty("l1", 0.5, 1.0)
    ElasticNet(l1=array([0.5]), l2=array([0.]), support=None)
    """
    if name is None:
        penalty: Penalty = l2(0.0 * strength)
    elif isinstance(structure, ColumnGroups):
        return group_penalty(strength, share, structure)
    else:
        penalty = PENALTIES[name].make(strength, share)
    if structure is None:
        return penalty
    assert isinstance(penalty, ElasticNet), "factors and bounds need a penalty that is a sum over weights"
    assert isinstance(structure, WeightTerms)
    return WeightedElasticNet(penalty.l1, penalty.l2, structure)
