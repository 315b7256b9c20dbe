"""Steps of a program after the softmax: maps of the probabilities of a row, as calibrators define them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReplaceZeros:
    """The zeros of a row share `floor`, each at most half the least positive probability and at least `smallest`.

    With z zeros, each becomes `max(min(floor / z, least / 2), smallest)`, and the row is divided by its sum.
    """

    floor: float
    smallest: float


@dataclass(frozen=True)
class ScaleLogs:
    """The probabilities `softmax(scale_k log P_k + bias_k)`."""

    scale: tuple[float, ...]
    bias: tuple[float, ...]


@dataclass(frozen=True)
class MixLogs:
    """The probabilities `softmax(log P @ W + b)`; `rows` are those of W (q, q)."""

    rows: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]


@dataclass(frozen=True)
class MixBoundedLogs:
    """The probabilities `softmax(l @ W + b - c log(1 - l))` with `l = max(log P, least)`; `rows` are those of W."""

    rows: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    curve: float
    least: float


@dataclass(frozen=True)
class QuadraticLogOdds:
    """Two classes with log-odds `linear z + square z^2 + constant` of the second.

    z is `max(log P_1, least) - max(log P_0, least)`, limited to low and high.
    """

    linear: float
    square: float
    constant: float
    low: float
    high: float
    least: float


@dataclass(frozen=True)
class StepCurve:
    """The map of one class by linear interpolation through (knots, values), constant beyond the first and the last."""

    knots: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class IsotonicShares:
    """Each probability by its curve, divided by their sum (P itself where that is 0), mixed with a share of P.

    The result is `(1 - kept) mapped + kept P`.
    """

    curves: tuple[StepCurve, ...]
    kept: float


@dataclass(frozen=True)
class ShiftRates:
    """The probabilities `P_k ratio_k`, divided by their sum."""

    ratio: tuple[float, ...]


Step = ReplaceZeros | ScaleLogs | MixLogs | MixBoundedLogs | QuadraticLogOdds | IsotonicShares | ShiftRates
"""A map of the probabilities of a row."""
