"""Options of `softreg train`, by heading, and the parsing of their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from softreg.cli.options.bounds import bounds
from softreg.cli.options.offsets import offset

FILE = click.Path(path_type=Path)
HEADINGS = {
    "Columns": (
        "--target", "--features", "--drop", "--text", "--category", "--number", "--date", "--as", "--weights",
        "--offset", "--groups", "--time",
    ),
    "Rows": ("--missing-target", "--rare", "--test-size", "--test", "--seed"),
    "Model": (
        "--penalty", "--l1-ratio", "--strength", "--folds", "--rule", "--scoring", "--class-weight", "--unpenalised",
        "--bound", "--bounds-reference", "--prior",
    ),
    "Terms": ("--terms", "--smooth", "--interact", "--pool", "--linear", "--monotone", "--terms-seconds"),
    "Results": ("--model", "--intervals", "--keep-posterior", "--report", "--cost", "--profile", "--json", "--quiet"),
    "Memory and processes": ("--memory", "--cluster", "--checkpoint", "--resume"),
    "Input files": (
        "--encoding", "--delimiter", "--decimal", "--skip-rows", "--header", "--na", "--bad-rows",
        "--image-size", "--image-color", "--max-pixels", "--labels",
    ),
}  # fmt: skip
"""Options by heading of the help."""
TEST_SIZE = 0.2
"""Default share of held-out rows."""


def forms(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Parse `COLUMN=FORM`, for each column that is named."""
    pairs = [text.rpartition("=") for text in value]
    for given, (name, _, form) in zip(value, pairs, strict=True):
        if not name or form not in ("linear", "scores", "both"):
            raise click.BadParameter(f"{given!r} is not COLUMN=linear, COLUMN=scores or COLUMN=both.")
    return {name: form for name, _, form in pairs}


