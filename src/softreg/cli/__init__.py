"""The command line: from a file to class probabilities, without a line of Python.

This file says what the commands are called and what they take. The work of each is in a file of its own,
imported when it is asked for, so that `softreg --help` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from softreg.cli.console.command_errors import ErrorReportingGroup
from softreg.cli.options.grouped_help import GroupedCommand
from softreg.cli.options.reading_options import reading_options
from softreg.cli.options.statistics_options import statistics_options
from softreg.cli.options.train_options import FILE, HEADINGS, MISSING_TARGET, train_options
from softreg.version import __version__

__all__ = ["main"]

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
QUIET = click.option("--quiet", is_flag=True, help="No progress on stderr; warnings and errors remain.")
COST = click.option(
    "--cost",
    "costs",
    multiple=True,
    metavar="OBSERVED:DECIDED=COST",
    help="What a decision costs; may be given several times (right ones cost 0, other wrong ones 1).",
)
COLUMNS = {
    "--drop": "Leave a column out; may be given several times, or with commas between.",
    "--text": "Take a column for free text.",
    "--category": "Take a column for categories, as with zip codes; the target for classes, however many.",
    "--number": "Take a column for numbers.",
    "--date": "Take a column for dates or times.",
}
REPORT = click.option("--report", type=FILE, metavar="R.html", help="Write a report, one self-contained page.")


def column_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what columns are: --drop, --text, --category, --number and --date."""
    for name, help_text in reversed(COLUMNS.items()):
        command = click.option(name, multiple=True, metavar="COLUMN", help=help_text)(command)
    return command


@click.group(
    "softreg",
    cls=ErrorReportingGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, message="softreg %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Class probabilities from a table: CSV, Parquet, Excel, JSON, SQLite and others.

    Softmax regression (multinomial logistic regression) with a certified optimality gap. Results go to stdout,
    progress, warnings and errors to stderr. `softreg demo` runs an example.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@main.command(cls=GroupedCommand, headings=HEADINGS)
@click.argument("data", type=FILE)
@train_options
@column_options
@REPORT
@COST
@AS_JSON
@QUIET
@reading_options
def train(
    text: tuple[str, ...], category: tuple[str, ...], number: tuple[str, ...], date: tuple[str, ...], **order: Any
) -> None:
    """Fit a model to DATA and evaluate it on held-out rows.

    A stratified part of the rows is held out and the model is fitted to the others; all figures are those of the
    held-out rows.
    """
    from softreg.cli.commands.train import train_table
    from softreg.cli.options.train_request import TrainRequest

    train_table(TrainRequest(asked={"text": text, "category": category, "number": number, "date": date}, **order))


@main.command(short_help="Give each row of DATA its probabilities and its most likely label.")
@click.argument("model", type=FILE)
@click.argument("data", type=FILE)
@click.option(
    "-o", "--output", type=FILE, metavar="OUT.csv|OUT.parquet", help="Where to write; without it, CSV on stdout."
)
@click.option("--keep", multiple=True, metavar="COLUMN[,...]", help="Write columns of DATA, too, ahead of the others.")
@click.option("--keep-target", is_flag=True, help="Write the column of labels of DATA, too.")
@click.option(
    "--threshold",
    metavar="[LABEL=]P",
    help="Predict LABEL where its probability is at least P; of two classes, the second where none is named.",
)
@reading_options
def predict(model: Path, data: Path, reading: Any, **wanted: Any) -> None:
    """Give each row of DATA its class probabilities, a column a class, and the most likely label.

    DATA is a file, a pattern, a folder, a table in a container (data.db::table, book.xlsx::sheet), or - for stdin.
    """
    from softreg.cli.commands.predict import Output, predict_table

    predict_table(model, data, Output(**wanted), reading=reading)


@main.command()
@click.argument("model", type=FILE)
@click.argument("data", type=FILE)
@click.option("--target", metavar="COLUMN", help="The column of labels, for a model saved from Python.")
@MISSING_TARGET
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
    from softreg.cli.commands.evaluate import evaluate_table

    evaluate_table(model, data, target, report, costs, **order)


@main.command(short_help="Evaluate predicted probabilities in a file, from any model.")
@click.argument("predictions", type=FILE)
@click.option("--target", required=True, metavar="COLUMN", help="The column of labels.")
@click.option("--score", metavar="COLUMN", help="Of two classes: the column of the probability of one of them.")
@click.option("--positive", metavar="LABEL", help="The label whose probability that is.")
@REPORT
@COST
@reading_options
@AS_JSON
def audit(predictions: Path, target: str, report: Path | None, costs: tuple[str, ...], **order: Any) -> None:
    """Evaluate the predicted probabilities in PREDICTIONS: a column for each class, and the labels.

    The columns are named as the classes, or with a common text before or behind them (prob_0, prob_1). Of two classes,
    one column is enough. They may come from any model. Intervals and the test of calibration assume independent rows
    that it was not fitted to.
    """
    from softreg.cli.commands.audit import audit_table

    audit_table(predictions, target, report, costs, **order)


@main.command(short_help="Coefficients of DATA with standard errors, intervals and tests.")
@click.argument("data", type=FILE)
@statistics_options
@column_options
@reading_options
@AS_JSON
def statistics(data: Path, target: str | None, **order: Any) -> None:
    """Coefficients of the columns of DATA with standard errors, confidence intervals, tests and marginal effects.

    All rows without missing values are fitted without a penalty, numbers in their own units, each category against its
    most frequent level.
    """
    from softreg.cli.commands.statistics import run_statistics

    run_statistics(data, target, order)


@main.command(short_help="Describe a model file.")
@click.argument("model", type=FILE)
@AS_JSON
def inspect(model: Path, as_json: bool) -> None:
    """Describe a model file: classes, columns, strength, certificate."""
    from softreg.cli.commands.inspect import inspect_model

    inspect_model(model, as_json=as_json)


@main.command(short_help="Say what softreg runs on here.")
@AS_JSON
def doctor(as_json: bool) -> None:
    """Say what softreg runs on here: versions, threads, BLAS, and which kernels are in use."""
    from softreg.cli.commands.doctor import print_environment

    print_environment(as_json=as_json)


@main.command(short_help="Show it all at work on handwritten digits.")
@click.option("--folder", type=FILE, default=Path("demo"), show_default=True, help="Where model and report go.")
def demo(folder: Path) -> None:
    """Train on the 8 x 8 digits that scikit-learn carries; leaves a model and a report."""
    from softreg.cli.commands.demo import run_demo

    run_demo(folder)
