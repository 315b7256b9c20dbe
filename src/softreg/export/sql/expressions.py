"""Expressions of all dialects: balanced sums and conditions, searches, curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from softreg.export.sql.syntax import Syntax, signed

BRANCHES = 8
"""Operands of a group. Systems limit the depth of an expression (1,000 in DuckDB and SQLite), so sums are trees."""


def balanced(operator: str, parts: Sequence[str], empty: str) -> str:
    """Return operands joined by an associative operator, as a tree of small depth.

    Parameters
    ----------
    operator : str
        Operator, with blanks around it.
    parts : sequence of str
        Operands.
    empty : str
        The result without operands.

    Returns
    -------
    str
        Expression, in parentheses where it has an operator.

    Examples
    --------
    >>> balanced(" + ", list("abcdefghi"), "0")
    '((a + b + c + d + e + f + g + h) + i)'
    """
    level = list(parts) or [empty]
    while len(level) > 1:
        groups = [level[at : at + BRANCHES] for at in range(0, len(level), BRANCHES)]
        level = [f"({operator.join(group)})" if len(group) > 1 else group[0] for group in groups]
    return level[0]


@dataclass(frozen=True)
class Choice:
    """A value for a key; both are expressions."""

    key: str
    value: str


def search(subject: str, choices: Sequence[Choice]) -> str:
    """Return the value whose key equals the subject, NULL for none.

    Parameters
    ----------
    subject : str
        Expression.
    choices : sequence of Choice
        At least one, ordered by key.

    Returns
    -------
    str
        Nested CASE expressions, each of a few branches, so that few keys are compared.

    Examples
    --------
    >>> search("x", [Choice("1", "10"), Choice("2", "20")])
    'CASE x WHEN 1 THEN 10 WHEN 2 THEN 20 END'
    """
    if len(choices) <= BRANCHES:
        return f"CASE {subject} {' '.join(f'WHEN {one.key} THEN {one.value}' for one in choices)} END"
    size = -(-len(choices) // BRANCHES)
    parts = [choices[at : at + size] for at in range(0, len(choices), size)]
    whens = [f"WHEN {subject} < {after[0].key} THEN {search(subject, part)}" for part, after in pairwise(parts)]
    return f"CASE {' '.join(whens)} ELSE {search(subject, parts[-1])} END"


def curve(syntax: Syntax, x: str, knots: Sequence[float], values: Sequence[float]) -> str:
    """Return linear interpolation through (knots, values), constant beyond the first and the last knot.

    Parameters
    ----------
    syntax : Syntax
        Dialect.
    x : str
        A number that is not NULL.
    knots, values : sequence of float
        Knots in increasing order and values.

    Returns
    -------
    str
        Nested CASE expressions.
    """
    if len(knots) == 1:
        return syntax.number(values[0])
    first = f"WHEN {x} <= {syntax.exact(knots[0])} THEN {syntax.number(values[0])}"
    last = f"WHEN {x} >= {syntax.exact(knots[-1])} THEN {syntax.number(values[-1])}"
    return f"CASE {first} {last} ELSE {_segments(syntax, x, knots, values)} END"


def _segments(syntax: Syntax, x: str, knots: Sequence[float], values: Sequence[float]) -> str:
    """Return interpolation within the range of the knots."""
    segments = len(knots) - 1
    if segments == 1:
        rise = values[1] - values[0]
        start = syntax.number(values[0])
        if rise == 0:
            return start
        share = syntax.scaled(x, knots[0], knots[1] - knots[0], bounded=True, limit=1.0)
        return f"{start} + {share} * {signed(syntax.number(rise))}"
    size = -(-segments // BRANCHES)
    starts = list(range(0, segments, size))
    parts = [_segments(syntax, x, knots[at : at + size + 1], values[at : at + size + 1]) for at in starts]
    whens = [f"WHEN {x} < {syntax.exact(knots[at])} THEN {part}" for at, part in zip(starts[1:], parts, strict=False)]
    return f"CASE {' '.join(whens)} ELSE {parts[-1]} END"
