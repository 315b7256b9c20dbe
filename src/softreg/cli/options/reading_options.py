"""Options of reading a table, for all commands that read one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

import click

Command = Callable[..., Any]
"""Function of a command; click passes its options by name."""
READING = (
    click.option("--encoding", metavar="NAME", help="Encoding of a text file, such as latin-1; detected by default."),
    click.option(
        "--delimiter",
        metavar="CHAR|tab|space",
        help="Field separator of a text file; detected by default.",
    ),
    click.option(
        "--decimal", type=click.Choice([".", ","]), help="Decimal separator of numbers in text; detected by default."
    ),
    click.option(
        "--skip-rows", type=click.IntRange(min=0), metavar="N", help="Number of lines of a text file before its header."
    ),
    click.option(
        "--header/--no-header",
        default=None,
        help="Whether the first line of a text file contains the names of the columns; without names, they are "
        "column_1, column_2, ...",
    ),
    click.option(
        "--na",
        multiple=True,
        metavar="TEXT",
        help="Text that stands for a missing value. Repeatable.",
    ),
    click.option(
        "--bad-rows",
        type=click.Choice(["error", "skip"]),
        default="error",
        show_default=True,
        help="Whether rows that cannot be read are an error or are skipped.",
    ),
    click.option(
        "--image-size",
        metavar="WIDTHxHEIGHT",
        help="Size in pixels to which images are brought; by default their own if it is small.",
    ),
    click.option(
        "--image-color",
        metavar="grey|colour",
        help="Colours of images; by default grey if all are.",
    ),
    click.option(
        "--max-pixels",
        type=click.IntRange(min=1),
        default=100_000_000,
        show_default=True,
        metavar="N",
        help="Refuse picture files that declare more pixels, before they are decoded.",
    ),
    click.option(
        "--labels",
        metavar="FILE",
        help="File of the labels of images in an IDX or .npy file; by default that beside it, by its name.",
    ),
)


def reading_options(command: Command) -> Command:
    """Add the options of reading a table, and pass them to the command as a `ReadOptions`, its argument `reading`."""

    @wraps(command)
    def with_read_options(**given: Any) -> Any:
        from softreg.tables.read_options import ReadOptions

        names = [field.name for field in fields(ReadOptions) if field.name in given]
        reading = ReadOptions(**{name: given.pop(name) for name in names})
        return command(**given, reading=reading)

    wrapped: Command = with_read_options
    for option in reversed(READING):
        wrapped = option(wrapped)
    return wrapped
