"""`softreg export`: write a model as a program of another system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from softreg.cli.console.messages import print_message, print_note
from softreg.cli.console.output_files import check_writable, refuse_inputs
from softreg.cli.data.load_model import load_model
from softreg.export import build_program, export_model
from softreg.export.targets import ENDINGS


@dataclass(frozen=True)
class ExportOptions:
    """Options of the command; the fields have the names of the options."""

    output: Path
    to: str | None = None
    dialect: str = "duckdb"
    table: str = "input"
    name: str = "softreg"


def export_file(model_path: Path, options: ExportOptions) -> None:
    """Write a model file as a program, and print how its inputs are to be prepared."""
    endings = tuple(ending for ending, target in ENDINGS.items() if options.to in (None, target.value))
    check_writable(options.output, endings, "--output")
    refuse_inputs(options.output, "--output", [model_path])
    model = load_model(model_path).model
    export_model(model, options.output, to=options.to, dialect=options.dialect, table=options.table, name=options.name)
    for read in build_program(model).inputs:
        if read.note:
            print_note(f"column {read.name!r}: {read.note}")
    print_message(f"Program of the model: {options.output}")
