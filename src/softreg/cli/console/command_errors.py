"""Exceptions as messages on stderr with an exit code, without a traceback."""

from __future__ import annotations

import errno
import os
import traceback
import warnings
from pathlib import Path
from typing import IO, Any

import click

from softreg import version
from softreg.cli.console.option_values import ValueCheckingCommand

EXIT_USAGE = 2
"""Exit code of an error in the input or on the command line."""
EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as in shells."""
ARGUMENTS = "softreg.arguments"
"""Key of the click context under which the arguments of the command line are stored, for reports."""
_SOURCE = str(Path(version.__file__).resolve().parent)
"""Folder of the source of softreg."""


class CommandError(click.ClickException):
    """An error in the input or on the command line that the user can correct; exit code 2."""

    exit_code = EXIT_USAGE

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message on stderr, as one line."""
        click.echo(f"softreg: {' '.join(self.format_message().split())}", err=True, file=file)


class ErrorReportingGroup(click.Group):
    """Group of commands that prints errors, interrupts and warnings as plain lines on stderr.

    A `ValueError` that softreg raises is an error in the input, as is an `OSError`. Any other exception is a defect of
    softreg and keeps its traceback.
    """

    command_class = ValueCheckingCommand

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **kwargs: Any) -> click.Context:
        """Parse the options of the group."""
        arguments = list(args)
        try:
            context = super().make_context(info_name, args, *rest, **kwargs)
            context.meta[ARGUMENTS] = arguments
            return context
        except click.UsageError as error:
            raise _usage_error(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, with its exceptions converted."""
        with warnings.catch_warnings():
            warnings.showwarning = _print_warning
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                click.echo("softreg: interrupted by Ctrl-C; no incomplete file was written.", err=True)
                ctx.exit(EXIT_INTERRUPTED)
            except click.UsageError as error:
                raise _usage_error(error) from None
            except OSError as error:
                if error.errno == errno.EPIPE:
                    raise  # click exits silently when the reader of a pipe has closed it
                raise CommandError(_os_error_text(error)) from None
            except ValueError as error:
                if not _raised_by_softreg(error):
                    raise
                raise CommandError(str(error)) from None


def _usage_error(error: click.UsageError) -> CommandError:
    """Return the error of an invalid command line, with the command whose help describes it."""
    command = error.ctx.command_path if error.ctx else "softreg"
    return CommandError(f"{error.format_message()} See `{command} --help`.")


def _os_error_text(error: OSError) -> str:
    """Return the message of an error of the file system; a message of softreg is unchanged."""
    if error.errno is None:
        return str(error)
    reason = os.strerror(error.errno)  # messages of Arrow are long and state the same reason
    if error.filename is None:
        return f"The result could not be written: {reason}."
    return f"{os.fspath(error.filename)!r} cannot be used: {reason}."


def _raised_by_softreg(error: ValueError) -> bool:
    """Return whether the source of softreg raised the error, so that its message is written for the user."""
    from softreg.tables.columns.table_errors import TableError

    if isinstance(error, TableError):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or not frames[-1].filename.startswith(_SOURCE):
        return False
    line = frames[-1].line  # empty where the source is not available
    return not line or line.startswith("raise ")


def _print_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning on stderr, as one line."""
    click.echo(f"Warning: {' '.join(str(message).split())}", err=True)
