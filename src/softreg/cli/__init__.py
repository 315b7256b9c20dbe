"""The command line: commands and their options.

This module declares the commands. Each is implemented in a module of `commands`, which is imported when the command
runs, so that `softreg --help` is fast; `options`, `data`, `console` and `reporting` hold what they share.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from softreg.cli.console.command_errors import ErrorReportingGroup
from softreg.cli.console.option_values import OptionalNumber, interval_level
from softreg.cli.options.group_options import group_options
from softreg.cli.options.grouped_help import GroupedCommand, given_options
from softreg.cli.options.monitor_options import monitor_options
from softreg.cli.options.probe_options import probe_options
from softreg.cli.options.reading_options import reading_options
from softreg.cli.options.statistics_options import statistics_options
from softreg.cli.options.terms.term_arguments import term_options
from softreg.cli.options.train_options import FILE, HEADINGS, MISSING_TARGET, train_options
from softreg.version import __version__

__all__ = ["main"]

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object.")
QUIET = click.option("--quiet", is_flag=True, help="Show no progress on stderr, only warnings and errors.")
COST = click.option(
    "--cost",
    "costs",
    multiple=True,
    metavar="OBSERVED:DECIDED=COST",
    help="Cost of a decision, by observed class; correct decisions cost 0 and other wrong ones 1 by default. "
    "Repeatable.",
)
COLUMNS = {
    "--drop": "Leave a column out. Repeatable, or a list with commas.",
    "--text": "Read a column as free text.",
    "--category": "Read a column as categories, such as zip codes; the target as classes, whatever their number.",
    "--number": "Read a column as numbers.",
    "--date": "Read a column as dates or times.",
}
REPORT = click.option("--report", type=FILE, metavar="R.html", help="Write a report: a self-contained HTML page.")


def column_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of columns: --drop, --text, --category, --number and --date."""
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
@term_options
@column_options
@REPORT
@COST
@AS_JSON
@QUIET
@reading_options
def train(
    text: tuple[str, ...], category: tuple[str, ...], number: tuple[str, ...], date: tuple[str, ...], **options: Any
) -> None:
    """Fit a model to DATA and evaluate it on held-out rows.

    DATA is a table, or images: a folder of pictures with one folder a class, or arrays in a .npz or IDX file. A
    stratified sample of the rows is held out, and the model is fitted to the others. All scores are those of the
    held-out rows.
    """
    from softreg.cli.commands.train import train_table
    from softreg.cli.options.train_request import TrainRequest

    kinds = {"text": text, "category": category, "number": number, "date": date}
    options["target"] = options["target"] or ""
    train_table(TrainRequest(column_kinds=kinds, given=given_options(click.get_current_context()), **options))


@main.command(short_help="Fit a linear probe to EMBEDDINGS with LABELS.")
@click.argument("embeddings")
@click.argument("labels")
@probe_options
@REPORT
@AS_JSON
@QUIET
def probe(**options: Any) -> None:
    """Fit a linear probe: softmax regression on EMBEDDINGS of another model, with LABELS.

    EMBEDDINGS is a .npy, .npz, .parquet or .pt file of float16, bfloat16, float32 or float64; FILE::NAME names an array
    or a column of it. LABELS is such a file, a column of a .csv, a .txt with one label a line, or a name in the file of
    the embeddings. Each strength is fitted to its certified optimum.
    """
    from softreg.cli.commands.probe import ProbeRequest, run_probe

    run_probe(ProbeRequest(**options))


