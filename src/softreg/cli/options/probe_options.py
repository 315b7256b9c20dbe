"""Options of `softreg probe`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from softreg.cli.options.train_options import FILE

OPTIONS = (
    click.option(
        "--test",
        nargs=2,
        metavar="EMBEDDINGS LABELS",
        help="Evaluate the model on these rows; the strength is chosen without.",
    ),
    click.option(
        "--strengths",
        default="auto",
        show_default=True,
        metavar="S,S,...",
        help="Strengths of the L2 penalty to try; auto decreases them until the held-out score is worse.",
    ),
    click.option(
        "--holdout",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=0.2,
        show_default=True,
        help="Share of the rows, stratified by class, on which strengths are compared.",
    ),
    click.option(
        "--folds", type=click.IntRange(2), metavar="K", help="Compare strengths on K stratified folds instead."
    ),
    click.option(
        "--score",
        type=click.Choice(["log_loss", "accuracy"]),
        default="log_loss",
        show_default=True,
        help="Held-out score by which the strength is chosen.",
    ),
    click.option("--unit-rows", is_flag=True, help="Divide each row by its length."),
    click.option("--standardize", is_flag=True, help="Subtract the mean of each column and divide by its deviation."),
    click.option(
        "--tol",
        type=click.FloatRange(0, min_open=True),
        default=1e-4,
        show_default=True,
        help="Certified distance of each fit from its minimum, in nats.",
    ),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the held-out rows."),
    click.option("--save", type=FILE, metavar="M.softreg", help="Write the model of all rows."),
)


def probe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the strengths, the held-out rows and the model file."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
