"""The options of `softreg statistics`, beside those that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path)
OPTIONS = (
    click.option("--target", metavar="COLUMN", help="The column of labels; may be left out where --formula names it."),
    click.option(
        "--formula", metavar="FORMULA", help="Terms of the model, as 'y ~ age * sex + bs(income)' (softreg[formula])."
    ),
    click.option("--reference", metavar="LABEL", help="The class that others are compared with; the first without it."),
    click.option(
        "--reference-level",
        "reference_levels",
        multiple=True,
        metavar="COLUMN=LEVEL",
        help="The level of a category that others are compared with; its most frequent one without it.",
    ),
    click.option("--weights", metavar="COLUMN", help="A column of weights of the rows."),
    click.option(
        "--weight-kind",
        type=click.Choice(["frequency", "sampling"]),
        help="frequency: counts of rows, as whole numbers are taken; sampling: inverse probabilities, robust errors.",
    ),
    click.option(
        "--missing",
        type=click.Choice(["drop", "impute", "error"]),
        default="drop",
        show_default=True,
        help="Rows with missing values: left out, imputed (mean and indicator, or a level), or refused.",
    ),
    click.option(
        "--errors", type=click.Choice(["model", "robust"]), help="Standard errors: model-based or robust (sandwich)."
    ),
    click.option(
        "--clusters", metavar="COLUMN", help="Rows of equal values here are dependent; cluster-robust standard errors."
    ),
    click.option(
        "--penalty",
        type=click.Choice(["auto", "none", "firth"]),
        default="auto",
        show_default=True,
        help="firth reduces small-sample bias; auto uses it where classes are separated, which none refuses.",
    ),
    click.option(
        "--intervals",
        type=click.Choice(["wald", "profile"]),
        help="profile: by the profile likelihood, preferable for few rows; the default with Firth's penalty.",
    ),
    click.option("--level", type=float, default=0.95, show_default=True, help="Level of the intervals."),
    click.option("--output", type=FILE, metavar="OUT.csv", help="Write coefficients and odds ratios as a table."),
    click.option("--effects", type=FILE, metavar="OUT.csv", help="Write average marginal effects as a table."),
)


def statistics_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `softreg statistics`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
