"""`softreg predict`: class probabilities and the most likely label for each row of a table."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from softreg.cli.boundary import Complaint
from softreg.cli.console import check_writable, say
from softreg.cli.loading import load_model
from softreg.tables import predictions_csv, read_table, write_predictions

OUTPUT_ENDINGS = (".csv", ".tsv", ".parquet", ".pq")


def predict_table(model_path: Path, data: Path, output: Path | None) -> None:
    """Predict every row of `data`; to `output`, or as CSV to stdout."""
    check_writable(output, OUTPUT_ENDINGS, "--output")
    if output is not None and output.exists() and data.exists() and output.samefile(data):
        raise Complaint(f"--output {str(output)!r} is the file of the data, which would be lost; name another.")
    model = load_model(model_path)
    P = model.probabilities(read_table(data))
    predicted = np.asarray(model.classes)[P.argmax(axis=1)]
    if output is None:
        click.echo(predictions_csv(model.classes, P, predicted), nl=False)
    else:
        write_predictions(output, model.classes, P, predicted)
        say(f"{len(P):,} predictions: {output}")
