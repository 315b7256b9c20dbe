"""Options of `softreg audit` on groups of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def group_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--by` and `--search` to a command.

    Parameters
    ----------
    command : callable
        The function of the command.

    Returns
    -------
    callable
        The function with its options.

    Examples
    --------
    >>> command = click.command()(group_options(lambda by, search: None))
    >>> [parameter.name for parameter in command.params]
    ['by', 'search']
    """
    by = click.option(
        "--by",
        multiple=True,
        metavar="COLUMN",
        help="Evaluate the groups of rows by the values of COLUMN (numbers: by intervals); repeatable.",
    )
    search = click.option(
        "--search",
        is_flag=True,
        help="Search the values of all other columns, and of pairs of them, for groups whose probabilities are wrong.",
    )
    return by(search(command))
