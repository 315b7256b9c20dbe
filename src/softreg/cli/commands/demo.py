"""`softreg demo`: an example on the handwritten digits of scikit-learn."""

from __future__ import annotations

import time
from pathlib import Path

import click
from sklearn.datasets import load_digits

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.evaluation_result import collect_result
from softreg.cli.console.messages import print_message
from softreg.cli.console.output_files import check_writable
from softreg.cli.console.progress_bars import show_fit_progress
from softreg.cli.console.result_table import format_result
from softreg.cli.report_inputs.build_report import write_page
from softreg.cli.report_inputs.provenance import provenance
from softreg.cli.report_inputs.row_images import RowImages
from softreg.models import SoftmaxRegression
from softreg.report import audit
from softreg.tables import split_rows
from softreg.typing import Codes, Float64Array

STRENGTH = 1e-4
"""Strength of the penalty."""
TOL = 1e-6
"""Tolerance of the fit in nats."""
TEST_SIZE = 0.2
"""Share of held-out images."""
WHITE = 16
"""Largest grey value of the images."""
NEXT_STEPS = """
Open {report} in a browser. Then try
  softreg inspect {model}
  softreg train YOUR.csv --target COLUMN --model m.softreg --report r.html
  python -c "import softreg; print(softreg.load({model!r}))\""""


def run_demo(folder: Path) -> None:
    """Fit four fifths of the 8 x 8 digits, evaluate on the others, and write a model and a report to `folder`."""
    model_path, report_path = folder / "digits.softreg", folder / "report.html"
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"--folder {str(folder)!r} is a file; name a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(model_path, (".softreg",), "--folder")

    digits = load_digits()
    X, y = digits.data / WHITE, digits.target  # (1797, 64) grey values from 0 to 1, and the digit of each image
    train, test = split_rows(y, TEST_SIZE, seed=0)
    split = f"{len(train):,} to train on, {len(test):,} held out"
    print_message(f"Digits: {len(X):,} images of 8 x 8 pixels; {split}.")
    model, seconds = _fit(X[train], y[train])
    evaluation = audit(model.predict_proba(X[test]), y[test], [str(label) for label in model.classes_])
    result = collect_result(
        evaluation, model.solution_, rows=len(X), columns=X.shape[1], strength=STRENGTH, seconds=seconds
    )
    model.save(model_path)
    write_page(
        report_path,
        "Handwritten digits",
        f"{len(test):,} held-out images of 8 x 8 pixels; trained on {len(train):,}",
        evaluation,
        model,
        numbers=test + 1,
        feature_names=[f"row {i}, column {j}" for i in range(1, 9) for j in range(1, 9)],
        images=RowImages(digits.images.shape[1:], lambda rows: digits.images[test][rows] / WHITE),
        training=(train, y[train]),
        provenance=provenance([], seed=0),
    )
    columns = "grey values of pixels"
    text = format_result(result, evaluation, model.solution_, rows=split, columns=columns, prefix="held-out")
    click.echo(text)
    print_message(NEXT_STEPS.format(model=str(model_path), report=str(report_path)))


def _fit(X: Float64Array, y: Codes) -> tuple[SoftmaxRegression, float]:
    """Fit the model, showing progress; return it with the seconds of the fit."""
    start = time.perf_counter()
    with show_fit_progress(tol=TOL) as callback:
        model = SoftmaxRegression(strength=STRENGTH, verbose=callback).fit(X, y)
    model.set_params(verbose=0)
    return model, time.perf_counter() - start
