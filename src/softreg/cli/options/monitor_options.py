"""Options of `softreg monitor`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from softreg.cli.options.train_options import FILE, level

OPTIONS = (
    click.option(
        "--target", metavar="COLUMN", help="Column of labels; by default that of the model, where a batch has it."
    ),
    click.option(
        "--reference",
        type=FILE,
        metavar="DATA",
        help="Rows with which the columns are compared, such as those of training; by default the first batch.",
    ),
    click.option(
        "--state",
        type=FILE,
        metavar="STATE.json",
        help="File with which the next call continues; it is created by the first.",
    ),
    click.option(
        "--alpha",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        callback=level,
        metavar="A",
        help="Probability of a false alarm, ever; 0.05 by default.",
    ),
)


def monitor_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the labels, the reference rows, the state and the level."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
