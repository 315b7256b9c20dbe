"""`softreg export`: write a model as a program of another system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_message, print_note
from softreg.cli.console.output_files import check_writable, refuse_inputs
from softreg.cli.data.load_model import load_model
from softreg.export import build_program
from softreg.export.program import InputKind
from softreg.export.targets import ENDINGS, Target, target_of
from softreg.export.write_program import print_options, write_program

STDOUT = "-"
"""The name that stands for standard output in other commands."""


@dataclass(frozen=True)
class ExportOptions:
    """Options of the command; the fields have the names of the options."""

    output: Path
    to: str | None = None
    dialect: str = "duckdb"
    table: str = "input"
    name: str = "softreg"
    given: frozenset[str] = frozenset()


OPTIONS_OF = {"--dialect": Target.SQL, "--table": Target.SQL, "--name": Target.C}
"""Target of each option that has an effect on one alone."""
SECONDS_NOTE = "pass times as seconds since 1970-01-01 00:00, of the wall-clock time as training wrote it."
"""Note of a column of dates for targets without a type of dates."""


def export_file(model_path: Path, options: ExportOptions) -> None:
    """Write a model file as a program, and print how its inputs are to be prepared."""
    check_writable(options.output, _endings(options), "--output")
    refuse_inputs(options.output, "--output", [model_path])
    target = target_of(options.output, options.to)
    for option, only in OPTIONS_OF.items():
        if option in options.given and target is not only:
            raise CommandError(f"{option} has no effect on the target {target.value}; it is for {only.value}.")
    printing = print_options(options.dialect, options.table, options.name)
    program = build_program(load_model(model_path).model)
    write_program(program, options.output, target, printing)
    for read in program.inputs:
        if read.note:
            print_note(f"column {read.name!r}: {read.note}")
        if read.kind is InputKind.DATE and target in (Target.ONNX, Target.C):
            print_note(f"column {read.name!r}: {SECONDS_NOTE}")
    print_message(f"Program of the model: {options.output}")


def _endings(options: ExportOptions) -> tuple[str, ...]:
    """Return the endings that the output may have: any that is of no other target, where the target is named."""
    named, ending = f"--output {str(options.output)!r}", options.output.suffix.lower()
    if str(options.output) == STDOUT:
        raise CommandError(f"{named}: a program is written to a file, not to stdout; name a file.")
    if ending in ENDINGS:
        return tuple(one for one, target in ENDINGS.items() if options.to in (None, target.value))
    if options.to is None:
        raise CommandError(f"{named} should end in {' or '.join(ENDINGS)}; with --to, any other ending will do.")
    return (ending,)