@main.command(short_help="Predict class probabilities and the most likely label of each row of DATA.")
@click.argument("model", type=FILE)
@click.argument("data", type=FILE, nargs=-1, required=True, metavar="DATA...")
@click.option("-o", "--output", type=FILE, metavar="OUT.csv|OUT.parquet", help="Output file; CSV on stdout by default.")
@click.option(
    "--keep", multiple=True, metavar="COLUMN[,...]", help="Write columns of DATA before the predictions. Repeatable."
)
@click.option("--keep-target", is_flag=True, help="Write the column of labels of DATA.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="K",
    help="Write the K most likely classes of each row and their probabilities, in place of a column for each class.",
)
@click.option("--long", is_flag=True, help="With --top, write a line for each class: row, rank, class and probability.")
@click.option(
    "--classes",
    multiple=True,
    metavar="LABEL[,...]",
    help="Write the probabilities of these classes alone. Repeatable.",
)
@click.option(
    "--threshold",
    metavar="[LABEL=]P",
    help="Predict LABEL where its probability is at least P; LABEL can be omitted for the second of two classes.",
)
@click.option(
    "--interval",
    cls=OptionalNumber,
    if_omitted="0.95",
    callback=interval_level,
    metavar="[LEVEL]",
    help="Write an interval of each probability, two columns a class; its level is 0.95 if no number follows. The "
    "model is trained with --intervals.",
)
@reading_options
def predict(model: Path, data: tuple[Path, ...], reading: Any, **options: Any) -> None:
    """Predict the class probabilities of each row of DATA, one column per class, and the most likely label.

    DATA is a file or several files, a file name pattern, a folder, a table in a container (data.db::table,
    book.xlsx::sheet), or - for stdin. Of pictures, the path of the file is written before the probabilities.
    """
    from softreg.cli.commands.predict import PredictOptions, predict_table

    predict_table(model, data, PredictOptions(**options), reading=reading)


@main.command()
@click.argument("model", type=FILE)
@click.argument("data", type=FILE)
@click.option("--target", metavar="COLUMN", help="Column of labels, for a model saved from Python.")
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
    **options: Any,
) -> None:
    """Evaluate MODEL on DATA with known labels.

    DATA should contain rows that the model was not fitted to.
    """
    from softreg.cli.commands.evaluate import evaluate_table

    evaluate_table(model, data, target, report, costs, **options)


@main.command(short_help="Evaluate predicted probabilities from any model.")
@click.argument("predictions", type=FILE)
@click.option("--target", required=True, metavar="COLUMN", help="Column of labels.")
@click.option("--score", metavar="COLUMN", help="Column of the probability of one of two classes.")
@click.option("--positive", metavar="LABEL", help="Label of that class.")
@group_options
@REPORT
@COST
@reading_options
@AS_JSON
def audit(predictions: Path, target: str, report: Path | None, costs: tuple[str, ...], **options: Any) -> None:
    """Evaluate predicted probabilities from any model.

    PREDICTIONS is a table with the labels and one column of probabilities per class, named as the class, possibly with
    a common prefix or suffix (prob_0, prob_1). For two classes, one column suffices. Intervals and the test of
    calibration assume independent rows that the model was not fitted to. Columns that describe the rows may stand
    beside them, for --by and --search.
    """
    from softreg.cli.commands.audit import audit_table

    audit_table(predictions, target, report, costs, **options)


@main.command(short_help="Watch whether the probabilities of MODEL stay right, batch by batch.")
@click.argument("model", type=FILE)
@click.argument("batches", type=FILE, nargs=-1, required=True, metavar="BATCHES...")
@monitor_options
@REPORT
@AS_JSON
@reading_options
def monitor(model: Path, batches: tuple[Path, ...], reading: Any, **options: Any) -> None:
    """Test whether the labels of BATCHES follow the probabilities of MODEL, and compare their columns.

    BATCHES are tables in the order of time, with or without labels. The test may be repeated after every batch: if the
    probabilities are right, the probability of a false alarm, ever, is at most A. The exit code is 0 where there is no
    sign of a change, 1 where the probabilities are wrong or a column has changed, and 2 for an error.
    """
    from softreg.cli.commands.monitor import MonitorOptions, monitor_batches

    code = monitor_batches(model, batches, MonitorOptions(**options), reading=reading)
    click.get_current_context().exit(code)


@main.command(short_help="Estimate coefficients of DATA with standard errors, intervals and tests.")
@click.argument("data", type=FILE)
@statistics_options
@column_options
@reading_options
@AS_JSON
def statistics(data: Path, target: str | None, **options: Any) -> None:
    """Estimate coefficients of DATA with standard errors, confidence intervals, tests and marginal effects.

    The model is fitted without a penalty to all rows without missing values. Numbers are in their own units, and
    categories are coded against their most frequent level.
    """
    from softreg.cli.commands.statistics import run_statistics

    run_statistics(data, target, options)


@main.command(short_help="Describe a model file.")
@click.argument("model", type=FILE)
@AS_JSON
def inspect(model: Path, as_json: bool) -> None:
    """Describe a model file: classes, columns, strength of the penalty, certificate of the fit."""
    from softreg.cli.commands.inspect import inspect_model

    inspect_model(model, as_json=as_json)


