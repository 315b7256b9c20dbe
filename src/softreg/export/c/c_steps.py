"""Steps from logits to probabilities in C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from softreg.export.c.c_functions import with_prefix
from softreg.export.c.c_literals import double_literal, double_table, table
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


@dataclass(frozen=True)
class StepsSource:
    """The source in C from logits to probabilities.

    Attributes
    ----------
    source : str
        Constants and the function `@_finish(p)`, which returns 0 where no probabilities are defined.
    functions : frozenset of str
        Keys of `c_functions.FUNCTIONS` that it uses.
    """

    source: str
    functions: frozenset[str]


@dataclass(frozen=True)
class _Call:
    """A function, definitions of its constants, and its arguments after p."""

    function: str
    tables: tuple[str, ...]
    arguments: tuple[str, ...]


def steps_source(steps: Sequence[Step], prefix: str) -> StepsSource:
    """Return the source of the softmax and the steps after it.

    Parameters
    ----------
    steps : sequence of Step
        Steps.
    prefix : str
        Prefix of all names.

    Returns
    -------
    StepsSource
        Source, and the functions that it uses.

    Examples
    --------
    >>> print(steps_source([ShiftRates((0.5, 2.0))], "churn").source)
    static const double churn_step_ratio_0[2] = {
      0.5, 2.0
    };
    <BLANKLINE>
    /* Replaces logits by probabilities; returns 0 where none are defined. */
    static inline int churn_finish(double *p) {
      if (!churn_softmax(p)) return 0;
      if (!churn_shift_rates(p, churn_step_ratio_0)) return 0;
      return 1;
    }
    <BLANKLINE>
    """
    tables: list[str] = []
    functions, lines = {"softmax"}, ["  if (!@_softmax(p)) return 0;\n"]
    for place, step in enumerate(steps):
        call = _step(step, place)
        functions.add(call.function)
        tables += call.tables
        lines.append(f"  if (!@_{call.function}(p, {', '.join(call.arguments)})) return 0;\n")
    source = (
        "".join(tables)
        + "\n/* Replaces logits by probabilities; returns 0 where none are defined. */\n"
        + "static inline int @_finish(double *p) {\n"
        + "".join(lines)
        + "  return 1;\n}\n"
    )
    return StepsSource(with_prefix(source, prefix), frozenset(functions))


def _step(step: Step, place: int) -> _Call:
    """Return the call of a step, number `place`."""
    match step:
        case ReplaceZeros():
            return _Call("replace_zeros", (), (double_literal(step.floor), double_literal(step.smallest)))
        case ScaleLogs():
            return _with_tables("scale_logs", place, {"scale": step.scale, "bias": step.bias})
        case MixLogs():
            flat = [value for row in step.rows for value in row]
            return _with_tables("mix_logs", place, {"rows": flat, "bias": step.bias})
        case MixBoundedLogs():
            flat = [value for row in step.rows for value in row]
            call = _with_tables("mix_bounded_logs", place, {"rows": flat, "bias": step.bias})
            numbers = (double_literal(step.curve), double_literal(step.least))
            return _Call(call.function, call.tables, (*call.arguments, *numbers))
        case QuadraticLogOdds():
            values = (step.linear, step.square, step.constant, step.low, step.high, step.least)
            return _Call("quadratic_log_odds", (), tuple(map(double_literal, values)))
        case IsotonicShares():
            knots = [x for curve in step.curves for x in curve.knots]
            heights = [y for curve in step.curves for y in curve.values]
            starts = accumulate((len(curve.knots) for curve in step.curves), initial=0)
            call = _with_tables("isotonic_shares", place, {"knots": knots, "values": heights})
            return _Call(
                call.function,
                (*call.tables, table(f"uint32_t @_step_starts_{place}", map(str, starts))),
                (*call.arguments, f"@_step_starts_{place}", double_literal(step.kept)),
            )
        case ShiftRates():
            return _with_tables("shift_rates", place, {"ratio": step.ratio})


def _with_tables(function: str, place: int, tables: dict[str, Sequence[float]]) -> _Call:
    """Return the call of a function with tables of doubles."""
    definitions = (double_table(f"@_step_{end}_{place}", values) for end, values in tables.items())
    return _Call(function, tuple(definitions), tuple(f"@_step_{end}_{place}" for end in tables))
