"""The options of `softreg train`, by heading, and how their texts are read."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path)
HEADINGS = {
    "Columns": (
        "--target", "--features", "--drop", "--text", "--category", "--number", "--date", "--as", "--weights",
        "--groups", "--time",
    ),
    "Rows": ("--missing-target", "--rare", "--test-size", "--test", "--seed"),
    "Model": ("--penalty", "--l1-ratio", "--strength", "--folds", "--rule", "--scoring", "--class-weight"),
    "Results": ("--model", "--report", "--cost", "--json", "--quiet"),
    "Memory": ("--memory", "--checkpoint", "--resume"),
    "Reading of files": (
        "--encoding", "--delimiter", "--decimal", "--skip-rows", "--header", "--na", "--bad-rows",
    ),
}  # fmt: skip
"""Options by heading of the help."""
TEST_SIZE = 0.2
"""Share of the rows that is held out, unless another is given."""


def forms(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """The form of each column that is named; refuse what is no `COLUMN=FORM`."""
    pairs = [one.rpartition("=") for one in value]
    for given, (name, _, form) in zip(value, pairs, strict=True):
        if not name or form not in ("linear", "scores", "both"):
            raise click.BadParameter(f"{given!r} is not COLUMN=linear, COLUMN=scores or COLUMN=both.")
    return {name: form for name, _, form in pairs}


def strength(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    """A number, or None for the word that leaves the choice to cross-validation; refuse what is neither."""
    if value == "auto":
        return None
    try:
        number = float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a valid number, nor 'auto', which lets the data choose.") from None
    if not (math.isfinite(number) and number >= 0):
        raise click.BadParameter(f"{number:g} is not a finite number of at least 0; 'auto' lets the data choose.")
    return number


def share(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse a share that leaves no rows to train on or none to judge by."""
    if value is not None and not 0 < value < 1:
        raise click.BadParameter(
            f"{value:g} does not lie between 0 and 1. It is the share of the rows that is held out, to judge "
            "the model by: 0.2 for every fifth row."
        )
    return value


MISSING_TARGET = click.option(
    "--missing-target",
    type=click.Choice(["drop", "error"]),
    default="drop",
    show_default=True,
    help="What to do with rows without a label.",
)
OPTIONS = (
    click.option("--target", required=True, metavar="COLUMN", help="The column of labels to predict."),
    click.option(
        "--features",
        multiple=True,
        metavar="COLUMN,...",
        help="Use these columns only; may be given several times. Names with commas are recognised.",
    ),
    click.option(
        "--as",
        "forms",
        multiple=True,
        metavar="COLUMN=linear|scores|both",
        callback=forms,
        help="The form of a column of numbers; cross-validation chooses that of heavy-tailed ones without it.",
    ),
    click.option("--weights", metavar="COLUMN", help="How often each row counts; 0 leaves a row out. No feature."),
    click.option(
        "--groups",
        metavar="COLUMN",
        help="Rows of equal values here belong together, as those of a person: held out as a whole. No feature.",
    ),
    click.option(
        "--time",
        metavar="COLUMN",
        help="Dates or numbers: the latest rows are held out, and folds are judged on what follows. No feature, unless "
        "--features or --date names it.",
    ),
    MISSING_TARGET,
    click.option(
        "--rare",
        type=click.Choice(["keep", "pool", "drop", "error"]),
        default="keep",
        show_default=True,
        help="What to do with classes of a single row: keep trains on it, pool merges them into one class.",
    ),
    click.option(
        "--test-size", type=float, callback=share, metavar="SHARE", help="Share of rows held out.  [default: 0.2]"
    ),
    click.option("--test", type=FILE, metavar="FILE", help="Train on all of DATA, and evaluate on the rows of FILE."),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which rows are held out."),
    click.option(
        "--penalty",
        type=click.Choice(["l2", "l1", "elasticnet", "group", "none"]),
        default="l2",
        show_default=True,
        help="Penalty on the coefficients of the features.",
    ),
    click.option(
        "--l1-ratio", type=click.FloatRange(0, 1), metavar="SHARE", help="Share of l1 in elasticnet.  [default: 0.5]"
    ),
    click.option(
        "--strength",
        metavar="auto|NUMBER",
        default="auto",
        show_default=True,
        callback=strength,
        help="Strength of the penalty; auto chooses it by cross-validation within the training rows.",
    ),
    click.option(
        "--folds",
        type=click.IntRange(min=2),
        metavar="K",
        help="Folds of that cross-validation; without it 5 at most, and one held out for long texts.",
    ),
    click.option(
        "--rule",
        type=click.Choice(["min", "1se"]),
        help="min, the default: the best score; 1se: the strongest penalty within 1 SE of the folds of it.",
    ),
    click.option(
        "--scoring",
        metavar="SCORE",
        help="Score that the strength is chosen by: log_loss, the default, brier, accuracy, roc_auc, or the name of a "
        "scorer of scikit-learn.",
    ),
    click.option(
        "--class-weight",
        multiple=True,
        metavar="balanced|LABEL=W,...",
        help="How much the rows of a class count in the fit; balanced: all classes alike.",
    ),
    click.option(
        "--model", type=FILE, metavar="M.softreg", help="Write the model that was fitted on the training rows."
    ),
    click.option(
        "--memory",
        type=click.Choice(["auto", "low", "high"]),
        default="auto",
        show_default=True,
        help="low reads DATA in batches, high as a whole; auto in batches from 512 MB on.",
    ),
    click.option(
        "--checkpoint",
        type=FILE,
        metavar="DIR",
        help="Keep the state of the fit in this folder; the same command resumes an interrupted one.",
    ),
    click.option("--resume", is_flag=True, help="Refuse to begin anew where --checkpoint holds no fit."),
)


def train_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `softreg train` that other commands do not have."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
