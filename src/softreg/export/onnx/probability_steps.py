"""Steps from the softmax to the probabilities of a calibrated model."""

from __future__ import annotations

import numpy as np

from softreg.export.onnx.curve_lookup import interpolate
from softreg.export.onnx.graph_builder import GraphBuilder
from softreg.export.probability_maps import (
    IsotonicShares,
    MixBoundedLogs,
    MixLogs,
    QuadraticLogOdds,
    ReplaceZeros,
    ScaleLogs,
    ShiftRates,
    Step,
)


def apply_step(graph: GraphBuilder, P: str, step: Step) -> str:
    """Return the probabilities after one step.

    Parameters
    ----------
    graph : GraphBuilder
        Graph.
    P : str
        Probabilities (n, q).
    step : Step
        Step.

    Returns
    -------
    str
        Probabilities (n, q).
    """
    match step:
        case ReplaceZeros():
            return _replace_zeros(graph, P, step)
        case ScaleLogs():
            scaled = graph.node("Mul", graph.node("Log", P), graph.constant(step.scale))
            return graph.softmax(graph.node("Add", scaled, graph.constant(step.bias)))
        case MixLogs():
            mixed = graph.node("MatMul", graph.node("Log", P), graph.constant(np.array(step.rows)))
            return graph.softmax(graph.node("Add", mixed, graph.constant(step.bias)))
        case MixBoundedLogs():
            return _mix_bounded_logs(graph, P, step)
        case QuadraticLogOdds():
            return _quadratic_log_odds(graph, P, step)
        case IsotonicShares():
            return _isotonic_shares(graph, P, step)
        case ShiftRates():
            return graph.shares(graph.node("Mul", P, graph.constant(step.ratio)))


def _mix_bounded_logs(graph: GraphBuilder, P: str, step: MixBoundedLogs) -> str:
    """Return probabilities by structured scaling."""
    logs = _bounded_logs(graph, P, step.least)
    mixed = graph.node(
        "Add", graph.node("MatMul", logs, graph.constant(np.array(step.rows))), graph.constant(step.bias)
    )
    if step.curve:
        bend = graph.node("Log", graph.node("Sub", graph.constant(1.0), logs))
        mixed = graph.node("Sub", mixed, graph.node("Mul", bend, graph.constant(step.curve)))
    return graph.softmax(mixed)


def _bounded_logs(graph: GraphBuilder, P: str, least: float) -> str:
    """Return the logarithms of probabilities, at least `least`."""
    logs, bound = graph.node("Log", P), graph.constant(least)
    return graph.node("Where", graph.node("Less", logs, bound), bound, logs)


def _quadratic_log_odds(graph: GraphBuilder, P: str, step: QuadraticLogOdds) -> str:
    """Return probabilities of two classes by a quadratic polynomial of their log-odds."""
    z = graph.node("MatMul", _bounded_logs(graph, P, step.least), graph.constant(np.array([[-1.0], [1.0]])))
    z = graph.node("Min", graph.node("Max", z, graph.constant(step.low)), graph.constant(step.high))
    slope = graph.node("Add", graph.node("Mul", z, graph.constant(step.square)), graph.constant(step.linear))
    odds = graph.node("Add", graph.node("Mul", z, slope), graph.constant(step.constant))
    return graph.softmax(graph.node("Mul", odds, graph.constant(np.array([[0.0, 1.0]]))))


def _replace_zeros(graph: GraphBuilder, P: str, step: ReplaceZeros) -> str:
    """Return probabilities without zeros."""
    zero = graph.node("Equal", P, graph.constant(0.0))
    count = graph.row_sum(graph.doubles(zero))
    positive = graph.node("Where", zero, graph.constant(np.inf), P)
    least = graph.node("ReduceMin", positive, graph.constant(np.array([1])), keepdims=1)
    half = graph.node("Mul", least, graph.constant(0.5))
    share = graph.node("Min", graph.node("Div", graph.constant(step.floor), count), half)
    share = graph.node("Max", share, graph.constant(step.smallest))
    changed = graph.shares(graph.node("Where", zero, share, P))
    return graph.node("Where", graph.node("Greater", count, graph.constant(0.0)), changed, P)


def _isotonic_shares(graph: GraphBuilder, P: str, step: IsotonicShares) -> str:
    """Return probabilities by the curve of each class, of which a share is kept."""
    mapped = interpolate(graph, P, step.curves)
    mass = graph.row_sum(mapped)
    shared = graph.node("Div", mapped, mass)
    shared = graph.node("Where", graph.node("Greater", mass, graph.constant(0.0)), shared, P)
    shared = graph.node("Mul", shared, graph.constant(1 - step.kept))
    return graph.node("Add", shared, graph.node("Mul", P, graph.constant(step.kept)))
