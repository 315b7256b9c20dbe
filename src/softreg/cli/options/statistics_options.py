"""Options of `softreg statistics` only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from softreg.cli.console.option_values import interval_level

FILE = click.Path(path_type=Path)
OPTIONS = (
    click.option("--target", metavar="COLUMN", help="Column of labels; not needed if --formula names it."),
    click.option(
        "--formula",
        metavar="FORMULA",
        help="Formula of the model, such as 'y ~ age * sex + bs(income)' (requires softreg[formula]).",
    ),
    click.option("--reference", metavar="LABEL", help="Reference class; by default the first."),
    click.option(
        "--reference-level",
        "reference_levels",
        multiple=True,
        metavar="COLUMN=LEVEL",
        help="Reference level of a category; by default its most frequent level. Repeatable.",
    ),
    click.option("--weights", metavar="COLUMN", help="Column of row weights."),
    click.option(
        "--weight-kind",
        type=click.Choice(["frequency", "sampling"]),
        help="frequency: counts of rows (the default for integers); sampling: inverse sampling probabilities, "
        "with robust standard errors.",
    ),
    click.option(
        "--missing",
        type=click.Choice(["drop", "impute", "error"]),
        default="drop",
        show_default=True,
        help="Rows with missing values: drop them, impute (mean and indicator; for a category, a level), or "
        "raise an error.",
    ),
    click.option(
        "--errors", type=click.Choice(["model", "robust"]), help="Standard errors: model-based or robust (sandwich)."
    ),
    click.option(
        "--clusters", metavar="COLUMN", help="Column of clusters of dependent rows; standard errors are cluster-robust."
    ),
    click.option(
        "--penalty",
        type=click.Choice(["auto", "none", "firth"]),
        default="auto",
        show_default=True,
        help="firth: Firth's bias reduction; auto uses it if classes are separated, which is an error with none.",
    ),
    click.option(
        "--intervals",
        type=click.Choice(["wald", "profile"]),
        help="Confidence intervals: wald, or profile (profile likelihood), which is better with few rows and "
        "the default with Firth's penalty.",
    ),
    click.option(
        "--level",
        callback=interval_level,
        default="0.95",
        show_default=True,
        metavar="LEVEL",
        help="Confidence level of the intervals.",
    ),
    click.option(
        "--model",
        type=FILE,
        metavar="MODEL",
        help="Test the columns, curves and interactions of a model of `softreg train` on DATA, the rows of its fit.",
    ),
    click.option(
        "--refit",
        is_flag=True,
        help="With --model: DATA are rows that the fit did not have; its terms and strengths are fitted to them.",
    ),
    click.option("--output", type=FILE, metavar="OUT.csv", help="Write coefficients and odds ratios to a file."),
    click.option("--effects", type=FILE, metavar="OUT.csv", help="Write average marginal effects to a file."),
)


def statistics_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `softreg statistics`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
