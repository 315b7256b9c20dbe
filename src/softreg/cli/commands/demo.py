"""`softreg demo`: the whole of it at work on real data that need no download."""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.evaluation_result import collect_result
from softreg.cli.console.messages import print_message
from softreg.cli.console.output_files import check_writable
from softreg.cli.console.progress_bars import show_fit_progress
from softreg.cli.console.result_table import format_result
from softreg.cli.reporting.build_report import write_page
from softreg.cli.reporting.provenance import provenance
from softreg.models import SoftmaxRegression
from softreg.report import audit
from softreg.tables import split_rows

STRENGTH = 1e-4
NEXT = """
Look at {report} in a browser. Then try
  softreg inspect {model}
  softreg train YOUR.csv --target COLUMN --model m.softreg --report r.html
  python -c "import softreg; print(softreg.load({model!r}))\""""


def run_demo(folder: Path) -> None:
    """Fit four fifths of the 8 x 8 digits, audit the last, leave a model and a report in `folder`."""
    model_path, report_path = folder / "digits.softreg", folder / "report.html"
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"--folder {str(folder)!r} is a file; name a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(model_path, (".softreg",), "--folder")

    digits = load_digits()
    X, y = digits.data / 16, digits.target  # (1797, 64) grey values between 0 and 1, and the digit of each image
    train, test = split_rows(y, 0.2, seed=0)
    print_message(f"Digits: {len(X):,} images of 8 x 8 pixels; {len(train):,} to train on, {len(test):,} held out.")
    model, seconds = fit(X[train], y[train])
    found = audit(model.predict_proba(X[test]), y[test], [str(label) for label in model.classes_])
    figures = collect_result(found, model.solution_, rows=len(X), columns=64, strength=STRENGTH, seconds=seconds)
    model.save(model_path)
    write_page(
        report_path,
        "Handwritten digits",
        f"{len(test):,} held-out images of 8 x 8 pixels; trained on {len(train):,}",
        found,
        model,
        numbers=test + 1,
        feature_names=[f"row {i}, column {j}" for i in range(1, 9) for j in range(1, 9)],
        images=digits.images[test] / 16,
        training=(train, y[train]),
        provenance=provenance([], seed=0),
    )
    split = f"{len(train):,} to train on, {len(test):,} held out"
    click.echo(
        format_result(figures, found, model.solution_, rows=split, columns="grey values of pixels", prefix="held-out")
    )
    print_message(NEXT.format(model=str(model_path), report=str(report_path)))


def fit(X: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[SoftmaxRegression, float]:
    """Fit with progress; gives the model and the seconds that it took."""
    start = time.perf_counter()
    with show_fit_progress(tol=1e-6) as listener:
        model = SoftmaxRegression(strength=STRENGTH, verbose=listener).fit(X, y)
    model.set_params(verbose=0)
    return model, time.perf_counter() - start
