"""The options of reading a table, which every command that reads one takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

import click

READING = (
    click.option("--encoding", metavar="NAME", help="Encoding of a text file, as latin-1; found without it."),
    click.option(
        "--delimiter",
        metavar="CHAR|tab|space",
        help="The character between the fields of a text file; found without it.",
    ),
    click.option(
        "--decimal", type=click.Choice([".", ","]), help="The decimal separator of numbers in text; found without it."
    ),
    click.option(
        "--skip-rows", type=click.IntRange(min=0), metavar="N", help="Lines of a text file that precede its header."
    ),
    click.option(
        "--header/--no-header",
        default=None,
        help="Whether the first line of a text file names the columns; without names: column_1, column_2, ...",
    ),
    click.option(
        "--na",
        multiple=True,
        metavar="SPELLING",
        help="A text that means a missing value; may be given several times.",
    ),
    click.option(
        "--bad-rows",
        type=click.Choice(["error", "skip"]),
        default="error",
        show_default=True,
        help="What to do with rows that cannot be read.",
    ),
)


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of reading a table, which the command takes as one `ReadOptions`, its argument `reading`."""

    @wraps(command)
    def read(**given: Any) -> Any:
        from softreg.tables.read_options import ReadOptions

        names = [field.name for field in fields(ReadOptions) if field.name in given]
        reading = ReadOptions(**{name: given.pop(name) for name in names})
        return command(**given, reading=reading)

    wrapped: Callable[..., Any] = read
    for option in reversed(READING):
        wrapped = option(wrapped)
    return wrapped
