"""The options `--terms`, `--smooth`, `--interact`, `--pool`, `--linear`, `--monotone` and `--terms-seconds`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any, TypeVar, cast

import click

Command = TypeVar("Command", bound=Callable[..., Any])

NAMES = ("--terms", "--smooth", "--interact", "--pool", "--linear", "--monotone", "--terms-seconds")
"""The options."""


@dataclass(frozen=True)
class TermArguments:
    """Values of the options; the fields have their names.

    Attributes
    ----------
    terms : str or None
        "auto" or "linear"; None where it is not given.
    smooth, interact, pool, linear, monotone : tuple of str
        Names of columns, pairs of columns, and `COLUMN=+` or `COLUMN=-`.
    terms_seconds : float or None
        Seconds of the search.
    """

    terms: str | None = None
    smooth: tuple[str, ...] = ()
    interact: tuple[str, ...] = ()
    pool: tuple[str, ...] = ()
    linear: tuple[str, ...] = ()
    monotone: tuple[str, ...] = ()
    terms_seconds: float | None = None


NO_ARGUMENTS = TermArguments()
"""The values of these options where none is given."""


def monotone(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Check `COLUMN=+` and `COLUMN=-`, each column once."""
    columns = set()
    for text in value:
        name, _, sign = text.rpartition("=")
        if not name or sign not in ("+", "-"):
            raise click.BadParameter(f"{text!r} is not COLUMN=+ or COLUMN=-.")
        if name in columns:
            raise click.BadParameter(f"the column {name!r} has two directions.")
        columns.add(name)
    return value


def seconds(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Check that a number of seconds is above 0 and no nan."""
    if value is not None and not (value > 0 and not math.isnan(value)):
        raise click.BadParameter(f"{value:g} is not a number of seconds above 0.")
    return value


OPTIONS = (
    click.option(
        "--terms",
        type=click.Choice(["auto", "linear"]),
        help="auto, the default: compare the linear model with curves of all columns of numbers and with interactions "
        "of two columns, by the log loss of held-out training rows, and fit the best one. linear: one weight a "
        "feature, and the curves and interactions that options name; the default where they name any.",
    ),
    click.option(
        "--smooth", multiple=True, metavar="COLUMN", help="Column of numbers with a curve. Repeatable, or a list."
    ),
    click.option(
        "--interact",
        multiple=True,
        metavar="COLUMN:COLUMN",
        help="Two columns with an interaction; names that contain a colon can stand in double quotes. Repeatable.",
    ),
    click.option(
        "--pool",
        multiple=True,
        metavar="COLUMN",
        help="Column of categories whose levels have a strength of their own (partial pooling). Repeatable, or a list.",
    ),
    click.option(
        "--linear",
        multiple=True,
        metavar="COLUMN",
        help="Column to which --terms auto gives neither curve nor interaction. Repeatable, or a list.",
    ),
    click.option(
        "--monotone",
        multiple=True,
        metavar="COLUMN=+|-",
        callback=monotone,
        help="Column of numbers with a curve in which the probability of the second of two classes does not decrease "
        "(+) or does not increase (-). Repeatable.",
    ),
    click.option(
        "--terms-seconds",
        type=float,
        callback=seconds,
        metavar="SECONDS",
        help="Time after which --terms auto tries no larger model.",
    ),
)


def term_options(command: Command) -> Command:
    """Add the options of terms, and pass them to the command as `TermArguments`, its argument `terms`."""

    @wraps(command)
    def with_terms(**given: Any) -> Any:
        values = {field.name: given.pop(field.name) for field in fields(TermArguments)}
        return command(**given, terms=TermArguments(**values))

    wrapped: Any = with_terms
    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return cast(Command, wrapped)
