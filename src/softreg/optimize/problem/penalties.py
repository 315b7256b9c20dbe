"""Penalties by name, and the names that other packages import."""

from __future__ import annotations

from softreg.optimize.problem.elastic_net import ElasticNet, elastic_net, l2
from softreg.optimize.problem.penalty_protocol import Penalty, Trait

__all__ = ["ElasticNet", "Penalty", "Trait", "elastic_net", "l2"]
