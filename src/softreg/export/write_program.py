"""`softreg.export_model`: write a fitted model as a program of another system."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from softreg.atomic_files import atomic_path
from softreg.export.build.model_program import build_program
from softreg.export.c.c_names import check_prefix
from softreg.export.export_errors import ExportError
from softreg.export.program import Program
from softreg.export.sql.syntax import Dialect
from softreg.export.targets import PRINTERS, PrintOptions, Target, target_of
from softreg.models import Calibrator


def export_model(
    model: Any,
    path: str | os.PathLike[str],
    *,
    to: str | None = None,
    dialect: str = "duckdb",
    table: str = "input",
    name: str = "softreg",
    calibrator: Calibrator | None = None,
    class_rates: ArrayLike | Mapping[Any, float] | None = None,
) -> None:
    """Write a fitted model as a program that needs no Python.

    Parameters
    ----------
    model : SoftmaxRegression, SoftmaxRegressionCV or TableClassifier
        A fitted model.
    path : path
        Output file, written atomically.
    to : {"onnx", "sql", "js", "c", "page"}, optional
        Target; by default that of the ending of `path`: .onnx, .sql, .js or .mjs, .h, .html.
    dialect : {"duckdb", "postgres", "sqlite"}, default "duckdb"
        Database of the SQL.
    table : str, default "input"
        Table that the SQL reads.
    name : str, default "softreg"
        Prefix of the names in C.
    calibrator : Calibrator, optional
        A fitted calibrator of the model's classes, which is applied to its probabilities.
    class_rates : array_like (q,) or mapping of label to float, optional
        Class rates of the new rows, for `Calibrator.predict_proba(P, class_rates=...)`; a mapping names each class.

    Raises
    ------
    ExportError
        If the target cannot compute the model exactly (the message names the column and the reason), or an option is
        of no known value.

    Examples
    --------
    >>> import softreg
    >>> model = softreg.SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])
    >>> softreg.export_model(model, "model.sql", dialect="sqlite")
    """
    path = Path(path)
    target, options = target_of(path, to), print_options(dialect, table, name)
    write_program(build_program(model, calibrator=calibrator, class_rates=class_rates), path, target, options)


def print_options(dialect: str, table: str, name: str) -> PrintOptions:
    """Return the options of the printers; raise `ExportError` for a value that is not known."""
    if dialect not in set(Dialect):
        known = ", ".join(one.value for one in Dialect)
        raise ExportError(f"dialect={dialect!r} is not known; choose one of {known}.")
    check_prefix(name)
    if not table:
        raise ExportError("table is empty; name the table that the SQL reads.")
    return PrintOptions(Dialect(dialect), table, name)


def write_program(program: Program, path: Path, target: Target, options: PrintOptions) -> None:
    """Write a program atomically; raise `ExportError` if the target cannot compute it exactly."""
    data = PRINTERS[target](program, options)
    with atomic_path(path) as draft:
        draft.write_bytes(data)