def strength(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    """Parse a number, or "auto" as None."""
    if value == "auto":
        return None
    try:
        number = float(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a valid number, nor 'auto', which selects by cross-validation."
        ) from None
    if not (math.isfinite(number) and number >= 0):
        raise click.BadParameter(
            f"{number:g} is not a finite number of at least 0; 'auto' selects by cross-validation."
        )
    return number


def level(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Check that the level of an interval is a number."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is not a number between 0 and 1, such as 0.95.")
    return value


def share(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Check that a share is between 0 and 1."""
    if value is not None and not 0 < value < 1:
        raise click.BadParameter(
            f"{value:g} does not lie between 0 and 1. It is the share of rows that are held out for "
            f"evaluation: 0.2 for "
            "every fifth row."
        )
    return value


MISSING_TARGET = click.option(
    "--missing-target",
    type=click.Choice(["drop", "error"]),
    default="drop",
    show_default=True,
    help="Whether rows without a label are dropped or are an error.",
)
OPTIONS = (
    click.option("--target", metavar="COLUMN", help="Column of labels to predict; for images the class, by default."),
    click.option(
        "--features",
        multiple=True,
        metavar="COLUMN,...",
        help="Use only these columns. Repeatable; names may contain commas.",
    ),
    click.option(
        "--as",
        "forms",
        multiple=True,
        metavar="COLUMN=linear|scores|both",
        callback=forms,
        help="Form of a numeric column: linear, normal scores, or both; by default linear, and selected by "
        "cross-validation for heavy-tailed columns. Repeatable.",
    ),
    click.option(
        "--weights",
        metavar="COLUMN",
        help="Column of row weights, which is not a feature; rows of weight 0 are left out.",
    ),
    click.option(
        "--offset",
        multiple=True,
        metavar="CLASS=COLUMN",
        callback=offset,
        help="Column of numbers that are added to the logits of a class, such as the logits of another model; it is "
        "not a feature, and predictions need it too. Repeatable.",
    ),
    click.option(
        "--groups",
        metavar="COLUMN",
        help="Column of groups of dependent rows, such as those of one person: a group is held out as a whole. "
        "It is not a feature.",
    ),
    click.option(
        "--time",
        metavar="COLUMN",
        help="Column of dates or numbers: the latest rows are held out, and each fold is evaluated on later "
        "rows. It is not a "
        "feature unless --features or --date names it.",
    ),
    MISSING_TARGET,
    click.option(
        "--rare",
        type=click.Choice(["keep", "pool", "drop", "error"]),
        default="keep",
        show_default=True,
        help="Classes with a single row: keep them for training, pool them into one class, drop their rows, or "
        "raise an error.",
    ),
    click.option(
        "--test-size", type=float, callback=share, metavar="SHARE", help="Share of held-out rows.  [default: 0.2]"
    ),
    click.option("--test", type=FILE, metavar="FILE", help="Train on all rows of DATA, and evaluate on FILE."),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Seed of the random selection of held-out rows.",
    ),
    click.option(
        "--penalty",
        type=click.Choice(["l2", "l1", "elasticnet", "group", "none"]),
        default="l2",
        show_default=True,
        help="Penalty on the coefficients of the features; group selects whole columns of the table. Curves and "
        "interactions are chosen with l2 alone.",
    ),
    click.option(
        "--l1-ratio",
        type=click.FloatRange(0, 1),
        metavar="SHARE",
        help="Share of the L1 penalty in elasticnet.  [default: 0.5]",
    ),
    click.option(
        "--strength",
        metavar="auto|NUMBER",
        default="auto",
        show_default=True,
        callback=strength,
        help="Strength of the penalty; auto selects it by cross-validation on the training rows. With a number, no "
        "curves and interactions are chosen.",
    ),
    click.option(
        "--folds",
        type=click.IntRange(min=2),
        metavar="K",
        help="Number of cross-validation folds; by default 5 at most, and a single held-out part for large text data.",
    ),
    click.option(
        "--rule",
        type=click.Choice(["min", "1se"]),
        help="min, the default: strength of the best score; 1se: strongest penalty within one standard error of it.",
    ),
    click.option(
        "--scoring",
        metavar="SCORE",
        help="Score for the selection of the strength: log_loss, the default, brier, accuracy, roc_auc, or the "
        "name of a "
        "scikit-learn scorer.",
    ),
    click.option(
        "--class-weight",
        multiple=True,
        metavar="balanced|LABEL=W,...",
        help="Weights of classes in the fit; balanced: equal total weight of all classes. Repeatable.",
    ),
    click.option(
        "--unpenalised",
        multiple=True,
        metavar="COLUMN",
        help="Column without penalty, with all its levels: the model is adjusted for it without shrinking its "
        "weights. Repeatable, or a list with commas.",
    ),
    click.option(
        "--bound",
        "bounds",
        multiple=True,
        metavar="COLUMN[:CLASS]=+|-|LOW..HIGH",
        callback=bounds,
        help="Bound of the weight of a column of numbers or booleans, per unit of the column: + for at least 0, - "
        "for at most 0. Of two classes it is that of the second one, whose probability then does not decrease (+) in "
        "the column. Repeatable.",
    ),
    click.option(
        "--bounds-reference",
        metavar="CLASS",
        help="Class with weight 0 in the columns with bounds, so that bounds limit the log-odds of the other classes "
        "against it.",
    ),
    click.option(
        "--prior",
        type=FILE,
        metavar="MODEL",
        help="Model of earlier rows, trained with --keep-posterior: its posterior takes the place of the penalty, and "
        "its columns, their encoding and its classes are used.",
    ),
    click.option(
        "--keep-posterior",
        is_flag=True,
        help="Keep the posterior of the weights in the model, so that it can be the --prior of further rows.",
    ),
    click.option(
        "--model", type=FILE, metavar="M.softreg", help="Write the model, which is fitted on the training rows."
    ),
    click.option(
        "--intervals",
        is_flag=True,
        help="Keep the covariance of the weights in the model, so that `softreg predict --interval` has intervals.",
    ),
    click.option(
        "--memory",
        type=click.Choice(["auto", "low", "high"]),
        default="auto",
        show_default=True,
        help="low: read DATA in batches; high: as a whole; auto: in batches from 512 MB.",
    ),
    click.option(
        "--cluster",
        metavar="local[:N]|ADDRESS",
        help="Worker processes that read and encode the rows of Parquet files: local for one a core of this machine, "
        "local:N for N, or the address of a Dask scheduler, such as tcp://host:8786, whose workers see the files "
        "under the same paths. The model does not depend on their number.",
    ),
    click.option(
        "--checkpoint",
        type=FILE,
        metavar="DIR",
        help="Folder for the state of the fit of the linear model; the same command resumes an interrupted one. A "
        "choice of curves and interactions starts again.",
    ),
    click.option(
        "--profile",
        is_flag=True,
        help="Print what the fit costs: bytes, operations and seconds of its parts, and whether a bigger machine would "
        "help. The limits of this machine are measured once, in about a second.",
    ),
    click.option("--resume", is_flag=True, help="Raise an error if --checkpoint contains no fit to resume."),
)


def train_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `softreg train` only."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
