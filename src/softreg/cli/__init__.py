"""The command line: from a file to class probabilities, without a line of Python.

This file says what the commands are called and what they take. The work of each is in a file of its own,
imported when it is asked for, so that `softreg --help` answers at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from softreg.cli.boundary import Boundary
from softreg.version import __version__

__all__ = ["main"]

FILE = click.Path(path_type=Path)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
QUIET = click.option("--quiet", is_flag=True, help="No progress on stderr; warnings and errors remain.")
COST = click.option(
    "--cost",
    "costs",
    multiple=True,
    metavar="OBSERVED:DECIDED=COST",
    help="What a decision costs; may be given several times (right ones cost 0, other wrong ones 1).",
)
READING = (
    click.option("--encoding", metavar="NAME", help="Encoding of a text file, as latin-1; UTF-8 without it."),
    click.option(
        "--bad-rows",
        type=click.Choice(["error", "skip"]),
        default="error",
        show_default=True,
        help="What to do with rows that cannot be read.",
    ),
)
COLUMNS = {
    "--drop": "Leave a column out; may be given several times.",
    "--text": "Take a column for free text.",
    "--category": "Take a column for categories, as with zip codes.",
    "--number": "Take a column for numbers.",
    "--date": "Take a column for dates or times.",
}
REPORT = click.option("--report", type=FILE, metavar="R.html", help="Write a report, one self-contained page.")


def of_columns(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what columns are: --drop, --text, --category, --number and --date."""
    for name, help_text in reversed(COLUMNS.items()):
        command = click.option(name, multiple=True, metavar="COLUMN", help=help_text)(command)
    return command


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