@main.command(short_help="Write a model as ONNX, SQL, JavaScript, C or a page.")
@click.argument("model", type=FILE)
@click.option(
    "--to",
    type=click.Choice(["onnx", "sql", "js", "c", "page"]),
    help="Target; by default that of the ending of the output: .onnx, .sql, .js or .mjs, .h, .html.",
)
@click.option("-o", "--output", type=FILE, required=True, metavar="FILE", help="Output file.")
@click.option(
    "--dialect",
    type=click.Choice(["duckdb", "postgres", "sqlite"]),
    default="duckdb",
    show_default=True,
    help="Database of the SQL.",
)
@click.option("--table", default="input", show_default=True, metavar="NAME", help="Table that the SQL reads.")
@click.option("--name", default="softreg", show_default=True, metavar="NAME", help="Prefix of the names in C.")
def export(model: Path, **options: Any) -> None:
    """Write MODEL as a program that needs no Python and computes the same probabilities.

    Targets are an ONNX model, a SELECT statement of SQL, an ES module of JavaScript, a header of C99, and a page of
    HTML to try the model on. What a target cannot compute exactly is an error that names the column.
    """
    from softreg.cli.commands.export import ExportOptions, export_file

    export_file(model, ExportOptions(**options, given=frozenset(given_options(click.get_current_context()))))


@main.command(short_help="Write the model card of a model file: Markdown.")
@click.argument("model", type=FILE)
@click.option("-o", "--output", type=FILE, metavar="CARD.md", help="Output file; stdout by default, and with -.")
def card(model: Path, output: Path | None) -> None:
    """Write the model card of MODEL, in Markdown, from what the file stores.

    It states classes, columns, the fit and its certificate, the evaluation on held-out rows of `softreg train`, the
    meaning and limits of the probabilities, and how to use the model.
    """
    from softreg.cli.commands.card import write_card

    write_card(model, output)


@main.command(short_help="Serve MODEL files over HTTP.")
@click.argument("models", nargs=-1, required=True, metavar="MODEL|NAME=MODEL...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 for a free one.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Number of processes.")
@click.option(
    "--token-file",
    type=FILE,
    metavar="FILE",
    help="File of the bearer token that requests need; the variable SOFTREG_TOKEN by default, or none.",
)
@click.option(
    "--max-mb", type=click.FloatRange(0, min_open=True), default=16, show_default=True, help="Largest body, in MiB."
)
@click.option("--max-rows", type=click.IntRange(1), default=10_000, show_default=True, help="Most rows of a request.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="Limit of the time of a request.",
)
def serve(models: tuple[str, ...], **options: Any) -> None:
    """Serve MODEL files over HTTP: JSON rows, the Open Inference Protocol, OpenAPI and metrics.

    A model has the name of its file without the ending; NAME=MODEL gives another one. A file that changes is loaded
    again. Needs pip install 'softreg[serve]'.
    """
    from softreg.cli.commands.serve import serve_models

    serve_models(models, **options)


@main.command(short_help="Show versions, threads and kernels in use.")
@AS_JSON
def doctor(as_json: bool) -> None:
    """Show versions, number of threads, BLAS libraries, and the kernels in use."""
    from softreg.cli.commands.doctor import print_environment

    print_environment(as_json=as_json)


@main.command(short_help="Run an example on handwritten digits.")
@click.option(
    "--folder", type=FILE, default=Path("demo"), show_default=True, help="Folder for the model and the report."
)
def demo(folder: Path) -> None:
    """Train on the 8 x 8 digits of scikit-learn, and write a model and a report."""
    from softreg.cli.commands.demo import run_demo

    run_demo(folder)


@main.command(short_help="Write and open an interactive page that teaches softmax regression.")
@click.option(
    "-o",
    "--output",
    type=FILE,
    default=Path("softreg-learn.html"),
    show_default=True,
    metavar="FILE.html",
    help="Output file.",
)
@click.option(
    "--lang",
    type=click.Choice(["en", "zh"]),
    default="en",
    show_default=True,
    help="Language with which the page opens: English or Chinese. The page has both.",
)
@click.option("--no-open", is_flag=True, help="Do not open the page in a browser.")
def learn(output: Path, lang: str, no_open: bool) -> None:
    """Write an interactive page that teaches softmax regression, and open it in a browser.

    The page is one HTML file that needs no server and makes no request. It starts with an image of four pixels and
    shows every number on the way to probabilities, loss and gradient.
    """
    from softreg.cli.commands.learn import write_lesson

    write_lesson(output, lang, no_open)
