"""Stages from logits to probabilities, and the steps after the softmax."""

from __future__ import annotations

from collections.abc import Sequence

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
from softreg.export.sql.expressions import balanced, curve
from softreg.export.sql.stages import Stages
from softreg.export.sql.syntax import LARGEST, Syntax, signed

Values = tuple[str, ...]
"""References of the numbers of all classes."""


def total(values: Sequence[str], syntax: Syntax) -> str:
    """Return a sum.

    Parameters
    ----------
    values : sequence of str
        Operands.
    syntax : Syntax
        Dialect.

    Returns
    -------
    str
        Operand.
    """
    return balanced(" + ", values, syntax.number(0))


def weighted(values: Sequence[str], weights: Sequence[float], constant: float, syntax: Syntax) -> str:
    """Return a constant and the sum of values times weights; weights of 0 are left out.

    Parameters
    ----------
    values : sequence of str
        Operands.
    weights : sequence of float
        Weights.
    constant : float
        Constant.
    syntax : Syntax
        Dialect.

    Returns
    -------
    str
        Operand.
    """
    products = [
        value if weight == 1 else f"{value} * {signed(syntax.number(weight))}"
        for value, weight in zip(values, weights, strict=True)
        if not syntax.is_zero_weight(weight)
    ]
    return total([syntax.number(constant), *products], syntax)


def softmax(stages: Stages, logits: Sequence[str], keep: Sequence[str] = ()) -> Values:
    """Add the stages of a softmax, NULL where a logit is not a finite number.

    Parameters
    ----------
    stages : Stages
        Stages.
    logits : sequence of str (q,)
        Expressions in terms of the last stage.
    keep : sequence of str
        Unused columns that remain.

    Returns
    -------
    tuple of str (q,)
        Probabilities.
    """
    syntax = stages.syntax
    z = stages.add_vector("z", logits, keep)
    finite = f"abs({total(z, syntax)}) <= {syntax.number(LARGEST)}"
    greatest = f"CASE WHEN {finite} THEN {syntax.extreme(z, greatest=True)} END"
    stages.add({"m": greatest}, keep=stages.names)
    d = stages.add_vector("d", [f"{value} - m" for value in z])
    e = stages.add_vector("e", [syntax.exponential(value) for value in d])
    return shares(stages, e)


def shares(stages: Stages, values: Values, keep: Sequence[str] = ()) -> Values:
    """Add the stages that divide numbers by their sum, NULL where it is 0.

    Parameters
    ----------
    stages : Stages
        Stages.
    values : tuple of str (q,)
        Columns of the last stage.
    keep : sequence of str
        Other columns that remain.

    Returns
    -------
    tuple of str (q,)
        Shares.
    """
    syntax = stages.syntax
    stages.add({"s": total(values, syntax)}, keep=stages.names)
    positive = f"s > {syntax.number(0)}"
    return stages.add_vector("p", [f"CASE WHEN {positive} THEN {syntax.quotient(v, 's')} END" for v in values], keep)


def add_step(stages: Stages, step: Step, P: Values) -> Values:
    """Add the stages of a step.

    Parameters
    ----------
    stages : Stages
        Stages.
    step : Step
        Step.
    P : tuple of str (q,)
        Probabilities, the columns of the last stage.

    Returns
    -------
    tuple of str (q,)
        Probabilities.
    """
    syntax = stages.syntax
    match step:
        case ReplaceZeros():
            return _replace_zeros(stages, step, P)
        case ScaleLogs():
            L = stages.add_vector("l", [f"ln({p})" for p in P])
            each = zip(L, step.scale, step.bias, strict=True)
            return softmax(stages, [weighted([log], [scale], bias, syntax) for log, scale, bias in each])
        case MixLogs():
            L = stages.add_vector("l", [f"ln({p})" for p in P])
            return softmax(
                stages, [weighted(L, [row[k] for row in step.rows], bias, syntax) for k, bias in enumerate(step.bias)]
            )
        case MixBoundedLogs():
            return _mix_bounded_logs(stages, step, P)
        case QuadraticLogOdds():
            return _quadratic_log_odds(stages, step, P)
        case IsotonicShares():
            return _isotonic(stages, step, P)
        case ShiftRates():
            values = [
                syntax.number(0) if ratio == 0 else syntax.product(p, ratio)
                for p, ratio in zip(P, step.ratio, strict=True)
            ]
            nulls = f"CASE WHEN {P[0]} IS NOT NULL THEN {{}} END"
            return shares(stages, stages.add_vector("v", [nulls.format(value) for value in values]))