def _strength(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    """A number, or None for the word that leaves the choice to cross-validation; refuse what is neither."""
    if value == "auto":
        return None
    try:
        strength = float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a valid number, nor 'auto', which lets the data choose.") from None
    if not (math.isfinite(strength) and strength >= 0):
        raise click.BadParameter(f"{strength:g} is not a finite number of at least 0; 'auto' lets the data choose.")
    return strength


def _test_size(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """Refuse a share that leaves no rows to train on or none to judge by."""
    if not 0 < value < 1:
        raise click.BadParameter(
            f"{value:g} does not lie between 0 and 1. It is the share of the rows that is held out, to judge "
            "the model by: 0.2 for every fifth row."
        )
    return value


@click.group(
    "softreg", cls=Boundary, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, message="softreg %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Class probabilities from a CSV, TSV or Parquet file.

    Softmax regression (multinomial logistic regression) with a certified optimality gap. Results go to stdout,
    progress, warnings and errors to stderr. `softreg demo` runs an example.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@main.command()
@click.argument("data", type=FILE)
@click.option("--target", required=True, metavar="COLUMN", help="The column of labels to predict.")
@click.option("--model", type=FILE, metavar="M.softreg", help="Write the model that was fitted on the training rows.")
@REPORT
@click.option(
    "--strength",
    metavar="auto|NUMBER",
    default="auto",
    show_default=True,
    callback=_strength,
    help="Strength of the L2 penalty; auto chooses it by cross-validation within the training rows.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    metavar="K",
    help="Folds of that cross-validation; without it 5 at most, and one held out for long texts.",
)
@click.option(
    "--rule",
    type=click.Choice(["min", "1se"]),
    help="min, the default: the least loss; 1se: the strongest penalty within 1 SE of the folds of it.",
)
@click.option(
    "--groups",
    metavar="COLUMN",
    help="Rows of equal values here belong together, as those of a person: held out as a whole.",
)
@click.option(
    "--test-size",
    type=float,
    default=0.2,
    show_default=True,
    callback=_test_size,
    help="Share of rows held out.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which rows are held out.")
@of_columns
@reading_options
@click.option(
    "--memory",
    type=click.Choice(["auto", "low", "high"]),
    default="auto",
    show_default=True,
    help="low reads DATA in batches, high as a whole; auto in batches from 512 MB on.",
)
@click.option(
    "--checkpoint",
    type=FILE,
    metavar="DIR",
    help="Keep the state of the fit in this folder; the same command resumes an interrupted one.",
)
@click.option("--resume", is_flag=True, help="Refuse to begin anew where --checkpoint holds no fit.")
@AS_JSON
@QUIET
def train(
    text: tuple[str, ...], category: tuple[str, ...], number: tuple[str, ...], date: tuple[str, ...], **order: Any
) -> None:
    """Fit a model to DATA and evaluate it on held-out rows.

    A stratified part of the rows is held out and the model is fitted to the others; all figures are those of the
    held-out rows.
    """
    from softreg.cli.training import Order, train_table

    train_table(Order(asked={"text": text, "category": category, "number": number, "date": date}, **order))


@main.command(short_help="Give each row of DATA its probabilities and its most likely label.")
@click.argument("model", type=FILE)
@click.argument("data", type=FILE)
@click.option(
    "-o", "--output", type=FILE, metavar="OUT.csv|OUT.parquet", help="Where to write; CSV on stdout without it."
)
@reading_options
def predict(model: Path, data: Path, output: Path | None, reading: Any) -> None:
    """Give each row of DATA its class probabilities, a column a class, and the most likely label."""
    from softreg.cli.prediction import predict_table

    predict_table(model, data, output, reading=reading)


@main.command()
@click.argument("model", type=FILE)
@click.argument("data", type=FILE)
@click.option("--target", metavar="COLUMN", help="The column of labels, for a model saved from Python.")
@REPORT
@COST
@reading_options
@AS_JSON
def evaluate(
    model: Path,
    data: Path,
    target: str | None,
    report: Path | None,
    costs: tuple[str, ...],
    **order: Any,
) -> None:
    """Evaluate MODEL on DATA with known labels.

    DATA should hold rows that it was not fitted to.
    """
    from softreg.cli.evaluation import evaluate_table

    evaluate_table(model, data, target, report, costs, **order)


@main.command(short_help="Evaluate predicted probabilities in a file, from any model.")
@click.argument("predictions", type=FILE)
@click.option("--target", required=True, metavar="COLUMN", help="The column of labels.")
@REPORT
@COST
@reading_options
@AS_JSON
def audit(predictions: Path, target: str, report: Path | None, costs: tuple[str, ...], **order: Any) -> None:
    """Evaluate the predicted probabilities in PREDICTIONS: a column for each class, under its name, and the labels.

    They may come from any model. Intervals and the test of calibration assume independent rows that it was not fitted
    to.
    """
    from softreg.cli.auditing import audit_table

    audit_table(predictions, target, report, costs, **order)


@main.command(short_help="Coefficients of DATA with standard errors, intervals and tests.")
@click.argument("data", type=FILE)
@click.option("--target", required=True, metavar="COLUMN", help="The column of labels.")
@click.option("--reference", metavar="LABEL", help="The class that others are compared with; the first without it.")
@click.option(
    "--errors",
    type=click.Choice(["model", "robust"]),
    help="Standard errors: model-based or robust (sandwich).",
)
@click.option(
    "--clusters", metavar="COLUMN", help="Rows of equal values here are dependent; cluster-robust standard errors."
)
@click.option(
    "--penalty",
    type=click.Choice(["none", "firth"]),
    default="none",
    show_default=True,
    help="firth reduces small-sample bias, and is finite for separated classes.",
)
@click.option(
    "--intervals",
    type=click.Choice(["wald", "profile"]),
    help="profile: by the profile likelihood, preferable for few rows; the default with --penalty firth.",
)
@of_columns
@reading_options
@click.option("--output", type=FILE, metavar="OUT.csv", help="Write the coefficients as a table.")
@AS_JSON
def statistics(data: Path, target: str, output: Path | None, intervals: str | None, **order: Any) -> None:
    """Coefficients of the columns of DATA with standard errors, confidence intervals and tests.

    All rows are fitted without a penalty, numbers in their own units, each category against its most frequent level.
    """
    from softreg.cli.statistics import tell_statistics

    asked = {kind: order.pop(kind) for kind in ("text", "category", "number", "date")}
    settings = {name: order.pop(name) for name in ("reference", "errors", "clusters")}
    penalty = order.pop("penalty")
    settings["penalty"] = None if penalty == "none" else penalty
    kind = "Wald" if intervals == "wald" else intervals
    tell_statistics(data, target, output, asked=asked, settings=settings, intervals=kind, **order)


@main.command(short_help="Describe a model file.")
@click.argument("model", type=FILE)
@AS_JSON
def inspect(model: Path, as_json: bool) -> None:
    """Describe a model file: classes, columns, strength, certificate."""
    from softreg.cli.inspection import inspect_model

    inspect_model(model, as_json=as_json)


@main.command(short_help="Say what softreg runs on here.")
@AS_JSON
def doctor(as_json: bool) -> None:
    """Say what softreg runs on here: versions, threads, BLAS, and which kernels are in use."""
    from softreg.cli.doctor import examine

    examine(as_json=as_json)


@main.command(short_help="Show it all at work on handwritten digits.")
@click.option("--folder", type=FILE, default=Path("demo"), show_default=True, help="Where model and report go.")
def demo(folder: Path) -> None:
    """Train on the 8 x 8 digits that scikit-learn carries; leaves a model and a report."""
    from softreg.cli.demonstration import run_demo

    run_demo(folder)
