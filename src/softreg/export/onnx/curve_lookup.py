"""Search and linear interpolation in sorted numbers, for several columns at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softreg.export.onnx.graph_builder import GraphBuilder
from softreg.export.probability_maps import StepCurve
from softreg.export.program import (
    CurveTerm,
)

LARGEST = float(np.finfo(np.float64).max)
"""Bound of slopes between knots whose distance is almost 0: the product with a distance of 0 stays 0."""


def interpolate(graph: GraphBuilder, x: str, curves: Sequence[CurveTerm | StepCurve]) -> str:
    """Return each column of x (n, k) by linear interpolation through the knots of its curve, as `numpy.interp` does.

    The knot before x is found by bisection, in as many steps as the greatest number of knots has binary digits.

    Parameters
    ----------
    graph : GraphBuilder
        Graph.
    x : str
        Columns.
    curves : sequence of CurveTerm or StepCurve
        One curve a column.

    Returns
    -------
    str
        Values (n, k); nan where x is.
    """
    size = 1 << (max(len(curve.knots) for curve in curves) - 1).bit_length()
    knots = np.full((len(curves), size), np.inf)
    slopes, values = np.zeros(knots.shape), np.zeros(knots.shape)
    for row, curve in enumerate(curves):
        m = len(curve.knots)
        knots[row, :m], values[row, :m] = curve.knots, curve.values
        with np.errstate(all="ignore"):
            slope = np.diff(curve.values) / np.diff(curve.knots)
        slopes[row, : m - 1] = np.clip(np.where(np.isnan(slope), 0.0, slope), -LARGEST, LARGEST)
    least = graph.constant(knots[:, 0])
    greatest = graph.constant(np.array([curve.knots[-1] for curve in curves]))
    x = graph.node("Max", graph.node("Min", x, greatest), least)
    place = last_at_most(graph, x, knots)
    before, slope_at, value_at = (
        graph.node("Gather", graph.constant(table.ravel()), place) for table in (knots, slopes, values)
    )
    rise = graph.node("Mul", slope_at, graph.node("Sub", x, before))
    return graph.node("Add", rise, value_at)


def last_at_most(graph: GraphBuilder, x: str, knots: np.ndarray) -> str:
    """Return the place, in all knots row by row, of the last knot of the column's row that is at most x.

    Parameters
    ----------
    graph : GraphBuilder
        Graph.
    x : str
        Columns (n, k), each at least its first knot.
    knots : array of float64 (k, 2^m)
        Knots, ascending, with infinite ones at the end.

    Returns
    -------
    str
        Integers (n, k).
    """
    size = knots.shape[1]
    flat = graph.constant(knots.ravel())
    place = graph.constant(np.arange(len(knots), dtype=np.int64) * size)
    step = size // 2
    while step:
        candidate = graph.node("Add", place, graph.constant(np.array(step, np.int64)))
        reached = graph.node("LessOrEqual", graph.node("Gather", flat, candidate), x)
        place = graph.node("Where", reached, candidate, place)
        step //= 2
    return place