def _mix_bounded_logs(stages: Stages, step: MixBoundedLogs, P: Values) -> Values:
    """Add the stages of structured scaling."""
    syntax = stages.syntax
    one = syntax.number(1)
    L = _bounded_logs(stages, step.least, P)
    logits = [weighted(L, [row[k] for row in step.rows], bias, syntax) for k, bias in enumerate(step.bias)]
    if not syntax.is_zero_weight(step.curve):
        bend = signed(syntax.number(-step.curve))
        logits = [f"{logit} + {bend} * ln({one} - {log})" for logit, log in zip(logits, L, strict=True)]
    return softmax(stages, logits)


def _bounded_logs(stages: Stages, least: float, P: Values) -> Values:
    """Add the stage of logarithms of at least `least`."""
    bound = signed(stages.syntax.number(least))
    return stages.add_vector("l", [f"CASE WHEN ln({p}) < {bound} THEN {bound} ELSE ln({p}) END" for p in P])


def _quadratic_log_odds(stages: Stages, step: QuadraticLogOdds, P: Values) -> Values:
    """Add the stages of a quadratic polynomial of the log-odds of two classes."""
    syntax = stages.syntax
    low, high = (signed(syntax.number(value)) for value in (step.low, step.high))
    first, second = _bounded_logs(stages, step.least, P)
    stages.add({"w": f"{second} - {first}"})
    stages.add({"w": f"CASE WHEN w < {low} THEN {low} WHEN w > {high} THEN {high} ELSE w END"})
    slope, constant = weighted(["w"], [step.square], step.linear, syntax), signed(syntax.number(step.constant))
    return softmax(stages, [f"CASE WHEN w IS NOT NULL THEN {syntax.number(0)} END", f"{slope} * w + {constant}"])


def _replace_zeros(stages: Stages, step: ReplaceZeros, P: Values) -> Values:
    """Add the stages that replace zeros."""
    syntax = stages.syntax
    number, zero = syntax.number, syntax.number(0)
    count = total([f"CASE WHEN {p} = {zero} THEN {number(1)} ELSE {zero} END" for p in P], syntax)
    positive = [f"CASE WHEN {p} > {zero} THEN {p} ELSE {number(1)} END" for p in P]
    least = syntax.extreme(positive, greatest=False)
    stages.add({"n": count, "a": least}, keep=stages.names)
    ends = [f"{number(step.floor)} / n", syntax.half("a")]
    inner = syntax.extreme(ends, greatest=False)
    share = f"CASE WHEN n > {zero} THEN {syntax.extreme([inner, number(step.smallest)], greatest=True)} END"
    stages.add({"h": share}, keep=stages.names)
    Q = stages.add_vector("q", [f"CASE WHEN {p} = {zero} THEN h ELSE {p} END" for p in P], keep=["n"])
    stages.add({"s": total(Q, syntax)}, keep=stages.names)
    return stages.add_vector("p", [f"CASE WHEN n > {zero} THEN {syntax.quotient(q, 's')} ELSE {q} END" for q in Q])


def _isotonic(stages: Stages, step: IsotonicShares, P: Values) -> Values:
    """Add the stages of isotonic calibration."""
    syntax = stages.syntax
    names, zero = stages.names, syntax.number(0)
    known = f"CASE WHEN {P[0]} IS NOT NULL THEN {{}} END"
    mapped = [known.format(curve(syntax, p, one.knots, one.values)) for p, one in zip(P, step.curves, strict=True)]
    C = stages.add_vector("v", mapped, keep=names)
    stages.add({"s": total(C, syntax)}, keep=stages.names)
    values = [f"CASE WHEN s > {zero} THEN {syntax.quotient(c, 's')} ELSE {p} END" for c, p in zip(C, P, strict=True)]
    S = stages.add_vector("g", values, keep=names)
    parts = [
        total(
            [
                syntax.product(part, factor)
                for part, factor in ((share_of_class, 1 - step.kept), (p, step.kept))
                if factor
            ],
            syntax,
        )
        for share_of_class, p in zip(S, P, strict=True)
    ]
    return stages.add_vector("p", parts)
